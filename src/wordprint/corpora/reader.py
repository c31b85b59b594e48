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
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wordprint.speech.formats import AUDIO_SUFFIXES, rank
from wordprint.stages import textfile
from wordprint.stages.walk import walk

UNTIL_END = math.inf
"""`end_s` of an utterance that lasts until its recording ends."""

_LONGEST_ITEM = 100
_CONTROL = re.compile("[\x01-\x08\x0e-\x1b]")
"""What no text holds; NULs are damage here and there, the rest is white space of some kind."""


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
        """Audio files by name without ending, composed and sorted; FLAC and WAV win over other formats of the same name."""
        names = sorted(self.files, key=lambda name: (rank(os.path.splitext(name)[1]), name))
        return by_stem(path for path in map(self.path.joinpath, names) if path.suffix.lower() in AUDIO_SUFFIXES)


def folders(root: Path) -> Iterator[Folder]:
    """Every folder below `root` and itself, also behind links, in a fixed order; hidden files and folders are left out.

    A folder that can't be listed has the problem `unreadable_folder`, which readers yield; so has a link that leads nowhere,
    unless its name has an ending, as those of files have.
    """
    errors: list[OSError] = []
    for name, files in walk(root, onerror=errors.append):
        yield from _unreadable(root, errors)
        path = Path(name)
        for file in files:
            if "." not in file and not os.path.exists(path / file):
                yield _unusable(root, path / file, "a link that leads nowhere")
        yield Folder(path, tuple(files))
    yield from _unreadable(root, errors)


def _unreadable(root: Path, errors: list[OSError]) -> Iterator[Folder]:
    """The folders that were met with these errors; empties the list."""
    while errors:
        error = errors.pop(0)
        yield _unusable(root, Path(error.filename), f"{error.strerror}; check its permissions")


def _unusable(root: Path, path: Path, why: str) -> Folder:
    return Folder(path, problem=Problem(path.relative_to(root).as_posix(), "unreadable_folder", f"{path}: {why}"))


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by composed name without ending, sorted by it; the first of a name counts, unless only Unicode makes it the same."""
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(composed(path.stem), path)
        if first.stem != path.stem:
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def read_lines(path: Path, separator: str | None = None) -> Iterator[str | Problem]:
    """Non-empty lines of a text file in UTF-8 or UTF-16, stripped, in composed Unicode (NFC), as names of files are compared.

    A line in another encoding is a Problem named after its first field (up to `separator`, white space when None), the
    utterance's id in every format read here; a file that can't be read is one Problem.
    """
    try:
        for number, line in textfile.read_lines(path):
            if isinstance(line, UnicodeDecodeError):
                item = line.object.decode("ascii", "backslashreplace").split(separator, 1)[0].strip()
                yield not_utf8(item[:_LONGEST_ITEM], f"{path}:{number}", line)
            elif control := _CONTROL.search(line):
                yield _no_text(line.split(separator, 1)[0].strip()[:_LONGEST_ITEM], f"{path}:{number}", control[0])
            elif line.strip():
                yield composed(line.strip())
    except OSError as error:
        yield Problem(path.name, "unreadable_transcript", f"{path}: {error.strerror or error}")


def read_text(path: Path, item: str) -> str | Problem:
    """A whole text file, in UTF-8 or UTF-16, as the transcript of `item`."""
    try:
        text = textfile.read_text(path)
        control = _CONTROL.search(text)
        return text if control is None else _no_text(item, str(path), control[0])
    except UnicodeDecodeError as error:
        return not_utf8(item, str(path), error)
    except OSError as error:
        return Problem(item, "unreadable_transcript", f"{path}: {error.strerror or error}")


def not_utf8(item: str, where: str, error: UnicodeDecodeError) -> Problem:
    """The problem of a transcript in another encoding."""
    byte = error.object[error.start]
    return Problem(
        item,
        "not_utf8",
        f"{where} has byte 0x{byte:02x}; convert it: iconv -f ENCODING -t utf-8 (file -i guesses which)",
    )


def _no_text(item: str, where: str, control: str) -> Problem:
    """The problem of bytes that happen to be UTF-8, as UTF-16 of a few characters may be."""
    seen = f"{where} holds the control character 0x{ord(control):02x}: no text, or in another encoding"
    return Problem(item, "not_utf8", f"{seen}; convert it: iconv -f ENCODING -t utf-8 (file -i guesses which)")


def composed(name: str) -> str:
    """A name or text in composed Unicode (NFC): macOS and some archives decompose names of files, tables seldom do."""
    return unicodedata.normalize("NFC", name)


def missing_audio(item: str, where: Path) -> Problem:
    """The problem of a transcript without a recording."""
    return Problem(item, "missing_audio", f"transcribed, but not in {where}")


def missing_transcript(item: str, where: Path) -> Problem:
    """The problem of a recording without a transcript."""
    return Problem(item, "missing_transcript", f"recorded, but not in {where}")
