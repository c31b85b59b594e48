"""Where in anything that is said the phones are most like a keyword's: an edit distance that knows which phones are alike.

A spotter compares any span of a stream, also one that begins inside a word and ends inside the next. So of each word the stretch
of phones is found that takes the least edits to become the keyword's, and of each phrase the one across both of its words
(Sellers, 1980). All words go through the same steps at once, the phrases go on where their first words have ended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.lexicon import Pronunciation
from wordprint.spot.said import LETTERS, PHONES, Said

VOWELS = frozenset(phone for phone in PHONES if phone[0] in "AEIOU")
ALIKE, VOWEL, CONSONANT, OTHER = 2, 4, 5, 9
"""Cost of a phone for one that is like it, of another vowel for a vowel, of a consonant for a consonant, of one for the other."""
VOWEL_GAP, CONSONANT_GAP = 7, 4
"""Cost of a phone too many or too few. All costs are about what an edit takes from the similarity of what a model encodes to."""
MOST_PHONES = 24
"""Words of more phones, and keywords, are cut off there."""
MOST_VARIANTS = 3
"""Pronunciations of each word of a phrase."""
_ALIKE = """
IY IH EY, IH EH AH, EH AE AH, AA AO AH AE, AO OW, OW UH UW, UH AH ER, AY AA AE, AW AA OW, OY AO OW, ER R, UW W, IY Y
P B T K, T D K G, B D G, P F, B V, F TH S, V DH Z, S Z SH, SH CH ZH JH, T CH, D JH, D DH, T TH
M N NG, L W R, L OW, N D L, HH F TH, V W, K HH, NG G
"""
"""Phones that are taken for each other, in groups."""

_CODE = np.zeros(128, np.uint8)
_CODE[np.frombuffer(LETTERS.encode(), np.uint8)] = np.arange(1, len(LETTERS) + 1)
_SHIFT = 5
"""A cost and where a stretch begins share a number: the lower bits say where, so that of equal costs the longest is least."""
_WHERE = np.uint16((1 << _SHIFT) - 1)
_NEVER = np.uint16(1 << 14)
"""More than all edits together cost."""

Costs = NDArray[np.uint16]


class Texts(NamedTuple):
    """V pronunciations of words, the longest first, and T of phrases, those with the longest second words first."""

    codes: NDArray[np.uint8]
    """(MOST_PHONES, V): a phone's place in PHONES, from 1 on; 0 after the last."""
    spelled: list[str]
    """(V,): as letters."""
    lengths: NDArray[np.int64]
    """(V,): phones."""
    words: NDArray[np.int64]
    """(V,): of which word of the list."""
    pairs: NDArray[np.int64]
    """(T, 2): of which pronunciations."""
    rates: NDArray[np.float32]
    """(V + T,): how often it is said, of a million."""


class Stretches(NamedTuple):
    """Of each of the V + T texts the phones most like the keyword's: what the edits cost, where in it they begin (of a phrase: in
    its first word), and where they end (of a phrase: in its second)."""

    costs: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


@lru_cache(maxsize=2)
def texts_of(said: Said) -> Texts:
    """All that is said, as phones."""
    counts = np.array([letters.count(" ") + 1 for letters in said.variants])
    spelled = [letters[:MOST_PHONES] for letters in " ".join(said.variants).split(" ")]
    lengths = np.array([len(letters) for letters in spelled])
    order = np.argsort(-lengths, kind="stable")
    place = np.argsort(order, kind="stable")
    spelled = [spelled[number] for number in order.tolist()]
    joined = np.frombuffer("".join(letters.ljust(MOST_PHONES, "\0") for letters in spelled).encode("ascii"), np.uint8)
    codes = np.ascontiguousarray(_CODE[joined].reshape(-1, MOST_PHONES).T)
    words = np.repeat(np.arange(len(counts)), counts)[order]
    phrases, firsts, seconds = _ways(said.phrases, counts)
    longest_first = np.argsort(-lengths[seconds], kind="stable")
    pairs = place[np.stack([firsts, seconds], axis=1)[longest_first]]
    rates = np.concatenate([said.word_rates[words], said.phrase_rates[phrases[longest_first]]])
    return Texts(codes, spelled, lengths[order], words, pairs, rates)


