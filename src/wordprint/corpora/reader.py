"""What a corpus reader yields, and what the readers share.

A corpus is one function in one small file:

    def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]

It finds recordings and transcripts and never opens the audio: `end_s=UNTIL_END` says "to the end of the recording"
and the stage reads the length from the header. What can't be used is yielded as a `Problem`, so that it is counted and
named in the receipt. Ids and speakers are the corpus's own; the stage puts its name before them.
Utterances come in an order that doesn't depend on the file system.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wordprint.speech.formats import AUDIO_SUFFIXES, rank

UNTIL_END = math.inf
"""`end_s` of an utterance that lasts until its recording ends."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An item that can't be used: `reason` is the slug counted in the receipt, `detail` a line for people."""

    item: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a corpus: its path, and the names of its files, sorted; or why these can't be listed."""

    path: Path
    files: tuple[str, ...] = ()
    problem: Problem | None = None

    def recordings(self) -> dict[str, Path]:
        """Audio files by name without ending, sorted; FLAC and WAV win over other formats of the same name."""
        found: dict[str, Path] = {}
        for name in sorted(self.files, key=lambda name: (rank(os.path.splitext(name)[1]), name)):
            path = self.path / name
            if path.suffix.lower() in AUDIO_SUFFIXES:
                found.setdefault(path.stem, path)
        return dict(sorted(found.items()))


def folders(root: Path) -> Iterator[Folder]:
    """Every folder below `root` and itself, in a fixed order; hidden files and folders are left out.

    A folder that can't be listed has the problem `unreadable_folder`, which readers yield.
    """
    errors: list[OSError] = []
    for path, names, files in os.walk(root, onerror=errors.append):
        yield from _unreadable(root, errors)
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Folder(Path(path), tuple(sorted(name for name in files if not name.startswith("."))))
    yield from _unreadable(root, errors)


def _unreadable(root: Path, errors: list[OSError]) -> Iterator[Folder]:
    """The folders that `os.walk` met these errors in; empties the list."""
    while errors:
        error = errors.pop(0)
        path = Path(error.filename)
        detail = f"{path}: {error.strerror}; check its permissions"
        yield Folder(path, problem=Problem(path.relative_to(root).as_posix(), "unreadable_folder", detail))


def read_lines(path: Path, separator: str | None = None) -> Iterator[str | Problem]:
    """Non-empty lines of a UTF-8 text file, stripped.

    A line in another encoding is a Problem named after its first field (up to `separator`, white space when None), the
    utterance's id in every format read here; a file that can't be read is one Problem.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    item = raw.decode("ascii", "backslashreplace").split(separator, 1)[0].strip()
                    yield not_utf8(item, f"{path}:{number}", error)
                    continue
                if line:
                    yield line
    except OSError as error:
        yield Problem(path.name, "unreadable_transcript", f"{path}: {error.strerror or error}")


def read_text(path: Path, item: str) -> str | Problem:
    """A whole UTF-8 text file as the transcript of `item`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return not_utf8(item, str(path), error)
    except OSError as error:
        return Problem(item, "unreadable_transcript", f"{path}: {error.strerror or error}")


def not_utf8(item: str, where: str, error: UnicodeDecodeError) -> Problem:
    """The problem of a transcript in another encoding."""
    byte = error.object[error.start]
    return Problem(item, "not_utf8", f"{where} has byte 0x{byte:02x}; convert it: iconv -f latin1 -t utf-8")


def missing_audio(item: str, where: Path) -> Problem:
    """The problem of a transcript without a recording."""
    return Problem(item, "missing_audio", f"transcribed, but not in {where}")


def missing_transcript(item: str, where: Path) -> Problem:
    """The problem of a recording without a transcript."""
    return Problem(item, "missing_transcript", f"recorded, but not in {where}")
