"""Options of `spot`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.stages.options import option


@dataclass(frozen=True)
class SpotConfig:
    """Listen for enrolled keywords."""

    hop_s: float = option(0.1, at_least=0.001, at_most=3)
    """Time between two looks at the stream."""
    threshold: float | None = option(None, at_least=-1, at_most=1)
    """Similarity that counts as a hit, for all keywords; without it, the one stored with each keyword."""
    hold_s: float = option(0.1, at_least=0, at_most=60)
    """Wait this long for a better match before a detection is decided."""
    refractory_s: float = option(0.75, at_least=0, at_most=60)
    """After the peak of a detection, ignore hits for this long."""
    min_level_db: float = option(-60.0, at_least=-200, at_most=0)
    """Don't look at windows whose level (RMS, dB of full scale) is below this."""
