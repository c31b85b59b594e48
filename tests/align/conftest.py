"""A small synthetic corpus with true word times, and one aligner for all tests that only read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wordprint.align.options import AlignConfig
from wordprint.align.pocketsphinx import PocketsphinxAligner
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.speech.espeak import Synthesiser, Voice
from wordprint.stages.manifest import UTTERANCES, write_jsonl

SENTENCES = (
    "the doctor opened the yellow window",
    "a quiet river crossed the old village",
    "the captain answered every letter",
    "my sister painted this little kitchen",
    "the hungry dragon followed a famous teacher",
    "another rocket landed beside the mountain",
)
VOICES = (Voice("Andy"), Voice("Annie"), Voice("Diogo"))


class Speech:
    """A synthetic utterance: its record, its samples (N,) at SAMPLE_RATE, and the true times of its words."""

    def __init__(self, utterance: Utterance, samples: NDArray[np.float32], words: tuple[Interval, ...]) -> None:
        self.utterance, self.samples, self.words = utterance, samples, words


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Speech]:
    """Six sentences by three voices, a third of a second of faint noise around each."""
    pytest.importorskip("espeakng_loader")
    folder, rng, corpus = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0), []
    pad_s = 0.3
    with Synthesiser() as synthesiser:
        for number, text in enumerate(SENTENCES):
            voice = VOICES[number % len(VOICES)]
            speech, words = synthesiser.synthesise(text, voice)
            padding = round(pad_s * SAMPLE_RATE)
            samples = np.pad(speech, padding) + rng.normal(0, 1e-3, len(speech) + 2 * padding).astype(np.float32)
            path = folder / f"{voice.variant}-{number}.flac"
            write_audio(path, samples)
            utterance = Utterance(path.stem, voice.variant, str(path), 0.0, len(samples) / SAMPLE_RATE, text.upper())
            true = tuple(Interval(word.symbol, word.start_s + pad_s, word.end_s + pad_s) for word in words)
            corpus.append(Speech(utterance, samples, true))
    return corpus


@pytest.fixture(scope="session")
def aligner() -> PocketsphinxAligner:
    return PocketsphinxAligner(AlignConfig())


def write_manifest(folder: Path, utterances: Sequence[Utterance]) -> Path:
    """A folder as `prepare` leaves it, without a receipt."""
    write_jsonl(folder / UTTERANCES, (utterance.to_json() for utterance in utterances))
    return folder
