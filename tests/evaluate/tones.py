"""A word folder of synthetic words, and a model simple enough to know what it hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wordprint.speech.audio import SAMPLE_RATE, write_audio

PITCHES_HZ = {"yes": 300, "no": 450, "up": 650, "bed": 900, "cat": 1300, "dog": 1900}


class Bands:
    """Embeds a waveform as its energies in 24 bands: tells tones apart."""

    name = "bands"
    digest = "0" * 64
    window_samples = SAMPLE_RATE // 2
    training_words: frozenset[str] | None = frozenset({"house"})
    calls = 0

    def embed(self, waveforms):
        type(self).calls += 1
        power = np.abs(np.fft.rfft(waveforms)) ** 2
        edges = np.geomspace(100, power.shape[1], 25).astype(int)
        return np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-3).astype(np.float32)


def write_word(path: Path, word: str, generator: np.random.Generator) -> None:
    """A noisy tone whose pitch is the word's, at a random level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * PITCHES_HZ[word] * generator.uniform(0.9, 1.1) * time_s)
    write_audio(path, (generator.uniform(0.1, 0.4) * (tone + 0.3 * generator.normal(size=len(tone)))).astype(np.float32))
