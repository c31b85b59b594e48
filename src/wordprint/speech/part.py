"""A stretch of a file that libsndfile reads as a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap

Content = bytes | mmap
"""The bytes of a file."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stream: `head`, then the bytes `[start, end)` of the file.

    An `open_ended` one doesn't know its length: it has as many `frames` as can be decoded, from its beginning only.
    """

    head: bytes
    start: int
    end: int
    open_ended: bool = False
    frames: int = 0
