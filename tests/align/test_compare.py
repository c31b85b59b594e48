"""Boundary errors worked out by hand."""

from __future__ import annotations

import pytest

from wordprint.align.compare import boundary_errors
from wordprint.records import Interval

TRUE = [Interval("one", 0.1, 0.5), Interval("two", 0.5, 0.9), Interval("three", 1.0, 1.5)]


def test_perfect_alignment() -> None:
    errors = boundary_errors([(TRUE, TRUE)])
    assert (errors.words, errors.mean_ms, errors.within_20_ms, errors.gross, errors.start_bias_ms) == (3, 0.0, 1.0, 0.0, 0.0)


def test_hand_worked_case() -> None:
    found = [Interval("one", 0.11, 0.47), Interval("two", 0.5, 0.8), Interval("three", 1.2, 1.5)]
    errors = boundary_errors([(found, TRUE)])  # ms: +10 −30, 0 −100, +200 0
    assert errors.mean_ms == pytest.approx(340 / 6)
    assert errors.median_ms == pytest.approx(20)
    assert errors.within_20_ms == pytest.approx(3 / 6)
    assert errors.within_50_ms == pytest.approx(4 / 6)
    assert errors.within_100_ms == pytest.approx(5 / 6)
    assert errors.gross == pytest.approx(1 / 6)
    assert errors.start_bias_ms == pytest.approx(70)
    assert errors.end_bias_ms == pytest.approx(-130 / 3)
    assert set(errors.to_json()) >= {"mean_ms", "gross", "failures"}


def test_failures_and_words_without_a_counterpart_are_counted_apart() -> None:
    errors = boundary_errors([(None, TRUE), ([TRUE[0], TRUE[2]], TRUE), ([*TRUE, Interval("four", 2.0, 2.1)], TRUE)])
    assert (errors.words, errors.unmatched_words, errors.failures) == (5, 4, 1)
    assert errors.mean_ms == 0.0


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="no word"):
        boundary_errors([(None, TRUE)])
