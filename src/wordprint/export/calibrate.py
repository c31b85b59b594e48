"""The default threshold of a model: the similarity at which a typical keyword has so many false alarms per hour.

Words of the validation split are enrolled one by one from a few of their segments, and every one is looked for in the
utterances of its speakers, as `wordprint spot` would. All keywords share one threshold, since a new keyword has no
recordings to find its own with. The test split is left for evaluation; only where validation holds too little to count
false alarms in is it listened to as well, and the method says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.evaluate.stream_scores import Looks, Trial, score_trial, shared_threshold
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment, Keyword
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter
from wordprint.words.dataset import WordDataset
from wordprint.words.split import side

FALLBACK = 0.6
"""Threshold of a model that could not be calibrated."""

SHOTS = 3
MAX_KEYWORDS = 60
MIN_LETTERS = 7
"""Shorter words make poor keywords, and would set the threshold for all."""
_ENDS = ("start_sample", "end_sample")
BETWEEN_SAMPLES = SAMPLE_RATE // 2
"""Silence between two utterances of the background."""


@dataclass(frozen=True)
class Background:
    """Utterances of a dataset laid end to end: which they are (u,), as in `_places`, and where each begins and ends (u, 2)."""

    utterance: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @property
    def hours(self) -> float:
        return float((self.bounds[:, 1] - self.bounds[:, 0]).sum() / SAMPLE_RATE / 3600)


def calibrate(model: Model, dataset: WordDataset, target_per_hour: float, minutes: float) -> dict[str, Any]:
    """The threshold and how it was found, for the model's metadata.

    Deterministic. Validation holds enough when at least one false alarm is allowed in its keywords × hours: with fewer
    the rate can't be measured. Falls back to FALLBACK, and says why, where the dataset holds too few unseen words or
    speakers.
    """
    try:
        found = _measure(model, dataset, ("validation",), target_per_hour, minutes)
        if target_per_hour * found["keyword_hours"] >= 1 or not len(dataset.select("test")):
            return {"method": "streaming, validation words and speakers", **found}
        short = f"{found['keyword_hours']:g} keyword hours"
    except DatasetError as error:
        short = error.seen
    try:
        found = _measure(model, dataset, ("validation", "test"), target_per_hour, minutes)
    except DatasetError as error:
        return fallback(f"the word dataset holds {error.seen}")
    return {"method": f"streaming, validation and test words and speakers, as validation alone holds {short}", **found}


def _measure(
    model: Model,
    dataset: WordDataset,
    sides: tuple[str, ...],
    target_per_hour: float,
    minutes: float,
) -> dict[str, Any]:
    """The threshold for words of these sides of the split, in all that speakers of these sides say; nobody of another unseen side
    is heard.

    Raises DatasetError, which says what there is too little of.
    """
    speakers = dataset.codes("speaker")[0]
    of_sides = {name: np.isin(speakers, speakers[dataset.select(name)]) for name in ("validation", "test")}
    of_unseen, heard = np.zeros(len(speakers), bool), np.ones(len(speakers), bool)
    for name, there in of_sides.items():
        of_unseen |= there & (name in sides)
        heard &= ~there | (name in sides)
    unseen = np.flatnonzero(of_unseen)
    chosen = _keywords(dataset, sides, heard)
    if not chosen:
        raise DatasetError(f"no unseen word of {MIN_LETTERS} letters with more than {SHOTS} segments")
    background = _background(dataset, unseen, minutes)
    if background.hours * 3600 < 1:
        raise DatasetError("less than a second of speech by unseen speakers")
    config = SpotConfig()
    shots = [_shots(dataset, tokens, unseen) for tokens in chosen]
    keywords = [_enroll(model, dataset, number, taken) for number, taken in enumerate(shots)]
    looks, scores = _listen(Spotter(model, Enrollment(model.name, model.digest, tuple(keywords)), config), dataset, background)
    trials = [_trial(dataset, background, looks, scores[n], n, tokens, shots[n]) for n, tokens in enumerate(chosen)]
    threshold = min(1.0, math.floor(max(-1.0, shared_threshold(trials, target_per_hour)) * 1e4) / 1e4 + 1e-4)
    hits = np.concatenate([trial.hits for trial in trials])
    return {
        "similarity": round(threshold, 4),
        "target_false_alarms_per_hour": target_per_hour,
        "false_alarms": sum(int((trial.false >= threshold).sum()) for trial in trials),
        "keyword_hours": round(sum(trial.hours for trial in trials), 3),
        "background_hours": round(background.hours, 3),
        "keywords": len(keywords),
        "shots": SHOTS,
        "spoken": len(hits),
        "missed": int((hits < threshold).sum()),
        "hop_s": config.hop_s,
    }


def fallback(reason: str) -> dict[str, Any]:
    """The threshold of a model that was not calibrated."""
    return {"similarity": FALLBACK, "method": f"fixed: {reason}"}


def _keywords(dataset: WordDataset, sides: tuple[str, ...], heard: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """All segments that are `heard` (n,) of each keyword: MAX_KEYWORDS words of these sides, evenly spaced in the alphabet."""
    codes, names = dataset.codes("words")
    shares = dataset.metadata["config"]
    by_word = {}
    for code in np.unique(codes[heard]).tolist():
        tokens = np.flatnonzero((codes == code) & heard)
        long_enough = len(names[code]) >= MIN_LETTERS and " " not in names[code] and len(tokens) > SHOTS
        if long_enough and side(names[code], "word", shares["validation_words"], shares["test_words"]) in sides:
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


def _enroll(model: Model, dataset: WordDataset, number: int, shots: NDArray[np.int64]) -> Keyword:
    recordings = [to_float32(dataset.segment_audio(int(shot))) for shot in shots]
    return make_keyword(model, f"keyword {number}", recordings, 0.0)


def _background(dataset: WordDataset, unseen: NDArray[np.int64], minutes: float) -> Background:
    """Utterances of the unseen speakers, in a fixed random choice, until `minutes` are reached."""
    places = np.random.default_rng(0).permutation(np.unique(_places(dataset, unseen)))
    lasting = np.array([len(_samples(dataset, place)) for place in places.tolist()], np.int64)
    count = int(np.searchsorted(np.cumsum(lasting), minutes * 60 * SAMPLE_RATE)) + 1
    ends = np.cumsum(lasting[:count] + BETWEEN_SAMPLES)
    return Background(places[:count], np.stack([ends - BETWEEN_SAMPLES - lasting[:count], ends - BETWEEN_SAMPLES], axis=1))


def _samples(dataset: WordDataset, place: int) -> NDArray[np.int16]:
    return dataset.samples(place >> 32, place & 0xFFFFFFFF)


def _listen(spotter: Spotter, dataset: WordDataset, background: Background) -> tuple[Looks, NDArray[np.float32]]:
    """All looks of the live code at the background, and the similarities (W, L) of the keywords."""
    found = []
    for place in background.utterance.tolist():
        samples = np.pad(to_float32(_samples(dataset, place)), (0, BETWEEN_SAMPLES))
        found += [(look.end_sample, look.similarities) for look in spotter.looks(samples)]
    hold, refractory = (round(seconds * SAMPLE_RATE) for seconds in (spotter.config.hold_s, spotter.config.refractory_s))
    return Looks(np.array([end for end, _ in found], np.int64), hold, refractory), np.array([one for _, one in found], np.float32).T


def _trial(
    dataset: WordDataset,
    background: Background,
    looks: Looks,
    scores: NDArray[np.float32],
    number: int,
    tokens: NDArray[np.int64],
    shots: NDArray[np.int64],
) -> Trial:
    """What the keyword's similarities are where it is said, by segments that did not enroll it, and elsewhere."""
    places = _places(dataset, tokens)
    order = np.argsort(background.utterance)
    which = order[np.searchsorted(background.utterance[order], places).clip(max=len(order) - 1)]
    there = background.utterance[which] == places
    spoken = []
    for token, utterance in zip(tokens[there].tolist(), which[there].tolist(), strict=True):
        if token not in shots:
            spoken.append([background.bounds[utterance, 0] + dataset.at(n, np.array([token]))[0] for n in _ENDS])
    clear = np.setdiff1d(np.arange(len(order)), which[there])
    return score_trial(
        str(number), 0, looks, scores, np.array(sorted(spoken), np.int64).reshape(-1, 2), background.bounds[np.sort(clear)]
    )


def _places(dataset: WordDataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for the utterance of each segment."""
    places: NDArray[np.int64] = (dataset.column("shard")[indices].astype(np.int64) << 32) + dataset.column("row")[indices]
    return places
