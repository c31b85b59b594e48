"""LibriSpeech: read English audiobooks, 1000 hours, CC BY 4.0 (Panayotov et al., ICASSP 2015, openslr.org/12).

The layout `…/speaker/chapter/speaker-chapter.trans.txt` at any depth, with the recordings beside it in any format; many
corpora of openslr.org follow it. A line of a transcript file is an id and the words. SPEAKERS.TXT (`id | sex | subset |
minutes | name`), in any folder between the corpus and the chapters or up to three above the one given, tells about speakers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, folders, missing_audio, missing_transcript, read_lines
from wordprint.records import Utterance

LAYOUT = "speaker/chapter/*.trans.txt with the recordings beside it"
LICENCE = "CC BY 4.0"

SUBSETS = frozenset({
    "dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500",
    "dev-clean-2", "train-clean-5",
})  # fmt: skip
"""Folders of LibriSpeech and mini-LibriSpeech: what lies elsewhere follows the layout, but its licence isn't known."""

_TRANSCRIPTS = ".trans.txt"
_SPEAKERS = "SPEAKERS.TXT"
_ABOVE = 3
"""A chapter lies this far below the folder that holds the file."""

Speakers = dict[str, dict[str, Any] | Problem]


def detect(path: Path) -> bool:
    """Whether a transcript file lies anywhere in the folder."""
    return any(name.endswith(_TRANSCRIPTS) for folder in folders(path) for name in folder.files)


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances chapter by chapter; `meta` holds chapter and subset, sex, minutes and name of the speaker where known."""
    above = (parent / _SPEAKERS for parent in islice(path.resolve().parents, _ABOVE))
    nearest = next((file for file in above if file.is_file()), None)
    speakers = _read_speakers(nearest) if nearest else {}
    for folder in folders(path):
        if _SPEAKERS in folder.files:
            speakers |= _read_speakers(folder.path / _SPEAKERS)
        yield from _chapter(folder, speakers, config.language)


def _chapter(folder: Folder, speakers: Speakers, language: str) -> Iterator[Utterance | Problem]:
    if folder.problem:
        yield folder.problem
    recordings = folder.recordings()
    named = set()
    for name in folder.files:
        for line in read_lines(folder.path / name) if name.endswith(_TRANSCRIPTS) else ():
            if isinstance(line, Problem):
                named.add(line.item)
                yield line
                continue
            utterance_id, _, transcript = line.partition(" ")
            named.add(utterance_id)
            if utterance_id not in recordings:
                yield missing_audio(utterance_id, folder.path)
                continue
            speaker = utterance_id.split("-")[0]
            about = speakers.get(speaker, {})
            if isinstance(about, Problem):
                yield about
                about = speakers[speaker] = {}  # said once
            meta = {"chapter": folder.path.name, **about}
            if folder.path.parent.name == speaker:
                meta["subset"] = folder.path.parents[1].name
                if meta["subset"] in SUBSETS:
                    meta["licence"] = LICENCE
            audio = str(recordings[utterance_id])
            yield Utterance(utterance_id, speaker, audio, 0.0, UNTIL_END, transcript, language, meta)
    for stem in recordings:
        if stem not in named:
            yield missing_transcript(stem, folder.path / f"*{_TRANSCRIPTS}")


def _read_speakers(path: Path) -> Speakers:
    """What the file says of each speaker, or what is wrong with the line: that matters only where the speaker speaks."""
    speakers: Speakers = {}
    for line in read_lines(path, "|"):
        if isinstance(line, Problem):
            speakers[line.item] = line
        elif not line.startswith(";"):
            speaker, *fields = (field.strip() for field in line.split("|", 4))
            speakers[speaker] = _about(fields) or Problem(
                speaker, "bad_speaker_line", f"{path} has '{line[:60]}', not id | sex | subset | minutes | name"
            )
    return speakers


def _about(fields: list[str]) -> dict[str, Any] | None:
    try:
        sex, subset, minutes, name = fields
        duration = float(minutes)
    except ValueError:  # another number of fields, or no number of minutes
        return None
    return {"sex": sex, "name": name, "subset": subset, "minutes": duration} if math.isfinite(duration) else None
