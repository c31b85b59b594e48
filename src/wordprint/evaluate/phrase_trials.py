"""Trials of LibriPhrase (Shin et al. 2022, arXiv 2206.15400): an anchor with the same text, random other text and the nearest text.

All comparisons are said by another speaker than the anchor, and so in another utterance. An episode is an anchor with as many
positives as easy and as hard negatives. What is drawn depends on the seed alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.evaluate.phrase_material import MOST_WORDS, Said
from wordprint.speech.lexicon import Pronunciation

POSITIVE, EASY, HARD = "positive", "easy_negative", "hard_negative"
NUMBERS = ("no", "one", "two", "three", "four")


@dataclass(frozen=True, slots=True)
class Trial:
    """Two times something is said, by their numbers, to be told alike or not. Of one `episode` the anchor is the same."""

    anchor: int
    comparison: int
    kind: str
    words: int
    episode: int
    distance: int | None = None
    """Phones to replace, add or drop between the two texts; None where it isn't known."""


class Texts:
    """The texts of as many words each, T of them, sorted: who says them and what their phones are.

    `tokens` are numbers in `said`, by text and speaker. A text's phones are those that most of its tokens have, else the first of
    those that it is `spelled` with. Texts of which two tokens or spellings sound the same (`alike`) are no negatives of each other.
    """

    def __init__(self, said: Sequence[Said], numbers: Sequence[int], spelled: Mapping[str, Sequence[Pronunciation]]) -> None:
        self.tokens: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        heard: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
        for number in numbers:
            self.tokens[said[number].text][said[number].speaker].append(number)
            if said[number].phones:
                heard[said[number].text][said[number].phones] += 1
        self.names = sorted(self.tokens)
        self.phones = [_commonest(heard[text]) if heard[text] else next(iter(spelled.get(text, ())), ()) for text in self.names]
        ways = [{*heard[text], *spelled.get(text, ())} - {()} for text in self.names]
        sound_like: dict[Pronunciation, set[int]] = defaultdict(set)
        for place, mine in enumerate(ways):
            for phones in mine:
                sound_like[phones].add(place)
        self.alike = [{place}.union(*(sound_like[way] for way in mine)) for place, mine in enumerate(ways)]
        self._codes, self._lengths = encode(self.phones)
        self.known = self._lengths > 0

    def distances(self, place: int) -> NDArray[np.int64]:
        """Edit distance (T,) of a text's phones to those of all."""
        return edit_distances(self._codes[place][: self._lengths[place]], self._codes, self._lengths)

    def others(self, place: int, speaker: str) -> list[int]:
        """Tokens of a text by other speakers, in order."""
        return [number for who, numbers in self.tokens[self.names[place]].items() if who != speaker for number in numbers]


