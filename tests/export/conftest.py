"""A word dataset of made-up words, each three tones that the bands of tests/toy_model.py hear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toy_model import CENTRES_HZ, RATE
from wordprint.records import Alignment, Interval
from wordprint.speech.audio import write_audio
from wordprint.speech.textgrid import write_textgrid
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

PHONES = tuple("ABCDEFGHIJKLMNOP")
"""One for each tone."""
WORD_S = 0.4


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six words to an utterance, aligned by construction, by twelve speakers."""
    folder = tmp_path_factory.mktemp("aligned")
    random = np.random.default_rng(0)
    names = [f"spoken{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    tones = {name: random.choice(len(CENTRES_HZ), 3, replace=False) for name in names}
    lines = []
    for number in range(48):
        spoken = random.choice(names, 6)
        samples = random.normal(0, 1e-3, 4 * RATE)
        intervals, phones = [], []
        for place, name in enumerate(spoken):
            start_s = 0.2 + 0.6 * place
            time_s = np.arange(round(WORD_S * RATE)) / RATE
            sound = sum(np.sin(2 * np.pi * CENTRES_HZ[tone] * time_s) for tone in tones[name]) * np.hanning(time_s.size) * 0.1
            samples[round(start_s * RATE) :][: time_s.size] += sound
            intervals.append(Interval(str(name), start_s, start_s + WORD_S))
            edges_s = start_s + WORD_S / 3 * np.arange(4)
            phones += [Interval(PHONES[tone], *edges_s[n : n + 2].tolist()) for n, tone in enumerate(tones[name])]
        name = f"u{number:02d}"
        write_audio(folder / f"{name}.flac", samples.astype(np.float32))
        write_textgrid(folder / f"{name}.TextGrid", Alignment(name, tuple(intervals), tuple(phones)), 4.0)
        record = {"utterance_id": name, "speaker": f"s{number % 12}", "audio": str(folder / f"{name}.flac"), "start_s": 0.0}
        record |= {"end_s": 4.0, "transcript": " ".join(spoken), "language": "en", "meta": {}}
        lines.append(json.dumps({**record, "textgrid": f"{name}.TextGrid", "goodness": None, "word_goodness": [None] * 6}))
    (folder / "alignments.jsonl").write_text("\n".join(lines) + "\n")
    shares = {"validation_speakers": 0.2, "test_speakers": 0.2, "validation_words": 0.2, "test_words": 0.2}
    words(folder, folder.parent / "words", WordsConfig(**shares))
    return folder.parent / "words"
