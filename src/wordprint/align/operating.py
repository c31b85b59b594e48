"""The operating curve of a threshold of goodness: how many right words it loses against how many wrong ones it lets pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
"""Shares of the right that the points of a curve may lose."""
DEFAULT_LOST = 0.01

Values = NDArray[np.float64]


def values(goodness: Sequence[float | None]) -> Values:
    """(n,); what has no goodness passes every threshold."""
    return np.array([math.inf if value is None else value for value in goodness], np.float64)


def threshold(right: Values, lost: float) -> float | None:
    """The highest of the goodnesses `right` (n,) that leaves at most the share `lost` of them below it; None without any."""
    finite = np.sort(right)
    place = math.floor(lost * len(right) + 1e-9)
    return float(finite[place]) if place < len(right) and math.isfinite(finite[place]) else None


def below(goodness: Values, limit: float) -> float:
    """Share of `goodness` (n,) that a threshold drops."""
    return round(float((goodness < limit).mean()), 5)


def auc(right: Values, wrong: Values) -> float:
    """Chance that one of `right` (n,) is better than one of `wrong` (m,), ties counting half: the area under the ROC curve."""
    ordered = np.sort(wrong)
    less, up_to = (np.searchsorted(ordered, right, side=side) for side in ("left", "right"))
    return round(float((less + up_to).mean() / 2 / len(wrong)), 5)


def curve(right: Values, wrong: dict[str, Values]) -> dict[str, Any]:
    """Points of a curve with rising thresholds, and the AUC of each kind of `wrong`; kinds without values are left out."""
    present = {kind: found for kind, found in wrong.items() if len(found)}
    points = []
    for lost in LOST:
        limit = threshold(right, lost)
        if limit is not None:
            passed = {kind: round(1 - below(found, limit), 5) for kind, found in present.items()}
            points.append({"may_lose": lost, "threshold": limit, "lost": below(right, limit), "passed": passed})
    return {
        "right": len(right),
        "wrong": {kind: len(found) for kind, found in present.items()},
        "threshold": threshold(right, DEFAULT_LOST),
        "auc": {kind: auc(right, found) for kind, found in present.items()},
        "points": points,
    }


def default_point(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The point of a curve at its default threshold."""
    return next((point for point in found["points"] if point["may_lose"] == DEFAULT_LOST), None)
