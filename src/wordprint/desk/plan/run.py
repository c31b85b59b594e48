"""The command `plan`: check what is asked, measure, predict, and lay it out as a table."""

from __future__ import annotations

import math
import shlex
import tempfile
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from wordprint.align.options import AlignConfig
from wordprint.config import RunConfig
from wordprint.corpora.source import SYNTHETIC
from wordprint.desk import machine
from wordprint.desk.plan.measure import Measured, measure
from wordprint.desk.plan.predict import Expected, predict, speedup
from wordprint.desk.plan.sample import draw_sample
from wordprint.errors import ConfigError, WordprintError, disk_errors
from wordprint.stages.packages import require
from wordprint.stages.progress import SILENT, Progress

UTTERANCES = 96
"""Utterances of the sample: a few minutes of speech."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked, what it rests on, and what it will take."""

    hours: float
    workers: int
    aligner: str
    steps: int
    sources: tuple[str, ...]
    measured: Measured
    expected: list[Expected]
    work: Path
    free_disk_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def disk_bytes(self) -> float:
        return sum(stage.disk_bytes for stage in self.expected)


def plan(
    hours: float,
    workers: int | None = None,
    config: RunConfig = RunConfig(),
    *,
    work: Path = Path(),
    utterances: int = UTTERANCES,
    progress: Progress | None = None,
) -> Plan:
    """Time, disk and memory of `wordprint run` with `config` on `hours` of audio like that of its sources.

    `workers` defaults to the cores of this machine. The sample is worked on in a temporary folder beside `work`, so on its
    disk. Raises ConfigError for hours or workers that make no sense, MissingExtraError before any work, and the error of
    a stage that fails on the sample.
    """
    workers = machine.cores() if workers is None else workers
    _check(hours, workers, utterances)
    require(["align", "words", "train", *(["synthetic"] if SYNTHETIC in config.sources else [])], "planning")
    config, notes = _measurable(config)
    progress = progress or SILENT
    home = machine.existing_parent(work)
    with disk_errors(home), tempfile.TemporaryDirectory(prefix=".wordprint-plan-", dir=home) as name:
        folder = Path(name)
        progress.say(f"plan: taking a sample of {utterances} utterances")
        sample = draw_sample(config.sources, config.prepare, utterances, folder / "speech", machine.cores())
        measured = measure(sample, config, folder, progress.say)
    expected = predict(measured.rates, hours, workers)
    return Plan(
        hours, workers, config.align.aligner, config.train.steps, config.sources, measured, expected, work,
        machine.free_disk_bytes(work), notes,
    )  # fmt: skip


def _check(hours: float, workers: int, utterances: int) -> None:
    if not (math.isfinite(hours) and hours > 0):
        raise ConfigError(f"hours is {hours:g}", expected="a number above 0")
    if workers < 1:
        raise ConfigError(f"workers is {workers}", expected="1 or more")
    if utterances < 24:
        raise ConfigError(f"utterances is {utterances}", expected="24 or more: fewer are too few to measure on")


def _measurable(config: RunConfig) -> tuple[RunConfig, tuple[str, ...]]:
    """The options without what MFA can't be measured with here, and notes that say so: pocketsphinx stands in for it."""
    if config.align.aligner != "mfa":
        return config, ()
    if why := _why_not_mfa(config.align):
        stand_in = AlignConfig(phones=config.align.phones, max_duration_s=config.align.max_duration_s)
        return replace(config, align=stand_in), (f"align is planned with pocketsphinx, not MFA: {why}.",)
    return config, ("MFA's temporary files, which go after each shard, come on top of the disk.",)


def _why_not_mfa(config: AlignConfig) -> str:
    from wordprint.align.mfa.program import mfa_version

    if config.mfa_train:
        return "what MFA takes to train a model can't be told from a sample"
    try:
        mfa_version(shlex.split(config.mfa_command))
    except (WordprintError, ValueError) as error:  # a ValueError: a quote in the command that isn't closed
        return f"{getattr(error, 'seen', error)} (see 'wordprint doctor')"
    return ""


