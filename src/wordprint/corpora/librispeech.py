"""LibriSpeech: read English audiobooks, 1000 hours, CC BY 4.0 (Panayotov et al., ICASSP 2015, openslr.org/12).

The layout `…/speaker/chapter/speaker-chapter.trans.txt` at any depth, with the recordings beside it in any format; many
corpora of openslr.org follow it. A line of a transcript file is an id and the words. SPEAKERS.TXT in the folder or the one
above gives sex and name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wordprint.config import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, folders, missing_audio, missing_transcript, read_lines
from wordprint.records import Utterance

LAYOUT = "speaker/chapter/*.trans.txt with the recordings beside it"
_TRANSCRIPTS = ".trans.txt"


def detect(path: Path) -> bool:
    """Whether a transcript file lies anywhere in the folder."""
    return any(name.endswith(_TRANSCRIPTS) for folder in folders(path) for name in folder.files)


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances chapter by chapter; `meta` holds subset, chapter, and sex and name of the speaker where known."""
    speakers = _read_speakers(path)
    for folder in folders(path):
        yield from _chapter(folder, speakers, config.language)


def _chapter(folder: Folder, speakers: dict[str, dict[str, str]], language: str) -> Iterator[Utterance | Problem]:
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
            meta = {"chapter": folder.path.name, **speakers.get(speaker, {})}
            if folder.path.parent.name == speaker:
                meta["subset"] = folder.path.parents[1].name
            audio = str(recordings[utterance_id])
            yield Utterance(utterance_id, speaker, audio, 0.0, UNTIL_END, transcript, language, meta)
    for stem in recordings:
        if stem not in named:
            yield missing_transcript(stem, folder.path / f"*{_TRANSCRIPTS}")


def _read_speakers(path: Path) -> dict[str, dict[str, str]]:
    """Sex and name by speaker from SPEAKERS.TXT (`id | sex | subset | minutes | name`), where there is one."""
    found = next((file for file in (path / "SPEAKERS.TXT", path.parent / "SPEAKERS.TXT") if file.is_file()), None)
    speakers = {}
    for line in read_lines(found) if found else ():
        fields = [] if isinstance(line, Problem) or line.startswith(";") else [field.strip() for field in line.split("|", 4)]
        if len(fields) == 5:
            speakers[fields[0]] = {"sex": fields[1], "name": fields[4]}
    return speakers
