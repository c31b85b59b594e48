"""What spans of a stream are alike: every span is compared with every keyword whose lengths it has, in one matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wordprint.spot.enrollment import Keyword
from wordprint.spot.spans import length_s, tried

ONE_THREAD = 250_000
"""Multiplications that OpenBLAS does in the calling thread. In larger products threads wait for each other: 100 keywords cost ten
times as much beside other work."""


STEEPNESS = 2
"""How much a span loses, in terms of how much nearer it is to a mistake than to the keyword."""


class Matcher:
    """The prototypes of W keywords, and the G lengths of spans that are tried for them: `lengths_s` (G,), ascending."""

    def __init__(self, keywords: Sequence[Keyword]) -> None:
        of_keyword = [tried(word) for word in keywords]
        used = sorted({place for found in of_keyword for place in found})
        self.lengths_s = np.array([length_s(place) for place in used])
        counts = [len(word.prototypes) for word in keywords]
        self._prototypes = np.array([vector for word in keywords for vector in word.prototypes], np.float32)
        self._first = np.cumsum([0, *counts])[:-1]
        mine = np.array([[place in found for place in used] for found in of_keyword], bool).reshape(len(keywords), len(used))
        self._not_mine = ~np.repeat(mine, counts, axis=0).T  # (G, P)
        self._keyword = np.repeat(np.arange(len(keywords)), counts)
        self._mistakes = [
            (np.flatnonzero(self._keyword == number), np.array([one.embedding for one in word.mistakes], np.float32))
            for number, word in enumerate(keywords)
            if word.mistakes
        ]

    def best(self, vectors: NDArray[np.float32], heard: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """How similar (W,) the length is that is most like each keyword, and which span (W,) of that length is most like it.

        `vectors` (E·G, D) are those of all spans that end at E places, the lengths of one end after the other. A length is as
        similar as its spans are on average: so is what was enrolled, and what is like a keyword at one end alone is so by chance.
        Spans that are not `heard` (E·G,) don't count; without others a keyword has -inf.
        """
        lengths, everyone = len(self.lengths_s), np.arange(len(self._prototypes))
        similarities = self._similarities(vectors).reshape(-1, lengths, len(everyone))
        there = heard.reshape(-1, lengths, 1)
        counts = there.sum(axis=0, dtype=np.float32)
        means = np.where(there, similarities, 0).sum(axis=0) / np.maximum(counts, 1)
        means[(counts == 0) | self._not_mine] = -np.inf
        length = means.argmax(axis=0)
        end = np.where(there[:, length, 0], similarities[:, length, everyone], -np.inf).argmax(axis=0)
        highest, which = means[length, everyone], end * lengths + length
        if len(highest) == len(self._first):  # a prototype each
            return highest, which
        best = np.maximum.reduceat(highest, self._first)
        ordered = np.lexsort((-highest, self._keyword))
        return best, which[ordered[self._first]]

    def allowed(self) -> NDArray[np.bool_]:
        """Which lengths (G, W) are tried for each keyword."""
        return np.asarray(~self._not_mine[:, self._first])

    def _similarities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, P), less STEEPNESS times by how much a span is nearer to a mistake than to the prototype."""
        similarities = np.empty((len(vectors), len(self._prototypes)), np.float32)
        together = max(1, ONE_THREAD // max(1, vectors.size))
        for first in range(0, len(self._prototypes), together):
            np.matmul(vectors, self._prototypes[first : first + together].T, out=similarities[:, first : first + together])
        for prototypes, mistakes in self._mistakes:
            nearer = (vectors @ mistakes.T).max(axis=1, keepdims=True) - similarities[:, prototypes]
            similarities[:, prototypes] -= STEEPNESS * np.maximum(nearer, 0)
        return np.asarray(similarities)
