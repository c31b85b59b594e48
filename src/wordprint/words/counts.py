"""Counters per word type that hold a few numbers for each, never its tokens or its text: types are 64-bit hashes."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from wordprint.config import WordsConfig

Hashes = NDArray[np.uint64]
_COMPACT_ROWS = 4_000_000


def hash64(text: str) -> int:
    """First 64 bits of SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "little")


def mix(*parts: Hashes) -> Hashes:
    """One well-spread hash per row of several (n,) (the finaliser of splitmix64, Steele 2014)."""
    mixed = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + part.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


class TypeCounts:
    """Tokens and distinct speakers of each word type, added a shard at a time."""

    def __init__(self) -> None:
        self._types: list[tuple[Hashes, NDArray[np.int64]]] = []
        self._pairs: list[tuple[Hashes, Hashes]] = []
        self._rows = 0
        self.types: Hashes = np.empty(0, np.uint64)
        self.tokens: NDArray[np.int64] = np.empty(0, np.int64)
        self.speakers: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, types: Hashes, speakers: Hashes) -> None:
        """Count tokens (n,) of these types by these speakers."""
        distinct, counts = np.unique(types, return_counts=True)
        pairs, first = np.unique(mix(types, speakers), return_index=True)
        self._types.append((distinct, counts))
        self._pairs.append((pairs, types[first]))
        self._rows += len(distinct) + len(pairs)
        if self._rows > _COMPACT_ROWS:
            self._compact()
            self._rows = 0

    def finish(self) -> None:
        """Set `types` (ascending), `tokens` and `speakers`, all (number of types,)."""
        self._compact()
        if self._types:
            self.types, self.tokens = self._types[0]
            self.speakers = np.bincount(np.searchsorted(self.types, self._pairs[0][1]), minlength=len(self.types))

    def places(self, types: Hashes) -> NDArray[np.int64]:
        """Index into `types` of each of these (n,), all of which have been counted."""
        return np.searchsorted(self.types, types).astype(np.int64)

    def _compact(self) -> None:
        if not self._types:
            return
        types, counts = (np.concatenate(column) for column in zip(*self._types, strict=True))
        distinct, inverse = np.unique(types, return_inverse=True)
        self._types = [(distinct, np.bincount(inverse, weights=counts).astype(np.int64))]
        pairs, of_type = (np.concatenate(column) for column in zip(*self._pairs, strict=True))
        pairs, first = np.unique(pairs, return_index=True)
        self._pairs = [(pairs, of_type[first])]


class TokenLimit:
    """Which tokens of the types that have more than `max_tokens` are kept: those with the smallest hashes."""

    def __init__(self, counts: TypeCounts, config: WordsConfig) -> None:
        self.counts, self.most = counts, config.max_tokens
        self.highest = np.full(len(counts.types), np.iinfo(np.uint64).max, np.uint64)
        self.capped = np.zeros(len(counts.types), bool) if self.most is None else counts.tokens > self.most
        self._seen: list[tuple[NDArray[np.int64], Hashes]] = []

    def add(self, types: Hashes, tokens: Hashes) -> None:
        """Look at tokens (n,) before the limit is set."""
        places = self.counts.places(types)
        chosen = self.capped[places]
        self._seen.append((places[chosen], tokens[chosen]))

    def finish(self) -> None:
        """Set `highest`, the largest hash that is kept of each type."""
        if self.most is None or not self._seen:
            return
        places, tokens = (np.concatenate(column) for column in zip(*self._seen, strict=True))
        order = np.lexsort((tokens, places))
        places, tokens = places[order], tokens[order]
        first = np.searchsorted(places, np.flatnonzero(self.capped))
        self.highest[self.capped] = tokens[first + self.most - 1]
        self._seen = []
