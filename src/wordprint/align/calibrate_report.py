"""report.html of `align --calibrate`: the operating curve, for words and for whole utterances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wordprint.align.corruption import KINDS
from wordprint.align.operating import DEFAULT_LOST, default_point
from wordprint.pages import html

if TYPE_CHECKING:
    from markupsafe import Markup


SECTIONS = {
    "words": (
        "word",
        "Counted are words that 'wordprint words' keeps by default, by their letters and duration. The words beside one that "
        "was left out count as wrong, for they share what it said.",
    ),
    "utterances": ("utterance", "The goodness of an utterance is the mean of its words, weighted by their duration."),
}
"""A curve's name in calibration.json: what it counts, and what there is to know about it."""


def render_report(report: Mapping[str, Any]) -> str:
    """The HTML of calibration.json."""
    return html.render(
        "align/calibrate.html.j2",
        report=report,
        sections=[_section(report, name, *notes) for name, notes in SECTIONS.items()],
    )


def _section(report: Mapping[str, Any], name: str, unit: str, note: str) -> dict[str, Any]:
    found = report[name]
    kinds = [kind for kind in KINDS if kind in found["auc"]]
    default = default_point(found)
    return {
        "title": f"By {unit}",
        "unit": unit,
        "note": note,
        "right": found["right"],
        "default": default,
        "headers": [f"Right {name} lost", "Threshold", *(KINDS[kind] for kind in kinds)],
        "rows": [
            (html.percent(point["lost"], 2), html.number(point["threshold"], 2), *map(html.percent, point["passed"].values()))
            for point in found["points"]
        ],
        "kinds": [
            (
                KINDS[kind],
                html.number(found["wrong"][kind]),
                html.number(found["auc"][kind], 3),
                html.percent(1 - default["passed"][kind]) if default else "–",
                f"{html.number(report['not_aligned'][kind])} of {html.number(report['tried'][kind])}",
            )
            for kind in kinds
        ],
        "curve": _curve(found, kinds, name) if kinds else None,
    }


def _curve(found: Mapping[str, Any], kinds: list[str], name: str) -> Markup:
    figure, axes = html.new_figure(f"right {name} lost (%)", f"wrong {name} passed (%)", 10.4, 3.4)
    lost = [100 * point["may_lose"] for point in found["points"]]
    for number, kind in enumerate(kinds):
        passed = [100 * point["passed"][kind] for point in found["points"]]
        axes.plot(lost, passed, marker="o", markersize=4, color=html.SERIES[number], label=KINDS[kind])
    axes.axvline(100 * DEFAULT_LOST, color=html.INK, linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(lost, [f"{value:g}" for value in lost])
    axes.minorticks_off()
    axes.set_ylim(-3, 103)
    axes.legend(frameon=False, labelcolor=html.INK, fontsize=9)
    return html.figure_svg(figure, f"Operating curve of {name}")
