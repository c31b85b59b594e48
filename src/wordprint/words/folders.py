"""Word folders, the Speech Commands layout: `WORD/SPEAKER_….flac`, one folder per word, one recording per token.

Warden 2018, "Speech Commands" (arXiv 1804.03209). A phrase is a folder named with underscores (`lights_on`). Names
that begin with `_` are special: `_silence_` holds recordings without a word, `_background_noise_` long noises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from wordprint.config import WordsConfig
from wordprint.errors import InputError
from wordprint.speech.formats import AUDIO_SUFFIXES

SILENCE = "_silence_"
NOISE = "_background_noise_"
UNKNOWN_SPEAKER = "unknown"
KEEP_ALL = WordsConfig(min_letters=0, min_duration_s=0.0, max_duration_s=3600.0, min_tokens=1, min_speakers=1)
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
            raise InputError(
                f"{path} {'is a file' if self.path.exists() else 'does not exist'}", expected="a folder of word folders"
            )
        self.recordings: list[Recording] = []
        self.silence: list[Recording] = []
        self.noise: list[Recording] = []
        for folder in sorted(entry for entry in self.path.iterdir() if entry.is_dir()):
            self._list(folder.name).extend(_recordings(folder))
        if not self.recordings:
            raise InputError(
                f"{path} holds no recordings in word folders",
                expected="WORD/SPEAKER_….flac (or .wav, .mp3, .ogg, …), one folder per word",
            )
        pairs = {(recording.speaker, recording.word) for recording in self.recordings if recording.speaker}
        self.speakers_known = len({speaker for speaker, _ in pairs}) < len(pairs)

    @property
    def words(self) -> list[str]:
        """Words and phrases with recordings, sorted, without the special names."""
        return sorted({recording.word for recording in self.recordings})

    def _list(self, name: str) -> list[Recording]:
        if name == SILENCE:
            return self.silence
        if name == NOISE:
            return self.noise
        return [] if name.startswith(("_", ".")) else self.recordings


def folder_word(name: str) -> str:
    """The word or phrase that a folder name stands for: `lights_on` → `lights on`."""
    return name if name.startswith("_") else unquote(name.replace("_", " ")).lower()


def safe_name(text: str) -> str:
    """`text` as part of a file name, without `_` and without what file systems refuse (percent-encoded)."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", text)


def word_folder_name(word: str) -> str:
    """The folder name of a word or phrase; `folder_word` reads it back."""
    return "_".join(safe_name(part) for part in word.split(" "))


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
