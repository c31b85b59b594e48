"""What a stream of looks is worth: scores where keywords are said, false alarms elsewhere, thresholds, intervals. All in numpy.

A false alarm is a peak: the best look within the refractory period on both sides, so that events don't depend on the threshold
and a run of hits is one. Thresholds are observed scores: the one for a rate r in H hours lets ⌊r·H⌋ false alarms pass, and what
scores no more than the next one is missed. Each time a keyword is said counts once, by its best look from its onset to its offset
and the tolerance. All positions are samples of the stream. `detect` takes the same looks through the decision code that runs live.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.evaluate.intervals import poisson_interval, wilson_interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.decide import Decider, peaks

RATES = (0.1, 0.5, 1.0, 5.0, 10.0)
"""False alarms per hour and keyword at which misses are reported."""
TOLERANCE_SAMPLES = SAMPLE_RATE // 2
"""How late after a keyword's end an answer may come."""
HOUR = 3600 * SAMPLE_RATE

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
"""Stretches (n, 2) of the stream, `[start, end)` in samples, ascending."""


@dataclass(frozen=True)
class Trial:
    """One keyword, enrolled once: its best score each time it is said (−inf: no look), and its peaks elsewhere, best first."""

    keyword: str
    draw: int
    spoken: Places
    hits: Floats
    delays_s: Floats
    """From the end of each to the answer of its best look."""
    false: Floats
    false_at: NDArray[np.int64]
    background: Places
    clear: NDArray[np.bool_]
    """Looks (L,) that lie in the background."""

    @property
    def hours(self) -> float:
        return float((self.background[:, 1] - self.background[:, 0]).sum() / HOUR)


@dataclass(frozen=True)
class Decided:
    """What the live decision code does at one threshold: detections (m,), and which of the times the keyword is said are found."""

    ends: NDArray[np.int64]
    """Where the best look of each detection ends."""
    times: NDArray[np.int64]
    """When each is decided."""
    similarities: Floats
    found: NDArray[np.bool_]
    delays_s: Floats
    """Of those that are found."""
    false: NDArray[np.bool_]
    """Which detections (m,) are false alarms."""


@dataclass(frozen=True)
class Looks:
    """Looks at a stream: where each ends (L,), ascending; and how long after that the answer is there, and hits are ignored."""

    ends: NDArray[np.int64]
    hold_samples: int
    refractory_samples: int

    @property
    def answers(self) -> NDArray[np.int64]:
        return self.ends + self.hold_samples


def score_trial(keyword: str, draw: int, looks: Looks, scores: NDArray[Any], spoken: Places, background: Places) -> Trial:
    """Scores (L,) of one keyword's looks: what they are each time it is said, and their peaks in the background."""
    scores, answers = np.asarray(scores, np.float64), looks.answers
    hits, delays = np.full(len(spoken), -np.inf), np.full(len(spoken), np.nan)
    firsts = np.searchsorted(answers, spoken[:, 0])
    ends = np.searchsorted(answers, spoken[:, 1] + TOLERANCE_SAMPLES, side="right")
    for place, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
        if end > first:
            best = first + int(np.argmax(scores[first:end]))
            hits[place], delays[place] = scores[best], (answers[best] - spoken[place, 1]) / SAMPLE_RATE
    clear = inside(answers, background)
    found = peaks(answers[clear], scores[clear], looks.refractory_samples)
    return Trial(keyword, draw, spoken, hits, delays, scores[clear][found], answers[clear][found], background, clear)


def inside(positions: NDArray[np.int64], places: Places) -> NDArray[np.bool_]:
    """Which of the positions (L,) lie in one of the places (n, 2)."""
    if not len(places):
        return np.zeros(len(positions), bool)
    place = np.searchsorted(places[:, 0], positions, side="right") - 1
    return np.asarray((place >= 0) & (positions < places[np.maximum(place, 0), 1]))


