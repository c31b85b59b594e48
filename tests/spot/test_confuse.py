"""What a keyword is confused with: planted neighbours, and the search for them against naive loops."""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wordprint.model import Model
from wordprint.records import Interval
from wordprint.speech.lexicon import Pronunciation
from wordprint.speech.text import normalise
from wordprint.spot import confuse
from wordprint.spot.confuse import candidates, confusable, sounds_like
from wordprint.spot.edits import _SHIFT, CONSONANT_GAP, MOST_VARIANTS, VOWEL_GAP, VOWELS, _changes, _gaps, stretches, texts_of
from wordprint.spot.pronounce import pronounce
from wordprint.spot.said import PHONES, Said, load_said, pack, to_letters, unpack


class Bins:
    """A speller without weights: which phones are near the beginning of a string, its middle, and its end."""

    phones = PHONES

    def __init__(self) -> None:
        kinds = np.random.default_rng(0).normal(size=(len(PHONES), 24))
        kinds += 2 * np.array([[phone in VOWELS for phone in PHONES]]).T * np.eye(24)[0]
        self._vectors = dict(zip(PHONES, kinds / np.linalg.norm(kinds, axis=1, keepdims=True), strict=True))

    def spell(self, strings: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        return np.stack([self._one(string) for string in strings])

    def _one(self, string: Sequence[str]) -> NDArray[np.float32]:
        places = (np.arange(len(string)) + 0.5) / len(string) * 6
        weights = np.maximum(0, 1 - np.abs(np.arange(6)[:, None] + 0.5 - places) / 1.5)
        vector = (weights @ np.stack([self._vectors[phone] for phone in string])).ravel()
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def small(words: dict[str, tuple[str, float]], phrases: dict[str, float]) -> Said:
    """A list of words, each with its phones (several ways with commas between) and its rate, and of phrases."""
    spelled = {word: ([tuple(way.split()) for way in ways.split(",")], rate) for word, (ways, rate) in words.items()}
    return unpack(pack(spelled, {(text.split()[0], text.split()[1]): rate for text, rate in phrases.items()}, {}))


PLANTED = small(
    {
        "alexa": ("AH L EH K S AH", 1.0),
        "alexa's": ("AH L EH K S AH Z", 1.0),
        "alexis": ("AH L EH K S IH S", 10.0),
        "electing": ("IH L EH K T IH NG", 10.0),
        "a": ("AH,EY", 10000.0),
        "lexus": ("L EH K S AH S", 1.0),
        "dog": ("D AO G", 100.0),
        "hot": ("HH AA T", 100.0),
        "red": ("R EH D", 100.0),
        "read": ("R IY D,R EH D", 300.0),
        "thread": ("TH R EH D", 30.0),
        "lights": ("L AY T S", 30.0),
        "light": ("L AY T", 100.0),
        "on": ("AA N,AO N", 5000.0),
        "lights'": ("L AY T S", 0.1),
    },
    {
        "a lexus": 0.1,
        "a dog": 20.0,
        "hot dog": 5.0,
        "lights on": 3.0,
        "light on": 3.0,
        "on a": 100.0,
        "dog on": 1.0,
        "alexa a": 1.0,
    },
)


def named(text: str, *phones: str, most: int = 4) -> list[str]:
    return [found.text for found in confusable(Bins(), text, [tuple(string.split()) for string in phones], most=most, said=PLANTED)]


def test_what_sounds_like_it_is_named_first() -> None:
    assert set(named("alexa", "AH L EH K S AH", most=3)) == {"alexis", "a lexus", "electing"}


def test_a_stretch_across_two_words_is_found() -> None:
    found = {one.text: one for one in confusable(Bins(), "alexa", [("AH", "L", "EH", "K", "S", "AH")], said=PLANTED)}
    assert (found["a lexus"].phones, found["a lexus"].similarity) == ("AH L EH K S AH", 1.0)
    assert found["alexis"].phones == "AH L EH K S IH"
    assert found["a lexus"].per_million == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("text", ["alexa", "Alexa!", "alexa's"])
def test_what_says_the_keyword_is_left_out(text: str) -> None:
    assert not {"alexa", "alexa's", "alexa a"} & set(named(text, "AH L EH K S AH", most=100))


@pytest.mark.parametrize("text", ["lightson", "lights on", "lights-on"])
def test_however_it_is_written(text: str) -> None:
    assert "lights on" not in named(text, "L AY T S AA N", most=100)


def test_part_of_the_keyword_is_a_confusion() -> None:
    found = named("lights on", "L AY T S AA N", most=100)
    assert "light on" in found
    assert "lights on" not in found


def test_words_that_sound_the_same_are_named() -> None:
    found = {one.text: one.similarity for one in confusable(Bins(), "red", [("R", "EH", "D")], most=3, said=PLANTED)}
    assert found["read"] == found["thread"] == 1.0


def test_of_equally_similar_texts_the_commoner_comes_first() -> None:
    assert named("red", "R EH D", most=2) == ["read", "thread"]


def test_what_phones_are_unlike_is_taken_and_changes_the_order() -> None:
    way = [("AH", "L", "EH", "K", "S", "AH")]
    before = confusable(Bins(), "alexa", way, most=2, said=PLANTED)
    asked: list[int] = []

    def unlike(strings):
        asked.append(len(strings))
        return np.array([0.9 * (" ".join(string) == before[0].phones) for string in strings])

    after = confusable(Bins(), "alexa", way, unlike=unlike, most=100, said=PLANTED)
    assert asked[0] > 2
    assert after[0].text == before[1].text
    assert {one.text: one.similarity for one in after}[before[0].text] == pytest.approx(before[0].similarity - 0.9)


def test_a_word_is_named_once() -> None:
    """`dog` alone, `a dog`, `hot dog` and `dog on` all fire on `dogs`."""
    found = named("dogs", "D AO G Z", most=100)
    assert sum("dog" in text.split() for text in found) == 1


def test_what_goes_on_where_the_keyword_ends_is_named_once() -> None:
    phones = {
        "compute": "Z UW",
        "computer": "Z UW ER",
        "computers": "Z UW ER Z",
        "computerized": "Z UW ER AY Z D",
        "dogs": "D AO G Z",
    }
    said = small({word: (string, 10.0) for word, string in phones.items()}, {"dogs computers": 1.0})
    found = [one.text for one in confusable(Bins(), "computer", [("Z", "UW", "ER")], said=said)]
    assert sum(text.startswith("computer") for text in found) == 1
    assert {"compute", "dogs"} < set(found)


@pytest.mark.parametrize(
    ("words", "family"), [("martins", "martin"), ("martin's", "martin"), ("martins'", "martin"), ("martin", "martin")]
)
def test_a_plural_is_of_the_family(words: str, family: str) -> None:
    assert confuse._family(confuse._Found((words,), "A", words, 1.0), ["marvin"]) == family


def test_no_more_than_asked_for() -> None:
    assert [len(named("alexa", "AH L EH K S AH", most=most)) for most in (0, 1, 2)] == [0, 1, 2]


def test_none_less_similar_than_asked_for() -> None:
    string = ("AH", "L", "EH", "K", "S", "AH")
    everything = confusable(Bins(), "alexa", [string], most=100, said=PLANTED)
    bound = everything[2].similarity
    found = confusable(Bins(), "alexa", [string], most=100, at_least=bound - 1e-3, said=PLANTED)
    assert found == [one for one in everything if one.similarity >= bound - 1e-3]
    assert 2 < len(found) < len(everything)


def test_a_recording_without_a_spelling_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confuse, "FIRST_GUESSES", 10)
    string = ("AH", "L", "EH", "K", "S", "AH")
    vectors = Bins().spell([string])
    assert sounds_like(Bins(), vectors, PLANTED) == string
    assert confusable(Bins(), "k1", [], vectors, said=PLANTED)[0].text == "alexa"
    assert confusable(Bins(), "alexa", [], vectors, said=PLANTED) == confusable(Bins(), "alexa", [string], said=PLANTED)


