"""The cohort of a model: spans of what training speakers say, drawn at random, in each of a few lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wordprint.cohort import Cohort, Heard
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.spot.spans import length_s
from wordprint.words.dataset import WordDataset

PLACES = tuple(range(-14, 9, 2))
"""Places, in the grid of wordprint.spot.spans, of the lengths: 0.14 to 3.1 s."""
SPANS = 4000
"""Spans of each length."""
UTTERANCES = 250
"""Utterances that they are drawn from, at most: their phones travel with the model."""
FEWEST_WORDS = 3
"""Utterances of fewer words are single words that somebody read out, not speech."""


def sample_cohort(model: Model, dataset: WordDataset, *, spans: int = SPANS) -> Cohort:
    """Spans anywhere in utterances of the training split, of all where there is none. Deterministic."""
    random, segments = np.random.default_rng(0), dataset.select("train")
    chosen = random.permutation(running_speech(dataset, segments if len(segments) else np.arange(len(dataset))))[:UTTERANCES]
    lasting_s = np.array([len(samples_of(dataset, place)) for place in chosen.tolist()]) / SAMPLE_RATE
    counts = random.multinomial(spans, lasting_s / lasting_s.sum(), size=len(PLACES))  # (G, u)
    vectors = np.zeros((len(PLACES), spans, model.embedding_size), np.float32)
    ends, read, heard = np.zeros((len(PLACES), spans), np.int64), 0, []
    frame_s = model.frame_samples / SAMPLE_RATE
    filled = np.zeros(len(PLACES), np.int64)
    for number, place in enumerate(chosen.tolist()):
        many = counts[:, number]
        if not many.any():
            continue
        lengths_s = np.repeat([length_s(place) for place in PLACES], many)
        ends_s = random.uniform(np.minimum(lengths_s, lasting_s[number]), lasting_s[number])
        frames = model.frames(to_float32(samples_of(dataset, place)))
        found = model.pool(frames, np.stack([ends_s - lengths_s, ends_s], axis=1))
        cuts = np.cumsum(many)[:-1]
        for row, (part, lie) in enumerate(zip(np.split(found, cuts), np.split(ends_s / frame_s, cuts), strict=True)):
            vectors[row, filled[row] : filled[row] + len(part)] = part
            ends[row, filled[row] : filled[row] + len(part)] = read + np.rint(lie)
        filled += many
        if (scores := model.phones_of(frames)) is not None:
            heard.append(scores)
            read += len(scores)
    lengths = np.array([length_s(place) for place in PLACES]) / frame_s
    said = Heard.of(ends, lengths, np.concatenate(heard)) if heard else None
    return Cohort.of(PLACES, vectors, heard=said)


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
