"""Any language means any language: the table of the docs, and properties of every character of Unicode."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.speech.text import normalise, plain_words, unknown_characters

DOCS = Path(__file__).parents[2] / "docs" / "corpora.md"
ROWS = [line.strip("| \n").split(" | ") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
SAMPLES = [(row[0].strip("`"), *row[1:]) for row in ROWS[-120:] if len(row) == 3 and row[0].count("`") == 2]
ASSIGNED = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
LETTERS = [character for character in ASSIGNED if unicodedata.category(character)[0] == "L"]
MARKS = [character for character in ASSIGNED if unicodedata.category(character)[0] == "M"]
VOICED_HALVES = {"\uff9e", "\uff9f"}
"""Letters by category, marks once they have the usual width."""


def test_the_table_is_long() -> None:
    assert len({language for language, *_ in SAMPLES}) >= 100


@pytest.mark.parametrize(("language", "transcript", "words"), SAMPLES, ids=[language for language, *_ in SAMPLES])
def test_words_stay_whole(language: str, transcript: str, words: str) -> None:
    assert normalise(transcript, language) == words.split(" ")
    assert unknown_characters(transcript, language) == ""


@pytest.mark.parametrize("language", ["und", "tr"])
def test_every_letter_makes_one_word_alone_with_marks_and_between_letters(language: str) -> None:
    for letter in LETTERS:
        forms = [f"मा{letter}ला", *([] if letter in VOICED_HALVES else [letter, f"{letter}\u0301", f"{letter}\u0327\u0301"])]
        if unicodedata.decomposition(letter).startswith("<compat>") and "·" in unicodedata.normalize("NFKC", letter):
            forms = [f"co{letter}legi"]  # Catalan's l with its dot
        assert [form for form in forms if len(normalise(form, language)) != 1] == []


def test_every_mark_counts_after_a_letter_only() -> None:
    for mark in MARKS:
        words = normalise(f" {mark} a{mark}b 7{mark} {mark}", "und")
        assert len(words) == 1
        assert (words[0][0], words[0][-1]) in {("a", "b"), (unicodedata.normalize("NFC", f"a{mark}")[0], "b")}


@given(st.lists(st.sampled_from(ASSIGNED), max_size=30), st.sampled_from(["und", "en", "tr", "fr", "hy", "he", "ja"]))
def test_any_text_is_read_and_its_words_stay(characters: list[str], language: str) -> None:
    words = normalise("".join(characters), language)
    assert normalise(" ".join(words), language) == words
    assert not set(unknown_characters("".join(characters), language)) & set("".join(words))
    assert all(word.strip("'") for word in words)
    assert plain_words(" ".join(plain_words("".join(characters)))) == plain_words("".join(characters))
