"""What wrong transcripts cost, and what the gates of `words` win back: average precision on other people's words.

Spoils a share of the transcripts (half of these get another utterance's, the others a fifth of their words replaced), aligns,
and says which thresholds of goodness tell right words from wrong ones. Then cuts words without a gate, with goodness gates, and
without the outliers of the network trained on all, trains a network on each, and scores them on the recipe's `evaluate_on`.
Hours on two cores (the thresholds alone, with --steps 0, minutes); what is done is not done again.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wordprint import pipeline
from wordprint.config import RunConfig
from wordprint.evaluate.metrics import auroc, det_curve
from wordprint.evaluate.options import OutliersConfig
from wordprint.records import Utterance
from wordprint.speech.text import normalise
from wordprint.stages.manifest import ALIGNMENTS, UTTERANCES, read_jsonl, read_utterances, write_jsonl
from wordprint.stages.progress import for_terminal
from wordprint.stages.recipe import read_toml
from wordprint.train.options import TrainConfig

LOST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of the right words that a threshold may lose."""


def spoil(utterances: list[Utterance], share: float, seed: int) -> list[Utterance]:
    """The utterances, with the transcripts of `share` of them wrong."""
    rng, wrong = random.Random(seed), dict[int, str]()
    order = list(range(len(utterances)))
    rng.shuffle(order)
    half = round(share / 2 * len(order))
    words = [word for utterance in utterances for word in utterance.transcript.split()]
    # neighbours in length change places: a transcript that is far too long would not align at all
    swapped = sorted(order[:half], key=lambda index: (len(utterances[index].transcript.split()), index))
    for first, second in zip(swapped[::2], swapped[1::2], strict=False):
        wrong[first], wrong[second] = utterances[second].transcript, utterances[first].transcript
    for index in order[half : 2 * half]:
        replaced = utterances[index].transcript.split()
        for place in rng.sample(range(len(replaced)), min(max(1, round(len(replaced) / 5)), len(replaced))):
            replaced[place] = rng.choice(words)
        wrong[index] = " ".join(replaced)
    return [replace(utterance, transcript=wrong.get(index, utterance.transcript)) for index, utterance in enumerate(utterances)]


def goodness(alignments: Sequence[Mapping[str, Any]], said: Mapping[str, str]) -> tuple[list[float], list[float]]:
    """Of the words of right transcripts, and of those that were not `said` (transcripts by utterance id) at their place."""
    right: list[float] = []
    wrong: list[float] = []
    for line in alignments:
        found, true = (normalise(text, line["language"]) for text in (line["transcript"], said[line["utterance_id"]]))
        values = line["word_goodness"]
        if len(values) != len(found) or None in values:  # the aligner gives none, or has joined words
            continue
        if found == true:
            right += values
        wrong += [value for place, value in enumerate(values) if found[place : place + 1] != true[place : place + 1]]
    return right, wrong


def operating_points(right: Sequence[float], wrong: Sequence[float], lost: Sequence[float]) -> Iterator[str]:
    """Lines: for each share of right words that may be lost, the threshold and the share of wrong ones that it drops."""
    curve = det_curve(np.concatenate([right, wrong]), np.arange(len(right) + len(wrong)) < len(right))
    yield f"{len(right)} right words, {len(wrong)} wrong ones, area under the ROC curve {float(auroc(curve)):.3f}"
    for share in lost:
        point = np.searchsorted(curve.frr, share, side="right") - 1
        threshold, lost_share, dropped = curve.thresholds[point], curve.frr[point], 1 - curve.far[point]
        yield f"min_goodness {threshold:8.2f} loses {lost_share:6.2%} of the right words and drops {dropped:6.1%} of the wrong"


def main() -> None:
    options = _options()
    recipe, work, shared = read_toml(options.recipe, RunConfig), options.work, {"progress": for_terminal()}
    parallel = {**shared, "workers": options.workers}
    pipeline.prepare(recipe.sources, work / "prepare", recipe.prepare, **parallel)
    pipeline.validate(work / "prepare", work / "validate", recipe.validate, **parallel)
    spoilt = work / "spoilt" / UTTERANCES
    if not spoilt.exists():
        found = spoil(list(read_utterances(work / "validate")), options.share, seed=0)
        write_jsonl(spoilt, (utterance.to_json() for utterance in found))
    pipeline.align(spoilt, work / "align", recipe.align, **parallel)
    said = {utterance.utterance_id: utterance.transcript for utterance in read_utterances(work / "validate")}
    print("\n".join(operating_points(*goodness(list(read_jsonl(work / "align" / ALIGNMENTS)), said), LOST)), flush=True)
    if not options.steps:
        return

    every = max(1, options.steps // 2)

    def average_precision(name: str, **gates: object) -> None:
        """Train and score on the words that these gates leave; prints a line for each set and seed."""
        receipt = pipeline.words(work / "align", work / name / "words", replace(recipe.words, **gates), **parallel)  # type: ignore[arg-type]
        for seed in options.seeds:
            train: TrainConfig = replace(recipe.train, steps=options.steps, seed=seed, validate_every=every)
            network, scores = work / name / f"train-{seed}", work / name / f"evaluate-{seed}"
            pipeline.train(work / name / "words", network, train, **shared)
            pipeline.evaluate(network, recipe.evaluate_on, scores, replace(recipe.evaluate, dtw_tokens=0, players=1), **shared)
            for label, estimate in _estimates(scores):
                print(f"{name:<12} seed {seed}  {receipt.counts['kept']:>7} segments  {label:<20} {estimate}", flush=True)

    average_precision("no-gate", min_goodness="none")
    for threshold in options.min_goodness:
        average_precision(f"goodness{threshold:g}", min_goodness=threshold)
    first = work / "no-gate" / f"train-{options.seeds[0]}"
    pipeline.outliers(first, work / "no-gate" / "words", work / "outliers", OutliersConfig(), **parallel)
    average_precision("no-outliers", min_goodness="none", drop=(work / "outliers" / "outliers.jsonl",))


def _estimates(scores: Path) -> list[tuple[str, str]]:
    import json

    found = []
    for data in json.loads((scores / "metrics.json").read_text(encoding="utf-8"))["data"]:
        ap = data["protocols"]["same_different"]["estimates"]["ap"]
        found.append((data["name"], f"AP {ap['value']:.3f} [{ap['low']:.3f}, {ap['high']:.3f}]"))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, default=Path("work/gates"))
    parser.add_argument("--share", type=float, default=0.5, help="share of the transcripts that are spoilt")
    parser.add_argument("--min-goodness", type=float, nargs="*", default=[-53.15, -36.02], help="gates to try")
    parser.add_argument("--steps", type=int, default=400, help="of training; 0: only the thresholds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
