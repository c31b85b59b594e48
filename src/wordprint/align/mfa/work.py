"""The folders of a run of MFA: where it works, gone when it ends, and where its logs stay."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wordprint.align.mfa.program import Outcome

WORK = ".mfa"
"""Folder of runs in progress, in the stage's output: a container that sees the output sees them too."""

LOGS = Path("mfa", "logs")
"""Beside a stage's results."""

_OWN_LOG_BYTES = 200_000


@contextmanager
def work_folder(output: Path, name: str) -> Iterator[Path]:
    """A folder for one run of MFA, gone when the block ends."""
    (output / WORK).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=output / WORK))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def keep_log(work: Path, outcome: Outcome, log: Path) -> None:
    """Add what a run printed to `log` and, if it failed, the end of the log that MFA itself wrote."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(outcome.text)
        ended = "stopped after the time limit" if outcome.timed_out else f"exit code {outcome.code}"
        file.write(f"--- {ended}\n")
        for own in sorted((work / "temporary").glob("*/*.log")) if outcome.code else ():
            file.write(f"--- {own.name}, written by MFA\n")
            file.write(own.read_bytes()[-_OWN_LOG_BYTES:].decode("utf-8", "replace"))
