"""Thresholds by what a keyword fires on in the user's own background: rates worked by hand, and planted sounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toy_model import RATE, padded, read_phones, stream_of, word
from wordprint.errors import ConfigError, InputError
from wordprint.speech.audio import write_audio
from wordprint.spot.background import Background, Rate, heard_rate, read_background
from wordprint.spot.enroll import enroll, make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.expect import default_threshold
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter


def test_rates_and_thresholds_by_hand():
    rate = Rate(np.array([0.9, 0.8, 0.7, 0.6]), hours=2.0)
    assert [rate.at(threshold) for threshold in (0.95, 0.9, 0.75, 0.1)] == [0.0, 0.5, 1.0, 2.0]
    for per_hour in (0.1, 0.5, 1.0, 1.9):
        threshold = rate.threshold(per_hour)
        assert rate.at(threshold) <= per_hour
        assert rate.at(threshold - 2e-4) > per_hour
    assert rate.threshold(2.0) == -1.0
    assert Rate(np.zeros(0), 1.0).threshold(1.0) == -1.0


@pytest.fixture(scope="module")
def surroundings() -> np.ndarray:
    """A minute with 'green' and 'blue' twelve times each."""
    sounds = [("green", 5.0 * number + 1) for number in range(12)] + [("blue", 5.0 * number + 3) for number in range(12)]
    return stream_of(*sounds, seconds=61)


def test_events_of_a_background(model, surroundings):
    keyword = make_keyword(model, "red", [padded(word("red"))], 0.0)
    rate = heard_rate(model, keyword, surroundings)
    assert rate.hours == pytest.approx(61 / 3600)
    assert (np.diff(rate.scores) <= 0).all()
    assert 61 / 1.5 - 2 < len(rate.scores) < 61 / 0.75 + 2  # each is the best for 0.75 s on both sides
    with pytest.raises(InputError, match="30 s of background; expected a minute or more"):
        heard_rate(model, keyword, surroundings[: 30 * RATE])


def test_an_event_counts_once_wherever_it_lies(model):
    """Twelve sayings at places that go once through the refractory time, so that some lie across any border in it."""
    planted = [("red", 5.0 * number + 1 + 0.75 * number / 12) for number in range(12)]
    keyword = make_keyword(model, "red", [padded(word("red"))], 0.0)
    rate = heard_rate(model, keyword, stream_of(*planted, seconds=62))
    assert (rate.scores > 0.9).sum() == 12
    made = Enrollment(model.name, model.digest, (replace(keyword, threshold=0.9),))
    assert len(list(Spotter(model, made).spot(stream_of(*planted, seconds=62)))) == 12


def test_phones_are_read_down_to_the_threshold_of_the_rate_asked(ordinary, monkeypatch):
    """What sounds like the keyword has other phones in it; at few false alarms its similarity is too low for them to matter."""
    monkeypatch.setattr(ordinary, "reads_phones", True)
    monkeypatch.setattr(ordinary, "phones_of", read_phones)
    red = make_keyword(ordinary, "red", [padded(word("red"))], 0.0, phones="R")
    keyword = replace(red, sounds=("G",))
    room = stream_of(*[("red", 5.0 * number + 1) for number in range(12)], seconds=62)
    monkeypatch.setattr("wordprint.spot.background.default_threshold", lambda model, word, rate=None: 0.0 if rate == 100 else 1.3)
    seldom, often = (heard_rate(ordinary, keyword, room, rate).scores.max() for rate in (1.0, 100.0))
    assert seldom > 0.9
    assert often < seldom - 0.1


def test_a_background_is_heard_once_for_a_keyword(model, surroundings, tmp_path, monkeypatch):
    write_audio(tmp_path / "room.wav", surroundings)
    background, heard = Background(tmp_path / "room.wav"), []
    plain = heard_rate
    monkeypatch.setattr("wordprint.spot.background.heard_rate", lambda *given: heard.append(given) or plain(*given))
    keyword = enroll(model, "red", [padded(word("red"))], false_alarms_per_hour=60.0, background=background).keywords[0]
    found = background.heard(model, keyword, 60.0)
    assert len(heard) == 1
    assert found.rate.at(keyword.threshold) <= 60.0
    assert found.tells
    assert not background.heard(model, keyword, 59.0).tells
    assert len(heard) == 2


def test_enroll_sets_the_threshold_that_holds_there(model, surroundings, tmp_path):
    write_audio(tmp_path / "room.wav", surroundings)
    recordings = [padded(word("red", seed=seed)) for seed in range(2)]
    made = enroll(model, "red", recordings, false_alarms_per_hour=60.0, background=tmp_path / "room.wav").keywords[0]
    rate = heard_rate(model, made, read_background(tmp_path / "room.wav"))
    assert rate.at(made.threshold) <= 60.0 < rate.at(made.threshold - 0.05)
    assert enroll(model, "red", recordings).keywords[0].threshold == model.threshold
    with pytest.raises(ConfigError, match="exported without the speech to expect them of; give a recording"):
        enroll(model, "red", recordings, false_alarms_per_hour=1.0)
    with pytest.raises(InputError, match="does not exist; expected a recording in which no keyword is said"):
        enroll(model, "red", recordings, false_alarms_per_hour=1.0, background=tmp_path / "none.wav")


def test_a_minute_does_not_tell_what_is_rare_in_an_hour(ordinary, tmp_path):
    room, recordings = stream_of(("red", 20.0), seconds=61), [padded(word("green"))]
    write_audio(tmp_path / "room.wav", room)
    keyword = make_keyword(ordinary, "green", recordings, 0.0)
    known = default_threshold(ordinary, keyword, 1.0)
    assert heard_rate(ordinary, keyword, room).threshold(1.0) < known - 0.1
    how = {"background": tmp_path / "room.wav"}
    assert enroll(ordinary, "green", recordings, **how, false_alarms_per_hour=1.0).keywords[0].threshold == known
    assert enroll(ordinary, "green", recordings, **how, false_alarms_per_hour=120.0).keywords[0].threshold < known - 0.1


def test_a_muted_microphone_is_no_background(model):
    keyword = make_keyword(model, "red", [padded(word("red"))], 0.0)
    with pytest.raises(InputError, match=r"no sound above -60 dB in 90 s of background; .* is the microphone muted"):
        heard_rate(model, keyword, np.zeros(90 * RATE, np.float32))
    quiet_at_first = np.concatenate([np.zeros(60 * RATE, np.float32), padded(word("green"))])
    assert np.isfinite(heard_rate(model, keyword, quiet_at_first).scores).all()


def test_a_background_and_a_threshold(model):
    with pytest.raises(ConfigError, match="threshold and background are both set"):
        enroll(model, "red", [padded(word("red"))], config=SpotConfig(threshold=0.5), background="room.wav")
