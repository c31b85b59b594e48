"""The contract of every stage: idempotent, resumable after a kill at any moment, atomic, with a receipt written last.

    def words(alignments: Path, output: Path, config: WordsConfig = WordsConfig(), **how: Unpack[HowToRun]) -> Receipt:
        def work(stage: StageRun) -> Receipt:
            for result in stage.map_shards("words", items, cut, shard_size=64):
                ...                                     # in the order of `items`, for any number of workers
            return stage.finish(total=..., kept=..., outputs=["dataset.json"])

        return run_stage("words", work, output, config, {"alignments": alignments}, **how)

While a stage runs its folder holds `stage.partial.json` (what it is doing) and `.parts/` (what it has done); when it
is complete, `stage.json`, the receipt.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from wordprint.errors import DatasetError, InputError, OutputConflictError, WordprintError, disk_errors, kind_of
from wordprint.stages.cluster import Cluster
from wordprint.stages.drops import Drops
from wordprint.stages.manifest import DROPPED, alone_with, digest_file, read_jsonl, remove_partials, write_json
from wordprint.stages.options import check
from wordprint.stages.packages import imported_versions
from wordprint.stages.progress import SILENT, Progress
from wordprint.stages.receipt import (
    ASIDE,
    PARTIAL,
    RECEIPT,
    SCHEMA,
    Receipt,
    config_to_json,
    digest_input,
    git_revision,
    read_receipt,
)
from wordprint.stages.shards import run_shards

PARTS = ".parts"
_HIDDEN = {PARTS, ".mfa"}
"""What stages hide in their folders; other hidden files are somebody else's: .git, say."""

Item = TypeVar("Item")


class HowToRun(TypedDict, total=False):
    """What every stage takes beside its inputs, output and options; none of it changes a result."""

    workers: int | Cluster
    """Processes of this machine, or a cluster (default: 1)."""
    overwrite: bool
    """Replace another run's output, one that is damaged or unfinished."""
    progress: Progress | None
    """Who is told how far it is."""


