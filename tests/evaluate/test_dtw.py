"""The MFCC + DTW reference system against naive loops and known answers."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.evaluate.dtw import CEPSTRA, dtw_distances, mfcc
from wordprint.evaluate.same_different import pair_average_precision, same_share
from wordprint.words.tokens import load_tokens


def _naive(one, two):
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    two = two / np.linalg.norm(two, axis=1, keepdims=True)
    total = np.full((len(one) + 1, len(two) + 1), np.inf)
    total[0, 0] = 0
    for i in range(len(one)):
        for j in range(len(two)):
            total[i + 1, j + 1] = 1 - one[i] @ two[j] + min(total[i, j + 1], total[i + 1, j], total[i, j])
    return total[-1, -1] / (len(one) + len(two))


def test_distances_agree_with_a_loop():
    generator = np.random.default_rng(0)
    features = [generator.normal(size=(length, 4)).astype(np.float32) for length in (7, 1, 12, 7, 3)]
    distances = dtw_distances(features)
    for i in range(len(features)):
        for j in range(len(features)):
            expected = 0 if i == j else _naive(features[i], features[j])
            assert distances[i, j] == pytest.approx(expected, abs=1e-5)


def test_a_stretched_copy_is_at_no_distance():
    frames = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    assert dtw_distances([frames, np.repeat(frames, 3, axis=0)])[0, 1] == pytest.approx(0, abs=1e-6)


def test_by_hand():
    # unit frames a, b at right angles: path a-a (0), then b against a (1) and b-b (0); five frames in all
    a, b = [1.0, 0.0], [0.0, 1.0]
    one, two = np.array([a, b, a], np.float32), np.array([a, a], np.float32)
    assert dtw_distances([one, two])[0, 1] == pytest.approx(1 / 5)


def test_mfcc_shape_and_normalisation():
    samples = np.random.default_rng(2).normal(size=8000).astype(np.float32)
    features = mfcc(samples)
    assert features.shape == ((8000 - 400) // 160 + 1, 39)
    assert features.mean(axis=0) == pytest.approx(np.zeros(39), abs=1e-5)
    assert features.std(axis=0) == pytest.approx(np.ones(39), abs=1e-4)


def test_mfcc_does_not_depend_on_gain():
    samples = np.random.default_rng(3).normal(size=4000).astype(np.float32)
    assert mfcc(0.1 * samples) == pytest.approx(mfcc(samples), abs=1e-3)


def test_mfcc_of_short_and_silent_segments_is_finite():
    assert mfcc(np.ones(10, np.float32)).shape == (1, 3 * CEPSTRA)
    assert np.isfinite(mfcc(np.zeros(3000, np.float32))).all()


def test_real_words_are_told_apart_better_than_by_chance(shared_data):
    tokens = load_tokens(shared_data / "keywords" / "speech_commands", words=["yes", "stop", "left"], max_tokens_per_word=12)
    distances = dtw_distances([mfcc(tokens.load(i)) for i in range(len(tokens))])
    found = pair_average_precision(distances, tokens.words, None, generator=np.random.default_rng(0))
    assert found["ap"].mean > 1.3 * same_share(tokens.words)
