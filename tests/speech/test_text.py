"""Words of transcripts."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.speech.text import normalise, plain_words, unknown_characters


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("MISTER QUILTER IS", ["mister", "quilter", "is"]),
        ("“Don’t,” he said — twice-told!", ["don't", "he", "said", "twice", "told"]),
        ("the dogs' 'bones'", ["the", "dogs", "bones"]),
        ("'Tis 'em, 'TWAS", ["'tis", "'em", "'twas"]),
        ("café naïve Æsop Ångström", ["cafe", "naive", "aesop", "angstrom"]),
        ("e\u0301te\u0301", ["ete"]),
        ("a\tb\n c\u00a0d", ["a", "b", "c", "d"]),
        ("ﬁne ｗｉｄｅ", ["fine", "wide"]),
        ("", []),
        (" . ' -- …", []),
    ],
)
def test_normalises_english(transcript: str, words: list[str]) -> None:
    assert normalise(transcript, "en") == words
    assert unknown_characters(transcript, "en") == ""


@pytest.mark.parametrize(
    ("transcript", "language", "unknown"),
    [
        ("7 of 10", "en", "017"),
        ("50% & more", "en", "%&05"),
        ("Привет", "en", "веипрт"),
        ("<unk> £ < 5", "en", "5<£"),
        ("Straße", "de", ""),
        ("Привет", "ru", ""),
        ("№ ① °", "el", "1°№"),
    ],
)
def test_reports_what_it_cannot_handle(transcript: str, language: str, unknown: str) -> None:
    assert unknown_characters(transcript, language) == unknown


def test_keeps_the_letters_of_other_languages() -> None:
    assert normalise("Über die Straße, l'été", "de-DE") == ["über", "die", "straße", "l'été"]
    assert normalise("नमस्ते दुनिया", "hi") == ["नमस्ते", "दुनिया"]


@pytest.mark.parametrize("language", ["en", "en-GB", "en_US", "EN"])
def test_regions_are_one_language(language: str) -> None:
    assert normalise("Café", language) == ["cafe"]


@given(st.text(max_size=60))
def test_english_words_hold_nothing_but_letters_and_apostrophes(transcript: str) -> None:
    words = normalise(transcript, "en")
    assert all(word.strip("'") and set(word) <= set(string.ascii_lowercase + "'") for word in words)
    assert normalise(" ".join(words), "en") == words


@given(st.text(max_size=60), st.sampled_from(["en", "de", "ru", "zh"]))
def test_unknown_characters_never_reach_words(transcript: str, language: str) -> None:
    assert not set(unknown_characters(transcript, language)) & set("".join(normalise(transcript, language)))


def test_plain_words_are_the_same_however_they_are_spelled() -> None:
    assert plain_words("Hi-Fi hi_fi “don’t” Café, dogs' ONE’S") == ["hi", "fi", "hi", "fi", "don't", "cafe", "dogs", "one's"]
    assert plain_words("Привет, हिन्दी 한국어") == ["привет", "हिन्दी", "한국어"]
    assert plain_words(" — %") == []
