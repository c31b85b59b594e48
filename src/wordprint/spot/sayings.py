"""How often a keyword will be missed, foretold from its recordings alone.

How similar a recording is to what the others of its keyword make says how similar the next one will be: less than it seems, since
three recordings are few. How much less, and how far single sayings lie about that, was measured when the model was exported, on
words that it had not been trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.model import Model
from wordprint.spot.enrollment import Keyword
from wordprint.spot.expect import measured
from wordprint.spot.shots import joined

SHARES = np.linspace(0.05, 0.95, 19)
"""Shares of sayings whose similarities are kept."""


@dataclass(frozen=True)
class Sayings:
    """What share of a keyword's sayings is less similar to it than `similarities` (Q,), ascending: SHARES of them."""

    similarities: NDArray[np.float64]

    def missed(self, threshold: float) -> float:
        """The share, from 0.05 to 0.95: beyond, nothing is known."""
        return round(float(np.interp(threshold, self.similarities, SHARES)), 3)


def sayings(model: Model, keyword: Keyword) -> Sayings | None:
    """What is to be expected of a keyword; None of one with fewer than two recordings, or where the model doesn't know."""
    table = measured(model, keyword).get("sayings")
    found = left_out(model, keyword)
    return None if table is None or found is None else Sayings(table["offset"] + table["slope"] * found + np.array(table["about"]))


def left_out(model: Model, keyword: Keyword) -> float | None:
    """Mean similarity of each recording to what the others, and the spelling where it counts, make, as it would be in a stream.

    None of fewer than two.
    """
    if len(keyword.shots) < 2:
        return None
    vectors = np.array([shot.embedding for shot in keyword.shots], np.float32)
    spelled = model.spell([string.split() for string in keyword.phones]) if keyword.phones else None
    others = [joined(np.delete(vectors, number, axis=0), spelled) for number in range(len(vectors))]
    alike = [float(one @ vector) for one, vector in zip(others, vectors, strict=True)]
    return float(np.mean([one - shot.shortfall for one, shot in zip(alike, keyword.shots, strict=True)]))


def fit(found: list[float], heard: list[NDArray[np.float64]]) -> dict[str, Any] | None:
    """The table of a model, from what `left_out` gives of keywords and the similarities of further sayings of each; None where
    there are too few to tell."""
    known = [(one, values) for one, values in zip(found, heard, strict=True) if len(values)]
    if len(known) < 3:
        return None
    left, means = np.array([one for one, _ in known]), np.array([values.mean() for _, values in known])
    spread = float(left.var())
    slope = max(0.0, float(((left - left.mean()) * (means - means.mean())).mean()) / spread) if spread > 0 else 0.0
    offset = float(means.mean() - slope * left.mean())
    about = np.quantile(np.concatenate([values - offset - slope * one for one, values in known]), SHARES)
    return {"offset": round(offset, 4), "slope": round(slope, 4), "about": [round(float(value), 4) for value in about]}
