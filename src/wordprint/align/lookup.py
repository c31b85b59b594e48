"""Which TextGrid of a folder is an utterance's: of `align`'s own, the Montreal Forced Aligner's, or made by hand."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from wordprint.align.rows import TEXTGRIDS
from wordprint.errors import AlignmentError, InputError, kind_of
from wordprint.records import Utterance
from wordprint.stages.disk_table import Table
from wordprint.stages.manifest import ALIGNMENTS, resolve
from wordprint.stages.walk import walk

NO_TEXTGRID = "no_textgrid"


class TextGrids:
    """The TextGrids under `folder` by name and by path, both without ending; raises InputError where there are none.

    They lie on disk: a dictionary of a million names takes 300 MB in every process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._paths, none = folder, Table(), True
        for path in textgrid_paths(folder):
            stem, none = os.path.splitext(path)[0], False
            for key in {stem, os.path.basename(stem)}:
                self._paths.append(_composed(key), path)
        if none:
            raise InputError(f"{folder} holds no TextGrids", expected="files that end in .TextGrid")

    def find(self, utterance: Utterance) -> str:
        """Path, in the folder, of the TextGrid named after the `utterance_id`, or after the id in the corpus that it came from,
        which may be a path (`anna/two`).

        Raises AlignmentError with reason NO_TEXTGRID where there is none, ambiguous_textgrid where there are several.
        """
        source = str(utterance.meta.get("source_id", utterance.utterance_id))
        for name in names_of(utterance):
            paths = (self._paths.get(_composed(name)) or "").split("//")
            if len(paths) > 1:  # the same name in several folders: the speaker's own decides
                paths = [path for path in paths if utterance.speaker.endswith(os.path.basename(os.path.dirname(path)))]
                if len(paths) != 1:
                    raise AlignmentError(f"several TextGrids are named {name} in {self.folder}", reason="ambiguous_textgrid")
            if paths[0]:
                return paths[0]
        names = " or ".join(dict.fromkeys((utterance.utterance_id, source)))
        raise AlignmentError(f"no TextGrid is named {names} in {self.folder}", reason=NO_TEXTGRID)


def _composed(name: str) -> str:
    """As NFC: macOS names files in NFD."""
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=1)
def process_textgrids(folder: Path, digest: str) -> TextGrids:
    """One per process; `digest`: a folder that changed is read again."""
    return TextGrids(folder)


def textgrid_paths(folder: Path) -> Iterator[str]:
    """Paths, in the folder, of the TextGrids in it and in the folders inside; raises InputError where it doesn't exist."""
    if not folder.is_dir():
        raise InputError(kind_of(folder), expected="a folder of TextGrids")
    for root, names in walk(folder):
        for name in names:
            if name.lower().endswith(".textgrid"):
                yield os.path.relpath(os.path.join(root, name), folder)


def names_of(utterance: Utterance) -> list[str]:
    """What its TextGrid may be called, likeliest first: after itself, or after its recording."""
    names = [str(utterance.meta[key]) for key in ("source_id", "recording_id") if key in utterance.meta]
    return [utterance.utterance_id, *(name for path in names for name in (path, os.path.basename(path)))]


def textgrid_folder(alignments: Path) -> Path:
    """Where the TextGrids of `alignments` lie, a folder that `align` wrote or any other; raises InputError where it doesn't
    exist, is unfinished, or holds none.

    It is also what a stage hashes: in the folder of `align` other things may come and go.
    """
    if (alignments / TEXTGRIDS).is_dir():
        resolve(alignments, ALIGNMENTS, "align")
        alignments = alignments / TEXTGRIDS
    if next(textgrid_paths(alignments), None) is None:
        raise InputError(f"{alignments} holds no TextGrids", expected="files that end in .TextGrid, or a folder that 'align' wrote")
    return alignments