def test_similarities_are_those_to_the_prototypes() -> None:
    string, shots = ("AH", "L", "EH", "K", "S", "AH"), Bins().spell([("AH", "L", "EH", "K", "S", "IH", "S")])
    found = {one.text: one for one in confusable(Bins(), "alexa", [string], shots, said=PLANTED)}
    for one in found.values():
        assert one.similarity == pytest.approx(float(Bins().spell([one.phones.split()])[0] @ shots[0]), abs=1e-4)


def test_a_model_of_other_phones_knows_nothing() -> None:
    speller = Bins()
    speller.phones = PHONES[1:]
    assert confusable(speller, "alexa", [("AH", "L", "EH", "K", "S", "AH")], said=PLANTED) == []


def test_a_keyword_without_phones_and_prototypes() -> None:
    assert confusable(Bins(), "alexa", []) == []


# the search


def naive(string: Pronunciation, text: Pronunciation, start: int, stop: int) -> int:
    """Cost of making text[start:stop] the keyword; a phone too many is inside it, not at an end."""
    part = text[start:stop]
    gap = lambda phone: VOWEL_GAP if phone in VOWELS else CONSONANT_GAP
    change = lambda one, other: int(_changes()[PHONES.index(one) + 1, PHONES.index(other) + 1]) >> _SHIFT
    costs = [[0] * (len(part) + 1) for _ in range(len(string) + 1)]
    for i in range(len(string) + 1):
        for j in range(len(part) + 1):
            ways = []
            if i and j:
                ways.append(costs[i - 1][j - 1] + change(string[i - 1], part[j - 1]))
            if i:
                ways.append(costs[i - 1][j] + gap(string[i - 1]))
            if j and i < len(string):
                ways.append(costs[i][j - 1] + (gap(part[j - 1]) if i else 10**6))
            costs[i][j] = min(ways, default=0)
    return costs[-1][-1]


