"""Metrics against hand-worked cases and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.errors import DatasetError
from wordprint.evaluate import metrics

# sorted: 0.1n 0.2n 0.4t 0.5n 0.6t 0.9t
HAND = ([0.9, 0.1, 0.4, 0.5, 0.6, 0.2], [True, False, True, False, True, False])

trials = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


def test_det_curve_by_hand():
    curve = metrics.det_curve(*HAND)
    assert curve.thresholds.tolist() == [0.1, 0.2, 0.4, 0.5, 0.6, 0.9, np.inf]
    assert curve.far == pytest.approx([1, 2 / 3, 1 / 3, 1 / 3, 0, 0, 0])
    assert curve.frr == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 1])


def test_rates_by_hand():
    curve = metrics.det_curve(*HAND)
    assert metrics.equal_error_rate(curve) == pytest.approx(1 / 3)
    assert metrics.auroc(curve) == pytest.approx(8 / 9)  # one of nine pairs is in the wrong order
    assert metrics.frr_at_far(curve, 0.0) == pytest.approx(1 / 3)
    assert metrics.frr_at_far(curve, 0.34) == 0
    assert metrics.threshold_at_far(curve, 0.0) == 0.6


def test_all_similarities_equal_is_chance():
    curve = metrics.det_curve([0.5] * 5, [True, False, True, False, False])
    assert curve.thresholds.tolist() == [0.5, np.inf]
    assert metrics.equal_error_rate(curve) == pytest.approx(0.5)
    assert metrics.auroc(curve) == pytest.approx(0.5)


def test_perfect_and_reversed():
    assert metrics.equal_error_rate(metrics.det_curve([1, 2, 3, 4], [0, 0, 1, 1])) == 0
    assert metrics.equal_error_rate(metrics.det_curve([1, 2, 3, 4], [1, 1, 0, 0])) == 1
    assert metrics.auroc(metrics.det_curve([1, 2, 3, 4], [1, 1, 0, 0])) == 0


def test_thresholds_are_observed_even_when_a_float_sweep_would_miss_them():
    """Similarities closer together than any step of an accumulated sweep keep their own operating points."""
    near = np.nextafter(0.7, 1)
    curve = metrics.det_curve([0.7, near, near], [False, True, True])
    assert curve.thresholds.tolist() == [0.7, near, np.inf]
    assert metrics.frr_at_far(curve, 0.0) == 0


def test_no_false_alarms_is_zero_not_a_floor():
    curve = metrics.det_curve([0.1, 0.9], [False, True])
    assert curve.far.tolist() == [1, 0, 0]


@pytest.mark.parametrize("hundredths", range(1, 100))
def test_a_rate_allows_exactly_its_count(hundredths):
    others = np.arange(100) / 100
    curve = metrics.det_curve(np.append(others, 2.0), [False] * 100 + [True])
    accepted = (others >= metrics.threshold_at_far(curve, hundredths / 100)).sum()
    assert accepted == hundredths


@settings(max_examples=60)
@given(trials)
def test_det_curve_agrees_with_a_loop(pairs):
    values, labels = [float(v) for v, _ in pairs], [label for _, label in pairs]
    curve = metrics.det_curve(values, labels)
    targets = [v for v, label in zip(values, labels, strict=True) if label]
    others = [v for v, label in zip(values, labels, strict=True) if not label]
    for threshold, far, frr in zip(curve.thresholds, curve.far, curve.frr, strict=True):
        assert far == pytest.approx(sum(v >= threshold for v in others) / len(others))
        assert frr == pytest.approx(sum(v < threshold for v in targets) / len(targets))
    wins = sum((t > o) + (t == o) / 2 for t in targets for o in others)
    assert metrics.auroc(curve) == pytest.approx(wins / len(targets) / len(others))
    for far in (0.0, 0.05, 0.3, 1.0):
        allowed = [i for i, rate in enumerate(curve.far) if rate <= far + 1e-9]
        assert metrics.frr_at_far(curve, far) == pytest.approx(min(curve.frr[i] for i in allowed))


def _accuracy_at_far(similarities, is_target, is_right, far, weights=None):
    curve, accuracy = metrics.open_set_curve(similarities, is_target, is_right, weights)
    assert curve.far == pytest.approx(metrics.det_curve(similarities, is_target, weights).far)
    return metrics.at_far(curve, accuracy, far)


@settings(max_examples=40)
@given(trials, st.integers(0, 2**16))
def test_weights_count_as_repeated_trials(pairs, seed):
    values = np.array([float(v) for v, _ in pairs])
    labels = np.array([label for _, label in pairs])
    weights = np.random.default_rng(seed).integers(1, 4, size=(3, len(values)))
    right = np.arange(len(values)) % 3 > 0
    curve = metrics.det_curve(values, labels, weights)
    accuracy = _accuracy_at_far(values, labels, right, 0.3, weights)
    for row, repeats in enumerate(weights):
        repeated = metrics.det_curve(np.repeat(values, repeats), np.repeat(labels, repeats))
        assert metrics.equal_error_rate(curve)[row] == pytest.approx(metrics.equal_error_rate(repeated))
        assert metrics.auroc(curve)[row] == pytest.approx(metrics.auroc(repeated))
        assert metrics.frr_at_far(curve, 0.1)[row] == pytest.approx(metrics.frr_at_far(repeated, 0.1))
        again = _accuracy_at_far(*(np.repeat(x, repeats) for x in (values, labels, right)), 0.3)
        assert accuracy[row] == pytest.approx(again)


def test_accuracy_at_far_by_hand():
    similarities = [0.9, 0.8, 0.7, 0.6, 0.65, 0.5]
    is_target = [True, True, True, True, False, False]
    is_right = [True, False, True, True, False, False]
    # no unknown accepted: threshold 0.7, of four targets three are accepted and two of them right
    assert _accuracy_at_far(similarities, is_target, is_right, 0.0) == 2 / 4
    assert _accuracy_at_far(similarities, is_target, is_right, 0.5) == 3 / 4  # 0.65 is let in, and with it 0.6
    assert _accuracy_at_far(similarities, is_target, is_right, 0.49) == 2 / 4


def _unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("block_cells", [2**23, 100])
def test_map_at_r_agrees_with_a_loop(exclude, block_cells, monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK_CELLS", block_cells)
    generator = np.random.default_rng(5)
    vectors = _unit(generator.normal(size=(40, 3)))
    vectors[7] = vectors[3]  # a tie
    words = generator.integers(0, 6, 40)
    speakers = generator.integers(0, 3, 40)
    found = metrics.average_precision_at_r(vectors, words, speakers, exclude_same_speaker=exclude)
    for query in range(40):
        others = [
            i for i in range(40) if i != query and not (exclude and words[i] == words[query] and speakers[i] == speakers[query])
        ]
        r = sum(words[i] == words[query] for i in others)
        if not r:
            assert np.isnan(found[query])
            continue
        ranked = sorted(others, key=lambda i: -float(vectors[query] @ vectors[i]))[:r]
        hits = [words[i] == words[query] for i in ranked]
        expected = sum(sum(hits[: k + 1]) / (k + 1) for k in range(r) if hits[k]) / r
        assert found[query] == pytest.approx(expected, abs=1e-6)


def test_confusion_accuracy_and_macro_f1_by_hand():
    confusion = np.array([[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])  # rows: truth
    assert metrics.accuracy(confusion) == pytest.approx(4 / 6)
    # F1: class 0 = 2·2/(3+3), class 1 = 2·2/(2+3), class 2 = 0; class 3 was never seen nor predicted
    assert metrics.macro_f1(confusion) == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_one_kind_of_trial_is_an_error(labels):
    with pytest.raises(DatasetError, match="target"):
        metrics.det_curve([0.5] * len(labels), labels)


def test_not_a_number_is_an_error():
    with pytest.raises(DatasetError, match="finite"):
        metrics.det_curve([np.nan, 0.5], [True, False])
