"""False alarms that are expected of a keyword, by hand, and the thresholds that enrollment makes of them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from spot.conftest import TABLE
from toy_model import RATE, padded, word, write_model
from wordprint.errors import ConfigError, EnrollmentError, ModelError
from wordprint.model import Model
from wordprint.spot.correct import add_shots
from wordprint.spot.enroll import enroll
from wordprint.spot.expect import Expected, default_threshold, expected
from wordprint.spot.options import SpotConfig
from wordprint.spot.spans import tried
from wordprint.spot.verdict import verdict


def test_rates_and_thresholds_by_hand():
    rates = Expected(0.5, *np.array(TABLE).T)
    assert [rates.threshold(rate) for rate in (0.1, 1.0, 10.0)] == [0.9, 0.8, 0.6]
    assert rates.threshold(10**0.5) == pytest.approx(0.7)  # half way in the logarithm
    assert rates.threshold(100.0) == pytest.approx(0.6 - 0.15)  # as steep as from the first to the last
    assert (rates.threshold(1e-9), rates.threshold(1e30)) == (1.0, -1.0)
    assert rates.rate(0.7) == pytest.approx(10**0.5)
    assert rates.rate(0.45) == pytest.approx(100.0)
    for rate in (0.05, 0.3, 4.0, 50.0):
        assert rates.rate(rates.threshold(rate)) == pytest.approx(rate, rel=0.01)


def test_what_is_like_ordinary_speech_gets_a_higher_threshold(ordinary):
    red, green = (enroll(ordinary, name, [padded(word(name))]).keywords[0] for name in ("red", "green"))
    assert green.threshold > red.threshold
    rates = expected(ordinary, red)
    assert rates.level == ordinary.cohort.level(red.prototypes, tried(red))
    assert red.threshold == rates.threshold(2.0) == default_threshold(ordinary, red)
    strict = enroll(ordinary, "red", [padded(word("red"))], false_alarms_per_hour=0.1).keywords[0]
    assert strict.threshold == pytest.approx(rates.level + 0.4, abs=1e-4)
    assert enroll(ordinary, "red", [padded(word("red"))], config=SpotConfig(threshold=0.5)).keywords[0].threshold == 0.5
    with pytest.raises(ConfigError, match="are both set"):
        enroll(ordinary, "red", [padded(word("red"))], config=SpotConfig(threshold=0.5), false_alarms_per_hour=1.0)


@pytest.mark.parametrize("rate", [0.0, -3.0, float("nan"), float("inf")])
def test_a_rate_that_is_none(ordinary, rate):
    with pytest.raises(ConfigError, match=r"false_alarms_per_hour is .+; expected a number above 0"):
        enroll(ordinary, "red", [padded(word("red"))], false_alarms_per_hour=rate)


def test_a_model_without_a_cohort_has_one_threshold_for_all(model):
    keyword = enroll(model, "red", [padded(word("red"))]).keywords[0]
    assert expected(model, keyword) is None
    assert default_threshold(model, keyword) == keyword.threshold == model.threshold
    assert verdict(model, keyword).per_hour is None
    assert not any("for nothing" in fact for fact in verdict(model, keyword).facts)


def test_the_verdict_tells_what_the_threshold_buys(ordinary):
    keyword = enroll(ordinary, "red", [padded(word("red"))]).keywords[0]
    found = verdict(ordinary, keyword)
    assert found.per_hour == 2.0
    assert found.thresholds[1.0] > keyword.threshold > found.thresholds[10.0]
    (fact,) = [fact for fact in found.facts if "for nothing" in fact]
    assert fact == f"fires for nothing about 2 times in an hour of other speech, at {keyword.threshold:.2f}"
    (others,) = [fact for fact in found.facts if fact.startswith("other thresholds: ")]
    assert others.startswith(f"other thresholds: {found.thresholds[10.0]:.2f} → 10 an hour; ")
    assert (found.missed, found.missed_at) == (None, {})  # of one recording nothing can be said
    assert found.to_json()["expected_per_hour"] == 2.0


def test_what_no_threshold_makes_rare_is_refused(ordinary, tmp_path):
    """It would replace a good keyword by one that nothing sets off."""
    file, shots = tmp_path / "keywords.json", [padded(word("green"))]
    enroll(ordinary, "green", shots, file)
    before = file.read_bytes()
    message = r"no threshold makes 'green' rare enough \(at most 0\.001 an hour\).*; expected a keyword .*; listen to its"
    with pytest.raises(EnrollmentError, match=message):
        enroll(ordinary, "green", shots, file, false_alarms_per_hour=0.001)
    assert file.read_bytes() == before
    with pytest.raises(EnrollmentError, match="what else is heard; take a longer one, or bear more with --false-alarms-per-hour"):
        enroll(ordinary, "green", phones="G", false_alarms_per_hour=0.001)
    assert enroll(ordinary, "green", shots, file, SpotConfig(threshold=0.9)).keywords[0].threshold == 0.9


def test_a_threshold_that_nothing_reaches_is_told(ordinary):
    """And no rate is told of it."""
    green = enroll(ordinary, "green", [padded(word("green"))], config=SpotConfig(threshold=1.0)).keywords[0]
    found = verdict(ordinary, green)
    assert found.per_hour is None
    assert all(threshold < 1 for threshold in found.thresholds.values())
    assert any(line.startswith("nothing sets off 'green' at 1.00: set a lower threshold") for line in found.problems)
    assert not any("for nothing" in fact for fact in found.facts)


def test_noise_is_no_keyword():
    """Of the model that ships: three bursts of pink noise."""
    with pytest.raises(EnrollmentError, match="no threshold makes 'hey archie' rare enough"):
        enroll(Model(), "hey archie", [padded(pink(0.5, seed)) for seed in range(3)])


def pink(seconds: float, seed: int) -> np.ndarray:
    """Noise whose power falls with its frequency, softly on and off."""
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    sound = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)).clip(1)), count) * np.hanning(count)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def test_a_shot_more_leaves_false_alarms_as_likely(ordinary):
    made = enroll(ordinary, "red", [padded(word("red"))])
    lowered = made.add(replace(made.keywords[0], threshold=made.keywords[0].threshold - 0.05))
    more = add_shots(ordinary, lowered, "red", [padded(word("red", seed=5))]).keywords[0]
    before, after = expected(ordinary, lowered.keywords[0]), expected(ordinary, more)
    assert after.rate(more.threshold) == pytest.approx(before.rate(lowered.keywords[0].threshold), rel=0.01)


def test_a_cohort_that_is_damaged_or_of_another_version_is_told(ordinary, tmp_path):
    with np.load(io.BytesIO(ordinary.cohort.pack())) as arrays:
        without = {name: array for name, array in arrays.items() if name != "event"}
    earlier = io.BytesIO()
    np.savez_compressed(earlier, **without)
    for content in (b"no archive", earlier.getvalue()):
        with pytest.raises(ModelError, match="damaged or of another version"):
            _ = Model(write_model(tmp_path / "bands.onnx", cohort=content)).cohort


def test_keywords_whose_phones_are_not_read_have_a_table_of_their_own(ordinary, monkeypatch):
    red = enroll(ordinary, "red", [padded(word("red"))]).keywords[0]
    unread = {"above_level": [[0.1, 0.2], [1.0, 0.1], [10.0, 0.0]], "sayings": None}
    monkeypatch.setitem(ordinary.metadata["threshold"], "unread", unread)
    assert expected(ordinary, red).above.tolist() == [0.2, 0.1, 0.0]
    assert expected(ordinary, replace(red, sounds=("R",))).above.tolist() == [0.4, 0.3, 0.1]
