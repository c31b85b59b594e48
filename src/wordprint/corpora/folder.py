"""Recordings with a transcript of the same name beside each: the layout of the Montreal Forced Aligner.

`…/speaker/name.wav` with `name.lab`, `name.txt` or `name.TextGrid`. The speaker is the folder that holds the recording, so
a flat folder is one speaker. In a TextGrid, a tier called `words` is the transcript (an alignment); otherwise each tier
is a speaker and each of its intervals an utterance.
montreal-forced-aligner.readthedocs.io/en/latest/user_guide/corpus_structure.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wordprint.config import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, folders, missing_audio, missing_transcript, read_text
from wordprint.errors import require_extra
from wordprint.records import Utterance

LAYOUT = "recordings with .lab, .txt or .TextGrid of the same name beside them"
_SUFFIXES = (".lab", ".txt", ".textgrid")  # the first one found counts


def detect(path: Path) -> bool:
    """Whether any recording has a transcript of its name beside it."""
    return any(folder.recordings().keys() & _transcripts(folder).keys() for folder in folders(path))


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances folder by folder; an id is the path below `path` without its ending."""
    for folder in folders(path):
        recordings, transcripts = folder.recordings(), _transcripts(folder)
        if not recordings:
            continue  # a README or a lexicon is no transcript
        speaker = folder.path.resolve().name
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
        from praatio import textgrid
        from praatio.utilities.errors import PraatioException
    except ImportError as error:
        raise require_extra("praatio", "align", "reading TextGrids") from error
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="silence", duplicateNamesMode="rename")
    except (PraatioException, ValueError, LookupError, OSError) as error:
        yield Problem(item, "bad_textgrid", f"{path} can't be read as a TextGrid ({error})")
        return
    tiers = [tier for tier in grid.tiers if isinstance(tier, textgrid.IntervalTier)]
    words = next((tier for tier in tiers if tier.name.lower() == "words"), None)
    if words is not None:
        transcript = " ".join(entry.label for entry in words.entries)
        yield Utterance(item, speaker, str(audio), 0.0, UNTIL_END, transcript, language)
        return
    for tier in tiers:
        for number, entry in enumerate(tier.entries, start=1):
            start_s, end_s = float(entry.start), float(entry.end)
            yield Utterance(f"{item}-{tier.name}-{number:04d}", tier.name, str(audio), start_s, end_s, entry.label, language)
