"""What a keyword is confused with, by name: words and phrases that sound like it, weighted by how often they are said.

    strings, _ = pronounce("alexa")
    confusable(model, "alexa", strings)         # alexis, election, ...

Of each word and phrase of English the stretch of phones that is most like the keyword's is found by edit distance; the likeliest of
them are encoded by the model, which knows better, and compared as spans of a stream are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.speech.lexicon import Pronunciation
from wordprint.speech.text import normalise
from wordprint.spot.edits import Stretches, Texts, stretches, texts_of
from wordprint.spot.said import LETTERS, PHONES, Said, from_letters, load_said

TENFOLD = 0.08
"""So much more similar must a text be that is said a tenth as often, to be named before another.

Around the threshold, a text that is 0.1 more similar fires about ten times as often when it is said. Far below it the odds fall
more slowly, and more weight on how often would foretell a few false alarms more: with names such as `the`, which say nothing.
"""
COST = 0.3
"""About how much less similar to a keyword of one phone an edit of cost 1 makes a stretch: only to choose what is encoded."""
ENCODED = 3000
"""Different stretches that are encoded, at most."""
COMPARED = 300
"""Texts, the likeliest, whose phones are laid against the keyword's."""
TEXTS_EACH = 4
"""Texts that are looked at for each of them: of a short keyword the same stretches lie in very many."""
TOGETHER = 128
"""Phone strings of about the same length that are encoded at once."""
FIRST_GUESSES, ROUNDS = 2000, 12
"""What a recording sounds like is sought from the commonest words on, one edit a round."""


