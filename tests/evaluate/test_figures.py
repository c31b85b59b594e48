"""Plots of the evaluation: labels apart, no plot that shows nothing."""

from __future__ import annotations

import numpy as np

from wordprint.evaluate.figures import LABEL_HEIGHT, histogram, labels_apart


def test_labels_that_would_cover_each_other_are_moved_up():
    generator = np.random.default_rng(0)
    places, widths = generator.uniform(0, 100, (12, 2)), generator.uniform(20, 60, 12)
    moved = labels_apart(places, widths)
    across = abs(moved[:, None, 0] - moved[None, :, 0]) < (widths[:, None] + widths) / 2
    near = abs(moved[:, None, 1] - moved[None, :, 1]) < LABEL_HEIGHT - 1e-9
    assert np.array_equal(across & near, np.eye(12, dtype=bool))
    assert np.array_equal(moved[:, 0], places[:, 0])
    assert (moved[:, 1] >= places[:, 1]).all()


def test_labels_that_are_apart_stay():
    places = np.array([[0.0, 0.0], [0.0, LABEL_HEIGHT], [50.0, 1.0]])
    assert np.array_equal(labels_apart(places, np.array([20.0, 20.0, 20.0])), places)


def test_values_that_hardly_differ_get_no_histogram():
    assert histogram([1.0] * 200 + [1.00006], "Seconds", "nearly all equal") is None
    assert histogram([np.nan], "Seconds", "none") is None
    assert "<svg" in histogram([0.2, 0.3, 0.5], "Seconds", "three")
