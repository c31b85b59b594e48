"""What share of a keyword's sayings will be missed, by hand and of planted sayings."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from toy_model import padded, word, write_model
from wordprint.model import Model
from wordprint.spot.enroll import enroll
from wordprint.spot.sayings import SHARES, Sayings, fit, left_out, sayings
from wordprint.spot.shots import joined
from wordprint.spot.verdict import verdict

NORMAL = np.array([NormalDist().inv_cdf(share) for share in SHARES])
TABLE = {"offset": 0.1, "slope": 0.5, "about": np.linspace(-0.2, 0.16, 19).tolist()}


def test_shares_by_hand():
    said = Sayings(0.6 + np.array(TABLE["about"]))
    assert said.missed(0.6) == pytest.approx(0.55)
    assert said.missed(0.41) == pytest.approx(0.075)
    assert (said.missed(-1.0), said.missed(1.0)) == (0.05, 0.95)


def test_a_fit_foretells_planted_sayings():
    random = np.random.default_rng(0)
    found = random.uniform(0.5, 0.9, 40).tolist()
    heard = [0.2 + 0.6 * one + random.normal(0, 0.05, 50) for one in found]
    table = fit(found, heard)
    assert table["offset"] == pytest.approx(0.2, abs=0.03)
    assert table["slope"] == pytest.approx(0.6, abs=0.03)
    assert table["about"] == pytest.approx(0.05 * NORMAL, abs=0.02)
    assert np.diff(table["about"]).min() > 0
    said = Sayings(table["offset"] + table["slope"] * 0.7 + np.array(table["about"]))
    assert said.missed(0.62) == pytest.approx(0.5, abs=0.05)
    assert said.missed(0.62 - 0.05) == pytest.approx(0.159, abs=0.05)


def test_what_nobody_said_again_tells_nothing():
    assert fit([0.5, 0.6], [np.array([0.5]), np.array([0.6])]) is None
    assert fit([0.5] * 4, [np.array([])] * 4) is None
    flat = fit([0.5] * 4, [np.array([0.4, 0.6])] * 4)
    assert (flat["slope"], flat["offset"]) == (0.0, 0.5)


def test_a_shot_is_compared_with_what_the_others_make(tmp_path):
    model = Model(write_model(tmp_path / "toy.onnx"))
    keyword = enroll(model, "red", [padded(word("red")), padded(word("blue")), padded(word("green"))]).keywords[0]
    first, second, third = (np.array(shot.embedding, np.float32) for shot in keyword.shots)
    by_hand = [
        a @ joined(np.stack([b, c]), None) for a, b, c in ((first, second, third), (second, first, third), (third, first, second))
    ]
    assert left_out(model, keyword) == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert left_out(model, replace(keyword, shots=keyword.shots[:1])) is None
    assert sayings(model, keyword) is None  # the model doesn't say


def test_the_verdict_says_what_is_missed(ordinary, tmp_path):
    threshold = {**ordinary.metadata["threshold"], "sayings": TABLE}
    model = Model(write_model(tmp_path / "toy.onnx", cohort=ordinary.cohort.pack(), threshold=threshold))
    keyword = enroll(model, "red", [padded(word("red", seed=seed)) for seed in range(3)]).keywords[0]
    found = verdict(model, keyword)
    said = sayings(model, keyword)
    assert found.missed == said.missed(keyword.threshold)
    assert found.missed_at == {rate: said.missed(threshold) for rate, threshold in found.thresholds.items()}
    assert list(found.missed_at.values()) == sorted(found.missed_at.values())
    assert any("misses " in fact and "of its sayings, at" in fact for fact in found.facts)
    assert found.to_json()["expected_missed"] == found.missed
