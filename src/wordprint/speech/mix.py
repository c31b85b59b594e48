"""Samples as every stage wants them: mono, float32, full scale ±1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, InputError

INT16_SCALE = 32_768.0
"""Full scale of 16-bit audio; int16 / INT16_SCALE is in [-1, 1)."""

LOUDEST = 2.0
"""Samples beyond this, 6 dB above full scale, are no codec's overshoot but on another scale: 16-bit values as floats, say."""

_CANCELLED = 0.1
"""Channels cancel where their mean has less than this share (-10 dB) of the power that it has of unrelated channels."""

_NEAR = 0.5
"""A channel with this share of the loudest one's power (-3 dB) is as good; the first of them is taken."""


def mix(samples: NDArray[np.float32], stretch: int) -> NDArray[np.float32]:
    """(n, channels) as (n,): their mean, or one channel in those of the stretches of `stretch` frames where they cancel."""
    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0]
    mono: NDArray[np.float32] = samples.mean(axis=1)
    for start in range(0, len(samples), stretch):
        piece = samples[start : start + stretch]
        powers = piece.var(axis=0, dtype=np.float64)  # about the mean: an offset isn't sound
        if mono[start : start + stretch].var(dtype=np.float64) < _CANCELLED * powers.sum() / channels**2:
            mono[start : start + stretch] = piece[:, int(np.argmax(powers >= _NEAR * powers.max()))]
    return mono


def require_scale(samples: NDArray[np.float32], name: str) -> None:
    """Raise AudioError for samples that are not finite, or far beyond full scale."""
    if not samples.size:
        return
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        raise AudioError(f"{name} holds samples that are not finite numbers (NaN or infinity)", reason="non_finite_audio")
    if peak > LOUDEST:
        raise AudioError(
            f"{name} holds samples up to {peak:.6g}",
            expected="full scale ±1",
            remedy="say that it is 16-bit audio: int16 samples, or --format s16 of a pipe",
            reason="not_full_scale",
        )


def as_samples(samples: Any, name: str) -> NDArray[np.float32]:
    """An array given as audio, (N,) or (N, 1), float at full scale ±1 or int16, as float32 (N,).

    Raises InputError for another shape or type, AudioError for samples that are not finite or not at full scale ±1.
    """
    try:
        array = np.asarray(samples)
    except ValueError as error:  # rows of several lengths, or things that are no numbers
        raise InputError(f"{name} is no array ({error})", expected="samples (N,) or (N, 1)") from error
    mono = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if mono.ndim != 1 or not (mono.dtype == np.int16 or np.issubdtype(mono.dtype, np.floating)):
        raise InputError(
            f"{name} has shape {array.shape}, type {array.dtype}",
            expected="(N,) or (N, 1), float (full scale ±1) or int16, one channel",
        )
    if mono.dtype == np.int16:
        return mono.astype(np.float32) / np.float32(INT16_SCALE)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is refused
        single = mono.astype(np.float32, copy=False)
    require_scale(single, name)
    return single
