"""What recipes need beside their options: the sayings of a corpus that synthetic voices make."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from wordprint.speech.espeak import IpaSpeller
from wordprint.speech.text import plain_words
from wordprint.spot.said import load_said

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
kokoro = pytest.importorskip("kokoro_voices", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

VOICES = ["af_heart", "am_onyx", "zf_xiaoni"]
SENTENCES = [["the", "light", "of", "the", "silvery", "moon", "tonight"], ["too", "short"]]


def test_words_and_phrases_are_said_twice_and_no_excluded_word_is_among_them() -> None:
    excluded = {"the", "of", "a", "and", "to", "in"}
    sayings = kokoro.plan(load_said(), SENTENCES, excluded, VOICES, 7, 100, 0)
    assert (
        sayings
        == kokoro.plan(load_said(), SENTENCES, excluded, VOICES, 7, 100, 0)
        != kokoro.plan(load_said(), SENTENCES, excluded, VOICES, 7, 100, 1)
    )
    assert len(sayings) == len({saying.name for saying in sayings}) == 100
    pieces, alone = sayings[:20], Counter(saying.text for saying in sayings[20:])
    assert all(saying.text in " ".join(SENTENCES[0]) for saying in pieces)
    assert not any(count % 2 for count in alone.values())
    assert not excluded & {word for text in alone for word in plain_words(text)}
    for saying in sayings:
        assert sum(share for _, share in saying.voices) == pytest.approx(1)
        assert {name for name, _ in saying.voices} < set(VOICES)
    of_speaker = {saying.name.split("/")[0]: saying.voices for saying in sayings}
    assert all(of_speaker[saying.name.split("/")[0]] == saying.voices for saying in sayings)
    assert len(of_speaker) <= 7


def test_symbols_are_those_that_kokoro_learnt() -> None:
    spell = IpaSpeller()
    for text, symbols in (("night", "nˈIt"), ("chair", "ʧˈɛɹ"), ("loud boys", "lˈWd bˈYz"), ("judge", "ʤˈʌʤ")):
        assert kokoro.symbols(spell(text)) == symbols


def test_too_few_words_are_told() -> None:
    with pytest.raises(SystemExit, match="0 of 10 words and phrases found: exclude fewer words"):
        kokoro.plan(load_said(), [], set(load_said().words), VOICES, 2, 20, 0)
