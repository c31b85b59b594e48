"""The cohort of a model: spans of what training speakers say, four a second in each of a few lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wordprint.cohort import Cohort, Heard
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.spot.spans import length_s
from wordprint.words.dataset import WordDataset

PLACES = tuple(range(-12, 6, 2))
"""Places, in the grid of wordprint.spot.spans, of the lengths: 0.19 to 1.75 s."""
APART_S = 0.24
"""Between the ends of spans."""
MINUTES = 150.0
"""Of speech, at most: it travels with the model."""
FEWEST_WORDS = 3
"""Utterances of fewer words are single words that somebody read out, not speech."""


def sample_cohort(model: Model, dataset: WordDataset, *, minutes: float = MINUTES) -> Cohort:
    """Spans in utterances of the training split, of all where there is none. Deterministic."""
    random, segments = np.random.default_rng(0), dataset.select("train")
    chosen = random.permutation(running_speech(dataset, segments if len(segments) else np.arange(len(dataset))))
    lengths_s, frame_s = np.array([length_s(place) for place in PLACES]), model.frame_samples / SAMPLE_RATE
    vectors, ends, heard, read, left_s = [], [], [], 0, minutes * 60
    for place in chosen.tolist():
        samples = to_float32(samples_of(dataset, place))
        ends_s = APART_S * np.arange(1, max(1, int(len(samples) / SAMPLE_RATE / APART_S)) + 1)
        frames = model.frames(samples)
        found = model.pool(frames, np.stack([ends_s - lengths_s[:, None], np.tile(ends_s, (len(PLACES), 1))], axis=2))
        vectors.append(found.reshape(len(PLACES), len(ends_s), model.embedding_size))
        ends.append(read + np.rint(ends_s / frame_s).astype(np.int64))
        if (scores := model.phones_of(frames)) is not None:
            heard.append(scores)
        read += len(frames)
        left_s -= len(samples) / SAMPLE_RATE
        if left_s <= 0:
            break
    said = Heard.of(np.concatenate(ends), lengths_s / frame_s, np.concatenate(heard)) if heard else None
    return Cohort.of(PLACES, np.concatenate(vectors, axis=1), heard=said)


def places_of(dataset: WordDataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for the utterance of each segment."""
    places: NDArray[np.int64] = (dataset.column("shard")[indices].astype(np.int64) << 32) + dataset.column("row")[indices]
    return places


def samples_of(dataset: WordDataset, place: int) -> NDArray[np.int16]:
    """The utterance with this number."""
    return dataset.samples(place >> 32, place & 0xFFFFFFFF)


def running_speech(dataset: WordDataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the utterances of these segments, those of single words only where there are no others; ascending."""
    places = np.unique(places_of(dataset, indices))
    everywhere, words = np.unique(places_of(dataset, np.arange(len(dataset))), return_counts=True)
    running = np.intersect1d(places, everywhere[words >= FEWEST_WORDS])
    return running if len(running) else places
