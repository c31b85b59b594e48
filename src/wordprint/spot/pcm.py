"""What bytes from a pipe, which can't be rewound, hold: a WAV header and its samples, or raw samples."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, ConfigError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.spot.options import RawConfig

Read = Callable[[int], bytes]
"""Up to that many bytes as soon as there are some; none at the end."""

_RAW = {"s16": ("PCM_16", 2), "s32": ("PCM_32", 4), "f32": ("FLOAT", 4)}
_WAV = {(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32", (3, 32): "FLOAT", (3, 64): "DOUBLE",
        (6, 8): "ALAW", (7, 8): "ULAW"}  # fmt: skip
"""libsndfile's name of the samples for a WAV format tag and bits per sample."""
_EXTENSIBLE = 0xFFFE
_UNKNOWN_LENGTH = 0x7FFF_F000
"""A length from here on, or 0, stands for "not known" in the header of a recorder that writes to a pipe."""
_LONGEST_CHUNK = 1 << 20
"""No chunk before the samples is larger; one that says so is not a WAV header."""
_OTHER_FORMATS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"RIFX": "big-endian WAV", b"FORM": "AIFF", b".snd": "AU",
                  b"caff": "CAF", b"\x1aE\xdf\xa3": "Matroska or WebM"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples lie in bytes: rate in Hz, channels, libsndfile's name of a sample, its bytes, and all bytes where known."""

    sample_rate: int
    channels: int
    subtype: str
    sample_bytes: int
    total_bytes: int | None = None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.sample_bytes * self.channels

    def decode(self, frames: bytes) -> NDArray[np.float32]:
        """(n, channels) of whole frames, at full scale ±1, as libsndfile reads them from a file."""
        import soundfile

        with ctrl_c_waits():
            samples, _ = soundfile.read(
                BytesIO(frames), dtype="float32", always_2d=True, format="RAW", endian="LITTLE",
                subtype=self.subtype, channels=self.channels, samplerate=self.sample_rate,
            )  # fmt: skip
        decoded: NDArray[np.float32] = samples
        return decoded


def find_layout(read: Read, raw: RawConfig, name: str) -> tuple[Layout, bytes]:
    """The layout that a WAV header or else `raw` states, and what was read beyond the header.

    Raises AudioError for a header that can't be used, ConfigError where it contradicts `raw`.
    """
    start = read_exactly(read, 12)
    if start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:] == b"WAVE":
        layout = _wav_layout(read, name)
        _require_agreement(layout, raw, name)
        return layout, b""
    other = next((kind for magic, kind in _OTHER_FORMATS.items() if start.startswith(magic)), None)
    if start[4:8] == b"ftyp":
        other = "MP4"
    if other:
        remedy = "name the file itself if it is one, or decode it: ffmpeg -i FILE -f wav - | wordprint spot -"
        raise AudioError(f"{name} holds {other}", expected="raw samples or WAV", remedy=remedy)
    subtype, sample_bytes = _RAW[raw.format or "s16"]
    return Layout(raw.rate or SAMPLE_RATE, raw.channels or 1, subtype, sample_bytes), start


def read_exactly(read: Read, count: int) -> bytes:
    """`count` bytes; fewer only at the end."""
    data = b""
    while len(data) < count and (more := read(count - len(data))):
        data += more
    return data


def _wav_layout(read: Read, name: str) -> Layout:
    described: tuple[int, int, int, int] | None = None
    total = 0  # RF64 states it in a chunk of its own
    while True:
        header = read_exactly(read, 8)
        if len(header) < 8:
            raise AudioError(f"{name} ends inside its WAV header", reason="empty_audio")
        kind, length = header[:4], struct.unpack("<I", header[4:])[0]
        if kind == b"data":
            break
        content = read_exactly(read, length + length % 2) if length <= _LONGEST_CHUNK else b""
        if len(content) < length:
            raise AudioError(f"{name} has a damaged WAV header (part {kind!r} of {length} bytes)")
        if kind == b"fmt " and length >= 16:
            described = _described(content)
        elif kind == b"ds64" and length >= 16:
            total = struct.unpack("<Q", content[8:16])[0]
    if described is None:
        raise AudioError(f"{name} has a damaged WAV header: it doesn't say what its samples are")
    tag, bits, channels, rate = described
    if (tag, bits) not in _WAV or not channels or not rate:
        what = f"samples of format {tag}, {bits} bits, {channels} channels, {rate} Hz"
        raise AudioError(f"{name} is WAV with {what}", expected="PCM, float, A-law or µ-law samples")
    known = length if 0 < length < _UNKNOWN_LENGTH else total or None
    return Layout(rate, channels, _WAV[tag, bits], bits // 8, known)


def _described(content: bytes) -> tuple[int, int, int, int]:
    """Format tag, bits per sample, channels and rate of a `fmt ` chunk."""
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = struct.unpack("<H", content[24:26])[0]
    return tag, bits, channels, rate


def _require_agreement(layout: Layout, raw: RawConfig, name: str) -> None:
    """An option that says otherwise than the header is a mistake in one of them."""
    stated = {"rate": layout.sample_rate, "channels": layout.channels, "format": layout.subtype}
    for option, value in stated.items():
        given = getattr(raw, option)
        if given is not None and (_RAW[given][0] if option == "format" else given) != value:
            seen = f"{option} is {given}, but {name} is WAV with {option} {value}"
            raise ConfigError(seen, remedy=f"leave {option} out: the header says it")
