"""A sample of what ordinary speech is like: levels against naive loops, and what packing keeps."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.cohort import EVENT, EVERY, STAGES, Cohort, Heard
from wordprint.goodness import LEAST_LIKELY, OF_FRAMES, OF_SOUND, OF_WORST, PAUSE_FRAMES, pauses, run_ons, shortfalls

NEAREST = 24


@pytest.fixture(autouse=True)
def few_events(monkeypatch):
    """Of hundreds of places, not of tens of thousands."""
    monkeypatch.setattr("wordprint.cohort.NEAREST", NEAREST)


def _vectors(random: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = random.normal(0, 1, shape) @ random.normal(0, 1, (shape[-1], shape[-1]))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """(4, 300, 32), in 20 directions for the most part."""
    random = np.random.default_rng(0)
    low = random.normal(0, 1, (4, 300, 20)) @ random.normal(0, 1, (20, 32)) + 0.01 * random.normal(0, 1, (4, 300, 32))
    return (low / np.linalg.norm(low, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def cohort(vectors) -> Cohort:
    return Cohort.of((-6, -4, -2, 0), vectors)


@pytest.mark.parametrize(("places", "rows"), [((-5, -4, -3), (0, 1)), ((-4,), (1,)), ((3, 4, 5), (3,)), ((-9, 0), (0, 3))])
def test_the_level_is_the_mean_of_the_nearest_events_in_the_nearest_lengths(cohort, vectors, places, rows):
    prototypes = _vectors(np.random.default_rng(1), 2, 32)
    nearest = [-1.0] * (300 // EVENT)
    for row in rows:
        for place, vector in enumerate(vectors[row]):
            for prototype in prototypes:
                nearest[place // EVENT] = max(nearest[place // EVENT], float(vector @ prototype))
    expected = sum(sorted(nearest)[-NEAREST:]) / NEAREST
    assert cohort.level(prototypes, places) == pytest.approx(expected, abs=0.02)


def test_a_prototype_that_is_like_much_has_a_higher_level(cohort, vectors):
    mean = vectors.mean(axis=(0, 1))
    away = _vectors(np.random.default_rng(2), 1, 32)[0]
    assert cohort.level((mean / np.linalg.norm(mean))[None], (-4,)) != cohort.level(away[None], (-4,))
    assert cohort.level(vectors[1][:1], (-4,)) > cohort.level(-vectors[1][:1], (-4,))


def test_packed_it_is_the_same(cohort):
    packed = cohort.pack()
    again = Cohort.unpack(packed)
    assert np.array_equal(again.spans.decode(), cohort.spans.decode())
    assert np.array_equal(again.places, cohort.places)
    assert again.level(np.eye(32)[:1], (-4,)) == cohort.level(np.eye(32)[:1], (-4,))
    assert again.pack() == packed


def test_the_spans_of_a_place_are_told_by_a_byte_a_stage(vectors):
    """What matters of them is kept: similarities of thousands of places to what is said there."""
    random = np.random.default_rng(6)
    said = _vectors(random, 40, 4, 32)  # 40 things that are said, in four lengths
    many = said[random.integers(40, size=6000)] + 0.05 * random.normal(0, 1, (6000, 4, 32))
    many = (many / np.linalg.norm(many, axis=2, keepdims=True)).astype(np.float32).transpose(1, 0, 2)
    cohort = Cohort.of((-6, -4, -2, 0), many)
    assert cohort.spans.codes.shape == (STAGES, 6000)
    decoded = (cohort.spans.decode() @ cohort.basis.astype(np.float32)).reshape(6000, 4, 32).transpose(1, 0, 2)
    assert (decoded * many).sum(axis=2).mean() > 0.95


def test_the_level_is_less_what_the_spans_say_that_is_unlike_the_keyword(vectors):
    """Against shortfalls of each span by itself; packed, the phones come back. The last event is of one place."""
    random = np.random.default_rng(4)
    vectors = vectors[:, : 100 * EVENT - 2]
    spans, frames = vectors.shape[1], 800
    lengths = np.array([10.0, 14.0, 18.0, 26.0])
    ends = np.sort(random.integers(30, frames, spans))
    scores = random.uniform(LEAST_LIKELY, 0, (frames, 7)).astype(np.float32)
    heard = Heard.of(ends, lengths, scores)
    cohort = Cohort.of((-6, -4, -2, 0), vectors, heard=heard)
    prototype, sounds, kept = vectors[1][:1], [(1, 2), (3, 4, 5)], scores[::EVERY]
    found = [-1.0] * 100
    for row in (0, 1):
        for place, (vector, end) in enumerate(zip(vectors[row], ends, strict=True)):
            bounds = ((end - lengths[row]) / EVERY, end / EVERY)
            score = float(vector @ prototype[0] - run_ons(pauses(kept), bounds[:1], PAUSE_FRAMES // EVERY)[0])
            score -= float(shortfalls(kept, [sounds], [bounds], before=1)[0])
            found[place // EVENT] = max(found[place // EVENT], score)
    level = cohort.level(prototype, (-6, -4), sounds)
    assert level == pytest.approx(np.mean(sorted(found)[-NEAREST:]), abs=0.03)
    assert level < cohort.level(prototype, (-6, -4)) - 0.1
    packed = cohort.pack()
    again = Cohort.unpack(packed)
    assert np.array_equal(again.heard.ends, ends)
    assert np.array_equal(again.heard.scores.decode(), heard.scores.decode())
    assert again.level(prototype, (-6, -4), sounds) == level
    assert again.pack() == packed


def test_the_level_is_less_what_sound_before_the_spans_takes(vectors):
    """Every span comes after a pause, or none does."""
    ends = 20 + np.arange(300)
    quiet, loud = np.full((2, 320, 7), LEAST_LIKELY, np.float32)
    quiet[:, 0], loud[:, 1] = 0, 0
    after, within = (Cohort.of((-6,), vectors[:1], heard=Heard.of(ends, np.array([4.0]), scores)) for scores in (quiet, loud))
    of_sound = OF_SOUND * (1 - np.exp(LEAST_LIKELY))
    prototype = vectors[0][:1]
    assert after.level(prototype, (-6,)) - within.level(prototype, (-6,)) == pytest.approx(of_sound, abs=1e-3)
    assert after.level(prototype, (-6,)) == pytest.approx(Cohort.of((-6,), vectors[:1]).level(prototype, (-6,)), abs=1e-3)


def test_spans_keep_what_they_say_where_the_rest_is_left_out():
    """Each of twenty spans in 2,000 frames loses what it does where all frames are there."""
    random = np.random.default_rng(7)
    ends = np.sort(random.integers(0, 2000, 20))
    heard = Heard.of(ends, np.array([10.0, 31.0]), random.uniform(LEAST_LIKELY, 0, (2000, 7)).astype(np.float32))
    rows, places = random.integers(2, size=20), random.permutation(20)
    scores, bounds = heard.around(rows, places)
    assert len(scores) < 700
    everything = np.clip(heard.scores.decode().reshape(-1, 7), LEAST_LIKELY, 0)
    there = np.stack([ends[places] - heard.lengths[rows], ends[places]], axis=1) / EVERY
    sounds = [[(1, 2), (3, 4, 5)]] * 20
    assert shortfalls(scores, sounds, bounds, 1) == pytest.approx(shortfalls(everything, sounds, there, 1))


def test_spans_whose_phones_are_not_compared_count_as_the_worst_that_are(vectors, monkeypatch):
    """Planted: every phone fits everywhere but at the first places, which are nearest and say something else."""
    spans, prototype = vectors.shape[1], _vectors(np.random.default_rng(5), 1, 32)
    said = vectors[:1] - vectors[:1] @ prototype.T * prototype  # like it in nothing
    said[0, : 10 * EVENT] = prototype
    scores = np.zeros((EVERY * spans, 7), np.float32)
    scores[: 12 * EVENT * EVERY] = LEAST_LIKELY
    monkeypatch.setattr("wordprint.goodness.OF_SOUND", 0.0)
    heard = Heard.of(np.arange(spans) * EVERY, np.array([4.0]), scores)
    cohort = Cohort.of((-6,), said, heard=heard)
    alike = cohort.spans.decode() @ cohort.basis @ prototype[0]
    monkeypatch.setattr("wordprint.cohort.COMPARED", 10 * EVENT)  # the planted ones alone
    lost = (OF_FRAMES + OF_WORST) * -LEAST_LIKELY
    assert cohort.level(prototype, (-6,), [(1, 2)]) == pytest.approx(alike[0] - lost, abs=1e-5)
    monkeypatch.setattr("wordprint.cohort.COMPARED", spans)
    assert cohort.level(prototype, (-6,), [(1, 2)]) > alike[0] - lost + 0.1


def test_what_phone_strings_would_lose_by_hand():
    """Where 1 is said 2 is half as bad as 3; 3 is never said, so that all else is as unlikely as can be where it would be."""
    scores = np.array([[0, -8, -8, -8], [-8, 0, -2, -4], [-8, 0, -6, -8], [-8, -8, 0, -8]], np.float32).repeat(EVERY, axis=0)
    heard = Heard.of(np.zeros(1, np.int64), np.ones(1), scores)
    lost = heard.unlike([(1,), (2,), (3,), (1, 2)], [(2,)])
    one, three = (2 + 6) / 2, -LEAST_LIKELY
    assert lost == pytest.approx([0.15 * one, 0, 0.15 * three, OF_FRAMES * one / 2 + OF_WORST * one / 2], abs=1e-3)
    assert heard.unlike([(1, 2)], [(1, 2), (3, 3)]) == [0.0]


def test_fewer_spans_than_are_asked_for():
    few = Cohort.of((0,), _vectors(np.random.default_rng(3), 1, 5, 8))
    assert -1 <= few.level(np.eye(8)[:1], (0,)) <= 1
