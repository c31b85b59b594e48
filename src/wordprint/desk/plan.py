"""`plan`: what a corpus will take, told from the receipts of a run on a sample, or of a run that is finished."""

from __future__ import annotations

import math
import os
import tempfile
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from wordprint.config import RunConfig
from wordprint.corpora.source import SYNTHETIC
from wordprint.desk import machine
from wordprint.desk.trial import GROWING, LEAST, STEPS, Took, Trial, disk_bytes_of, hours_of
from wordprint.errors import ConfigError, disk_errors
from wordprint.stages.packages import require
from wordprint.stages.progress import SILENT, Progress
from wordprint.stages.receipt import Receipt, read_receipt
from wordprint.stages.units import readable_bytes, readable_duration


@dataclass(frozen=True, slots=True)
class Expected:
    """What one stage will take, and its pace for people; memory is that of one process, None where it is unknown."""

    stage: str
    pace: str
    time_s: float
    disk_bytes: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked, what it will take, and what that rests on."""

    title: str
    stages: list[Expected]
    notes: list[str]

    @property
    def disk_bytes(self) -> float:
        return sum(stage.disk_bytes for stage in self.stages)


def plan_from_run(hours: float, run: Path) -> Plan:
    """Time and disk for `hours` of audio, in proportion to what the stages of the finished run in the folder `run` took.

    Raises ConfigError for hours that make no sense, InputError where a stage has no receipt.
    """
    _check_hours(hours)
    receipts = {stage: read_receipt(run / stage) for stage in (*GROWING, "train", "export", "evaluate") if _was_run(run, stage)}
    had, stages = hours_of(receipts["prepare"]), []
    for stage, receipt in receipts.items():
        took = Took(had, receipt.wall_s, disk_bytes_of(run / stage))
        if stage in GROWING:
            stages.append(extrapolate(stage, Took(), took, hours))
        elif stage == "train":
            stages.append(trained(receipt, receipt.config["steps"], took.disk_bytes))
        else:
            stages.append(Expected(stage, "any hours", took.wall_s, took.disk_bytes))
    notes = [
        *["Nothing was evaluated there: evaluate takes minutes more, and little disk."] * ("evaluate" not in receipts),
        f"In proportion to the receipts in {run}, of {readable_duration(3600 * had)} of audio; nothing was run now. Start-up "
        "counts as work, so a small run says too much; a stage that was stopped and went on tells of its last part alone.",
        "Times are for the workers and the machine of that run, disk is for its options. Receipts hold no memory.",
    ]
    if any(SYNTHETIC in source for source in receipts["prepare"].config["sources"]):
        notes.append("There prepare spoke a synthetic corpus: most of its time and disk, which recordings don't take.")
    return Plan(f"{hours:g} h of audio, as in {run}", stages, notes)


def plan_from_sample(
    hours: float,
    workers: int | None = None,
    config: RunConfig = RunConfig(),
    *,
    work: Path = Path(),
    utterances: int = 96,
    progress: Progress = SILENT,
) -> Plan:
    """Time, disk and memory of `wordprint run` with `config` on `hours` of audio like that of its sources.

    `workers` defaults to the cores of this machine. The stages run in a temporary folder beside `work`, so on its disk.
    Raises ConfigError for what makes no sense, MissingExtraError before any work, InputError for too small a corpus, and
    WordprintError for a stage that fails on the sample.
    """
    cores, load = machine.cores(), os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    workers, mfa = cores if workers is None else workers, config.align.aligner == "mfa"
    _check_hours(hours)
    if workers < 1 or utterances < LEAST:
        raise ConfigError(f"workers is {workers}, utterances is {utterances}", f"at least 1 worker and {LEAST} utterances")
    if mfa and config.align.mfa_train:
        raise ConfigError("mfa_train is set", remedy="plan without it: what training a model takes can't be told from a sample")
    require(["align", "words", "train", *(["synthetic"] if SYNTHETIC in config.sources else [])], "planning")
    home = machine.existing_parent(work)
    with disk_errors(home), tempfile.TemporaryDirectory(prefix=".wordprint-plan-", dir=home) as name:
        trial = Trial(config, Path(name), progress)
        trial.run(utterances)
        gain = trial.gain() if workers > 1 and cores > 1 and not mfa else 1.0
    # MFA starts anew for each of its shards
    restarts, shared = {"align": config.align.mfa_shard_hours} if mfa else {}, speedup(workers, cores, gain)
    stages = [extrapolate(stage, *trial.took[stage], hours, shared, restarts.get(stage, math.inf)) for stage in GROWING]
    stages.append(trained(trial.receipts["train"], config.train.steps, trial.took["train"][1].disk_bytes))
    notes = [
        f"Measured just now on {trial.speech}: receipts of a run on them, and on a third. The difference is work, which grows "
        "with the hours, the rest start-up. Quick stages are told roughly: validate may take half of what is said.",
        f"train: {STEPS} of {config.train.steps} steps, without validation; its memory grows by some 50 bytes a segment. "
        "export and evaluate, which look at bounded samples, take minutes more, and little disk.",
    ]
    if workers > 1:
        told = "taken to add as much" if mfa or cores == 1 else f"measured, with two, to add {gain:.2f} of it"
        notes.append(f"{workers} workers do {shared:.1f} times the work of one, train aside: each further one is {told}.")
    if workers > cores:
        machines = f"{math.ceil(workers / cores)} machines like this one ({cores} cores)"
        notes.append(f"Assumed, not measured: {machines}, and a file system that keeps up.")
    if load > 0.5 * cores:
        notes.append(f"The machine was busy (load {load:.1f} on {cores} cores), which slows all of this down.")
    title = f"{hours:g} h of audio, {workers} worker{'s' * (workers > 1)}, {config.train.steps} steps of training"
    return Plan(title, [replace(stage, memory_bytes=trial.memory_bytes[stage.stage]) for stage in stages], notes)


def _was_run(run: Path, stage: str) -> bool:
    """False for an evaluation that was skipped, as of a corpus too small for one: the run is finished all the same."""
    return stage != "evaluate" or (run / stage).exists()


def extrapolate(
    stage: str, small: Took, large: Took, hours: float, shared: float = 1.0, restart_hours: float = math.inf
) -> Expected:
    """What `hours` take, on the line through two runs; where noise hides its slope, through the larger one and nothing.

    `shared` divides the work, which is what grows with the hours; start-up, the rest, comes once and every `restart_hours`.
    """
    between = large.hours - small.hours
    work_s = (large.wall_s - small.wall_s) / between
    if work_s <= 0:
        work_s = large.wall_s / large.hours
    start_s = max(0.0, large.wall_s - work_s * large.hours)
    work_s += start_s / restart_hours
    disk_bytes = max(0.0, hours * (large.disk_bytes - small.disk_bytes) / between)
    pace = f"{float(f'{3600 / work_s:.2g}'):,.0f} × real time"
    return Expected(stage, pace, start_s + hours * work_s / shared, disk_bytes)


def trained(receipt: Receipt, steps: int, disk_bytes: int) -> Expected:
    """What `steps` of training take, by the receipt of some; its disk doesn't grow."""
    details, batch = receipt.details, receipt.config["words_per_batch"] * receipt.config["tokens_per_word"]
    step_s = batch * details["processes"] / details["segments_per_s"]
    start_s = max(0.0, receipt.wall_s - details["steps_in_this_run"] * step_s)
    return Expected("train", f"{1 / step_s:.2g} steps/s", start_s + steps * step_s, disk_bytes)


