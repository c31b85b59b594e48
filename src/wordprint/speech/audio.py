"""Read any recording as 16 kHz mono; the one place that knows the sample rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.speech.failures import Source, reading
from wordprint.speech.mix import INT16_SCALE
from wordprint.speech.recording import Recording

SAMPLE_RATE = 16_000
"""Hz; everything after `read_audio` is at this rate."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Header of a recording: rate in Hz, channels, and its length as the header states it."""

    sample_rate: int
    channels: int
    duration_s: float


def probe_audio(source: Source) -> AudioInfo:
    """Read only the header of a recording; raises AudioError where there is none that can be read."""
    with Recording(source) as recording:
        if recording.frames <= 0:
            raise _empty(recording.name)
        return AudioInfo(recording.sample_rate, recording.channels, recording.frames / recording.sample_rate)


def read_audio(source: Source, start_s: float = 0.0, end_s: float | None = None) -> NDArray[np.float32]:
    """Samples of `[start_s, end_s)` as float32 mono (N,) at SAMPLE_RATE, full scale ±1.

    Channels are averaged; where they cancel (opposite phase), one is taken. Raises AudioError, with `reason` set, for a
    missing or unreadable file, one that ends before `start_s`, no samples, or samples that are not finite numbers or not
    at full scale ±1.
    """
    with Recording(source) as recording:
        rate = recording.sample_rate
        last = None if end_s is None else round(end_s * rate)
        blocks = [mono for _, mono in recording.blocks(round(max(0.0, start_s) * rate), last)]
        if not blocks:
            if recording.frames <= 0:
                raise _empty(recording.name)
            between = f"between {start_s:g} s and {'its end' if end_s is None else f'{end_s:g} s'}"
            raise AudioError(f"{recording.name} holds no audio {between}", reason="empty_audio")
    with reading(source):
        samples = resample(blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rate, SAMPLE_RATE)
    if not len(samples):
        raise _empty(recording.name)
    return samples


def stream_audio(source: Source, block_s: float = 1.0) -> Iterator[NDArray[np.float32]]:
    """The samples that `read_audio` gives, block by block, so that memory does not grow with the recording.

    Resampled blocks agree with `read_audio` to rounding. Raises AudioError as `read_audio` does, where the fault lies.
    """
    import soxr

    with Recording(source) as recording:
        rate, total = recording.sample_rate, 0
        resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None
        for _, mono in recording.blocks(block_s=block_s):
            total += len(mono)
            mono = np.ascontiguousarray(mono)
            yield mono if resampler is None else resampler.resample_chunk(mono)
        if total == 0:
            raise _empty(recording.name)
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Band-limited resampling of (N,) samples; unchanged when the rates agree."""
    if from_hz == to_hz:
        return np.ascontiguousarray(samples)
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """±1 float to 16-bit, rounded and clipped."""
    scaled: NDArray[np.float32] = np.rint(samples * np.float32(INT16_SCALE))
    return scaled.clip(-INT16_SCALE, INT16_SCALE - 1).astype(np.int16)


def to_float32(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit to float in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(INT16_SCALE)


def write_audio(path: str | Path, samples: NDArray[np.float32] | NDArray[np.int16], sample_rate: int = SAMPLE_RATE) -> None:
    """Write (N,) samples as 16-bit audio in the format that the file's ending names (.flac, .wav, .ogg, …)."""
    import soundfile

    if samples.dtype != np.int16:
        samples = to_int16(np.asarray(samples, dtype=np.float32))
    encoded = BytesIO()  # written by Python, whose errors say when the disk is full; libsndfile's don't
    encoded.name = Path(path).name
    with ctrl_c_waits():
        soundfile.write(encoded, samples, sample_rate)
    Path(path).write_bytes(encoded.getbuffer())


def _empty(name: str) -> AudioError:
    return AudioError(f"{name} holds no audio (0 samples)", reason="empty_audio")
