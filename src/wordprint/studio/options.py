"""Options of `studio`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.stages.options import option


@dataclass(frozen=True)
class StudioConfig:
    """A page to make keywords on."""

    port: int = option(8337, at_least=0, at_most=65_535)
    """Port of this machine to serve the page at; 0 takes a free one."""
    browser: bool = True
    """Open the page in a browser."""