# the table


def as_text(plan: Plan, width: int) -> str:
    """The plan as a table, with what it rests on, in `width` columns."""
    rows = [("stage", "pace of one", "time", "disk", "memory of one")]
    for rate, stage in zip(plan.measured.rates.stages, plan.expected, strict=True):
        memory = "unknown" if stage.memory_bytes is None else machine.in_words(stage.memory_bytes)
        name = f"align ({plan.aligner})" if stage.stage == "align" else stage.stage
        rows.append(
            (name, rate.pace, duration(stage.time_s), machine.in_words(stage.disk_bytes) if stage.disk_bytes else "little", memory)
        )
    rows.append(("export, evaluate", "not measured", "minutes", "little", ""))
    total_s = sum(stage.time_s for stage in plan.expected)
    rows.append(("total", "", duration(total_s), machine.in_words(plan.disk_bytes), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [f"{plan.hours:g} h of audio, {plan.workers} worker{'s' * (plan.workers > 1)}, {plan.steps} steps of training", ""]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
        if row in (rows[0], rows[-2]):
            lines.append("  ".join("─" * size for size in widths))
    lines.append("")
    for note in _notes(plan):
        lines += textwrap.wrap(note, max(width, 60), initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def disk_warning(plan: Plan) -> str | None:
    """A line for people where the disk is too small, else None."""
    if plan.free_disk_bytes >= plan.disk_bytes:
        return None
    need, free = machine.in_words(plan.disk_bytes), machine.in_words(plan.free_disk_bytes)
    return f"{need} will be needed but {free} are free for {plan.work.absolute()}; name another disk with --work"


def _notes(plan: Plan) -> list[str]:
    """What the figures rest on."""
    measured, rates = plan.measured, plan.measured.rates
    synthetic = plan.sources == (SYNTHETIC,)
    speech = "synthetic speech" if synthetic else ", ".join(plan.sources)
    length_s = 3600 * measured.hours / measured.utterances
    own = " Name your corpus to measure on it: longer utterances make fewer files." if synthetic else ""
    notes = [
        *plan.notes,
        f"Measured just now, on this machine, on {measured.utterances} utterances of {speech} ({length_s:.1f} s each), start-up "
        f"apart. {'; '.join(f'{rate.stage}: {rate.basis}' for rate in rates.stages)}.{own}",
    ]
    if plan.workers > 1:
        notes.append(_sharing(plan))
    known = [stage for stage in plan.expected if stage.memory_bytes is not None]
    if plan.workers > 1 and known:
        shared = max((stage for stage in known if stage.processes > 1), key=lambda stage: stage.memory_bytes or 0)
        total = machine.in_words((shared.memory_bytes or 0) * shared.processes)
        notes.append(f"Memory is that of one process; all {plan.workers} of {shared.stage} take {total}.")
    notes.append(
        "train follows from the steps, whatever the hours and workers; its memory grows with the segments. "
        "export and evaluate look at bounded samples, so they take minutes."
    )
    if measured.load is not None and measured.load > 0.5 * rates.cores:
        notes.append(f"The machine was busy (load {measured.load:.1f} on {rates.cores} cores), which slows all of this down.")
    return notes


def _sharing(plan: Plan) -> str:
    rates, workers = plan.measured.rates, plan.workers
    times = f"{workers} workers do {speedup(workers, rates.cores, rates.gain):.1f} times the work of one"
    text = f"{times}, all stages but train: two here did {1 + rates.gain:.2f} times, and more are taken to add as much each."
    if rates.cores == 1:
        text = f"{times}, all stages but train: this machine has one core."
    if workers <= rates.cores:
        return text
    machines = math.ceil(workers / rates.cores)
    return (
        f"{text} Assumed, not measured: beyond the cores of this machine ({rates.cores}) they run on others like it, "
        f"{machines} machines in all (--cluster), with a file system that keeps up."
    )


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `14 min`, `3 h 05 min`, `2.5 days`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes:02d} min"
    return f"{seconds / 86400:.1f} days"
