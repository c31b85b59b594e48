"""Composes batches of P word types × K tokens, each type by as many speakers as it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError

FREQUENT = 200
"""Tokens beyond which a word type is not drawn more often."""


class WordSampler:
    """Draws segments: P different word types, then K tokens of each that spread over its speakers.

    A type is drawn in proportion to the square root of its number of tokens, so that rare words are heard and their few
    tokens not worn out. Speakers are taken in random order, each once before any comes twice.

    Args:
        words: word type of each segment, codes 0 … W − 1 (n,).
        speakers: speaker of each segment, any codes (n,).
    """

    def __init__(
        self, words: NDArray[np.integer], speakers: NDArray[np.integer], words_per_batch: int, tokens_per_word: int
    ) -> None:
        types = len(np.unique(words))
        if types < 2:
            raise DatasetError(f"{types} word type to train on", expected="at least 2", remedy="use more data or weaker filters")
        if len(np.unique(speakers)) < 2:
            raise DatasetError("one speaker to train on", expected="at least 2", remedy="add recordings of other people")
        self.words_per_batch = min(words_per_batch, types)
        self.tokens_per_word = tokens_per_word
        order = np.lexsort((speakers, words))
        starts = np.flatnonzero(np.diff(words[order], prepend=-1))
        self._by_speaker = [_split_by(speakers[tokens], tokens) for tokens in np.split(order, starts[1:])]
        counts = np.array([sum(map(len, groups)) for groups in self._by_speaker])
        weights = np.sqrt(np.minimum(counts, FREQUENT))
        self._probabilities = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Positions (P·K,) of segments, the tokens of one type next to each other."""
        types = rng.choice(len(self._by_speaker), self.words_per_batch, replace=False, p=self._probabilities)
        return np.concatenate([self._draw_tokens(self._by_speaker[word], rng) for word in types])

    def _draw_tokens(self, groups: list[NDArray[np.int64]], rng: np.random.Generator) -> NDArray[np.int64]:
        """K tokens of one word type: speakers in turn, and each speaker's tokens without repetition while they last."""
        turns = rng.permutation(len(groups))
        picked = np.empty(self.tokens_per_word, np.int64)
        for place in range(self.tokens_per_word):
            group, round_ = groups[turns[place % len(groups)]], place // len(groups)
            if round_ == 0:
                picked[place] = group[rng.integers(len(group))]
            else:
                before = picked[place % len(groups) : place : len(groups)]
                fresh = np.setdiff1d(group, before)
                choices = fresh if len(fresh) else group
                picked[place] = choices[rng.integers(len(choices))]
        return picked


def _split_by(keys: NDArray[np.integer], values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """`values` in groups of equal, already sorted keys."""
    return np.split(values, np.flatnonzero(np.diff(keys)) + 1)
