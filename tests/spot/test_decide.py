"""The decision logic, worked by hand: one look every 100 samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.errors import ConfigError
from wordprint.spot.decide import Decider

HOP = 100


def decide(similarities: list, thresholds=(0.5,), refractory_samples: int = 300, hold_samples: int = HOP) -> list[tuple[int, int]]:
    """(keyword, end sample) of the detections in a series of looks."""
    decider = Decider(thresholds, refractory_samples=refractory_samples, hold_samples=hold_samples)
    looks = np.asarray(similarities, dtype=float).reshape(len(similarities), len(thresholds))
    peaks = [decider.step((number + 1) * HOP, look) for number, look in enumerate(looks)]
    return [(peak.keyword, peak.end_sample) for peak in [*peaks, decider.finish()] if peak is not None]


def test_nothing_below_the_threshold():
    assert decide([0.1, 0.49, 0.2]) == []


def test_similarity_equal_to_the_threshold_is_a_hit():
    assert decide([0.1, 0.5, 0.2]) == [(0, 200)]


def test_a_run_of_hits_is_one_detection_at_its_best():
    assert decide([0.1, 0.6, 0.7, 0.9, 0.8, 0.6, 0.1], hold_samples=200) == [(0, 400)]


def test_it_is_decided_a_hold_after_the_first_hit_though_a_better_one_may_follow():
    assert decide([0.1, 0.6, 0.7, 0.9, 0.8, 0.6, 0.1], hold_samples=100) == [(0, 300)]
    decider = Decider([0.5], refractory_samples=300, hold_samples=100)
    assert [decider.step(end, [score]) is not None for end, score in ((100, 0.6), (200, 0.7), (300, 0.9))] == [False, True, False]


def test_twenty_five_hits_are_one_detection():
    assert len(decide([0.0] + [0.9] * 25 + [0.0])) == 1


def test_the_first_of_equal_similarities_counts():
    assert decide([0.0, 0.8, 0.8, 0.8, 0.0]) == [(0, 200)]


def test_two_runs_are_two_detections():
    assert decide([0.0, 0.8, 0.0, 0.0, 0.0, 0.7, 0.0]) == [(0, 200), (0, 600)]


def test_hits_in_the_refractory_period_are_ignored():
    assert decide([0.0, 0.8, 0.0, 0.9, 0.0, 0.0], refractory_samples=300) == [(0, 200)]
    assert decide([0.0, 0.8, 0.0, 0.9, 0.0, 0.0], refractory_samples=200) == [(0, 200), (0, 400)]


def test_a_run_that_outlasts_the_refractory_period_stays_one_detection():
    assert decide([0.8] * 20, refractory_samples=300) == [(0, 100)]


def test_a_dip_inside_the_hold_does_not_split_a_rise():
    assert decide([0.6, 0.4, 0.9, 0.0, 0.0], hold_samples=200) == [(0, 300)]


def test_keywords_compete_by_margin_over_their_own_threshold():
    looks = [[0.0, 0.0], [0.75, 0.85], [0.0, 0.0]]
    assert decide(looks, thresholds=(0.5, 0.8)) == [(0, 200)]  # 0.25 over against 0.05 over


def test_a_better_keyword_replaces_the_candidate_within_the_hold():
    looks = [[0.6, 0.0], [0.7, 0.9], [0.6, 0.0], [0.0, 0.0]]
    assert decide(looks, thresholds=(0.5, 0.5)) == [(1, 200)]


def test_another_keyword_is_heard_after_the_refractory_period_though_the_first_run_goes_on():
    looks = [[0.8, 0.0], [0.8, 0.0], [0.8, 0.0], [0.8, 0.6], [0.8, 0.0]]
    assert decide(looks, thresholds=(0.5, 0.5), refractory_samples=200) == [(0, 100), (1, 400)]


def test_another_keyword_that_is_said_next_is_heard_at_once():
    decider = Decider([0.5, 0.5], refractory_samples=1000, hold_samples=0)
    looks = [
        (100, [0.9, 0.0], [(0, 80), (0, 80)]),
        (200, [0.0, 0.9], [(0, 80), (30, 90)]),  # on the same sound
        (300, [0.0, 0.0], [(0, 80), (30, 90)]),
        (400, [0.0, 0.8], [(0, 80), (60, 190)]),  # a quarter of the first lies in it
        (500, [0.9, 0.0], [(300, 380), (60, 190)]),  # the first again, in its refractory period
        (1100, [0.0, 0.0], [(300, 380), (60, 190)]),
        (1200, [0.9, 0.0], [(1000, 1100), (60, 190)]),
    ]
    peaks = [decider.step(*look) for look in looks]
    assert [peak and peak.keyword for peak in peaks] == [0, None, None, 1, None, None, 0]


def test_a_tie_goes_to_the_keyword_enrolled_first():
    assert decide([[0.7, 0.7]], thresholds=(0.5, 0.5)) == [(0, 100)]


def test_the_end_of_the_stream_decides_what_is_open():
    assert decide([0.0, 0.9]) == [(0, 200)]


def test_minus_infinity_is_no_look_at_all():
    assert decide([-np.inf, -np.inf]) == []


def against_rivals(looks: list, owners=(0,), thresholds=(0.5,), refractory: int = 300, hold: int = HOP) -> list[tuple[int, int]]:
    """(keyword, end sample) of the detections where each look gives keywords and then rivals as (similarity, span)."""
    decider = Decider(thresholds, refractory_samples=refractory, hold_samples=hold, owners=owners)
    peaks = []
    for number, look in enumerate(looks, 1):
        similarities, spans = zip(*look, strict=True)
        peaks.append(decider.step(number * HOP, similarities, spans))
    return [(peak.keyword, peak.end_sample) for peak in [*peaks, decider.finish()] if peak is not None]


HERE, MOSTLY, BESIDE = (0, 8000), (2000, 9280), (7000, 9280)
EARLIER, LATER = (0, 5439), (0, 10561)
NOTHING = (0.0, HERE)


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([[(0.8, HERE), (0.9, HERE)]], []),
        ([[(0.8, HERE), (0.8, HERE)]], [(0, 100)]),  # as near as the keyword: not nearer
        ([[(0.8, HERE), (0.9, BESIDE)]], [(0, 100)]),  # of other sound
        ([[(0.8, HERE), (0.9, MOSTLY)]], []),
        ([[(0.8, HERE), (0.9, EARLIER)]], [(0, 100)]),  # its beginning
        ([[(0.8, HERE), (0.9, LATER)]], [(0, 100)]),
        ([[(0.8, HERE), NOTHING], [NOTHING, (0.9, HERE)]], []),  # during the hold
        ([[(0.8, HERE), NOTHING], [NOTHING, NOTHING], [NOTHING, (0.9, HERE)]], [(0, 100)]),  # after it
        ([[NOTHING, (0.9, HERE)], [NOTHING, NOTHING], [(0.8, MOSTLY), NOTHING]], []),  # in the refractory period
        ([[NOTHING, (0.9, HERE)], [NOTHING, NOTHING], [NOTHING, NOTHING], [(0.8, MOSTLY), NOTHING]], [(0, 400)]),  # after it
        ([[(0.8, HERE), (0.9, HERE)], [(0.95, HERE), NOTHING]], [(0, 200)]),  # nearer than the rival was
        ([[(0.4, HERE), (0.45, HERE)], [(0.6, HERE), (0.4, HERE)]], [(0, 200)]),  # the rival is no hit
    ],
)
def test_a_keyword_is_not_told_where_a_rival_is_nearer(looks, found):
    assert against_rivals(looks) == found


def test_a_rival_beats_no_other_keyword_and_nothing_is_deaf_for_it():
    looks = [[(0.8, HERE), (0.6, HERE), (0.9, HERE)], [(0.8, HERE), (0.7, HERE), (0.0, HERE)], [NOTHING, NOTHING, NOTHING]]
    assert against_rivals(looks, thresholds=(0.5, 0.5)) == [(1, 200)]
    assert against_rivals(looks, thresholds=(0.5, 0.5), owners=(1,)) == [(0, 100)]


def test_a_rival_has_the_threshold_of_its_keyword():
    decider = Decider([0.5, 0.8], refractory_samples=300, hold_samples=HOP, owners=(1, 0))
    assert decider.margins([0.5, 0.8, 0.9, 0.4]) == pytest.approx([0, 0, 0.1, -0.1])
    decider.set_thresholds([0.6, 0.7], (1,))
    assert decider.margins([0.5, 0.8, 0.9]) == pytest.approx([-0.1, 0.1, 0.2])


def test_times_must_not_be_negative():
    with pytest.raises(ConfigError, match="0 or more"):
        Decider([0.5], refractory_samples=-1, hold_samples=0)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=60),
    st.integers(0, 8).map(lambda looks: looks * HOP),
    st.integers(0, 3).map(lambda looks: looks * HOP),
)
def test_never_more_detections_than_runs_nor_two_within_the_refractory_period(looks, refractory, hold):
    found = decide(looks, thresholds=(0.5, 0.6), refractory_samples=refractory, hold_samples=hold)
    ends = [end for _, end in found]
    assert all(later - earlier >= refractory for earlier, later in itertools.pairwise(ends))
    for keyword, threshold in enumerate((0.5, 0.6)):
        hits = [False, *(look[keyword] >= threshold for look in looks)]
        runs = sum(now and not before for before, now in itertools.pairwise(hits))
        assert sum(index == keyword for index, _ in found) <= runs
