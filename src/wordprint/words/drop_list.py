"""Lists of segments to leave out, such as the outliers of a trained model: JSONL, one segment or utterance a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from wordprint.errors import InputError
from wordprint.stages.contract import StageRun

Span = tuple[int, int]

_EXPECTED = '{"utterance_id": …, "start_sample": …, "end_sample": …}, or {"utterance_id": …} for all of an utterance'


class DropList:
    """What the lists name, by utterance; in memory are the lists alone."""

    def __init__(self, spans: dict[str, set[Span] | None]) -> None:
        self._spans = spans
        """Segments of an utterance as samples from its start; None for all of it."""
        self._unknown = set(spans)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> DropList:
        """Raises InputError that names the line which is no segment."""
        spans: dict[str, set[Span] | None] = {}
        for path in paths:
            for utterance_id, span in _entries(path):
                known = spans.setdefault(utterance_id, set())
                if span is None:
                    spans[utterance_id] = None
                elif known is not None:
                    known.add(span)
        return cls(spans)

    def mark(self, records: Callable[[], Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """The records, those that a list names with `listed`: their segments, or None for all."""
        for record in records():
            if record["utterance_id"] in self._spans:
                spans = self._spans[record["utterance_id"]]
                self._unknown.discard(record["utterance_id"])
                record = record | {"listed": spans if spans is None else sorted(spans)}
            yield record

    def report(self, stage: StageRun, found: int) -> dict[str, Any]:
        """Say what the lists name and the alignments don't have; `found` segments were dropped one by one. For the receipt."""
        if not self._spans:
            return {}
        named = sum(len(spans) for name, spans in self._spans.items() if spans is not None and name not in self._unknown)
        unknown = {"unknown_utterances": len(self._unknown), "unknown_segments": named - found}
        if any(unknown.values()):
            stage.progress.say(
                f"drop: {len(self._unknown)} of {len(self._spans)} utterances in the lists are not in the alignments, and "
                f"{named - found} segments are not where the lists say"
            )
        return {"listed_utterances": len(self._spans), **unknown}


def _entries(path: Path) -> Iterator[tuple[str, Span | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read ({error})", expected="a JSONL file of segments to drop") from error


def _parse(line: str, where: str) -> tuple[str, Span | None]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error})", expected=_EXPECTED) from error
    entry = entry if isinstance(entry, dict) else {}
    utterance_id, start, end = (entry.get(name) for name in ("utterance_id", "start_sample", "end_sample"))
    if isinstance(utterance_id, str) and start is None and end is None:
        return utterance_id, None
    if not isinstance(utterance_id, str) or type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise InputError(f"{where} names no segment: {line.strip()[:80]}", expected=_EXPECTED)
    return utterance_id, (start, end)
