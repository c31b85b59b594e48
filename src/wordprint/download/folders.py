"""Where a downloaded corpus goes, and how its folder appears there: whole, with a receipt, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wordprint.download.archive import extract
from wordprint.errors import DiskFullError, InputError, OutputConflictError, disk_errors
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import Progress
from wordprint.stages.units import readable_bytes

SCHEMA = "wordprint.download/1"
RECEIPT = ".download.json"
DATA_VARIABLE = "WORDPRINT_DATA"


def data_folder(data: str | Path | None) -> Path:
    """The folder for corpora that was named, or that the environment names; raises InputError where neither does."""
    chosen = data or os.environ.get(DATA_VARIABLE)
    if not chosen:
        raise InputError(
            "no folder for corpora was named",
            expected=f"--data FOLDER or the environment variable {DATA_VARIABLE}",
            remedy=f"for example: export {DATA_VARIABLE}=~/speech",
        )
    return Path(os.path.abspath(Path(chosen).expanduser()))


@contextmanager
def corpus_folder(data: str | Path | None, corpus: str) -> Iterator[Path]:
    """The folder of a corpus below `data`, made, and kept from a second `wordprint download`; the lock goes with the process."""
    folder = data_folder(data) / corpus
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network file system may have no locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                seen = f"another 'wordprint download' is at work in {folder}"
                raise OutputConflictError(seen, remedy="wait until it is done") from error
        yield folder
    finally:
        os.close(handle)


def require_free_place(place: Path) -> None:
    """Raise OutputConflictError for a folder that is in the way: not ours to replace, and maybe not whole."""
    if place.exists():
        raise OutputConflictError(
            f"{place} is there, but 'wordprint download' did not put it there",
            remedy="use it as it is, or move it away to have it downloaded",
        )


def require_space(folder: Path, what: str, archives_bytes: int, extracted_bytes: int) -> None:
    """Raise DiskFullError where what is to come doesn't fit, before hours of work."""
    needed, free = archives_bytes + extracted_bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFullError(
            f"{what} would take {readable_bytes(needed)} ({readable_bytes(extracted_bytes)} of it extracted), and the disk of "
            f"{folder} has {readable_bytes(free)} free",
            remedy="free some space, choose another folder with --data, or take less at once",
        )


def unpack(
    archive: Path,
    folder: Path,
    inside: str,
    makes: str,
    receipt: dict[str, Any],
    progress: Progress,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Extract an archive so that its folder `inside` becomes `folder/makes`: whole, with its receipt in it, as the last thing.

    What lies in the archive outside of that folder (README, tables of speakers) goes to its place before. `check` may raise
    for a folder that is not what it should be; then nothing is kept.
    """
    hidden = folder / f".{archive.name}.extracting"
    with disk_errors(folder):
        if hidden.exists():  # a run that was killed
            shutil.rmtree(hidden)
        try:
            extract(archive, hidden, progress)
            inner = hidden / inside
            if not inner.is_dir():
                raise InputError(f"{archive} holds no folder '{inside}'", remedy="it is not the expected archive")
            if check:
                check(inner)
            write_json(inner / RECEIPT, receipt)
            if inner != hidden:
                _merge(hidden, folder, leave=inner)
            (folder / makes).parent.mkdir(parents=True, exist_ok=True)
            inner.rename(folder / makes)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def receipt_of(corpus: str, item: str, **about: Any) -> dict[str, Any]:
    """What `.download.json` holds."""
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    return {"schema": SCHEMA, "corpus": corpus, "item": item, **about, "finished": finished}


def _merge(source: Path, target: Path, leave: Path) -> None:
    """Move the files of `source` to the same places below `target`; of two, the longer one stays (a table with more speakers)."""
    for root, folders, files in os.walk(source):
        folders[:] = [name for name in folders if Path(root, name) != leave]
        place = target / Path(root).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            there = place / name
            if not there.exists() or there.stat().st_size < Path(root, name).stat().st_size:
                os.replace(Path(root, name), there)
