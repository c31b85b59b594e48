"""Shares that leave somebody on every side of a small corpus, and a large one as it is."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.words.options import WordsConfig
from wordprint.words.rules import Rules
from wordprint.words.shares import fit_shares
from wordprint.words.split import SIDES, side

DEFAULT = Rules.of(WordsConfig())
VOCABULARY = [first + vowel + last for first in "bdfgklmnprst" for vowel in "aeiou" for last in "bdgklmnprst"]


def corpus(speakers, utterances_each, words_each=5, vocabulary=120, seed=0):
    rng = random.Random(seed)
    for name in speakers:
        for _ in range(utterances_each):
            yield {"speaker": name, "language": "en", "transcript": " ".join(rng.choices(VOCABULARY[:vocabulary], k=words_each))}


def sides_of(rules, records):
    """Speakers of each side, and the words that two speakers say and those of the side say twice."""
    speakers, said, by = defaultdict(set), defaultdict(Counter), defaultdict(set)
    for record in records:
        where = rules.side(record["speaker"], "speaker")
        speakers[where].add(record["speaker"])
        said[where].update(record["transcript"].split())
        for word in record["transcript"].split():
            by[word].add(record["speaker"])
    common = {word: rules.side(word, "word") for word, names in by.items() if len(names) > 1}
    words = {where: {word for word, its in common.items() if its == where and said[where][word] > 1} for where in SIDES}
    return speakers, words


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=4, max_size=9, unique=True), st.integers(0, 9))
@settings(max_examples=60)
def test_every_side_of_a_small_corpus_has_a_speaker_and_words(names, seed):
    records = list(corpus(names, 30, seed=seed))
    rules, _ = fit_shares(records, DEFAULT)
    speakers, words = sides_of(rules, records)
    assert len(speakers["train"]) >= 2
    assert speakers["validation"]
    assert speakers["test"]
    assert len(words["test"]) >= 2
    assert len(words["train"]) >= 2
    shuffled = random.Random(1).sample(records, len(records))
    assert fit_shares(shuffled, DEFAULT) == fit_shares(records, DEFAULT)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=3, max_size=3, unique=True))
@settings(max_examples=60)
def test_of_three_speakers_two_are_trained_on_and_one_is_asked(names):
    records = list(corpus(names, 30))
    rules, said = fit_shares(records, DEFAULT)
    speakers, words = sides_of(rules, records)
    assert {where: len(speakers[where]) for where in SIDES} == {"train": 2, "validation": 0, "test": 1}
    assert len(words["test"]) >= 2
    assert said[0].startswith("3 speakers are too few for all sides of the split: validation has 0, the test 1 (each needs 1)")


@pytest.mark.parametrize("names", [["ann", "bob"], ["a", "b"], ["x1", "x2"]])
def test_two_speakers_are_both_trained_on(names):
    records = list(corpus(names, 30))
    rules, said = fit_shares(records, DEFAULT)
    assert sides_of(rules, records)[0] == {"train": set(names)}
    assert said[0].startswith("2 speakers are too few for all sides of the split: validation has 0, the test 0")


@pytest.mark.parametrize("shares", [(0.1, 0.1, 0.1, 0.1), (0.04, 0.08, 0.04, 0.06), (0.0, 0.2, 0.0, 0.2), (0.0, 0.0, 0.0, 0.0)])
def test_a_corpus_that_is_large_enough_keeps_its_shares(shares):
    """Nobody of a published dataset may change sides."""
    asked = dict(zip(("validation_speakers", "test_speakers", "validation_words", "test_words"), shares, strict=True))
    rules = Rules.of(WordsConfig(**asked))
    records = list(corpus([f"speaker {number}" for number in range(150)], 40, vocabulary=len(VOCABULARY)))
    fitted, said = fit_shares(records, rules)
    assert fitted == rules
    assert said == []
    name = "speaker 7"
    assert fitted.side(name, "speaker") == side(name, "speaker", *shares[:2])


def test_a_large_corpus_is_not_read_to_its_end():
    def records():
        yield from corpus([f"speaker {number}" for number in range(150)], 60)
        raise AssertionError("read to the end")

    shuffled = random.Random(0).sample(list(corpus([f"speaker {number}" for number in range(150)], 60)), 4096)
    assert fit_shares((record for part in (shuffled, records()) for record in part), DEFAULT) == (DEFAULT, [])


def test_words_of_one_side_are_too_few():
    records = [{"speaker": name, "transcript": "yes no"} for name in ("ann", "bob", "carl", "dora", "emil") for _ in range(9)]
    rules, said = fit_shares(records, Rules.of(WordsConfig(min_letters=1)))
    assert [rules.side(word, "word") for word in ("yes", "no")] == ["train", "train"]
    assert said[-1].startswith(
        "2 words are too few for all sides of the split: validation has 0, the test 0 that its speakers say twice (each needs 2)"
    )
