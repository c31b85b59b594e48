"""Intervals against published values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wordprint.evaluate.intervals import group_weights, groups_of, interval_around, interval_over, poisson_interval, wilson_interval


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [  # Garwood's table, as in any textbook of epidemiology
        (0, 0.0, 3.689),
        (1, 0.0253, 5.572),
        (2, 0.2422, 7.225),
        (5, 1.623, 11.668),
        (10, 4.795, 18.390),
        (100, 81.364, 121.627),
    ],
)
def test_poisson_interval_known_values(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=6e-4)


def test_poisson_interval_of_none_is_the_rule_of_three():
    assert poisson_interval(0, confidence=0.9)[1] == pytest.approx(-math.log(0.05))  # one-sided 95 %: 3 / hours


@pytest.mark.parametrize("count", [0, 3, 40, 5000])
def test_poisson_interval_ends_have_the_stated_probability(count):
    low, high = poisson_interval(count)

    def cdf(k, mean):
        return math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k + 1))

    assert cdf(count, high) == pytest.approx(0.025, rel=1e-6)
    if count:
        assert 1 - cdf(count - 1, low) == pytest.approx(0.025, rel=1e-6)


def test_wilson_interval_known_values():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_group_weights_draw_whole_groups():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    weights = group_weights(groups, 500, np.random.default_rng(0))
    assert weights.shape == (500, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many groups drawn as there are
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)
    assert (weights == group_weights(groups, 500, np.random.default_rng(0))).all()


def test_bootstrap_of_a_mean_has_its_standard_error():
    generator = np.random.default_rng(1)
    values = 0.5 + 0.1 * generator.normal(size=400)
    weights = group_weights(np.arange(400), 2000, generator)
    low, high = interval_around(values.mean(), weights @ values / weights.sum(axis=1))
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=1e-3)


def test_interval_stays_in_range_around_the_figure_and_leaves_out_undefined_replicates():
    assert interval_around(0.9, [np.nan, 0.2, 0.2]) == pytest.approx((0.9, 0.9))  # a shift of all replicates is no error
    low, high = interval_around(0.99, np.linspace(0.6, 0.8, 101))
    assert (low, high) == (pytest.approx(0.99 - 0.095), 1.0)
    assert interval_around(0.5, [np.nan]) == (0.0, 1.0)


def test_without_an_error_each_group_is_one_trial():
    assert interval_over(3, 1.0, np.ones(9)) == (pytest.approx(0.4385, abs=1e-4), 1.0)
    assert interval_over(3, 0.0, np.zeros(9)) == (0.0, pytest.approx(0.5615, abs=1e-4))
    for value, replicates in [(0.5, [0.4, 0.6]), (0.0, [0.0, 0.4]), (0.5, [0.5, 0.5])]:
        assert interval_over(3, value, replicates) == interval_around(value, replicates)


def test_groups_are_speakers_and_nobody_is_alone():
    assert groups_of(None, 3).tolist() == [0, 1, 2]
    groups = groups_of(["b", "", "a", "b", ""], 5)
    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == 4
