"""How often a keyword fires for nothing in a recording of the user's surroundings, and the threshold for a wanted rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError, kind_of
from wordprint.model import Model
from wordprint.spot.enrollment import Enrollment, Keyword
from wordprint.spot.expect import default_threshold

SHORTEST_S = 60.0
"""Of a background."""


@dataclass(frozen=True)
class Rate:
    """False alarms by threshold: `scores` (n,) are the best similarities of all events in `hours` of background, best first."""

    scores: NDArray[np.float64]
    hours: float

    def at(self, threshold: float) -> float:
        """False alarms per hour at a threshold."""
        return int((self.scores >= threshold).sum()) / self.hours

    def threshold(self, per_hour: float) -> float:
        """The lowest threshold, of four decimals, with at most so many false alarms per hour; at most 1."""
        allowed = math.floor(per_hour * self.hours + 1e-9)
        if allowed >= len(self.scores):
            return -1.0
        return min(1.0, math.floor(float(self.scores[allowed]) * 1e4) / 1e4 + 1e-4)


def heard_rate(model: Model, keyword: Keyword, samples: NDArray[np.float32]) -> Rate:
    """What the keyword's events are in audio (N,) at 16 kHz in which it isn't said, by the looks of the live code.

    Raises InputError for less than a minute, and for silence.
    """
    from wordprint.spot.stream import Spotter  # which enrolls, and so needs this module

    lasting_s = len(samples) / model.sample_rate
    if lasting_s < SHORTEST_S:
        raise InputError(f"{lasting_s:.0f} s of background", expected="a minute or more; an hour tells most")
    known = replace(keyword, threshold=default_threshold(model, keyword))
    spotter = Spotter(model, Enrollment(model.name, model.digest, (known,)))
    refractory = round(spotter.config.refractory_s * model.sample_rate)
    best: dict[int, float] = {}
    for look in spotter.looks(samples):
        event, score = look.end_sample // refractory, float(look.similarities[0])
        best[event] = max(score, best.get(event, -1.0))
    if max(best.values()) == -1.0:
        quiet = f"no sound above {spotter.config.min_level_db:g} dB in {lasting_s:.0f} s of background"
        raise InputError(quiet, expected="what is heard where the keyword will be listened for", remedy="is the microphone muted?")
    return Rate(np.sort(np.array(list(best.values())))[::-1], lasting_s / 3600)


def hours_of(path: str | Path) -> float:
    """How long a recording is."""
    from wordprint.speech.recording import Recording

    with Recording(path) as recording:
        return recording.frames / recording.sample_rate / 3600


def read_background(path: str | Path) -> NDArray[np.float32]:
    """Samples of a recording of the user's surroundings; raises InputError where there is none."""
    from wordprint.speech.audio import read_audio

    if not Path(path).is_file():
        raise InputError(kind_of(path), expected="a recording in which no keyword is said")
    return read_audio(path)
