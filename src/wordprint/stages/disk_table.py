"""A table of strings that lives on disk, so that looking up or remembering a million ids takes no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

_CACHE_KIB = 32 << 10
"""Memory of one table: digests of a million recordings, which come in no order, are then added at about 100,000 a second."""


class Table:
    """Keys with one value each; the first value given for a key stays. A temporary file, deleted when it is closed."""

    def __init__(self) -> None:
        # joblib draws from the readers in a thread of its own, one at a time
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._rows.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB, used INTEGER DEFAULT 0) WITHOUT ROWID")
        self._rows.execute("BEGIN")

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *error: object) -> None:
        self._rows.close()

    def add(self, key: str, value: str = "") -> bool:
        """Remember `value` under `key`; False when the key was there already."""
        return self._rows.execute("INSERT OR IGNORE INTO rows (key, value) VALUES (?, ?)", (_raw(key), _raw(value))).rowcount == 1

    def append(self, key: str, value: str) -> None:
        """Remember one more value under `key`; `get` then gives all, with `//` between."""
        update = "value = CAST(value || '//' || excluded.value AS BLOB)"
        insert = f"INSERT INTO rows (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET {update}"
        self._rows.execute(insert, (_raw(key), _raw(value)))

    def get(self, key: str) -> str | None:
        """The value of `key`, or None."""
        row = self._rows.execute("SELECT value FROM rows WHERE key = ?", (_raw(key),)).fetchone()
        return None if row is None else _text(row[0])

    def use(self, key: str) -> str | None:
        """Like `get`, and mark the key as used."""
        self._rows.execute("UPDATE rows SET used = 1 WHERE key = ?", (_raw(key),))
        return self.get(key)

    def unused(self) -> Iterator[str]:
        """Keys that were never used, in order."""
        for (key,) in self._rows.execute("SELECT key FROM rows WHERE used = 0 ORDER BY key"):
            yield _text(key)


def _raw(text: str) -> bytes:
    """UTF-8, or the bytes of a file name that isn't."""
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
