"""Word folders, the Speech Commands layout: `WORD/SPEAKER_….flac`, one folder per word, one recording per token.

Warden 2018, "Speech Commands" (arXiv 1804.03209). A phrase is a folder named with underscores (`lights_on`). Names
that begin with `_` are special: `_silence_` holds recordings without a word, `_background_noise_` long noises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from wordprint.errors import InputError, kind_of
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.walk import subfolders
from wordprint.words.options import WordsConfig

SILENCE = "_silence_"
UNKNOWN_SPEAKER = "unknown"
KEEP_ALL = WordsConfig(min_letters=0, min_duration_s=0.0, max_duration_s=3600.0, min_goodness="none", min_tokens=1, min_speakers=1)
"""Options that filter nothing, for data that is already cut into words."""
_UNSAFE = re.compile(r'[/\\:*?"<>|%_\x00-\x1f]|^\.|^-')


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a word folder; `name` is its path in the folder, `speaker` what its name says before the first `_`, or ""."""

    word: str
    speaker: str
    name: str


class WordFolder:
    """What a word folder holds, found by names alone (no recording is opened).

    Files that are not recordings (README, LICENSE, lists) are ignored. Speakers are known only if some speaker
    occurs in more than one word: where each word's files share a prefix of their own, that prefix is no speaker.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(kind_of(path), expected="a folder of word folders")
        self.recordings: list[Recording] = []
        self.silence: list[Recording] = []
        for name in subfolders(self.path):
            if name == SILENCE:
                self.silence = _recordings(self.path / name)
            elif not name.startswith(("_", ".")):
                self.recordings += _recordings(self.path / name)
        if not self.recordings:
            raise InputError(
                f"{path} holds no recordings in word folders",
                expected="WORD/SPEAKER_….flac (or .wav, .mp3, .ogg, …), one folder per word",
            )
        pairs = {(recording.speaker, recording.word) for recording in self.recordings if recording.speaker}
        self.speakers_known = len({speaker for speaker, _ in pairs}) < len(pairs)


def folder_word(name: str) -> str:
    """The word or phrase that a folder name stands for: `lights_on` → `lights on`."""
    return name if name.startswith("_") else unquote(name.replace("_", " ")).lower()


def percent_encoded(text: str) -> str:
    """`text` as part of a file name, without `_` and without what file systems refuse (percent-encoded)."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", text)


def word_folder_name(word: str) -> str:
    """The folder name of a word or phrase; `folder_word` reads it back."""
    return "_".join(percent_encoded(part) for part in word.split(" "))


def _recordings(folder: Path) -> list[Recording]:
    word = folder_word(folder.name)
    files = sorted(
        file.name for file in folder.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")
    )
    return [Recording(word, _speaker(Path(name).stem), f"{folder.name}/{name}") for name in files]


def _speaker(stem: str) -> str:
    """`SPEAKER_nohash_0` → `SPEAKER`; a name without `_` says nothing about who speaks."""
    speaker, separator, _ = stem.partition("_")
    return unquote(speaker) if separator else ""
