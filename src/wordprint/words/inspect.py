"""`inspect words`: a page of the segments of a word dataset, to hear and see whether they are what they are said to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError
from wordprint.pages.html import number, render
from wordprint.pages.listen import Clip, Filter, Listening, Order, Row, Value
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.hashing import hash64, mix
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve, write_text
from wordprint.stages.options import check
from wordprint.stages.units import readable_bytes
from wordprint.words.dataset import WordDataset
from wordprint.words.options import InspectWordsConfig

TEMPLATE = "words/inspect.html.j2"
ALONE_S = 0.3
"""Audio shown on a side where no neighbour is known to lie near."""

ROUNDING_S = 0.001
"""How far words that follow each other may overlap: positions in a dataset are whole samples."""

Spoken = tuple[list[Interval], list[Interval]]
"""Words and phones of an utterance, in seconds from its start."""


def inspect_words(words: str | Path, page: str | Path, config: InspectWordsConfig = InspectWordsConfig()) -> str:
    """Write a page of segments of the word dataset `words`; returns one line that says what is on it.

    Raises InputError where the dataset has none that were asked for, or alignments are of other utterances.
    """
    check(config)
    dataset = WordDataset(words)
    chosen, found = _choose(dataset, config)
    spoken = read_spoken(dataset, chosen, config.alignments)
    orders = [
        Order("goodness", "goodness, lowest first"),
        Order("goodness", "goodness, highest first", descending=True),
        Order("word", "word"),
        Order("seconds", "shortest first"),
        Order("seconds", "longest first", descending=True),
    ]
    listening = Listening(
        clips=segment_clips(dataset, chosen, spoken, config.context_s),
        rows=[segment_row(dataset, index, place) for place, index in enumerate(chosen.tolist())],
        filters=SEGMENT_FILTERS,
        orders=orders if config.order == "goodness" else [orders[2], *orders[:2], *orders[3:]],
        whole="in sentence",
    )
    html = render(TEMPLATE, dataset=dataset, config=config, shown=len(chosen), found=found, listening=listening)
    write_text(page, html)
    return f"{number(len(chosen))} of {number(found)} segments, {readable_bytes(len(html.encode()))} → {page}"


SEGMENT_FILTERS = [
    Filter("word", "Word", "text"),
    Filter("speaker", "Speaker", "choice"),
    Filter("split", "Split", "choice"),
    Filter("goodness", "Goodness", "range"),
]


def segment_row(dataset: WordDataset, index: int, clip: int) -> Row:
    """What is known about the segment at `index`, whose clip is the `clip`-th of the page."""
    word, speaker, split, utterance = (_name(dataset, column, index) for column in ("words", "speaker", "split", "utterance_id"))
    start, end = (int(dataset.column(column)[index]) for column in ("start_sample", "end_sample"))
    goodness = float(dataset.column("goodness")[index])
    known = not np.isnan(goodness)
    seconds = (end - start) / SAMPLE_RATE
    facts = [
        ("speaker", speaker, ""),
        ("duration", f"{1000 * seconds:.0f} ms", ""),
        ("goodness", f"{goodness:.1f}".replace("-", "−") if known else "–", ""),
        ("split", split, ""),
        ("phones", dataset.segments.column("phones")[index].as_py() or "–", ""),
        ("from", f"{utterance}, {start / SAMPLE_RATE:.2f}\u00a0s", "muted"),
    ]
    values: dict[str, Value] = {
        "word": word,
        "speaker": speaker,
        "split": split,
        "seconds": seconds,
        "goodness": goodness if known else None,
    }
    return Row(word, [(clip, "", "")], facts, values)


def segment_clips(
    dataset: WordDataset, indices: NDArray[np.int64], spoken: Callable[[int], Spoken], context_s: float
) -> Iterator[Clip]:
    """Each segment with the word before and the word after, as far as they lie within `context_s` of it."""
    for index in indices.tolist():
        start, end = (int(dataset.column(name)[index]) for name in ("start_sample", "end_sample"))
        samples = dataset.samples(int(dataset.column("shard")[index]), int(dataset.column("row")[index]))
        words, phones = spoken(index)
        start_s, end_s = start / SAMPLE_RATE, end / SAMPLE_RATE
        before = max((word for word in words if word.end_s <= start_s + ROUNDING_S), key=lambda word: word.end_s, default=None)
        after = min((word for word in words if word.start_s >= end_s - ROUNDING_S), key=lambda word: word.start_s, default=None)
        low_s, high_s = start_s - min(ALONE_S, context_s), end_s + min(ALONE_S, context_s)
        if before is not None and before.end_s > start_s - context_s:
            low_s = max(before.start_s, start_s - context_s)
        if after is not None and after.start_s < end_s + context_s:
            high_s = min(after.end_s, end_s + context_s)
        low, high = max(0, round(low_s * SAMPLE_RATE)), min(len(samples), round(high_s * SAMPLE_RATE))
        shift = low / SAMPLE_RATE
        words, phones = ([_moved(interval, shift) for interval in intervals] for intervals in (words, phones))
        yield Clip(samples[low:high], start_s - shift, end_s - shift, words, phones)


def read_spoken(dataset: WordDataset, indices: NDArray[np.int64], alignments: Path | None = None) -> Callable[[int], Spoken]:
    """What is said in the utterances of these segments: by `alignments`, else by the dataset's own words of one utterance."""
    codes, ids = dataset.codes("utterance_id")
    if alignments is None:
        return _from_dataset(dataset, np.unique(codes[indices]))
    wanted = {ids[code] for code in np.unique(codes[indices])}
    found = _from_alignments(resolve(alignments, ALIGNMENTS, "align"), wanted)
    if not found:
        raise InputError(f"{alignments} has none of the utterances of {dataset.path}", expected="the alignments it was cut from")
    return lambda index: found.get(ids[codes[index]], ([], []))


