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
        types = int(np.count_nonzero(np.bincount(words)))
        if types < 2:
            raise DatasetError(f"{types} word type to train on", expected="at least 2", remedy="use more data or weaker filters")
        if (speakers == speakers[0]).all():
            raise DatasetError("one speaker to train on", expected="at least 2", remedy="add recordings of other people")
        self.words_per_batch = min(words_per_batch, types)
        self.tokens_per_word = tokens_per_word
        order = _stable_order(speakers)
        self._order = order[_stable_order(words[order])]
        """Segments by word type, then by speaker; a group is what one speaker says of one type."""
        words, speakers = words[self._order], speakers[self._order]
        first_of_type = np.diff(words, prepend=-1) != 0
        first_of_group = first_of_type | (np.diff(speakers, prepend=speakers[0]) != 0)
        self._groups = np.append(np.flatnonzero(first_of_group), len(words))
        """Where in `_order` each group begins, and the end."""
        self._types = np.append(np.flatnonzero(first_of_type[first_of_group]), len(self._groups) - 1)
        """Which is the first group of each type, and the end."""
        weights = np.sqrt(np.minimum(np.diff(self._groups[self._types]), FREQUENT))
        self._probabilities = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Positions (P·K,) of segments, the tokens of one type next to each other."""
        types = rng.choice(len(self._probabilities), self.words_per_batch, replace=False, p=self._probabilities)
        return np.concatenate([self._draw_tokens(word, rng) for word in types.tolist()])

    def _draw_tokens(self, word: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """K tokens of one word type: speakers in turn, and each speaker's tokens without repetition while they last."""
        first, after = self._types[word : word + 2].tolist()
        speakers = after - first
        turns = (first + rng.permutation(speakers)[: self.tokens_per_word]).tolist()
        picked = np.empty(self.tokens_per_word, np.int64)
        for place in range(self.tokens_per_word):
            begin, end = self._groups[(turn := turns[place % speakers]) : turn + 2].tolist()
            group = self._order[begin:end]
            if place < speakers:
                picked[place] = group[rng.integers(end - begin)]
            else:
                before = picked[place % speakers : place : speakers]
                fresh = np.setdiff1d(group, before)
                choices = fresh if len(fresh) else group
                picked[place] = choices[rng.integers(len(choices))]
        return picked


def _stable_order(codes: NDArray[np.integer]) -> NDArray[np.int64]:
    """What sorts the codes (n,), equal ones as they come; in the fewest bytes: numpy sorts two with a radix sort."""
    return np.argsort(codes.astype(np.min_scalar_type(codes.max())), kind="stable")
