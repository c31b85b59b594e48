"""Raw PCM of any rate, width and number of channels, chunk by chunk, as 16 kHz mono."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.pcm import Layout

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
    """One stream. Chunks may be cut anywhere between samples: what comes out, all told, is the same."""

    def __init__(self) -> None:
        self._rate = 0
        self._resampler: Any = None

    def add(self, payload: bytes, rate: int, width: int, channels: int) -> NDArray[np.float32]:
        """(N,) samples at 16 kHz, full scale ±1, that the next bytes bring; channels are averaged.

        Raises AudioError for bytes that end inside a sample, and for another rate in the middle of the stream.
        """
        if len(payload) % (width * channels):
            raise AudioError(
                f"{len(payload)} bytes of audio",
                expected=f"whole samples of {width} bytes in {channels} channels",
                reason="bad_audio",
            )
        if self._rate and rate != self._rate:
            raise AudioError(
                f"the rate changes from {self._rate} to {rate} Hz in the middle of a stream",
                remedy="end the stream and begin another",
                reason="bad_audio",
            )
        if not self._rate:
            self._begin(rate)
        mono: NDArray[np.float32] = Layout(rate, channels, _SUBTYPES[width], width).decode(payload).mean(axis=1)
        return mono if self._resampler is None else self._resampled(mono)

    def end(self) -> NDArray[np.float32]:
        """What the resampler still holds, at the end of the stream."""
        return np.zeros(0, np.float32) if self._resampler is None else self._resampled(np.zeros(0, np.float32), last=True)

    def _begin(self, rate: int) -> None:
        import soxr

        self._rate = rate
        if rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def _resampled(self, mono: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        samples: NDArray[np.float32] = self._resampler.resample_chunk(mono, last=last)
        return samples
