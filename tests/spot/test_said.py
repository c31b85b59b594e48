"""What is said in English: the list that ships, and how it is made."""

from __future__ import annotations

import random
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import wordprint
from wordprint.speech.lexicon import ARPABET, Lexicon
from wordprint.spot import pronounce as pronunciation
from wordprint.spot.said import FILE, LETTERS, STEPS, Said, from_letters, load_said, pack, to_letters, unpack

BUILDER = Path(__file__).resolve().parents[2] / "docs/make_said.py"
WORDS = {"lights": ([("L", "AY", "T", "S")], 20.0), "on": ([("AA", "N"), ("AO", "N")], 5000.0), "a": ([("AH",)], 1e5)}
PHRASES = {("lights", "on"): 3.0, ("a", "lights"): 0.001, ("lights", "a"): 7.0, ("on", "a"): 800.0}


@pytest.fixture(scope="module")
def said() -> Said:
    return load_said()


@pytest.fixture(scope="module")
def builder() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(BUILDER)))


@pytest.fixture(scope="module")
def sources() -> list[Path]:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    return [Path(pocketsphinx.get_model_path(name)) for name in ("en-us/cmudict-en-us.dict", "en-us/en-us.lm.bin")]


@pytest.fixture(scope="module")
def lexicon(sources: list[Path]) -> Lexicon:
    return Lexicon.read(sources[0])


@pytest.fixture(scope="module")
def model(builder: SimpleNamespace, sources: list[Path]) -> Any:
    return builder.read_language_model(sources[1].read_bytes())


def test_the_list_is_whole(said: Said) -> None:
    assert list(said.words) == sorted(set(said.words))
    assert len(said.words) == len(said.variants) == len(said.word_rates) > 70_000
    for letters in said.variants:
        ways = letters.split(" ")
        assert all(ways)
        assert len(set(ways)) == len(ways)
        assert set(letters) <= {*LETTERS, " "}
    assert len(said.phrases) == len(said.phrase_rates) == 100_000
    assert said.phrases.min() >= 0
    assert said.phrases.max() < len(said.words)
    assert (np.diff(said.phrases[:, 0] * len(said.words) + said.phrases[:, 1]) > 0).all()  # sorted, each once


def test_rates_are_shares_of_a_million(said: Said) -> None:
    assert said.word_rates.min() > 0
    assert said.phrase_rates.min() > 0
    assert said.word_rates.sum() == pytest.approx(1e6, rel=0.01)
    assert 5e5 < said.phrase_rates.sum() < 1e6
    assert said.per_million("the") > said.per_million("okay") > said.per_million("alexis") > 0
    assert said.per_million("light", "on") > 1
    assert said.per_million("on", "light") < said.per_million("on", "the")
    assert said.per_million("zibblywomp") == said.per_million("zibblywomp", "on") == said.per_million("a", "b", "c") == 0


def test_it_is_small() -> None:
    assert (Path(wordprint.__file__).parent / FILE).stat().st_size < 700_000


@pytest.mark.parametrize("word", ["alexis", "computer", "read", "okay", "jarvis", "the", "television", "don't"])
def test_words_that_a_keyword_may_hold(said: Said, word: str) -> None:
    assert word in said
    assert ARPABET.issuperset(phone for way in said.lookup(word) for phone in way)


def test_a_word_that_is_not_there(said: Said) -> None:
    assert "zibblywomp" not in said
    assert said.lookup("zibblywomp") == []


def test_pronunciations_are_those_of_the_larger_lexicon(said: Said, lexicon: Lexicon) -> None:
    assert all(said.lookup(word) == lexicon.lookup(word) for word in said.words)


