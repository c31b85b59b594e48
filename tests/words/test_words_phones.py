"""Phones of a word dataset: written beside the audio, utterance for utterance, and read back on one axis."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas
import pytest

from wordprint.records import Alignment, Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.receipt import read_receipt
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import _timed, whole, words

ALL = WordsConfig(
    min_letters=1, min_tokens=1, min_speakers=1, validation_speakers=0, test_speakers=0, validation_words=0, test_words=0
)
WORDS = [("hello", 0.25, 0.75), ("world", 0.75, 1.5)]

SAID = {
    "a-1": [("HH", 0.25, 0.4), ("OW", 0.4, 0.75), ("W", 0.75, 1.0), ("L", 1.0, 1.5)],
    "a-2": [],
    "b-1": [("X", 0.25, 0.5), ("OW", 0.5, 0.75), ("W", 0.9, 1.5)],
    "b-2": [("Z", 0.75, 1.5), ("HH", 1.5, 1.75)],
}
"""Each utterance is a shard of its own, and has other phones than the one before."""


def phones_of(dataset, utterance):
    phones = dataset.phones
    own = slice(*phones.first[utterance : utterance + 2])
    return [
        (phones.symbols[code], start, end)
        for code, start, end in zip(phones.codes[own].tolist(), phones.starts[own].tolist(), phones.ends[own].tolist(), strict=True)
    ]


@pytest.fixture(params=[0.5, 0.0001])
def several(corpus, tmp_path, request):
    """A dataset of `SAID`, in one shard or in one for each utterance."""
    for name, phones in SAID.items():
        corpus.add(name, "ann" if name[0] == "a" else "bob", WORDS, phones=phones)
    corpus.add("b-3", "bob", [("hi", 0.5, 0.52)], phones=[("Q", 0.5, 0.52)])  # too short: neither audio nor phones
    words(corpus.write(), tmp_path / "out", dataclasses.replace(ALL, shard_hours=request.param))
    dataset = WordDataset(tmp_path / "out")
    assert len(dataset.metadata["phone_shards"]) == len(dataset.metadata["audio_shards"]) == (1 if request.param == 0.5 else 5)
    return dataset


def test_phones_come_back_in_samples_utterance_for_utterance(several):
    names = list(SAID)
    assert len(several.phones.first) == 1 + len(names)
    for utterance, name in enumerate(names):
        expected = [(symbol, round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for symbol, a, b in SAID[name]]
        assert phones_of(several, utterance) == expected
    assert sorted(several.phones.symbols) == ["HH", "L", "OW", "W", "X", "Z"]
    indices = np.arange(len(several))
    assert [names[place] for place in several.utterances(indices)] == several.column("utterance_id").tolist()
    assert several.utterances([-1, 0]).tolist() == [3, 0]


def test_phone_files_are_rows_beside_those_of_the_audio(several):
    kinds = ("audio_shards", "phone_shards")
    tables = [[pandas.read_feather(several.path / shard["name"]) for shard in several.metadata[kind]] for kind in kinds]
    for audio, phones in zip(*tables, strict=True):
        assert len(audio) == len(phones)
    spoken = pandas.concat(tables[1])
    assert [list(row) for row in spoken["phones"]] == [[symbol for symbol, _, _ in phones] for phones in SAID.values()]
    outputs = read_receipt(several.path).outputs
    assert all(shard["name"] in outputs for shard in several.metadata["phone_shards"])


def test_phones_beyond_the_end_of_the_audio_are_left_out():
    phones = tuple(Interval(*phone) for phone in [("A", 0.0, 0.9), ("B", 0.9, 1.1), ("C", 1.0, 1.2), ("D", 1.1, 1.3)])
    assert _timed(Alignment("u", (), phones), SAMPLE_RATE) == {
        "phones": ["A", "B"],
        "start_samples": [0, 14_400],
        "end_samples": [14_400, 16_000],
    }


def test_no_alignment_has_phones(dataset):
    assert dataset.phones.symbols == []
    assert len(dataset.phones.codes) == len(dataset.phones.starts) == len(dataset.phones.ends) == 0
    assert (dataset.phones.first == 0).all()
    assert len(dataset.phones.first) == 61


def test_a_recording_of_a_word_alone_spreads_its_phones_evenly():
    record = {"utterance_id": "u", "transcript": "go now", "phones": "G OW N AW"}
    found = whole(record, 8000)
    assert found.words == (Interval("go now", 0.0, 0.5, None),)
    assert [phone.symbol for phone in found.phones] == ["G", "OW", "N", "AW"]
    np.testing.assert_allclose([phone.start_s for phone in found.phones], [0, 0.125, 0.25, 0.375])
    np.testing.assert_allclose([phone.end_s for phone in found.phones], [0.125, 0.25, 0.375, 0.5])
    assert whole({"utterance_id": "u", "transcript": "go"}, 8000).phones == ()
    assert whole({"utterance_id": "u", "transcript": "go", "phones": ""}, 8000).phones == ()
