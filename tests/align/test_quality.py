"""Bias correction and goodness."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.align.quality import (
    BETWEEN_WORDS_S,
    END_BEFORE_SILENCE_S,
    MIN_WORD_S,
    START_AFTER_SILENCE_S,
    correct_phones,
    correct_words,
    frame_goodness,
    mean_goodness,
)
from wordprint.records import Interval


def test_each_kind_of_boundary_moves_by_its_bias() -> None:
    (first, second, third) = correct_words([(20, 50), (50, 80), (100, 140)], 2.0)
    assert first == pytest.approx((0.20 + START_AFTER_SILENCE_S, 0.50 + BETWEEN_WORDS_S), abs=1e-4)
    assert second == pytest.approx((0.50 + BETWEEN_WORDS_S, 0.80 + END_BEFORE_SILENCE_S), abs=1e-4)
    assert third == pytest.approx((1.00 + START_AFTER_SILENCE_S, 1.40 + END_BEFORE_SILENCE_S), abs=1e-4)
    assert first[1] == second[0]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(3, 120)), min_size=1, max_size=12),
    st.floats(0.0, 0.02),
)
def test_corrected_words_neither_overlap_nor_leave_the_utterance(gaps: list[tuple[int, int]], tail_s: float) -> None:
    spans, at = [], 0
    for silence, frames in gaps:
        spans.append((at + silence, at + silence + frames))
        at += silence + frames
    duration_s = at / 100 + tail_s
    times = correct_words(spans, duration_s)
    edges = [edge for time in times for edge in time]
    assert edges == sorted(edges)
    assert all(0.0 <= start_s < end_s <= duration_s for start_s, end_s in times)
    for (start, end), (start_s, end_s) in zip(spans, times, strict=True):
        assert end_s - start_s >= min(MIN_WORD_S, (end - start) / 100) - BETWEEN_WORDS_S - 2e-4


@given(st.lists(st.integers(3, 30), min_size=1, max_size=10), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_phones_fill_their_word_in_order(lengths: list[int], start_shift: float, end_shift: float) -> None:
    starts = [100 + sum(lengths[:k]) for k in range(len(lengths))]
    word = (1.0 + start_shift, max(1.0 + sum(lengths) / 100 + end_shift, 1.01 + start_shift))
    times = correct_phones(starts, word)
    assert times[0][0] == word[0]
    assert times[-1][1] == word[1]
    assert all(end_s > start_s for start_s, end_s in times)
    assert all(a[1] == b[0] for a, b in pairwise(times))


def test_goodness() -> None:
    assert frame_goodness(1.0001**-500, 50) == pytest.approx(-10, abs=1e-3)
    assert frame_goodness(0.0, 50) is None
    words = [Interval("a", 0.0, 0.1, -10.0), Interval("b", 0.1, 0.4, -20.0), Interval("c", 0.4, 9.0, None)]
    assert mean_goodness(words) == pytest.approx(-17.5)
    assert mean_goodness(words[2:]) is None
    assert not math.isnan(mean_goodness(words) or 0.0)
