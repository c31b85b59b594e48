"""Files of sound as programs leave them that were killed, that stream, or that put files one behind the other."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import soundfile

RATE = 16_000
LENGTH_FRAME_BYTES = {RATE: 72 * 64_000 // RATE, 44_100: 144 * 128_000 // 44_100}
"""LAME's choice of bitrate for it at variable bitrate: 64 and 128 kbit/s."""


def speech(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Bursts of a tone in noise: frames of very different size for a codec of variable bitrate."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.05, len(time))
    burst = np.sin(2 * np.pi * 0.7 * time + seed) > 0
    return ((0.3 * np.sin(2 * np.pi * 300 * time) + noise) * burst).astype(np.float32)


def encoded(samples: np.ndarray, container: str, codec: str | None = None, rate: int = RATE, **options: object) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=codec, **options)
    return file.getvalue()


def mp3(samples: np.ndarray, rate: int = RATE, mode: str = "VARIABLE") -> bytes:
    """With LAME's length frame."""
    return encoded(samples, "MP3", "MPEG_LAYER_III", rate, bitrate_mode=mode, compression_level=0.5)


def without_length(content: bytes, rate: int = RATE) -> bytes:
    """An MP3 of `mp3` without its first frame."""
    return content[LENGTH_FRAME_BYTES[rate] :]


def patched(content: bytes, after: bytes, offset: int, form: str, *values: int) -> bytes:
    """`values` written `offset` bytes after the first `after`."""
    place = content.index(after) + offset
    packed = struct.pack(form, *values)
    return content[:place] + packed + content[place + len(packed) :]
