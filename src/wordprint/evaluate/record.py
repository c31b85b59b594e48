"""What an evaluation leaves besides its figures: lists of trials with their digests, and the command that gives it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from wordprint.evaluate.options import EvaluateConfig
from wordprint.stages.manifest import digest_file, write_jsonl

METRICS, REPORT, TRIALS = "metrics.json", "report.html", "trials"


def write_list(output: Path, name: str, lines: list[dict[str, Any]]) -> dict[str, str]:
    """Write a list of trials; returns its file and digest for metrics.json."""
    path = output / TRIALS / name
    write_jsonl(path, lines)
    return {"file": f"{TRIALS}/{name}", "sha256": digest_file(path)}


def command_line(model: str | Path, paths: Sequence[Path], output: str | Path, config: EvaluateConfig) -> str:
    """The command line that gives the same figures."""
    words = ["wordprint", "evaluate", str(model), *map(str, paths), "--output", str(output)]
    for option in fields(config):
        value = getattr(config, option.name)
        if value == option.default:
            continue
        flag = option.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return shlex.join(words)
