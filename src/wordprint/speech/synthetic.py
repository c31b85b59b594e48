"""Synthetic people: different voices of espeak-ng, and recordings of what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import ConfigError
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.espeak import ACCENTS, Synthesiser, Voice

_FIRST_SPEAKER = 1001


@dataclass(frozen=True, slots=True)
class Speaker:
    """A synthetic person: a voice, and how loud and how noisy their recordings are (dB of full scale, peak; dB)."""

    speaker: str
    voice: Voice
    level_db: float
    snr_db: float


def draw_speakers(count: int, seed: int) -> list[Speaker]:
    """Different voices: every variant once before one comes back with another accent."""
    with Synthesiser() as synthesiser:
        variants = synthesiser.variants()
    if not 1 <= count <= len(variants) * len(ACCENTS):
        raise ConfigError(f"synthetic_speakers is {count}", expected=f"1 to {len(variants) * len(ACCENTS)}")
    rng = np.random.default_rng((seed, 0))
    order, shift = rng.permutation(len(variants)), int(rng.integers(len(ACCENTS)))
    speakers = []
    for index in range(count):
        turn, place = divmod(index, len(variants))
        accent = ACCENTS[(place + turn + shift) % len(ACCENTS)]
        voice = Voice(variants[order[place]], accent, int(rng.integers(140, 186)), int(rng.integers(35, 66)))
        level_db, snr_db = rng.uniform(-15.0, -3.0), rng.uniform(25.0, 40.0)
        speakers.append(Speaker(str(_FIRST_SPEAKER + index), voice, float(level_db), float(snr_db)))
    return speakers


def speak(
    synthesiser: Synthesiser, text: str, speaker: Speaker, rng: np.random.Generator
) -> tuple[NDArray[np.float32], tuple[Interval, ...]]:
    """A recording of `text`, float32 (N,) at SAMPLE_RATE with silence around it, and the times of its words in it.

    Rate, pitch, level and silence vary a little with `rng`; the background is pink noise at the speaker's SNR.
    """
    rate = round(speaker.voice.words_per_minute * rng.uniform(0.93, 1.07))
    pitch = int(np.clip(speaker.voice.pitch + rng.integers(-4, 5), 0, 99))
    speech, words = synthesiser.synthesise(text, Voice(speaker.voice.variant, speaker.voice.accent, rate, pitch))
    before, after = (round(seconds * SAMPLE_RATE) for seconds in rng.uniform(0.15, 0.4, size=2))
    peak = 10 ** ((speaker.level_db + rng.uniform(-2.0, 2.0)) / 20)
    speech *= np.float32(peak / max(float(np.abs(speech).max()), 1e-6))
    noise_rms = float(np.sqrt(np.mean(speech**2))) * 10 ** (-speaker.snr_db / 20)
    samples = _pink_noise(before + len(speech) + after, rng) * np.float32(noise_rms)
    samples[before : before + len(speech)] += speech
    shift_s = before / SAMPLE_RATE
    return samples, tuple(Interval(word.symbol, word.start_s + shift_s, word.end_s + shift_s) for word in words)


def _pink_noise(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise (count,) with power falling as 1/f above 50 Hz, RMS 1."""
    size = 1 << (count - 1).bit_length()  # a power of two: FFTs of odd lengths take ten times as long
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 50.0))
    noise = np.fft.irfft(spectrum)[:count]
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)
