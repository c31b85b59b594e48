"""Transcript → words: the one place that says which characters make a word.

Words are lower case, in composed Unicode (NFC), with apostrophes kept inside them (`don't`) and in the elisions that
start with one (`'tis`). Hyphens and punctuation separate words. What is read aloud but not spelled out (`7`, `%`), or
belongs to another script, can't be handled: `unknown_characters` reports it, and `normalise` leaves it out.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ`´＇"), "'")

ELISIONS = frozenset({"'bout", "'cause", "'course", "'cuse", "'em", "'gain", "'kay", "'n'", "'round", "'til", "'tis", "'twas"})
"""English words whose leading apostrophe is theirs; elsewhere an outer apostrophe is a quotation mark or a plural's (dogs')."""

_SPOKEN_SYMBOLS = frozenset("%&@#§‰№")
"""Punctuation by category, yet read aloud."""

_SCRIPTS = {
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "tg", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ps", "ur"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)),
    **dict.fromkeys(("sr", "uz"), ("CYRILLIC", "LATIN")),
    "am": ("ETHIOPIC",),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "hy": ("ARMENIAN",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    "ka": ("GEORGIAN",),
    "ko": ("HANGUL",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "yue": ("CJK",),
    "zh": ("CJK",),
}
"""Scripts, as the first word of Unicode character names, of languages (ISO 639-1) that are not written in Latin."""


def base_language(language: str) -> str:
    """`en` for `en`, `EN`, `en-GB` and `en_US`."""
    return language.replace("_", "-").split("-", 1)[0].lower()


def normalise(transcript: str, language: str = "en") -> list[str]:
    """Words of a transcript, in order; an empty list when nothing in it is a word.

    English keeps `a`–`z` and drops accents (`café` → `cafe`, as its lexicons have it); other languages keep theirs.
    """
    language = base_language(language)
    letters = "".join(_as_word_character(c, language) for c in _fold(transcript, language))
    words = (_strip_quotes(word, language) for word in letters.split())
    return [word for word in words if word]


def unknown_characters(transcript: str, language: str = "en") -> str:
    """Sorted distinct characters that `normalise` can't handle: digits, spoken symbols, letters of other scripts."""
    language = base_language(language)
    return "".join(sorted({c for c in _fold(transcript, language) if _kind(c, language) == "unknown"}))


def plain_words(text: str) -> list[str]:
    """Words of a text in any language, spelled the plainest way: `Café` is `cafe`, `don’t` `don't`, `hi-fi` `hi fi`.

    For comparing words whose language isn't known; Latin letters lose their accents, as `normalise` has it for English.
    """
    folded = "".join(_fold(c, "en") if unicodedata.name(c, "").startswith("LATIN") else c for c in _fold(text, ""))
    letters = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return [word for part in letters.split() if (word := part.strip("'"))]


def _fold(transcript: str, language: str) -> str:
    text = unicodedata.normalize("NFKC", transcript.translate(_APOSTROPHES)).lower()
    if language == "en":
        text = unicodedata.normalize("NFKD", text.replace("æ", "ae").replace("œ", "oe").replace("ø", "o"))
        return "".join(c for c in text if not unicodedata.combining(c))
    return text


def _as_word_character(character: str, language: str) -> str:
    return character if _kind(character, language) == "letter" else " "


@lru_cache(maxsize=8192)
def _kind(character: str, language: str) -> str:
    """`letter`, `separator` or `unknown`."""
    if language == "en":
        if "a" <= character <= "z" or character == "'":
            return "letter"
    elif character == "'" or _in_script(character, language):
        return "letter"
    category = unicodedata.category(character)
    if category[0] in "PZC" and character not in _SPOKEN_SYMBOLS:
        return "separator"
    return "unknown"


def _in_script(character: str, language: str) -> bool:
    category = unicodedata.category(character)
    if category[0] == "M":
        return True
    script = unicodedata.name(character, "").split(" ")[0]
    return category[0] == "L" and script in _SCRIPTS.get(language, ("LATIN",))


def _strip_quotes(word: str, language: str) -> str:
    if language == "en" and word in ELISIONS:
        return word
    return word.strip("'")
