"""Pronunciation dictionaries in every form they come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from wordprint.errors import InputError
from wordprint.speech.lexicon import ARPABET, Lexicon, strip_variant


def read(tmp_path: Path, text: str | bytes) -> Lexicon:
    path = tmp_path / "lexicon.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Lexicon.read(path)


@pytest.fixture(scope="module")
def bundled() -> Lexicon:
    return Lexicon.bundled()


def test_bundled_lexicon(bundled: Lexicon) -> None:
    assert len(bundled) > 120_000
    assert bundled.lookup("your") == [("Y", "AO", "R"), ("Y", "UH", "R")]
    assert "your(2)" not in bundled
    assert "zqxv" not in bundled
    assert bundled.lookup("zqxv") == []
    assert bundled.phones() == ARPABET


@pytest.mark.parametrize(
    "line",
    [
        "TREE T R IY1",  # CMU
        "TREE  T R IY1",  # CMU 0.7b
        "tree\tT R IY",  # MFA
        "tree\t1.0\tT R IY",  # MFA with a probability
        "tree\t0.99\t0.02\t1.21\t0.9\tT R IY1",  # MFA with silence probabilities
        "TREE\tT R IY1",  # LibriSpeech
        "tree 0.5 T R IY",  # Kaldi lexiconp.txt
        "tree T R IY # a plant",
    ],
)
def test_formats(tmp_path: Path, line: str) -> None:
    assert read(tmp_path, line + "\n").lookup("tree") == [("T", "R", "IY")]


def test_variants_join_their_word_and_doubles_go(tmp_path: Path) -> None:
    lexicon = read(tmp_path, "the DH AH0\nthe(2) DH IY0\nTHE(3)  DH AH1\n")
    assert lexicon.lookup("the") == [("DH", "AH"), ("DH", "IY")]
    assert list(lexicon) == ["the"]


def test_empty_pronunciations_are_never_passed_on(tmp_path: Path) -> None:
    lexicon = read(tmp_path, "hello\nworld\t1.0\n\nword W ER D\n;;; comment\n## more\n<unk> SPN\n[noise] NSN\n")
    assert list(lexicon) == ["word"]
    assert all(lexicon.lookup(word) for word in lexicon)


def test_encodings(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffword W ER D\n").lookup("word") == [("W", "ER", "D")]
    assert "déjà" in read(tmp_path, "DÉJÀ  D EY2 ZH AA1\n".encode("latin-1"))


def test_phones_that_only_look_stressed_stay(tmp_path: Path) -> None:
    assert read(tmp_path, "ma m a˥\nmi M1 IY1\n").lookup("mi") == [("M1", "IY")]


@pytest.mark.parametrize("content", ["", "hello\n", ";;; nothing\n"])
def test_a_file_without_pronunciations_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="holds no pronunciations"):
        read(tmp_path, content)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Lexicon.read(tmp_path / "none.txt")
    with pytest.raises(InputError, match="is a folder"):
        Lexicon.read(tmp_path)


def test_strip_variant() -> None:
    assert [strip_variant(word) for word in ("your(2)", "your", "a(12)", "f(x)")] == ["your", "your", "a", "f(x)"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_other_encodings_of_unicode(tmp_path: Path, encoding: str) -> None:
    lexicon = read(tmp_path, "tree T R IY\ncafe\u0301 K AE\nक्\u200dया K Y\n".encode(encoding))
    assert list(lexicon) == ["tree", "café", "क्या"]
