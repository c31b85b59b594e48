"""Who and what is trained on: a split by speaker and by word, from a hash of the names alone.

A name's side never depends on the other names, so nothing changes sides when data is added. A segment is `train`,
`validation` or `test` only if its speaker and every one of its words are; all others are `held_out` and are neither
trained on nor evaluated by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import LeakError
from wordprint.stages.hashing import digest64

if TYPE_CHECKING:
    from wordprint.words.dataset import WordDataset

HELD_OUT = "held_out"
SIDES = ("train", "validation", "test")
_NAMED = 5
_SEGMENTS_AT_ONCE = 1_000_000
_REBUILD = "build the word dataset again with 'wordprint words'"


def position(name: str, kind: str) -> float:
    """Where a name of a `kind` ("speaker", "word") lies in [0, 1): SHA-256 of both, so the same on every machine."""
    return int.from_bytes(digest64(f"wordprint.split/1\0{kind}\0{name}")[:6], "big") / 2**48


def side(name: str, kind: str, validation: float, test: float) -> str:
    """`validation` and `test` with these shares, else `train`."""
    place = position(name, kind)
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


def common_side(sides: Sequence[str]) -> str:
    """The side that all have, or `held_out`."""
    return sides[0] if len(set(sides)) == 1 else HELD_OUT


def check_leaks(dataset: WordDataset) -> None:
    """Raise LeakError where a speaker, word or recording is on two sides of the split, or may be heard from another side.

    The last counts what crops show: the context of a segment must not reach into a word of another side. There are
    no Python loops over segments, only over names.
    """
    heard = {part for text in dataset.words for part in text.split(" ")}
    _raise_if_any("words", heard & set(dataset.metadata["excluded_words"]), "both in the dataset and among its excluded words")
    word_sides = _word_sides(dataset)
    for column, kind in (("speaker", "speakers"), ("utterance_id", "recordings")):
        codes, names = dataset.encoded(column)
        present = _present(dataset, codes, names)
        for first, second in combinations(range(len(SIDES)), 2):
            both = set(names.take(np.flatnonzero(present[first] & present[second])).to_pylist())
            _raise_if_any(kind, both, f"both in {SIDES[first]} and in {SIDES[second]}")
    for rows in _groups(codes, len(names)):
        _check_contexts(dataset, word_sides, codes[rows], rows)


def _groups(utterances: NDArray[np.int32], count: int) -> Iterator[NDArray[np.int64]]:
    """Segments of some utterances at a time, about _SEGMENTS_AT_ONCE; `utterances` (n,) are codes below `count`."""
    group_of = np.cumsum(np.bincount(utterances, minlength=count)) // _SEGMENTS_AT_ONCE
    groups = group_of.astype(np.int16)[utterances]
    for group in np.unique(group_of).tolist():
        yield np.flatnonzero(groups == group)


def _present(dataset: WordDataset, codes: NDArray[np.int32], names: Sized) -> NDArray[np.bool_]:
    """Which names of a column segments of each side have: (len(SIDES), names)."""
    split, splits = dataset.codes("split")
    present = np.zeros((len(SIDES), len(names)), bool)
    for number, name in enumerate(SIDES):
        if name in splits:
            present[number, codes[split == splits.index(name)]] = True
    return present


def _word_sides(dataset: WordDataset) -> NDArray[np.int8]:
    """Side (index into SIDES, -1 for a phrase of several) of each word type; raises where its segments say two."""
    types = dataset.words
    sides: dict[str, int] = {}
    for number, present in enumerate(_present(dataset, *dataset.codes("words"))):
        for word in {part for code in np.flatnonzero(present).tolist() for part in types[code].split(" ")}:
            if sides.setdefault(word, number) != number:
                _raise_if_any("words", {word}, f"both in {SIDES[sides[word]]} and in {SIDES[number]}")
    config = dataset.metadata["config"]
    shares = config["validation_words"], config["test_words"]
    for word in {part for text in types for part in text.split(" ")} - sides.keys():  # heard in held_out segments only
        sides[word] = SIDES.index(side(word, "word", *shares))
    common = [{sides[part] for part in text.split(" ")} for text in types]
    return np.array([min(numbers) if len(numbers) == 1 else -1 for numbers in common], np.int8)


def _check_contexts(
    dataset: WordDataset, word_sides: NDArray[np.int8], utterances: NDArray[np.int32], rows: NDArray[np.int64]
) -> None:
    """Raise where the context of a segment among `rows` (n,), all those of `utterances` (n,), shows a word of another side."""
    (codes, types), (split, splits) = dataset.codes("words"), dataset.codes("split")
    codes, split = codes[rows], split[rows]
    base = utterances.astype(np.int64) << 32
    start, end, low, high = (
        base + dataset.at(name, rows) for name in ("start_sample", "end_sample", "context_start_sample", "context_end_sample")
    )
    words = np.flatnonzero(dataset.at("n_words", rows) == 1)
    words = words[np.argsort(start[words], kind="stable")]
    for number, name in enumerate(SIDES):
        if name not in splits:
            continue
        others = words[(word_sides[codes[words]] >= 0) & (word_sides[codes[words]] != number)]
        own = np.flatnonzero(split == splits.index(name))
        first = np.searchsorted(end[others], low[own], side="right")
        after = np.searchsorted(start[others], high[own], side="left")
        if (leaking := own[after > first]).size:
            heard = types[codes[others[first[after > first][0]]]]
            shown = types[codes[leaking[0]]]
            raise LeakError(
                f"the context of {leaking.size} {name} segments shows words of another side (of '{shown}': '{heard}')",
                remedy=_REBUILD,
            )


def _raise_if_any(kind: str, both: set[str], where: str) -> None:
    if both:
        names = ", ".join(f"'{name}'" for name in sorted(both)[:_NAMED])
        more = f" and {len(both) - _NAMED} more" if len(both) > _NAMED else ""
        raise LeakError(
            f"{len(both)} {kind} {where}: {names}{more}",
            expected="no overlap",
            remedy=_REBUILD,
        )
