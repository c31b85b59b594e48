"""Text files in the encodings that people save them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from wordprint.errors import ConfigError
from wordprint.stages.recipe import read_toml
from wordprint.stages.textfile import read_lines, read_text
from wordprint.words.options import WordsConfig

TEXTS = {
    "english": "hello there\nsecond line\n",
    "short": "a",
    "german": "Über die Straße\r\n",
    "hindi": "नमस्ते दुनिया",
    "gujarati": "ગુજરાતી ભાષા\n",
    "russian": "Привет, мир\n",
    "chinese": "今天天气很好，我们去公园散步吧\n你好\n",
    "japanese": "今日は公園に行きました。\n",
    "korean": "안녕하세요 여러분 오늘은\n",
    "long": "नमस्ते दुनिया\n" * 2000,
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", TEXTS)
def test_unicode_is_read_with_and_without_its_mark(tmp_path: Path, name: str, encoding: str) -> None:
    text, path = TEXTS[name], tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert read_text(path) == text
    lines = text.splitlines(keepends=True)
    assert list(read_lines(path)) == list(enumerate(lines, start=1))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("word", ["สวัสดี", "မင်္ဂလာပါ", "नमस्ते", "مرحبا", "ሰላም", "привет", "γειά", "ελα", "שלום"])
def test_one_word_in_utf16_without_mark_and_line_end(tmp_path: Path, word: str, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(word.encode(encoding))
    assert read_text(tmp_path / "a.txt") == word


@pytest.mark.parametrize("data", [b"a\tb\tc\td\t", b"1\t2\t", b"\tab", b"\n\n\n\n", b"a\nb\n", b"  "])
def test_tabs_and_line_ends_are_no_script(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert read_text(tmp_path / "a.txt") == data.decode()


@pytest.mark.parametrize("data", [b"hello\0 world\n", b"\0\0\0\0", b"", b"a\0", b"one\0two\0three and on it goes"])
def test_stray_zeros_make_no_other_encoding_of_utf8(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    assert read_text(path) == ("a" if data == b"a\0" else data.decode())


def test_a_bad_line_is_an_error_among_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ncaf\xe9\nthree\n")
    (_, one), (number, error), (_, three) = read_lines(path)
    assert (one, number, three) == ("one\n", 2, "three\n")
    assert isinstance(error, UnicodeDecodeError)
    with pytest.raises(UnicodeDecodeError):
        read_text(path)
    assert read_text(path, fallback="latin-1") == "one\ncafé\nthree\n"
    path.write_bytes("one\ntwo\n".encode("utf-16") + b"\x00\xd8\n\x00")  # half a character
    *good, (number, error) = read_lines(path)
    assert isinstance(error, UnicodeDecodeError)
    assert number == len(good) + 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_recipes_may_have_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "words.toml"
    path.write_bytes("max_phrase_words = 2\n".encode(encoding))
    assert read_toml(path, WordsConfig).max_phrase_words == 2
    path.write_bytes(b'exclude_words = ["caf\xe9"]')
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(path, WordsConfig)
