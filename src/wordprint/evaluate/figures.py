"""The plots of the evaluation report."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.evaluate.data import Data
from wordprint.evaluate.few_shot import FewShotResult
from wordprint.evaluate.metrics import DetCurve
from wordprint.evaluate.projection import tsne
from wordprint.pages.html import INK, PAPER, SERIES, figure_svg, new_figure, whole_numbers

if TYPE_CHECKING:
    from markupsafe import Markup

MAP_WORDS, MAP_TOKENS = 12, 600
"""Words and tokens shown on an embedding map: more can't be told apart."""
LEAST_TOKENS = 20
"""Of fewer points a map shows nothing."""

_RATES = (0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80)
"""Percents marked on the axes of a DET plot."""
_RANGE = (0.05, 90.0)
_MARKERS = "os^D"
_POINTS_PER_INCH, _LETTER, LABEL_HEIGHT = 72, 6.6, 13.0
"""The width of a letter of the map's labels and the height of a label, in points."""


def det_plot(result: FewShotResult, title: str) -> Markup | None:
    """FRR against FAR on normal deviate scales (Martin et al. 1997), one line per K; None without non-target trials."""
    curves = [(entry.shots, entry.det) for entry in result.results if entry.det is not None]
    if not curves:
        return None
    figure, axes = new_figure("False acceptance rate (%)", "False rejection rate (%)", width_in=5.4, height_in=4.6)
    for number, (shots, curve) in enumerate(curves):
        far, frr = _thinned(curve)
        axes.plot(far, frr, color=SERIES[number % len(SERIES)], linewidth=1.6, label=f"{shots}-shot")
    low, high = _deviate(_RANGE)
    axes.plot([low, high], [low, high], color=INK, linewidth=0.7, linestyle=":")
    ticks = _deviate(_RATES)
    axes.set_xticks(ticks, [f"{rate:g}" for rate in _RATES])
    axes.set_yticks(ticks, [f"{rate:g}" for rate in _RATES])
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure_svg(figure, title)


def shots_plot(result: FewShotResult, names: dict[str, str], title: str) -> Markup:
    """Each figure of `names` against K, with its 95 % interval."""
    figure, axes = new_figure("Recordings that enroll a keyword", "Percent", width_in=5.4, height_in=4.6)
    shots = np.array([entry.shots for entry in result.results])
    places = np.arange(len(shots))
    for number, (name, label) in enumerate(names.items()):
        estimates = [entry.estimates[name] for entry in result.results]
        middle = 100 * np.array([estimate.mean for estimate in estimates])
        reach = 100 * np.array([[max(0, e.mean - e.low) for e in estimates], [max(0, e.high - e.mean) for e in estimates]])
        axes.errorbar(
            places + 0.06 * (number - (len(names) - 1) / 2), middle, yerr=reach, label=label, color=SERIES[number % len(SERIES)],
            marker="o", markersize=4, linewidth=1.6, elinewidth=1, capsize=2,
        )  # fmt: skip
    axes.set_xticks(places, [str(k) for k in shots])
    axes.set_xlim(-0.4, len(shots) - 0.6)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right")
    return figure_svg(figure, title)


def embedding_map(data: Data, words: list[str], generator: np.random.Generator, title: str) -> Markup | None:
    """t-SNE of the tokens of at most MAP_WORDS of `words`, each word named where its tokens lie; None under LEAST_TOKENS."""
    names = data.words
    shown = sorted(words, key=lambda word: (-int((names == word).sum()), word))[:MAP_WORDS]
    tokens = np.concatenate([_some(np.flatnonzero(names == word), MAP_TOKENS // len(shown), generator) for word in shown])
    if len(tokens) < LEAST_TOKENS:
        return None
    positions = tsne(data.embeddings[tokens])
    figure, axes = new_figure(width_in=7.6, height_in=5.2)
    axes.set_axis_off()
    from matplotlib.patheffects import withStroke

    shown, middles = sorted(shown), []
    for number, word in enumerate(shown):
        mine = positions[names[tokens] == word]
        colour, marker = SERIES[number % len(SERIES)], _MARKERS[number // len(SERIES) % len(_MARKERS)]
        axes.scatter(mine[:, 0], mine[:, 1], s=13, color=colour, marker=marker, linewidths=0, alpha=0.75, rasterized=True)
        middles.append(mine[np.argmin(((mine - np.median(mine, axis=0)) ** 2).sum(axis=1))])
    ranges = np.array([axes.get_xlim(), axes.get_ylim()])
    points = _POINTS_PER_INCH * figure.get_size_inches() / (ranges[:, 1] - ranges[:, 0])
    places = labels_apart(np.array(middles) * points, np.array([_LETTER * (len(word) + 1) for word in shown])) / points
    for number, (word, place) in enumerate(zip(shown, places, strict=True)):
        axes.annotate(
            word, place, color=SERIES[number % len(SERIES)], fontsize=10, weight="bold", ha="center", va="center",
            path_effects=[withStroke(linewidth=3, foreground=PAPER)],
        )  # fmt: skip
    return figure_svg(figure, title)


def labels_apart(places: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of labels (n, 2) moved up until none covers another; they are `widths` (n,) wide. All in points."""
    moved, placed = places.copy(), list[int]()
    for number in np.argsort(places[:, 1], kind="stable").tolist():
        beside = [other for other in placed if abs(moved[other, 0] - moved[number, 0]) < (widths[other] + widths[number]) / 2]
        for other in sorted(beside, key=lambda other: moved[other, 1]):
            if abs(moved[other, 1] - moved[number, 1]) < LABEL_HEIGHT:
                moved[number, 1] = moved[other, 1] + LABEL_HEIGHT
        placed.append(number)
    return moved


def histogram(values: ArrayLike, label: str, title: str) -> Markup | None:
    """Counts of the finite values; None when there are none or nearly all are equal."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = np.quantile(finite, [0.005, 0.995]) if len(finite) else (0.0, 0.0)
    if high - low <= 1e-3 * max(abs(low), abs(high)):
        return None
    figure, axes = new_figure(label, "Tokens")
    whole_numbers(axes.yaxis)
    axes.hist(np.clip(finite, low, high), bins=int(np.clip(2 * len(finite) ** 0.5, 8, 40)), color=SERIES[0])
    return figure_svg(figure, title)


def _deviate(percents: ArrayLike) -> NDArray[np.float64]:
    """Standard normal deviates of percents strictly between 0 and 100."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(percent / 100) for percent in np.asarray(percents, dtype=np.float64).tolist()])


def _thinned(curve: DetCurve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of a curve inside the plot's range, one per visible step."""
    edge = _RANGE[0] / 2
    rates = np.clip(100 * np.stack([curve.far, curve.frr]), edge, 100 - edge)
    steps = np.round(rates, 2)
    keep = np.r_[True, (np.diff(steps, axis=1) != 0).any(axis=0)]
    chosen = rates[:, keep]
    if chosen.shape[1] > 600:
        chosen = chosen[:, np.unique(np.linspace(0, chosen.shape[1] - 1, 600).round().astype(int))]
    return _deviate(chosen[0]), _deviate(chosen[1])


def _some(tokens: NDArray[np.int64], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(generator.permutation(tokens)[: max(most, 1)])
