"""How many false alarms per hour keywords have at a similarity: what sets the thresholds of keywords yet to come.

Words of the validation split are enrolled one by one from a few of their segments, and every one is looked for in the
utterances of its speakers, and where these are few also in those of training speakers, as `wordprint spot` would. Counted are
false alarms at similarities above a keyword's level (wordprint.spot.expect). The test split is left for evaluation; only where
validation holds too little is it listened to as well, and the method says so.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.cohort import Cohort
from wordprint.errors import AudioError, DatasetError
from wordprint.evaluate.data import made_of
from wordprint.evaluate.stream_scores import Looks, Trial, score_trial, shared_threshold
from wordprint.export.sample import places_of, running_speech, samples_of
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.spot.best import best_spans
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment, Keyword
from wordprint.spot.expect import level
from wordprint.spot.options import SpotConfig
from wordprint.spot.sayings import fit, left_out
from wordprint.spot.stream import Spotter
from wordprint.words.dataset import WordDataset
from wordprint.words.split import side

FALLBACK = 0.6
"""Threshold of a model that could not be calibrated."""

SHOTS = 3
MAX_KEYWORDS = 60
MIN_LETTERS = 5
"""Shorter words make poor keywords."""
RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""False alarms per hour that are looked up; those that would be fewer than COUNTED in all hours are left out."""
COUNTED = 3
SAYINGS = 10
"""Segments of a keyword, at most, that are compared with it."""
_ENDS = ("start_sample", "end_sample")
BETWEEN_SAMPLES = SAMPLE_RATE // 2
"""Silence between two utterances of the background."""


@dataclass(frozen=True)
class Background:
    """Utterances of a dataset laid end to end: which they are (u,), as in `places_of`, and where each begins and ends (u, 2)."""

    utterance: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @property
    def hours(self) -> float:
        return float((self.bounds[:, 1] - self.bounds[:, 0]).sum() / SAMPLE_RATE / 3600)


def calibrate(model: Model, dataset: WordDataset, cohort: Cohort, target_per_hour: float, minutes: float) -> dict[str, Any]:
    """What the model says of thresholds, and how it was found, for its metadata.

    `above_level` are pairs of false alarms per hour and the similarity above a keyword's level in the `cohort` at which keywords
    have them; `sayings` tells how many will be missed (wordprint.spot.sayings); `unread` holds both of keywords whose phones aren't
    read; `similarity` is one threshold for all with `target_per_hour`, for those who can't know a level. Deterministic.
    Validation holds enough when at least one false alarm is allowed in its keywords × hours: with fewer the rate can't be
    measured. Words and speakers that the model was trained on are not unseen, whichever side this dataset has them on. Falls back
    to FALLBACK, and says why, where the dataset holds too few unseen words or speakers.
    """
    sides = np.concatenate([dataset.select("validation"), dataset.select("test")])
    unseen = " and speakers that were not trained on" if _trained_on(model, dataset)[:, sides].any() else ""
    try:
        found = _measure(model, dataset, cohort, ("validation",), target_per_hour, minutes)
        if target_per_hour * found["keyword_hours"] >= 1 or not len(dataset.select("test")):
            return {"method": f"streaming, validation words{unseen}", **found}
        short = f"{found['keyword_hours']:g} keyword hours"
    except DatasetError as error:
        short = error.seen
    try:
        found = _measure(model, dataset, cohort, ("validation", "test"), target_per_hour, minutes)
    except DatasetError as error:
        return fallback(f"the word dataset holds {error.seen}")
    return {"method": f"streaming, validation and test words{unseen}, as validation alone holds {short}", **found}


