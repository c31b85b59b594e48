"""Counters per word type that hold a few numbers for each, never its tokens or its text: types are 64-bit hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from wordprint.stages.hashing import Hashes
from wordprint.words.options import WordsConfig

_COMPACT_ROWS = 1_000_000
_TOKENS_AT_ONCE = 8_000_000
"""Tokens whose pairs of type and speaker are looked at together: all could be different, and take 16 bytes each."""


class TypeCounts:
    """Tokens and distinct speakers of each word type.

    Attributes `types` (ascending), `tokens` and `speakers` are all (number of types,).

    Args:
        read: gives the types (n,) and speakers (n,) of all tokens in pieces; called several times.
    """

    def __init__(self, read: Callable[[], Iterable[tuple[Hashes, Hashes]]]) -> None:
        types, speakers, tokens = _Distinct(), _Distinct(), 0
        for of_types, of_speakers in read():
            types.add(of_types)
            speakers.add(of_speakers)
            tokens += len(of_types)
        self.types, self.tokens = types.finish()
        self.speakers: NDArray[np.int64] = np.zeros(len(self.types), np.int64)
        names, _ = speakers.finish()
        shares = 1 + tokens // _TOKENS_AT_ONCE
        for share in range(shares):  # some of the speakers at a time
            pairs = _Distinct()
            for of_types, of_speakers in read():
                mine = of_speakers % np.uint64(shares) == share
                numbers = np.searchsorted(names, of_speakers[mine]).astype(np.uint64)
                pairs.add(self.places(of_types[mine]).astype(np.uint64) << np.uint64(32) | numbers)
            self.speakers += np.bincount((pairs.finish()[0] >> np.uint64(32)).astype(np.int64), minlength=len(self.types))

    def places(self, types: Hashes) -> NDArray[np.int64]:
        """Index into `types` of each of these (n,), all of which have been counted."""
        return np.searchsorted(self.types, types).astype(np.int64)


class _Distinct:
    """Distinct values, ascending, and how often each came, added in pieces."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Hashes, NDArray[np.int64]]] = [(np.empty(0, np.uint64), np.empty(0, np.int64))]
        self._waiting = 0

    def add(self, values: Hashes) -> None:
        self._pieces.append(np.unique(values, return_counts=True))
        self._waiting += len(self._pieces[-1][0])
        if self._waiting > max(_COMPACT_ROWS, len(self._pieces[0][0])):
            self.finish()

    def finish(self) -> tuple[Hashes, NDArray[np.int64]]:
        """Values and counts, (n,) both."""
        if self._waiting:
            values, counts = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
            order = np.argsort(values)
            values, counts = values[order], counts[order]
            starts = np.flatnonzero(np.diff(values, prepend=~values[:1]))
            self._pieces, self._waiting = [(values[starts], np.add.reduceat(counts, starts))], 0
        return self._pieces[0]


class TokenLimit:
    """Which tokens of the types that have more than `max_tokens` are kept: those with the smallest hashes."""

    def __init__(self, counts: TypeCounts, config: WordsConfig) -> None:
        self.counts, self.most = counts, config.max_tokens or 0
        self.highest = np.full(len(counts.types), np.iinfo(np.uint64).max, np.uint64)
        self.capped = counts.tokens > self.most if self.most else np.zeros(len(counts.types), bool)
        self._places: NDArray[np.int64] = np.empty(0, np.int64)
        self._tokens: Hashes = np.empty(0, np.uint64)
        self._waiting: list[tuple[NDArray[np.int64], Hashes]] = []
        self._rows = 0

    def add(self, types: Hashes, tokens: Hashes) -> None:
        """Look at tokens (n,) before the limit is set."""
        places = self.counts.places(types)
        chosen = self.capped[places]
        self._waiting.append((places[chosen], tokens[chosen]))
        self._rows += len(self._waiting[-1][0])
        if self._rows > max(_COMPACT_ROWS, len(self._places)):
            self._forget()

    def finish(self) -> None:
        """Set `highest`, the largest hash that is kept of each type."""
        if self.capped.any():
            self._forget()
            last = np.searchsorted(self._places, np.flatnonzero(self.capped), side="right") - 1
            self.highest[self.capped] = self._tokens[last]

    def _forget(self) -> None:
        """Of each type keep the `max_tokens` smallest so far, in order."""
        places, tokens = (np.concatenate(column) for column in zip((self._places, self._tokens), *self._waiting, strict=True))
        order = np.lexsort((tokens, places))
        places, tokens = places[order], tokens[order]
        rank = np.arange(len(places)) - np.searchsorted(places, places)
        self._places, self._tokens = places[rank < self.most], tokens[rank < self.most]
        self._waiting, self._rows = [], 0
