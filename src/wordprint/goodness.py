"""How badly a stretch of audio says a phone string: the goodness of pronunciation (Witt and Young, 2000) of a keyword.

A vector tells what a span is like as a whole, and a phrase with one other word in it is much like the phrase. So the phones of the
keyword are laid over the frames of the span, and what they are less likely than the likeliest phones there, on average and where
they fit worst, is subtracted from the similarity. So is a little where other sound goes before: who calls a device begins to speak.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_LIKELY = -8.0
"""Natural logarithm of how much less likely than the likeliest a phone can be at a frame."""
OF_FRAMES, OF_WORST = 0.1, 0.05
"""What a mean of −1 over all frames takes from a similarity, and what one over the third of the phones that fit worst does."""
BEFORE = 2
"""Frames before a span that may belong to it: spans come in steps of 15 %."""
PAUSE_FRAMES = 8
"""Frames before a span in which a pause counts: 0.16 s."""
OF_SOUND = 0.1
"""What sound in all of them takes from a similarity."""
Floats = NDArray[np.floating]
Codes = Sequence[Sequence[int]]
"""Phone strings, as columns of scores."""


def codes_of(strings: Iterable[str], phones: Sequence[str]) -> list[tuple[int, ...]]:
    """Phone strings ("L AY T S") as columns of a model's scores, silence being the first; those with phones it doesn't know are
    left out."""
    number = {phone: place for place, phone in enumerate(phones, start=1)}
    split = (string.split() for string in strings)
    return [tuple(number[phone] for phone in string) for string in split if string and number.keys() >= set(string)]


def shortfalls(
    scores: Floats, strings: Sequence[Codes], spans: ArrayLike, before: int = BEFORE, *, exact_below: ArrayLike = math.inf
) -> NDArray[np.float32]:
    """What is to be subtracted (n,), at least 0, from how similar spans are to keywords.

    `scores` (T, 1 + P), T > 0: of frames, how much less likely than the likeliest silence and each phone are, 0 at most. `strings`:
    of each span those that it may say, one or more, none empty; the one that fits best counts. `spans` (n, 2): starts and ends in
    frames, frame t being centred on t; what is `before` frames earlier may belong to them, what is later does not. What can't be
    less than `exact_below` (n,) may be told as some number from that to what it is, in a tenth of the time.
    """
    found, enough = np.empty(len(strings), np.float32), np.broadcast_to(exact_below, len(strings))
    for number, (start, end) in enumerate(np.asarray(spans, np.float64).reshape(-1, 2).tolist()):
        first = min(max(math.floor(start + 0.5) - before, 0), len(scores) - 1)
        heard = scores[first : min(max(math.ceil(end), first + 1), len(scores))]
        fits = [heard[:, [0, *string, 0]] for string in strings[number]]
        least = [_least(fit) for fit in fits]
        far = min(least) >= enough[number]
        found[number] = min(least) if far else min(_shortfall(fit.tolist()) for fit in fits)
    return found


def pauses(scores: Floats) -> Floats:
    """How likely silence is at each frame (T,), of `scores` (T, 1 + P) as for `shortfalls`."""
    return np.asarray(1 / np.exp(scores - scores[:, :1]).sum(axis=1))


def run_ons(silence: Floats, starts: ArrayLike, frames: int = PAUSE_FRAMES) -> NDArray[np.float32]:
    """What is to be subtracted, from 0 to OF_SOUND, from how similar spans are that begin at `starts`, in frames: how unlikely
    `silence` (T,) is in the `frames` before them, on average. Nothing where there are none.
    """
    first = np.floor(np.asarray(starts) + 0.5).astype(np.int64)
    begins, ends = (first - frames).clip(0, len(silence)), first.clip(0, len(silence))
    sums, counts = np.concatenate([[0.0], np.cumsum(silence)]), ends - begins
    taken = OF_SOUND * (1 - (sums[ends] - sums[begins]) / np.maximum(counts, 1))
    return np.where(counts > 0, taken, 0.0).astype(np.float32)


def _least(fits: Floats) -> float:
    """What `_shortfall` can't be less than: were each frame what fits it best, and each phone in the frame that fits it best."""
    phones = np.sort(fits[:, 1:-1].max(axis=0))
    return float(-OF_FRAMES * fits.max(axis=1).mean() - OF_WORST * phones[: max(1, len(phones) // 3)].mean())


def shortfall_of(scores: Floats, strings: Codes) -> float:
    """The same of one span: all of the frames (T, 1 + P), T > BEFORE, but BEFORE of them at the start."""
    return float(shortfalls(scores, [strings], [(BEFORE, len(scores))])[0])


def _shortfall(fits: list[list[float]]) -> float:
    """Of frames that fit so well each of: silence, the phones one after the other, and silence. Each phone has a frame or more
    (Viterbi); plain numbers, since arrays of ten cost more."""
    states = range(1, len(fits[0]))
    total = [*fits[0][:2], *[-math.inf] * (len(fits[0]) - 2)]
    entered = []  # whether the best path to a state at a frame comes from the one before
    for fit in fits[1:]:
        steps = [False, *(total[state - 1] > total[state] for state in states)]
        total = [total[state - step] + value for state, (step, value) in enumerate(zip(steps, fit, strict=True))]
        entered.append(steps)
    state = states[-1] if total[-1] > total[-2] else states[-2]
    if total[state] == -math.inf:  # fewer frames than phones
        return -(OF_FRAMES + OF_WORST) * LEAST_LIKELY
    mean, sums, counts = total[state] / len(fits), [0.0] * len(fits[0]), [0] * len(fits[0])
    for fit, steps in zip(reversed(fits), [*reversed(entered), [False] * len(fits[0])], strict=True):
        sums[state] += fit[state]
        counts[state] += 1
        state -= steps[state]
    phones = sorted(sums[state] / counts[state] for state in states[:-1])
    worst = phones[: max(1, len(phones) // 3)]
    return -(OF_FRAMES * mean + OF_WORST * sum(worst) / len(worst))
