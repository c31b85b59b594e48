"""Rates of this machine: the stages really run, each in a process of its own, on a sample in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wordprint.config import RunConfig
from wordprint.desk import machine
from wordprint.desk.plan.predict import Rate, Rates
from wordprint.desk.plan.sample import Sample, write_repeated, write_sample
from wordprint.desk.plan.trial import Trial, run_trial
from wordprint.stages.manifest import ALIGNMENTS, UTTERANCES, read_jsonl
from wordprint.stages.receipt import read_receipt

HEADERS = 24
"""How many times `prepare` gets the sample for its larger run, and with it a second of work."""

LARGER_HOURS = 1 / 3
"""About how much audio the larger runs of `validate` and `words` get, from a sample that is taken several times if need be."""

_SMALL = 6
"""The smaller run takes every sixth utterance of the sample."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The rates, and what they were measured on."""

    rates: Rates
    utterances: int
    hours: float
    load: float | None
    """Processes that wanted a core before the measurement began (None: this system doesn't tell)."""


def measure(sample: Sample, config: RunConfig, folder: Path, say: Say) -> Measured:
    """Run the stages on `sample` in `folder` and return their rates with the options of `config`.

    Nothing is dropped for being rare and all speakers and words are trained on: a sample is too small for filters and splits.
    Raises the error of a stage that can't work on the sample.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    words = replace(
        config.words, min_tokens=1, min_speakers=1, validation_speakers=0.0, test_speakers=0.0, validation_words=0.0, test_words=0.0
    )
    bench = _Bench(replace(config, words=words), folder, say)
    prepare = bench.prepare(sample)
    # repetitions are duplicates, which it drops: its manifest is measured by that of `prepare`
    validate = replace(bench.stage("validate", bench.lines), bytes_per_hour=prepare.bytes_per_hour)
    align = bench.stage("align", bench.lines)
    gain = bench.gain()
    lines = list(read_jsonl(folder / "align-1" / ALIGNMENTS))
    cut = bench.stage("words", lines, beside=folder / "align-1")
    train = bench.train()
    cores = machine.cores()
    return Measured(Rates((prepare, validate, align, cut, train), gain, cores), len(sample), bench.hours(bench.lines), load)


class _Bench:
    """Trials of the stages in one folder; `STAGE-0` and `STAGE-1` are the outputs of a smaller and a larger run."""

    def __init__(self, config: RunConfig, folder: Path, say: Say) -> None:
        self.config, self.folder, self.say = config, folder, say
        self.lines: list[dict[str, Any]] = []
        self.trials: dict[str, Trial] = {}

    def prepare(self, sample: Sample) -> Rate:
        """Read the headers of the sample; its manifest is what the next stages are measured on."""
        repeats = [1, 1, HEADERS]
        runs = [
            (write_sample(sample, self.folder / f"sample-{number}", count), self.folder / name)
            for number, (count, name) in enumerate(zip(repeats, ("prepare-w", "prepare-0", "prepare-1"), strict=True))
        ]
        self.say("plan: measuring prepare")
        trial = run_trial("prepare", runs, self.config, self.folder)
        self.lines = list(read_jsonl(self.folder / "prepare-0" / UTTERANCES))
        larger = list(read_jsonl(self.folder / "prepare-1" / UTTERANCES))
        rate = self._rate("prepare", trial, self.lines, larger)
        listing_s = sample.listing_s * len(self.lines) / self.hours(self.lines)  # the layout of the corpus, which the sample hasn't
        headers = f"{len(larger)} headers, and finding the utterances"
        return replace(
            rate, work_s_per_hour=rate.work_s_per_hour + listing_s, pace=_pace(rate.work_s_per_hour + listing_s), basis=headers
        )

    def stage(self, stage: str, lines: list[dict[str, Any]], beside: Path | None = None) -> Rate:
        """A stage that reads a manifest of `lines` (its file lies in the folder `beside`, where it has to be there)."""
        self.say(f"plan: measuring {stage}")
        repeats = 1 if stage == "align" else max(1, round(LARGER_HOURS / self.hours(lines)))
        small, where = lines[::_SMALL], beside or self.folder
        inputs = [write_repeated(where / f"{stage}-0.jsonl", small, 1), write_repeated(where / f"{stage}-1.jsonl", lines, repeats)]
        runs = [(path, self.folder / path.stem) for path in inputs]
        if stage == "align" and self.config.align.aligner == "mfa":
            return self._mfa(runs, small, lines)
        self.trials[stage] = run_trial(stage, [(runs[0][0], self.folder / f"{stage}-w"), *runs], self.config, self.folder)
        return self._rate(stage, self.trials[stage], small, lines * repeats)

    def _mfa(self, runs: list[tuple[Path, Path]], small: list[dict[str, Any]], lines: list[dict[str, Any]]) -> Rate:
        """MFA starts anew for every shard, so what starting costs comes back with the hours; warming up would take too long."""
        rate = self._rate("align", run_trial("align", runs, self.config, self.folder), small, lines)
        work = rate.work_s_per_hour + rate.fixed_s / self.config.align.mfa_shard_hours
        return replace(rate, work_s_per_hour=work, pace=_pace(work))

    def gain(self) -> float:
        """What a second worker adds, measured on alignment, or on validation where a program aligns; 0 with one core."""
        if machine.cores() < 2:
            return 0.0
        stage = "align" if self.config.align.aligner != "mfa" else "validate"
        self.say(f"plan: measuring {stage} with two workers")
        runs = [(self.folder / f"{stage}-{size}.jsonl", self.folder / f"{stage}-two-{size}") for size in (0, 1)]
        two = run_trial(stage, runs, self.config, self.folder, workers=2)
        return min(1.0, max(0.0, self.trials[stage].runs_s[-1] / two.runs_s[-1] - 1.0))

    def train(self) -> Rate:
        """Time some steps; disk and start-up don't depend on the hours, memory does with the number of segments."""
        self.say("plan: measuring train")
        words, fewer = self.folder / "words-1", self.folder / "words-0"
        trial = run_trial("train", [([str(words), str(fewer)], self.folder / "train")], self.config, self.folder)
        facts, config = trial.facts, self.config.train
        step_s = facts["step_s"] / facts["batch_share"]
        segments = read_receipt(words).counts["kept"] / self.hours(read_jsonl(self.folder / "align-1" / "words-1.jsonl"))
        fixed_s = trial.process_s - facts["steps"] * facts["step_s"] + config.steps * step_s
        return Rate(
            "train", fixed_s, 0.0, 0.0, trial.memory_bytes, segments * facts["bytes_per_segment"], workers_help=False,
            pace=f"{1 / step_s:.2g} steps/s", basis=f"{facts['steps']:.0f} of {config.steps} steps, validation not counted",
        )  # fmt: skip

    def hours(self, lines: Iterable[dict[str, Any]]) -> float:
        """Hours of audio of utterances."""
        return sum(float(line["end_s"] - line["start_s"]) for line in lines) / 3600

    def _rate(self, stage: str, trial: Trial, small: list[dict[str, Any]], large: list[dict[str, Any]]) -> Rate:
        """The line through a smaller and a larger run; where noise hides its slope, through the larger one and nothing."""
        hours = [self.hours(lines) for lines in (small, large)]
        disk = [_disk_bytes(self.folder / f"{stage}-{size}") for size in (0, 1)]
        smaller_s, larger_s = trial.runs_s[-2:]
        slope = (larger_s - smaller_s) / (hours[1] - hours[0])
        if slope <= 0:
            slope = larger_s / hours[1]
        fixed_s = trial.start_s + max(0.0, trial.runs_s[0] - slope * hours[0])
        return Rate(
            stage, fixed_s, slope, max(0.0, disk[1] - disk[0]) / (hours[1] - hours[0]), trial.memory_bytes,
            pace=_pace(slope), basis=f"{len(large)} utterances in {larger_s:.1f} s",
        )  # fmt: skip


def _pace(work_s_per_hour: float) -> str:
    return f"{float(f'{3600 / work_s_per_hour:.2g}'):,.0f} × real time"


def _disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk: whole blocks, of which small files waste some."""
    total = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            stat = path.stat()
            total += getattr(stat, "st_blocks", 0) * 512 or stat.st_size
    return total
