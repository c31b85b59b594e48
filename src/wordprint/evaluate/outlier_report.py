"""The report of `outliers`: how all segments are spread, and the worst to listen to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wordprint.evaluate.centres import Floats, Judged
from wordprint.evaluate.options import OutliersConfig
from wordprint.pages.html import SERIES, figure_svg, new_figure, number, render
from wordprint.pages.listen import Filter, Listening, Order, Row
from wordprint.stages.manifest import write_text
from wordprint.words.dataset import WordDataset
from wordprint.words.inspect import SEGMENT_FILTERS, read_spoken, segment_clips, segment_row

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "evaluate/outliers.html.j2"
SHOWN = 100
"""Outliers that can be listened to, the worst first."""
PAIRS = 30
"""Pairs of words in the table."""
CONTEXT_S = 0.8


class Histogram:
    """Counts of excesses in fixed bins, added a shard at a time; the outermost bins hold what lies beyond."""

    EDGES = np.linspace(-1.0, 1.2, 45)

    def __init__(self) -> None:
        self.total = self.above_zero = 0
        self.counts = np.zeros(len(self.EDGES) - 1, np.int64)

    def add(self, values: Floats) -> None:
        self.total += len(values)
        self.above_zero += int((values > 0).sum())
        self.counts += np.histogram(np.clip(values, self.EDGES[0], self.EDGES[-1]), self.EDGES)[0]


def write_report(
    path: Path,
    dataset: WordDataset,
    model: str,
    listed: Judged,
    histogram: Histogram,
    details: dict[str, int],
    config: OutliersConfig,
) -> None:
    """Write report.html of the outliers `listed`, the worst first."""
    worst = listed.at(np.arange(min(SHOWN, len(listed.indices))))
    listening = Listening(
        clips=segment_clips(dataset, worst.indices, read_spoken(dataset, worst.indices), CONTEXT_S),
        rows=[_row(dataset, worst, place) for place in range(len(worst.indices))],
        filters=[SEGMENT_FILTERS[0], Filter("nearest", "Sounds like", "text"), *SEGMENT_FILTERS[1:]],
        orders=[
            Order("excess", "worst first", descending=True),
            Order("goodness", "goodness, lowest first"),
            Order("word", "word"),
            Order("nearest", "what it sounds like"),
        ],
        whole="in sentence",
    )
    values = {"model": model, "details": details, "outliers": len(listed.indices), "config": config}
    figures = {"plot": _plot(histogram, config.threshold), "pairs": _pairs(dataset, listed)[:PAIRS]}
    write_text(path, render(TEMPLATE, name=dataset.path.resolve().name, listening=listening, **values, **figures))


def _row(dataset: WordDataset, worst: Judged, place: int) -> Row:
    """The row of a segment, with what it sounds like first."""
    row = segment_row(dataset, int(worst.indices[place]), place)
    nearest = dataset.words[worst.nearest[place]]
    similarity = f"{number(float(worst.nearest_similarity[place]), 2)}, to its own {number(float(worst.own_similarity[place]), 2)}"
    facts = [("sounds like", nearest, "bad"), ("similarity", similarity, ""), *row.facts]
    return Row(row.title, row.clips, facts, row.values | {"nearest": nearest, "excess": float(worst.excess[place])})


def _pairs(dataset: WordDataset, listed: Judged) -> list[tuple[str, str, int]]:
    """A word, what its outliers sound like, and how many do; the commonest first."""
    pairs = np.stack([dataset.codes("words")[0][listed.indices], listed.nearest])
    distinct, counts = np.unique(pairs, axis=1, return_counts=True)
    names = dataset.words
    found = [
        (names[word], names[nearest], count) for (word, nearest), count in zip(distinct.T.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda row: (-row[2], row))


def _plot(histogram: Histogram, threshold: float) -> Markup:
    figure, axes = new_figure(
        "Similarity to the nearest other word − similarity to its own", "Segments", width_in=8.4, height_in=2.6
    )
    axes.stairs(histogram.counts, histogram.EDGES, fill=True, color=SERIES[0])
    axes.axvline(threshold, color=SERIES[3], linewidth=1.4)
    axes.set_yscale("symlog", linthresh=10)
    return figure_svg(figure, "Excess of all segments")
