"""What a file of sound is made of: one stream or several in a row, each with a header that tells its length right.

libsndfile believes a header that was written before the end was known (a recorder that was killed), and stops after the
first of several streams. Nothing is decoded here; what libsndfile reads right by itself is left to it.
"""

from __future__ import annotations

from wordprint.speech.chunks import MAGICS, chunked_parts
from wordprint.speech.mp3 import mp3_parts
from wordprint.speech.part import Content, Part


def find_parts(content: Content) -> list[Part]:
    """The parts to read in turn; nothing where libsndfile reads the file right as it is."""
    magic = content[:4]
    if is_mp3(magic):
        return mp3_parts(content)
    if magic == b"OggS":
        return _ogg_parts(content)
    if magic == b"fLaC":
        return _flac_parts(content)
    return chunked_parts(content) if magic in MAGICS else []


def is_mp3(magic: bytes) -> bool:
    """Whether a file that begins so may be an MP3."""
    return magic[:3] == b"ID3" or (magic[:1] == b"\xff" and magic[1:2] >= b"\xe2")


def _ogg_parts(content: Content) -> list[Part]:
    """Chained streams (RFC 3533): each begins with pages that are marked as a beginning."""
    starts, place, begun = [0], 0, True
    while content[place : place + 4] == b"OggS" and place + 27 <= len(content):
        first = bool(content[place + 5] & 2)
        if first and not begun:
            starts.append(place)
        begun = first
        segments = content[place + 26]
        place += 27 + segments + sum(content[place + 27 : place + 27 + segments])
        if content[place : place + 4] != b"OggS":  # damage or padding between pages
            place = content.find(b"OggS", place)
            if place < 0:
                break
    ends = [*starts[1:], len(content)]
    return [Part(b"", start, end) for start, end in zip(starts, ends, strict=True)] if len(starts) > 1 else []


def _flac_parts(content: Content) -> list[Part]:
    """A file that a program wrote to a pipe, or was killed in writing, has 0 for its length: 36 bits of STREAMINFO."""
    known = int.from_bytes(content[21:26], "big") & 0xFFFFFFFFF
    return [] if known or len(content) < 42 else [Part(b"", 0, len(content), open_ended=True)]
