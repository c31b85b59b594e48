"""The default threshold of a model: the similarity at which a typical keyword has so many false alarms per hour.

Words of the validation split are enrolled one by one from a few of their segments, and every one is looked for in the
utterances of its speakers, as `wordprint spot` would. All keywords share one threshold, since a new keyword has no
recordings to find its own with. The test split is left for evaluation; only where validation holds too little to count
false alarms in is it listened to as well, and the method says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.words.dataset import WordDataset

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(B, N) waveforms to (B, D) embeddings."""

FALLBACK = 0.7
"""Threshold of a model that could not be calibrated."""

HOP_SAMPLES = SAMPLE_RATE // 10
EVENT_LOOKS = 10
"""Looks (1 s) whose best similarity counts as one event: a run of hits is one false alarm."""
SHOTS = 3
MAX_KEYWORDS = 60
MIN_LETTERS = 4
"""Shorter words make poor keywords, and would set the threshold for all."""
NEAR_SAMPLES = SAMPLE_RATE // 4
"""A keyword counts as found when the middle of a window that hits lies within this of the middle of its segment."""
BATCH = 64


@dataclass(frozen=True)
class Background:
    """Every look (window) at utterances laid end to end: its embedding (L, D), its utterance (L,) and its middle there (L,)."""

    embeddings: NDArray[np.float32]
    utterance: NDArray[np.int64]
    middle_sample: NDArray[np.int64]

    @property
    def hours(self) -> float:
        return len(self.embeddings) * HOP_SAMPLES / SAMPLE_RATE / 3600


def calibrate(embed: Embed, dataset: WordDataset, window_samples: int, target_per_hour: float, minutes: float) -> dict[str, Any]:
    """The threshold and how it was found, for the model's metadata.

    Deterministic. Validation holds enough when at least one false alarm is allowed in its keywords × hours: with fewer
    the rate can't be measured. Falls back to FALLBACK, and says why, where the dataset holds too few unseen words or
    speakers.
    """
    validation, test = dataset.select("validation"), dataset.select("test")
    try:
        found = _measure(embed, dataset, validation, test, window_samples, target_per_hour, minutes)
        if target_per_hour * found["keyword_hours"] >= 1 or not len(test):
            return {"method": "streaming, validation words and speakers", **found}
        short = f"{found['keyword_hours']:g} keyword hours"
    except DatasetError as error:
        short = error.seen
    try:
        found = _measure(embed, dataset, np.union1d(validation, test), test[:0], window_samples, target_per_hour, minutes)
    except DatasetError as error:
        return fallback(f"the word dataset holds {error.seen}")
    return {"method": f"streaming, validation and test words and speakers, as validation alone holds {short}", **found}


def _measure(
    embed: Embed,
    dataset: WordDataset,
    unseen: NDArray[np.int64],
    left_out: NDArray[np.int64],
    window_samples: int,
    target_per_hour: float,
    minutes: float,
) -> dict[str, Any]:
    """The threshold for words and speakers of the segments `unseen`; nobody of `left_out` is heard.

    Raises DatasetError, which says what there is too little of.
    """
    keywords = _keywords(dataset, unseen, left_out)
    if not keywords:
        raise DatasetError(f"no unseen word of {MIN_LETTERS} letters with more than {SHOTS} segments")
    background = _listen(embed, dataset, unseen, window_samples, minutes)
    if len(background.embeddings) < EVENT_LOOKS:
        raise DatasetError("less than a second of speech by unseen speakers")
    events, spoken = [], []
    for tokens in keywords:
        shots = _shots(dataset, tokens, unseen)
        starts = dataset.centred_starts(shots, window_samples)
        prototype = embed(to_float32(dataset.crops(shots, starts, window_samples))).mean(axis=0)
        similarities = background.embeddings @ (prototype / np.linalg.norm(prototype))
        elsewhere, at_words = _split_looks(dataset, background, tokens, shots, similarities, window_samples)
        events.append(elsewhere)
        spoken += at_words
    threshold, false_alarms = _threshold(np.concatenate(events), target_per_hour * background.hours * len(keywords))
    return {
        "similarity": threshold,
        "target_false_alarms_per_hour": target_per_hour,
        "false_alarms": false_alarms,
        "keyword_hours": round(background.hours * len(keywords), 3),
        "background_hours": round(background.hours, 3),
        "keywords": len(keywords),
        "shots": SHOTS,
        "spoken": len(spoken),
        "missed": sum(similarity < threshold for similarity in spoken),
        "hop_s": HOP_SAMPLES / SAMPLE_RATE,
    }


def fallback(reason: str) -> dict[str, Any]:
    """The threshold of a model that was not calibrated."""
    return {"similarity": FALLBACK, "method": f"fixed: {reason}"}


