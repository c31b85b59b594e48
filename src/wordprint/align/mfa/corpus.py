"""MFA's corpus folder: a folder for each speaker, and in it for each utterance a 16 kHz WAV and its words (`.lab`).

Names are made of plain letters, begin with a number and so are unique on every file system: MFA splits names at dots,
skips hidden ones, and takes the folder's name for the speaker. One recording that can't be read would end its whole run,
so none gets this far.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wordprint.errors import AudioError
from wordprint.records import Utterance
from wordprint.speech.audio import SAMPLE_RATE, read_audio, write_audio
from wordprint.speech.recording import Recording
from wordprint.stages.manifest import write_text

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """An utterance to write, and the words that are said in it."""

    utterance: Utterance
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Where an utterance lies: `SPEAKER/NAME`, without ending; and how long its audio is."""

    entry: Entry
    name: str
    duration_s: float


def write_corpus(folder: Path, entries: Iterable[Entry]) -> Iterator[Written | tuple[Utterance, AudioError]]:
    """Write utterances one by one; an error in place of one whose recording can't be read."""
    speakers: dict[str, str] = {}
    for number, entry in enumerate(entries):
        utterance = entry.utterance
        speaker = speakers.setdefault(utterance.speaker, numbered_name(len(speakers), utterance.speaker))
        path = folder / speaker / numbered_name(number, utterance.utterance_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            duration_s = _write_wav(path.with_suffix(".wav"), utterance)
        except AudioError as error:
            yield utterance, error
            continue
        write_text(path.with_suffix(".lab"), " ".join(entry.words) + "\n")
        yield Written(entry, f"{speaker}/{path.name}", duration_s)


def numbered_name(number: int, name: str) -> str:
    """`000012-19-227-0015`: unique by its number, and readable in MFA's messages."""
    return f"{number:06d}-{re.sub('[^A-Za-z0-9_-]', '_', name)[:_LONGEST_NAME]}"


def _write_wav(path: Path, utterance: Utterance) -> float:
    """Link the recording where it is what MFA takes, else decode it; returns its length in seconds."""
    duration_s = _whole_wav(utterance)
    if duration_s is not None:
        try:
            os.link(os.path.realpath(utterance.audio), path)  # not a symbolic link: a container may not see where it points
            return duration_s
        except OSError:  # another disk, or a file of another user
            pass
    samples = read_audio(utterance.audio, utterance.start_s, utterance.end_s)
    write_audio(path, samples)
    return len(samples) / SAMPLE_RATE


def _whole_wav(utterance: Utterance) -> float | None:
    """Length of a recording that is 16 kHz mono 16-bit WAV and holds this utterance alone; None for any other."""
    if utterance.start_s > 0 or not utterance.audio.lower().endswith(".wav"):
        return None
    with Recording(utterance.audio) as recording:
        form = (*recording.form, recording.sample_rate, recording.channels)
        whole = recording.is_plain and 0 < recording.frames <= round(utterance.end_s * SAMPLE_RATE) + 1
        return recording.frames / SAMPLE_RATE if form == ("WAV", "PCM_16", SAMPLE_RATE, 1) and whole else None