def _ways(phrases: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each phrase in each way to say it: its place, and those of its words' pronunciations, of which a word has `counts` (W,)."""
    starts, used = np.cumsum(counts) - counts, np.minimum(counts, MOST_VARIANTS)
    ways = used[phrases].prod(axis=1)
    places = np.repeat(np.arange(len(phrases)), ways)
    way = np.arange(len(places)) - np.repeat(np.cumsum(ways) - ways, ways)
    first, second = phrases[places].T
    return places, starts[first] + way // used[second], starts[second] + way % used[second]


def stretches(strings: Sequence[Pronunciation], texts: Texts) -> Stretches:
    """What in each text takes the least edits to become one of a keyword's pronunciations; of equal ones the longest."""
    found: Stretches | None = None
    for string in strings:
        other = _stretches(string[:MOST_PHONES], texts)
        better = np.zeros(0, bool) if found is None else other.costs < found.costs
        found = other if found is None else Stretches(*(np.where(better, *both) for both in zip(other, found, strict=True)))
    if found is None:
        raise ValueError("no pronunciation")
    return found


def _stretches(string: Pronunciation, texts: Texts) -> Stretches:
    phones = [PHONES.index(phone) + 1 for phone in string]
    missing = np.concatenate([[0], np.cumsum(_gaps()[phones])]).astype(np.uint16)
    column = [np.full(len(texts.words), cost) for cost in missing]
    of_words = _run(phones, column, texts.codes, texts.lengths, begins=True)
    firsts, seconds = texts.pairs.T
    column = [costs[firsts] for costs in column]
    of_phrases = _run(phones, column, texts.codes[:, seconds], texts.lengths[seconds], begins=False)
    best, stops = np.concatenate([of_words[0], of_phrases[0]]), np.concatenate([of_words[1], of_phrases[1]])
    return Stretches((best >> _SHIFT).astype(np.int64), (best & _WHERE).astype(np.int64), stops.astype(np.int64))


def _run(
    phones: Sequence[int], column: list[Costs], codes: NDArray[np.uint8], lengths: NDArray[np.int64], *, begins: bool
) -> tuple[Costs, NDArray[np.uint8]]:
    """Goes on from `column`, in place, through texts (N,), the longest first: the least cost of a stretch, and where it ends.

    `begins`: whether stretches may begin in these texts; each then has a phone of its text or more.
    """
    changes, gaps = _changes(), _gaps()
    best, stops = np.full(len(lengths), _NEVER), np.zeros(len(lengths), np.uint8)
    if not begins:
        column[0][:] = _NEVER
    counts = np.searchsorted(-lengths, -np.arange(int(lengths.max(initial=0))), side="left").tolist()  # longer than 0, 1, …
    for heard, (count, following) in enumerate(zip(counts, [*counts[1:], 0], strict=True)):
        row = codes[heard, :count]
        changed, added = {phone: changes[phone].take(row) for phone in set(phones)}, gaps.take(row)
        before, left = column[0][:count].copy(), np.full(count, _NEVER)
        if begins:
            left[:following] = heard + 1
        column[0][:count] = left
        for number, phone in enumerate(phones, start=1):
            costs = before + changed[phone]
            np.minimum(costs, left + gaps[phone], out=costs)
            before = column[number][:count].copy()
            if number < len(phones):  # a phone too many is inside a stretch, never at an end
                np.minimum(costs, before + added, out=costs)
            column[number][:count] = left = costs
        stops[:count][left < best[:count]] = heard + 1
        np.minimum(best[:count], left, out=best[:count])
    return best, stops


@lru_cache(maxsize=1)
def _changes() -> Costs:
    """Cost (phones, phones), by their codes, of hearing one for another."""
    vowel = np.array([phone in VOWELS for phone in ("", *PHONES)])
    costs = np.where(vowel[:, None] != vowel, OTHER, np.where(vowel, VOWEL, CONSONANT))
    code = {phone: number for number, phone in enumerate(PHONES, start=1)}
    for group in re.split(r"[,\n]", _ALIKE.strip()):
        alike = [code[phone] for phone in group.split()]
        costs[np.ix_(alike, alike)] = ALIKE
    np.fill_diagonal(costs, 0)
    return (costs << _SHIFT).astype(np.uint16)


@lru_cache(maxsize=1)
def _gaps() -> Costs:
    """Cost (phones,), by their codes, of one that is missing or too many."""
    return np.array([(VOWEL_GAP if phone in VOWELS else CONSONANT_GAP) << _SHIFT for phone in ("", *PHONES)], np.uint16)
