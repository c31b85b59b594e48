"""How often a keyword fires for nothing in a recording of the user's surroundings, and the threshold for a wanted rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError, kind_of
from wordprint.model import Model
from wordprint.spot.decide import peaks
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


@dataclass(frozen=True)
class Heard:
    """What a keyword fires on in a `recording` of the user's surroundings, and how many false alarms per hour were `asked` for."""

    recording: str
    rate: Rate
    asked: float

    @property
    def tells(self) -> bool:
        """Whether it lasts long enough to tell what is as rare as asked."""
        return self.asked * self.rate.hours >= 1


class Background:
    """A recording of the user's surroundings in which no keyword is said. An hour takes a while to hear: what was heard is kept."""

    def __init__(self, recording: str | Path) -> None:
        self.recording = str(recording)
        self._samples = read_background(recording)
        self._heard: dict[tuple[str, Keyword, float], Heard] = {}

    def heard(self, model: Model, keyword: Keyword, per_hour: float | None = None) -> Heard:
        """What this keyword fires on here, whatever its threshold; `per_hour`: false alarms that are asked for, by default those
        that the model was exported for."""
        asked = model.false_alarms_per_hour if per_hour is None else per_hour
        key = model.digest, replace(keyword, threshold=0.0), asked
        if key not in self._heard:
            self._heard[key] = Heard(self.recording, heard_rate(model, keyword, self._samples, asked), asked)
        return self._heard[key]


def heard_rate(model: Model, keyword: Keyword, samples: NDArray[np.float32], per_hour: float | None = None) -> Rate:
    """What the keyword's events are in audio (N,) at 16 kHz in which it isn't said, by the looks of the live code.

    An event is a peak: the best look, none better within the refractory period. They are exact down to a little below the threshold
    for so many false alarms `per_hour`, or for those of the model if that is lower. Raises InputError for less than a minute, and
    for silence.
    """
    from wordprint.spot.stream import Spotter  # which enrolls, and so needs this module

    lasting_s = len(samples) / model.sample_rate
    if lasting_s < SHORTEST_S:
        raise InputError(f"{lasting_s:.0f} s of background", expected="a minute or more; an hour tells most")
    known = replace(keyword, threshold=min(default_threshold(model, keyword, asked) for asked in (None, per_hour)))
    spotter = Spotter(model, Enrollment(model.name, model.digest, (known,)))
    refractory = round(spotter.config.refractory_s * model.sample_rate)
    looks = [(look.end_sample, float(look.similarities[0])) for look in spotter.looks(samples)]
    ends, scores = np.array([end for end, _ in looks]), np.array([score for _, score in looks])
    found = peaks(ends, scores, refractory)
    if not len(found):
        quiet = f"no sound above {spotter.config.min_level_db:g} dB in {lasting_s:.0f} s of background"
        raise InputError(quiet, expected="what is heard where the keyword will be listened for", remedy="is the microphone muted?")
    return Rate(scores[found], lasting_s / 3600)


def read_background(path: str | Path) -> NDArray[np.float32]:
    """Samples of a recording of the user's surroundings; raises InputError where there is none."""
    from wordprint.speech.audio import read_audio

    if not Path(path).is_file():
        raise InputError(kind_of(path), expected="a recording in which no keyword is said")
    return read_audio(path)
