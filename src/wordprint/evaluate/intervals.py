"""95 % intervals: Wilson for shares, exact Poisson for counts, bootstrap over groups for everything else."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95


def wilson_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a share (Wilson 1927); (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of the mean of a Poisson count (Garwood 1936); divide by the hours for a rate.

    The lower end is the mean under which `count` or more has probability (1 − confidence) / 2, the upper end the
    one under which `count` or fewer has.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _poisson_mean(count - 1, 1 - tail)
    return low, _poisson_mean(count, tail)


def _poisson_mean(count: int, probability: float) -> float:
    """The mean λ with P(X ≤ count; λ) = probability, by bisection (that probability falls as λ grows)."""
    low, high = 0.0, count + 10 * math.sqrt(count + 1) + 20
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _poisson_cdf(count, middle) > probability else (low, middle)
    return middle


def _poisson_cdf(count: int, mean: float) -> float:
    """P(X ≤ count) of a Poisson variable, summed from the last (for count < mean, largest) term down."""
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total = 0.0
    for k in range(count, -1, -1):
        total += term
        term *= k / mean
        if term < total * 1e-17 and k < mean:
            break
    return total


def group_weights(groups: ArrayLike, replicates: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(replicates, n) times that each item counts when its groups (n,) are drawn with replacement.

    Recordings of one speaker err together, so the speaker (or word) is what a bootstrap must draw, not the recording.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    chosen = generator.integers(len(names), size=(replicates, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in chosen])
    return counts[:, members.ravel()]


def groups_of(speakers: ArrayLike | None, count: int) -> NDArray[np.int64]:
    """Group numbers (count,) to draw: one per speaker; a token whose speaker isn't known ("") is its own group.

    Each token is its own where no speaker is known, and where there is only one, whose variation can't be told.
    """
    numbers = np.arange(count)
    names = None if speakers is None else np.asarray(speakers)
    if names is None or len(np.unique(names)) < 2:
        return numbers
    ids = np.unique(names, return_inverse=True)[1].ravel()
    return np.unique(np.where(names == "", len(names) + numbers, ids), return_inverse=True)[1].ravel()


def interval_around(value: float, replicates: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a figure in [0, 1] from its bootstrap replicates (those that are not finite are left out).

    The spread of the replicates around their own mean is laid around `value`: drawing speakers twice shifts average
    precision and figures at a small FAR, which is no error of the figure itself.
    """
    finite = np.asarray(replicates, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return 0.0, 1.0
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2]) - finite.mean() + value
    return max(0.0, float(low)), min(1.0, float(high))


def interval_over(groups: int, value: float, replicates: ArrayLike) -> tuple[float, float]:
    """`interval_around` a figure of so many groups; Wilson's, as if each were one trial, where none is wrong, or all are.

    Drawing such groups again finds nothing else.
    """
    low, high = interval_around(value, replicates)
    return wilson_interval(round(value) * groups, groups) if low == high == round(value) else (low, high)
