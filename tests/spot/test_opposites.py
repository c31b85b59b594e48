"""Opposites of commands."""

from __future__ import annotations

import pytest

from wordprint.spot.opposites import opposites


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
