"""Metrics of trials, rankings and classifications, in plain numpy.

A trial is a similarity (higher is better) and whether it should be accepted. A trial is accepted when its
similarity is at or above the threshold. Thresholds are only ever similarities that were observed (and +inf, which
accepts nothing), so that no operating point is missed or invented; trials of equal similarity share one point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import DatasetError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BLOCK_CELLS = 2**23
"""Similarities held at once when all tokens are compared with all (32 MiB)."""


@dataclass(frozen=True, slots=True)
class DetCurve:
    """Detection error trade-off: each operating point once, thresholds (M,) ascending, the last one +inf.

    `far` (…, M) is the share of non-target trials accepted (falls from 1 to 0), `frr` (…, M) the share of target
    trials rejected, also called miss rate (rises from 0 to 1). 1 − `frr` against `far` is the ROC. Leading
    dimensions, here and in what is computed from the curve, are those of the weights it was made with.
    """

    thresholds: Floats
    far: Floats
    frr: Floats


def det_curve(similarities: ArrayLike, is_target: ArrayLike, weights: ArrayLike | None = None) -> DetCurve:
    """Operating points of trials (n,).

    `weights` (n,) or (R, n) say how many times each trial counts (see `intervals.group_weights`).
    Raises DatasetError unless there are target and non-target trials.
    """
    values, labels = _trials(similarities, is_target)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    thresholds, below = _below(values, np.stack([counts * labels, counts * ~labels]))
    with np.errstate(invalid="ignore"):  # a bootstrap replicate without any trial of a kind has no rates: NaN
        frr, rejected = below / below[..., -1:]
    return DetCurve(thresholds, 1 - rejected, frr)


def equal_error_rate(curve: DetCurve) -> Floats:
    """Where FAR and FRR cross, interpolated linearly between the two operating points around the crossing."""
    gap = curve.frr - curve.far
    after = np.argmax(gap >= 0, axis=-1)[..., None]  # the gap rises from -1 to 1, so it is never the first point
    left, right = np.take_along_axis(gap, after - 1, -1), np.take_along_axis(gap, after, -1)
    low, high = np.take_along_axis(curve.frr, after - 1, -1), np.take_along_axis(curve.frr, after, -1)
    return np.asarray((low - left / (right - left) * (high - low))[..., 0])


def threshold_at_far(curve: DetCurve, far: float) -> Floats:
    """Lowest observed threshold that accepts at most the share `far` of the non-target trials."""
    return curve.thresholds[_point_at_far(curve, far)]


def frr_at_far(curve: DetCurve, far: float) -> Floats:
    """FRR at the lowest threshold whose FAR is at most `far`; not interpolated."""
    return at_far(curve, curve.frr, far)


def open_set_curve(
    similarities: ArrayLike, is_target: ArrayLike, is_right: ArrayLike, weights: ArrayLike | None = None
) -> tuple[DetCurve, Floats]:
    """The curve of queries' best similarities (n,), and (…, M) the share of targets accepted *and* right at each point.

    `is_right` (n,): the keyword that the query is most similar to is the true one. `weights` as for `det_curve`.
    """
    values, labels = _trials(similarities, is_target)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    right = labels & np.asarray(is_right, dtype=bool)
    thresholds, below = _below(values, np.stack([counts * labels, counts * ~labels, counts * right]))
    targets, others, rights = below
    with np.errstate(invalid="ignore"):
        curve = DetCurve(thresholds, 1 - others / others[..., -1:], targets / targets[..., -1:])
        return curve, (rights[..., -1:] - rights) / targets[..., -1:]


def at_far(curve: DetCurve, values: Floats, far: float) -> Floats:
    """Of `values` (…, M), one per operating point, those at the lowest threshold whose FAR is at most `far`."""
    found = np.take_along_axis(values, _point_at_far(curve, far)[..., None], -1)[..., 0]
    return np.where(np.isnan(curve.far[..., 0]), np.nan, found)


def auroc(curve: DetCurve) -> Floats:
    """Probability that a target trial is more similar than a non-target trial; a tie counts one half."""
    accepted = 1 - curve.frr
    return np.asarray(np.sum((curve.far[..., :-1] - curve.far[..., 1:]) * (accepted[..., :-1] + accepted[..., 1:]) / 2, axis=-1))


def average_precision_at_r(
    embeddings: ArrayLike, words: ArrayLike, speakers: ArrayLike | None = None, *, exclude_same_speaker: bool = False
) -> Floats:
    """Average precision at R of each token (n,) as a query; their mean is MAP@R (Musgrave et al. 2020, arXiv 2003.08505).

    Each of the L2-normalised embeddings (n, D) queries all others; R is how many of them are its word; precision at
    each hit among the R nearest is summed and divided by R. NaN for a query without another token of its word. With
    `exclude_same_speaker`, tokens of the query's word by its own speaker are left out. Tokens at equal distance rank
    in the order given.
    """
    vectors = np.asarray(embeddings, dtype=np.float32)
    word_ids = np.unique(np.asarray(words), return_inverse=True)[1]
    speaker_ids = np.unique(np.asarray(speakers), return_inverse=True)[1] if exclude_same_speaker else None
    result = np.full(len(vectors), np.nan)
    block = max(1, BLOCK_CELLS // max(1, len(vectors)))
    for start in range(0, len(vectors), block):
        similarities = vectors[start : start + block] @ vectors.T
        for query, row in enumerate(similarities, start=start):
            same = word_ids == word_ids[query]
            keep = np.ones(len(row), dtype=bool)
            keep[query] = False
            if speaker_ids is not None:
                keep &= ~(same & (speaker_ids == speaker_ids[query]))
            hits = _nearest(row[keep], same[keep])
            if len(hits):
                result[query] = np.sum(np.cumsum(hits) / np.arange(1, len(hits) + 1) * hits) / len(hits)
    return result


def _nearest(similarities: NDArray[np.float32], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the R most similar are the same word, nearest first, where R is how many are."""
    r = int(same.sum())
    if not r:
        return same[:0]
    reach = np.partition(similarities, len(similarities) - r)[len(similarities) - r]
    candidates = np.flatnonzero(similarities >= reach)
    order = np.argsort(-similarities[candidates], kind="stable")[:r]
    return np.asarray(same[candidates[order]])


