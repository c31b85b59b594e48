"""A Common Voice release that the user has: its tarball is extracted into the folder of corpora, its folder is checked.

Since October 2025 releases come only from Mozilla Data Collective, to people who have agreed to its terms; nothing is
downloaded here. A release has one folder for each language, `cv-corpus-…/LANG`, with `validated.tsv` and `clips/`.
"""

from __future__ import annotations

import os
from pathlib import Path

from wordprint.download.archive import first_file
from wordprint.download.folders import RECEIPT, corpus_folder, receipt_of, require_free_place, require_space, unpack
from wordprint.errors import InputError
from wordprint.stages.progress import Progress

COMMON_VOICE = "common-voice"
ADDRESS = "https://mozilladatacollective.com"
LAYOUT = "cv-corpus-…/LANG with validated.tsv and clips/"
_LIST, _CLIPS, _PREFIX = "validated.tsv", "clips", "cv-corpus-"
_GROWTH = 1.1
"""Bytes on the disk per byte of a tarball."""


def take_release(release: str | Path | None, data: str | Path | None, progress: Progress) -> list[Path]:
    """Extract the tarball `release` below `data`, or check the folder `release`; returns the folders of its languages.

    Raises InputError where no path was given (and says where to get one), and for what is no complete release.
    """
    if release is None:
        raise InputError(
            "Common Voice can't be downloaded by a program: releases come only from Mozilla Data Collective",
            remedy=f"get the tarball of your language at {ADDRESS} (free, with an account), "
            f"then run: wordprint download {COMMON_VOICE} FILE.tar.gz",
        )
    path = Path(os.path.abspath(Path(release).expanduser()))
    if path.is_dir():
        languages = _languages(path)
        for language in languages:
            progress.say(_check(language))
        return languages
    if not path.is_file():
        raise InputError(f"{path} does not exist", expected="the tarball or the folder of a Common Voice release")
    return [_extract(path, data, progress)]


def _extract(archive: Path, data: str | Path | None, progress: Progress) -> Path:
    first = first_file(archive)
    if first is None or len(first.parts) < 3 or not first.parts[0].startswith(_PREFIX):
        seen = f"{archive} begins with '{first}'" if first else f"{archive} holds no files"
        raise InputError(seen, expected=f"a Common Voice release of scripted speech: {LAYOUT}")
    name = "/".join(first.parts[:2])
    with corpus_folder(data, COMMON_VOICE) as folder:
        made = folder / name
        if (made / RECEIPT).is_file():
            progress.say(f"{COMMON_VOICE}: already there in {made}")
            return made
        require_free_place(made)
        size_bytes = archive.stat().st_size
        require_space(folder, archive.name, 0, round(size_bytes * _GROWTH))
        receipt = receipt_of(COMMON_VOICE, name, file=archive.name, size_bytes=size_bytes)
        unpack(archive, folder, name, name, receipt, progress, check=lambda inner: progress.say(_check(inner, made)))
    return made


def _languages(path: Path) -> list[Path]:
    """Folders of languages: `path` itself, those in it, or those in the releases in it."""
    for pattern in (_LIST, f"*/{_LIST}", f"*/*/{_LIST}"):
        if found := sorted(path.glob(pattern)):
            return [each.parent for each in found]
    raise InputError(f"{path} holds no {_LIST}", expected=f"a Common Voice release: {LAYOUT}")


def _check(language: Path, name: Path | None = None) -> str:
    """One line on a language that is whole; raises InputError for one that isn't."""
    name = name or language
    if not (language / _LIST).is_file() or not (language / _CLIPS).is_dir():
        raise InputError(f"{name} has no {_LIST} or no {_CLIPS}/", expected=LAYOUT, remedy="get the release again")
    with (language / _LIST).open("rb") as lines:
        listed = max(sum(1 for _ in lines) - 1, 0)
    clips = sum(1 for _ in os.scandir(language / _CLIPS))
    if not listed or clips < listed:
        raise InputError(
            f"{name} lists {listed:,} recordings in {_LIST}, and {clips:,} are in {_CLIPS}/",
            expected="a whole release",
            remedy="extract it again: wordprint download common-voice FILE.tar.gz",
        )
    return f"{COMMON_VOICE} {name.name}: {listed:,} validated recordings, {clips:,} in all"
