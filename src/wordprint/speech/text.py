"""Transcript → words: the one place that says what a word is.

Words are lower case, in composed Unicode (NFC), with letters and marks of any script, and with what stands inside them:
apostrophes (`don't`), the dot of Catalan (`col·legi`), the colon of Swedish (`EU:s`), Hebrew gershayim. The elisions of
English that start with an apostrophe keep it (`'tis`). Hyphens and punctuation separate words. What stands in brackets
(`[noise]`, `(laughs)`, `<unk>`) is no word: `noise_marks` names it. What is read aloud but not spelled out (`7`, `%`), and in
English another alphabet, can't be handled: `unknown_characters` reports it, and `normalise` leaves it out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from wordprint.speech.characters import ANY, ENGLISH, MIDDLE, PLAIN, unknown_parts

ELISIONS = frozenset({"'bout", "'cause", "'course", "'cuse", "'em", "'gain", "'kay", "'n'", "'round", "'til", "'tis", "'twas"})
"""English words whose leading apostrophe is theirs; elsewhere an outer apostrophe is a quotation mark or a plural's (dogs')."""

_DOTLESS = frozenset({"tr", "az", "crh", "gag", "kaa", "tur", "aze", "azj", "azb"})
"""Languages, by their codes in ISO 639, that write both i and ı: their capital I is the one without a dot."""

_NOISE = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|<+[^\s<>][^<>]*>+")
_BRACKETS = re.compile(r"[\[({<［（｛＜]")
_WIDE_BRACKETS = str.maketrans("［（｛＜］）｝＞", "[({<])}>")

_APART = re.compile(
    r"(?<=[a-z]) +(?=(?:'(?:s|m|re|ve|ll|d)|n't)(?![a-z']))"  # it 's, does n't
    r"|(?<=n) +(?='t(?![a-z']))"  # don 't, as TED-LIUM has it
    r"|(?:(?<=\b[cdloy])|(?<=\bma)) +(?='(?!em\b|tis\b|twas\b|cause\b|til\b)[a-z]{2}[a-z]*(?![a-z']))"  # o 'clock, y 'all
)
_ELIDED_APART = re.compile(r"(?<!\S)([cdjlmnst]|\w*qu|\w*ll)' +(?=\w)")  # l' homme, qu' il, dell' arte
_MIDDLE = re.compile(f"[{MIDDLE}]+")
_STRAY_MARKS = re.compile(rf"(?<![^\s'{MIDDLE}])[^\w\s'{MIDDLE}]+")
_CHILLU = re.compile("([ണനരലളക])\u0d4d\u200d")
_CHILLUS = dict(zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True))


@lru_cache(maxsize=1024)
def base_language(language: str) -> str:
    """`en` for `en`, `EN`, `en-GB` and `en_US`."""
    return language.replace("_", "-").split("-", 1)[0].lower()


def normalise(transcript: str, language: str = "en") -> list[str]:
    """Words of a transcript, in order; an empty list when nothing in it is a word.

    English keeps `a`–`z`, drops accents (`café` → `cafe`, as its lexicons have it) and joins clitics that are written apart
    (`it 's`); other languages keep their letters. Turkish and its neighbours have `I` as the capital of `ı`.
    """
    language, text = base_language(language), _without_noise(transcript)
    if language == "en":
        text = text.translate(ENGLISH)
        if "'" not in text:
            return text.split()
        words = _APART.sub("", text).split()
        return [word for word in (word if word in ELISIONS else word.strip("'") for word in words) if word]
    text = _compose(text).translate(ANY)
    return _words(text.replace("I", "ı") if language in _DOTLESS else text)


def unknown_characters(transcript: str, language: str = "en") -> str:
    """Sorted distinct characters that `normalise` can't handle: digits, spoken symbols, in English letters of other scripts."""
    english = base_language(language) == "en"
    characters = set(_compose(_without_noise(transcript)))
    return "".join(sorted(set("".join(unknown_parts(character, english) for character in characters))))


def noise_marks(transcript: str) -> list[str]:
    """What stands in `[]`, `()`, `{}` or `<>` and so is no word, in lower case and in order: `[laughter]`.

    Round brackets inside a word (`book(s)`) mark no noise.
    """
    return [" ".join(text[start:end].lower().split()) for text, start, end in _noise(transcript)]


def plain_words(text: str) -> list[str]:
    """Words of a text in any language, spelled the plainest way: `Café` is `cafe`, `don’t` `don't`, `hi-fi` `hi fi`.

    For comparing words whose language isn't known; Latin letters lose their accents, as `normalise` has it for English.
    """
    return _words(_compose(text).translate(PLAIN))


def spell(word: str) -> str:
    """A word of a lexicon as `normalise` writes it where the language keeps its letters; its hyphens and digits stay."""
    spelled = (sign if ANY[ord(sign)] == " " else ANY[ord(sign)] for sign in _compose(word))
    return unicodedata.normalize("NFC", "".join(spelled).lower()).replace("i\u0307", "i")


def _compose(text: str) -> str:
    if "\u0d4d\u200d" in text:  # how Malayalam wrote its final consonants before Unicode 5.1
        text = _CHILLU.sub(lambda match: _CHILLUS[match[1]], text)
    return unicodedata.normalize("NFC", text)


def _words(text: str) -> list[str]:
    """Words of a text in which only letters, marks, `'` and MIDDLE are no spaces."""
    text = unicodedata.normalize("NFC", text.lower()).replace("i\u0307", "i")
    if not text.isascii():
        text = _STRAY_MARKS.sub("", text)
        if "ʼ" in text:
            text = re.sub(r"(?<=\S)ʼ(?=\S)", "'", text)
    text = _MIDDLE.sub(_middle, text)
    if "'" not in text:
        return text.split()
    text = _ELIDED_APART.sub(r"\1'", text)
    return [word for part in text.split() if (word := part.strip("'"))]


def _middle(match: re.Match[str]) -> str:
    """A sign of MIDDLE, spelled one way, where it stands inside a word; else a space."""
    sign, before, after = match[0], match.string[: match.start()][-1:], match.string[match.end() :][:1]
    if len(sign) > 1 or not before.strip() or not after.strip():
        return " "
    if sign in "·:":  # between letters with case: 他说:好 are two words
        return sign if all(letter.islower() or not letter.isalnum() for letter in (before, after)) else " "
    return "״" if min(before, after) >= "\u0590" and max(before, after) <= "\u05ff" else " "


def _without_noise(transcript: str) -> str:
    """The transcript with a space in place of each noise mark."""
    for text, start, end in _noise(transcript):
        transcript = f"{text[:start]} {text[end:]}"
    return transcript


def _noise(transcript: str) -> Iterator[tuple[str, int, int]]:
    """(text, start, end) of each noise mark in turn, where `text` has those before it no more."""
    if not _BRACKETS.search(transcript):
        return
    text, start = transcript.translate(_WIDE_BRACKETS), 0
    while match := _NOISE.search(text, start):
        start = match.start()
        if match[0][0] == "(" and any(map(_is_cased, (text[:start][-1:], text[match.end() :][:1]))):
            start += 1
            continue
        yield text, start, match.end()
        text = f"{text[:start]} {text[match.end() :]}"


def _is_cased(character: str) -> bool:
    return character.lower() != character.upper()