def _from_dataset(dataset: WordDataset, utterances: NDArray[np.int32]) -> Callable[[int], Spoken]:
    """Words (no phrases) of the utterances with these codes; phones are not placed."""
    codes, _ = dataset.codes("utterance_id")
    rows = np.flatnonzero(np.isin(codes, utterances))
    rows = rows[np.lexsort((dataset.column("start_sample")[rows], codes[rows]))]
    words: dict[int, list[Interval]] = defaultdict(list)
    for row in rows.tolist():
        if dataset.column("n_words")[row] == 1:
            words[int(codes[row])].append(_interval(dataset, row))

    def spoken(index: int) -> Spoken:
        own = _interval(dataset, index)
        others = [word for word in words[int(codes[index])] if word.end_s <= own.start_s or word.start_s >= own.end_s]
        return sorted([*others, own], key=lambda word: word.start_s), []

    return spoken


def _from_alignments(manifest: Path, wanted: set[str]) -> dict[str, Spoken]:
    """Words and phones of the `wanted` utterances, from their TextGrids."""
    found = {}
    for record in read_jsonl(manifest):
        if record.get("utterance_id") in wanted:
            alignment = read_textgrid(manifest.parent / record["textgrid"], record["utterance_id"])
            found[record["utterance_id"]] = (list(alignment.words), list(alignment.phones))
    return found


def _choose(dataset: WordDataset, config: InspectWordsConfig) -> tuple[NDArray[np.int64], int]:
    """The segments to show, and how many there are of those that were asked for."""
    indices = dataset.select(config.split, config.words or None)
    if not len(indices):
        what = [f"of {', '.join(config.words)}" if config.words else "", f"in the split '{config.split}'" if config.split else ""]
        raise InputError(f"{dataset.path} has no segments {' '.join(filter(None, what))}", remedy="ask for others")
    if config.order == "goodness":
        keys = dataset.column("goodness")[indices]  # NaN, not known, comes last
    else:
        codes, ids = dataset.codes("utterance_id")
        used, places = np.unique(codes[indices], return_inverse=True)
        hashes = np.array([hash64(ids[code]) for code in used], np.uint64)[places]
        keys = mix(hashes, *(dataset.column(name)[indices].astype(np.uint64) for name in ("start_sample", "end_sample")))
    return indices[np.argsort(keys, kind="stable")[: config.segments]], len(indices)


def _interval(dataset: WordDataset, index: int) -> Interval:
    start, end = (int(dataset.column(name)[index]) for name in ("start_sample", "end_sample"))
    return Interval(_name(dataset, "words", index), start / SAMPLE_RATE, end / SAMPLE_RATE)


def _moved(interval: Interval, shift_s: float) -> Interval:
    return Interval(interval.symbol, interval.start_s - shift_s, interval.end_s - shift_s)


def _name(dataset: WordDataset, column: str, index: int) -> str:
    codes, names = dataset.codes(column)
    return str(names[codes[index]])