def speedup(workers: int, cores: int, gain: float) -> float:
    """How many times the work of one is done by `workers` on machines of `cores`, where each beside another adds `gain`."""
    machines, rest = divmod(workers, cores)
    return machines * (1 + (cores - 1) * gain) + (1 + (rest - 1) * gain if rest else 0.0)


def as_text(plan: Plan, width: int) -> str:
    """The plan as a table, with what it rests on, in `width` columns."""
    rows = [("stage", "pace of one", "time", "disk", "memory of one")]
    for stage in plan.stages:
        memory = "unknown" if stage.memory_bytes is None else readable_bytes(stage.memory_bytes)
        rows.append((stage.stage, stage.pace, readable_duration(stage.time_s), readable_bytes(stage.disk_bytes), memory))
    total_s = sum(stage.time_s for stage in plan.stages)
    rows.append(("total", "", readable_duration(total_s), readable_bytes(plan.disk_bytes), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [plan.title, ""]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
        if row in (rows[0], rows[-2]):
            lines.append("  ".join("─" * size for size in widths))
    lines.append("")
    for note in plan.notes:
        lines += textwrap.wrap(note, max(width, 60), initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def disk_warning(plan: Plan, work: Path) -> str | None:
    """A line for people where the disk of the folder `work` is too small, else None."""
    free = machine.free_disk_bytes(work)
    if free >= plan.disk_bytes:
        return None
    seen = f"{readable_bytes(plan.disk_bytes)} will be needed but {readable_bytes(free)} are free for {work.absolute()}"
    return f"{seen}; name another disk with --work"


def _check_hours(hours: float) -> None:
    if not (math.isfinite(hours) and hours > 0):
        raise ConfigError(f"hours is {hours:g}", expected="a number above 0")
