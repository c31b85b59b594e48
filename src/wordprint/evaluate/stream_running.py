"""Keywords in running speech: words and phrases that several speakers say inside their utterances, on the background's own channel.

Shots are cut out of other speakers' utterances; an utterance in which the keyword is said is no background for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from wordprint.errors import DatasetError, InputError
from wordprint.evaluate.stream_build import Item
from wordprint.evaluate.stream_material import RUNNING, Material, Token, enough, split_voices
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.text import plain_words
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve
from wordprint.words.dataset import WordDataset

MOST_WORDS = 3
MAX_PAUSE_S = 0.3
"""Longest pause inside a phrase."""
JOINED_S = 0.1
"""A word this near makes a token one inside a sentence."""
LEAST_LETTERS = (5, 8, 10)
"""Of keywords of one, two and three words: shorter ones are no keywords that anybody would choose."""
LEAST_S, MOST_S = 0.25, 2.5
"""Median duration of a keyword."""


def read_words(path: Path, items: Sequence[Item]) -> tuple[list[Item], list[tuple[str, str, str]]]:
    """The items of a folder that 'align' wrote with their words in place; what has none is named."""
    wanted = {item.name: item for item in items}
    found, dropped = [], []
    manifest = resolve(path, ALIGNMENTS, "align")
    for record in read_jsonl(manifest):
        item = wanted.get(record["utterance_id"])
        if item is None:
            continue
        try:
            words = read_textgrid(manifest.parent / record["textgrid"], item.name).words
        except InputError as error:
            dropped.append((item.name, error.reason, str(error)))
            continue
        found.append(replace(item, words=tuple(words)))
    return found, dropped


def read_dataset(path: Path, split: str) -> list[Item]:
    """The utterances by speakers of a split of a word dataset; all words that it holds of them stand for the transcript."""
    dataset = WordDataset(path)
    (words, names), (utterances, ids), (speakers, people) = (dataset.codes(n) for n in ("words", "utterance_id", "speaker"))
    columns = [dataset.column(name).tolist() for name in ("start_sample", "end_sample", "n_words", "shard", "row")]
    said: dict[str, list[Interval]] = defaultdict(list)
    places: dict[str, tuple[str, int, int]] = {}
    for word, utterance, speaker, start, end, n_words, shard, row in zip(
        words.tolist(), utterances.tolist(), speakers.tolist(), *columns, strict=True
    ):
        places[ids[utterance]] = (people[speaker], shard, row)
        if n_words == 1:
            said[ids[utterance]].append(Interval(names[word], start / SAMPLE_RATE, end / SAMPLE_RATE))
    wanted = set(speakers[dataset.select(split)].tolist())
    if not wanted:
        raise DatasetError(f"the {split} split of {path} is empty", remedy="choose another one with --split")
    of_split = {people[speaker] for speaker in wanted}
    items = []
    for name, (speaker_name, shard, row) in sorted(item for item in places.items() if item[1][0] in of_split):
        ordered = tuple(sorted(said[name], key=lambda interval: interval.start_s))
        text = " ".join(interval.symbol for interval in ordered)
        seconds = len(dataset.samples(shard, row)) / SAMPLE_RATE
        items.append(Item(name, speaker_name, str(path), 0.0, seconds, text=text, words=ordered, row=(shard, row)))
    return items


def running(items: Sequence[Item], targets: Sequence[str], most: int, shots: int) -> Material:
    """The keywords (`targets`, or those that the most speakers say, at most `most`) where they are said in the items."""
    speech, voices = split_voices(items)
    material = Material(RUNNING, speech, voices)
    said: dict[str, list[Token]] = defaultdict(list)
    for number, item in enumerate(speech):
        for text, token in _phrases(number, item):
            said[text].append(token)
    if targets:
        spelled = {" ".join(plain_words(target)) for target in targets}
        material.tokens = {text: said[text] for text in sorted(spelled & set(said))}
        material.dropped += [(text, "not_said", "nobody says it in the background") for text in sorted(spelled - set(said))]
    else:
        material.tokens = {text: said[text] for text in _choose(said, most, shots)}
    return material


def _phrases(number: int, item: Item) -> Iterator[tuple[str, Token]]:
    """Every word and every phrase of up to three words without a long pause."""
    for first, start in enumerate(item.words):
        before = first > 0 and start.start_s - item.words[first - 1].end_s < JOINED_S
        for last in range(first, min(first + MOST_WORDS, len(item.words))):
            if last > first and item.words[last].start_s - item.words[last - 1].end_s > MAX_PAUSE_S:
                break
            end = item.words[last]
            after = last + 1 < len(item.words) and item.words[last + 1].start_s - end.end_s < JOINED_S
            text = " ".join(plain_words(" ".join(word.symbol for word in item.words[first : last + 1])))
            yield text, Token(number, item.speaker, start.start_s, end.end_s, before or after)


def _choose(said: dict[str, list[Token]], most: int, shots: int) -> list[str]:
    """Keywords of one, two and three words in turn, those that the most speakers say first; none is a part of one before it."""
    ranked: list[list[str]] = [[] for _ in range(MOST_WORDS)]
    for text, tokens in said.items():
        words = text.count(" ") + 1
        fits = words <= MOST_WORDS and len(text.replace(" ", "")) >= LEAST_LETTERS[words - 1] and enough(tokens, shots)
        if fits and LEAST_S <= median(token.end_s - token.start_s for token in tokens) <= MOST_S:
            ranked[words - 1].append(text)
    for names in ranked:
        names.sort(key=lambda text: (-len({token.speaker for token in said[text]}), -len(said[text]), text))
    chosen: list[str] = []
    while len(chosen) < most and any(ranked):
        for names in ranked:
            while names and any(f" {names[0]} " in f" {text} " or f" {text} " in f" {names[0]} " for text in chosen):
                names.pop(0)
            if names and len(chosen) < most:
                chosen.append(names.pop(0))
    return chosen
