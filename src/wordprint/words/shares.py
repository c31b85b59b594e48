"""Shares of the split that leave somebody on every side, where there are enough: the hash may put all of a small corpus on one.

A corpus that has a speaker and words on every side keeps the shares that were asked for, so nobody changes sides. In another,
validation or test takes in the names next to it, in the order of their hashes, until it has some: again by names alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from wordprint.speech.text import normalise
from wordprint.words.options import WordsConfig
from wordprint.words.rules import Rules
from wordprint.words.split import position

SPEAKERS, WORDS = 1, 2
"""What validation and test need: somebody, and words to tell apart, each said twice by those who are heard there."""
TRAINED_ON = 2
"""Speakers, and words, that training needs."""
_BEYOND = 2.0**-44
"""How far behind a name its side ends; positions are multiples of 2^-48."""
_LOOKS = 1024
"""Utterances after which, and each time there are twice as many, it is seen whether any more need to be read."""

Place = tuple[float, bool, bool]
"""Where a name lies, and whether it would serve validation and test."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Shares of validation and test; `asked` when they are those that were asked for; what to say of them."""

    shares: tuple[float, float]
    asked: bool
    enough: bool
    said: str = ""


def fit_shares(records: Iterable[dict[str, Any]], rules: Rules) -> tuple[Rules, list[str]]:
    """The rules with shares that fit the utterances of `records`, and a line for each that differs or that can't be met."""
    tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)
    speakers: set[str] = set()
    look = _LOOKS
    for number, record in enumerate(records, start=1):
        speakers.add(record["speaker"])
        for word in normalise(record["transcript"], record.get("language", "en")):
            tokens[word][record["speaker"]] += 1
        if number == look:
            look *= 2
            if all(fit.asked and fit.enough for fit in _fits(tokens, speakers, rules)):
                return rules, []
    of_speakers, of_words = _fits(tokens, speakers, rules)
    config = _with(_with(rules.config, "speakers", of_speakers), "words", of_words)
    return replace(rules, config=config), [fit.said for fit in (of_speakers, of_words) if fit.said]


def _fits(tokens: dict[str, Counter[str]], speakers: set[str], rules: Rules) -> tuple[Fit, Fit]:
    config = rules.config
    places = sorted((position(name, "speaker"), True, True) for name in speakers)
    of_speakers = _fit(places, (config.validation_speakers, config.test_speakers), SPEAKERS, "speakers")
    by_speakers = replace(rules, config=_with(config, "speakers", of_speakers))
    sides = {name: by_speakers.side(name, "speaker") for name in speakers}
    places = []
    for word, by in tokens.items():
        kept = len(by) >= config.min_speakers and by.total() >= config.min_tokens and len(word) >= config.min_letters
        if kept and not rules.excludes(word):
            in_test = sum(count for name, count in by.items() if sides[name] == "test")
            places.append((position(word, "word"), by.total() - in_test > 1, in_test > 1))
    of_words = _fit(sorted(places), (config.validation_words, config.test_words), WORDS, "words")
    return of_speakers, of_words


def _fit(places: list[Place], shares: tuple[float, float], least: int, kind: str) -> Fit:
    """Shares under which both sides have `least` names that serve them while half is left for training; above all the test."""
    edges = (shares[0], shares[0] + shares[1])
    asked = [sum(place < edge for place, *_ in places) for edge in edges]
    needs = [least if share else 0 for share in shares]
    wanted = needs, [0, needs[1]], [0, 0]
    # of few speakers the test takes one from validation; words are not worth that
    starts = [asked, [0, 0]] if kind == "speakers" or len(places) - asked[1] < TRAINED_ON else [asked]
    choices = [ends for start in starts for each in wanted if (ends := _ends(places, start, each))]
    possible = [ends for ends in choices if len(places) - ends[1] >= (TRAINED_ON if ends == asked else _rest(places))]
    if not possible:
        return Fit(shares, True, False)  # nothing can be trained on, whatever the shares

    def served(ends: list[int]) -> list[int]:
        return [sum(place[1] for place in places[: ends[0]]), sum(place[2] for place in places[slice(*ends)])]

    ends = max(possible, key=lambda ends: [min(pair) for pair in zip(served(ends), needs, strict=True)][::-1])  # the first such
    found = served(ends)
    enough = all(count >= need for count, need in zip(found, needs, strict=True))
    low, high = (edge if end == before else _edge(places, end) for edge, end, before in zip(edges, ends, asked, strict=True))
    fitted = shares if ends == asked else (low, max(high - low, 0.0))
    lines = []
    if not enough:
        twice = " that its speakers say twice" if kind == "words" else ""
        lines.append(
            f"{len(places)} {kind} are too few for all sides of the split: validation has {found[0]}, the test {found[1]}{twice} "
            f"(each needs {least})"
        )
    if ends != asked:
        lines.append(f"validation_{kind} is {fitted[0]:.3g} and test_{kind} {fitted[1]:.3g} for so small a corpus")
    said = "; ".join(lines)
    return Fit(fitted, ends == asked, enough, said)


def _ends(places: list[Place], least_ends: list[int], needs: list[int]) -> list[int] | None:
    """Where validation and test end among `places`: no sooner than `least_ends`, and late enough to have what they need."""
    ends: list[int] = []
    end = 0
    for column, (least_end, need) in enumerate(zip(least_ends, needs, strict=True), start=1):
        begin, end = end, max(end, least_end)
        found = sum(place[column] for place in places[begin:end])
        while found < need:
            if end == len(places):
                return None
            found += places[end][column]
            end += 1
        ends.append(end)
    return ends


def _rest(places: list[Place]) -> int:
    return max(TRAINED_ON, len(places) // 2)


def _edge(places: list[Place], end: int) -> float:
    return places[end - 1][0] + _BEYOND if end else 0.0


def _with(config: WordsConfig, kind: str, fit: Fit) -> WordsConfig:
    shares: dict[str, Any] = {f"validation_{kind}": fit.shares[0], f"test_{kind}": fit.shares[1]}
    return replace(config, **shares)
