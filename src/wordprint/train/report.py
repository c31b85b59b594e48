"""The HTML report of a training run, from its history alone: it needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wordprint.pages.html import INK, SERIES, figure_svg, new_figure, number, render, whole_numbers

if TYPE_CHECKING:
    from markupsafe import Markup

REPORT = "report.html"
TEMPLATE = "train/report.html.j2"
STEP, SCORE, TOTAL = "step", "validation_ap", "total"
NAMES = {
    STEP: "Step",
    SCORE: "Validation AP",
    TOTAL: "Total loss",
    "loss": "Span loss",
    "phonetic": "Phonetic loss",
    "phone": "Phone loss",
    "teacher": "Teacher loss",
}
"""What the columns of a history are called on the page."""


def render_report(name: str, history: Sequence[dict[str, Any]], words: int, speakers: int, details: dict[str, Any]) -> str:
    """The page of a run.

    Each line of `history` has the `step` of a validation, the losses as means over the steps since the line before, and
    `validation_ap` where there was something to validate on. `details` are those of the receipt.
    """
    columns = list(dict.fromkeys(key for row in history for key in row))
    losses = [key for key in columns if key not in (STEP, SCORE)]
    ends = details["cycles"][:-1]
    figures = [("Losses", _curves(history, losses, ends, "Mean loss", "Losses over the steps"), _of_losses(losses))]
    if SCORE in columns:
        svg = _curves(history, [SCORE], ends, "Average precision", "Validation average precision over the steps")
        figures.append(("Validation", svg, "Same word or not, over pairs of words (and speakers, where enough) not trained on."))
    scored = [row for row in history if SCORE in row]
    return render(
        TEMPLATE,
        name=name,
        best=max(scored, key=lambda row: row[SCORE]) if scored else None,
        last=history[-1],
        trained_on={"words": words, "speakers": speakers},
        details=details,
        figures=figures if len(history) > 1 else [],
        headers=[NAMES.get(key, key) for key in columns],
        rows=[[number(row.get(key), 0 if key == STEP else 3) for key in columns] for row in history],
    )


def _of_losses(names: Sequence[str]) -> str:
    text = "Mean over the steps since the point before; lower is better."
    return f"{text} The total is their weighted sum." if len(names) > 2 else text


def _curves(history: Sequence[dict[str, Any]], names: Sequence[str], ends: Sequence[int], y_label: str, title: str) -> Markup:
    """Columns of the history over the steps, with a line where a cycle of the learning rate ended; the best score is marked."""
    figure, axes = new_figure("Step", y_label, height_in=3.4)
    for index, name in enumerate(names):
        rows = [row for row in history if name in row]
        colour = INK if name == TOTAL else SERIES[index % len(SERIES)]
        steps, values = [row[STEP] for row in rows], [row[name] for row in rows]
        axes.plot(steps, values, color=colour, linewidth=1.6, marker="o", markersize=3, label=NAMES.get(name, name))
        if name == SCORE:
            best = values.index(max(values))
            axes.plot(steps[best], values[best], "o", markersize=8, markerfacecolor="none", markeredgecolor=colour, label="kept")
    for step in ends:
        axes.axvline(step, color=INK, linewidth=1, linestyle=":")
    whole_numbers(axes.xaxis)
    axes.set_xlim(left=0)
    if SCORE not in names:
        axes.set_ylim(bottom=min(0.0, *(row[name] for row in history for name in names)))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure_svg(figure, title)
