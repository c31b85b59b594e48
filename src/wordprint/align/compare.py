"""Boundary errors of an alignment against true times, as EVALUATION.md §5 asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher

import numpy as np

from wordprint.records import Interval

GROSS_MS = 100.0
"""An error above this is a gross one."""


@dataclass(frozen=True, slots=True)
class BoundaryErrors:
    """Errors of word starts and ends pooled, in ms; shares are in [0, 1]; bias is found − true (positive: late).

    `failures` are utterances without an alignment; their words and those without a counterpart count in `unmatched_words` alone.
    """

    words: int
    unmatched_words: int
    failures: int
    mean_ms: float
    median_ms: float
    within_20_ms: float
    within_50_ms: float
    within_100_ms: float
    gross: float
    start_bias_ms: float
    end_bias_ms: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def boundary_errors(pairs: Iterable[tuple[Sequence[Interval] | None, Sequence[Interval]]]) -> BoundaryErrors:
    """Compare (found, true) words of utterances; found is None for an utterance that failed.

    Words are matched by symbol, in order. Raises ValueError when no word has a counterpart.
    """
    errors: list[tuple[float, float]] = []
    unmatched = failures = 0
    for found, true in pairs:
        if found is None:
            failures += 1
            unmatched += len(true)
            continue
        matched = [(found[i], true[j]) for i, j in match_words(found, true)]
        unmatched += len(true) - len(matched)
        errors += [(a.start_s - b.start_s, a.end_s - b.end_s) for a, b in matched]
    if not errors:
        raise ValueError("no word of the alignments has a counterpart in the true times")
    signed_ms = 1000.0 * np.asarray(errors)  # (words, 2): start, end
    sizes_ms = np.abs(signed_ms)
    within = [float((sizes_ms <= limit).mean()) for limit in (20.0, 50.0, GROSS_MS)]
    return BoundaryErrors(
        words=len(errors),
        unmatched_words=unmatched,
        failures=failures,
        mean_ms=float(sizes_ms.mean()),
        median_ms=float(np.median(sizes_ms)),
        within_20_ms=within[0],
        within_50_ms=within[1],
        within_100_ms=within[2],
        gross=1.0 - within[2],
        start_bias_ms=float(signed_ms[:, 0].mean()),
        end_bias_ms=float(signed_ms[:, 1].mean()),
    )


def match_words(found: Sequence[Interval], true: Sequence[Interval]) -> list[tuple[int, int]]:
    """Places, in each of the two, of words with the same symbol, in order."""
    matcher = SequenceMatcher(None, [word.symbol for word in found], [word.symbol for word in true], autojunk=False)
    return [(i + k, j + k) for i, j, size in matcher.get_matching_blocks() for k in range(size)]
