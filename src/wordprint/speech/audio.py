"""Read any recording as 16 kHz mono; the one place that knows the sample rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, kind_of

SAMPLE_RATE = 16_000
"""Hz; everything after `read_audio` is at this rate."""

AUDIO_SUFFIXES = frozenset({".flac", ".wav", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif", ".au", ".caf", ".w64"})
"""Lower-case endings that count as recordings when a folder is scanned."""

INT16_SCALE = 32_768.0
"""Full scale of 16-bit audio; int16 / INT16_SCALE is in [-1, 1)."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Header of a recording: rate in Hz, channels, and its length as the header states it."""

    sample_rate: int
    channels: int
    duration_s: float


def probe_audio(path: str | Path) -> AudioInfo:
    """Read only the header of a recording; raises AudioError where there is none that can be read."""
    import soundfile

    _require_file(path)
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if header.frames <= 0:
        raise AudioError(f"{path} holds no audio (0 samples)", reason="empty_audio")
    return AudioInfo(header.samplerate, header.channels, header.frames / header.samplerate)


def read_audio(path: str | Path, start_s: float = 0.0, end_s: float | None = None) -> NDArray[np.float32]:
    """Samples of `[start_s, end_s)` as float32 mono (N,) at SAMPLE_RATE, full scale ±1; channels are averaged.

    Raises AudioError, with `reason` set, for a missing or unreadable file, one that ends before `start_s`, no
    samples, or samples that are not finite numbers.
    """
    import soundfile

    _require_file(path)
    try:
        with soundfile.SoundFile(str(path)) as recording:
            rate = recording.samplerate
            if start_s > 0:
                recording.seek(min(round(start_s * rate), recording.frames))
            count = -1 if end_s is None else max(0, round(end_s * rate) - round(start_s * rate))
            samples = recording.read(count, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if samples.shape[0] == 0:
        raise AudioError(f"{path} holds no audio between {start_s:g} s and {end_s or 'its end'}", reason="empty_audio")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise _non_finite(path)
    return resample(mono, rate, SAMPLE_RATE)


def stream_audio(path: str | Path, block_s: float = 1.0) -> Iterator[NDArray[np.float32]]:
    """The samples that `read_audio` gives, block by block, so that memory does not grow with the recording.

    Resampled blocks agree with `read_audio` to rounding. Raises AudioError as `read_audio` does, where the fault lies.
    """
    import soundfile
    import soxr

    _require_file(path)
    try:
        with soundfile.SoundFile(str(path)) as recording:
            rate, total = recording.samplerate, 0
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None
            while len(block := recording.read(max(1, round(block_s * rate)), dtype="float32", always_2d=True)):
                total += len(block)
                mono = np.ascontiguousarray(block[:, 0]) if block.shape[1] == 1 else block.mean(axis=1)
                if not np.isfinite(mono).all():
                    raise _non_finite(path)
                yield mono if resampler is None else resampler.resample_chunk(mono)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if total == 0:
        raise AudioError(f"{path} holds no audio (0 samples)", reason="empty_audio")
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
    soundfile.write(encoded, samples, sample_rate)
    Path(path).write_bytes(encoded.getbuffer())


def _require_file(path: str | Path) -> None:
    try:
        if not Path(path).is_file():
            raise AudioError(kind_of(path), expected="an audio file", reason="missing_audio")
        with open(path, "rb"):  # libsndfile says "System error" for whatever keeps it from opening a file
            pass
    except OSError as error:
        raise _unreadable(path, error) from error


def _non_finite(path: str | Path) -> AudioError:
    return AudioError(f"{path} holds samples that are not finite numbers (NaN or infinity)", reason="non_finite_audio")


def _unreadable(path: str | Path, error: Exception) -> AudioError:
    if isinstance(error, OSError):
        return AudioError(f"{path} can't be read: {error.strerror or error}", remedy="check the file and its permissions")
    detail = str(error).split(": ", 1)[-1].rstrip(".")
    if detail.startswith("File does not exist"):  # what libsndfile says of a file in which it finds no MP3 frame
        detail = "no known format"
    return AudioError(f"{path} can't be read as audio ({detail})", expected="FLAC, WAV, MP3, Ogg or another format of libsndfile")
