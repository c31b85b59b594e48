"""The verdict on a keyword: its length, its recordings against its spelling, and what else it fires on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from toy_model import padded, word
from wordprint import Model, Spotter
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import draw_speakers, speak
from wordprint.spot.enroll import enroll
from wordprint.spot.verdict import verdict


@pytest.fixture(scope="module")
def bundled() -> Model:
    return Model()


@pytest.mark.parametrize(
    ("text", "says"),
    [("up", "2 phones (AH P): short"), ("lights on", "6 phones (L AY T S AA N)"), ("computer", "8 phones"), ("alexa", "6 phones")],
)
def test_length_in_phones(bundled, text, says):
    keyword = enroll(bundled, text).keywords[0]
    found = verdict(bundled, keyword)
    assert found.facts[0].startswith(says)


def test_words_that_it_also_fires_on_are_named(bundled):
    keyword = replace(enroll(bundled, "lights on").keywords[0], threshold=0.3)
    found = verdict(bundled, keyword)
    (fact,) = [fact for fact in found.facts if "fires on" in fact]
    assert fact == f"also fires on: {', '.join(found.fires_on)}"
    assert found.to_json()["fires_on"] == list(found.fires_on)
    assert "lights on" not in fact


def test_recordings_that_hold_something_else_are_told(model):
    """On the toy model 'red' is typed R, 'blue' B."""
    shots = [padded(word("red", seed=1)), padded(word("red", seed=2)), padded(word("blue"))]
    keyword = enroll(model, "red", shots, phones="R").keywords[0]
    problems = verdict(model, keyword).problems
    assert any(line.startswith("recording 3: doesn't sound like 'red'") for line in problems)
    assert not any(line.startswith("recording 1") for line in problems)


def test_what_it_is_told_apart_from_is_named(bundled):
    made = None
    for name, apart in (
        ("lights on", ["lights off"]),
        ("volume up", ["volume down"]),
        ("alexa", []),
    ):
        made = enroll(bundled, name, enrollment=made)
        found = verdict(bundled, made.named(name))
        assert [fact for fact in found.facts if "told apart" in fact] == [f"told apart from: {', '.join(apart)}"] * bool(apart)
        assert not set(apart).intersection(found.fires_on)
        assert found.to_json()["rivals"] == apart


def test_another_word_is_told_by_what_it_sounds_like_and_fires_on(bundled):
    """Synthetic voices say 'marvin' where 'computer' is enrolled."""
    pytest.importorskip("espeakng_loader")
    with Synthesiser() as synthesiser:
        random = np.random.default_rng(0)
        shots = [speak(synthesiser, "marvin", voice, random)[0] for voice in draw_speakers(3, seed=1)]
    spotter = Spotter(bundled)
    said = spotter.enroll("computer", shots)
    assert len([line for line in said if "doesn't sound like 'computer'" in line]) >= 2
    found = verdict(bundled, spotter.enrollment.named("computer"))
    assert "recording 1: sounds more like 'marvin' than 'computer'" in found.problems
    assert not any("phones" in fact for fact in found.facts)
    assert "marvin" in found.fires_on


def test_json_has_no_vectors(model):
    found = verdict(model, enroll(model, "red", [padded(word("red"))], phones="R").keywords[0])
    document = json.loads(json.dumps(found.to_json()))
    assert document["keyword"] == "red"
    assert not {"prototypes", "mistakes"} & document.keys()
    assert document["problems"] == list(found.problems)
    assert all(np.isfinite(shot["level_db"]) for shot in document["shots"])