class Speller(Protocol):
    """What encodes phone strings: a model."""

    phones: tuple[str, ...]

    def spell(self, strings: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Unit vectors (U, D)."""
        ...


@dataclass(frozen=True, slots=True)
class Confusable:
    """A word or phrase that a keyword may fire on."""

    text: str
    similarity: float
    """Of that part of it which is most like the keyword (higher is more alike)."""
    per_million: float
    """How often it is said, of a million words or of a million pairs of words."""
    phones: str
    """That part."""


class _Found(NamedTuple):
    """A text and its part, as letters; `main` is the word that most of the part lies in."""

    words: tuple[str, ...]
    part: str
    main: str
    rate: float


def confusable(
    model: Speller,
    text: str,
    strings: Sequence[Pronunciation],
    prototypes: ArrayLike | None = None,
    *,
    unlike: Callable[[list[Pronunciation]], NDArray[np.float32]] | None = None,
    most: int = 10,
    at_least: float = -1.0,
    said: Said | None = None,
) -> list[Confusable]:
    """Up to `most` texts that a keyword may fire on, the likeliest to make false alarms first.

    `text` is the keyword as it is written: what says all of it is left out. `strings` are its pronunciations; without any, what
    its `prototypes` (P, D) sound like. Similarities, `at_least` so high, are those to the prototypes; without any, to the
    pronunciations; less what phone strings are `unlike` it. None is found with a model that doesn't know the phones of English.
    `said` may be another list.
    """
    if not set(PHONES) <= set(model.phones) or (prototypes is None and not strings):
        return []
    said = load_said() if said is None else said
    vectors = model.spell(strings) if prototypes is None else np.asarray(prototypes, np.float32)
    found = list(candidates(said, normalise(text), strings or [sounds_like(model, vectors, said)]))
    similar = dict(zip(parts := list({one.part: None for one in found}), _similarities(model, parts, vectors), strict=True))
    likely = lambda one: (-similar[one.part] - TENFOLD * np.log10(one.rate), one.words)
    found.sort(key=likely)
    if unlike is not None and found:
        found = found[:COMPARED]
        parts = list({one.part: None for one in found})
        lost = unlike([from_letters(part) for part in parts])
        similar = {part: similar[part] - less for part, less in zip(parts, lost, strict=True)}
        found.sort(key=likely)
    found = [one for one in found if similar[one.part] >= at_least]
    named: dict[str, _Found] = {}
    for one in found:
        named.setdefault(_family(one, normalise(text)), one)
    return [
        Confusable(" ".join(one.words), round(float(similar[one.part]), 4), one.rate, " ".join(from_letters(one.part)))
        for one in islice(named.values(), most)
    ]


def candidates(said: Said, keyword: Sequence[str], strings: Sequence[Pronunciation], encoded: int = ENCODED) -> Iterator[_Found]:
    """The likeliest texts by edit distance and rate, with up to `encoded` different parts among them."""
    texts = texts_of(said)
    found = stretches(strings, texts)
    apart = COST / np.mean([len(string) for string in strings]) * found.costs
    order = np.argsort(apart - TENFOLD * np.log10(texts.rates), kind="stable")
    parts: set[str] = set()
    for row in order[: TEXTS_EACH * encoded].tolist():
        one = _found(said, texts, found, row)
        if not one.part or _says(one.words, keyword):
            continue
        if len(parts) == encoded and one.part not in parts:
            return
        parts.add(one.part)
        yield one


def _found(said: Said, texts: Texts, found: Stretches, row: int) -> _Found:
    start, stop, rate = int(found.starts[row]), int(found.stops[row]), float(texts.rates[row])
    if row < len(texts.words):
        word = said.words[texts.words[row]]
        return _Found((word,), texts.spelled[row][start:stop], word, rate)
    first, second = texts.pairs[row - len(texts.words)].tolist()
    words = (said.words[texts.words[first]], said.words[texts.words[second]])
    before, after = texts.spelled[first][start:], texts.spelled[second][:stop]
    return _Found(words, before + after, words[len(after) > len(before)], rate)


def _family(one: _Found, keyword: Sequence[str]) -> str:
    """Texts of one family are named once: with the same main word, in the plural too; and all that go on where the keyword ends."""
    written = " ".join(keyword)
    if written and any(text.startswith(written) for text in (" ".join(one.words), one.main)):
        return written
    return one.main.rstrip("'s")


def _says(words: Sequence[str], keyword: Sequence[str]) -> bool:
    """Whether a text has all of the keyword, word after word, written apart or not; `alexa's` says `alexa`."""
    plain, wanted = ([word.removesuffix("'s") for word in text] for text in (words, keyword))
    runs = (plain[start:stop] for start in range(len(plain)) for stop in range(start + 1, len(plain) + 1))
    return "".join(wanted) in map("".join, runs)


def sounds_like(model: Speller, prototypes: NDArray[np.float32], said: Said) -> Pronunciation:
    """The phone string that the model encodes to what is nearest to a keyword's prototypes (P, D): a common word, then edited."""
    wanted = prototypes.mean(axis=0, keepdims=True)
    common = np.argsort(-said.word_rates, kind="stable")[:FIRST_GUESSES]
    tried = list(dict.fromkeys(said.variants[place].split(" ")[0] for place in common.tolist()))
    best, similarity = "", -np.inf
    for _ in range(ROUNDS):
        similarities = _similarities(model, tried, wanted)
        if similarities.max() <= similarity:
            break
        best, similarity = tried[int(similarities.argmax())], similarities.max()
        tried = sorted(_edited(best))
    return from_letters(best)


def _edited(string: str) -> set[str]:
    """Strings one phone away: one more, one less, or another."""
    places = range(len(string) + 1)
    more = {string[:place] + letter + string[place:] for place in places for letter in LETTERS}
    other = {string[:place] + letter + string[place + 1 :] for place in places[:-1] for letter in LETTERS}
    less = {string[:place] + string[place + 1 :] for place in places[:-1]} - {""}
    return more | other | less


def _similarities(model: Speller, parts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarity (U,) of each string of letters to the nearest of `vectors`."""
    similarities = np.zeros(len(parts), np.float32)
    order = sorted(range(len(parts)), key=lambda number: len(parts[number]))
    for start in range(0, len(order), TOGETHER):
        numbers = order[start : start + TOGETHER]
        spelled = model.spell([from_letters(parts[number]) for number in numbers])
        similarities[numbers] = (spelled @ vectors.T).max(axis=1)
    return similarities
