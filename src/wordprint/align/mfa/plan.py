"""Which utterances share a run of MFA, planned on disk: memory does not grow with the corpus."""

from __future__ import annotations

import heapq
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from wordprint.records import Utterance

SPLIT_ABOVE = 2.0
"""A speaker with more speech than this many shards is split: adapting to a speaker takes minutes of speech, not hours."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Utterances of one run of MFA, with their places in the manifest."""

    index: int
    utterances: tuple[tuple[int, Utterance], ...]


class Plan:
    """The utterances of a manifest, in shards by speaker that hold about the same hours; a temporary file until it is closed."""

    def __init__(self, utterances: Iterable[Utterance], shard_s: float) -> None:
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE utterances (number INTEGER PRIMARY KEY, speaker BLOB, part INTEGER, seconds REAL, line TEXT)",
            "CREATE TABLE parts (speaker BLOB, part INTEGER, shard INTEGER, PRIMARY KEY (speaker, part)) WITHOUT ROWID",
            "CREATE TABLE members (shard INTEGER, number INTEGER, PRIMARY KEY (shard, number)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._rows.execute(statement)
        self.languages: set[str] = set()
        self._rows.executemany("INSERT INTO utterances VALUES (?, ?, 0, ?, ?)", self._read(utterances))
        self.seconds: float = self._rows.execute("SELECT total(seconds) FROM utterances").fetchone()[0]
        self._assign(shard_s)
        self.shard_count: int = self._rows.execute("SELECT count(DISTINCT shard) FROM parts").fetchone()[0]

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._rows.close()

    def shards(self) -> Iterator[Shard]:
        """Every shard; its utterances in the manifest's order."""
        members = "SELECT number, line FROM members JOIN utterances USING (number) WHERE shard = ? ORDER BY number"
        for (index,) in self._rows.execute("SELECT DISTINCT shard FROM parts ORDER BY shard").fetchall():
            rows = self._rows.execute(members, (index,))
            yield Shard(index, tuple((number, Utterance.from_json(json.loads(line))) for number, line in rows))

    def sample(self, seconds: float) -> Iterator[Utterance]:
        """Utterances of about `seconds` of speech, evenly from the whole manifest; all where there is no more."""
        share = min(1.0, seconds / self.seconds)
        for number, line in self._rows.execute("SELECT number, line FROM utterances ORDER BY number"):
            if math.floor((number + 1) * share) > math.floor(number * share):
                yield Utterance.from_json(json.loads(line))

    def _read(self, utterances: Iterable[Utterance]) -> Iterator[tuple[int, bytes, float, str]]:
        for number, utterance in enumerate(utterances):
            self.languages.add(utterance.language)
            speaker = utterance.speaker.encode("utf-8", "surrogatepass")
            yield number, speaker, max(0.0, utterance.duration_s), json.dumps(utterance.to_json())

    def _assign(self, shard_s: float) -> None:
        """The longest part first, each to the shard that has least so far."""
        speakers = "SELECT speaker, total(seconds) AS s FROM utterances GROUP BY speaker"
        for speaker, seconds in self._rows.execute(f"{speakers} HAVING s > ?", (SPLIT_ABOVE * shard_s,)).fetchall():
            self._split(speaker, seconds, shard_s)
        loads = [(0.0, shard) for shard in range(max(1, math.ceil(self.seconds / shard_s)))]
        parts = "SELECT speaker, part, total(seconds) AS s FROM utterances GROUP BY speaker, part ORDER BY s DESC, speaker, part"
        for speaker, part, seconds in self._rows.execute(parts):
            load, shard = heapq.heappop(loads)
            self._rows.execute("INSERT INTO parts VALUES (?, ?, ?)", (speaker, part, shard))
            heapq.heappush(loads, (load + seconds, shard))
        self._rows.execute("INSERT INTO members SELECT shard, number FROM utterances JOIN parts USING (speaker, part)")

    def _split(self, speaker: bytes, seconds: float, shard_s: float) -> None:
        """Cut a speaker into equal parts in the order of the manifest."""
        part_s, before_s, starts = seconds / math.ceil(seconds / shard_s), 0.0, [0]
        rows = self._rows.execute("SELECT number, seconds FROM utterances WHERE speaker = ? ORDER BY number", (speaker,))
        for number, length_s in rows:
            if before_s >= len(starts) * part_s:
                starts.append(number)
            before_s += length_s
        for part, start in enumerate(starts):
            self._rows.execute("UPDATE utterances SET part = ? WHERE speaker = ? AND number >= ?", (part, speaker, start))


def in_order(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Results, each with its utterance's place under `number`, in the order of the manifest and without it; sorted on disk."""
    with closing(sqlite3.connect("", isolation_level=None)) as rows:
        rows.execute("CREATE TABLE results (number INTEGER PRIMARY KEY, line TEXT)")
        rows.execute("BEGIN")
        for result in results:
            rows.execute("INSERT INTO results VALUES (?, ?)", (result.pop("number"), json.dumps(result)))
        for (line,) in rows.execute("SELECT line FROM results ORDER BY number"):
            yield json.loads(line)
