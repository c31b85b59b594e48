"""Guessed pronunciations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.errors import MissingExtraError
from wordprint.speech.g2p import EspeakG2P, RuleG2P, ipa_to_arpabet, load_g2p
from wordprint.speech.lexicon import ARPABET, Lexicon

WORDS = st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=20)


@pytest.fixture(scope="module")
def espeak() -> EspeakG2P:
    pytest.importorskip("espeakng_loader")
    return EspeakG2P()


@given(word=WORDS)
def test_rules_never_give_nothing_and_only_known_phones(word: str) -> None:
    guess = RuleG2P()(word)
    assert guess
    assert set(guess) <= ARPABET


@given(word=WORDS)
def test_espeak_never_gives_nothing_and_only_known_phones(word: str, espeak: EspeakG2P) -> None:
    guess = espeak(word)
    assert guess
    assert set(guess) <= ARPABET


def test_guesses_sound_right(espeak: EspeakG2P) -> None:
    assert espeak("wordprint") == ("W", "ER", "D", "P", "R", "IH", "N", "T")
    assert RuleG2P()("shopping") == ("SH", "AA", "P", "IH", "NG")
    assert RuleG2P()("quilter's") == ("K", "W", "IH", "L", "T", "ER", "Z")


def test_ipa() -> None:
    assert ipa_to_arpabet("w_ˈɜː_d") == ("W", "ER", "D")
    assert ipa_to_arpabet("(fr)tʃ_ˌaɪ_ʘ (en)") == ("CH", "AY")


def test_every_word_of_the_lexicon_maps_almost_completely(espeak: EspeakG2P) -> None:
    lexicon = Lexicon.bundled()
    words = [word for word in list(lexicon)[::500] if word.isalpha()]
    lengths = [(len(espeak(word)), len(lexicon.lookup(word)[0])) for word in words]
    assert sum(abs(guess - true) for guess, true in lengths) / sum(true for _, true in lengths) < 0.15


def test_falls_back_to_rules_without_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert load_g2p("auto").name == "rules"
    with pytest.raises(MissingExtraError, match=r"wordprint\[synthetic\]"):
        load_g2p("espeak")


def test_falls_back_to_rules_where_espeak_has_no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pytest.importorskip("espeakng_loader"), "get_data_path", lambda: str(tmp_path))
    assert load_g2p("auto").name == "rules"
    with pytest.raises(MissingExtraError, match=f"can't start with the data in {tmp_path}"):
        load_g2p("espeak")


def test_long_installation_paths_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loader = pytest.importorskip("espeakng_loader")
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").mkdir()
    for entry in Path(loader.get_data_path()).iterdir():
        (deep / "espeak-ng-data" / entry.name).symlink_to(entry)
    monkeypatch.setattr(loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert EspeakG2P()("wordprint") == ("W", "ER", "D", "P", "R", "IH", "N", "T")
