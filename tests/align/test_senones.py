"""The Viterbi search inside words, against every path there is."""

from __future__ import annotations

import struct
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from wordprint.align.senones import MISSING_SCORE, WordStates, parse_senone_log, state_starts


def write_log(table: NDArray[np.int64]) -> bytes:
    """A log of scores (frames, senones); negative scores are senones that were not active."""
    data = b"s3\nversion 0.1\nendhdr\n" + struct.pack("=I", 0x11223344)
    for row in table:
        (active,) = np.nonzero(row >= 0)
        steps = np.diff(active, prepend=0).astype(np.uint8)
        data += struct.pack("=h", len(active)) + steps.tobytes() + row[active].astype(np.int16).tobytes()
    return data


def best_by_trying_all(word: WordStates, table: NDArray[np.int64]) -> int:
    """Least cost of any path."""
    costs = []
    for cuts in combinations(range(1, word.frames), len(word.senones) - 1):
        edges = [0, *cuts, word.frames]
        path = np.repeat(word.senones, np.diff(edges))
        costs.append(sum(table[word.start + t, senone] for t, senone in enumerate(path)))
    return min(costs)


def cost_of(word: WordStates, starts: list[int], table: NDArray[np.int64]) -> int:
    edges = [*starts, word.start + word.frames]
    path = np.repeat(word.senones, np.diff(edges))
    assert len(path) == word.frames
    return sum(int(table[word.start + t, senone]) for t, senone in enumerate(path))


@pytest.mark.parametrize("seed", range(5))
def test_finds_the_best_path_of_every_word(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 300, (40, 30))
    table[rng.random(table.shape) < 0.3] = -1
    table[:, 0] = np.abs(table[:, 0])  # every frame has an active senone
    scores = parse_senone_log(write_log(table))
    filled = np.where(table < 0, MISSING_SCORE, table)
    words = [
        WordStates(2, 3, [3, 9, 4]),
        WordStates(5, 9, [7, 7, 1]),
        WordStates(14, 12, [5, 2, 29, 11, 3, 0]),
        WordStates(39, 1, [8]),
    ]
    for word, starts in zip(words, state_starts(words, scores), strict=True):
        assert starts[0] == word.start
        assert starts == sorted(set(starts))
        assert cost_of(word, starts, filled) == best_by_trying_all(word, filled)


def test_a_word_is_found_alike_alone_and_among_others() -> None:
    table = np.random.default_rng(0).integers(0, 300, (60, 50))
    scores = parse_senone_log(write_log(table))
    words = [WordStates(0, 20, [1, 2, 3, 4]), WordStates(20, 6, [5, 6]), WordStates(30, 30, [9, 8, 7, 6, 5, 4])]
    assert state_starts(words, scores) == [state_starts([word], scores)[0] for word in words]
