"""Containers that state the length of their sound before it: RIFF and RF64 (WAV), AIFF, CAF, AU.

A recorder writes the length last. Where it was killed, the header still has 0, or what was there when it was last written;
then everything to the end of the file is sound. Files in a row are found too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wordprint.speech.part import Content, Part

_LONG = ">4sQ"
_CHUNKS = {b"RIFF": ("<4sI", 12), b"RF64": ("<4sI", 12), b"RIFX": (">4sI", 12), b"FORM": (">4sI", 12), b"caff": (_LONG, 8)}
"""How a chunk begins (name and size), and where the first one is, by the first bytes of the file."""
_SOUNDS = (b"data", b"SSND", b"BODY")
_SMALLEST = 24
"""Bytes: less is no file, and no chunk worth reading."""

_AU = (b".snd", b"dns.")
MAGICS = frozenset((*_CHUNKS, *_AU))
"""First bytes of these files."""

_TAGS = (b"ID3", b"TAG", b"APETAGEX")
"""What music programs append to any file."""


@dataclass(frozen=True, slots=True)
class _Sound:
    """The chunk of sound: where its body begins, its size by the header, and where and how that is written."""

    body: int
    size: int
    place: int
    form: str


def chunked_parts(content: Content) -> list[Part]:
    """Containers with a chunk of sound, or several such files in a row; a length is wrong that no chunk or file follows."""
    parts: list[Part] = []
    start: int | None = 0
    while start is not None:
        sound = _sound(content, start)
        if sound is None:
            break
        if sound.size >= len(content) - sound.body:
            # cut off, or written by a program that streams: libsndfile reads what there is
            parts.append(Part(b"", start, len(content)))
            break
        end, following = _end(content, start, sound)
        if end is None:
            there = min(len(content) - sound.body, 256 ** struct.calcsize(sound.form) - 1)
            stated = struct.pack(sound.form, there)
            parts.append(Part(content[start : sound.place] + stated, sound.place + len(stated), len(content)))
        else:
            parts.append(Part(b"", start, end))
        start = following
    return parts if len(parts) > 1 or any(part.head for part in parts) else []


def _sound(content: Content, start: int) -> _Sound | None:
    """The chunk of sound in the container at `start`."""
    magic = content[start : start + 4]
    if magic in _AU:
        order = ">" if magic == b".snd" else "<"
        body, size = struct.unpack(f"{order}II", content[start + 4 : start + 12].ljust(8, b"\xff"))
        return _Sound(start + body, size, start + 8, f"{order}I")
    form, head = _CHUNKS[magic]
    wide: int | None = None
    for name, body, size in _chunks(content, start + head, form):
        if name == b"ds64":  # RF64 has the real sizes here
            wide = body + 8
        elif name in _SOUNDS:
            if wide is not None and size == 0xFFFFFFFF:
                return _Sound(body, int.from_bytes(content[wide : wide + 8], "little"), wide, "<Q")
            unknown = form == _LONG and size >> 63  # -1 in CAF
            return _Sound(body, 0 if unknown else size, body - struct.calcsize(form) + 4, form[0] + form[-1])
    return None


def _end(content: Content, start: int, sound: _Sound) -> tuple[int | None, int | None]:
    """Where the container ends, None if not where its header says; and where another begins, None where none does."""
    magic = content[start : start + 4]
    form = _CHUNKS[magic][0] if magic in _CHUNKS else ""
    place, padded = sound.body + sound.size, sound.size & 1
    while True:
        for here in (place, place + padded):  # not every program pads a chunk of odd size
            if content[here : here + 4] == magic and len(content) - here > _SMALLEST:
                return here, here
            if len(content) - here < _SMALLEST or content[here : here + 8].startswith(_TAGS) or _is_zero(content, here):
                return len(content), None
            name = content[here : here + 4]
            if form and name.isascii() and name.decode().isprintable():
                _, body, size = next(_chunks(content, here, form))
                if size <= len(content) - body:
                    place, padded = body + size, size & 1
                    break
        else:
            return None, None


def _chunks(content: Content, place: int, form: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its body begins, size) of chunks in a row."""
    head = struct.calcsize(form)
    while place + head <= len(content):
        name, size = struct.unpack_from(form, content, place)
        yield name, place + head, size
        place += head + size + (size & 1 if form != _LONG else 0)


def _is_zero(content: Content, place: int) -> bool:
    """Whether nothing but zeros follows: some programs fill the last block of the disk."""
    step = 1 << 16
    return not any(content[here : here + step].strip(b"\0") for here in range(place, len(content), step))
