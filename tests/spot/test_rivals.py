"""What keywords are told apart from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wordprint.errors import EnrollmentError, InputError
from wordprint.model import Model
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import draw_speakers, speak
from wordprint.spot.correct import add_rival, add_shots
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.rivals import opposites, rival, with_rivals
from wordprint.spot.stream import Spotter


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def sayings() -> dict[str, list[np.ndarray]]:
    """Six synthetic voices say each."""
    found = {}
    with Synthesiser() as synthesiser:
        for text in ("lights on", "lights off", "kitchen light"):
            random = np.random.default_rng(0)
            said = [speak(synthesiser, text, voice, random)[0] for voice in draw_speakers(6, seed=1)]
            found[text] = [np.pad(samples, (8000, 16_000)) for samples in said]
    return found


def count(spotter: Spotter, sayings: list[np.ndarray]) -> int:
    return sum(bool(list(spotter.spot(samples))) for samples in sayings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lights on", ["lights off"]),
        ("turn up", ["turn down"]),
        ("on or off", ["off or off", "on or on"]),
        ("stop", ["start"]),
        ("hey archie", []),
        ("", []),
    ],
)
def test_each_word_that_has_an_opposite_is_replaced(text, expected):
    assert opposites(text) == expected


@pytest.mark.parametrize("typed", [True, False])
def test_the_opposite_is_not_taken_for_the_keyword(model, sayings, typed, tmp_path):
    made = enroll(model, "lights on", [] if typed else sayings["lights on"][:3], tmp_path / "keywords.json")
    assert [one.text for one in made.keywords[0].rivals] == ["lights off"]
    made = Enrollment.load(tmp_path / "keywords.json")
    without = replace(made, keywords=(replace(made.keywords[0], rivals=()),))
    alone, told = Spotter(model, without), Spotter(model, made)
    assert count(told, sayings["lights on"][3:]) == count(alone, sayings["lights on"][3:]) == 3
    assert count(alone, sayings["lights off"]) >= 5
    assert count(told, sayings["lights off"]) <= 1


def test_where_the_opposite_is_enrolled_each_is_told_itself(model, sayings):
    spotter = Spotter(model)
    for name in ("lights on", "lights off"):
        spotter.enroll(name)
    listened, owners = spotter.enrollment.listened()
    assert [word.keyword for word in listened] == ["lights on", "lights off", "lights off", "lights on"]
    assert owners == (0, 1)
    assert [word.duration_s for word in listened[2:]] == [listened[number].duration_s for number in owners]
    for name in ("lights on", "lights off"):
        found = [one.keyword for samples in sayings[name] for one in spotter.spot(samples)]
        assert found.count(name) >= 5
        assert len(found) - found.count(name) <= 1


def test_a_rival_of_a_typed_keyword_is_as_it_would_be_typed(model):
    keyword, other = enroll(model, "lights on").keywords[0], enroll(model, "lights off").keywords[0]
    assert keyword.rivals[0].sounds == other.sounds
    np.testing.assert_allclose(keyword.rivals[0].prototypes, other.prototypes, atol=1e-6)


def test_what_was_said_instead_is_told_apart_and_stays_so(model, sayings):
    made = enroll(model, "kitchen lights", sayings["kitchen light"][:2])
    for text in ("Kitchen  sights", "chicken lights", "kitchen sights"):
        made = add_rival(model, made, "kitchen lights", text)
    assert [one.text for one in made.keywords[0].rivals] == ["chicken lights", "kitchen sights"]
    more = add_shots(model, made, "kitchen lights", sayings["kitchen light"][2:3])
    anew = enroll(model, "kitchen lights", sayings["kitchen light"][3:], enrollment=made)
    for later in (more, anew):
        assert [one.text for one in later.keywords[0].rivals] == ["chicken lights", "kitchen sights"]
        assert later.keywords[0].rivals[0].prototypes != made.keywords[0].rivals[0].prototypes


def test_texts_that_cannot_be_told_apart_are_refused(model, sayings):
    made = enroll(model, "volume up")
    for text, message in (
        ("Volume Up", "'Volume Up' sounds like 'volume up'; expected something else that it is taken for"),
        ("", "the keyword is empty"),
        ("42", "'42'"),
    ):
        with pytest.raises(InputError, match=message):
            add_rival(model, made, "volume up", text)
    with pytest.raises(EnrollmentError, match="no keyword is called 'x'"):
        add_rival(model, made, "x", "y")
    alone = enroll(model, "lights on", sayings["lights on"][:3], recordings_alone=True)
    assert alone.keywords[0].rivals == ()
    with pytest.raises(EnrollmentError, match="how 'lights on' is pronounced isn't known"):
        add_rival(model, alone, "lights on", "lights off")


def test_a_name_whose_opposite_cannot_be_said_has_none(model):
    keyword = enroll(model, "up 2", phones="AH P T UW").keywords[0]
    assert keyword.rivals == ()
    assert with_rivals(model, keyword, ["cup two", "3"]).rivals == (rival(model, keyword, "cup two"),)
