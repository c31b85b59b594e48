"""The frames of an MP3 file, so that one without a length, or several in a row, are read whole.

ISO 11172-3 and 13818-3. A first frame with `Xing`, `Info` or `VBRI` in place of sound says how many frames follow;
libmpg123 believes it, and guesses from the size of the first frames where it is missing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wordprint.speech.part import Content, Part

_MPEG_1 = 3  # the version's bits; 2 is MPEG 2, 0 MPEG 2.5
_RATES = {_MPEG_1: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_3 = 1
_SAME = 0xFFFE0C00  # version, layer and rate: what can't change within a stream
_MONO = 3
_INFO_KBPS = 8  # index of a bitrate at which a frame has room for the length: 112 or 64 kbit/s
_FEW = 4
"""Frames more than a file says are a matter of how its writer counts; those after them are another file."""

_GAP = 512
"""Bytes of something else that libmpg123 finds its way over; it gives up after 1024."""


@dataclass(frozen=True, slots=True)
class _Frame:
    start: int
    size: int
    header: int

    @property
    def form(self) -> tuple[int, bool]:
        """What is the same in all frames of a stream."""
        return self.header & _SAME, (self.header >> 6 & 3) == _MONO

    @property
    def side_bytes(self) -> int:
        """Bytes between the header and the sound, where the length stands."""
        mono = (self.header >> 6 & 3) == _MONO
        return (17 if mono else 32) if self.header >> 19 & 3 == _MPEG_1 else (9 if mono else 17)


@dataclass(slots=True)
class _Stream:
    """A run of frames: where it begins, how many it says it has (None: it doesn't say), and how many there are."""

    first: _Frame
    promised: int | None
    end: int
    count: int = 0


def mp3_parts(content: Content) -> list[Part]:
    """The MP3 streams of a file, each with its length; nothing for one stream that states its own."""
    begin = _after_tags(content, 0)
    first = _frame(content, begin)
    if first is None:
        return []
    frames, size = _length(content, first) if _is_length(content, first) else (0, 0)
    if frames and size and first.start + size + first.size + 128 >= len(content):  # 128: an ID3v1 tag
        return []
    streams = list(_streams(content, begin))
    if len(streams) == 1 and streams[0].promised:
        return []
    return [
        Part(b"" if stream.promised else _info_frame(stream.first, stream.count), stream.first.start, stream.end)
        for stream in streams
        if stream.count
    ]


def _streams(content: Content, begin: int) -> Iterator[_Stream]:
    stream: _Stream | None = None
    for frame in _frames(content, begin):
        tag = _length(content, frame)[0] if _is_length(content, frame) else None
        over = stream is not None and stream.promised is not None and stream.count >= stream.promised + _FEW
        if stream and (tag is not None or over or frame.form != stream.first.form or frame.start > stream.end + _GAP):
            yield stream
            stream = None
        if tag == 0:
            continue  # written before the length was known: the stream begins after it
        stream = stream or _Stream(frame, tag, frame.start)
        stream.end = frame.start + frame.size
        stream.count += tag is None
    if stream:
        yield stream


def _frames(content: Content, place: int) -> Iterator[_Frame]:
    """Frames in a row; tags and damage between them are skipped."""
    while 0 <= place < len(content):
        frame = _frame(content, place)
        if frame is None and (after := _after_tags(content, place)) > place:
            place = after
        elif frame is None:
            place = _next_frames(content, place + 1)
        else:
            yield frame
            place += frame.size


def _next_frames(content: Content, place: int) -> int:
    """The next place where three frames of one form follow each other, which is no accident; -1 where there is none."""
    while (place := content.find(b"\xff", place)) >= 0:
        first = _frame(content, place)
        second = first and _frame(content, place + first.size)
        third = second and _frame(content, second.start + second.size)
        if first and second and third and first.form == second.form == third.form:
            return place
        place += 1
    return -1


def _frame(content: Content, place: int) -> _Frame | None:
    """The Layer III frame that begins here and is there to its end."""
    raw = content[place : place + 4]
    if len(raw) < 4 or raw[0] != 0xFF or raw[1] < 0xE0:
        return None
    header = int.from_bytes(raw, "big")
    version, layer, bitrate, rate = header >> 19 & 3, header >> 17 & 3, header >> 12 & 15, header >> 10 & 3
    if version not in _RATES or layer != _LAYER_3 or bitrate in (0, 15) or rate == 3:
        return None
    kbps, factor = (_KBPS_1, 144_000) if version == _MPEG_1 else (_KBPS_2, 72_000)
    size = factor * kbps[bitrate] // _RATES[version][rate] + (header >> 9 & 1)
    return _Frame(place, size, header) if place + size <= len(content) else None


def _is_length(content: Content, frame: _Frame) -> bool:
    place = frame.start + 4 + frame.side_bytes
    return content[place : place + 4] in (b"Xing", b"Info") or content[frame.start + 36 : frame.start + 40] == b"VBRI"


def _length(content: Content, frame: _Frame) -> tuple[int, int]:
    """Frames and bytes that a length frame says there are; 0 where it doesn't say."""
    if content[frame.start + 36 : frame.start + 40] == b"VBRI":
        size, frames = struct.unpack(">II", content[frame.start + 46 : frame.start + 54].ljust(8, b"\0"))
        return frames, size
    place = frame.start + 8 + frame.side_bytes
    flags, *numbers = struct.unpack(">III", content[place : place + 12].ljust(12, b"\0"))
    frames = numbers[0] if flags & 1 else 0
    return frames, numbers[flags & 1] if flags & 2 else 0


def _info_frame(like: _Frame, count: int) -> bytes:
    """A frame without sound that says how many follow, for a stream that lacks one."""
    header = (like.header & ~0xF200 | _INFO_KBPS << 12) | 0x10000  # no padding, no checksum
    size = (_frame(header.to_bytes(4, "big") + bytes(5000), 0) or like).size
    body = header.to_bytes(4, "big") + bytes(like.side_bytes) + struct.pack(">4sII", b"Info", 1, count)
    return body.ljust(size, b"\0")


def _after_tags(content: Content, place: int) -> int:
    """The place after ID3 and APE tags that begin here."""
    while True:
        head = content[place : place + 32]
        if head.startswith(b"ID3") and len(head) == 32:
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            place += 10 + size + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"TAG"):
            place += 128
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            place += int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x80 else 0)
        else:
            return place
