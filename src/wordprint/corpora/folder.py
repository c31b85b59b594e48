"""Recordings with a transcript of the same name beside each: the layout of the Montreal Forced Aligner.

`…/speaker/name.wav` with `name.lab`, `name.txt` or `name.TextGrid`. The speaker is the folder that holds the recording, so
a flat folder is one speaker. In a TextGrid, a tier called `words` is the transcript (an alignment), that of `anna` where it is
called `anna - words`; with such tiers of several speakers, each turn is an utterance. Without them each tier is a speaker and
each of its intervals an utterance.
montreal-forced-aligner.readthedocs.io/en/latest/user_guide/corpus_structure.html
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Folder, Problem, by_stem, folders, missing_audio, missing_transcript, read_text
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.textgrid import Entries, read_tiers, words_by_speaker

LAYOUT = "recordings with .lab, .txt or .TextGrid of the same name beside them"
_SUFFIXES = (".lab", ".txt", ".textgrid")  # the first one found counts
_PAUSE_S = 1.0
"""A longer pause ends a turn."""


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
    paths = [folder.path / name for name in folder.files]
    return by_stem(path for suffix in _SUFFIXES for path in paths if path.suffix.lower() == suffix)


def _textgrid(item: str, speaker: str, audio: Path, path: Path, language: str) -> Iterator[Utterance | Problem]:
    try:
        tiers = read_tiers(path)
        words = words_by_speaker(path, tiers)
    except InputError as error:
        yield Problem(item, "bad_textgrid", str(error))
        return
    if len(words) == 1:
        ((name, spoken),) = words.items()
        yield Utterance(item, name or speaker, str(audio), 0.0, UNTIL_END, " ".join(label for _, _, label in spoken), language)
        return
    intervals = ((tier.name, *entry) for tier in tiers if not tier.holds_phones for entry in tier.spoken)
    utterances = list(_turns(words) if words else intervals)
    if not utterances:
        names = ", ".join(tier.name for tier in tiers) or "none"
        yield Problem(item, "missing_transcript", f"{path} has no words (its tiers: {names})")
    counts: Counter[str] = Counter()
    for name, start_s, end_s, label in utterances:
        who = name or speaker
        counts[who] += 1
        meta = {"recording_id": item, "tier": name}
        yield Utterance(f"{item}-{who}-{counts[who]:04d}", who, str(audio), start_s, end_s, label.strip(), language, meta)


def _turns(words: dict[str, Entries]) -> Iterator[tuple[str, float, float, str]]:
    """Speaker, start, end and words of each stretch that one of several speakers says without another's word or a long pause."""
    ordered = sorted((start_s, end_s, name, label) for name, spoken in words.items() for start_s, end_s, label in spoken)
    turn = ordered[:0]
    for word in ordered:
        if turn and (word[2] != turn[0][2] or word[0] > turn[-1][1] + _PAUSE_S):
            yield _joined(turn)
            turn = []
        turn.append(word)
    yield _joined(turn)


def _joined(turn: list[tuple[float, float, str, str]]) -> tuple[str, float, float, str]:
    return turn[0][2], turn[0][0], max(end_s for _, end_s, _, _ in turn), " ".join(label for *_, label in turn)
