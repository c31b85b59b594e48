"""Vectors as sums of centres: against naive sums, and how near they come."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.residual import CENTRES, Residual


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """(3000, 12), about 500 places, more than a stage has centres."""
    random = np.random.default_rng(0)
    return (random.normal(0, 1, (500, 12))[random.integers(500, size=3000)] + random.normal(0, 0.05, (3000, 12))).astype(np.float32)


@pytest.fixture(scope="module")
def residual(vectors) -> Residual:
    return Residual.of(vectors, 3)


def test_a_vector_is_the_sum_of_a_centre_of_each_stage(residual):
    assert len(residual) == 3000
    some = [0, 7, 2999]
    for place, decoded in zip(some, residual.decode(some), strict=True):
        summed = sum(residual.centres[stage, residual.codes[stage, place]] * residual.steps[stage] for stage in range(3))
        assert decoded == pytest.approx(summed, abs=1e-6)
    assert np.array_equal(residual.decode()[some], residual.decode(some))


def test_products_are_those_of_what_is_decoded(residual):
    directions = np.random.default_rng(1).normal(0, 1, (12, 5)).astype(np.float32)
    assert residual.products(directions) == pytest.approx(residual.decode() @ directions, abs=1e-4)


def test_each_stage_brings_them_nearer(vectors, residual):
    left = [float(np.square(vectors - Residual.of(vectors, stages).decode()).mean()) for stages in (1, 2)]
    left.append(float(np.square(vectors - residual.decode()).mean()))
    assert vectors.var() > 2 * left[0] > 4 * left[1] > 5 * left[2]


def test_a_code_is_the_nearest_centre(vectors):
    one = Residual.of(vectors, 1)
    centres = one.centres[0] * one.steps[0]
    nearest = [int(np.square(centres - vector).sum(axis=1).argmin()) for vector in vectors[:50]]
    assert one.codes[0, :50].tolist() == nearest


def test_the_same_vectors_give_the_same(vectors, residual):
    again = Residual.of(vectors, 3)
    for name, array in residual.arrays("a").items():
        assert np.array_equal(array, again.arrays("a")[name])


@pytest.mark.parametrize("count", [1, 5, CENTRES])
def test_as_few_as_a_stage_has_centres_come_back_to_a_byte_a_coordinate(count):
    vectors = np.random.default_rng(2).normal(0, 1, (count, 4)).astype(np.float32)
    off = [float(np.abs(Residual.of(vectors, stages).decode() - vectors).max()) for stages in (1, 2)]
    assert off[0] <= np.abs(vectors).max() / 254 + 1e-6
    assert off[1] <= off[0] / 254 + 1e-6


def test_it_reads_what_it_saves(residual):
    again = Residual.read(residual.arrays("spans"), "spans")
    assert np.array_equal(again.decode(), residual.decode())
    with pytest.raises(KeyError):
        Residual.read(residual.arrays("spans"), "heard")
