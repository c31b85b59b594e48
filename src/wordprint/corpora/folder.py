"""Recordings with a transcript of the same name beside each: the layout of the Montreal Forced Aligner.

`…/speaker/name.wav` with `name.lab`, `name.txt` or `name.TextGrid`. The speaker is the folder that holds the recording, so
a flat folder is one speaker. In a TextGrid, a tier called `words` is the transcript (an alignment); otherwise each tier
is a speaker and each of its intervals an utterance.
montreal-forced-aligner.readthedocs.io/en/latest/user_guide/corpus_structure.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wordprint.config import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, folders, missing_audio, missing_transcript, read_text
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.textgrid import SILENCES, read_tiers, words_tier

LAYOUT = "recordings with .lab, .txt or .TextGrid of the same name beside them"
_SUFFIXES = (".lab", ".txt", ".textgrid")  # the first one found counts


def detect(path: Path) -> bool:
    """Whether any recording has a transcript of its name beside it."""
    return any(folder.recordings().keys() & _transcripts(folder).keys() for folder in folders(path))


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances folder by folder; an id is the path below `path` without its ending."""
    for folder in folders(path):
        if folder.problem:
            yield folder.problem
        recordings, transcripts = folder.recordings(), _transcripts(folder)
        if not recordings:
            continue  # a README or a lexicon is no transcript
        speaker = os.path.basename(os.path.abspath(folder.path))  # of a link, its own name
        for stem in sorted({*recordings, *transcripts}):
            item = (folder.path / stem).relative_to(path).as_posix()
            if stem not in recordings:
                yield missing_audio(item, folder.path)
            elif stem not in transcripts:
                yield missing_transcript(item, folder.path)
            elif transcripts[stem].suffix.lower() == ".textgrid":
                yield from _textgrid(item, speaker, recordings[stem], transcripts[stem], config.language)
            else:
                text = read_text(transcripts[stem], item)
                audio = str(recordings[stem])
                yield text if isinstance(text, Problem) else Utterance(item, speaker, audio, 0.0, UNTIL_END, text, config.language)


def _transcripts(folder: Folder) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for suffix in _SUFFIXES:
        for name in folder.files:
            path = folder.path / name
            if path.suffix.lower() == suffix:
                found.setdefault(path.stem, path)
    return found


def _textgrid(item: str, speaker: str, audio: Path, path: Path, language: str) -> Iterator[Utterance | Problem]:
    try:
        tiers = read_tiers(path)
    except InputError as error:
        yield Problem(item, "bad_textgrid", str(error))
        return
    spoken = {name: [entry for entry in entries if entry[2].strip().lower() not in SILENCES] for name, entries in tiers.items()}
    words = words_tier(spoken)
    if words is not None:
        transcript = " ".join(label.strip() for _, _, label in words)
        yield Utterance(item, speaker, str(audio), 0.0, UNTIL_END, transcript, language)
        return
    for name, entries in spoken.items():
        for number, (start_s, end_s, label) in enumerate(entries, start=1):
            yield Utterance(f"{item}-{name}-{number:04d}", name, str(audio), start_s, end_s, label.strip(), language)