def accuracy(confusion: NDArray[Any]) -> float:
    """Share of the counts on the diagonal; NaN without counts."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else np.nan


def macro_f1(confusion: NDArray[Any]) -> float:
    """Mean over classes of F1 = 2·TP / (2·TP + FP + FN); a class never seen nor predicted does not count; NaN without counts."""
    involved = confusion.sum(axis=0) + confusion.sum(axis=1)
    there = involved > 0
    return float(np.mean(2 * np.diag(confusion)[there] / involved[there])) if there.any() else np.nan


def _trials(similarities: ArrayLike, is_target: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Similarities and labels of trials, checked."""
    values, labels = np.asarray(similarities, dtype=np.float64), np.asarray(is_target, dtype=bool)
    targets = int(labels.sum())
    if not 0 < targets < len(labels):
        raise DatasetError(f"{targets} target and {len(labels) - targets} non-target trials", expected="at least one of each")
    if not np.isfinite(values).all():
        raise DatasetError("similarities that are not finite numbers", expected="finite similarities")
    return values, labels


def _below(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Distinct values ascending and +inf (M,), and the weight (…, M) that lies strictly below each."""
    order = np.argsort(values, kind="stable")
    distinct, first = np.unique(values[order], return_index=True)
    total = np.cumsum(weights[..., order], axis=-1)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    return np.append(distinct, np.inf), total[..., np.append(first, len(values))]


def _point_at_far(curve: DetCurve, far: float) -> Indices:
    """Index of the lowest threshold whose FAR is at most `far` (29 of 100 is 0.29, whatever floats say)."""
    return np.asarray(np.argmax(curve.far <= far + 1e-9, axis=-1))
