"""Phone strings of words and of random runs, against naive loops over the phones of each utterance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.train.runs import LONGEST_PAUSE, LONGEST_RUN, MAX_PHONES, SHORTEST_RUN, UNKNOWN, PhoneTimes, edited
from wordprint.words.dataset import Phones

SYMBOLS = ["AH", "K", "T", "S", "a"]


@dataclass
class Said:
    """Utterances as lists of (symbol, start, end), and segments of them as (utterance, start, end, context end)."""

    utterances: list[list[tuple[str, int, int]]]
    segments: list[tuple[int, int, int, int]]

    @property
    def phones(self):
        flat = [phone for phones in self.utterances for phone in phones]
        symbols = sorted({symbol for symbol, _, _ in flat}, reverse=True)  # in any order
        codes = np.array([symbols.index(symbol) for symbol, _, _ in flat], np.int16)
        starts, ends = (np.array([phone[place] for phone in flat], np.int32) for place in (1, 2))
        return Phones(symbols, codes, starts, ends, np.append(0, np.cumsum([len(phones) for phones in self.utterances])))

    def utterances_of(self, indices):
        return np.array([self.segments[index][0] for index in indices], np.int64)

    def column(self, name):
        place = ("start_sample", "end_sample", "context_end_sample").index(name)
        return np.array([segment[place + 1] for segment in self.segments], np.int32)


def times(said, labels, words):
    dataset = SimpleNamespace(phones=said.phones, column=said.column, utterances=said.utterances_of)
    return PhoneTimes(dataset, np.arange(len(said.segments)), np.array(labels), words)


def random_said(rng):
    """Utterances of 0–40 phones with short and long pauses, and a segment or more of each, some of them over no phone."""
    utterances, segments = [], []
    for number in range(rng.integers(1, 5)):
        phones, at = [], int(rng.integers(0, 3000))
        for _ in range(rng.integers(0, 41) * int(rng.random() < 0.8)):
            lasting = int(rng.integers(1, 3000))
            phones.append((str(rng.choice(SYMBOLS)), at, at + lasting))
            at += lasting + int(rng.choice([0, 0, 1000, LONGEST_PAUSE, LONGEST_PAUSE + 1]))
        utterances.append(phones)
        for _ in range(rng.integers(1, 4)):
            start, end = sorted(rng.integers(0, at + 2000, 2).tolist())
            segments.append((number, start, end + 1, at + 3000))
    return Said(utterances, segments)


def spelt(found, crop, place, symbols):
    """The string of a span as symbols, or None where there is no span."""
    string = found.strings[crop, place]
    return None if string < 0 else [symbols[code - 1] for code in found.codes[string] if code]


def naive_word(said, segment, word):
    utterance, start, end, _ = said.segments[segment]
    inside = [symbol for symbol, a, b in said.utterances[utterance] if start <= (a + b) // 2 < end]
    return (inside or list(word.replace(" ", "")))[:MAX_PHONES]


def naive_run(phones, low, high, wanted, place):
    """Symbols, start and end of a run, or None: `wanted` phones, of those in [low, high), `place` of the way along."""
    inside = [phone for phone in phones if phone[1] >= low and phone[2] <= high]
    count = min(wanted, len(inside))
    if count < SHORTEST_RUN:
        return None
    first = int(place * (len(inside) - count + 1))
    run = inside[first : first + count]
    if any(after[1] - before[2] > LONGEST_PAUSE for before, after in pairwise(run)):
        return None
    return [symbol for symbol, _, _ in run], run[0][1], run[-1][2]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 6))
def test_words_and_runs_are_those_of_a_naive_loop(seed, runs):
    rng = np.random.default_rng(seed)
    said = random_said(rng)
    words = ["a cat", "sat", "straße"]
    labels = rng.integers(0, 3, len(said.segments))
    phone_times = times(said, labels, words)
    picked = rng.integers(0, len(said.segments), 5)
    contexts = np.array([said.segments[segment][3] for segment in picked])
    low = rng.integers(0, contexts)
    high = np.minimum(low + rng.integers(-1000, 60_000, 5), contexts)
    found = phone_times.draw(np.random.default_rng(seed), picked, low, high, runs)
    again = np.random.default_rng(seed)
    wanted = again.integers(SHORTEST_RUN, LONGEST_RUN + 1, (5, runs))
    places = again.random((5, runs))
    assert found.strings.shape == (5, 1 + runs)
    assert len(np.unique(found.codes, axis=0)) == len(found.codes)  # one number for each string
    assert set(found.strings[found.strings >= 0]) == set(range(len(found.codes)))
    for crop, segment in enumerate(picked.tolist()):
        assert spelt(found, crop, 0, phone_times.symbols) == naive_word(said, segment, words[labels[segment]])
        phones = said.utterances[said.segments[segment][0]]
        for run in range(runs):
            expected = naive_run(phones, low[crop], high[crop], wanted[crop, run], places[crop, run])
            assert spelt(found, crop, 1 + run, phone_times.symbols) == (expected and expected[0])
            if expected:
                assert (found.start[crop, 1 + run], found.end[crop, 1 + run]) == expected[1:]


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_phone_of_each_frame_is_that_of_a_naive_loop(seed):
    rng = np.random.default_rng(seed)
    said = random_said(rng)
    phone_times = times(said, np.zeros(len(said.segments), int), ["cat"])
    picked = rng.integers(0, len(said.segments), 4)
    samples = rng.integers(-5000, 150_000, (4, 30))  # far beyond both ends: never a phone of a neighbour
    found = phone_times.at(picked, samples)
    assert found.shape == samples.shape
    for crop, segment in enumerate(picked.tolist()):
        phones = said.utterances[said.segments[segment][0]]
        for sample, number in zip(samples[crop], found[crop], strict=True):
            spoken = [symbol for symbol, start, end in phones if start <= sample < end]
            if not phones:
                assert number == UNKNOWN
            else:
                assert number == (phone_times.symbols.index(spoken[0]) + 1 if spoken else 0)


def test_nothing_was_aligned():
    said = Said([[], []], [(0, 0, 8000, 16_000), (1, 4000, 9000, 16_000)])
    phone_times = times(said, [0, 1], ["on", "off switch"])
    assert phone_times.symbols == sorted(set("onoffswitch"))
    found = phone_times.draw(np.random.default_rng(0), np.array([1, 0]), np.zeros(2, int), np.full(2, 16_000), 3)
    assert [spelt(found, crop, 0, phone_times.symbols) for crop in (0, 1)] == [list("offswitch"), list("on")]
    assert (found.strings[:, 1:] == -1).all()
    assert (phone_times.at(np.array([0]), np.array([[0, 100]])) == UNKNOWN).all()


def test_a_letter_that_is_also_a_phone_has_one_number():
    said = Said([[("a", 0, 100), ("t", 100, 200)], []], [(0, 0, 200, 300), (1, 0, 200, 300)])
    phone_times = times(said, [0, 1], ["at", "tab"])
    assert phone_times.symbols == ["a", "t", "b"]
    found = phone_times.draw(np.random.default_rng(0), np.array([0, 1]), np.zeros(2, int), np.zeros(2, int), 0)
    assert [spelt(found, crop, 0, phone_times.symbols) for crop in (0, 1)] == [["a", "t"], ["t", "a", "b"]]


def naive_edits(codes, symbols):
    """All that one edit can make of a string."""
    codes, fresh = codes[codes > 0].tolist(), range(1, symbols + 1)
    replaced = [[*codes[:place], new, *codes[place + 1 :]] for place in range(len(codes)) for new in fresh]
    dropped = [codes[:place] + codes[place + 1 :] for place in range(len(codes))] if len(codes) > 2 else []
    added = [[*codes[:place], new, *codes[place:]][:MAX_PHONES] for place in range(len(codes)) for new in fresh]
    return replaced + dropped + added


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_an_edit_changes_one_phone(seed, symbols):
    rng = np.random.default_rng(seed)
    codes = np.zeros((8, MAX_PHONES), np.int64)
    for row, length in enumerate([1, 2, 3, 4, 9, MAX_PHONES - 1, MAX_PHONES, MAX_PHONES]):
        codes[row, :length] = rng.integers(1, symbols + 1, length)
    before = codes.copy()
    found = edited(np.random.default_rng(seed), codes, symbols)
    np.testing.assert_array_equal(codes, before)
    np.testing.assert_array_equal(found, edited(np.random.default_rng(seed), codes, symbols))
    for row, string in enumerate(found):
        length = int((string > 0).sum())
        assert length > 0
        assert (string[length:] == 0).all()
        assert string[:length].tolist() in naive_edits(codes[row], symbols)


def test_every_kind_of_edit_is_drawn():
    rng = np.random.default_rng(0)
    codes = np.zeros((300, MAX_PHONES), np.int64)
    codes[:, :4] = [1, 2, 3, 4]
    lengths = np.bincount((edited(rng, codes, 9) > 0).sum(axis=1), minlength=6)
    assert lengths[3:6] == pytest.approx([100, 100, 100], abs=30)
    assert lengths.sum() == lengths[3:6].sum()


def test_a_pause_is_as_long_as_it_is_said_to_be():
    assert LONGEST_PAUSE == 0.15 * SAMPLE_RATE