class StageRun:
    """A stage in progress; made by `run_stage`."""

    def __init__(
        self, name: str, output: Path, config: Any, inputs: dict[str, str], workers: int | Cluster, progress: Progress
    ) -> None:
        self.name, self.output, self.inputs, self.workers, self.progress = name, output, inputs, workers, progress
        self.config = config_to_json(config)
        self.may_grow = {option.name for option in dataclasses.fields(config) if option.metadata.get("may_grow")}
        self.receipt: Receipt | None = None
        self.started = time.time()
        self.dropped = Drops(output)

    def drop(self, item: str, reason: str, detail: str = "") -> None:
        """Count one item as dropped and name it in `dropped.jsonl`."""
        self.dropped.add(item, reason, detail)

    def drop_many(self, reason: str, count: int, examples: Iterable[str] = ()) -> None:
        """Count items that are too many to be named one by one; the receipt shows a few `examples`."""
        if count:
            self.dropped.add_many(reason, count, examples)

    def map_shards(
        self,
        name: str,
        items: Iterable[Item],
        work: Callable[[list[Item]], list[dict[str, Any]]],
        *,
        shard_size: int,
        total: int | None = None,
        unit: str = "items",
    ) -> Iterator[dict[str, Any]]:
        """Apply `work` to consecutive shards of `items`; yield its JSON results in order.

        Each finished shard is kept in `.parts/`, so that a run that was killed goes on where it stopped. Shards don't
        depend on the workers, so the results don't either. `work` must be importable (it is sent to processes, or to a
        cluster), and name files as `Path`, which on a cluster is made absolute.
        """
        parts = self.output / PARTS
        with disk_errors(self.output):
            parts.mkdir(exist_ok=True)
        shards = enumerate(_shards(items, shard_size))
        # the length is in the name, so that a part cut short by a failing iterator is not taken for the whole one
        jobs = ((parts / f"{name}-{index:06d}-{len(shard)}.jsonl", shard) for index, shard in shards)
        with self.progress.task(name, total, unit) as task:
            for path, count in run_shards(jobs, work, self.workers, self.progress.say):
                yield from read_jsonl(path)
                task.advance(count)

    def finish(self, total: int, kept: int, outputs: Iterable[str], details: dict[str, Any] | None = None) -> Receipt:
        """Complete `dropped.jsonl` and, last of all, write the receipt."""
        outputs = sorted({*outputs, DROPPED})
        self.dropped.close()
        remove_partials(self.output)
        counts: dict[str, Any] = {
            "in": total,
            "kept": kept,
            "dropped": dict(sorted(self.dropped.counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        }
        digests = {name: digest_file(self.output / name) for name in outputs}
        wall_s = round(time.time() - self.started, 3)
        record = {
            "schema": SCHEMA,
            "stage": self.name,
            "config": self.config,
            "inputs": self.inputs,
            "seed": self.config.get("seed"),
            "counts": counts,
            "dropped_items": dict(sorted(self.dropped.examples.items())),
            "details": details or {},
            "outputs": digests,
            "packages": imported_versions(),
            "git_revision": git_revision(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": wall_s,
        }
        write_json(self.output / RECEIPT, record)
        _clear_progress(self.output)
        return Receipt(self.name, self.output, self.config, self.inputs, counts, digests, details or {}, wall_s)


def run_stage(
    name: str,
    work: Callable[[StageRun], Receipt],
    output: str | Path,
    config: Any,
    inputs: Mapping[str, str | Path],
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Have `work` done in the output folder unless it is done already; see the module's head, and `open_stage` for errors."""
    with open_stage(name, output, config, inputs, workers=workers, overwrite=overwrite, progress=progress) as stage:
        return stage.receipt or work(stage)


@contextmanager
def open_stage(
    name: str,
    output: str | Path,
    config: Any,
    inputs: Mapping[str, str | Path],
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Iterator[StageRun]:
    """Check the options and enter the output folder of a stage; where it was done before, `receipt` is that of then.

    Raises ConfigError for an option that is out of its range, OutputConflictError when the folder holds what the stage reads,
    another run (what differs is named), lacks files of its receipt, or holds files that no stage wrote, unless `overwrite`, which
    empties folders that wordprint wrote, never any other, and never an input; and when another process is at work in it.
    """
    check(config)
    output = Path(output)
    keep_apart(output, *inputs.values())
    digests = {key: digest_input(path) for key, path in inputs.items()}
    stage = StageRun(name, output, config, digests, workers, progress or SILENT)
    with disk_errors(output):
        done = _already_there(stage, overwrite)
    if done:
        stage.receipt = read_receipt(output)
        _clear_progress(output)  # a kill just after the receipt was written leaves them
        stage.progress.say(stage.receipt.summary)
        yield stage
        return
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        with alone_with(output / RECEIPT, wait=False):
            if overwrite:
                _empty(output)
            try:
                write_json(output / PARTIAL, {"schema": SCHEMA, "stage": name, "config": stage.config, "inputs": digests})
                (output / RECEIPT).unlink(missing_ok=True)
                with stage.dropped:
                    yield stage
            except WordprintError as error:
                # the same command would end the same way, and a mended one is another: nothing here is worth keeping but logs
                if isinstance(error, DatasetError) and not any((output / name).is_dir() for name in ASIDE):
                    _empty(output)
                _withdraw(output)
                raise


def keep_apart(output: Path, *inputs: str | Path) -> None:
    """Refuse an output folder that is an input, or holds one: `--overwrite` would remove what the stage is to read."""
    folder = os.path.realpath(output)  # Path.resolve fails for a link to itself
    for path in map(Path, inputs):
        if path.exists() and path.resolve().is_relative_to(folder):
            raise OutputConflictError(f"{output} holds {path}, which is to be read", remedy="choose another output folder")


def _already_there(stage: StageRun, overwrite: bool) -> bool:
    """True when the stage is complete; False when it is to start or go on; raises when the folder is another's."""
    output = stage.output
    if os.path.lexists(output) and not output.is_dir():
        raise OutputConflictError(kind_of(output), expected="a folder to write to")
    if not output.is_dir() or all(entry.name.startswith(".") for entry in output.iterdir()):
        return False
    marker = next((output / name for name in (RECEIPT, PARTIAL) if (output / name).is_file()), None)
    if marker is None:
        stages = sorted(path.parent.name for path in output.glob(f"*/{RECEIPT}"))
        raise OutputConflictError(
            f"{output} holds the folders of stages ({', '.join(stages)})"
            if stages
            else f"{output} holds files that no wordprint stage wrote",
            expected="a new or empty folder",
            remedy="choose another output folder",
        )
    difference, grown = _difference(stage, marker)
    finished = marker.name == RECEIPT
    seen = f"holds another run: {difference}" if difference else _damage(output, overwrite) if finished else ""
    if seen and not overwrite:
        raise OutputConflictError(f"{output} {seen}", remedy="choose another output folder, or add --overwrite to replace it")
    return finished and not grown and not seen


def _damage(output: Path, thorough: bool) -> str:
    """What is wrong with the files of a finished stage, or an empty string; `thorough` compares their bytes, too."""
    try:
        outputs = read_receipt(output).outputs
    except InputError:
        return f"has a damaged {RECEIPT}"
    for name, digest in outputs.items():
        if not (output / name).is_file():
            return f"lacks {name}, which its receipt names"
        if thorough and digest_file(output / name) != digest:
            return f"has another {name} than its receipt names"
    return ""


def _clear_progress(output: Path) -> None:
    """Remove what only an unfinished stage needs."""
    (output / PARTIAL).unlink(missing_ok=True)
    shutil.rmtree(output / PARTS, ignore_errors=True)


def _withdraw(output: Path) -> None:
    """Give back a folder in which nothing was done, so that the command can be mended and run again."""
    with suppress(OSError):
        (output / PARTS).rmdir()  # where no shard was finished
    if all(entry.name == PARTIAL or _is_foreign(entry) for entry in output.iterdir()):
        (output / PARTIAL).unlink(missing_ok=True)
        with suppress(OSError):  # a link, a mount, the current folder
            output.rmdir()


def _empty(output: Path) -> None:
    """Remove all that a stage wrote but its PARTIAL, which a kill then leaves empty: no run goes on with half of another.

    The folder itself stays, for it may be a link, a mount or where the user is.
    """
    with suppress(FileNotFoundError):
        (output / RECEIPT).replace(output / PARTIAL)
    with suppress(FileNotFoundError):
        os.truncate(output / PARTIAL, 0)
    remove_partials(output)
    for entry in output.iterdir():
        if entry.name == PARTIAL or _is_foreign(entry):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_foreign(entry: Path) -> bool:
    return entry.name.startswith(".") and entry.name not in _HIDDEN


def _difference(stage: StageRun, marker: Path) -> tuple[str, bool]:
    """What differs between this run and the one recorded in `marker` (or an empty string), and whether an option has grown."""
    try:
        there = json.loads(marker.read_text(encoding="utf-8"))
        if not isinstance(there, dict):
            raise ValueError("no object")
    except ValueError:
        return f"{marker.name} is damaged", False
    if there.get("schema") != SCHEMA:
        return f"written with schema {there.get('schema')!r}, this is {SCHEMA}", False
    if there.get("stage") != stage.name:
        return f"it was written by '{there.get('stage')}', this is '{stage.name}'", False
    old, new = there.get("config", {}), stage.config
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    grown = [key for key in changed if key in stage.may_grow and key in old and old[key] < new[key]]
    changes = [f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in changed if key not in grown]
    before = there.get("inputs", {})
    changes += [
        f"input '{key}' has changed" for key in sorted({*before, *stage.inputs}) if before.get(key) != stage.inputs.get(key)
    ]
    return ", ".join(changes), bool(grown)


def _shards(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while shard := list(islice(iterator, size)):
        yield shard
