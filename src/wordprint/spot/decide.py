"""The decision logic, once: similarities at regular looks in, detections out.

It serves live audio and offline evaluation alike. All time is counted in samples of the stream, never on a clock,
so that the answer depends on the audio alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import ConfigError

SAME_END_SAMPLES = 2560
"""Two spans of what was said end no further apart (0.16 s): a rival may be the beginning of its keyword."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The best look of one detection: keyword index, how much of the stream had been heard, and its similarity."""

    keyword: int
    end_sample: int
    similarity: float
    margin: float
    """Similarity minus the keyword's threshold; keywords compete by it."""
    span: tuple[int, int] = (0, 0)
    """Where the keyword begins and ends in the stream, in samples."""


class Decider:
    """Turns a run of hits (similarity ≥ threshold) into one detection.

    - The best hit so far is the candidate; a hit of any keyword with a larger margin replaces it, an equal one does not.
    - It is decided `hold_samples` after the first hit: a longer hold compares more, a shorter one is faster.
    - For `refractory_samples` after a decided peak, hits of its keyword are ignored, and of others where their spans share half of
      the shorter with its span, or nothing is known of spans.
    - A keyword that was detected is not detected again before its run of hits has ended: a plateau is one detection.
    - A hit is none, and a candidate is not decided, where a rival of the keyword had a larger margin in a span that shares half of
      the shorter with its span and ends within SAME_END_SAMPLES of it: something else was said.

    `thresholds` (W,) are those of the keywords; `owners` (R,) tell whose rival each rival is, which has the same threshold.
    """

    def __init__(
        self, thresholds: Sequence[float], *, refractory_samples: int, hold_samples: int, owners: Sequence[int] = ()
    ) -> None:
        if refractory_samples < 0 or hold_samples < 0:
            raise ConfigError(f"refractory period {refractory_samples}, hold {hold_samples} samples", expected="0 or more")
        self.set_thresholds(thresholds, owners)
        self._refractory_samples = refractory_samples
        self._hold_samples = hold_samples
        self.reset()

    def set_thresholds(self, thresholds: Sequence[float], owners: Sequence[int] = ()) -> None:
        """From the next look on; a candidate that there is stays one, with the margin that it had."""
        self._thresholds: NDArray[np.float64] = np.asarray(thresholds, dtype=np.float64)
        self._owners = np.array(owners, np.int64)
        self._bars = np.concatenate([self._thresholds, self._thresholds[self._owners]])

    def margins(self, similarities: ArrayLike) -> NDArray[np.float64]:
        """How far similarities (W + R,) are above their thresholds."""
        return np.asarray(np.asarray(similarities, np.float64) - self._bars)

    def reset(self) -> None:
        """Forget the stream."""
        self._candidate: Peak | None = None
        self._due = 0
        self._last: Peak | None = None
        self._deaf_until = np.full(len(self._thresholds), -1)
        self._spent = np.zeros(len(self._thresholds), dtype=bool)
        self._rivals: deque[Peak] = deque()

    def step(self, end_sample: int, similarities: ArrayLike, spans: ArrayLike | None = None) -> Peak | None:
        """One look, when `end_sample` samples were heard: `similarities` (W + R,) of the keywords, then of the rivals, and the
        spans (W + R, 2) that have them; returns a peak when one is decided."""
        margins = self.margins(similarities)
        if len(self._owners):
            self._hear_rivals(end_sample, margins, spans)
            margins, spans = margins[: len(self._thresholds)], None if spans is None else np.asarray(spans)[: len(self._thresholds)]
        hits = margins >= 0
        self._spent &= hits
        eligible = hits & ~self._spent
        eligible &= end_sample >= self._deaf_until
        if self._last is not None and end_sample < self._last.end_sample + self._refractory_samples:
            eligible &= self._elsewhere(self._last.span, spans)
        if self._rivals:
            for keyword in np.flatnonzero(eligible).tolist():
                eligible[keyword] = not self._beaten(keyword, margins[keyword], _span(spans, keyword))
        if eligible.any():
            best = int(np.argmax(np.where(eligible, margins, -np.inf)))
            if self._candidate is None:
                self._due = end_sample + self._hold_samples
            if self._candidate is None or margins[best] > self._candidate.margin:
                similarity = float(margins[best] + self._thresholds[best])
                self._candidate = Peak(best, end_sample, similarity, float(margins[best]), _span(spans, best))
        if self._candidate is None or end_sample < self._due:
            return None
        return self._decide(hits)

    def _elsewhere(self, span: tuple[int, int], spans: ArrayLike | None) -> NDArray[np.bool_]:
        """Which of `spans` (W, 2) share less than half of the shorter with `span`; without them, none is known to."""
        if spans is None:
            return np.zeros_like(self._spent)
        return ~_share_half(span, np.asarray(spans).T)

    def _hear_rivals(self, end_sample: int, margins: NDArray[np.float64], spans: ArrayLike | None) -> None:
        """Remember hits of rivals as long as a candidate may have to be compared with them."""
        while self._rivals and self._rivals[0].end_sample <= end_sample - self._refractory_samples:
            self._rivals.popleft()
        for number in np.flatnonzero(margins[len(self._thresholds) :] >= 0).tolist():
            place, owner = len(self._thresholds) + number, int(self._owners[number])
            margin = float(margins[place])
            self._rivals.append(Peak(owner, end_sample, margin + float(self._bars[place]), margin, _span(spans, place)))

    def _beaten(self, keyword: int, margin: float, span: tuple[int, int]) -> bool:
        """Whether a rival of the keyword was nearer to what is in the span."""
        return any(
            rival.keyword == keyword
            and rival.margin > margin
            and abs(rival.span[1] - span[1]) <= SAME_END_SAMPLES
            and bool(_share_half(rival.span, span))
            for rival in self._rivals
        )

    @property
    def candidate(self) -> Peak | None:
        """The best hit so far, not decided yet."""
        return self._candidate

    def finish(self) -> Peak | None:
        """The stream has ended: the candidate, if there is one, is decided."""
        return None if self._candidate is None else self._decide(np.zeros_like(self._spent))

    def _decide(self, hits: NDArray[np.bool_]) -> Peak | None:
        peak, self._candidate = self._candidate, None
        if peak is not None and self._beaten(peak.keyword, peak.margin, peak.span):
            return None
        if peak is not None:
            self._last = peak
            self._deaf_until[peak.keyword] = peak.end_sample + self._refractory_samples
            self._spent[peak.keyword] = hits[peak.keyword]
        return peak


def _span(spans: ArrayLike | None, number: int) -> tuple[int, int]:
    return (0, 0) if spans is None else tuple(np.asarray(spans)[number].tolist())


def _share_half(span: tuple[int, int], others: ArrayLike) -> NDArray[np.bool_]:
    """Whether `span` and others (starts, ends) have half of the shorter in common."""
    (start, end), (starts, ends) = span, np.asarray(others)
    return np.asarray(np.minimum(ends, end) - np.maximum(starts, start) >= np.minimum(ends - starts, end - start) / 2)


def peaks(positions: NDArray[np.int64], scores: NDArray[np.float64], refractory_samples: int) -> NDArray[np.int64]:
    """Indices of looks that are the best less than the refractory period away on both sides, best first: the events of one
    keyword, whatever its threshold. Looks without a score (-inf) are none."""
    low = np.searchsorted(positions, positions - refractory_samples, side="right").tolist()
    high = np.searchsorted(positions, positions + refractory_samples, side="left").tolist()
    taken = ~np.isfinite(scores)
    found: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not taken[index]:
            found.append(index)
            taken[low[index] : high[index]] = True
    return np.array(found, np.int64)
