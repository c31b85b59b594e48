"""Same-different word discrimination (protocol 1): do two segments hold the same word?

Carlin et al. 2011; Kamper, Wang & Livescu 2016 (arXiv 1510.01032). All N(N−1)/2 pairs of segments are ranked by cosine
distance and the ranking is scored by average precision, once over all pairs and once with positives of different
speakers only. The ranking itself is `wordprint.train.ranking`, which training uses too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import DatasetError
from wordprint.evaluate.few_shot import Estimate
from wordprint.evaluate.intervals import group_weights, groups_of, interval_over
from wordprint.evaluate.metrics import average_precision_at_r
from wordprint.train.ranking import same_different_average_precision

REPLICATES = 200
INTERVAL_TOKENS = 1000
"""Tokens (at random) on whose pairs the intervals are computed; their width is what is used."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SameDifferentResult:
    """`estimates`: `ap` and `map_at_r`, and where words are spoken by several known speakers the same `…_across_speakers`.

    `chance` is the share of pairs that hold the same word, the average precision of a random ranking, by the same names.
    """

    tokens: int
    word_types: int
    speakers: int | None
    estimates: dict[str, Estimate]
    chance: dict[str, float]


def same_different(
    embeddings: NDArray[np.float32], words: ArrayLike, speakers: ArrayLike | None, *, generator: np.random.Generator
) -> SameDifferentResult:
    """Score embeddings (n, D), L2-normalised, of the words (n,) by the speakers (n,), or None where they are not known.

    Intervals are bootstrapped over speakers (over tokens where speakers are not known).
    Raises DatasetError when no two segments hold the same word.
    """
    names = np.asarray(words)
    groups = groups_of(speakers, len(names))
    estimates: dict[str, Estimate] = {}
    chance: dict[str, float] = {}
    for suffix, exclude in _variants(names, speakers):
        ap = same_different_average_precision(embeddings, names, speakers, exclude_same_speaker=exclude)  # type: ignore[arg-type]
        some = np.sort(generator.permutation(len(names))[:INTERVAL_TOKENS])
        distances = 1 - np.asarray(embeddings[some], np.float32) @ np.asarray(embeddings[some], np.float32).T
        replicates = bootstrap_average_precision(
            distances, names[some], groups[some], np.asarray(speakers)[some] if exclude else None, generator
        )
        estimates["ap" + suffix] = _estimate(ap, groups[some], replicates[1:])
        chance["ap" + suffix] = same_share(names, speakers if exclude else None)
        per_query = average_precision_at_r(embeddings, names, speakers, exclude_same_speaker=exclude)
        asked = np.isfinite(per_query)
        weights = group_weights(groups[asked], REPLICATES, generator)
        drawn = weights @ per_query[asked] / weights.sum(axis=1)
        estimates["map_at_r" + suffix] = _estimate(float(per_query[asked].mean()), groups[asked], drawn)
    people = None if speakers is None else len(set(np.asarray(speakers).tolist()))
    return SameDifferentResult(len(names), len(set(names.tolist())), people, estimates, chance)


def pair_average_precision(
    distances: NDArray[np.float32], words: ArrayLike, speakers: ArrayLike | None, *, generator: np.random.Generator
) -> dict[str, Estimate]:
    """`ap` and `ap_across_speakers` as above for a whole matrix of distances (n, n) that come from no embedding (DTW)."""
    names = np.asarray(words)
    groups = groups_of(speakers, len(names))
    estimates = {}
    for suffix, exclude in _variants(names, speakers):
        replicates = bootstrap_average_precision(distances, names, groups, speakers if exclude else None, generator)
        estimates["ap" + suffix] = _estimate(float(replicates[0]), groups, replicates[1:])
    return estimates


def _variants(words: NDArray[np.str_], speakers: ArrayLike | None) -> list[tuple[str, bool]]:
    """(suffix, leave out pairs of one word by one speaker) of the variants that the data has positives for."""
    if not same_share(words):
        raise DatasetError("no two segments of the same word to compare", expected="words with at least two tokens")
    across = speakers is not None and same_share(words, speakers) > 0
    return [("", False), ("_across_speakers", True)] if across else [("", False)]


def same_share(words: ArrayLike, speakers: ArrayLike | None = None) -> float:
    """Share of the ranked pairs that hold the same word; with `speakers`, pairs of one word by one speaker are left out."""
    names = np.asarray(words)

    def pairs(*columns: NDArray[np.str_]) -> int:
        ids = np.stack([np.unique(column, return_inverse=True)[1] for column in columns])
        counts = np.unique(ids, axis=1, return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    left_out = 0 if speakers is None else pairs(names, np.asarray(speakers))
    total = len(names) * (len(names) - 1) // 2 - left_out
    return (pairs(names) - left_out) / total if total else 0.0


def bootstrap_average_precision(
    distances: NDArray[np.float32],
    words: NDArray[np.str_],
    groups: NDArray[np.int64],
    excluded: ArrayLike | None,
    generator: np.random.Generator,
    replicates: int = REPLICATES,
) -> Floats:
    """AP of the data as it is, then of `replicates` draws of its `groups` (n,) with replacement: (1 + replicates,).

    With the speakers (n,) as `excluded`, pairs of one word by one speaker are left out, as `wordprint.train.ranking` does;
    two unknown speakers ("") count as one there, since they may be.
    A pair counts as often as both of its tokens were drawn together; a token is never paired with its own copy.
    """
    word_ids = np.unique(words, return_inverse=True)[1]
    first, second = (part.astype(np.int32) for part in np.triu_indices(len(words), 1))
    same = word_ids[first] == word_ids[second]
    if excluded is not None:
        speaker_ids = np.unique(np.asarray(excluded), return_inverse=True)[1]
        keep = ~(same & (speaker_ids[first] == speaker_ids[second]))
        first, second, same = first[keep], second[keep], same[keep]
    order = np.argsort(distances[first, second], kind="stable")
    first, second, same = first[order], second[order], same[order]
    weights = np.concatenate([np.ones((1, len(words)), np.int64), group_weights(groups, replicates, generator)])
    return np.array([_weighted_average_precision(row[first] * row[second], same) for row in weights])


def _weighted_average_precision(weights: NDArray[np.int64], same: NDArray[np.bool_]) -> float:
    """AP of a ranking in which each item counts `weights` times; NaN without a positive."""
    ranked = np.cumsum(weights)[same]
    found = weights[same]
    hits = np.cumsum(found)
    if not len(hits) or not hits[-1]:
        return float("nan")
    return float(np.sum(found * hits / np.maximum(ranked, 1)) / hits[-1])


def _estimate(value: float, groups: NDArray[np.int64], replicates: Floats) -> Estimate:
    return Estimate(value, 0.0, *interval_over(len(np.unique(groups)), value, replicates))