def threshold_at(false: Floats, hours: float, per_hour: float) -> float:
    """The observed score that a detection must exceed so that at most `per_hour` × `hours` of the false alarms pass."""
    allowed = math.floor(per_hour * hours + 1e-9)
    return float(np.sort(false)[::-1][allowed]) if allowed < len(false) else -math.inf


def shared_threshold(trials: Sequence[Trial], per_hour: float) -> float:
    """The same for all keywords and draws together: one threshold for keywords that have no recordings to find their own with."""
    return threshold_at(np.concatenate([trial.false for trial in trials]), sum(trial.hours for trial in trials), per_hour)


def miss_rate(trials: Sequence[Trial], bars: Sequence[float]) -> float:
    """Mean over trials of the share that scores no more than the trial's bar."""
    return float(np.mean([np.mean(trial.hits <= bar) for trial, bar in zip(trials, bars, strict=True)]))


def detect(looks: Looks, scores: NDArray[Any], bar: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Detections of one keyword by the code that runs live, at scores above `bar`: ends of their best looks, when decided, scores.

    The Decider sees only looks that can change its state: hits, the first look after a run of them, and the one it decides at.
    """
    scores = np.asarray(scores, np.float64)
    threshold = np.nextafter(max(bar, -1e9), np.inf)
    decider = Decider([threshold], refractory_samples=looks.refractory_samples, hold_samples=looks.hold_samples)
    hits = scores >= threshold
    matter = hits | np.r_[False, hits[:-1]]
    due = np.searchsorted(looks.ends, looks.ends[hits] + looks.hold_samples)
    matter[due[due < len(hits)]] = True
    found = []
    for index in np.flatnonzero(matter).tolist():
        peak = decider.step(int(looks.ends[index]), scores[index : index + 1])
        if peak is not None:
            found.append((peak.end_sample, int(looks.ends[index]), peak.similarity))
    if (last := decider.finish()) is not None:
        found.append((last.end_sample, int(looks.ends[-1]), last.similarity))
    columns = np.array(found, np.float64).reshape(-1, 3)
    return columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), columns[:, 2]


def decide(trial: Trial, looks: Looks, scores: NDArray[Any], bar: float) -> Decided:
    """A hit for each time the keyword is said, however often it is detected there; each detection in the background is false."""
    ends, times, similarities = detect(looks, scores, bar)
    first = np.searchsorted(times, trial.spoken[:, 0])
    last = np.searchsorted(times, trial.spoken[:, 1] + TOLERANCE_SAMPLES, side="right")
    found = last > first
    delays_s = (times[first[found]] - trial.spoken[found, 1]) / SAMPLE_RATE
    return Decided(ends, times, similarities, found, delays_s, inside(times, trial.background))


def missed_interval(share: float, spoken: int) -> dict[str, float]:
    """A share of misses with Wilson's interval; `spoken` counts each recording once, however many draws asked for it."""
    low, high = wilson_interval(round(share * spoken), spoken)
    return {"value": share, "low": min(low, share), "high": max(high, share)}


def hours_once(trials: Sequence[Trial]) -> float:
    """Hours of background and keywords in one draw: those of each keyword over the draws of it that could be enrolled."""
    draws = Counter(trial.keyword for trial in trials)
    return sum(trial.hours / draws[trial.keyword] for trial in trials)


def rate_interval(count: int, hours: float, once: float) -> dict[str, Any]:
    """False alarms in `hours` of background and keywords over all draws, `once` in one, per hour, with the exact Poisson interval.

    The draws hear the same background: the interval is that of one draw's mean count in one draw's hours. No false alarm
    in H hours is "< 3/H", never 0.
    """
    mean = count * once / hours
    low, high = poisson_interval(math.floor(mean + 1e-9))[0], poisson_interval(math.ceil(mean - 1e-9))[1]
    text = f"{count / hours:.2g}" if count else f"< {3 / once:.2g}"
    return {"count": count, "hours": hours, "per_hour": count / hours if count else None, "low": low / once, "high": high / once,
            "text": text}  # fmt: skip
