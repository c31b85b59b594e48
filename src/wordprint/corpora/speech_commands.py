"""Speech Commands v0.02: 105,829 recordings of 35 words, CC BY 4.0 (Warden 2018, arXiv 1804.03209).

`WORD/SPEAKER_nohash_N.wav`, with `validation_list.txt` and `testing_list.txt` naming what is not for training. In a part
without these lists each speaker's side follows from the hash that they were made with. `_background_noise_` and other folders
that begin with `_` hold no words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, composed, folders, missing_audio, read_lines
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.stages.disk_table import Table

LAYOUT = "word/SPEAKER_nohash_N.wav with validation_list.txt and testing_list.txt"
LICENCE = "CC BY 4.0"

_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_NAME = re.compile(r"(.+)_nohash_\d+")
_MAX_PER_CLASS = 2**27 - 1
_VALIDATION_PERCENT, _TEST_PERCENT = 10.0, 10.0


def detect(path: Path) -> bool:
    """Whether the folder has both lists; word folders alone say nothing of their origin."""
    return all((path / name).is_file() for name in _LISTS)


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances of one word each; `meta.split` is train, validation or test.

    Raises InputError where one of the two lists is missing, or there is no recording in a word folder.
    """
    there = [name for name in _LISTS if (path / name).is_file()]
    if len(there) == 1:
        raise InputError(f"{path} has {there[0]} but not the other list", "validation_list.txt and testing_list.txt, or neither")
    with Table() as listed:
        for name in there:
            for line in read_lines(path / name):
                if isinstance(line, Problem):
                    yield line
                else:
                    listed.add(line.rpartition(".")[0], _LISTS[name])
        for folder in folders(path):
            if folder.problem:
                yield folder.problem
            elif folder.path.parent == path and not folder.path.name.startswith("_"):
                yield from _word(folder, listed if there else None, config.language)
        for name in listed.unused():
            yield missing_audio(name, path)


def _word(folder: Folder, listed: Table | None, language: str) -> Iterator[Utterance | Problem]:
    """The recordings of one word; `listed` has the side of those that are not for training, None where nothing is listed."""
    word = composed(folder.path.name)
    for stem, audio in folder.recordings().items():
        item = f"{word}/{stem}"
        match = _NAME.fullmatch(stem)
        side = hashed_split(stem) if listed is None else listed.use(item) or "train"
        if match is None:
            yield Problem(item, "missing_speaker", f"{audio} is not named SPEAKER_nohash_N")
        else:
            meta = {"split": side, "licence": LICENCE}
            yield Utterance(item, match[1], str(audio), 0.0, UNTIL_END, word.replace("_", " "), language, meta)


def hashed_split(stem: str) -> str:
    """train, validation or test for a recording's name: a speaker is on one side, whatever is added later (Warden 2018)."""
    digest = int(hashlib.sha1(re.sub(r"_nohash_.*$", "", stem).encode("utf-8", "surrogateescape")).hexdigest(), 16)
    percent = digest % (_MAX_PER_CLASS + 1) * 100.0 / _MAX_PER_CLASS
    if percent < _VALIDATION_PERCENT:
        return "validation"
    return "test" if percent < _VALIDATION_PERCENT + _TEST_PERCENT else "train"
