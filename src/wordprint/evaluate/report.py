"""The HTML report of an evaluation: what the figures are, and what the errors sound like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.evaluate import figures
from wordprint.evaluate.data import Data
from wordprint.evaluate.few_shot import Estimate, FewShotResult, far_name
from wordprint.evaluate.keywords import by_keyword
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.protocols import OPEN_SET, SAME_DIFFERENT, USER_DEFINED, Outcome
from wordprint.pages.html import audio_data_uri, percent, render
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.manifest import write_text

TEMPLATE = "evaluate/report.html.j2"
PLAYER_S = 3.0
"""Longest piece of a recording that the report plays; a page of them stays small enough to mail."""

Row = list[Any]
Plot = tuple[str, Any, str]
"""Heading, SVG, caption."""
Counts = NDArray[np.int64]


def write_report(
    path: Path, metrics: dict[str, Any], scored: list[tuple[Data, dict[str, Outcome]]], config: EvaluateConfig
) -> None:
    """Write `report.html` from what metrics.json holds and the results behind it."""
    pairs = zip(scored, metrics["data"], strict=True)
    sections = [_section(data, outcomes, entry, config) for (data, outcomes), entry in pairs]
    write_text(path, render(TEMPLATE, metrics=metrics, sections=sections))


def _section(data: Data, outcomes: dict[str, Outcome], entry: dict[str, Any], config: EvaluateConfig) -> dict[str, Any]:
    open_set, same = outcomes[OPEN_SET], outcomes[SAME_DIFFERENT].figures
    words = open_set.result.targets if open_set.result is not None else sorted(set(data.words[data.spoken].tolist()))
    generator = np.random.default_rng(config.seed)
    return {
        "entry": entry,
        "tiles": _tiles(outcomes),
        "not_run": {name: outcome.figures["not_run"] for name, outcome in outcomes.items() if "not_run" in outcome.figures},
        "open_set": _few_shot_table(open_set),
        "user_defined": _few_shot_table(outcomes[USER_DEFINED]),
        "same_different": {"figures": same, "rows": _same_different_rows(same)} if "estimates" in same else None,
        "plots": [] if open_set.result is None else _few_shot_plots(data, open_set.result),
        "keywords": by_keyword(open_set.result, data.words[open_set.tokens]) if open_set.result is not None else None,
        "map": figures.embedding_map(data, words, generator, f"Embedding map of {data.name}"),
        "histograms": _histograms(data),
        "confused": _confused(data, open_set, config.players),
        "accepted": _accepted(data, open_set, config.players),
    }


def _few_shot_table(outcome: Outcome) -> dict[str, Any] | None:
    result = outcome.result
    if result is None:
        return None
    headers = ["Shots", *map(label, result.best.estimates)]
    return {"figures": outcome.figures, "headers": headers, "rows": _shot_rows(result)}


_LABELS = {"closed": "Closed accuracy", "eer": "EER", "auroc": "AUROC", "macro_f1": "Macro F1"}
_FAR_LABELS = {"accuracy": "Accuracy at {} % FAR", "frr": "FRR at {} % FAR"}


def label(name: str) -> str:
    """Name of an estimate for people: `accuracy_at_5_far` is 'Accuracy at 5 % FAR'."""
    if name in _LABELS:
        return _LABELS[name]
    kind, _, rest = name.partition("_at_")
    return _FAR_LABELS[kind].format(rest.removesuffix("_far"))


def _tiles(outcomes: dict[str, Outcome]) -> list[tuple[str, str, str]]:
    tiles = []
    result = outcomes[OPEN_SET].result
    if result is not None:
        best = result.best
        for name in ("closed", far_name("accuracy", 0.05), "eer"):
            if name in best.estimates:
                estimate = best.estimates[name]
                note = f"{best.shots}-shot, 95 %: {100 * estimate.low:.1f}–{100 * estimate.high:.1f}"
                tiles.append((label(name), percent(estimate.mean), note))
    found = outcomes[SAME_DIFFERENT].figures
    if "estimates" in found:
        name = "ap_across_speakers" if "ap_across_speakers" in found["estimates"] else "ap"
        ap = found["estimates"][name]
        note = "across speakers" if name != "ap" else "all pairs"
        tiles.append(("Same-different AP", f"{ap['value']:.3f}", f"{note}, 95 %: {ap['low']:.3f}–{ap['high']:.3f}"))
        if name in found.get("reference", {}).get("ratio", {}):
            tiles.append(("Against MFCC + DTW", f"{found['reference']['ratio'][name]:.1f} ×", f"{note}, same tokens"))
    return tiles


def _shot_rows(result: FewShotResult) -> list[Row]:
    """One row per K: K, then (mean ± deviation, 95 % interval) of each figure in percent."""

    def cell(e: Estimate) -> tuple[str, str]:
        return f"{100 * e.mean:.1f} ± {100 * e.std:.1f}", f"{100 * e.low:.1f}–{100 * e.high:.1f}"

    return [[str(entry.shots), *map(cell, entry.estimates.values())] for entry in result.results]


def _same_different_rows(found: dict[str, Any]) -> list[Row]:
    """One row per system and variant: tokens, AP with its interval, chance, MAP@R."""
    variants = {"ap": "all pairs", "ap_across_speakers": "positives of different speakers"}
    rows: list[Row] = []
    for name in [name for name in variants if name in found["estimates"]]:
        at_r = found["estimates"][name.replace("ap", "map_at_r")]["value"]
        chance = f"{found['chance'][name]:.3f}"
        rows.append(["This model", variants[name], found["tokens"], *_interval(found["estimates"][name]), chance, f"{at_r:.3f}"])
        reference = found.get("reference", {})
        if name in reference.get("ratio", {}):
            tokens, model, chance = reference["tokens"], reference["model"][name], f"{reference['chance'][name]:.3f}"
            rows.append(["This model, tokens of MFCC + DTW", variants[name], tokens, f"{model:.3f}", "", chance, ""])
            rows.append(["MFCC + DTW", variants[name], tokens, *_interval(reference["mfcc_dtw"][name]), chance, ""])
    return rows


def _interval(estimate: dict[str, float]) -> tuple[str, str]:
    return f"{estimate['value']:.3f}", f"{estimate['low']:.3f}–{estimate['high']:.3f}"


def _few_shot_plots(data: Data, result: FewShotResult) -> list[Plot]:
    plots = []
    det = figures.det_plot(result, f"DET curve on {data.name}")
    if det is not None:
        caption = "Best similarity of a query, known against unknown words; trials of all draws together. Dotted: equal error."
        plots.append(("Detection error trade-off", det, caption))
    names = {name: label(name) for name in result.best.estimates if name == "closed" or name.startswith("accuracy")}
    if len(result.results) > 1:
        svg = figures.shots_plot(result, names, f"Accuracy by number of shots on {data.name}")
        plots.append(("Accuracy by number of shots", svg, "Mean over the draws; bars are 95 % intervals."))
    return plots


def _histograms(data: Data) -> list[Plot]:
    durations = figures.histogram(data.tokens.durations_s[data.spoken], "Seconds", f"Durations in {data.name}")
    goodness = figures.histogram(
        data.tokens.goodness[data.spoken], "Mean log likelihood per frame", f"Goodness of alignment in {data.name}"
    )
    found = [
        ("Duration", durations, "Of the tokens that hold a word; the outermost bars hold what lies beyond them."),
        ("Goodness of alignment", goodness, "How well the audio fits its words; higher is better."),
    ]
    return [plot for plot in found if plot[1] is not None]


def _confused(data: Data, outcome: Outcome, most: int) -> list[dict[str, Any]]:
    """Recordings of targets most often taken for another target, with K at its largest and nothing rejected."""
    result, tokens = outcome.result, outcome.tokens
    if result is None or tokens is None:
        return []
    words, wrong = data.words[tokens], result.best.counts.copy()
    asked = wrong.sum(axis=1)
    for number, target in enumerate(result.targets):
        wrong[words == target, number] = 0
    errors = np.where(np.isin(words, result.targets), wrong.sum(axis=1), 0)
    return _worst(data, outcome, errors, asked, wrong, most)


def _accepted(data: Data, outcome: Outcome, most: int) -> list[dict[str, Any]]:
    """Recordings of unknown words most often accepted at the first FAR, with K at its largest."""
    result, tokens = outcome.result, outcome.tokens
    if result is None or tokens is None or result.best.accepted is None:
        return []
    errors = np.where(np.isin(data.words[tokens], result.targets), 0, result.best.accepted)
    return _worst(data, outcome, errors, result.best.counts.sum(axis=1), result.best.counts, most)


def _worst(data: Data, outcome: Outcome, errors: Counts, asked: Counts, taken: Counts, most: int) -> list[dict[str, Any]]:
    """The `most` tokens with the highest share of `errors` (n,) of the times `asked` (n,), never those without.

    `taken` (n, W) says how often each was taken for each target.
    """
    if outcome.result is None or outcome.tokens is None:
        return []
    order = np.lexsort((np.arange(len(errors)), -asked, -errors / np.maximum(asked, 1)))
    listed = []
    for i in [i for i in order[:most].tolist() if errors[i]]:
        token = data.tokens[int(outcome.tokens[i])]
        samples = data.tokens.load(int(outcome.tokens[i]))[: round(PLAYER_S * SAMPLE_RATE)]
        listed.append(
            {
                "word": token.word,
                "taken_for": outcome.result.targets[int(taken[i].argmax())],
                "errors": int(errors[i]),
                "asked": int(asked[i]),
                "speaker": token.speaker or "–",
                "name": token.name,
                "sound": audio_data_uri(samples),
            }
        )
    return listed
