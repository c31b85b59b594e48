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
from wordprint.spot.verdict import problems_of, verdict

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


def test_what_is_missed_half_of_the_time_or_more_is_told(ordinary, tmp_path):
    model, made = foretelling(ordinary, tmp_path, 0.1)
    similar = sayings(model, made).similarities
    for share, told in ((0.45, False), (0.55, True)):
        keyword = replace(made, threshold=float(np.interp(share, SHARES, similar)))
        found = verdict(model, keyword)
        line = f"'red' is expected to miss about 55 % of its sayings, at {keyword.threshold:.2f}: record it more often, by more"
        assert any(problem.startswith(line) for problem in found.problems) == told
        assert problems_of(model, keyword) == list(found.problems)


@pytest.mark.parametrize(("offset", "helps"), [(0.1, "0.1, which misses about 40 %"), (-0.1, "10, which misses about 15 %")])
def test_the_least_false_alarms_that_help_are_named(ordinary, tmp_path, offset, helps):
    model, made = foretelling(ordinary, tmp_path, offset)
    (problem,) = verdict(model, replace(made, threshold=0.76)).problems
    assert problem.endswith(f"or take a longer keyword, or bear --false-alarms-per-hour {helps}")


def test_where_false_alarms_do_not_help_none_are_named(ordinary, tmp_path):
    model, made = foretelling(ordinary, tmp_path, -0.8)
    (problem,) = verdict(model, replace(made, threshold=0.3)).problems
    assert problem.endswith("in the room where it will be said, or take a longer keyword")


def foretelling(ordinary, folder, offset):
    """A model that says what is missed, and 'red' enrolled with it."""
    threshold = {**ordinary.metadata["threshold"], "sayings": {**TABLE, "offset": offset}}
    model = Model(write_model(folder / "toy.onnx", cohort=ordinary.cohort.pack(), threshold=threshold))
    return model, enroll(model, "red", [padded(word("red", seed=seed)) for seed in range(3)]).keywords[0]