@pytest.mark.parametrize("seed", range(6))
def test_the_least_edits_as_naive_loops_find_them(seed: int) -> None:
    rng = random.Random(seed)
    some = rng.sample(PHONES, 8)
    words = {f"w{number:02d}": " ".join(rng.choices(some, k=rng.randint(1, 7))) for number in range(40)}
    pairs = {
        f"{first} {second}": 1.0 for first, second in zip(rng.sample(sorted(words), 25), rng.sample(sorted(words), 25), strict=True)
    }
    said = small({word: (phones, 1.0) for word, phones in words.items()}, pairs)
    strings = [tuple(rng.choices(some, k=rng.randint(1, 6))) for _ in range(rng.randint(1, 2))]
    texts = texts_of(said)
    found, checked = stretches(strings, texts), 0
    for row, (cost, start, stop) in enumerate(np.stack([found.costs, found.starts, found.stops], axis=1).tolist()):
        if row < len(texts.words):
            text = said.lookup(said.words[texts.words[row]])[0]
            ranges = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)]
        else:
            first, second = (said.lookup(said.words[texts.words[place]])[0] for place in texts.pairs[row - len(texts.words)])
            text, stop = first + second, len(first) + stop
            ranges = [(a, len(first) + b) for a in range(len(first)) for b in range(1, len(second) + 1)]
        least = min(naive(string, text, *both) for string in strings for both in ranges)
        if least >= min(naive(string, (), 0, 0) for string in strings):  # nothing of the text is worth taking
            assert cost >= min(naive(string, (), 0, 0) for string in strings)
            continue
        assert cost == least
        assert cost in [naive(string, text, start, stop) for string in strings]
        assert (start, stop) in ranges
        checked += 1
    assert checked > 10


def test_costs_are_symmetric_and_no_change_costs_more_than_two_gaps() -> None:
    changes, gaps = _changes()[1:, 1:].astype(int), _gaps()[1:].astype(int)
    assert (changes == changes.T).all()
    assert (changes.diagonal() == 0).all()
    assert (changes <= gaps[:, None] + gaps).all()
    assert (changes + np.eye(len(PHONES), dtype=int) > 0).all()


def test_phrases_are_searched_in_every_way_to_say_them() -> None:
    said = small({"a": ("AH,EY,AA,AE", 1.0), "b": ("B IY,B EH", 1.0)}, {"a b": 1.0})
    texts = texts_of(said)
    ways = {texts.spelled[first] + texts.spelled[second] for first, second in texts.pairs.tolist()}
    assert ways == {
        to_letters((first, "B", second)) for first in ("AH", "EY", "AA", "AE")[:MOST_VARIANTS] for second in ("IY", "EH")
    }


