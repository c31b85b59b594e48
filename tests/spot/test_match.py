"""Spans against keywords: one matrix product, as naive loops have it."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.spot import match
from wordprint.spot.enrollment import Keyword, Mistake, Shot
from wordprint.spot.match import Matcher
from wordprint.spot.spans import OF_SHOTS, OF_TEXT, length_s, places

SIZE = 8


def unit(random, count):
    vectors = random.normal(size=(count, SIZE))
    return [tuple(vector / np.linalg.norm(vector)) for vector in vectors]


def make(random, number):
    """A keyword of its own length, shown or typed, with up to four prototypes, and now and then mistakes."""
    shots = (Shot("a.wav", 0.0, 1.0, -20.0, None, (0.0,) * SIZE),) * int(random.integers(2))
    mistakes = tuple(Mistake("b.wav", 0.5, vector) for vector in unit(random, int(random.integers(3))))
    prototypes = tuple(unit(random, int(random.integers(1, 5))))
    return Keyword(f"keyword {number}", 0.5, float(random.uniform(0.1, 3.2)), prototypes, shots, mistakes=mistakes)


def naive(keywords, lengths_s, vectors, heard):
    """(similarity, number of the span) for each keyword: the mean over the ends of the best length, and its best end."""
    found = []
    for word in keywords:
        allowed = [length_s(place) for place in places(word.duration_s, OF_SHOTS if word.shots else OF_TEXT)]
        best, where = -np.inf, None
        for prototype in word.prototypes:
            for place, lasting_s in enumerate(lengths_s):
                if not np.isclose(lasting_s, allowed).any():
                    continue
                ends = {}
                for number in range(place, len(vectors), len(lengths_s)):
                    if not heard[number]:
                        continue
                    similarity = float(np.dot(vectors[number], prototype))
                    if word.mistakes:
                        nearest = max(float(np.dot(vectors[number], mistake.embedding)) for mistake in word.mistakes)
                        similarity -= 2 * max(0.0, nearest - similarity)
                    ends[number] = similarity
                if ends and (mean := sum(ends.values()) / len(ends)) > best:
                    best, where = mean, max(ends, key=ends.get)
        found.append((best, where))
    return found


@pytest.mark.parametrize("together", [match.ONE_THREAD, 1000])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_length_of_each_keyword_is_that_of_naive_loops(seed, together, monkeypatch):
    monkeypatch.setattr(match, "ONE_THREAD", together)  # a few prototypes, or all at once
    random = np.random.default_rng(seed)
    keywords = [make(random, number) for number in range(int(random.integers(1, 12)))]
    matcher = Matcher(keywords)
    assert list(matcher.lengths_s) == sorted(matcher.lengths_s)
    ends = int(random.integers(1, 4))
    vectors = np.array(unit(random, ends * len(matcher.lengths_s)), np.float32)
    heard = random.random(len(vectors)) < 0.7
    similarities, which = matcher.best(vectors, heard)
    for number, (similarity, where) in enumerate(naive(keywords, matcher.lengths_s, vectors, heard)):
        assert similarities[number] == pytest.approx(similarity, abs=1e-5)
        if where is not None:
            assert which[number] == where


def test_what_is_not_heard_is_like_nothing():
    random = np.random.default_rng(0)
    matcher = Matcher([make(random, number) for number in range(3)])
    vectors = np.array(unit(random, 2 * len(matcher.lengths_s)), np.float32)
    similarities, _ = matcher.best(vectors, np.zeros(len(vectors), bool))
    assert similarities.tolist() == [-np.inf] * 3


def test_a_thousand_keywords_share_a_few_lengths():
    random = np.random.default_rng(0)
    keywords = [make(random, number) for number in range(1000)]
    matcher = Matcher(keywords)
    assert len(matcher.lengths_s) <= 23
    vectors = np.array(unit(random, len(matcher.lengths_s)), np.float32)
    heard = np.ones(len(vectors), bool)
    similarities, which = matcher.best(vectors, heard)
    expected = naive(keywords[::100], matcher.lengths_s, vectors, heard)
    np.testing.assert_allclose(similarities[::100], [similarity for similarity, _ in expected], atol=1e-5)
    assert which[::100].tolist() == [where for _, where in expected]


def test_a_span_nearer_to_a_mistake_loses_twice_what_it_is_nearer():
    towards, away = (1.0, 0.0), (0.0, 1.0)
    keyword = Keyword("red", 0.5, 0.5, (towards,), (), mistakes=(Mistake("b.wav", 0.6, away),))
    vectors = np.array([[0.8, 0.6], [0.6, 0.8]], np.float32)
    for vector, expected in zip(vectors, (0.8, 0.6 - 2 * 0.2), strict=True):
        matcher = Matcher([keyword])
        similarities, _ = matcher.best(np.tile(vector, (len(matcher.lengths_s), 1)), np.ones(len(matcher.lengths_s), bool))
        assert similarities[0] == pytest.approx(expected, abs=1e-6)
