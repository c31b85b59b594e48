"""Counts over many shards equal those of plain dictionaries, however the shards are cut and whatever has to be forgotten."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.stages.hashing import mix
from wordprint.words import counts
from wordprint.words.counts import TokenLimit, TypeCounts
from wordprint.words.options import WordsConfig

TOKENS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=60)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Everything that happens at millions of rows happens at a few."""
    monkeypatch.setattr(counts, "_COMPACT_ROWS", 5)
    monkeypatch.setattr(counts, "_TOKENS_AT_ONCE", 7)


def in_shards(columns, cuts):
    return list(zip(*(np.split(column, sorted(cuts)) for column in columns), strict=True))


@given(TOKENS, st.lists(st.integers(0, 60), max_size=8), st.integers(1, 4))
def test_counts_and_limits_equal_a_naive_count(tokens, cuts, most):
    numbers = np.array(tokens, np.uint64)
    types, speakers = mix(numbers[:, 0]), mix(numbers[:, 1] + np.uint64(99))
    shards = in_shards((types, speakers), cuts)
    found = TypeCounts(lambda: shards)
    said = defaultdict(list)
    for kind, speaker in zip(types.tolist(), speakers.tolist(), strict=True):
        said[kind].append(speaker)
    assert found.types.tolist() == sorted(said)
    assert found.tokens.tolist() == [len(said[kind]) for kind in sorted(said)]
    assert found.speakers.tolist() == [len(set(said[kind])) for kind in sorted(said)]

    hashes = mix(np.arange(len(types)).astype(np.uint64))
    limit = TokenLimit(found, WordsConfig(max_tokens=most))
    for shard in in_shards((types, hashes), cuts):
        limit.add(*shard)
    limit.finish()
    kept = set(hashes[hashes <= limit.highest[found.places(types)]].tolist())
    by_type = defaultdict(list)
    for kind, token in zip(types.tolist(), hashes.tolist(), strict=True):
        by_type[kind].append(token)
    assert kept == {token for tokens_of in by_type.values() for token in sorted(tokens_of)[:most]}


def test_nothing_counted():
    found = TypeCounts(list)
    assert len(found.types) == len(found.tokens) == len(found.speakers) == 0
