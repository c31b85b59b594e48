"""Lengths of spans: a grid for all keywords, near what each lasts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.spot.spans import LONGEST_S, OF_SHOTS, OF_TEXT, SHORTEST_S, length_s, places, spelled_duration_s


@given(st.floats(0.0, 10.0), st.sampled_from([OF_SHOTS, OF_TEXT]))
def test_the_nearest_length_and_its_neighbours(duration_s, around):
    found = list(places(duration_s, around))
    every = [place for place in range(-100, 100) if 0.93 * SHORTEST_S < length_s(place) < 1.07 * LONGEST_S]
    nearest = min(every, key=lambda place: abs(math.log(length_s(place)) - math.log(max(duration_s, 1e-3))))
    assert found == [place for place in every if abs(place - nearest) <= around]
    if SHORTEST_S <= duration_s <= LONGEST_S:
        assert abs(math.log(length_s(nearest) / duration_s)) <= math.log(length_s(1)) / 2 + 1e-6


def test_each_length_is_a_seventh_longer_than_the_one_before():
    assert [length_s(place + 1) / length_s(place) for place in (-9, 0, 5)] == pytest.approx([1.15] * 3, abs=1e-3)


def test_a_typed_keyword_lasts_as_long_as_its_phones():
    assert spelled_duration_s([("L", "AY", "T"), ("L", "AY")]) == pytest.approx(3 * 0.075 + 0.08)
