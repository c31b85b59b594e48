"""Another set of alignments of the same utterances: the folder of an `align` run, or any folder of TextGrids."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from wordprint.align.existing import clip, list_textgrids, names_of, read_for, restore_unknown
from wordprint.errors import AlignmentError, DiskFullError, InputError, kind_of
from wordprint.records import Interval, Utterance
from wordprint.stages.manifest import ALIGNMENTS, atomic_path, resolve

MISSING = "not_in_second_alignment"
"""Reason of an utterance or word that the other alignments don't have."""


def textgrid_folder(alignments: str | Path) -> Path:
    """Where the TextGrids of `alignments` lie; raises InputError for a folder that doesn't exist or is unfinished.

    It is also what a stage hashes: in the folder of `align` other things may come and go.
    """
    folder = Path(alignments)
    if not folder.is_dir():
        raise InputError(kind_of(folder), expected="a folder of TextGrids, or one that 'wordprint align' wrote")
    if (folder / "textgrids").is_dir():
        resolve(folder, ALIGNMENTS, "align")
        return folder / "textgrids"
    return folder


def index_textgrids(folder: Path, index: Path) -> int:
    """Write an index (SQLite) of the TextGrids under `folder` by name without ending; returns how many there are.

    It lies on disk because a dictionary of a million names takes 300 MB in every process. Raises InputError for a
    folder without TextGrids.
    """
    if not index.exists():
        with atomic_path(index) as temporary:
            temporary.unlink(missing_ok=True)
            try:
                _write(temporary, folder)
            except sqlite3.OperationalError as error:
                remedy = "free some space and run the same command again to go on"
                raise DiskFullError(f"{index} can't be written ({error})", remedy=remedy) from error
    with closing(_open(index)) as base:
        count = int(base.execute("SELECT count(*) FROM textgrids").fetchone()[0])
    if not count:
        raise InputError(f"{folder} holds no TextGrids", expected="files that end in .TextGrid")
    return count


def _write(path: Path, folder: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE textgrids (name TEXT, path TEXT, PRIMARY KEY (name, path)) WITHOUT ROWID")
        rows = ((_text(stem), _text(path)) for stem, path in list_textgrids(folder))
        base.executemany("INSERT INTO textgrids VALUES (?, ?)", rows)


def _text(name: str) -> str:
    """A file's name as SQLite takes it: what isn't UTF-8 can't be the name of an utterance."""
    return os.fsencode(name).decode(errors="replace")


def _open(index: Path) -> sqlite3.Connection:
    # a worker of a cluster runs one task after the other, but each in a thread of its own
    return sqlite3.connect(f"{index.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


class SecondAlignments:
    """The words of the other alignments, looked up by utterance through an index that `index_textgrids` wrote."""

    def __init__(self, folder: Path, index: Path) -> None:
        self._folder, self._base, self._marking = folder, _open(index), False

    def find(self, utterance: Utterance) -> str:
        """Path, in the folder, of the TextGrid named after the `utterance_id`, or the id in the corpus it came from.

        Raises AlignmentError with reason MISSING where there is none, ambiguous_textgrid where there are several.
        """
        for name in names_of(utterance):
            rows = self._base.execute("SELECT path FROM textgrids WHERE name = ? ORDER BY path", (name,))
            paths = [str(path) for (path,) in rows]
            if len(paths) > 1:  # the same name in several folders: the speaker's own decides
                paths = [path for path in paths if utterance.speaker.endswith(os.path.basename(os.path.dirname(path)))]
                if len(paths) != 1:
                    raise AlignmentError(f"several TextGrids are named {name} in {self._folder}", reason="ambiguous_textgrid")
            if paths:
                return paths[0]
        raise AlignmentError(f"no TextGrid is named {utterance.utterance_id} in {self._folder}", reason=MISSING)

    def words(self, utterance: Utterance, path: str) -> tuple[Interval, ...]:
        """The words in the TextGrid at `path`, spelled as `normalise` does.

        Raises InputError with reason unreadable_textgrid, no_words_tier or textgrid_mismatch.
        """
        found = read_for(self._folder / path, utterance).words
        return restore_unknown(clip(path, found, utterance), utterance)

    def mark(self, path: str) -> None:
        """Remember a TextGrid as one that an utterance of the first alignments has."""
        if not self._marking:  # SQLite keeps a temporary table on disk when it is large
            self._base.execute("CREATE TEMP TABLE marked (path TEXT PRIMARY KEY)")
            self._marking = True
        self._base.execute("INSERT OR IGNORE INTO marked VALUES (?)", (path,))

    def unmarked(self) -> Iterator[str]:
        """Paths of all other TextGrids, in order."""
        others = "WHERE path NOT IN (SELECT path FROM marked)" if self._marking else ""
        return (path for (path,) in self._base.execute(f"SELECT path FROM textgrids {others} ORDER BY path"))


@lru_cache(maxsize=1)
def open_second(folder: Path, index: Path, run: str) -> SecondAlignments:
    """One per process; `run` is a digest of the folder, so that the index of another run is not taken for this one's."""
    return SecondAlignments(folder, index)
