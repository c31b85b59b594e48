"""Phrases of one to four words that people say in a corpus, where they lie, and their phones: what trials are made of.

From a folder that `align` wrote, or a word dataset. Of the latter only the words that were kept are known; its phones tell where
another word lies between two of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from wordprint.errors import DatasetError, InputError, kind_of
from wordprint.evaluate.stream_build import Item, Samples
from wordprint.evaluate.stream_running import LEAST_S, MAX_PAUSE_S, MOST_S, read_dataset
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.lexicon import ARPABET, Pronunciation
from wordprint.speech.text import base_language
from wordprint.speech.textgrid import UNKNOWN_WORD, read_textgrid
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve
from wordprint.words.dataset import WordDataset, is_word_dataset

MOST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Said:
    """One time a phrase is said, at `[start_s, end_s)` of the item number `item`; `phones` are those of the alignment."""

    item: int
    speaker: str
    text: str
    start_s: float
    end_s: float
    phones: Pronunciation = ()

    @property
    def words(self) -> int:
        return self.text.count(" ") + 1


@dataclass
class Sayings:
    """What is said in some recordings. `foreign` are numbers of items whose language is not English.

    `counts` has, for each number of words, how many phrases there are, and how many more were too short or too long.
    """

    items: list[Item] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    foreign: set[int] = field(default_factory=set)
    counts: dict[int, Counter[str]] = field(default_factory=lambda: {n: Counter() for n in range(1, MOST_WORDS + 1)})
    dropped: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def speakers(self) -> list[str]:
        return sorted({item.speaker for item in self.items})

    def add(self, item: Item, words: Sequence[Interval], phones: Sequence[Interval], language: str = "en") -> None:
        """One utterance with all of its phrases."""
        number = len(self.items)
        self.items.append(item)
        if base_language(language) != "en":
            self.foreign.add(number)
        for text, start_s, end_s in phrases(words, phones):
            counts = self.counts[text.count(" ") + 1]
            if not LEAST_S <= end_s - start_s <= MOST_S:
                counts["too_short" if end_s - start_s < LEAST_S else "too_long"] += 1
                continue
            counts["said"] += 1
            heard = tuple(plain_phone(phone.symbol) for phone in _inside(phones, start_s, end_s))
            self.said.append(Said(number, item.speaker, text, start_s, end_s, heard))

    def cut(self, said: Said, around_s: float = 0.0) -> tuple[Samples, int, int]:
        """Samples with so much of the recording on either side, and where in them the phrase begins and ends."""
        return cut(self.items[said.item].read(), said, around_s)


def cut(samples: Samples, said: Said, around_s: float) -> tuple[Samples, int, int]:
    """The phrase out of all samples of its item; raises DatasetError where the recording ends before it."""
    start, end = round(said.start_s * SAMPLE_RATE), min(round(said.end_s * SAMPLE_RATE), len(samples))
    if start >= end:
        raise DatasetError(f"the recording ends at {len(samples) / SAMPLE_RATE:.2f} s", expected=f"'{said.text}' after that")
    first = max(0, start - round(around_s * SAMPLE_RATE))
    return samples[first : end + round(around_s * SAMPLE_RATE)], start - first, end - first


def read_sayings(path: Path, speakers: Sequence[str], split: str) -> Sayings:
    """All phrases in a folder that `align` wrote or in the split of a word dataset, by these speakers (none named: by all).

    Raises InputError for another kind of folder and for speakers that aren't there.
    """
    if is_word_dataset(path):
        sayings = _of_dataset(path, speakers, split)
    elif path.is_dir() and not (path / ALIGNMENTS).is_file():
        raise InputError(
            f"{path} holds no alignments",
            expected=f"a folder that 'align' or 'words' wrote ({ALIGNMENTS} or dataset.json), or LibriPhrase's lists (.csv)",
            remedy="run 'wordprint align' first, and name its output folder",
        )
    elif not path.is_dir():
        raise InputError(kind_of(path), expected="a folder that 'align' or 'words' wrote, or LibriPhrase's lists (.csv)")
    else:
        sayings = _of_alignments(path, speakers)
    return sayings


def phrases(words: Sequence[Interval], phones: Sequence[Interval] = ()) -> Iterator[tuple[str, float, float]]:
    """Text, start and end of each run of up to MOST_WORDS words, without a long pause or anything else said inside."""
    joined = [
        right.start_s - left.end_s <= MAX_PAUSE_S and not list(_inside(phones, left.end_s, right.start_s))
        for left, right in pairwise(words)
    ]
    for first, start in enumerate(words):
        for last in range(first, min(first + MOST_WORDS, len(words))):
            if words[last].symbol == UNKNOWN_WORD or (last > first and not joined[last - 1]):
                break
            text = " ".join(word.symbol.lower() for word in words[first : last + 1])
            yield text, start.start_s, words[last].end_s


def _inside(phones: Sequence[Interval], start_s: float, end_s: float) -> Iterator[Interval]:
    """Phones, in order and not overlapping, whose middle lies in a stretch."""
    place = bisect_left(phones, start_s, key=lambda phone: (phone.start_s + phone.end_s) / 2)
    while place < len(phones) and (phones[place].start_s + phones[place].end_s) / 2 < end_s:
        yield phones[place]
        place += 1


def plain_phone(symbol: str) -> str:
    """A phone without its stress: `AH0` is `AH`."""
    return symbol[:-1] if symbol[:-1] in ARPABET and symbol[-1] in "012" else symbol


def _of_alignments(path: Path, speakers: Sequence[str]) -> Sayings:
    sayings, there = Sayings(), set()
    manifest = resolve(path, ALIGNMENTS, "align")
    for record in read_jsonl(manifest):
        utterance = _utterance(record, manifest)
        there.add(utterance.speaker)
        if speakers and utterance.speaker not in speakers:
            continue
        try:
            alignment = read_textgrid(manifest.parent / record["textgrid"], utterance.utterance_id)
        except InputError as error:
            sayings.dropped.append((utterance.utterance_id, error.reason, str(error)))
            continue
        item = Item(utterance.utterance_id, utterance.speaker, utterance.audio, utterance.start_s, utterance.end_s)
        sayings.add(item, alignment.words, alignment.phones, utterance.language)
    require_speakers(speakers, there, path)
    return sayings


def _utterance(record: dict[str, object], manifest: Path) -> Utterance:
    try:
        utterance = Utterance.from_json(record)
        record["textgrid"]
    except (TypeError, KeyError) as error:
        raise InputError(f"{manifest} has a line with missing fields ({error})", remedy="run 'wordprint align' again") from error
    return utterance


def _of_dataset(path: Path, speakers: Sequence[str], split: str) -> Sayings:
    sayings, dataset, spoken = Sayings(), WordDataset(path), defaultdict(list)
    items = read_dataset(path, split)
    require_speakers(speakers, {item.speaker for item in items}, path)
    heard, rows = dataset.phones, [shard["rows"] for shard in dataset.metadata["audio_shards"]]
    first_row = np.cumsum([0, *rows])
    language = "en" if ARPABET.issuperset(map(plain_phone, heard.symbols)) else ""
    for item in items:
        if item.row is None or (speakers and item.speaker not in speakers):
            continue
        place = int(first_row[item.row[0]]) + item.row[1]
        within = range(int(heard.first[place]), int(heard.first[place + 1]))
        spoken[item.name] = [
            Interval(heard.symbols[heard.codes[n]], heard.starts[n] / SAMPLE_RATE, heard.ends[n] / SAMPLE_RATE) for n in within
        ]
        sayings.add(item, item.words, spoken[item.name], language)
    return sayings


def require_speakers(speakers: Sequence[str], there: set[str], path: Path) -> None:
    """Raises InputError for speakers who say nothing in `path`."""
    if unknown := sorted(set(speakers) - there):
        raise InputError(
            f"{path} has no speaker {', '.join(unknown)}",
            expected=f"names as in it, such as {', '.join(sorted(there)[:3]) or 'none: it holds nobody'}",
        )
