"""What each character is to a word: tables for `str.translate` that fill themselves, by Unicode category and not by script.

A letter or a mark (a vowel sign, an accent, a tone) is kept; what only formats (soft hyphen, joiners, direction marks, byte-order
mark) vanishes; all else becomes a space. Characters that depend on their neighbours are left for `text` to decide on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

APOSTROPHES = "'’‘`´＇′‛՚᾽᾿"
"""All of them are `'`; a modifier letter that looks like one is a letter."""

MIDDLE_DOTS = "·‧∙⋅•"
"""All of them are the first one, which Catalan writes inside words."""

MIDDLE = '·:״"'
"""Signs that belong to a word where they stand inside one, as `text` has it."""

_MODIFIER_APOSTROPHES = "ʻʼʽʾʿ"
_GERESH = "׳"
_VANISH = "՛՜՞\u034f"  # Armenian emphasis, exclamation and question stand on a vowel; the combining grapheme joiner
_SPOKEN_SYMBOLS = frozenset("%&@#§‰№")
"""Punctuation by category (or letters once decomposed), yet read aloud."""

_SHARED = (
    dict.fromkeys(map(ord, APOSTROPHES), "'")
    | dict.fromkeys(map(ord, _VANISH), "")
    | dict.fromkeys(map(ord, _SPOKEN_SYMBOLS), " ")
    | {0x200B: " "}  # the zero-width space separates words in Khmer, Thai and Burmese
)

_LATIN = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2})(?: WITH .+)?")
_LATIN_NAMES = {"ß": "ss", "þ": "th", "ð": "d"}
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz'")


class _Table(dict[int, str]):
    """A table for `str.translate` that asks `spell` for what it hasn't seen yet."""

    def __init__(self, known: dict[int, str], spell: Callable[[str], str]) -> None:
        super().__init__(known)
        self._spell = spell

    def __missing__(self, code: int) -> str:
        spelling = self[code] = self._spell(chr(code))
        return spelling


def is_mark(character: str) -> bool:
    """Whether it counts after a letter only: combining marks, tone letters and the like, the Hebrew geresh."""
    category = unicodedata.category(character)
    tone = category == "Sk" and unicodedata.name(character, "").startswith("MODIFIER LETTER")
    return category[0] == "M" or tone or character == _GERESH


def _fold(character: str) -> str:
    """Without what only looks different: width, ligatures, Arabic shapes; `ำ`, `և` and `ʷ` are spelled as they are."""
    folded = unicodedata.normalize("NFKC", character)
    category, how = unicodedata.category(character), unicodedata.decomposition(character).split(" ")[0]
    if category[0] in "LM" and how in ("<compat>", "<super>", "<sub>") and ("\u0500" <= character < "\uf900" or category == "Lm"):
        return character
    return character if category[0] == "L" and " " in folded else folded


def _spell(character: str) -> str:
    folded = _fold(character)
    if folded != character:
        return folded.translate(ANY)
    category = unicodedata.category(character)
    if category == "Cf" or unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
        return ""
    return character if category[0] == "L" or category == "Nl" or is_mark(character) else " "


def _spell_english(character: str) -> str:
    """In a–z without accents, as English lexicons have it; a space where that can't be."""
    return "".join(map(_english_part, unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).lower())))


def _english_part(part: str) -> str:
    if part in _ALPHABET:
        return part
    if unicodedata.category(part) == "Cf" or unicodedata.category(part)[0] == "M":
        return ""
    match = _LATIN.fullmatch(unicodedata.name(part, ""))
    return match[1].lower() if match else _LATIN_NAMES.get(part, " ")


def _spell_plain(character: str) -> str:
    folded = _fold(character)
    if folded != character:
        return folded.translate(PLAIN)
    if "\u0300" <= character < "\u0370":  # an accent that makes no letter of its own
        return ""
    latin = ENGLISH[ord(character)] if unicodedata.name(character, "").startswith("LATIN") else " "
    return latin if latin != " " else character if character.isdecimal() else ANY[ord(character)]


ANY = _Table(
    _SHARED | dict.fromkeys(map(ord, MIDDLE_DOTS), MIDDLE[0]) | {ord(sign): sign for sign in MIDDLE} | {ord("İ"): "i"}, _spell
)
"""Of any language: all letters and marks; case stays."""

ENGLISH = _Table(_SHARED | dict.fromkeys(map(ord, _MODIFIER_APOSTROPHES), "'"), _spell_english)
"""Of English: a–z and the apostrophe, in lower case."""

PLAIN = _Table(ANY | {}, _spell_plain)
"""Of a language that isn't known: like ANY, but Latin letters without accents, in lower case, and with digits."""


@lru_cache(maxsize=8192)
def unknown_parts(character: str, english: bool) -> str:
    """What of a character is read aloud but can't be written: digits, spoken symbols, in English other alphabets; else empty."""
    table = ENGLISH if english else ANY
    if character in _SPOKEN_SYMBOLS:
        return character
    if table[ord(character)] != " ":
        return ""
    parts = unicodedata.normalize("NFKC", character).lower()
    return "".join(part for part in parts if unicodedata.category(part)[0] in "LNS" and not is_mark(part))
