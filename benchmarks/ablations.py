"""What each part of the training recipe is worth: short runs without it, scored on few-shot keywords and in a stream.

    python benchmarks/ablations.py recipes/read-speech.toml work/read-speech/words work/dev/align --speakers anna ben

Trains the recipe for --steps, with several seeds, then once without each of its parts, and prints a row for each: validation AP;
accuracy of the first word folder of `evaluate_on` at 10 shots (closed set, and at 1 % FAR) and its same-different AP; keywords
missed at ten false alarms per hour, each at its own threshold, in the stream. Short runs tell parts apart only by more than seeds
differ. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import print_table
from torch import Tensor
from torch.nn import functional

from wordprint import pipeline
from wordprint.config import RunConfig
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.streams import evaluate_stream
from wordprint.export.options import ExportConfig
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.progress import for_terminal
from wordprint.stages.recipe import read_toml
from wordprint.train.encoders import Context, StreamingCnn
from wordprint.train.features import POWER_FLOOR, LogMel

STREAM_RATE = 10.0


class Blind(StreamingCnn):
    """Blocks that look no frame ahead: 0.08 s of right context instead of 0.2 s."""

    ahead = 0


class Farsighted(StreamingCnn):
    """Blocks that look up to four frames ahead: 0.42 s of right context."""

    ahead = 4


class RunningMean(LogMel):
    """Log-mel energies less the logarithm of each band's mean over the last second, the newest counting most."""

    decay_s = 0.3

    def __init__(self, n_features: int = 40) -> None:
        super().__init__(n_features)
        frames = SAMPLE_RATE // self.hop_samples
        weights = torch.exp(torch.arange(1 - frames, 1) * self.hop_samples / SAMPLE_RATE / self.decay_s)
        self.register_buffer("weights", (weights / weights.sum()).expand(n_features, 1, -1).clone(), persistent=False)
        self.past = Context(frames - 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        power = super().forward(waveforms).exp() - POWER_FLOOR
        return self.relate(power, functional.conv1d(self.past(power), self.weights, groups=len(self.weights)).clamp(min=0))

    def relate(self, power: Tensor, mean: Tensor) -> Tensor:
        return torch.log(power.clamp(min=0) + POWER_FLOOR) - torch.log(mean + POWER_FLOOR)


class Pcen(RunningMean):
    """Per-channel energy normalisation (Wang et al., 2017), its smoothing cut off after a second."""

    def relate(self, power: Tensor, mean: Tensor) -> Tensor:
        return (power.clamp(min=0) / (mean + 1e-6) ** 0.98 + 2) ** 0.5 - 2**0.5


VARIANTS: dict[str, dict[str, Any]] = {
    "words alone, no phone strings": {"runs": 0},
    "no edits of phone strings": {"edits": 0},
    "no teacher": {"teacher": None},
    "no noise": {"noise_share": 0.0},
    "no channels and rooms": {"filter_share": 0.0, "telephone_share": 0.0, "room_share": 0.0},
    "less a running mean": {"front_end": "ablations:RunningMean"},
    "PCEN": {"front_end": "ablations:Pcen"},
    "0.08 s of right context": {"encoder": "ablations:Blind"},
    "0.42 s of right context": {"encoder": "ablations:Farsighted"},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe", type=Path)
    options.add_argument("words", type=Path, help="word dataset that it trains on")
    options.add_argument("background", type=Path, help="folder that 'align' wrote: the stream")
    options.add_argument("--speakers", nargs="*", default=(), help="only these of the stream: those held out of training")
    options.add_argument("--targets", nargs="*", default=(), help="keywords of the stream (default: all that there are)")
    options.add_argument("--work", type=Path, default=Path("work/ablations"))
    options.add_argument("--steps", type=int, default=400)
    options.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the recipe as it is (default: 0 1 2)")
    options.add_argument("--only", nargs="*", default=None, help="these variants alone")
    given = options.parse_args()
    recipe = read_toml(given.recipe, RunConfig)
    runs = [(f"the recipe, seed {seed}", {"seed": seed}) for seed in given.seeds]
    runs += [(name, change) for name, change in VARIANTS.items() if given.only is None or name in given.only]
    shared: dict[str, Any] = {"progress": for_terminal()}
    rows = []
    for name, change in runs:
        train = replace(recipe.train, steps=given.steps, validate_every=given.steps, **change)
        work = given.work / name.replace(",", "").replace(" ", "-")
        pipeline.train(given.words, work / "train", train, **shared)
        few = replace(recipe.evaluate, dtw_tokens=0, players=1, draws=20)
        pipeline.evaluate(work / "train", recipe.evaluate_on, work / "few", few, **shared)
        pipeline.export(work / "train", work / "model", ExportConfig(int8=False), **shared)
        stream = EvaluateConfig(
            stream=given.background, stream_draws=1, stream_speakers=tuple(given.speakers), targets=tuple(given.targets)
        )
        evaluate_stream(work / "model" / "model.onnx", recipe.evaluate_on, given.background, work / "stream", stream, **shared)
        rows.append([name, *figures(work)])
        print(*rows[-1], sep="  ", flush=True)
    print_table(["", "validation AP", "closed set", "at 1 % FAR", "AP", *MISSED], *rows)


MISSED = [f"missed, {kind}" for kind in ("isolated", "running")]


def figures(work: Path) -> list[str]:
    validation = json.loads((work / "train" / "best.json").read_text("utf-8"))["validation"]["validation_ap"]
    protocols = json.loads((work / "few" / "metrics.json").read_text("utf-8"))["data"][0]["protocols"]
    few = protocols["open_set"]["shots"]["10"]
    streams = json.loads((work / "stream" / "metrics.json").read_text("utf-8"))["streams"]
    clean = {one["material"]: one for one in streams if one["condition"] == "clean"}
    missed = [next(point for point in clean[kind]["own"] if point["rate"] == STREAM_RATE) for kind in ("isolated", "running")]
    return [
        f"{validation:.3f}",
        f"{100 * few['closed']['mean']:.1f}",
        f"{100 * few['accuracy_at_1_far']['mean']:.1f}",
        f"{protocols['same_different']['estimates']['ap']['value']:.3f}",
        *(f"{100 * point['missed']['value']:.1f}" for point in missed),
    ]


if __name__ == "__main__":
    main()
