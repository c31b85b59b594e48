"""Same-different word discrimination, the measure that training and evaluation share; pure numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError

BLOCK_ROWS = 256
"""Rows of the distance matrix held at once, so that 50,000 segments fit in memory (256 × 50,000 keys: 100 MB)."""

MAX_SEGMENTS = 92_681
"""N(N−1)/2 pair numbers must fit in the low 32 bits of a key."""


def same_different_average_precision(
    embeddings: NDArray[np.float32],
    words: Sequence[str] | NDArray[np.str_],
    speakers: Sequence[str] | NDArray[np.str_] | None = None,
    *,
    exclude_same_speaker: bool = False,
) -> float:
    """Average precision of "same word?" over all N(N−1)/2 pairs ranked by cosine distance (Carlin et al., 2011).

    AP = Σ_k precision@k · same(k) / number of same-word pairs, pairs in ascending distance; equal distances keep the
    order of the pairs (i, j), i < j, row by row, as in a stable sort.

    Args:
        embeddings: (N, D), any length; they are normalised here.
        words: the word of each segment (N).
        speakers: the speaker of each segment (N); needed by `exclude_same_speaker`.
        exclude_same_speaker: leave out pairs of one word by one speaker, so that positives are of different speakers.

    Raises:
        DatasetError: no pair of the same word is left to rank.
    """
    if len(embeddings) > MAX_SEGMENTS:
        raise DatasetError(
            f"{len(embeddings)} segments to rank", expected=f"at most {MAX_SEGMENTS}", remedy="rank a sample of them"
        )
    if exclude_same_speaker and speakers is None:
        raise DatasetError("pairs of one speaker can't be left out: no speakers are known")
    word_ids = np.unique(np.asarray(words), return_inverse=True)[1]
    speaker_ids = np.unique(np.asarray(speakers), return_inverse=True)[1] if exclude_same_speaker else None
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = (embeddings / np.maximum(lengths, 1e-12)).astype(np.float32)

    found = [keys[same] for keys, same in _pair_keys(unit, word_ids, speaker_ids)]
    same_keys = np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)
    if not len(same_keys):
        raise DatasetError("no two segments of the same word to compare", expected="words with at least two tokens")
    different_before = np.zeros(len(same_keys) + 1, np.int64)
    for keys, same in _pair_keys(unit, word_ids, speaker_ids):
        different_before += np.bincount(np.searchsorted(same_keys, keys[~same]), minlength=len(different_before))
    same_so_far = np.arange(1, len(same_keys) + 1)
    return float(np.mean(same_so_far / (same_so_far + np.cumsum(different_before)[:-1])))


def _pair_keys(
    unit: NDArray[np.float32], word_ids: NDArray[np.int64], speaker_ids: NDArray[np.int64] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Blocks of (sort key, is the same word) for the pairs i < j.

    A key holds the distance in its high 32 bits and the pair's number in its low 32 bits: the bits of non-negative
    float32 numbers order as the numbers do, so sorting keys is a stable sort by distance.
    """
    count = len(unit)
    for start in range(0, count, BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, count))[:, None]
        columns = np.arange(start + 1, count)[None, :]
        keep = rows < columns
        same = word_ids[rows] == word_ids[columns]
        if speaker_ids is not None:
            keep &= ~(same & (speaker_ids[rows] == speaker_ids[columns]))
        distances = np.maximum(1 - unit[start : start + BLOCK_ROWS] @ unit[start + 1 :].T, 0) + np.float32(0)  # no −0.0
        numbers = rows * count - rows * (rows + 1) // 2 + columns - rows - 1
        keys = (distances.view(np.int32).astype(np.int64) << 32) | numbers
        yield keys[keep], same[keep]
