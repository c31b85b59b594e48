"""What a recording holds, measured in one pass at its own rate and in bounded memory; nothing is resampled."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.speech.audio import to_int16
from wordprint.speech.mix import INT16_SCALE
from wordprint.speech.recording import Recording

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
    """Decode `[start_s, end_s)` of a recording; raises AudioError as `Recording` does, and `empty_audio` for no samples."""
    with Recording(audio) as recording:
        rate, frames = recording.sample_rate, recording.frames
        first, last = round(start_s * rate), round(end_s * rate)
        if first >= frames:
            raise AudioError(f"{audio} holds 0 samples from {start_s:g} s on (it has {frames / rate:.2f} s)", reason="empty_audio")
        meter = _Meter()
        for samples, mono in recording.blocks(first, last):
            meter.add(samples, mono)
        if not meter.count:
            raise AudioError(f"{audio} holds 0 samples that can be decoded", reason="empty_audio")
        whole = last >= frames - 1
        shortfall = _shortfall((last - first) / rate, meter.count / rate) or (_cut_container(recording) if whole else "")
        return meter.result(rate, recording.channels, shortfall)


class _Meter:
    """Running sums over blocks of (N, channels) samples and their mix."""

    def __init__(self) -> None:
        self.count = self.clipped = 0
        self.total = self.squares = 0.0
        self.digest = hashlib.blake2b(digest_size=16)

    def add(self, samples: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        total, squares = float(mono.sum(dtype=np.float64)), float(np.square(mono).sum(dtype=np.float64))
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


def _cut_container(recording: Recording) -> str:
    """What the container says about its own end: libsndfile quietly shortens WAV, AIFF and AU files, and Ogg has no length."""
    promise = _PROMISE.search(recording.header_log)
    if promise:
        promised, there = int(promise[1]), int(promise[2])
        if there < promised < _STREAMED:
            missing_s = (promised - there) / there * recording.frames / recording.sample_rate if there else 0.0
            if missing_s > SHORTFALL_S or not there:
                return f"the header promises {promised} bytes of audio, {there} are there"
    if recording.form[0] == "OGG" and _last_page_is_cut(Path(recording.name)):
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
