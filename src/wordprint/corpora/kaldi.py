"""A Kaldi data directory: `wav.scp`, `text`, `utt2spk` and, where recordings hold several utterances, `segments`.

kaldi-asr.org/doc/data_prep.html. Recordings are files, absolute or relative to the directory; commands that end in `|`
are not run. A line of `segments` may end in a channel, where the recording has just one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem, missing_audio, missing_transcript, read_lines
from wordprint.errors import AudioError, InputError
from wordprint.records import Utterance
from wordprint.speech.audio import probe_audio
from wordprint.stages.disk_table import Table

_WHOLE = "-1"
"""Kaldi's own sign for no channel in particular."""

LAYOUT = "wav.scp, text and utt2spk"


def detect(path: Path) -> bool:
    """Whether the folder has a list of recordings."""
    return (path / "wav.scp").is_file()


@dataclass(frozen=True, slots=True)
class _Tables:
    recordings: Table
    speakers: Table
    segments: Table | None

    @property
    def listed(self) -> Table:
        """What has one line per utterance beside `text`."""
        return self.segments or self.recordings


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances in the order of `text`, then what has no transcript."""
    for name in ("wav.scp", "text", "utt2spk"):
        if not (path / name).is_file():
            raise InputError(f"{path} has no file '{name}'", expected=f"a Kaldi data directory ({LAYOUT})")
    with Table() as recordings, Table() as speakers, Table() as segments:
        yield from _fill(recordings, path / "wav.scp")
        yield from _fill(speakers, path / "utt2spk")
        cut = (path / "segments").is_file()
        if cut:
            yield from _fill(segments, path / "segments")
        tables = _Tables(recordings, speakers, segments if cut else None)
        for line in read_lines(path / "text"):
            utterance_id, transcript = (line.item, "") if isinstance(line, Problem) else _two(line)
            entry = tables.listed.use(utterance_id)
            yield line if isinstance(line, Problem) else _utterance(utterance_id, transcript, entry, tables, path, config.language)
        for utterance_id in tables.listed.unused():
            yield missing_transcript(utterance_id, path / "text")


def _utterance(
    utterance_id: str, transcript: str, entry: str | None, tables: _Tables, path: Path, language: str
) -> Utterance | Problem:
    """The utterance whose line in `segments`, or in `wav.scp` where there are none, is `entry`."""
    if entry is None:
        return missing_audio(utterance_id, path / ("segments" if tables.segments else "wav.scp"))
    speaker = tables.speakers.get(utterance_id)
    if not speaker:
        return Problem(utterance_id, "missing_speaker", f"{path / 'utt2spk'} has no speaker for it")
    recording, start_s, end_s, channel = entry, 0.0, UNTIL_END, _WHOLE
    if tables.segments:
        try:
            fields = entry.split()
            name, start, end, channel = fields if len(fields) == 4 else [*fields, _WHOLE]
            start_s, end_s = float(start), float(end)
        except ValueError:
            detail = f"{path / 'segments'} has '{utterance_id} {entry}', not id, recording, start, end and perhaps a channel"
            return Problem(utterance_id, "bad_segment", detail)
        end_s = UNTIL_END if end_s < 0 else end_s  # Kaldi's own sign for it
        found = tables.recordings.get(name)
        if found is None:
            return missing_audio(utterance_id, path / "wav.scp")
        recording = found
    if recording.endswith("|"):
        return Problem(utterance_id, "pipe_command", f"'{recording}' is a command; run it once and list the files it makes")
    audio = path / recording
    if channel != _WHOLE and (channels := _channels(audio)) > 1:
        return Problem(utterance_id, "part_of_channels", f"channel {channel} of {audio}, which has {channels}; split it")
    return Utterance(utterance_id, speaker, str(audio), start_s, end_s, transcript, language)


@lru_cache(maxsize=64)
def _channels(audio: Path) -> int:
    """Channels of a recording; 0 where it can't be read, which the stage finds out and says."""
    try:
        return probe_audio(audio).channels
    except (AudioError, OSError):
        return 0


def _fill(table: Table, path: Path) -> Iterator[Problem]:
    for line in read_lines(path):
        if isinstance(line, Problem):
            yield line
            continue
        key, value = _two(line)
        if not table.add(key, value):
            yield Problem(key, "duplicate_id", f"{path} has it twice; the first line counts")


def _two(line: str) -> tuple[str, str]:
    """First field and the rest of a line."""
    key, *rest = line.split(maxsplit=1)
    return key, rest[0] if rest else ""
