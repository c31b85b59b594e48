"""Keywords by the names that other programs give them."""

from __future__ import annotations

import pytest

from toy_model import padded, word
from wordprint.errors import EnrollmentError
from wordprint.spot.choose import choose
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment


@pytest.fixture(scope="module")
def enrollment(model) -> Enrollment:
    made = enroll(model, "Lights On", [padded(word("red"))])
    return enroll(model, "hey-you", [padded(word("blue"))], enrollment=made)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ["Lights On", "hey-you"]),
        (["lights_on"], ["Lights On"]),
        (["HEY YOU", "lights-on", "Lights On"], ["Lights On", "hey-you"]),
    ],
)
def test_names(enrollment, names, expected):
    assert [keyword.keyword for keyword in choose(enrollment, names).keywords] == expected


def test_unknown_names(enrollment):
    message = "no keyword is called 'lights off'; expected some of 'Lights On', 'hey-you'; enroll"
    with pytest.raises(EnrollmentError, match=message) as error:
        choose(enrollment, ["lights off", "hey you"])
    assert error.value.reason == "unknown_keyword"


def test_nothing_is_enrolled(model):
    with pytest.raises(EnrollmentError, match="no keyword is enrolled"):
        choose(Enrollment(model.name, model.digest))
