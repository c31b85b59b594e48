"""Stage `train`: from a word dataset to the best network found.

One process per device; under `torchrun` each makes its own batches and gradients are averaged. Batches depend on the
seed and the step alone, so a killed run that goes on from its last checkpoint ends with the same weights (on a CPU,
bit for bit).
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack, cast

import numpy as np
from lightning_fabric import Fabric

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import write_text
from wordprint.stages.options import check
from wordprint.stages.parts import find_part
from wordprint.stages.progress import SILENT, Progress
from wordprint.stages.receipt import Receipt
from wordprint.train import checkpoint
from wordprint.train.augment import Sounds
from wordprint.train.data import CPU, TrainingWords
from wordprint.train.device import cpu_threads, make_fabric, part, quiet_libraries
from wordprint.train.loop import HISTORY, Fit
from wordprint.train.options import TrainConfig
from wordprint.train.report import REPORT, render_report
from wordprint.train.teachers import LESSONS, TEACHERS, lessons
from wordprint.train.validation import ValidationWords
from wordprint.words.dataset import WordDataset
from wordprint.words.split import check_leaks


def train(words: str | Path, output: str | Path, config: TrainConfig = TrainConfig(), **how: Unpack[HowToRun]) -> Receipt:
    """Train an encoder on the training side of a word dataset and keep the one that validates best.

    Writes `best.*`, `last.safetensors`, `training_words.txt`, `training_speakers.txt`, `history.jsonl`, `report.html` and
    `tensorboard/` (see checkpoint.py). A run that was killed goes on from `last.*`; so does a finished one that is given more
    `steps`, unless `overwrite`. Raises ConfigError for options that make no sense, LeakError when the dataset's split leaks,
    DatasetError for too few words or speakers, and WordprintError when training diverges.
    """
    check(config)
    quiet_libraries()
    inputs = {"words": words, **{name: path for name, path in (("noise", config.noise), ("rir", config.rir)) if path}}
    fabric = make_fabric(config)
    if not fabric.is_global_zero:
        return _assist(fabric, words, Path(output), config)

    def work(stage: StageRun) -> Receipt:
        fabric.broadcast(None)  # the others' sign to begin
        return _train(stage, fabric, words, config)

    receipt = run_stage("train", work, output, config, inputs, **how)
    if not receipt.fresh:
        fabric.broadcast(receipt)  # in its place
    fabric.broadcast(receipt)
    part()
    return receipt


def _assist(fabric: Fabric, words: str | Path, output: Path, config: TrainConfig) -> Receipt:
    """What every process but the first does: its share of each step, and no files."""
    if fabric.broadcast(None) is None:
        _prepare(fabric, words, output, config, SILENT).run()
    receipt = cast(Receipt, fabric.broadcast(None))
    part()
    return receipt


def _train(stage: StageRun, fabric: Fabric, words: str | Path, config: TrainConfig) -> Receipt:
    fit = _prepare(fabric, words, stage.output, config, stage.progress)
    details = fit.run()
    dataset, trained = fit.words.dataset, fit.words
    codes, splits = dataset.codes("split")
    for split, count in sorted(zip(splits, np.bincount(codes).tolist(), strict=True)):
        if split != "train":
            stage.drop_many(f"split_{split}", count)
    page = render_report(stage.output.name, fit.history, len(trained.words), len(trained.speakers), details)
    write_text(stage.output / REPORT, page)
    files = [f"{checkpoint.BEST}.safetensors", f"{checkpoint.BEST}.json", f"{checkpoint.LAST}.safetensors"]
    return stage.finish(
        total=len(dataset),
        kept=len(trained.indices),
        outputs=[*files, checkpoint.WORDS, checkpoint.SPEAKERS, HISTORY, REPORT],
        details=details,
    )


def _prepare(fabric: Fabric, words: str | Path, output: Path, config: TrainConfig, progress: Progress) -> Fit:
    dataset = WordDataset(words)
    check_leaks(dataset)
    sounds = Sounds.read(config.noise, config.rir, round(config.window_s * SAMPLE_RATE))
    if sounds.unread:
        progress.say(f"{len(sounds.unread)} recordings of noise or rooms are left out, the first: {sounds.unread[0]}")
    taught = None
    if config.teacher is not None:
        teacher = find_part(TEACHERS, config.teacher, "teacher")(cpu_threads(config))
        with fabric.rank_zero_first():  # the others read what the first has written
            taught = lessons(dataset, teacher, output / LESSONS, progress)
    validation = ValidationWords.of(dataset, config)
    if validation is None:
        progress.say("no validation word has two tokens: keeping the last network instead of the best")
    else:
        counts = validation.counts()
        progress.say(
            "validating on {tokens} tokens, {tokens_of_unseen_speakers} of them by speakers not trained on".format(**counts)
        )
    # effects take longer than steps of a GPU when they are computed beside it
    trained = TrainingWords(dataset, config, sounds, taught, fabric.device if fabric.device.type == "cuda" else CPU)
    return Fit(fabric, trained, validation, output, config, progress)
