"""What wrong transcripts cost, and what the gates of `words` win back: average precision on other people's words.

Spoils a share of the transcripts (half of these get another utterance's, the others a fifth of their words replaced), aligns,
cuts words without a gate, with goodness gates, and without the outliers of the network trained on all, trains a network on
each, and scores them on the recipe's `evaluate_on`. Hours on two cores; what is done is not done again.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

from wordprint import pipeline
from wordprint.config import OutliersConfig, RunConfig, TrainConfig
from wordprint.records import Utterance
from wordprint.stages.manifest import UTTERANCES, read_utterances, write_jsonl
from wordprint.stages.progress import for_terminal
from wordprint.stages.recipe import read_toml


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
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
