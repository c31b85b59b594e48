"""What flows between the stages: plain frozen records with their units in the names.

Times are seconds from the start of the *utterance* (not of the recording it was cut from) unless a name says samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any


@dataclass(frozen=True, slots=True)
class Utterance:
    """A transcribed stretch of speech by one speaker: `[start_s, end_s)` of the recording `audio`."""

    utterance_id: str
    speaker: str
    audio: str
    start_s: float
    end_s: float
    transcript: str
    language: str = "en"
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def to_json(self) -> dict[str, Any]:
        """Its fields; `meta` is the same object, for copying it would take longer than all the rest."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Utterance:
        """Build from a manifest line; keys that belong to a later stage are ignored."""
        try:
            return cls(*_all_fields(record))  # takes half the time
        except KeyError:  # a later field may be left out
            return cls(**{name: record[name] for name in cls.__dataclass_fields__ if name in record})


_all_fields = itemgetter(*Utterance.__dataclass_fields__)

_TYPES: tuple[tuple[str, Any, str], ...] = (
    *((name, str, "a string") for name in ("utterance_id", "speaker", "audio", "language", "textgrid")),
    ("transcript", (str, type(None)), "a string"),  # null is a fault that `validate` names and drops
    *((name, (float, int), "a number") for name in ("start_s", "end_s")),
    ("meta", dict, "an object"),
)


def wrong_type(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first field of an utterance, or of its line in a manifest, that has the wrong type, and what was expected."""
    for name, types, expected in _TYPES:
        if name in record and not isinstance(record[name], types):
            return f"{name} {record[name]!r:.100}", expected
    return None


@dataclass(frozen=True, slots=True)
class Interval:
    """A word or phone at `[start_s, end_s)` of its utterance; `goodness` is a mean log likelihood per frame (higher is better)."""

    symbol: str
    start_s: float
    end_s: float
    goodness: float | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """Word and phone boundaries of one utterance, in order, not overlapping; silence is what no interval covers.

    `oov` are words, sorted, that no lexicon held: their pronunciation was guessed.
    """

    utterance_id: str
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...] = ()
    goodness: float | None = None
    oov: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """A keyword heard in a stream: it lies at `[onset_s, offset_s]`, decided at `time_s`; all from the stream's start."""

    keyword: str
    onset_s: float
    offset_s: float
    time_s: float
    similarity: float
