"""Average precision against a naive sort, by hand, and with ties."""

import numpy as np
import pytest

from wordprint.errors import DatasetError
from wordprint.train import ranking
from wordprint.train.ranking import same_different_average_precision


def naive(embeddings, words, speakers=None):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    pairs = []
    for i in range(len(words)):
        for j in range(i + 1, len(words)):
            same = words[i] == words[j]
            if speakers is None or not (same and speakers[i] == speakers[j]):
                pairs.append((np.float32(max(0.0, 1 - unit[i] @ unit[j])), same))
    pairs.sort(key=lambda pair: pair[0])
    hits, total = 0, 0.0
    for k, (_, same) in enumerate(pairs, start=1):
        if same:
            hits += 1
            total += hits / k
    return total / hits


@pytest.mark.parametrize("strict", [False, True])
def test_agrees_with_a_naive_loop_for_any_block_size(monkeypatch, strict):
    rng = np.random.default_rng(3)
    words = rng.integers(0, 6, 61).astype(str)
    speakers = rng.integers(0, 4, 61).astype(str)
    embeddings = rng.normal(size=(61, 5)).astype(np.float32) + np.eye(6, 5, dtype=np.float32)[words.astype(int)]
    expected = naive(embeddings, words, speakers if strict else None)
    for rows in (7, 61, 256):
        monkeypatch.setattr(ranking, "BLOCK_ROWS", rows)
        found = same_different_average_precision(embeddings, words, speakers, exclude_same_speaker=strict)
        assert found == pytest.approx(expected, abs=1e-6)


def test_ties_keep_the_order_of_the_pairs():
    embeddings = np.ones((4, 2), np.float32)  # pairs (0,1) (0,2) (0,3) (1,2) (1,3) (2,3), all at distance 0
    found = same_different_average_precision(embeddings, ["a", "b", "a", "b"])
    assert found == pytest.approx((1 / 2 + 2 / 5) / 2)  # same-word pairs are the second and the fifth


def test_by_hand():
    angles = np.deg2rad([0, 10, 12, 90])  # distances rise: (1,2) different, (0,1) same, (0,2), …, (2,3) same, …
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = same_different_average_precision(embeddings, ["a", "a", "b", "b"])
    assert found == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_nothing_to_compare():
    with pytest.raises(DatasetError, match="same word"):
        same_different_average_precision(np.eye(3, dtype=np.float32), ["a", "b", "c"])
    with pytest.raises(DatasetError, match="no speakers"):
        same_different_average_precision(np.eye(2, dtype=np.float32), ["a", "a"], exclude_same_speaker=True)
