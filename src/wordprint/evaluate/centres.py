"""Which other word each segment is nearest to, by the centres of words among embeddings.

The centre of a word is the direction of the sum of its segments' embeddings; a segment is compared with the centre of its
own word without itself. A word that sounds the same is no other word, and to be near to it is as good: those with the same
usual pronunciation ("two", "too"), and those that are usually pronounced as the segment was aligned ("red" for "read").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.words.dataset import WordDataset

BLOCK = 256
"""Segments that are compared with all centres at once."""
PASSED_OVER = -2.0
"""Below any cosine."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Compared:
    """Cosines of each segment (n,) with the `nearest` other word (a code) and with its own word or one that sounds the same,
    whichever is nearer; NaN where its word is too rare to have a centre. `words` have one."""

    own: Floats
    other: Floats
    nearest: NDArray[np.int64]
    words: int

    @property
    def excess(self) -> Floats:
        """How much more similar the other word is: above 0, it is the nearer one."""
        return self.other - self.own


def compare(dataset: WordDataset, embedded: Callable[[], Iterable[tuple[int, Floats]]], min_tokens: int) -> Compared:
    """Compare all segments of words with `min_tokens` segments or more.

    `embedded` gives, each time, the unit embeddings (n, D) of all segments in pieces, with the first segment of each.
    Raises DatasetError where there is no other word that a segment could be near to.
    """
    codes, names = dataset.codes("words")
    phones = dataset.segments.column("phones")
    sums: NDArray[np.float64] = np.zeros(0)
    for start, vectors in embedded():
        sums = sums if sums.size else np.zeros((len(names), vectors.shape[1]))
        np.add.at(sums, codes[start : start + len(vectors)], vectors)
    usual = usual_pronunciations(dataset)
    number_of = {said: number for number, said in enumerate(sorted({*usual} - {""}))}
    # a word whose phones are not known sounds like no other
    sounds = np.array([number_of.get(said, -2 - code) for code, said in enumerate(usual)], np.int64)
    frequent = np.bincount(codes, minlength=len(names)) >= min_tokens
    words = np.flatnonzero(frequent)
    if len(np.unique(sounds[words])) < 2:
        raise DatasetError(
            f"{len(words)} words have {min_tokens} segments or more",
            expected="two or more that sound different",
            remedy="lower min_tokens, or use a larger dataset",
        )
    centres = _unit(sums[words]).astype(np.float32)
    own, other = np.full((2, len(dataset)), np.nan, np.float32)
    found = Compared(own, other, np.zeros(len(dataset), np.int64), len(words))
    for start, vectors in embedded():
        rows = start + np.flatnonzero(frequent[codes[start : start + len(vectors)]])
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            mine, vectors_here = codes[block], vectors[block - start]
            similarities = vectors_here @ centres.T
            said = [number_of.get(_plain(text), -1) for text in phones.take(block).to_pylist()]
            alike = (sounds[words] == sounds[mine][:, None]) | (sounds[words] == np.array(said, np.int64)[:, None])
            twins = np.where(alike & (words != mine[:, None]), similarities, PASSED_OVER).max(axis=1)
            found.own[block] = np.maximum((_unit(sums[mine] - vectors_here) * vectors_here).sum(axis=1), twins)
            similarities[alike] = PASSED_OVER
            found.nearest[block], found.other[block] = words[similarities.argmax(axis=1)], similarities.max(axis=1)
    return found


def usual_pronunciations(dataset: WordDataset) -> list[str]:
    """The phones, without stress marks, with which each word type is said most often; "" where none are known."""
    table = dataset.segments.select(["words", "phones"]).unify_dictionaries()
    counts: dict[str, Counter[str]] = {word: Counter() for word in dataset.words}
    for row in table.group_by(["words", "phones"]).aggregate([([], "count_all")]).to_pylist():
        counts[row["words"]][_plain(row["phones"])] += row["count_all"]
    return [min(said, key=lambda phones: (-said[phones], phones), default="") for said in counts.values()]


def _plain(phones: str) -> str:
    return re.sub(r"\d", "", phones)


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
