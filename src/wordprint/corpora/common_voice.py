"""Common Voice: sentences read by volunteers in over a hundred languages, CC0 1.0 (Ardila et al., LREC 2020).

A release `cv-corpus-…/LANG/` has lists of utterances (`validated.tsv`, `train.tsv`, …) and their recordings in `clips/`. A
list is a table with a header; releases add columns and move them, so columns go by name. Fields are never quoted: a
quotation mark is part of the sentence. The recordings of a list are not looked for here: the stage opens each anyway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem, missing_transcript, not_utf8
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.disk_table import Table
from wordprint.stages.hashing import digest64
from wordprint.stages.textfile import read_lines
from wordprint.stages.walk import subfolders

LAYOUT = "cv-corpus-…/LANG with validated.tsv and clips/"
LICENCE = "CC0-1.0"
LISTS = ("validated", "train", "dev", "test", "invalidated", "other")
"""The lists of every release; the second to fourth are parts of the first."""

_CLIPS = "clips"
_NEEDED = ("client_id", "path", "sentence")
_ABOUT = ("age", "gender", "accents", "variant", "sentence_domain", "up_votes", "down_votes")
_OLD_NAMES = {"accent": "accents"}
_CLIENT_ID = re.compile(r"[0-9a-f]{128}")
_SPEAKER_DIGITS = 24
"""Of a client id (SHA-512): 96 bits, so that two of a million speakers meet with a chance of 1 in 10^17."""


def detect(path: Path) -> bool:
    """Whether the folder is a language of a release, holds one, or holds a release."""
    return next(_languages(path), None) is not None


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances list by list, language by language; `meta` holds client id, list, votes and what the speaker told.

    Raises InputError for a folder without a release, a list that is missing and a list without the columns it needs.
    """
    limit = config.common_voice_max_per_speaker
    lists = [_list(folder, name) for folder in _languages(path) for name in config.common_voice_lists]
    if not lists:
        raise InputError(f"{path} holds no release of Common Voice", LAYOUT, "unpack the release and name its folder")
    if limit is None:
        for each in lists:
            yield from each.items()
    else:
        yield from _limited(lists, limit)


def _languages(path: Path, depth: int = 2) -> Iterator[Path]:
    """Folders of languages in a fixed order, `path` or at most `depth` below it; `clips/` with its million files isn't listed."""
    try:
        found = (path / _CLIPS).is_dir() and any((path / f"{name}.tsv").is_file() for name in LISTS)
        names = subfolders(path) if depth and not found else []
    except OSError:  # no release can be read there
        return
    if found:
        yield path
    for name in names:
        yield from _languages(path / name, depth - 1)


@dataclass(frozen=True, slots=True)
class _List:
    """One table: its file, the language's folder, and the columns of its header."""

    path: Path
    folder: Path
    columns: tuple[str, ...]

    def items(self) -> Iterator[Utterance | Problem]:
        """An utterance or a problem per row, in order."""
        for number, line in read_lines(self.path):
            if number > 1 and (isinstance(line, UnicodeDecodeError) or line.rstrip("\r\n")):
                yield self._item(number, line)

    def _item(self, number: int, line: str | UnicodeDecodeError) -> Utterance | Problem:
        where, place = f"{self.path}:{number}", f"{self.folder.name}/{self.path.name}:{number}"
        if isinstance(line, UnicodeDecodeError):
            return not_utf8(place, where, line)
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) != len(self.columns):
            detail = f"{where} has {len(fields)} fields, its header {len(self.columns)}"
            return Problem(place, "bad_row", detail)
        row = dict(zip(self.columns, fields, strict=True))
        clip, ending = os.path.splitext(row["path"])
        if ending.lower() not in AUDIO_SUFFIXES:  # early releases leave it out
            clip, ending = row["path"], ".mp3"
        name = os.path.basename(clip)
        if not name:
            return Problem(place, "missing_audio", f"{where} names no recording")
        if not row["client_id"]:
            return Problem(name, "missing_speaker", f"{where} has no client_id")
        if not row["sentence"].strip():
            return missing_transcript(name, self.path)
        return Utterance(
            name,
            _speaker(row["client_id"]),
            os.path.join(self.folder, _CLIPS, clip + ending),
            0.0,
            UNTIL_END,
            row["sentence"],
            row.get("locale") or self.folder.name,
            {"list": self.path.stem, "client_id": row["client_id"], **_about(row), "licence": LICENCE},
        )


def _list(folder: Path, name: str) -> _List:
    """The list of that name; raises InputError where it is missing or has other columns."""
    path = folder / f"{name}.tsv"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.tsv")))
        raise InputError(f"{folder} has no {path.name}", f"a list that is there ({there})", "name lists with --common-voice-lists")
    try:
        _, header = next(read_lines(path), (1, ""))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", remedy="check its permissions") from error
    if isinstance(header, UnicodeDecodeError):
        problem = not_utf8(path.name, str(path), header)
        raise InputError(problem.detail, reason=problem.reason) from header
    columns = tuple(_OLD_NAMES.get(column.strip(), column.strip()) for column in header.split("\t"))
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise InputError(
            f"{path} has no column '{missing[0]}' (it has: {', '.join(columns)[:200]})",
            expected=f"a header with {', '.join(_NEEDED)}, separated by tabs",
            remedy="take the list as the release has it: a spreadsheet may have rewritten it",
        )
    return _List(path, folder, columns)


def _speaker(client_id: str) -> str:
    """A client id short enough for names of files and tables; other ids stay as they are."""
    return client_id[:_SPEAKER_DIGITS] if _CLIENT_ID.fullmatch(client_id) else client_id


def _about(row: dict[str, str]) -> dict[str, Any]:
    """What is known of the speaker and the sentence, votes as numbers; empty fields are left out."""
    known = ((name, row.get(name, "").strip()) for name in _ABOUT)
    return {name: int(value) if name.endswith("votes") and value.isdecimal() else value for name, value in known if value}


def _limited(lists: list[_List], limit: int) -> Iterator[Utterance | Problem]:
    """At most `limit` utterances of a speaker, those with the lowest hashes: no other speaker, list or order changes the choice.

    Two passes over the lists with the hashes on disk, so that memory doesn't grow.
    """
    with Table() as ranked, Table() as highest:
        for each in lists:
            for item in each.items():
                if isinstance(item, Utterance):
                    ranked.add(f"{item.speaker}\t{_hash(item)}")
        for speaker, keys in groupby(ranked.unused(), key=lambda key: key.rpartition("\t")[0]):
            for key in islice(keys, limit - 1, limit):
                highest.add(speaker, key.rpartition("\t")[2])
        for each in lists:
            for item in each.items():
                last = highest.get(item.speaker) if isinstance(item, Utterance) else None
                if isinstance(item, Utterance) and last is not None and _hash(item) > last:
                    yield Problem(item.utterance_id, "over_speaker_limit", f"{limit} others of its speaker are taken")
                else:
                    yield item


def _hash(utterance: Utterance) -> str:
    return digest64(utterance.utterance_id).hex()
