"""What is said in English: words with their pronunciations, phrases of two words, and how often each is said.

    said = load_said()
    said.lookup("alexis")                   # [("AH", "L", "EH", "K", "S", "IH", "S")]
    said.per_million("a", "lexus")          # how many of a million pairs of words

It ships with the package (`models/said.zip`, made by `docs/make_said.py`; its `about.json` says from what), so that a keyword can
be typed, and what it is confused with be named, where nothing else is installed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from itertools import islice, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.lexicon import ARPABET, Pronunciation

SCHEMA = "wordprint.said/1"
FILE = "models/said.zip"
"""Where it lies in the package."""
PHONES = tuple(sorted(ARPABET))
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
"""One for each of PHONES: a pronunciation is kept as a string of them."""
STEPS = 8
"""How often something is said is kept in eighths of a power of ten: 33 % apart."""

_PHONE = dict(zip(LETTERS, PHONES, strict=True))
_LETTER = {phone: letter for letter, phone in _PHONE.items()}
_NONE_SHARED, _MOST_SHARED = 65, 57
"""A line begins with a character that says how much of the line before it repeats: nothing is `A`."""
_DATE = (1980, 1, 1, 0, 0, 0)


class Said:
    """W words, sorted, and P phrases of two of them.

    `variants` (W,): a word's pronunciations, the commonest first, as letters with spaces between. `word_rates` (W,): how many of
    a million words are this one. `phrases` (P, 2): places in `words`, sorted. `phrase_rates` (P,): how many of a million pairs of
    words are this one.
    """

    def __init__(
        self,
        words: Sequence[str],
        variants: Sequence[str],
        word_rates: NDArray[np.float32],
        phrases: NDArray[np.int64],
        phrase_rates: NDArray[np.float32],
    ) -> None:
        self.words, self.variants, self.word_rates = words, variants, word_rates
        self.phrases, self.phrase_rates = phrases, phrase_rates
        self._place = {word: place for place, word in enumerate(words)}

    def lookup(self, word: str) -> list[Pronunciation]:
        """Pronunciations of a word, the commonest first; an empty list for a word that isn't here."""
        place = self._place.get(word)
        return [] if place is None else [from_letters(letters) for letters in self.variants[place].split(" ")]

    def per_million(self, *words: str) -> float:
        """How often a word, or a phrase of two, is said; 0 for what isn't here."""
        places = [self._place.get(word, -1) for word in words]
        if len(places) == 1:
            return float(self.word_rates[places[0]]) if places[0] >= 0 else 0.0
        return float(self.phrase_rates[(self.phrases == places).all(axis=1)].sum()) if len(places) == 2 else 0.0

    def __contains__(self, word: object) -> bool:
        return word in self._place

    def __len__(self) -> int:
        return len(self.words)


def to_letters(string: Sequence[str]) -> str:
    """A phone string of PHONES as letters."""
    return "".join(_LETTER[phone] for phone in string)


def from_letters(letters: str) -> Pronunciation:
    """What `to_letters` was given."""
    return tuple(_PHONE[letter] for letter in letters)


@lru_cache(maxsize=1)
def load_said() -> Said:
    """The list that ships with wordprint; read once."""
    return unpack(resources.files("wordprint").joinpath(FILE).read_bytes())


def pack(
    words: Mapping[str, tuple[Sequence[Pronunciation], float]], phrases: Mapping[tuple[str, str], float], about: Mapping[str, Any]
) -> bytes:
    """The content of a list: of each word its pronunciations and how many of a million words it is, of each phrase of two of them
    how many of a million pairs. The order of the mappings doesn't matter."""
    spelled = sorted(words)
    place = {word: number for number, word in enumerate(spelled)}
    pairs = sorted((place[first], place[second], rate) for (first, second), rate in phrases.items())
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    steps = np.diff(seconds, prepend=0)
    fresh = np.diff(firsts, prepend=-1) != 0
    steps[fresh] = seconds[fresh]  # within the phrases of one first word the second ones ascend
    return _zipped(
        {
            "about.json": json.dumps({"schema": SCHEMA, **about}, indent=1, ensure_ascii=False).encode(),
            "words": _shortened(spelled),
            "pronunciations": _shortened(" ".join(map(to_letters, words[word][0])) for word in spelled),
            "word_rates": _coded(words[word][1] for word in spelled),
            "phrases": np.bincount(firsts, minlength=len(spelled)).astype("<u4").tobytes(),
            "seconds": np.ascontiguousarray(steps.astype("<u4").view(np.uint8).reshape(-1, 4).T).tobytes(),
            "phrase_rates": _coded(rate for _, _, rate in pairs),
        }
    )


def unpack(content: bytes) -> Said:
    """What `pack` was given, rates rounded."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        part = {name: archive.read(name) for name in archive.namelist()}
    words, counts = _whole(part["words"]), np.frombuffer(part["phrases"], "<u4").astype(np.int64)
    bytes_of_steps = np.frombuffer(part["seconds"], np.uint8).reshape(4, -1)
    sums = np.cumsum(np.ascontiguousarray(bytes_of_steps.T).view("<u4")[:, 0].astype(np.int64))
    before = np.cumsum(counts) - counts
    offsets = np.concatenate([[0], sums])[before]  # what was summed up before the phrases of each first word
    firsts = np.repeat(np.arange(len(words)), counts)
    phrases = np.stack([firsts, sums - np.repeat(offsets, counts)], axis=1)
    rates = (_decoded(part["word_rates"]), _decoded(part["phrase_rates"]))
    return Said(words, _whole(part["pronunciations"]), rates[0], phrases, rates[1])


def _zipped(parts: Mapping[str, bytes]) -> bytes:
    """Equal parts give equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), part, zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def _shortened(lines: Iterable[str]) -> bytes:
    """Lines without what they share with the one before."""
    short, before = [], ""
    for line in lines:
        same = (one == other for one, other in zip(before, line, strict=False))
        shared = sum(takewhile(bool, islice(same, _MOST_SHARED)))
        short.append(chr(_NONE_SHARED + shared) + line[shared:])
        before = line
    return "\n".join(short).encode("ascii")


def _whole(short: bytes) -> list[str]:
    lines, before = [], ""
    for line in short.decode("ascii").split("\n"):
        before = before[: ord(line[0]) - _NONE_SHARED] + line[1:]
        lines.append(before)
    return lines


def _coded(rates: Iterable[float]) -> bytes:
    """A byte each: 0 is a whole million, STEPS more a tenth of it."""
    steps = np.rint(STEPS * (6 - np.log10(np.fromiter(rates, np.float64))))
    return bytes(np.clip(steps, 0, 255).astype(np.uint8))


def _decoded(steps: bytes) -> NDArray[np.float32]:
    return (10 ** (6 - np.frombuffer(steps, np.uint8) / STEPS)).astype(np.float32)
