"""The receipt of a stage, `stage.json`: what it was made from, with what, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.stages.manifest import digest_file, digest_tree, digest_value

SCHEMA = "wordprint.stage/1"
RECEIPT = "stage.json"
PARTIAL = "stage.partial.json"
ASIDE = frozenset({"mfa"})
"""Folders of logs and models that a stage keeps beside its results: no later stage reads them."""


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
    def kept(self) -> str:
        """What came of it in one line: items kept, those dropped by reason, and the seconds it took."""
        counts = self.counts
        line = f"{counts.get('kept', 0)} of {counts.get('in', 0)} kept"
        if counts.get("dropped"):
            line += " (dropped: " + ", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items()) + ")"
        return f"{line}, {self.wall_s:.1f} s"

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.fresh:
            return f"{self.stage}: already done in {self.output} (same inputs and options)"
        return f"{self.stage}: {self.kept} → {self.output}"


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


def git_revision() -> str | None:
    """Revision of the wordprint source when it runs from a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(["git", "-C", os.fspath(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return None
    return result.stdout.strip() or None
