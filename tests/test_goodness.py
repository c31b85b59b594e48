"""Shortfalls against all ways of laying a phone string over frames, one after the other."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.goodness import (
    BEFORE,
    LEAST_LIKELY,
    OF_FRAMES,
    OF_SOUND,
    OF_WORST,
    PAUSE_FRAMES,
    codes_of,
    pauses,
    run_ons,
    shortfall_of,
    shortfalls,
)

PHONES = 4


def naive(scores: np.ndarray, string: tuple[int, ...]) -> float:
    """The best of all paths: silence, each phone for a frame or more, silence."""
    states = [0, *string, 0]
    best, means = -math.inf, []
    for path in combinations_with_replacement(range(len(states)), len(scores)):
        if set(range(1, len(string) + 1)) <= set(path):
            total = sum(scores[frame, states[state]] for frame, state in enumerate(path))
            if total > best:
                best = total
                means = [
                    np.mean([scores[frame, states[at]] for frame, at in enumerate(path) if at == state])
                    for state in range(1, len(string) + 1)
                ]
    if not means:
        return -(OF_FRAMES + OF_WORST) * LEAST_LIKELY
    worst = sorted(means)[: max(1, len(string) // 3)]
    return -(OF_FRAMES * best / len(scores) + OF_WORST * float(np.mean(worst)))


@given(st.integers(1, 7), st.lists(st.integers(1, PHONES), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_it_is_the_best_of_all_paths(frames, string, seed):
    string = [phone for place, phone in enumerate(string) if place == 0 or phone != string[place - 1]]  # else paths are equal
    scores = np.random.default_rng(seed).uniform(LEAST_LIKELY, 0, (frames, PHONES + 1))
    got = shortfalls(scores, [[string]], [(0.0, frames)], before=0)
    assert got == pytest.approx([naive(scores, tuple(string))], rel=1e-5)


@given(st.lists(st.lists(st.lists(st.integers(1, PHONES), min_size=1, max_size=9), min_size=1, max_size=3), max_size=6),
       st.integers(1, 40), st.integers(0, 2**32 - 1))  # fmt: skip
def test_many_at_once_are_each_alone_and_the_best_string_counts(strings, frames, seed):
    random = np.random.default_rng(seed)
    scores = random.uniform(LEAST_LIKELY, 0, (frames, PHONES + 1)).astype(np.float32)
    spans = np.sort(random.uniform(-5, frames + 5, (len(strings), 2)), axis=1)
    together = shortfalls(scores, strings, spans)
    assert together.shape == (len(strings),)
    for found, ways, span in zip(together, strings, spans, strict=True):
        assert found == min(shortfalls(scores, [[way]], [span])[0] for way in ways)
        assert 0 <= found <= -(OF_FRAMES + OF_WORST) * LEAST_LIKELY + 1e-6


@given(st.lists(st.lists(st.lists(st.integers(1, PHONES), min_size=1, max_size=9), min_size=1, max_size=3), min_size=1, max_size=6),
       st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1.2))  # fmt: skip
def test_what_is_far_is_told_as_no_more_than_it_is_and_no_less_than_asked(strings, frames, seed, enough):
    random = np.random.default_rng(seed)
    scores = random.uniform(LEAST_LIKELY, 0, (frames, PHONES + 1)).astype(np.float32)
    spans = np.sort(random.uniform(-5, frames + 5, (len(strings), 2)), axis=1)
    exact, roughly = shortfalls(scores, strings, spans), shortfalls(scores, strings, spans, exact_below=enough)
    assert (roughly <= exact + 1e-5).all()
    assert ((roughly == exact) | (roughly >= enough - 1e-5)).all()


def test_nothing_is_taken_from_what_says_the_string_and_more_the_worse_it_fits():
    said = [0, 0, 1, 1, 2, 2, 2, 3, 0]
    scores = np.full((len(said), PHONES + 1), -6.0)
    scores[np.arange(len(said)), said] = 0.0
    whole = [(0.0, len(said))]
    assert shortfalls(scores, [[(1, 2, 3)]], whole) == [0.0]
    one_wrong, all_wrong = (float(shortfalls(scores, [[way]], whole)[0]) for way in ((1, 2, 4), (4, 4, 4)))
    assert one_wrong == pytest.approx(OF_FRAMES * 6 / 9 + OF_WORST * 6)  # one frame of nine, and all of one phone
    assert 0 < one_wrong < all_wrong
    assert shortfalls(scores, [[(1, 2, 4), (1, 2, 3)]], whole) == [0.0]


def test_frames_before_a_span_belong_to_it_and_those_after_do_not():
    said = [1] * BEFORE + [2, 2, 3, 3, 4, 4]
    scores = np.full((len(said), PHONES + 1), -6.0)
    scores[np.arange(len(said)), said] = 0.0
    end = BEFORE + 4
    assert shortfall_of(scores[:end], [(1, 2, 3)]) == 0.0
    assert shortfalls(scores, [[(1, 2, 3)]], [(BEFORE, end - 0.5)]) == [0.0]
    assert shortfalls(scores, [[(1, 2, 3, 4)]], [(BEFORE, end)]) > [0.1]


def test_strings_become_columns_and_those_with_unknown_phones_are_left_out():
    assert codes_of(["L AY T", "L Y T", "AY"], ["AY", "L", "T"]) == [(2, 1, 3), (1,)]
    assert codes_of([], ["AY"]) == []


@given(st.integers(1, 40), st.lists(st.floats(-20, 60), max_size=5), st.integers(0, 2**32 - 1))
def test_what_goes_before_takes_by_how_likely_it_is_no_silence(frames, starts, seed):
    scores = np.random.default_rng(seed).uniform(LEAST_LIKELY, 0, (frames, PHONES + 1))
    found = run_ons(pauses(scores), starts)
    assert found.shape == (len(starts),)
    for got, start in zip(found, starts, strict=True):
        first = math.floor(start + 0.5)
        before = [frame for frame in range(first - PAUSE_FRAMES, first) if 0 <= frame < frames]
        shares = [math.exp(scores[frame, 0]) / sum(map(math.exp, scores[frame])) for frame in before]
        expected = OF_SOUND * (1 - sum(shares) / len(shares)) if shares else 0.0
        assert got == pytest.approx(expected, abs=1e-6)


def test_a_pause_costs_nothing_and_speech_all_of_it():
    scores = np.full((2 * PAUSE_FRAMES, PHONES + 1), -30.0)
    scores[:PAUSE_FRAMES, 0] = 0.0
    scores[PAUSE_FRAMES:, 2] = 0.0
    taken = run_ons(pauses(scores), [PAUSE_FRAMES, 1.5 * PAUSE_FRAMES, 2 * PAUSE_FRAMES])
    assert taken == pytest.approx([0.0, OF_SOUND / 2, OF_SOUND], abs=1e-6)
