"""What a stage leaves out: every item named in `dropped.jsonl` as it comes, and in memory only counts and a few names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import IO

from wordprint.stages.manifest import DROPPED, to_line

NAMED_PER_REASON = 20
"""How many dropped items the receipt names for each reason; `dropped.jsonl` names all."""


class Drops:
    """Dropped items of a stage in progress; `len` is how many were dropped by name.

    `dropped.jsonl` has a temporary name until `close`, and goes when the block ends before that. A stage that goes on after
    a kill takes the results of all its parts again, and so drops the same items in the same order.
    """

    def __init__(self, folder: Path) -> None:
        self.counts: Counter[str] = Counter()
        """All that were dropped, by reason."""
        self.examples: dict[str, list[str]] = {}
        """The first NAMED_PER_REASON of each reason."""
        self.first = ""
        """Name and detail of the first that was dropped by name."""
        self._path, self._partial = folder / DROPPED, folder / ".dropped.partial.jsonl"
        self._lines: IO[str] | None = None
        self._named = 0

    def __len__(self) -> int:
        return self._named

    def __enter__(self) -> Drops:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lines is not None:
            self._lines.close()
        self._partial.unlink(missing_ok=True)

    def add(self, item: str, reason: str, detail: str) -> None:
        """One item, by name."""
        self._open().write(to_line({"item": item, "reason": reason, "detail": detail}))
        self.first = self.first or f"{item}: {detail}"
        self._named += 1
        self.add_many(reason, 1, (item,))

    def add_many(self, reason: str, count: int, examples: Iterable[str]) -> None:
        """Items that are too many to be named one by one."""
        self.counts[reason] += count
        named = self.examples.setdefault(reason, [])
        named.extend(islice(examples, NAMED_PER_REASON - len(named)))

    def close(self) -> None:
        """Give `dropped.jsonl` its name; it is empty where nothing was dropped."""
        with self._open() as lines:
            lines.flush()
            os.fsync(lines.fileno())
        os.replace(self._partial, self._path)

    def _open(self) -> IO[str]:
        if self._lines is None:
            self._lines = self._partial.open("w", encoding="utf-8", newline="\n")
        return self._lines
