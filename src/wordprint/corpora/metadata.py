"""A table of transcripts, `metadata.csv`, with the recordings in `wavs/` or beside it: the layout of LJSpeech.

keithito.com/LJ-Speech-Dataset. Fields are separated by `|` and never quoted: id, transcript, and optionally the normalised
transcript, which is used where it isn't empty. An id may have a path and an audio ending, or neither. The speaker is the
folder in the id (`p225/p225_001`), else the corpus folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem, composed, folders, missing_audio, missing_transcript, read_lines
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.disk_table import Table

LAYOUT = "metadata.csv with lines id|transcript"
_TABLE = "metadata.csv"


def detect(path: Path) -> bool:
    """Whether the folder has the table."""
    return (path / _TABLE).is_file()


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances in the order of the table, then recordings that it doesn't name."""
    if not detect(path):
        raise InputError(f"{path} has no {_TABLE}", expected=LAYOUT)
    root = path / "wavs" if (path / "wavs").is_dir() else path
    with Table() as recordings:
        for folder in folders(root):
            if folder.problem:
                yield folder.problem
            for audio in folder.recordings().values():
                recordings.add(composed(audio.relative_to(root).with_suffix("").as_posix()), str(audio))
        for line in read_lines(path / _TABLE, "|"):
            fields = [line.item] if isinstance(line, Problem) else [field.strip() for field in line.split("|")]
            utterance_id = _without_ending(fields[0])
            audio_path = recordings.use(utterance_id)
            if isinstance(line, Problem):
                yield line
            elif len(fields) < 2:
                yield Problem(utterance_id, "missing_transcript", f"{path / _TABLE} has '{line[:40]}', not id|transcript")
            elif audio_path is None:
                yield missing_audio(utterance_id, root)
            else:
                speaker = PurePosixPath(utterance_id).parent.name or path.resolve().name
                transcript = fields[2] if len(fields) > 2 and fields[2] else fields[1]
                yield Utterance(utterance_id, speaker, audio_path, 0.0, UNTIL_END, transcript, config.language)
        for utterance_id in recordings.unused():
            yield missing_transcript(utterance_id, path / _TABLE)


def _without_ending(name: str) -> str:
    """An id as the path of its recording below the audio folder: `wavs/a.wav` and `a` are both `a`."""
    path = PurePosixPath(name.removeprefix("wavs/"))
    return str(path.with_suffix("") if path.suffix.lower() in AUDIO_SUFFIXES else path)
