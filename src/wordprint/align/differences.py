"""Figures of the differences between word boundaries, in memory that does not grow with the number of utterances.

Differences are counted in whole tenths of a millisecond, so that sums and medians are exact and don't depend on any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMITS_MS = (20, 50, 100)
WORST = 100
"""Utterances and speakers that are listed, those that differ most first."""

_PER_MS = 10
_GROSS = LIMITS_MS[-1] * _PER_MS
_REACH = 10_000 * _PER_MS  # what differs by more than 10 s counts as 10 s
_VALUES = np.arange(-_REACH, _REACH + 1)

Counts = NDArray[np.int64]
Word = Sequence[Any]
"""A word that both have: symbol, start_s, end_s, and the other's start_s and end_s."""


def summarise(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What lines of differences.jsonl have in common, as in comparison.json."""
    counts = np.zeros((2, len(_VALUES)), np.int64)  # of starts, of ends
    speakers: dict[str, Counts] = {}  # utterances, then as `sums`
    worst: list[dict[str, Any]] = []
    unmatched = 0
    for record in records:
        tenths = boundary_differences(record["words"])
        sizes = np.abs(tenths)
        sums = np.array([sizes.size, sizes.sum(), (sizes > _GROSS).sum()])
        unmatched += len(record["only_first"]) + len(record["only_second"])
        speakers[record["speaker"]] = speakers.get(record["speaker"], 0) + np.append(1, sums)
        if sizes.size:
            for side, values in zip(counts, tenths.T, strict=True):
                np.add.at(side, values.clip(-_REACH, _REACH) + _REACH, 1)
            worst.append({"utterance_id": record["utterance_id"], **_spread(*sums.tolist()), "max_ms": int(sizes.max()) / _PER_MS})
        if len(worst) == 2 * WORST:
            worst = heapq.nsmallest(WORST, worst, key=_rank)
    rows = [{"speaker": name, "utterances": int(row[0]), **_spread(*row[1:].tolist())} for name, row in speakers.items()]
    return {
        "words": {"matched": int(counts[0].sum()), "unmatched": unmatched},
        **{name: figures(some) for name, some in (("all", counts.sum(axis=0)), ("starts", counts[0]), ("ends", counts[1]))},
        "speakers": len(rows),
        "by_speaker": heapq.nsmallest(WORST, rows, key=_rank),
        "worst": heapq.nsmallest(WORST, worst, key=_rank),
    }


def figures(counts: Counts) -> dict[str, Any]:
    """Mean and median size and bias (first − second, positive: the first is later) in ms, and shares within a limit, of
    differences of which there are `counts` (2 · 10 s + 1,)."""
    boundaries = int(counts.sum())
    if not boundaries:
        return {"boundaries": 0}
    up_to = np.append(counts[_REACH], counts[_REACH + 1 :] + counts[_REACH - 1 :: -1]).cumsum()  # by size
    middle = np.searchsorted(up_to, [(boundaries - 1) // 2, boundaries // 2], side="right")
    return {
        "boundaries": boundaries,
        "mean_ms": round(int(counts @ np.abs(_VALUES)) / boundaries / _PER_MS, 3),
        "median_ms": int(middle.sum()) / 2 / _PER_MS,
        **{f"within_{limit}_ms": round(int(up_to[limit * _PER_MS]) / boundaries, 5) for limit in LIMITS_MS},
        "bias_ms": round(int(counts @ _VALUES) / boundaries / _PER_MS, 3),
    }


def boundary_differences(words: Iterable[Word]) -> Counts:
    """(n, 2): of each word the difference of its starts and of its ends, first − second, in tenths of a millisecond."""
    times = np.array([word[1:] for word in words], np.float64).reshape(-1, 4)
    return np.rint((times[:, :2] - times[:, 2:]) * 1000 * _PER_MS).astype(np.int64)


def _spread(boundaries: int, total: int, gross: int) -> dict[str, Any]:
    return {"boundaries": boundaries, "mean_ms": round(total / max(1, boundaries) / _PER_MS, 3), "gross": gross}


def _rank(row: Mapping[str, Any]) -> tuple[float, str]:
    return -row["mean_ms"], row.get("utterance_id") or row["speaker"]
