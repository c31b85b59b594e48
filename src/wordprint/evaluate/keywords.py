"""A few-shot result keyword by keyword: who is taken for whom, as a table and as a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.evaluate.few_shot import FewShotResult
from wordprint.pages.html import percent

MOST_WORDS = 30
"""Keywords in a matrix: more can't be read."""
HALF_PAGE = 12
"""Keywords of a matrix that fits half a page."""

Counts = NDArray[np.int64]


def confusion(result: FewShotResult, words: NDArray[Any]) -> Counts:
    """(W, W) how often a query of each target (row) was most similar to each (column), over all draws, with the most shots.

    `words` (n,) are those of the tokens that `result` counts.
    """
    return np.stack([result.best.counts[words == target].sum(axis=0) for target in result.targets])


def by_keyword(result: FewShotResult, words: NDArray[Any]) -> dict[str, Any]:
    """What the report shows: `rows` of the table, whether they have shares that are accepted (`accepts`), and the `matrix`."""
    counts = confusion(result, words)
    accepted = result.best.accepted
    passed = None if accepted is None else np.array([accepted[words == target].sum() for target in result.targets])
    return {
        "rows": _rows(result.targets, counts, np.array([(words == target).sum() for target in result.targets]), passed),
        "accepts": passed is not None,
        "matrix": _matrix(result, counts),
    }


def _rows(targets: list[str], counts: Counts, recordings: Counts, passed: Counts | None) -> list[list[str]]:
    """One row per keyword, the least recognised first; a dash where nothing was asked."""
    right, asked, taken = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    share = np.divide(right, asked, out=np.full(len(targets), np.nan), where=asked > 0)
    rows = []
    for number in np.lexsort((targets, share)).tolist():
        wrong = counts[number].copy()
        wrong[number] = 0
        other = int(wrong.argmax())
        rows.append(
            [
                targets[number],
                f"{recordings[number]:,}",
                percent(share[number]),
                *([] if passed is None else [_share(passed[number], asked[number])]),
                _share(right[number], taken[number]),
                f"{targets[other]} ({_share(wrong[other], asked[number])})" if wrong[other] else "–",
            ]
        )
    return rows


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def _matrix(result: FewShotResult, counts: Counts) -> dict[str, Any]:
    """The matrix of all keywords, or of those that are confused most, where all others share the last column."""
    wrong = counts - np.diag(counts.diagonal())
    ranked = np.lexsort((result.targets, -(wrong.sum(axis=0) + wrong.sum(axis=1))))
    shown = np.sort(ranked[:MOST_WORDS])
    rest = len(result.targets) - len(shown)
    columns = [result.targets[number] for number in shown] + (["all others"] if rest else [])
    rows = []
    for place, number in enumerate(shown.tolist()):
        asked = int(counts[number].sum())
        row = [*counts[number][shown].tolist(), *([asked - int(counts[number][shown].sum())] if rest else [])]
        cells = [_cell(count, asked, at == place) | {"column": columns[at]} for at, count in enumerate(row)]
        rows.append({"word": result.targets[number], "asked": asked, "cells": cells})
    caption = (
        f"Percent of the queries of each keyword (rows) that are nearest to each (columns), {result.best.shots}-shot, all draws."
    )
    if rest:
        caption += f" The {len(shown)} of {len(result.targets)} keywords that are confused most."
    return {"columns": columns, "rows": rows, "caption": caption, "wide": len(columns) > HALF_PAGE}


def _cell(count: int, asked: int, right: bool) -> dict[str, Any]:
    """`tint` 0 to 0.6: how strongly the cell is coloured, where a rare error still shows."""
    share = count / asked if asked else 0.0
    text = "" if not count else "<1" if share < 0.01 else f"{100 * share:.0f}"
    return {"count": count, "right": right, "text": text, "tint": round(0.6 * share**0.5, 3)}
