"""How typed keywords are said: the lexicon, a guess, or as the person says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wordprint.errors import InputError
from wordprint.speech.lexicon import ARPABET, Lexicon
from wordprint.spot import pronounce as pronunciation
from wordprint.spot.pronounce import MOST, as_text, looked_up, parse_phones, pronounce


def test_words_of_the_lexicon():
    strings, guessed = pronounce("Lights on!")
    assert as_text(strings)[0] in ("L AY T S AA N", "L AY T S AO N")
    assert set(as_text(strings)) == {"L AY T S AA N", "L AY T S AO N"}
    assert guessed == []


def test_a_word_that_it_does_not_hold_is_guessed_and_said():
    strings, guessed = pronounce("hey zibblywomp")
    assert guessed == ["zibblywomp"]
    assert [string[:2] for string in strings] == [("HH", "EY")] * len(strings)
    assert {phone for string in strings for phone in string} <= ARPABET


def test_what_ships_with_the_package_is_asked_before_what_is_installed(monkeypatch):
    monkeypatch.setattr(
        pronunciation, "_larger_lexicon", lambda: Lexicon({"lights": [("AA",)], "gzornpf": [("B", "AA"), ("B", "IY")]})
    )
    assert pronounce("lights")[0][0] == ("L", "AY", "T", "S")
    assert pronounce("gzornpf") == ([("B", "AA"), ("B", "IY")], [])
    monkeypatch.setattr(pronunciation, "_larger_lexicon", lambda: None)
    strings, guessed = pronounce("gzornpf lights")
    assert (strings[0][-4:], guessed) == (("L", "AY", "T", "S"), ["gzornpf"])


@pytest.mark.parametrize("seed", range(10))
def test_of_several_ways_to_say_words_the_likeliest_come_first(monkeypatch, seed):
    """All combinations, sorted by how unlikely they are, as naive code has them; equal strings once."""
    random = np.random.default_rng(seed)
    entries = {
        word: [tuple(random.choice(list("AB"), random.integers(1, 3))) for _ in range(random.integers(1, 4))] for word in "wxyz"
    }
    entries = {word: list(dict.fromkeys(ways)) for word, ways in entries.items()}
    monkeypatch.setattr(pronunciation, "_known", entries.__getitem__)
    combined = sorted(itertools.product(*(range(len(ways)) for ways in entries.values())), key=lambda places: (sum(places), places))
    strings = [sum((ways[place] for ways, place in zip(entries.values(), places, strict=True)), ()) for places in combined]
    assert pronounce("w x y z")[0] == list(dict.fromkeys(strings))[:MOST]


def test_a_long_text_of_words_with_many_ways_to_say_them_takes_no_longer():
    strings, _ = pronounce("the and of a to in for " * 20)
    assert len(strings) == MOST
    assert len(set(map(len, strings))) <= 2


@pytest.mark.parametrize("text", ["", "  ", "!?", "123", "слово"])
def test_a_text_without_letters(text):
    with pytest.raises(InputError, match="has no letters to pronounce; expected a word or a phrase, or its phones"):
        pronounce(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L AY T", [("L", "AY", "T")]),
        (" l  ay t ,L AY ", [("L", "AY", "T"), ("L", "AY")]),
        ("L AY,,L AY,", [("L", "AY")]),
    ],
)
def test_phones_as_a_person_writes_them(text, expected):
    assert parse_phones(text) == expected


def test_phones_of_a_model_that_has_small_letters():
    assert parse_phones("b ə ay", ["b", "ə", "AY"]) == [("b", "ə", "AY")]


@pytest.mark.parametrize("text", ["", " , ,"])
def test_no_phones(text):
    with pytest.raises(InputError, match="holds no phones; expected phones with spaces between"):
        parse_phones(text)


@pytest.mark.parametrize("text", ["3 o'clock", "C3PO", "AT&T", "keyword 0"])
def test_what_would_be_passed_over_is_not_guessed(text):
    with pytest.raises(InputError, match="spelled in letters, or its phones"):
        pronounce(text)
    assert looked_up(text, ARPABET) == []


def test_what_the_lexicon_says_in_phones_that_the_model_has():
    assert looked_up("lights_on", ARPABET)[0] == ("L", "AY", "T", "S", "AA", "N")
    assert looked_up("lights on", ARPABET - {"L"}) == []
    assert looked_up("lights hadouken", ARPABET) == []  # a word that would have to be guessed
    assert looked_up("\u4f60\u597d", ARPABET) == []