def test_the_search_loses_none_that_the_model_finds_alike() -> None:
    """Of a sample of all texts, encoded by the model that ships, the most similar are among those that the search would encode."""
    rng, whole, model = np.random.default_rng(0), load_said(), Model()
    words = np.sort(rng.choice(len(whole), 3000, replace=False, p=whole.word_rates / whole.word_rates.sum()))
    inside = np.flatnonzero(np.isin(whole.phrases, words).all(axis=1))
    pairs = np.sort(rng.choice(inside, 4000, replace=False))
    spelled, variants = ([values[word] for word in words] for values in (whole.words, whole.variants))
    phrases = np.searchsorted(words, whole.phrases[pairs])
    sample = Said(spelled, variants, whole.word_rates[words], phrases, whole.phrase_rates[pairs])
    true = lost = 0
    for keyword in ("alexa", "lights on", "computer", "marvin", "good morning", "television", "amelia", "kitchen", "seven"):
        strings = pronounce(keyword)[0]
        everything = list(candidates(sample, normalise(keyword), strings, encoded=10**9))
        parts = list(dict.fromkeys(one.part for one in everything))
        similar = dict(zip(parts, confuse._similarities(model, parts, model.spell(strings)), strict=True))
        ranked = sorted(everything, key=lambda one: -similar[one.part] - confuse.TENFOLD * np.log10(one.rate))
        best: dict[str, str] = {}
        for one in ranked:
            if similar[one.part] >= 0.75:
                best.setdefault(one.main, one.part)
        neighbours = list(best.values())[:10]
        share = confuse.ENCODED / 100_000  # of so many different stretches in the whole list
        few = {one.part for one in candidates(sample, normalise(keyword), strings, encoded=round(share * len(parts)))}
        true, lost = true + len(neighbours), lost + sum(part not in few for part in neighbours)
    assert true > 20
    assert lost <= 0.05 * true


# the benchmark that counts what is foretold


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    return importlib.import_module("confusions")


def spoken(*words: tuple[str, float, float]) -> Any:
    intervals = tuple(Interval(symbol, start_s, end_s) for symbol, start_s, end_s in words)
    return SimpleNamespace(samples=np.zeros(0, np.float32), words=intervals)


def test_false_alarms_are_the_best_matches_apart_from_the_keyword_and_each_other(benchmark: Any) -> None:
    speech = [spoken(("red", 0.0, 0.5), ("dog", 2.0, 2.4)), spoken(("thread", 0.0, 0.5))]
    looks = np.array([(0.9, 0, 0.1, 0.5), (0.8, 0, 2.0, 2.4), (0.7, 0, 2.1, 2.5), (0.6, 1, 0.0, 0.5), (0.5, 1, 1.4, 1.9)])
    found = benchmark.false_alarms("red", looks, speech, 2)
    assert [(alarm.similarity, alarm.where, alarm.start_s) for alarm in found] == [(0.8, 0, 2.0), (0.6, 1, 0.0)]
    assert len(benchmark.false_alarms("red", looks, speech, 9)) == 3


def test_a_false_alarm_is_foretold_by_the_first_name_that_fills_half_of_it(benchmark: Any) -> None:
    words = spoken(("a", 0.0, 0.1), ("lexus", 0.1, 0.7), ("dog", 0.7, 1.0)).words
    names = [confuse.Confusable(text, 0.9, 1.0, "") for text in ("dog", "lexus dog", "a lexus", "lexus")]
    assert benchmark.foretold(benchmark.Alarm(0.8, 0, 0.0, 0.7), words, names) == 1
    assert benchmark.foretold(benchmark.Alarm(0.8, 0, 0.0, 0.7), words, names[2:]) == 0
    assert benchmark.foretold(benchmark.Alarm(0.8, 0, 0.6, 1.0), words, names) == 0
    assert benchmark.foretold(benchmark.Alarm(0.8, 0, 0.0, 0.7), words, names[:1]) == 1  # none


def test_how_often_a_named_text_fires(benchmark: Any) -> None:
    speech = [spoken(("dog", 0.0, 0.5), ("dog", 1.0, 1.5)), spoken(("dog", 0.0, 0.5), ("hot", 0.5, 1.0))]
    names = [confuse.Confusable(text, 0.9, 1.0, "") for text in ("dog", "cat")]
    assert benchmark.fired([benchmark.Alarm(0.8, 0, 1.1, 1.6)], names, speech) == (3, 1)


def test_what_is_said_in_a_speech_as_a_list(benchmark: Any) -> None:
    found = benchmark.said_here([spoken(("dog", 0.0, 0.5), ("dog", 1.0, 1.5)), spoken(("hot", 0.0, 0.5), ("dog", 0.5, 1.0))])
    assert found.words == ["dog", "hot"]
    assert found.per_million("dog") == pytest.approx(7.5e5, rel=0.16)
    assert {tuple(found.words[place] for place in pair) for pair in found.phrases.tolist()} == {("dog", "dog"), ("hot", "dog")}


def test_keywords_were_not_heard_in_training(benchmark: Any) -> None:
    heard = frozenset(load_said().words[::2])
    chosen = benchmark.choose_keywords(12, heard, seed=0)
    assert (len(chosen), sum(" " in text for text in chosen)) == (12, 6)
    assert all(text not in heard for text in chosen)
    assert chosen == benchmark.choose_keywords(12, heard, seed=0)
    assert chosen != benchmark.choose_keywords(12, heard, seed=1)
