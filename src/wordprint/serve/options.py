"""Options of `serve`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.stages.options import option


@dataclass(frozen=True)
class ServeConfig:
    """Spot keywords for other programs."""

    clients: int = option(100, at_least=1)
    """Clients served at once; a further one is told so and sent away."""
    zeroconf: bool = option(False)
    """Announce the server to the local network, where Home Assistant finds it; needs the package zeroconf."""
