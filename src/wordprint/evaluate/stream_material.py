"""What goes into a stream: recordings of keywords, other people's speech as background, speakers for babble, and who enrolls whom.

Two kinds of material. *Isolated*: recordings of keywords are inserted into other speech; microphones differ, and a score may be
able to tell them apart. *Running speech* (stream_running.py): keywords are what several speakers say inside their utterances.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np

from wordprint.errors import AudioError, DatasetError, InputError
from wordprint.evaluate.stream_build import VOICES, Item, Samples, speech_bounds
from wordprint.records import Utterance
from wordprint.speech.audio import SAMPLE_RATE, probe_audio
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.speech.text import plain_words
from wordprint.stages.manifest import ALIGNMENTS, UTTERANCES, read_jsonl, read_utterances, resolve
from wordprint.stages.walk import walk
from wordprint.words.folders import WordFolder
from wordprint.words.tokens import load_tokens

ISOLATED, RUNNING = "isolated", "running"
MOST_RECORDINGS = 40
"""Recordings of a keyword that are inserted, chosen by hash."""
LEAST_TESTED = 3
"""A keyword is asked for at least so often, whoever is drawn to enroll it."""
PIECE_S = 30.0
"""Long recordings without a transcript are put into the stream in pieces of this length."""
LEAST_VOICE_S = 15.0
"""Speech that a speaker of the babble has at least."""


@dataclass(frozen=True)
class Token:
    """One time a keyword is said, at `[start_s, end_s)` of the item number `item`; `joined`: with other words right beside it."""

    item: int
    speaker: str
    start_s: float
    end_s: float
    joined: bool = False


@dataclass
class Material:
    """Items of a stream, the keywords said in them, speech for babble by nobody else in it, and what was left out and why."""

    kind: str
    items: list[Item]
    voices: list[list[Item]]
    tokens: dict[str, list[Token]] = field(default_factory=dict)
    dropped: list[tuple[str, str, str]] = field(default_factory=list)

    def shot(self, token: Token) -> Samples:
        """What enrolls a keyword: the recording as it is, or the token cut out of its utterance."""
        item = self.items[token.item]
        return item.read() if item.keyword else item.read(token.start_s, token.end_s)

    def keep_enough(self, shots: int) -> None:
        """Drop keywords with too few recordings by too few speakers, or without background; DatasetError when none is left."""
        for keyword in sorted(self.tokens):
            speakers = len({token.speaker for token in self.tokens[keyword]})
            if not enough(self.tokens[keyword], shots):
                detail = f"{len(self.tokens[keyword])} recordings by {speakers} speakers, {shots} of whom enroll it"
                self.dropped.append((keyword, "too_few_recordings", detail))
            elif not any(is_background(item, keyword) for item in self.items):
                self.dropped.append((keyword, "no_background", "every utterance holds it"))
            else:
                continue
            del self.tokens[keyword]
        if not self.tokens:
            raise DatasetError(
                f"no keyword has enough recordings ({self.kind} material)",
                expected=f"{shots} by different speakers and {LEAST_TESTED} by others",
                remedy="use fewer --stream-shots, or more recordings",
            )


def isolated(folders: Sequence[Path], background: Sequence[Item], targets: Sequence[str], seed: int) -> Material:
    """Recordings of word folders (`keyword/speaker_….flac`), to be inserted once each into `background`."""
    speech, voices = split_voices(background)
    material = Material(ISOLATED, speech, voices)
    missing = set(targets)
    for folder in folders:
        found = WordFolder(folder)
        there = {recording.word for recording in found.recordings}
        missing -= there
        words = sorted(there & set(targets)) if targets else None
        if words == []:
            continue
        tokens = load_tokens(folder, words=words, max_tokens_per_word=MOST_RECORDINGS, seed=seed)
        material.dropped += [(skipped.name, skipped.reason, skipped.detail) for skipped in tokens.skipped]
        for index, token in enumerate(tokens):
            samples = tokens.load(index)
            start, end = speech_bounds(samples)
            # where speakers aren't known, each recording is taken for another voice's
            speaker = token.speaker or token.name
            item = Item(token.name, speaker, str(found.path / token.name), 0.0, len(samples) / SAMPLE_RATE, token.word)
            said = Token(len(material.items), speaker, start / SAMPLE_RATE, end / SAMPLE_RATE)
            material.tokens.setdefault(token.word, []).append(said)
            material.items.append(item)
    if missing:
        raise InputError(f"no recordings of {', '.join(sorted(missing))}", expected="keywords that the folders hold")
    return material


def read_background(path: Path) -> tuple[list[Item], list[tuple[str, str, str]]]:
    """Utterances of a folder that a stage wrote, or recordings in any folder, and what was dropped."""
    if not path.is_dir():
        raise InputError(f"{path} is no folder", expected="a folder that 'align' or 'prepare' wrote, or one of recordings")
    dropped: list[tuple[str, str, str]] = []
    if not any((path / name).exists() for name in (ALIGNMENTS, UTTERANCES)):
        items = _recordings(path, dropped)
    else:
        items = [Item(u.utterance_id, u.speaker, u.audio, u.start_s, u.end_s, text=u.transcript) for u in _utterances(path)]
    if not items:
        raise InputError(f"{path} holds no recordings", expected="speech without the keywords")
    return items, dropped


def by_speakers(items: list[Item], speakers: Sequence[str]) -> list[Item]:
    """The items of these speakers; of all, where none is named."""
    unknown = set(speakers) - {item.speaker for item in items}
    if unknown:
        raise InputError(f"the stream has no speaker {', '.join(sorted(unknown))}", expected="names as in utterances.jsonl")
    return [item for item in items if item.speaker in speakers] if speakers else items


def _utterances(path: Path) -> list[Utterance]:
    if (path / ALIGNMENTS).exists():
        return [Utterance.from_json(record) for record in read_jsonl(resolve(path, ALIGNMENTS, "align"))]
    return list(read_utterances(path))


def _recordings(path: Path, dropped: list[tuple[str, str, str]]) -> list[Item]:
    """Every recording under a folder in pieces; each recording is a speaker of its own."""
    items = []
    for root, files in walk(path):
        for file in (Path(root, name) for name in files if Path(name).suffix.lower() in AUDIO_SUFFIXES):
            name = str(file.relative_to(path))
            try:
                duration_s = probe_audio(file).duration_s
            except AudioError as error:
                dropped.append((name, error.reason, str(error)))
                continue
            for start_s in np.arange(0.0, duration_s, PIECE_S).tolist():
                end_s = min(duration_s, start_s + PIECE_S)
                if end_s - start_s >= 0.5:
                    items.append(Item(f"{name}:{start_s:g}", name, str(file), start_s, end_s))
    return items


def split_voices(items: Sequence[Item]) -> tuple[list[Item], list[list[Item]]]:
    """Background, and the utterances of the speakers that make babble: those with the least speech, and never more than a third."""
    seconds: dict[str, float] = defaultdict(float)
    by_speaker: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        seconds[item.speaker] += item.end_s - item.start_s
        by_speaker[item.speaker].append(item)
    ranked = sorted((name for name in seconds if seconds[name] >= LEAST_VOICE_S), key=lambda name: (seconds[name], name))
    chosen = ranked[: min(VOICES, len(seconds) // 3)]
    if len(chosen) < 2:
        return list(items), []
    return [item for item in items if item.speaker not in chosen], [by_speaker[name] for name in chosen]


def is_background(item: Item, keyword: str | None) -> bool:
    """Whether a detection of the keyword in this item is a false alarm: it is no recording of one, nor is it said there.

    None stands for any keyword, of which only recordings are known to hold one.
    """
    return item.keyword is None and not (keyword is not None and item.text and says(item.text, keyword))


def says(text: str, keyword: str) -> bool:
    """Whether a transcript holds the keyword as whole words, in any case, also joined, split (`good night`) or with 's."""
    wanted, words = "".join(plain_words(keyword)), plain_words(text)
    return any(_run_is(spelled, wanted) for spelled in (words, [word.split("'")[0] for word in words]))


def _run_is(words: list[str], wanted: str) -> bool:
    joined, edges = "".join(words), {0, *accumulate(map(len, words))}
    at = joined.find(wanted)
    while at >= 0:
        if at in edges and at + len(wanted) in edges:
            return True
        at = joined.find(wanted, at + 1)
    return False


def enough(tokens: Sequence[Token], shots: int) -> bool:
    """Whether LEAST_TESTED are left for other speakers, whichever speakers enroll."""
    counts = sorted(Counter(token.speaker for token in tokens).values(), reverse=True)
    return len(counts) > shots and sum(counts[shots:]) >= LEAST_TESTED


def draw_shots(tokens: Sequence[Token], keyword: str, shots: int, draw: int, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the tokens that enroll a keyword, each by another speaker, and of those that are asked for: by nobody of these."""
    order = np.random.default_rng([seed, draw, zlib.crc32(keyword.encode())]).permutation(len(tokens)).tolist()
    chosen: dict[str, int] = {}
    for index in order:
        if len(chosen) < shots:
            chosen.setdefault(tokens[index].speaker, index)
    return list(chosen.values()), [index for index, token in enumerate(tokens) if token.speaker not in chosen]
