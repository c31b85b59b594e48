"""The contract of every stage: idempotent, resumable after a kill at any moment, atomic, with a receipt written last.

    with open_stage("align", output, config, inputs={"utterances": folder}) as stage:
        if stage.receipt:                       # same inputs and config were done before
            return stage.receipt
        for result in stage.map_shards("align", items, work, shard_size=64, workers=2, unit="utterances"):
            ...                                 # in the order of `items`, for any number of workers
        return stage.finish(total=..., outputs=["alignments.jsonl"])

While a stage runs its folder holds `stage.partial.json` (what it is doing) and `.parts/` (what it has done); when it
is complete, `stage.json`, the receipt.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from wordprint.errors import ConfigError, DatasetError, InputError, OutputConflictError, WordprintError, disk_errors
from wordprint.stages.cluster import Cluster
from wordprint.stages.drops import Drops
from wordprint.stages.manifest import (
    DROPPED,
    digest_file,
    digest_tree,
    digest_value,
    read_jsonl,
    remove_partials,
    write_json,
)
from wordprint.stages.progress import SILENT, Progress
from wordprint.stages.shards import run_shards

SCHEMA = "wordprint.stage/1"
RECEIPT = "stage.json"
PARTIAL = "stage.partial.json"
PARTS = ".parts"
ASIDE = frozenset({"mfa"})
"""Folders of logs and models that a stage keeps beside its results: no later stage reads them."""

_PACKAGES = ("numpy", "soundfile", "soxr", "pyarrow", "pocketsphinx", "praatio", "espeakng-loader", "torch", "onnxruntime")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a stage did: `counts` are items in, kept and dropped by reason; `outputs` maps file names to SHA-256."""

    stage: str
    output: Path
    config: dict[str, Any]
    inputs: dict[str, str]
    counts: dict[str, Any]
    outputs: dict[str, str]
    details: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    fresh: bool = True
    """False when the stage had been done before and nothing ran."""

    @property
    def show(self) -> list[Path]:
        """What a person would open first: reports and models."""
        return [self.output / name for name in self.outputs if Path(name).suffix in (".html", ".onnx")]

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.fresh:
            return f"{self.stage}: already done in {self.output} (same inputs and options)"
        counts = self.counts
        line = f"{self.stage}: {counts.get('kept', 0)} of {counts.get('in', 0)} kept"
        if counts.get("dropped"):
            line += " (dropped: " + ", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items()) + ")"
        return f"{line}, {self.wall_s:.1f} s → {self.output}"


def config_to_json(config: Any) -> dict[str, Any]:
    """A frozen configuration as plain JSON values (paths as strings, tuples as lists), without what changes no result."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"an option is {value}", expected="a finite number")
        return str(value) if isinstance(value, Path) else value

    values: dict[str, Any] = plain(dataclasses.asdict(config))
    for option in dataclasses.fields(config):
        if not option.metadata.get("changes_results", True):
            del values[option.name]
    return values


def digest_input(path: str | Path) -> str:
    """Fingerprint of a stage's input: of its receipt when wordprint wrote the folder, else of the file or tree."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="a file or folder")
    if path.is_file():
        return digest_file(path)
    if not (path / RECEIPT).is_file():
        return digest_tree(path)
    # folders inside (TextGrids, say) are not in the receipt file by file, and may have been corrected by hand since
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and _is_result(entry))
    return digest_value([read_receipt(path).outputs, {folder.name: digest_tree(folder) for folder in folders}])


def _is_result(folder: Path) -> bool:
    """Whether a folder inside that of a stage is what later stages read: not hidden, no log, and no stage of its own."""
    if folder.name.startswith(".") or folder.name in ASIDE:
        return False
    return not any((folder / name).is_file() for name in (RECEIPT, PARTIAL))


def read_receipt(folder: str | Path) -> Receipt:
    """The receipt of a finished stage."""
    import json

    path = Path(folder) / RECEIPT
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("schema") != SCHEMA:
            raise OutputConflictError(
                f"{path} has schema {record.get('schema')!r}",
                expected=SCHEMA,
                remedy="it was written by another version: use another folder",
            )
        return Receipt(
            stage=record["stage"],
            output=Path(folder),
            config=record["config"],
            inputs=record["inputs"],
            counts=record["counts"],
            outputs=record["outputs"],
            details=record["details"],
            wall_s=record["wall_s"],
            fresh=False,
        )
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no {RECEIPT}", expected="the folder of a finished stage") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error})", remedy="delete it and run the stage again") from error