def _measure(
    model: Model,
    dataset: WordDataset,
    cohort: Cohort,
    sides: tuple[str, ...],
    target_per_hour: float,
    minutes: float,
) -> dict[str, Any]:
    """False alarms of words of these sides of the split, in what speakers of these sides say, then in what training speakers say;
    nobody of another unseen side is heard.

    Raises DatasetError, which says what there is too little of.
    """
    speakers = dataset.codes("speaker")[0]
    of_sides = {name: np.isin(speakers, speakers[dataset.select(name)]) for name in ("validation", "test")}
    of_unseen, heard = np.zeros(len(speakers), bool), np.ones(len(speakers), bool)
    for name, there in of_sides.items():
        of_unseen |= there & (name in sides)
        heard &= ~there | (name in sides)
    of_words, by_speakers = _trained_on(model, dataset)
    if of_unseen.any() and by_speakers[of_unseen].all():
        raise DatasetError("no unseen speaker, as the model was trained on all")
    of_unseen &= ~by_speakers
    unseen = np.flatnonzero(of_unseen)
    chosen = _keywords(dataset, sides, heard & ~of_words)
    if not chosen:
        others = ", as the model was trained on the others" if _keywords(dataset, sides, heard) else ""
        raise DatasetError(f"no unseen word of {MIN_LETTERS} letters with more than {SHOTS} segments{others}")
    background = _background(dataset, [unseen, np.flatnonzero(heard & ~of_unseen)], minutes)
    config = SpotConfig()
    shots = [_shots(dataset, tokens, unseen) for tokens in chosen]
    ways = (False, True) if model.reads_phones else (False,)
    keywords = [[_enroll(model, dataset, taken, recordings_alone=alone) for taken in shots] for alone in ways]
    levels = [[level(cohort, model, keyword) for keyword in those] for those in keywords]
    wanted = tuple(replace(one, threshold=low) for one, low in zip(chain(*keywords), chain(*levels), strict=True))
    looks, scores = _listen(Spotter(model, Enrollment(model.name, model.digest, wanted), config), dataset, background)
    trials = [
        [_trial(dataset, background, looks, row, *of) for row, *of in zip(rows, chosen, shots, strict=True)]
        for rows in scores.reshape(len(ways), len(chosen), -1)
    ]
    read, *unread = [
        {"above_level": above_level(heard, low), "sayings": _sayings(model, dataset, chosen, shots, those)}
        for heard, low, those in zip(trials, levels, keywords, strict=True)
    ]
    threshold = min(1.0, math.floor(max(-1.0, shared_threshold(trials[0], target_per_hour)) * 1e4) / 1e4 + 1e-4)
    hits = np.concatenate([trial.hits for trial in trials[0]])
    return {
        "similarity": round(threshold, 4),
        "target_false_alarms_per_hour": target_per_hour,
        **read,
        **({"unread": unread[0]} if unread else {}),
        "false_alarms": sum(int((trial.false >= threshold).sum()) for trial in trials[0]),
        "keyword_hours": round(sum(trial.hours for trial in trials[0]), 3),
        "background_hours": round(background.hours, 3),
        "keywords": len(chosen),
        "shots": SHOTS,
        "spoken": len(hits),
        "missed": int((hits < threshold).sum()),
        "hop_s": config.hop_s,
    }


def _trained_on(model: Model, dataset: WordDataset) -> NDArray[np.bool_]:
    """Segments (2, n) that hold words that the model was trained on, and those by speakers that it was trained on."""
    heard = np.zeros((2, len(dataset)), bool)
    heard[0, dataset.select(words=made_of(dataset.words, model.training_words or ()))] = True
    heard[1, dataset.select(speakers=model.metadata.get("training_speakers") or ())] = True
    return heard


def above_level(trials: Sequence[Trial], levels: Sequence[float]) -> list[list[float]]:
    """Pairs of a rate of false alarms per hour, ascending, and the similarity above its level at which the keyword of a trial has
    them; none where there are too few false alarms to count."""
    shifted = [replace(trial, false=trial.false - level) for trial, level in zip(trials, levels, strict=True)]
    hours = sum(trial.hours for trial in trials)
    pairs: list[list[float]] = []
    for rate in RATES:
        above = shared_threshold(shifted, rate)
        if rate * hours >= COUNTED and math.isfinite(above) and (not pairs or above < pairs[-1][1]):
            pairs.append([rate, round(above, 4)])
    return pairs if len(pairs) > 1 else []


