"""Same-different discrimination: intervals, chance and both variants against naive loops."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.errors import DatasetError
from wordprint.evaluate.same_different import bootstrap_average_precision, pair_average_precision, same_different, same_share


def _naive(distances, words, speakers, exclude, weights):
    """AP over pairs, each repeated as often as its tokens were drawn together."""
    pairs = []
    for i in range(len(words)):
        for j in range(i + 1, len(words)):
            same = words[i] == words[j]
            if not (exclude and same and speakers[i] == speakers[j]):
                pairs += [(distances[i, j], len(pairs), same)] * int(weights[i] * weights[j])
    pairs.sort(key=lambda pair: pair[:2])
    hits, total = 0, 0.0
    for rank, (_, _, same) in enumerate(pairs, start=1):
        hits += same
        total += same * hits / rank
    return total / hits


def _data(count=24, seed=0):
    generator = np.random.default_rng(seed)
    words, speakers = generator.integers(0, 5, count).astype(str), generator.integers(0, 4, count).astype(str)
    vectors = generator.normal(size=(count, 4))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), words, speakers


@pytest.mark.parametrize("exclude", [False, True])
def test_estimates_agree_with_a_loop(exclude):
    vectors, words, speakers = _data()
    result = same_different(vectors, words, speakers, generator=np.random.default_rng(0))
    estimate = result.estimates["ap_across_speakers" if exclude else "ap"]
    assert estimate.mean == pytest.approx(_naive(1 - vectors @ vectors.T, words, speakers, exclude, np.ones(len(words))), abs=1e-6)
    assert estimate.low <= estimate.mean <= estimate.high


@pytest.mark.parametrize("exclude", [False, True])
def test_bootstrap_counts_a_pair_as_often_as_its_tokens_were_drawn(exclude, monkeypatch):
    vectors, words, speakers = _data()
    distances = 1 - vectors @ vectors.T
    groups = np.unique(speakers, return_inverse=True)[1]
    weights = np.array([[2, 0, 1, 3]])[:, groups]
    monkeypatch.setattr("wordprint.evaluate.same_different.group_weights", lambda *_: weights)
    excluded = speakers if exclude else None
    plain, drawn = bootstrap_average_precision(distances, words, groups, excluded, np.random.default_rng(0), replicates=1)
    assert plain == pytest.approx(_naive(distances, words, speakers, exclude, np.ones(len(words))), abs=1e-6)
    # the loop above breaks ties of repeated pairs in the same way: copies of one pair follow each other
    assert drawn == pytest.approx(_grouped(distances, words, speakers, exclude, weights[0]), abs=1e-6)


def _grouped(distances, words, speakers, exclude, weights):
    """As `_naive`, but copies of a pair share the rank of the last of them, since they tie."""
    pairs = [
        (distances[i, j], words[i] == words[j], weights[i] * weights[j])
        for i in range(len(words))
        for j in range(i + 1, len(words))
        if not (exclude and words[i] == words[j] and speakers[i] == speakers[j])
    ]
    rank = hits = 0
    total = 0.0
    for _, same, copies in sorted(pairs, key=lambda pair: pair[0]):
        rank += copies
        if same and copies:
            hits += copies
            total += copies * hits / rank
    return total / hits


def test_by_hand():
    # distances: a1-a2 0, a-b 1 each; one positive pair, ranked first
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    result = same_different(vectors, ["a", "a", "b"], ["x", "y", "x"], generator=np.random.default_rng(0))
    assert result.estimates["ap"].mean == 1
    assert (result.estimates["ap"].low, result.estimates["ap"].high) == (pytest.approx(0.3424, abs=1e-4), 1)  # of two speakers
    assert result.chance == pytest.approx({"ap": 1 / 3, "ap_across_speakers": 1 / 3})
    assert (result.tokens, result.word_types, result.speakers) == (3, 2, 2)


def test_chance_is_the_share_of_positive_pairs():
    assert same_share(list("aaab")) == pytest.approx(3 / 6)
    assert same_share(list("aaab"), list("xxyx")) == pytest.approx(2 / 5)  # one a-a pair is of one speaker, and left out


def test_random_embeddings_score_near_chance():
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(300, 8)).astype(np.float32)
    words = generator.integers(0, 10, 300).astype(str)
    result = same_different(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), words, None, generator=generator)
    assert result.estimates["ap"].mean == pytest.approx(result.chance["ap"], abs=0.02)
    assert set(result.estimates) == {"ap", "map_at_r"}


@pytest.mark.parametrize("unknown", ["0", None])
def test_distances_of_any_system_are_scored_alike(unknown):
    """On the same pairs, also where some speakers are not known."""
    vectors, words, speakers = _data()
    speakers[speakers == unknown] = ""
    mine = same_different(vectors, words, speakers, generator=np.random.default_rng(0)).estimates
    other = pair_average_precision(1 - vectors @ vectors.T, words, speakers, generator=np.random.default_rng(0))
    for name in ("ap", "ap_across_speakers"):
        assert other[name].mean == pytest.approx(mine[name].mean, abs=1e-6)


def test_no_pair_of_one_word_is_an_error():
    with pytest.raises(DatasetError, match="same word"):
        same_different(np.eye(3, dtype=np.float32), list("abc"), list("xyz"), generator=np.random.default_rng(0))


def test_one_speaker_has_no_variant_across_speakers():
    vectors, words, _ = _data()
    result = same_different(vectors, words, ["x"] * len(words), generator=np.random.default_rng(0))
    assert set(result.estimates) == {"ap", "map_at_r"}
    assert result.estimates["ap"].low < result.estimates["ap"].high
