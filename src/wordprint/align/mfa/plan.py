"""Which utterances share a run of MFA. Utterances lie on disk: in memory each is two numbers."""

from __future__ import annotations

import heapq
import json
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.records import Utterance
from wordprint.stages.disk_table import Table

SPLIT_ABOVE = 2.0
"""A speaker with more speech than this many shards is split: adapting to a speaker takes minutes of speech, not hours."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Utterances of one run of MFA, with their places in the manifest."""

    index: int
    utterances: tuple[tuple[int, Utterance], ...]


class Plan:
    """The utterances of a manifest, in shards by speaker that hold about the same hours; to be closed, as a context."""

    def __init__(self, utterances: Iterable[Utterance], shard_s: float) -> None:
        self._lines, self.languages, speakers = Table(), set[str](), dict[str, int]()
        codes, lengths_s = array("q"), array("d")
        for number, utterance in enumerate(utterances):
            self._lines.add(str(number), json.dumps(utterance.to_json()))
            self.languages.add(utterance.language)
            codes.append(speakers.setdefault(utterance.speaker, len(speakers)))
            lengths_s.append(max(0.0, utterance.duration_s))
        self.seconds = math.fsum(lengths_s)
        self._shards = assign([*speakers], np.array(codes, np.int64), np.array(lengths_s), shard_s)
        self.shard_count = len(np.unique(self._shards))

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.__exit__(*error)

    def shards(self) -> Iterator[Shard]:
        """Every shard; its utterances in the manifest's order."""
        for index in np.unique(self._shards).tolist():
            numbers = np.flatnonzero(self._shards == index).tolist()
            yield Shard(index, tuple((number, self._utterance(number)) for number in numbers))

    def sample(self, seconds: float) -> Iterator[Utterance]:
        """Utterances of about `seconds` of speech, evenly from the whole manifest; all where there is no more."""
        share = min(1.0, seconds / self.seconds)
        for number in range(len(self._shards)):
            if math.floor((number + 1) * share) > math.floor(number * share):
                yield self._utterance(number)

    def _utterance(self, number: int) -> Utterance:
        return Utterance.from_json(json.loads(self._lines.get(str(number)) or ""))


def assign(speakers: Sequence[str], codes: NDArray[np.int64], lengths_s: NDArray[np.float64], shard_s: float) -> NDArray[np.int64]:
    """The shard (n,) of each utterance, by the code of its speaker (n,) and its length (n,): the longest part of a speaker
    first, each to the shard that has least so far."""
    parts = np.zeros_like(codes)
    for code in np.flatnonzero(np.bincount(codes, lengths_s) > SPLIT_ABOVE * shard_s):
        own = np.flatnonzero(codes == code)
        parts[own] = _split(lengths_s[own], shard_s)
    pairs, places = np.unique(np.stack([codes, parts]), axis=1, return_inverse=True)
    places = places.reshape(-1)
    sizes_s = np.bincount(places, lengths_s).tolist()
    keys = zip(sizes_s, *pairs.tolist(), strict=True)
    ranked = sorted((-size_s, speakers[code], part, place) for place, (size_s, code, part) in enumerate(keys))
    loads = [(0.0, shard) for shard in range(max(1, math.ceil(math.fsum(lengths_s) / shard_s)))]
    shards = np.zeros(len(ranked), np.int64)
    for size_s, _, _, place in ranked:  # sizes are negative here
        load_s, shard = loads[0]
        shards[place] = shard
        heapq.heapreplace(loads, (load_s - size_s, shard))
    return shards[places]


def _split(lengths_s: NDArray[np.float64], shard_s: float) -> list[int]:
    """The part (n,) of each of a speaker's utterances: equal parts in the order of the manifest."""
    total_s = float(lengths_s.sum())
    part_s, before_s, part, parts = total_s / math.ceil(total_s / shard_s), 0.0, 0, list[int]()
    for length_s in lengths_s.tolist():
        part += before_s >= (part + 1) * part_s
        parts.append(part)
        before_s += length_s
    return parts


def in_order(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Results, each with its utterance's place under `number`, in the order of the manifest and without it; sorted on disk."""
    with Table() as lines:
        for result in results:
            lines.add(f"{result.pop('number'):012d}", json.dumps(result))
        for number in lines.unused():  # all of them, in order
            yield json.loads(lines.get(number) or "")
