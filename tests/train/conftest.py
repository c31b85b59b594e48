"""A corpus whose words are sequences of tones, one per phone, and whose speakers differ in pitch: small, and it can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wordprint.records import Alignment, Interval
from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.speech.textgrid import write_textgrid
from wordprint.stages.manifest import write_jsonl
from wordprint.train.options import TrainConfig
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

TONES_HZ = {"a": 300.0, "e": 600.0, "i": 1200.0, "o": 2400.0, "u": 4800.0}
WORDS = ["aei", "iea", "oui", "uoa", "aou", "eia", "iuo", "uae", "eou", "oia", "aio", "ueo"]
PHONE_S = 0.08


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def say(word, pitch):
    time = np.arange(round(PHONE_S * SAMPLE_RATE)) / SAMPLE_RATE
    return np.concatenate([0.3 * np.sin(2 * np.pi * TONES_HZ[phone] * pitch * time) for phone in word])


def write_alignments(folder, speakers, vocabulary, with_phones=True, word_s=0.4):
    """Each speaker says the vocabulary twice, in another order each time, with a word every `word_s`."""
    lines = []
    for number, speaker in enumerate(speakers):
        for take in range(2):
            rng = np.random.default_rng([number, take])
            said = rng.permutation(vocabulary).tolist()
            duration_s = word_s * len(said)
            samples = rng.normal(0, 0.003, round(duration_s * SAMPLE_RATE))
            intervals, phones = [], []
            for place, word in enumerate(said):
                start_s = word_s * place + 0.08
                sound = say(word, 0.8 + 0.05 * number)
                samples[round(start_s * SAMPLE_RATE) :][: len(sound)] += sound
                edges = [start_s + PHONE_S * k for k in range(len(word) + 1)]
                intervals.append(Interval(word, edges[0], edges[-1]))
                if with_phones:
                    phones += [Interval(p.upper(), a, b) for p, a, b in zip(word, edges, edges[1:], strict=False)]
            name = f"{speaker}-{take}"
            audio = folder / f"{name}.wav"
            audio.parent.mkdir(parents=True, exist_ok=True)
            write_audio(audio, samples.astype(np.float32))
            textgrid = f"textgrids/{speaker}/{name}.TextGrid"
            (folder / textgrid).parent.mkdir(parents=True, exist_ok=True)
            write_textgrid(folder / textgrid, Alignment(name, tuple(intervals), tuple(phones)), duration_s)
            lines.append(
                {
                    "utterance_id": name,
                    "speaker": speaker,
                    "audio": str(audio),
                    "start_s": 0.0,
                    "end_s": duration_s,
                    "transcript": " ".join(said),
                    "language": "en",
                    "meta": {"corpus": "tones", "licence": "CC0"},
                    "textgrid": textgrid,
                    "goodness": None,
                    "word_goodness": [None] * len(said),
                }
            )
    write_jsonl(folder / "alignments.jsonl", lines)
    return folder


def build_words(folder, speakers=tuple(f"speaker{number}" for number in range(8)), vocabulary=tuple(WORDS), **how):
    alignments = write_alignments(folder / "align", speakers, vocabulary, **how)
    config = WordsConfig(validation_speakers=0.25, test_speakers=0.0, validation_words=0.25, test_words=0.0)
    words(alignments, folder / "words", config)
    return folder / "words"


@pytest.fixture(scope="session")
def tone_words(tmp_path_factory):
    """A word dataset of twelve tone words by eight speakers, with pauses so short that runs of phones may hold them."""
    return build_words(tmp_path_factory.mktemp("tones"), word_s=0.36)


@pytest.fixture
def small():
    """Options that train in seconds."""
    return TrainConfig(
        steps=6, words_per_batch=4, tokens_per_word=2, validate_every=3, window_s=0.4, precision="32-true", threads=1
    )
