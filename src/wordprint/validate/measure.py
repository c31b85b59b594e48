"""What a recording holds, measured in one pass at its own rate and in bounded memory; nothing is resampled."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.speech.audio import INT16_SCALE, to_int16

BLOCK_S = 60.0
"""Seconds decoded at once: most utterances in one read, an hour-long one without an hour in memory."""

SHORTFALL_S = 0.1
"""An utterance may end this much after its recording: manifests and Kaldi segments round."""

FLOOR_DB = -120.0
"""Level given to digital silence."""

FULL_SCALE = 32_766 / INT16_SCALE
"""Samples at or above this are clipped: the last two steps of 16 bit, and what lossy codecs overshoot."""

_PROMISE = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED = 0x7FFF_0000
"""Data sizes from here on mean 'unknown' in headers written by programs that stream (ffmpeg, sox)."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Rate (Hz) and channels of the recording; the rest is of the utterance, mixed to mono as later stages hear it.

    `level_db` is the RMS about the mean, dB of full scale; `clipped_share` the part of the time with a clipped sample
    in any channel; `digest` identifies the decoded samples; `shortfall` says what is missing at the end, or is empty.
    """

    sample_rate: int
    channels: int
    duration_s: float
    level_db: float
    clipped_share: float
    digest: str
    shortfall: str = ""


def measure(audio: str | Path, start_s: float, end_s: float) -> Measurement:
    """Decode `[start_s, end_s)` of a recording.

    Raises AudioError with reason `missing_audio`, `unreadable_audio`, `empty_audio`, `truncated_audio` (decoding fails
    before the end) or `non_finite_audio`; OSError for a file that may not be read.
    """
    import soundfile

    if not Path(audio).is_file():
        raise AudioError("the file does not exist", reason="missing_audio")
    try:
        recording = soundfile.SoundFile(os.fspath(audio))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(_plain(error)) from error
    with recording:
        rate, frames = recording.samplerate, recording.frames
        first, last = round(start_s * rate), round(end_s * rate)
        if frames == 0 or first >= frames:
            raise AudioError(f"0 samples (the recording has {frames / rate:.2f} s)", reason="empty_audio")
        meter = _Meter()
        try:
            if first:
                recording.seek(first)
            _decode(recording, last - first, meter)
        except (soundfile.SoundFileError, RuntimeError) as error:
            detail = f"decoding fails before the end of its {frames / rate:.2f} s ({_plain(error)})"
            raise AudioError(detail, reason="truncated_audio") from error
        if not meter.count:
            raise AudioError("0 samples could be decoded", reason="empty_audio")
        whole = last >= frames - 1
        shortfall = _shortfall((last - first) / rate, meter.count / rate) or (_cut_container(recording) if whole else "")
        return meter.result(rate, recording.channels, shortfall)


def _decode(recording: Any, count: int, meter: _Meter) -> None:
    """Feed `count` frames, or as many as there are, to the meter block by block."""
    block = round(BLOCK_S * recording.samplerate)
    while count > 0:
        wanted = min(block, count)
        samples = recording.read(wanted, dtype="float32", always_2d=True)
        if len(samples):
            meter.add(samples)
        if len(samples) < wanted:
            return
        count -= wanted


class _Meter:
    """Running sums over blocks of (N, channels) samples."""

    def __init__(self) -> None:
        self.count = self.clipped = 0
        self.total = self.squares = 0.0
        self.digest = hashlib.blake2b(digest_size=16)

    def add(self, samples: NDArray[np.float32]) -> None:
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        total, squares = float(mono.sum(dtype=np.float64)), float(np.square(mono).sum(dtype=np.float64))
        if not math.isfinite(squares):
            bad = int(np.count_nonzero(~np.isfinite(mono)))
            raise AudioError(f"{bad} of {len(mono)} samples are not finite numbers (NaN or infinity)", reason="non_finite_audio")
        self.count += len(mono)
        self.total += total
        self.squares += squares
        loud = np.abs(samples) >= FULL_SCALE
        self.clipped += int(np.count_nonzero(loud if loud.shape[1] == 1 else loud.any(axis=1)))
        self.digest.update(to_int16(mono).data)

    def result(self, rate: int, channels: int, shortfall: str) -> Measurement:
        mean = self.total / self.count
        power = max(self.squares / self.count - mean * mean, 0.0)
        level_db = max(10 * math.log10(power), FLOOR_DB) if power > 0 else FLOOR_DB
        return Measurement(
            sample_rate=rate,
            channels=channels,
            duration_s=self.count / rate,
            level_db=round(level_db, 2),
            clipped_share=self.clipped / self.count,
            digest=f"{rate}-{self.digest.hexdigest()}",
            shortfall=shortfall,
        )


def _shortfall(promised_s: float, there_s: float) -> str:
    if promised_s - there_s <= SHORTFALL_S:
        return ""
    return f"{promised_s:.2f} s were promised, {there_s:.2f} s are there"


def _cut_container(recording: Any) -> str:
    """What the container says about its own end: libsndfile quietly shortens WAV, AIFF and AU files, and Ogg has no length."""
    promise = _PROMISE.search(recording.extra_info)
    if promise:
        promised, there = int(promise[1]), int(promise[2])
        if there < promised < _STREAMED:
            missing_s = (promised - there) / there * recording.frames / recording.samplerate if there else 0.0
            if missing_s > SHORTFALL_S or not there:
                return f"the header promises {promised} bytes of audio, {there} are there"
    if recording.format == "OGG" and _last_page_is_cut(Path(recording.name)):
        return "the last Ogg page is cut"
    return ""


def _last_page_is_cut(path: Path) -> bool:
    """An Ogg page is at most 65,307 bytes, so that the last one starts within that of the end (RFC 3533)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_307))
        tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _plain(error: Exception) -> str:
    return str(error).split(": ", 1)[-1].strip().rstrip(".") or "not a known audio format"
