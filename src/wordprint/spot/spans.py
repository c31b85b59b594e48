"""Which spans of a stream are tried for a keyword: a few lengths around that of its shots, from one grid for all keywords.

The grid is what makes many keywords cheap: a span is pooled once, whoever asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wordprint.spot.enrollment import Keyword

STEP = 0.14
"""Lengths are exp(STEP · k) seconds: each 15 % longer than the one before."""
SHORTEST_S, LONGEST_S = 0.14, 3.0
PHONE_S, BESIDE_S = 0.075, 0.08
"""How long a typed keyword is taken to last: so much a phone, and so much more."""
OF_SHOTS, OF_TEXT = 1, 2
"""Lengths tried on either side of the nearest: a spelling says less of how long a keyword lasts than its shots do."""


@dataclass(frozen=True)
class Grid:
    """The spans that end in a block, in frames of what is kept of the stream; the same in each block that begins at the same place
    between two looks."""

    spans: NDArray[np.float64]
    """(n, 2), the lengths of one end after the other."""
    middles: NDArray[np.float64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    """(n,) whole frames, whose power counts."""
    least: NDArray[np.float64]
    """(n,) what it must add up to."""

    @classmethod
    def of(cls, kept: int, fresh: int, hop: int, lengths: NDArray[np.float64], lowest: float, newest: int) -> Grid:
        """Of `kept` frames, `fresh` of them new: a look every `hop` frames, spans of `lengths` (G,), a mean power of `lowest`.

        `newest` is the number of the newest frame in the stream, modulo `hop`.
        """
        ends = np.array([kept - 1 - ago for ago in range(fresh - 1, -1, -1) if (newest - ago + 1) % hop == 0], np.float64) + 0.5
        stop = np.repeat(ends, len(lengths))
        spans = np.stack([stop - np.tile(lengths, len(ends)), stop], axis=1)
        first, last = np.clip(np.floor(spans + 0.5).astype(np.int64), 0, kept).T
        return cls(spans, spans.mean(axis=1), first, last, lowest * np.maximum(last - first, 1))


def length_s(place: int) -> float:
    """The length at a place of the grid."""
    return math.exp(STEP * place)


def places(duration_s: float, around: int) -> range:
    """Places of the grid around a duration, inside SHORTEST_S … LONGEST_S."""
    low, high = (round(math.log(bound) / STEP) for bound in (SHORTEST_S, LONGEST_S))
    nearest = min(max(round(math.log(max(duration_s, 1e-3)) / STEP), low), high)
    return range(max(low, nearest - around), min(high, nearest + around) + 1)


def tried(keyword: Keyword) -> range:
    """Places of the lengths that are tried for a keyword."""
    return places(keyword.duration_s, OF_SHOTS if keyword.shots else OF_TEXT)


def likely_duration_s(shots_s: Sequence[float], strings: Sequence[Sequence[str]]) -> float:
    """How long a keyword is taken to last: the median of its shots, no less than its spelling makes likely, if that counts.

    The trim of a shot takes soft sounds off the ends of a word that was cut out of a sentence.
    """
    spelled_s = spelled_duration_s(strings) if strings else 0.0
    return max(median(shots_s), spelled_s) if shots_s else spelled_s


def spelled_duration_s(strings: Sequence[Sequence[str]]) -> float:
    """How long the first pronunciation is taken to last."""
    return PHONE_S * len(strings[0]) + BESIDE_S