def _keywords(dataset: WordDataset, unseen: NDArray[np.int64], left_out: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """All segments of each keyword by anyone but speakers of `left_out`: up to MAX_KEYWORDS words of `unseen`, evenly
    spaced in the alphabet."""
    codes, names = dataset.codes("words")
    speakers = dataset.codes("speaker")[0]
    heard = ~np.isin(speakers, speakers[left_out])
    by_word = {}
    for code in np.unique(codes[unseen]).tolist():
        tokens = np.flatnonzero((codes == code) & heard)
        if len(names[code]) >= MIN_LETTERS and " " not in names[code] and len(tokens) > SHOTS:
            by_word[names[code]] = tokens
    chosen = sorted(by_word)
    if len(chosen) > MAX_KEYWORDS:
        chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, MAX_KEYWORDS).round().astype(int)]
    return [by_word[word] for word in chosen]


def _shots(dataset: WordDataset, tokens: NDArray[np.int64], unseen: NDArray[np.int64]) -> NDArray[np.int64]:
    """SHOTS segments, where possible each by another speaker, and by none that is in the background."""
    speakers = dataset.codes("speaker")[0]
    _, first = np.unique(speakers[tokens], return_index=True)
    again = np.ones(len(tokens), bool)
    again[first] = False
    order = np.lexsort((tokens, again, np.isin(speakers[tokens], speakers[unseen])))
    return np.sort(tokens[order[:SHOTS]])


def _listen(embed: Embed, dataset: WordDataset, unseen: NDArray[np.int64], window_samples: int, minutes: float) -> Background:
    """Look at utterances of the unseen speakers, in a fixed random choice, until `minutes` are reached."""
    places = np.random.default_rng(0).permutation(np.unique(_places(dataset, unseen)))
    looks = {}
    left = round(minutes * 60 * SAMPLE_RATE / HOP_SAMPLES)
    for place in places.tolist():
        samples = np.pad(to_float32(dataset.samples(place >> 32, place & 0xFFFFFFFF)), window_samples // 2)
        windows = np.lib.stride_tricks.sliding_window_view(samples, window_samples)[::HOP_SAMPLES]
        looks[place] = np.concatenate([embed(windows[at : at + BATCH]) for at in range(0, len(windows), BATCH)])
        left -= len(windows)
        if left <= 0:
            break
    ordered = sorted(looks)
    counts = [len(looks[place]) for place in ordered]
    middles = np.concatenate([np.arange(count) * HOP_SAMPLES for count in counts])
    return Background(np.concatenate([looks[place] for place in ordered]), np.repeat(ordered, counts), middles)


def _split_looks(
    dataset: WordDataset,
    background: Background,
    tokens: NDArray[np.int64],
    shots: NDArray[np.int64],
    similarities: NDArray[np.float32],
    window_samples: int,
) -> tuple[NDArray[np.float32], list[float]]:
    """Best similarity of each event where the keyword is not spoken, and at each of its segments that were not enrolled."""
    places = _places(dataset, tokens)
    spoken = np.zeros(len(similarities), bool)
    found = []
    for index in np.flatnonzero(np.isin(places, background.utterance)).tolist():
        token = tokens[index]
        start, end = int(dataset.column("start_sample")[token]), int(dataset.column("end_sample")[token])
        first, last = np.searchsorted(background.utterance, [places[index], places[index] + 1])
        middle = background.middle_sample[first:last]
        spoken[first:last] |= (middle > start - window_samples // 2) & (middle < end + window_samples // 2)
        near = np.abs(middle - (start + end) // 2) <= NEAR_SAMPLES
        if token not in shots and near.any():
            found.append(float(similarities[first:last][near].max()))
    quiet = np.where(spoken, -1.0, similarities).astype(np.float32)
    events = len(quiet) // EVENT_LOOKS
    return quiet[: events * EVENT_LOOKS].reshape(events, EVENT_LOOKS).max(axis=1), found


def _places(dataset: WordDataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for the utterance of each segment."""
    places: NDArray[np.int64] = (dataset.column("shard")[indices].astype(np.int64) << 32) + dataset.column("row")[indices]
    return places


def _threshold(events: NDArray[np.float32], allowed: float) -> tuple[float, int]:
    """The lowest similarity (four decimals) that at most `allowed` events reach, and how many do."""
    ordered = np.sort(events.astype(np.float64))[::-1]
    rank = min(int(allowed), len(ordered) - 1)
    threshold = min(1.0, round(math.floor(ordered[rank] * 1e4) / 1e4 + 1e-4, 4))
    return threshold, int(np.sum(ordered >= threshold))