class StageRun:
    """A stage in progress; made by `open_stage`."""

    def __init__(self, name: str, output: Path, config: dict[str, Any], inputs: dict[str, str], progress: Progress) -> None:
        self.name, self.output, self.config, self.inputs, self.progress = name, output, config, inputs, progress
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
        workers: int | Cluster = 1,
        total: int | None = None,
        unit: str = "items",
    ) -> Iterator[dict[str, Any]]:
        """Apply `work` to consecutive shards of `items`; yield its JSON results in order.

        Each finished shard is kept in `.parts/`, so that a run that was killed goes on where it stopped. Shards don't
        depend on `workers`, so the results don't either. `work` must be importable (it is sent to processes, or to a
        cluster), and name files as `Path`, which on a cluster is made absolute.
        """
        parts = self.output / PARTS
        with disk_errors(self.output):
            parts.mkdir(exist_ok=True)
        shards = enumerate(_shards(items, shard_size))
        # the length is in the name, so that a part cut short by a failing iterator is not taken for the whole one
        jobs = ((parts / f"{name}-{index:06d}-{len(shard)}.jsonl", shard) for index, shard in shards)
        with self.progress.task(name, total, unit) as task:
            for path, count in run_shards(jobs, work, workers, self.progress.say):
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
            "packages": _package_versions(),
            "git_revision": _git_revision(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": wall_s,
        }
        write_json(self.output / RECEIPT, record)
        _clear_progress(self.output)
        return Receipt(self.name, self.output, self.config, self.inputs, counts, digests, details or {}, wall_s)


@contextmanager
def open_stage(
    name: str,
    output: str | Path,
    config: Any,
    inputs: Mapping[str, str | Path],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Iterator[StageRun]:
    """Enter the output folder of a stage; see the module's head.

    Raises OutputConflictError when the folder holds another run (what differs is named) or files that no stage
    wrote, unless `overwrite`, which empties folders that wordprint wrote and never any other.
    """
    output, report = Path(output), progress or SILENT
    settings = config_to_json(config)
    digests = {key: digest_input(path) for key, path in inputs.items()}
    stage = StageRun(name, output, settings, digests, report)
    if _already_there(stage, overwrite):
        stage.receipt = read_receipt(output)
        _clear_progress(output)  # a kill just after the receipt was written leaves them
        report.say(stage.receipt.summary)
        yield stage
        return
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        partial = {"schema": SCHEMA, "stage": name, "config": settings, "inputs": digests}
        write_json(output / PARTIAL, partial)
        (output / RECEIPT).unlink(missing_ok=True)
        try:
            with stage.dropped:
                yield stage
        except DatasetError:
            # the same command would end the same way, and a mended one is another: nothing here is worth keeping but logs
            if not any((output / name).is_dir() for name in ASIDE):
                _remove(output)
            raise
        except WordprintError:
            _withdraw(output)
            raise


def _already_there(stage: StageRun, overwrite: bool) -> bool:
    """True when the stage is complete; False when it is to start or go on; raises when the folder is another's."""
    output = stage.output
    if output.exists() and not output.is_dir():
        raise OutputConflictError(f"{output} is a file", expected="a folder to write to")
    if not output.is_dir() or all(entry.name.startswith(".") for entry in output.iterdir()):
        return False
    marker = next((output / name for name in (RECEIPT, PARTIAL) if (output / name).is_file()), None)
    if marker is None:
        raise OutputConflictError(
            f"{output} holds files that no wordprint stage wrote",
            expected="a new or empty folder",
            remedy="choose another output folder",
        )
    difference = _difference(stage, marker)
    if difference and overwrite:
        _remove(output)
        return False
    if difference:
        raise OutputConflictError(
            f"{output} holds another run: {difference}", remedy="choose another output folder, or add --overwrite to replace it"
        )
    return marker.name == RECEIPT


def _clear_progress(output: Path) -> None:
    """Remove what only an unfinished stage needs."""
    (output / PARTIAL).unlink(missing_ok=True)
    shutil.rmtree(output / PARTS, ignore_errors=True)


def _withdraw(output: Path) -> None:
    """Give back a folder in which nothing was done, so that the command can be mended and run again."""
    with suppress(OSError):
        (output / PARTS).rmdir()  # where no shard was finished
    if {entry.name for entry in output.iterdir()} == {PARTIAL}:
        (output / PARTIAL).unlink()
        output.rmdir()


def _remove(output: Path) -> None:
    """Remove a folder that a stage wrote; under another name first, so that a kill can't leave half of it in place."""
    aside = output.with_name(f".{output.name}.replaced")
    with disk_errors(output):
        if aside.exists():
            shutil.rmtree(aside)
        output.rename(aside)
        shutil.rmtree(aside)


def _difference(stage: StageRun, marker: Path) -> str:
    """What differs between this run and the one recorded in `marker`, or an empty string."""
    import json

    try:
        there = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return f"{marker.name} is damaged"
    if there.get("schema") != SCHEMA:
        return f"written with schema {there.get('schema')!r}, this is {SCHEMA}"
    if there.get("stage") != stage.name:
        return f"it was written by '{there.get('stage')}', this is '{stage.name}'"
    changes = []
    old, new = there.get("config", {}), stage.config
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            changes.append(f"{key} was {old.get(key)!r}, now {new.get(key)!r}")
    changes += [f"input '{key}' has changed" for key in sorted({*there.get("inputs", {}), *stage.inputs})
                if there.get("inputs", {}).get(key) != stage.inputs.get(key)]  # fmt: skip
    return ", ".join(changes)


def _shards(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while shard := list(islice(iterator, size)):
        yield shard


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in ("wordprint", *_PACKAGES):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git_revision() -> str | None:
    """Revision of the wordprint source when it runs from a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(["git", "-C", os.fspath(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return None
    return result.stdout.strip() or None
