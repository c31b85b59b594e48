"""Pronunciation dictionaries: the one inside pocketsphinx's wheel, or a file in MFA, CMU, Kaldi or LibriSpeech form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from wordprint.errors import InputError, kind_of, require_extra
from wordprint.speech.text import spell
from wordprint.stages.textfile import read_text

Pronunciation = tuple[str, ...]
"""Phones, in order; never empty."""

_ARPABET = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
ARPABET = frozenset(_ARPABET.split())
"""The 39 phones of the bundled lexicon, and of pocketsphinx's acoustic model."""

_VARIANT = re.compile(r"\(\d+\)$")
_STRESSED = re.compile(r"[A-Z]{2}[012]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def strip_variant(word: str) -> str:
    """`your(2)` → `your`: the suffix that numbers a word's pronunciations is not part of the word."""
    return _VARIANT.sub("", word)


class Lexicon:
    """Words (lower case) and their pronunciations. `word in lexicon`, `len(lexicon)`, and iteration over words work."""

    def __init__(self, entries: Mapping[str, Iterable[Pronunciation]]) -> None:
        # joined phones take a third of the memory of tuples: the bundled lexicon has 126k words
        self._entries = {word: tuple(" ".join(phones) for phones in variants) for word, variants in entries.items()}

    @classmethod
    def bundled(cls) -> Lexicon:
        """The English lexicon inside pocketsphinx's wheel (CMU, 39 ARPAbet phones without stress)."""
        try:
            from pocketsphinx import get_model_path
        except ImportError as error:
            raise require_extra("pocketsphinx", "align", "the bundled lexicon") from error
        return cls.read(get_model_path("en-us/cmudict-en-us.dict"))

    @classmethod
    def read(cls, path: str | Path, *, stress: bool = False) -> Lexicon:
        """A dictionary file: one word a line, tabs or spaces, then (optional probabilities and) phones.

        Stress marks (`AH0`, kept with `stress`), variant suffixes (`your(2)`), comments (`;;;`, `#`) and entries that are no words
        (`<unk>`, `[noise]`) go; so do empty pronunciations, which crash pocketsphinx. Raises InputError for a missing
        file and for one without any pronunciation.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(kind_of(path), expected="a pronunciation dictionary")
        lexicon = cls.__new__(cls)
        try:
            lines = read_text(path, fallback="latin-1").splitlines()  # the CMU dictionary 0.7b is the one file still in it
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is no text ({error})", expected="a pronunciation dictionary in UTF-8") from error
        lexicon._entries = _parse(lines, stress)
        if not lexicon._entries:
            raise InputError(f"{path} holds no pronunciations", expected="lines of a word and its phones, such as 'tree T R IY'")
        return lexicon

    def lookup(self, word: str) -> list[Pronunciation]:
        """Pronunciations of a word, the commonest first; an empty list for an OOV word."""
        return [tuple(phones.split(" ")) for phones in self._entries.get(word, ())]

    def phones(self) -> set[str]:
        """Every phone that occurs."""
        return {phone for variants in self._entries.values() for phones in variants for phone in phones.split(" ")}

    def __contains__(self, word: object) -> bool:
        return word in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


def _parse(lines: Iterable[str], stress: bool) -> dict[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line.startswith((";;;", "##")):
            continue
        fields = line.split(" #", 1)[0].split()
        if not fields or fields[0][0] in "<[":
            continue
        word = strip_variant(fields[0]).lower()
        word = word if word.isascii() else spell(word)
        phones = _phones(fields[1:], stress)
        if phones and phones not in entries.get(word, ()):
            entries[word] = (*entries.get(word, ()), phones)
    return entries


def _phones(fields: list[str], stress: bool) -> str:
    """Phones without the probability columns before them and, unless `stress`, without stress marks."""
    start = 0
    while start < len(fields) and _NUMBER.fullmatch(fields[start]):
        start += 1
    return " ".join(phone[:-1] if not stress and _STRESSED.fullmatch(phone) else phone for phone in fields[start:])
