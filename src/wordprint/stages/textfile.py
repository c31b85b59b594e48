"""Text that people write: UTF-8 or UTF-16, with or without a byte-order mark; the one place that reads it."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_HEAD_BYTES = 4096
_ONE_SCRIPT = 0.5
"""Of the characters are in two blocks of 256: a script's, and the one of spaces, digits and line ends."""
_ASCII_SHARE = 0.8
_LONGEST_CHARACTER = 4
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\n\r")
"""No text has one of them in every other byte; those of scripts up to U+1FFF are in UTF-16's high bytes."""


def read_text(path: str | Path, fallback: str = "") -> str:
    """A whole file. Raises OSError, and UnicodeDecodeError where it is neither; `fallback` is an encoding to try before that."""
    data = Path(path).read_bytes()
    encoding = find_encoding(data[:_HEAD_BYTES])
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if fallback and encoding == "utf-8-sig":
            return data.decode(fallback)
        raise


def read_lines(path: str | Path) -> Iterator[tuple[int, str | UnicodeDecodeError]]:
    """Number, from 1, and text of each line, with its end; an error in place of one in another encoding. Raises OSError."""
    path = Path(path)
    with path.open("rb") as file:
        encoding = find_encoding(file.read(_HEAD_BYTES))
        file.seek(0)
        if encoding == "utf-8-sig":
            for number, raw in enumerate(file, start=1):
                try:
                    yield number, raw.decode(encoding if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    yield number, error
            return
    number = 0
    try:
        with path.open(encoding=encoding, newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line
    except UnicodeDecodeError as error:  # what comes after it can't be told into lines
        yield number + 1, error


def find_encoding(head: bytes) -> str:
    """utf-8-sig, unless a byte-order mark or NULs in every other byte say that it is another; `head` begins the file."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    nuls = {"utf-16-be": head[::2].count(0), "utf-16-le": head[1::2].count(0)}
    encoding = max(nuls, key=nuls.__getitem__)
    if len(head) % 2 or min(nuls.values()) or _begins_in_ascii(head):
        return "utf-8-sig"
    if not nuls[encoding]:
        return _of_one_script(head)
    blocks = Counter(head[encoding == "utf-16-le" :: 2])
    one_script = sum(times for _, times in blocks.most_common(2)) >= _ONE_SCRIPT * blocks.total()
    return encoding if one_script or _is_no_ascii(head, encoding) else "utf-8-sig"


def _of_one_script(head: bytes) -> str:
    """UTF-16 of a word without a space or line end, and so without NULs: every other byte is one and the same control character."""
    for encoding, high, low in (("utf-16-be", head[::2], head[1::2]), ("utf-16-le", head[1::2], head[::2])):
        if len(high) > 1 and len(set(high)) == 1 and high[0] in _CONTROLS and not (high[0] == ord("\t") and low.isalnum()):
            return encoding
    return "utf-8-sig"


def _begins_in_ascii(head: bytes) -> bool:
    """Whether the first line is ASCII words, as the header of a table: NULs below it are damage, no encoding."""
    first, end, _ = head.partition(b"\n")
    return bool(end) and first.isascii() and b"\0" not in first and 2 * sum(map(str.isalnum, first.decode())) > len(first)


def _is_no_ascii(head: bytes, encoding: str) -> bool:
    """Whether it can't be UTF-8 but can be `encoding`, as in UTF-16 of Chinese, where only spaces and line ends make NULs."""
    try:
        head[:-_LONGEST_CHARACTER].decode()
    except UnicodeDecodeError:
        text = head[:-_LONGEST_CHARACTER].decode(encoding, "replace")
        plain = all(character.isprintable() or character.isspace() for character in text)
        return plain and sum(0x20 <= byte < 0x7F for byte in head) < _ASCII_SHARE * len(head)
    return False
