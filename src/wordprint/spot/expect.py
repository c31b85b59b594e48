"""How often a keyword fires for nothing in ordinary speech, foretold without any recording of the user's.

A model carries a cohort of spans of speech. How near a keyword comes to what is nearest to it there, its level, says where its
false alarms begin: keywords differ in it far more than in how fast false alarms get rarer above it. So one table, measured by the
live code when the model is exported, turns a similarity above the level into false alarms per hour, for any keyword. Speaker
verification normalises scores so (Matějka et al., 2017); its division by the cohort's deviation measured worse here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.cohort import Cohort
from wordprint.goodness import codes_of
from wordprint.model import Model
from wordprint.spot.enrollment import Keyword
from wordprint.spot.spans import tried


@dataclass(frozen=True)
class Expected:
    """A keyword's false alarms: `per_hour` (R,) of ordinary speech, ascending, at similarities that are `above` (R,) its level."""

    level: float
    per_hour: NDArray[np.float64]
    above: NDArray[np.float64]

    def threshold(self, per_hour: float) -> float:
        """The threshold, of four decimals, for so many false alarms per hour (above 0); from -1 to 1."""
        above = _line(math.log(per_hour), np.log(self.per_hour), self.above)
        return round(min(1.0, max(-1.0, self.level + above)), 4)

    def rate(self, threshold: float) -> float:
        """False alarms per hour at a threshold."""
        return math.exp(_line(threshold - self.level, self.above[::-1], np.log(self.per_hour)[::-1]))


def expected(model: Model, keyword: Keyword) -> Expected | None:
    """What is to be expected of a keyword; None where the model has no cohort."""
    table = measured(model, keyword).get("above_level")
    if model.cohort is None or not table:
        return None
    per_hour, above = np.array(table, np.float64).T
    return Expected(level(model.cohort, model, keyword), per_hour, above)


def measured(model: Model, keyword: Keyword) -> dict[str, Any]:
    """What was measured at export of keywords like this one: whose phones are read, or those that have none to read."""
    found: dict[str, Any] = model.metadata["threshold"]
    return found if keyword.sounds else found.get("unread", found)


def level(cohort: Cohort, model: Model, keyword: Keyword) -> float:
    """How near a keyword comes to what is nearest to it in the cohort: a similarity, less what phones take from it."""
    return cohort.level(keyword.prototypes, tried(keyword), codes_of(keyword.sounds, model.phones))


def default_threshold(model: Model, keyword: Keyword, per_hour: float | None = None) -> float:
    """The threshold for so many false alarms per hour, by default those that the model was exported for."""
    found = expected(model, keyword)
    if found is None:
        return model.threshold
    return found.threshold(model.false_alarms_per_hour if per_hour is None else per_hour)


def threshold_of_same_rate(model: Model, old: Keyword, new: Keyword) -> float:
    """The threshold at which a keyword that was made anew has the false alarms that it had."""
    before, after = expected(model, old), expected(model, new)
    return old.threshold if before is None or after is None else after.threshold(before.rate(old.threshold))


def _line(x: float, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> float:
    """Between points of ascending `xs`; beyond them, as steep as from the first to the last."""
    inside = min(max(x, xs[0]), xs[-1])
    return float(np.interp(inside, xs, ys) + (ys[-1] - ys[0]) / (xs[-1] - xs[0]) * (x - inside))