def test_keywords_are_typed_without_pocketsphinx(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    pronunciation._larger_lexicon.cache_clear()
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    try:
        strings, guessed = pronunciation.pronounce("Okay, Jarvis!")
        assert strings[0] == said.lookup("okay")[0] + said.lookup("jarvis")[0]
        assert len(strings) == len(said.lookup("okay")) * len(said.lookup("jarvis"))
        assert guessed == []
        assert pronunciation.pronounce("zibblywomp")[1] == ["zibblywomp"]
    finally:
        pronunciation._larger_lexicon.cache_clear()


def test_letters_are_phones() -> None:
    string = tuple(sorted(ARPABET))
    assert from_letters(to_letters(string)) == string
    assert len(to_letters(string)) == 39


def test_what_is_packed_is_read() -> None:
    found = unpack(pack(WORDS, PHRASES, {}))
    assert found.words == ["a", "lights", "on"]
    assert {word: found.lookup(word) for word in WORDS} == {word: ways for word, (ways, _) in WORDS.items()}
    step = 10 ** (0.501 / STEPS)
    for words, rate in [*(((word,), rate) for word, (_, rate) in WORDS.items()), *PHRASES.items()]:
        assert rate / step < found.per_million(*words) < rate * step
    assert found.phrases.tolist() == [[0, 1], [1, 0], [1, 2], [2, 0]]


def test_a_list_without_phrases() -> None:
    found = unpack(pack(WORDS, {}, {}))
    assert (len(found), found.phrases.shape, found.phrase_rates.shape) == (3, (0, 2), (0,))


@pytest.mark.parametrize("seed", range(5))
def test_any_list_comes_back(seed: int) -> None:
    rng = random.Random(seed)
    words = {
        "".join(rng.choices("ab'", k=rng.randint(1, 80))): (
            [tuple(rng.choices(sorted(ARPABET), k=rng.randint(1, 70)))],
            rng.uniform(1, 9),
        )
        for _ in range(60)
    }
    phrases = {(rng.choice(list(words)), rng.choice(list(words))): 1.0 for _ in range(200)}
    found = unpack(pack(words, phrases, {}))
    assert {word: found.lookup(word) for word in found.words} == {word: ways for word, (ways, _) in words.items()}
    assert {(found.words[a], found.words[b]) for a, b in found.phrases.tolist()} == set(phrases)


def counted(builder: SimpleNamespace, order: list[int]) -> Any:
    """A language model of five words, in any order; the end of a sentence and one without pronunciation among them."""
    words, share = ["lights", "on", "a", "</s>", "xyzzy"], np.array([0.01, 0.04, 0.3, 0.5, 0.15])
    after = {("lights", "on"): 0.5, ("on", "a"): 0.2, ("a", "lights"): 0.01, ("on", "</s>"): 0.7, ("a", "xyzzy"): 0.1}
    place = {words[number]: position for position, number in enumerate(order)}
    pairs = np.array([[place[first], place[second]] for first, second in after])
    return builder.Counted([words[number] for number in order], share[order], pairs, np.array(list(after.values())))


def test_the_builder_takes_what_has_a_pronunciation_and_the_commonest_phrases(builder: SimpleNamespace) -> None:
    lexicon = Lexicon({word: ways for word, (ways, _) in WORDS.items()})
    found = unpack(builder.build(lexicon, counted(builder, [0, 1, 2, 3, 4]), 2, {}))
    assert found.words == ["a", "lights", "on"]
    assert found.per_million("on") == pytest.approx(1e6 * 0.04 / 0.35, rel=0.16)
    # share of "on a" among pairs of words: those that end a sentence or hold no word are none
    ends = (0.04 * 0.7 + 0.3 * 0.1) / 0.35
    assert found.per_million("on", "a") == pytest.approx(1e6 * 0.04 / 0.35 * 0.2 / (1 - ends), rel=0.16)
    assert found.per_million("lights", "on") > 0
    assert found.per_million("a", "lights") == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_builder_makes_the_same_bytes_of_any_order(builder: SimpleNamespace, seed: int) -> None:
    entries = list(WORDS.items())
    first = builder.build(Lexicon({word: ways for word, (ways, _) in entries}), counted(builder, [0, 1, 2, 3, 4]), 3, {"a": 1})
    rng, order = random.Random(seed), [0, 1, 2, 3, 4]
    rng.shuffle(order)
    rng.shuffle(entries)
    assert builder.build(Lexicon({word: ways for word, (ways, _) in entries}), counted(builder, order), 3, {"a": 1}) == first


def test_the_language_model_is_read_as_pocketsphinx_reads_it(builder: SimpleNamespace, model: Any, sources: list[Path]) -> None:
    from pocketsphinx import NGramModel

    theirs = NGramModel.readfile(str(sources[1]))
    assert (len(model.words), len(model.pairs)) == (72_547, 2_051_541)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(model.words), 200, replace=False):
        assert np.log(model.share[place]) / builder.LOG == pytest.approx(theirs.prob([model.words[place]]), abs=2)
    for row in rng.choice(len(model.pairs), 200, replace=False):
        first, second = (model.words[place] for place in model.pairs[row])
        assert np.log(model.share_after[row]) / builder.LOG == pytest.approx(theirs.prob([second, first]), abs=2)


def test_another_file_is_no_language_model(builder: SimpleNamespace) -> None:
    with pytest.raises(SystemExit, match="no trigram model"):
        builder.read_language_model(b"Trie Language Model\x02" + bytes(100))


def test_the_list_is_what_the_builder_makes(
    said: Said, builder: SimpleNamespace, lexicon: Lexicon, model: Any, sources: list[Path]
) -> None:
    made = unpack(builder.build(lexicon, model, builder.PHRASES, builder.describe(*sources)))
    assert (made.words, made.variants) == (said.words, said.variants)
    for name in ("word_rates", "phrases", "phrase_rates"):
        assert np.array_equal(getattr(made, name), getattr(said, name)), name
