"""What spans of a batch are labelled with: phone strings, of words and of random runs of phones inside and across words.

Every utterance so yields hundreds of "words", and the nearest wrong answers of a stream (half a word, a word and a half, the
end of one and the start of the next) are what the loss pushes apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.words.dataset import WordDataset

MAX_PHONES = 24
"""Phones of a word or phrase that are looked at."""

SHORTEST_RUN, LONGEST_RUN = 3, 14
"""Phones of a random run."""

LONGEST_PAUSE = round(0.15 * SAMPLE_RATE)
"""Samples of silence that a run may hold between two phones."""

UNKNOWN = -1
"""Phone of a frame that nobody has aligned."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Spans of B crops, R each; the first is the crop's word. Times are samples of the utterance."""

    start: Ints
    """(B, R)."""
    end: Ints
    strings: Ints
    """(B, R) rows of `codes`, −1 where there is no span."""
    codes: Ints
    """(U, MAX_PHONES) phone strings: numbers from 1 on, 0 after the last."""


class PhoneTimes:
    """All phones of a word dataset on one time axis, utterance after utterance, and the phone string of each word.

    Args:
        indices: the segments that are trained on (n,).
        labels: their word types (n,); words: the names of these. Words without phones are spelt by their letters.
    """

    def __init__(self, dataset: WordDataset, indices: Ints, labels: NDArray[np.integer], words: list[str]) -> None:
        phones = dataset.phones
        self.utterance = dataset.utterances(indices)
        """Utterance of each segment (n,)."""
        counts = np.diff(phones.first)
        lasting = np.zeros(len(counts), np.int64)
        np.maximum.at(lasting, np.repeat(np.arange(len(counts)), counts), phones.ends)
        np.maximum.at(lasting, self.utterance, dataset.column("context_end_sample")[indices])
        self.origin = np.append(0, np.cumsum(lasting + SAMPLE_RATE))
        """Where each utterance begins on the axis (utterances + 1,), a second of nothing after each."""
        origin = np.repeat(self.origin[:-1], counts)
        self.start, self.end = origin + phones.starts, origin + phones.ends
        start = dataset.column("start_sample")[indices] + self.origin[self.utterance]
        end = dataset.column("end_sample")[indices] + self.origin[self.utterance]
        middle = (self.start + self.end) // 2
        self.first, self.last = np.searchsorted(middle, start), np.searchsorted(middle, end)
        """Phones [first, last) of each segment (n,)."""
        silent = self.first == self.last
        letters = {letter for label in np.unique(labels[silent]) for letter in words[label].replace(" ", "")}
        self.symbols = sorted(phones.symbols) + sorted(letters.difference(phones.symbols))
        number = {symbol: place for place, symbol in enumerate(self.symbols, start=1)}
        self.code = np.array([number[symbol] for symbol in phones.symbols], np.int64)[phones.codes]
        self.letters = {
            int(label): [number[letter] for letter in words[label].replace(" ", "")][:MAX_PHONES]
            for label in np.unique(labels[silent])
        }
        self.labels = labels
        self.timed = counts > 0
        """Utterances whose phones are known (utterances,)."""
        pauses = self.start[1:] - self.end[:-1] > LONGEST_PAUSE
        self.pauses = np.append(0, np.cumsum(pauses))  # (phones,): long pauses before each; of no phones (1,)

    def draw(self, rng: np.random.Generator, picked: Ints, low: Ints, high: Ints, runs: int) -> Spans:
        """The words of the segments at `picked` (B,), and up to `runs` random runs of the phones in [low, high) (B,) of each.

        `high` must not lie beyond the context that the segments may be heard in.
        """
        origin = self.origin[self.utterance[picked]]
        first, last = self._runs(rng, origin + low, origin + high, runs)
        first = np.concatenate([self.first[picked][:, None], first], axis=1)
        last = np.concatenate([self.last[picked][:, None], last], axis=1)
        there = last > first
        there[:, 0] = True
        codes = self._codes(first[there], last[there])
        for row, label in enumerate(self.labels[picked].tolist()):
            if last[row, 0] == first[row, 0]:
                place = int(there[:row].sum())
                codes[place, : len(self.letters[label])] = self.letters[label]
        codes, rows = np.unique(codes, axis=0, return_inverse=True)
        strings = np.full(there.shape, -1, np.int64)
        strings[there] = rows.reshape(-1)
        count = max(len(self.code) - 1, 0)
        at, until = np.minimum(first, count), np.clip(last - 1, 0, count)
        start, end = (self.start[at], self.end[until]) if len(self.code) else (at, until)
        return Spans(start - origin[:, None], end - origin[:, None], strings, codes)

    def _runs(self, rng: np.random.Generator, low: Ints, high: Ints, runs: int) -> tuple[Ints, Ints]:
        """First phones and those after the last (B, runs) of random runs inside [low, high); equal where there is none."""
        begin = np.searchsorted(self.start, low)[:, None]
        count = np.searchsorted(self.end, high, side="right")[:, None] - begin
        wanted = rng.integers(SHORTEST_RUN, LONGEST_RUN + 1, (len(low), runs))
        place = rng.random((len(low), runs))
        length = np.minimum(wanted, count)
        enough = length >= SHORTEST_RUN
        length = np.where(enough, length, 0)
        first = begin + np.floor(place * (count - length + 1)).astype(np.int64)
        first = np.where(enough, first, 0)
        last = first + length
        whole = self.pauses[np.maximum(last - 1, 0)] == self.pauses[first]
        return first, np.where(whole, last, first)

    def _codes(self, first: Ints, last: Ints) -> Ints:
        """(S, MAX_PHONES) codes of the phones [first, last) (S,)."""
        places = first[:, None] + np.arange(MAX_PHONES)
        inside = places < last[:, None]
        if not len(self.code):
            return np.zeros(places.shape, np.int64)
        return np.where(inside, self.code[np.minimum(places, len(self.code) - 1)], 0)

    def at(self, picked: Ints, samples: Ints) -> Ints:
        """The phone at each place (B, T) of the utterances of the segments at `picked` (B,): its number, 0 in silence.

        UNKNOWN in utterances without phones.
        """
        utterance = self.utterance[picked][:, None]
        silence = np.where(self.timed[utterance], 0, UNKNOWN)
        if not len(self.code):
            return np.broadcast_to(silence, samples.shape)
        origin, time = self.origin[utterance], samples + self.origin[utterance]
        places = np.maximum(np.searchsorted(self.start, time, side="right") - 1, 0)
        inside = (time >= np.maximum(self.start[places], origin)) & (time < self.end[places])
        return np.where(inside & (time < self.origin[utterance + 1]), self.code[places], silence)


def edited(rng: np.random.Generator, codes: Ints, symbols: int) -> Ints:
    """Each string of (U, MAX_PHONES) with one phone replaced, dropped or added, of `symbols` phones."""
    lengths = (codes > 0).sum(axis=1)
    place = np.floor(rng.random(len(codes)) * lengths).astype(np.int64)[:, None]
    fresh = rng.integers(1, symbols + 1, (len(codes), 1))
    kind = rng.integers(3, size=(len(codes), 1))
    kind = np.where((kind == 1) & (lengths[:, None] < 3), 0, kind)  # nothing is left of a phone that is dropped
    columns = np.arange(MAX_PHONES)
    padded = np.pad(codes, ((0, 0), (1, 1)))
    replaced = np.where(columns == place, fresh, codes)
    dropped = np.where(columns >= place, padded[:, 2:], codes)
    added = np.where(columns < place, codes, np.where(columns == place, fresh, padded[:, :-2]))
    return np.where(kind == 0, replaced, np.where(kind == 1, dropped, added))
