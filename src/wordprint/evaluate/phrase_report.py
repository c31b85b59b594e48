"""The page of LibriPhrase: error rates by what enrolls a phrase and by its number of words, and the worst trials to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, DatasetError
from wordprint.evaluate.phrase_material import Sayings
from wordprint.evaluate.phrase_trials import EASY, HARD, POSITIVE, Trial
from wordprint.pages.html import INK, SERIES, figure_svg, new_figure, number, render
from wordprint.pages.listen import Clip, Filter, Listening, Order, Row
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.manifest import write_text

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "evaluate/phrases.html.j2"
AROUND_S = 0.4
"""Audio played on either side of a phrase."""
TASKS = {"audio_audio": "A recording", "text_audio": "The spelling", "text_and_audio": "Both"}
"""What enrolls the phrase."""
GROUPS = {"all": "1–4", "1": "1", "2": "2", "3": "3", "4": "4", "unseen": "with one not trained on"}
ERRORS = {HARD: "nearest text taken for it", EASY: "other text taken for it", POSITIVE: "same text not recognised"}


def write_report(
    path: Path,
    metrics: dict[str, Any],
    sayings: Sayings,
    trials: Sequence[Trial],
    scores: dict[str, NDArray[np.float64]],
    players: int,
) -> None:
    """Write report.html from what metrics.json holds and the trials behind it."""
    rows: list[Row] = []
    clips: list[Clip] = []
    for trial, score in worst(trials, scores["audio_audio"], players):
        try:
            pair = [_clip(sayings, side) for side in (trial.anchor, trial.comparison)]
        except (AudioError, DatasetError):  # gone since it was embedded
            continue
        rows.append(_row(sayings, trial, score, len(clips)))
        clips += pair
    filters = [Filter("kind", "Error", "choice"), Filter("words", "Words", "choice"), Filter("text", "Phrase", "text")]
    orders = [
        Order("place", "as found, worst first"),
        Order("similarity", "similarity, highest first", descending=True),
        Order("distance", "phones between them, fewest first"),
    ]
    values: dict[str, Any] = {
        "listening": Listening(clips, rows, filters, orders, "with what is around it"),
        "metrics": metrics,
        "rows": table_rows(metrics),
        "tasks": TASKS,
        "plot": _plot(metrics),
    }
    write_text(path, render(TEMPLATE, **values))


def worst(trials: Sequence[Trial], scores: NDArray[np.float64], most: int) -> list[tuple[Trial, float]]:
    """Of each kind the trials with the worst similarity, only one of each anchor."""
    found = []
    for kind in ERRORS:
        numbers = [n for n, trial in enumerate(trials) if trial.kind == kind]
        numbers.sort(key=lambda n: (scores[n] if kind == POSITIVE else -scores[n], n))
        first: dict[int, int] = {}
        for n in numbers:
            first.setdefault(trials[n].episode, n)
        found += [(trials[n], float(scores[n])) for n in list(first.values())[:most]]
    return found


def table_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """A row for each task and group: anchors, positives, then EER and AUROC, easy and hard, with their intervals."""
    rows = []
    for task, kinds in metrics["tasks"].items():
        for group in [group for group in GROUPS if any(group in found for found in kinds.values())]:
            there = [kinds[kind].get(group) for kind in ("easy", "hard")]
            known = next(found for found in there if found)
            cells = [_interval(found, name) for name in ("eer", "auroc") for found in there]
            rows.append([TASKS[task], GROUPS[group], number(known["anchors"]), number(known["positives"]), *cells])
    return rows


def _interval(found: dict[str, Any] | None, name: str) -> str:
    if found is None:
        return "–"
    low, value, high = (number(100 * found[name][part], 1) for part in ("low", "value", "high"))
    return f"{value} ({low}–{high})"


def _plot(metrics: dict[str, Any]) -> Markup:
    """EER by number of words, a colour for each task; solid against hard negatives, dashed against easy ones."""
    figure, axes = new_figure("Words", "Equal error rate (%)", width_in=7.4, height_in=3.6)
    groups = [group for group in GROUPS if group.isdigit()]
    for place, (task, kinds) in enumerate(metrics["tasks"].items()):
        for kind, style in (("hard", "-"), ("easy", "--")):
            found = [(int(group), kinds[kind][group]["eer"]) for group in groups if group in kinds[kind]]
            if not found:
                continue
            middle = np.array([100 * eer["value"] for _, eer in found])
            reach = np.array([[100 * abs(eer[end] - eer["value"]) for _, eer in found] for end in ("low", "high")])
            axes.errorbar(
                np.array([words for words, _ in found]) + 0.05 * (place - 1), middle, yerr=reach, color=SERIES[place],
                linestyle=style, marker="o", markersize=4, linewidth=1.6, elinewidth=1, capsize=2, label=f"{TASKS[task]}, {kind}",
            )  # fmt: skip
    axes.set_xticks(range(1, 5), groups)
    axes.set_xlim(0.7, 4.3)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure_svg(figure, "Equal error rate by number of words")


def _row(sayings: Sayings, trial: Trial, score: float, clip: int) -> Row:
    anchor, other = (sayings.said[side] for side in (trial.anchor, trial.comparison))
    facts = [
        ("", ERRORS[trial.kind], "bad"),
        ("similarity", number(score, 3), ""),
        *([("phones between them", str(trial.distance), "")] if trial.distance else []),
        ("from", " and ".join(f"{sayings.items[side.item].name}, {side.start_s:.1f}\u00a0s" for side in (anchor, other)), "muted"),
    ]
    title = anchor.text if trial.kind == POSITIVE else f"{anchor.text} – {other.text}"
    values: dict[str, Any] = {
        "kind": ERRORS[trial.kind],
        "words": str(trial.words),
        "text": [anchor.text, other.text],
        "similarity": score,
        "distance": None if trial.distance is None else float(trial.distance),
        "place": float(clip),
    }
    return Row(title, [(clip, "enrolled", anchor.text), (clip + 1, "compared", other.text)], facts, values)


def _clip(sayings: Sayings, side: int) -> Clip:
    samples, start, end = sayings.cut(sayings.said[side], AROUND_S)
    return Clip(samples, start / SAMPLE_RATE, end / SAMPLE_RATE)
