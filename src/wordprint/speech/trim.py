"""Where the speech lies in a short recording of a keyword, by energy alone, so that it works in every language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.audio import SAMPLE_RATE

_FRAME = 400  # 25 ms
_HOP = 160  # 10 ms
_SMALLEST = 1e-12  # -120 dB, so that digital silence has a level
_BELOW_PEAK_DB = 35.0
"""Speech is at most this far below the loudest 50 ms: what is quieter is breath and reverberation."""
_ABOVE_FLOOR = 0.35
"""Speech stands at least this share of the way from the recording's noise floor to its loudest part."""
_BRIDGE_S = 0.3
"""Pauses up to this long lie inside a phrase (stop closures, the gap between two words)."""
_CLICK_S = 0.06
"""Sounds shorter than this are clicks, unless there is nothing else."""
_EDGE_S = 0.03
"""Kept on each side, for weak first and last consonants."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech at `[start_sample, end_sample)`; `level_db` is its loudest 50 ms in dB of full scale."""

    start_sample: int
    end_sample: int
    level_db: float

    @property
    def duration_s(self) -> float:
        return (self.end_sample - self.start_sample) / SAMPLE_RATE


def find_speech(samples: NDArray[np.float32]) -> Speech:
    """The most prominent stretch of sound in (N,) samples: the one with the largest sum of dB above the threshold."""
    return find_all_speech(samples)[0]


def find_all_speech(samples: NDArray[np.float32], bridge_s: float = _BRIDGE_S) -> list[Speech]:
    """All stretches of sound in (N,) samples, one at least, the most prominent first.

    The threshold adapts to the recording: 35 % of the way from its noise floor (10th percentile of the 25 ms levels)
    to its loudest 50 ms, but never more than 35 dB below the latter. Pauses up to `bridge_s` are bridged, clicks ignored.
    """
    levels_db = _levels_db(samples)
    smooth_db = 10 * np.log10(np.convolve(np.pad(10 ** (levels_db / 10), 2, "edge"), np.full(5, 0.2), mode="valid"))
    peak_db, floor_db = float(smooth_db.max()), float(np.percentile(levels_db, 10))
    threshold_db = max(floor_db + _ABOVE_FLOOR * (peak_db - floor_db), peak_db - _BELOW_PEAK_DB)
    regions = _regions(smooth_db >= threshold_db - 1e-6, bridge_s)
    regions.sort(key=lambda region: -float((smooth_db[region[0] : region[1]] - threshold_db).sum()))
    margin = _FRAME // 2 + round(_EDGE_S * SAMPLE_RATE)  # from the middle of a frame to what is kept
    found = []
    for start, end in regions:
        middles = start * _HOP + _FRAME // 2, (end - 1) * _HOP + _FRAME // 2
        loudest = float(smooth_db[start:end].max())
        found.append(Speech(max(0, middles[0] - margin), min(len(samples), middles[1] + margin), loudest))
    return found


def contrast_db(samples: NDArray[np.float32]) -> float:
    """How far the loudest 50 ms of (N,) samples stand above their quietest tenth; steady noise has 2 dB or 3."""
    levels_db = _levels_db(samples)
    return float(levels_db.max() - np.percentile(levels_db, 10))


def noise_db(samples: NDArray[np.float32], speeches: Sequence[Speech]) -> float | None:
    """Level of what lies outside the speech, in dB of full scale; None where that is less than 0.1 s."""
    levels_db = _levels_db(samples)
    outside = np.ones(len(levels_db), bool)
    for speech in speeches:
        outside[max(0, speech.start_sample // _HOP - 2) : speech.end_sample // _HOP + 1] = False
    return float(np.median(levels_db[outside])) if outside.sum() >= 10 else None


def _levels_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(T,) level of each 25 ms about their own mean: an offset of the microphone is no sound."""
    centred = samples - samples.mean(dtype=np.float64)  # first, so that squares stay small
    padded = np.pad(centred, (0, max(0, _FRAME - len(samples))))
    starts = np.arange(0, len(padded) - _FRAME + 1, _HOP)
    mean, square = (_frame_means(values, starts) for values in (padded, np.square(padded)))
    power: NDArray[np.float64] = np.maximum(square - np.square(mean), 0)
    return 10 * np.log10(power + _SMALLEST)


def _frame_means(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: NDArray[np.float64] = (sums[starts + _FRAME] - sums[starts]) / _FRAME
    return means


def _regions(active: NDArray[np.bool_], bridge_s: float) -> list[tuple[int, int]]:
    """Stretches of active frames `[start, end)`, short pauses bridged, clicks left out where anything longer remains."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    stretches = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    sounds = [(start, end) for start, end in stretches if (end - start) * _HOP >= _CLICK_S * SAMPLE_RATE] or stretches
    merged = [sounds[0]]
    for start, end in sounds[1:]:
        if (start - merged[-1][1]) * _HOP <= bridge_s * SAMPLE_RATE:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def centred(samples: NDArray[np.float32], speech: Speech, window_samples: int) -> NDArray[np.float32]:
    """(window_samples,) of the recording with the middle of its speech in the middle; zeros beyond the recording."""
    start = (speech.start_sample + speech.end_sample - window_samples) // 2
    window = np.zeros(window_samples, np.float32)
    piece = samples[max(0, start) : start + window_samples]
    window[max(0, -start) : max(0, -start) + len(piece)] = piece
    return window