def _sayings(
    model: Model,
    dataset: WordDataset,
    chosen: Sequence[NDArray[np.int64]],
    shots: Sequence[NDArray[np.int64]],
    keywords: Sequence[Keyword],
) -> dict[str, Any] | None:
    """How similar further segments of the keywords are to them, evenly spaced over those that did not enroll."""
    found, heard = [], []
    for tokens, taken, keyword in zip(chosen, shots, keywords, strict=True):
        left = left_out(model, keyword)
        if left is None:
            continue
        others = np.setdiff1d(tokens, taken)
        asked = others[np.linspace(0, len(others) - 1, min(SAYINGS, len(others))).round().astype(int)]
        enrollment, similarities = Enrollment(model.name, model.digest, (keyword,)), []
        for token in asked.tolist():
            with contextlib.suppress(AudioError):  # there is no sound in it
                similarities.append(best_spans(model, enrollment, to_float32(dataset.segment_audio(token)))[0].similarity)
        found.append(left)
        heard.append(np.array(similarities))
    return fit(found, heard)


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


def _enroll(model: Model, dataset: WordDataset, shots: NDArray[np.int64], *, recordings_alone: bool) -> Keyword:
    codes, names = dataset.codes("words")
    recordings = [to_float32(dataset.segment_audio(int(shot))) for shot in shots]
    return make_keyword(model, names[codes[shots[0]]], recordings, 0.0, recordings_alone=recordings_alone)


def _background(dataset: WordDataset, segments: Sequence[NDArray[np.int64]], minutes: float) -> Background:
    """Utterances of the first of the segments, in a fixed random choice, then of the next, until `minutes` are reached."""
    random = np.random.default_rng(0)
    places = np.concatenate([random.permutation(running_speech(dataset, some)) for some in segments])
    lasting = np.array([len(samples_of(dataset, place)) for place in places.tolist()], np.int64)
    count = int(np.searchsorted(np.cumsum(lasting), minutes * 60 * SAMPLE_RATE)) + 1
    ends = np.cumsum(lasting[:count] + BETWEEN_SAMPLES)
    return Background(places[:count], np.stack([ends - BETWEEN_SAMPLES - lasting[:count], ends - BETWEEN_SAMPLES], axis=1))


def _listen(spotter: Spotter, dataset: WordDataset, background: Background) -> tuple[Looks, NDArray[np.float32]]:
    """All looks of the live code at the background, and the similarities (W, L) of the keywords."""
    found = []
    for place in background.utterance.tolist():
        samples = np.pad(to_float32(samples_of(dataset, place)), (0, BETWEEN_SAMPLES))
        found += [(look.end_sample, look.similarities) for look in spotter.looks(samples)]
    hold, refractory = (round(seconds * SAMPLE_RATE) for seconds in (spotter.config.hold_s, spotter.config.refractory_s))
    return Looks(np.array([end for end, _ in found], np.int64), hold, refractory), np.array([one for _, one in found], np.float32).T


def _trial(
    dataset: WordDataset,
    background: Background,
    looks: Looks,
    scores: NDArray[np.float32],
    tokens: NDArray[np.int64],
    shots: NDArray[np.int64],
) -> Trial:
    """What the keyword's similarities are where it is said, by segments that did not enroll it, and elsewhere."""
    places = places_of(dataset, tokens)
    order = np.argsort(background.utterance)
    which = order[np.searchsorted(background.utterance[order], places).clip(max=len(order) - 1)]
    there = background.utterance[which] == places
    spoken = []
    for token, utterance in zip(tokens[there].tolist(), which[there].tolist(), strict=True):
        if token not in shots:
            spoken.append([background.bounds[utterance, 0] + dataset.at(n, np.array([token]))[0] for n in _ENDS])
    clear = np.setdiff1d(np.arange(len(order)), which[there])
    return score_trial("", 0, looks, scores, np.array(sorted(spoken), np.int64).reshape(-1, 2), background.bounds[np.sort(clear)])
