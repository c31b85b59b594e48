"""How a typed keyword is said: phone strings from a lexicon, a guess for words that none holds, or as the person says.

The list of what is said in English, which ships with the package, is asked first. Only for a word that isn't in it does anything
depend on what is installed: pocketsphinx's larger lexicon, then espeak-ng or else rules.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from wordprint.errors import InputError, MissingExtraError
from wordprint.speech.g2p import load_g2p
from wordprint.speech.lexicon import Lexicon, Pronunciation
from wordprint.speech.text import normalise, unknown_characters
from wordprint.spot.said import load_said

MOST = 4
"""Pronunciations of a keyword that are listened for."""


@lru_cache(maxsize=1)
def _larger_lexicon() -> Lexicon | None:
    """Pocketsphinx's, where it is installed."""
    try:
        return Lexicon.bundled()
    except MissingExtraError:
        return None


def pronounce(text: str) -> tuple[list[Pronunciation], list[str]]:
    """Up to MOST pronunciations of an English word or phrase, the likeliest first, and its words whose sound was guessed.

    Raises InputError for a text without letters, or with signs and digits that would be passed over.
    """
    words = normalise(text, "en")
    if not words:
        raise InputError(f"'{text}' has no letters to pronounce", expected="a word or a phrase, or its phones")
    if silent := unknown_characters(text):
        raise InputError(f"'{text}' holds {' '.join(silent)}", expected="a word or a phrase spelled in letters, or its phones")
    variants, guessed = [], []
    for word in words:
        known = _known(word)
        if not known:
            guessed.append(word)
        variants.append(known or [load_g2p()(word)])
    return _combined(variants), guessed


def looked_up(text: str, phones: Collection[str]) -> list[Pronunciation]:
    """Those of its pronunciations that a model with these `phones` can spell; none where a word is in no lexicon, or no word."""
    variants = [_known(word) for word in normalise(text, "en")]
    if not variants or not all(variants) or unknown_characters(text):
        return []
    return [string for string in _combined(variants) if set(phones).issuperset(string)]


def _combined(variants: Sequence[Sequence[Pronunciation]]) -> list[Pronunciation]:
    """MOST strings of a variant of each word: the likeliest of all words first, then those that differ in one word."""
    best: list[tuple[int, tuple[int, ...], Pronunciation]] = [(0, (), ())]
    for known in variants:  # what is not among the best of the first words can't be among the best of all
        longer = sorted(
            (rank + place, (*places, place), (*string, *known[place]))
            for rank, places, string in best
            for place in range(len(known))
        )
        first = {string: (rank, places, string) for rank, places, string in reversed(longer)}
        best = sorted(first.values())[:MOST]
    return [string for _, _, string in best]


def _known(word: str) -> list[Pronunciation]:
    """What the lexicons say, nothing for a word that they don't hold."""
    found = load_said().lookup(word)
    if not found and (larger := _larger_lexicon()) is not None:
        found = larger.lookup(word)
    return found


def parse_phones(text: str, known: Collection[str] = ()) -> list[Pronunciation]:
    """Phones as a person writes them: `L AY T S AA N`, several pronunciations with commas between; raises InputError for none.

    In any case, but for those that a model knows in just this one (`known`): IPA has small letters.
    """
    strings = [tuple(phone if phone in known else phone.upper() for phone in part.split()) for part in text.split(",")]
    strings = [string for string in strings if string]
    if not strings:
        raise InputError(f"'{text}' holds no phones", expected="phones with spaces between, such as 'L AY T S AA N'")
    return list(dict.fromkeys(strings))


def as_text(strings: Sequence[Pronunciation]) -> tuple[str, ...]:
    """Pronunciations as the enrollment holds them."""
    return tuple(" ".join(string) for string in strings)