def encode(strings: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Strings of symbols as numbers (T, L), -1 after the last, and their lengths (T,)."""
    number: dict[str, int] = {}
    lengths = np.array([len(string) for string in strings], np.int64)
    codes = np.full((len(strings), int(lengths.max(initial=0))), -1, np.int64)
    for row, string in zip(codes, strings, strict=True):
        row[: len(string)] = [number.setdefault(symbol, len(number)) for symbol in string]
    return codes, lengths


def edit_distances(query: NDArray[np.int64], codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Levenshtein's distance (T,) of a string (n,) to each of T strings (T, L) of these lengths (T,)."""
    columns = np.arange(codes.shape[1] + 1)
    row = np.tile(columns, (len(codes), 1))
    for count, symbol in enumerate(query.tolist(), start=1):
        best = np.empty_like(row)
        best[:, 0] = count
        np.minimum(row[:, :-1] + (codes != symbol), row[:, 1:] + 1, out=best[:, 1:])
        row = np.minimum.accumulate(best - columns, axis=1) + columns  # what is added, any number of them at once
    return np.asarray(row[np.arange(len(codes)), lengths])


def draw_trials(
    said: Sequence[Said],
    *,
    anchors: int,
    pairs: int,
    seed: int,
    spelled: Mapping[str, Sequence[Pronunciation]] | None = None,
) -> tuple[list[Trial], dict[str, str]]:
    """Trials of up to `anchors` anchors of each number of words, `pairs` of each kind where there are as many, and why some numbers
    of words have none.

    `spelled` are pronunciations of texts, the likeliest first. Raises DatasetError where there are no trials at all.
    """
    speakers = sorted({one.speaker for one in said})
    if len(speakers) < 2:
        who = f" ({speakers[0]})" if speakers else ""
        raise DatasetError(
            f"phrases by {len(speakers)} speaker{'' if len(speakers) == 1 else 's'}{who}",
            expected="two speakers or more: anchor and comparison are never said by the same",
            remedy="name more with --phrase-speakers, or give a folder with more",
        )
    trials: list[Trial] = []
    not_run: dict[str, str] = {}
    for words in range(1, MOST_WORDS + 1):
        numbers = [number for number, one in enumerate(said) if one.words == words]
        drawn = _draw(said, numbers, spelled or {}, anchors, pairs, np.random.default_rng([seed, words]))
        trials += [
            Trial(anchor, other, kind, words, anchor, distance) for anchor, found in drawn for other, kind, distance in found
        ]
        if not drawn:
            what = f"{len(numbers)} phrases of {NUMBERS[words]} word{'s' * (words > 1)}"
            not_run[str(words)] = f"{what}, none of which two speakers say beside other text"
    if not trials:
        raise DatasetError(
            f"{len(said)} phrases by {len(speakers)} speakers give no trial: {'; '.join(not_run.values())}",
            expected="the same phrase by two speakers, and other text of as many words",
            remedy="evaluate on more speech, or more speakers",
        )
    return trials, not_run


def _draw(
    said: Sequence[Said],
    numbers: Sequence[int],
    spelled: Mapping[str, Sequence[Pronunciation]],
    anchors: int,
    pairs: int,
    generator: np.random.Generator,
) -> list[tuple[int, list[tuple[int, str, int | None]]]]:
    """Episodes: the anchor, and its comparisons with their kinds and distances."""
    texts = Texts(said, numbers, spelled)
    keys = [
        (place, speaker)
        for place, text in enumerate(texts.names)
        if len(texts.tokens[text]) > 1 and texts.phones[place]
        for speaker in sorted(texts.tokens[text])
    ]
    episodes: list[tuple[int, list[tuple[int, str, int | None]]]] = []
    for key in generator.permutation(len(keys)).tolist():
        if len(episodes) == anchors:
            break
        place, speaker = keys[key]
        found = _episode(texts, place, speaker, pairs, generator)
        if found:
            mine = texts.tokens[texts.names[place]][speaker]
            episodes.append((mine[int(generator.integers(len(mine)))], found))
    return sorted(episodes)


def _episode(
    texts: Texts, place: int, speaker: str, pairs: int, generator: np.random.Generator
) -> list[tuple[int, str, int | None]]:
    """Positives, easy and hard negatives, as many of each; none where one kind is missing."""
    mine = texts.tokens[texts.names[place]]
    people = [who for who in sorted(mine) if who != speaker]
    positives = [mine[people[n]] for n in generator.permutation(len(people)).tolist()[:pairs]]
    distances = texts.distances(place)
    nearest = np.argsort(distances + generator.random(len(distances))).tolist()
    anywhere = generator.permutation(len(texts.names)).tolist()
    count = len(positives)
    chosen = {
        HARD: _others(texts, [other for other in nearest if texts.known[other]], texts.alike[place], speaker, count),
        EASY: _others(texts, anywhere, texts.alike[place], speaker, count),
    }
    count = min(count, *map(len, chosen.values()))
    drawn: list[tuple[int, str, int | None]] = [(_one(tokens, generator), POSITIVE, 0) for tokens in positives[:count]]
    for kind, found in chosen.items():
        for other in found[:count]:
            distance = int(distances[other]) if texts.known[other] else None
            drawn.append((_one(texts.others(other, speaker), generator), kind, distance))
    return drawn


def _others(texts: Texts, order: Sequence[int], alike: Collection[int], speaker: str, count: int) -> list[int]:
    """The first texts in that order that sound otherwise and that somebody else says."""
    return list(islice((place for place in order if place not in alike and texts.others(place, speaker)), count))


def _one(tokens: Sequence[int], generator: np.random.Generator) -> int:
    return tokens[int(generator.integers(len(tokens)))]


def _commonest(heard: Counter[Pronunciation]) -> Pronunciation:
    return min(heard, key=lambda phones: (-heard[phones], phones))


def to_lines(trials: Sequence[Trial], said: Sequence[Said], names: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of the published list; `names` are those of the items."""

    def side(number: int) -> dict[str, Any]:
        one = said[number]
        return {"name": names[one.item], "speaker": one.speaker, "text": one.text,
                "start_s": round(one.start_s, 4), "end_s": round(one.end_s, 4)}  # fmt: skip

    return [
        {"words": trial.words, "kind": trial.kind, "distance": trial.distance,
         "anchor": side(trial.anchor), "comparison": side(trial.comparison)}
        for trial in trials
    ]  # fmt: skip
