"""Centres of words among embeddings, and which other word a segment is nearest to.

The centre of a word is the direction of the sum of its segments' embeddings; a segment is compared with the centre of its
own word without itself. A word that sounds the same is no other word, and to be near to it is as good: those with the same
usual pronunciation ("two", "too"), and those that are usually pronounced as the segment was aligned ("red" for "read").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
class Judged:
    """Segments that were compared with centres (n,): where they stand in the dataset, and what they are nearest to."""

    indices: NDArray[np.int64]
    nearest: NDArray[np.int64]
    """Codes of the nearest other words."""
    own_similarity: Floats
    """Cosine with the centre of their own word, or of one that sounds the same, whichever is nearer; higher is nearer."""
    nearest_similarity: Floats

    @property
    def excess(self) -> Floats:
        """How much more similar the other word is: above 0, it is the nearer one."""
        return self.nearest_similarity - self.own_similarity

    def at(self, places: NDArray[np.int64]) -> Judged:
        return Judged(*(column[places] for column in vars(self).values()))

    @classmethod
    def concatenate(cls, parts: list[Judged]) -> Judged:
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in parts), strict=True)))


def sum_by_word(dataset: WordDataset, embedded: Iterable[tuple[int, Floats]]) -> NDArray[np.float64]:
    """Sums (W, D) of the embeddings of each word type; `embedded` gives a first segment and the embeddings (n, D) from it on."""
    codes, words = dataset.codes("words")
    sums = np.zeros((len(words), 0))
    for start, embeddings in embedded:
        if not sums.shape[1]:
            sums = np.zeros((len(words), embeddings.shape[1]))
        np.add.at(sums, codes[start : start + len(embeddings)], embeddings)
    return sums


class Centres:
    """The centres of the words with `min_tokens` segments or more; `words` are the codes of these.

    Raises DatasetError where there is no other word that a segment could be near to.
    """

    def __init__(self, dataset: WordDataset, sums: NDArray[np.float64], min_tokens: int) -> None:
        self._codes = dataset.codes("words")[0]
        self._phones = dataset.segments.column("phones")
        self._sums = sums
        self._frequent = np.bincount(self._codes, minlength=len(sums)) >= min_tokens
        usual = usual_pronunciations(dataset)
        self._group_of = {said: number for number, said in enumerate(sorted({said for said in usual if said}))}
        # a word whose phones are not known is a group of its own
        self._groups = np.array([self._group_of.get(said, -2 - code) for code, said in enumerate(usual)], np.int64)
        self.words = np.flatnonzero(self._frequent)
        if len(np.unique(self._groups[self.words])) < 2:
            raise DatasetError(
                f"{len(self.words)} words have {min_tokens} segments or more",
                expected="two or more that sound different",
                remedy="lower min_tokens, or use a larger dataset",
            )
        self._directions = _unit(sums[self.words]).astype(np.float32)

    def judge(self, start: int, embeddings: Floats) -> Judged:
        """Compare the segments from `start` on, whose unit embeddings (n, D) these are; those of rarer words are left out."""
        places = np.flatnonzero(self._frequent[self._codes[start : start + len(embeddings)]])
        blocks = [places[first : first + BLOCK] for first in range(0, max(len(places), 1), BLOCK)]
        return Judged.concatenate([self._judge(start + block, embeddings[block]) for block in blocks])

    def _judge(self, indices: NDArray[np.int64], vectors: Floats) -> Judged:
        codes = self._codes[indices]
        own = (_unit(self._sums[codes] - vectors) * vectors).sum(axis=1).astype(np.float32)
        similarities = vectors @ self._directions.T
        said = self._phones.take(indices).to_pylist()
        aligned = np.array([self._group_of.get(_plain(phones), -1) for phones in said], np.int64)
        groups = self._groups[self.words]
        alike = (groups == self._groups[codes][:, None]) | (groups == aligned[:, None])
        homophones = np.where(alike & (self.words != codes[:, None]), similarities, PASSED_OVER).max(axis=1)
        similarities[alike] = PASSED_OVER
        nearest = similarities.argmax(axis=1)
        return Judged(indices, self.words[nearest], np.maximum(own, homophones), similarities[np.arange(len(indices)), nearest])


def usual_pronunciations(dataset: WordDataset) -> list[str]:
    """The phones, without stress marks, with which each word type is said most often; "" where none are known."""
    table = dataset.segments.select(["words", "phones"]).unify_dictionaries()
    counts: dict[str, dict[str, int]] = {word: {} for word in dataset.words}
    for row in table.group_by(["words", "phones"]).aggregate([([], "count_all")]).to_pylist():
        said, so_far = _plain(row["phones"]), counts[row["words"]]
        so_far[said] = so_far.get(said, 0) + row["count_all"]
    return [min(said, key=lambda phones: (-said[phones], phones), default="") for said in counts.values()]


def _plain(phones: str) -> str:
    return re.sub(r"\d", "", phones)


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
