"""Raw PCM of any rate, width and number of channels, chunk by chunk, as 16 kHz mono."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.spot.pcm import Layout
from wordprint.spot.source import Feed

RATES_HZ = (4_000, 384_000)
CHANNELS = (1, 32)
_SUBTYPES = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
"""libsndfile's name of samples by their bytes: unsigned in one byte, as in WAV; else signed, little-endian."""


def second_bytes(rate: Any, width: Any, channels: Any) -> int:
    """Bytes of a second of such audio; raises AudioError for a form that can't be."""
    for name, value, (least, most) in (("rate", rate, RATES_HZ), ("width", width, (1, 4)), ("channels", channels, CHANNELS)):
        if type(value) is not int or not least <= value <= most:
            raise AudioError(f"{name} {str(value)[:40]}", expected=f"a whole number from {least} to {most}", reason="bad_audio")
    size: int = rate * width * channels
    return size


class Sound:
    """One stream. Chunks may be cut anywhere between samples: what comes out, all told, is the same, and what a file would give.

    What comes out lags as `wordprint.spot.source.Feed` does.
    """

    def __init__(self) -> None:
        self._form: tuple[int, int] | None = None
        self._feed: Feed

    def add(self, payload: bytes, rate: int, width: int, channels: int) -> NDArray[np.float32]:
        """(N,) samples at 16 kHz, full scale ±1, that the next bytes bring.

        Raises AudioError for bytes that end inside a sample, and for another rate or other channels in the middle of the stream.
        """
        if len(payload) % (width * channels):
            raise AudioError(
                f"{len(payload)} bytes of audio",
                expected=f"whole samples of {width} bytes in {channels} channels",
                reason="bad_audio",
            )
        if self._form is None:
            self._form, self._feed = (rate, channels), Feed(rate, channels)
        if self._form != (rate, channels):
            before = f"{self._form[0]} Hz in {self._form[1]} channels"
            raise AudioError(
                f"the audio changes from {before} to {rate} Hz in {channels} in the middle of a stream",
                remedy="end the stream and begin another",
                reason="bad_audio",
            )
        return self._feed.push(Layout(rate, channels, _SUBTYPES[width], width).decode(payload))

    def end(self) -> NDArray[np.float32]:
        """What is still held, at the end of the stream."""
        return (
            np.zeros(0, np.float32) if self._form is None else self._feed.push(np.zeros((0, self._form[1]), np.float32), last=True)
        )
