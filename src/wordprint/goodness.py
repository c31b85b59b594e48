"""How badly a stretch of audio says a phone string: the goodness of pronunciation (Witt and Young, 2000) of a keyword.

A vector tells what a span is like as a whole, and a phrase with one other word in it is much like the phrase. So what is alike is
also read: the phones of the keyword are aligned with the frames of the span, and what they are less likely than the likeliest
phones there is subtracted from the similarity, most of it where the string fits worst.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_LIKELY = -8.0
"""Natural logarithm of how much less likely than the likeliest a phone can be at a frame."""
OF_FRAMES, OF_WORST = 0.1, 0.05
"""What a mean of −1 over all frames takes from a similarity, and what one over the third of the phones that fit worst does."""
BEFORE = 2
"""Frames before a span that may belong to it: spans come in steps of 15 %."""
Floats = NDArray[np.floating]
Codes = Sequence[Sequence[int]]
"""Phone strings, as columns of scores."""


def codes_of(strings: Iterable[str], phones: Sequence[str]) -> list[tuple[int, ...]]:
    """Phone strings ("L AY T S") as columns of a model's scores, silence being the first; those with phones it doesn't know are
    left out."""
    number = {phone: place for place, phone in enumerate(phones, start=1)}
    return [tuple(number[phone] for phone in string.split()) for string in strings if number.keys() >= set(string.split())]


def shortfalls(scores: Floats, strings: Sequence[Codes], spans: ArrayLike, before: int = BEFORE) -> NDArray[np.float32]:
    """What is to be subtracted (n,), at least 0, from how similar spans are to keywords.

    `scores` (T, 1 + P), T > 0: of frames, how much less likely than the likeliest silence and each phone are. `strings`: of each
    span those that it may say, one or more; the one that fits best counts. `spans` (n, 2): starts and ends in frames, frame t being
    centred on t; what is `before` frames earlier may belong to them, what is later does not.
    """
    which = np.repeat(np.arange(len(strings)), [len(ways) for ways in strings])
    bounds = np.asarray(spans, np.float64).reshape(-1, 2)[which]
    starts = np.clip(np.floor(bounds[:, 0] + 0.5).astype(np.int64) - before, 0, len(scores) - 1)
    stops = np.clip(np.ceil(bounds[:, 1]).astype(np.int64), starts + 1, len(scores))
    found = np.full(len(strings), np.inf, np.float32)
    if len(which):
        np.minimum.at(found, which, _shortfalls(scores, [way for ways in strings for way in ways], starts, stops))
    return found


def shortfall_of(scores: Floats, strings: Codes) -> float:
    """The same of one span: all of the frames (T, 1 + P) but BEFORE of them at the start."""
    return float(shortfalls(scores, [strings], [(BEFORE, len(scores))])[0])


def _shortfalls(scores: Floats, strings: Codes, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of frames [starts, stops): silence, the phones one after the other, and silence; each phone has a frame or more (Viterbi)."""
    rows, lasting, count = np.arange(len(strings)), stops - starts, np.array([len(string) for string in strings])
    states = np.zeros((len(strings), count.max() + 2), np.int64)
    for row, string in zip(states, strings, strict=True):
        row[1 : len(string) + 1] = string
    longest = int(lasting.max())
    frames = np.minimum(starts[:, None] + np.arange(longest), len(scores) - 1)
    fits = scores[frames[..., None], states[:, None]]  # (n, T, S)
    total = np.full(states.shape, -np.inf)
    total[:, :2] = fits[:, 0, :2]
    entered = np.zeros((longest, *states.shape), bool)  # whether the best path enters a state at a frame
    for frame in range(1, longest):
        before = np.concatenate([np.full((len(states), 1), -np.inf), total[:, :-1]], axis=1)
        entered[frame] = before > total
        total = np.where(frame < lasting[:, None], np.maximum(before, total) + fits[:, frame], total)
    place = np.where(total[rows, count + 1] > total[rows, count], count + 1, count)
    mean = total[rows, place] / lasting
    sums, spent = np.zeros(states.shape), np.zeros(states.shape)
    for frame in range(longest - 1, -1, -1):
        inside = frame < lasting
        sums[rows, place] += np.where(inside, fits[rows, frame, place], 0)
        spent[rows, place] += inside
        place = place - (entered[frame, rows, place] & inside)
    spoken = (np.arange(states.shape[1]) > 0) & (np.arange(states.shape[1]) <= count[:, None])
    phones = np.sort(np.where(spoken, sums / np.maximum(spent, 1), np.inf), axis=1)
    third = np.maximum(1, count // 3)
    worst = np.where(np.arange(states.shape[1]) < third[:, None], phones, 0).sum(axis=1) / third
    too_short = ~np.isfinite(mean)  # fewer frames than phones
    mean, worst = np.where(too_short, LEAST_LIKELY, mean), np.where(too_short, LEAST_LIKELY, worst)
    return -(OF_FRAMES * mean + OF_WORST * worst).astype(np.float32)
