"""A sample of aligned utterances, and wrong transcripts for each: what a threshold of goodness is calibrated on."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wordprint.errors import DatasetError
from wordprint.records import Utterance
from wordprint.speech.text import normalise

KINDS = {"other": "another sentence", "substituted": "a word replaced", "inserted": "a word added", "deleted": "a word left out"}
"""Ways in which a transcript is made wrong, as people read them."""

LEAST_WORDS = 100
"""Fewer right words than this have no hundredth."""


def digest64(text: str) -> int:
    """First 64 bits of SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def sample(records: Iterable[Mapping[str, Any]], minutes: float) -> list[Mapping[str, Any]]:
    """Lines of alignments.jsonl chosen by the hash of their ids, `minutes` of audio in all, in the order of the hashes.

    Held in memory are the chosen ones. Utterances of a single word are passed over.
    """
    chosen: list[tuple[int, str, Mapping[str, Any]]] = []  # a heap whose first is the one with the highest hash
    seconds = 0.0
    for record in records:
        if len(_words(record)) < 2:
            continue
        heapq.heappush(chosen, (-digest64(record["utterance_id"]), record["utterance_id"], record))
        seconds += _seconds(record)
        while len(chosen) > 1 and seconds - _seconds(chosen[0][2]) >= 60 * minutes:
            seconds -= _seconds(heapq.heappop(chosen)[2])
    return [record for _, _, record in sorted(chosen, key=lambda entry: (-entry[0], entry[1]))]


def corrupt(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each record of a sample its `utterance` and its `wrong` transcripts: `kind`, `words`, and the `places` of the wrong ones.

    The words beside one that was left out count as wrong, for they share what it said. Words come from the sample
    itself, with as many letters as the one they replace, or one more or less. Raises DatasetError for a sample too
    small to calibrate on.
    """
    words = [_words(record) for record in records]
    count = sum(map(len, words))
    vocabulary = sorted({word for transcript in words for word in transcript})
    if count < LEAST_WORDS or len(vocabulary) < 2:
        raise DatasetError(
            f"the sample has {count} words, {len(vocabulary)} of them different",
            expected=f"{LEAST_WORDS} words or more, to lose one in a hundred",
            remedy="align more speech, or raise calibration_minutes",
        )
    items = []
    for record, transcript, other in zip(records, words, _others(words), strict=True):
        rng = np.random.default_rng(digest64(record["utterance_id"]))
        items.append({"utterance": record, "wrong": _wrong(transcript, other, vocabulary, rng)})
    return items


def _wrong(words: list[str], other: list[str] | None, vocabulary: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every kind of wrong transcript of `words`."""
    replaced, added, left_out = int(rng.integers(len(words))), int(rng.integers(len(words) + 1)), int(rng.integers(len(words)))
    substitute = _another(words[replaced], vocabulary, rng)
    insert = vocabulary[rng.integers(len(vocabulary))]
    made: list[tuple[str, list[str], list[int]]] = [
        ("substituted", [*words[:replaced], substitute, *words[replaced + 1 :]], [replaced]),
        ("inserted", [*words[:added], insert, *words[added:]], [added]),
        ("deleted", [*words[:left_out], *words[left_out + 1 :]], [*range(max(left_out - 1, 0), min(left_out + 1, len(words) - 1))]),
    ]
    if other is not None:
        made.insert(0, ("other", other, [*range(len(other))]))
    return [{"kind": kind, "words": transcript, "places": places} for kind, transcript, places in made]


def _another(word: str, vocabulary: list[str], rng: np.random.Generator) -> str:
    near = [other for other in vocabulary if other != word and abs(len(other) - len(word)) <= 1]
    near = near or [other for other in vocabulary if other != word]
    return near[rng.integers(len(near))]


def _others(transcripts: Sequence[list[str]]) -> list[list[str] | None]:
    """For each the nearest in length that says something else; None where all are the same."""
    order = sorted(range(len(transcripts)), key=lambda number: (sum(map(len, transcripts[number])), transcripts[number]))
    others: list[list[str] | None] = [None] * len(transcripts)
    for place, number in enumerate(order):
        around = (order[near] for step in range(1, len(order)) for near in (place + step, place - step) if 0 <= near < len(order))
        others[number] = next((transcripts[near] for near in around if transcripts[near] != transcripts[number]), None)
    return others


def _words(record: Mapping[str, Any]) -> list[str]:
    return normalise(record["transcript"], Utterance.from_json(dict(record)).language)


def _seconds(record: Mapping[str, Any]) -> float:
    return float(record["end_s"] - record["start_s"])
