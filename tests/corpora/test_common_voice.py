"""Releases of Common Voice as they are written, and as people spoil them."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_files import dropped, lines, record, write
from wordprint.corpora import common_voice
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import Problem
from wordprint.corpora.stage import prepare
from wordprint.errors import ConfigError, InputError
from wordprint.records import Utterance
from wordprint.validate.stage import validate

CONFIG = PrepareConfig()
ANN, BOB = (hashlib.sha512(name.encode()).hexdigest() for name in ("ann", "bob"))
OLD = ("client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent")
NEW = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes",
    "age", "gender", "accents", "variant", "locale", "segment",
)  # fmt: skip


def table(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = NEW) -> Path:
    """A list with these rows; `clips/` is beside it."""
    (path.parent / "clips").mkdir(parents=True, exist_ok=True)
    body = ["\t".join(columns), *("\t".join(row.get(column, "") for column in columns) for row in rows)]
    return write(path, "\n".join(body) + "\n")


def row(clip: str, client_id: str = ANN, sentence: str = "Hello there.", **other: str) -> dict[str, str]:
    return {"client_id": client_id, "path": clip, "sentence": sentence, **other}


def split(items) -> tuple[dict[str, Utterance], dict[str, str]]:
    """Utterances by id, and reasons by item."""
    items = list(items)
    good = {item.utterance_id: item for item in items if isinstance(item, Utterance)}
    return good, {item.item: item.reason for item in items if isinstance(item, Problem)}


def test_a_row_becomes_an_utterance(tmp_path: Path) -> None:
    about = {"up_votes": "2", "down_votes": "0", "age": "twenties", "accents": "Österreichisches Deutsch", "locale": "de"}
    table(tmp_path / "de" / "validated.tsv", row("common_voice_de_1.mp3", sentence='"Wie bitte?" fragte er.', **about))
    good, bad = split(common_voice.prepare(tmp_path, CONFIG))
    assert bad == {}
    found = good["common_voice_de_1"]
    assert found.transcript == '"Wie bitte?" fragte er.'
    assert (found.speaker, found.language) == (ANN[:24], "de")
    assert Path(found.audio) == tmp_path / "de" / "clips" / "common_voice_de_1.mp3"
    assert found.meta == {
        "list": "validated", "client_id": ANN, "age": "twenties", "accents": "Österreichisches Deutsch",
        "up_votes": 2, "down_votes": 0, "licence": "CC0-1.0",
    }  # fmt: skip


def test_columns_in_any_order_of_any_release_with_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    shuffled = ("segment", "sentence", "new_column", "path", "client_id")
    path = table(tmp_path / "sv-SE" / "validated.tsv", row("a.mp3", sentence="Hej"), columns=shuffled)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    table(tmp_path / "tr" / "validated.tsv", row("b", accent="x", sentence="Merhaba"), columns=OLD)
    good, bad = split(common_voice.prepare(tmp_path, CONFIG))
    assert bad == {}
    assert (good["a"].transcript, good["a"].language) == ("Hej", "sv-SE")
    assert good["b"].audio.endswith("b.mp3")
    assert (good["b"].language, good["b"].meta["accents"]) == ("tr", "x")


def test_rows_that_cannot_be_used_are_named_by_reason(tmp_path: Path) -> None:
    path = table(
        tmp_path / "en" / "validated.tsv",
        row("good.mp3", sentence='An "unclosed quote'),
        row("empty.mp3", sentence="  "),
        row("nobody.mp3", client_id=""),
        row(""),
    )
    more = (f"{ANN}\tshort.mp3\tHello", "\t".join(["long"] * 14), "", f"{ANN}\tlatin.mp3\tcaf\udce9" + "\t" * 10)
    path.write_bytes(path.read_bytes() + "\n".join(more).encode("utf-8", "surrogateescape"))
    good, bad = split(common_voice.prepare(tmp_path, CONFIG))
    assert good.keys() == {"good"}
    assert bad == {
        "empty": "missing_transcript", "nobody": "missing_speaker", "en/validated.tsv:5": "missing_audio",
        "en/validated.tsv:6": "bad_row", "en/validated.tsv:7": "bad_row", "en/validated.tsv:9": "not_utf8",
    }  # fmt: skip


@settings(max_examples=100)
@given(rows=st.lists(st.binary(max_size=60).filter(lambda raw: b"\n" not in raw), max_size=8), limit=st.sampled_from([None, 1]))
def test_any_bytes_give_one_item_per_row(tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], limit: int | None) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "clips").mkdir()
    write(folder / "validated.tsv", b"\n".join([b"client_id\tpath\tsentence", *rows]))
    found = list(common_voice.prepare(folder, PrepareConfig(common_voice_max_per_speaker=limit)))
    assert len(found) == sum(bool(raw.rstrip(b"\r")) for raw in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("client_id\tpath\ttext\n", r"has no column 'sentence' \(it has: client_id, path, text\).*separated by tabs.*spreadsheet"),
        ("client_id,path,sentence\n", r"has no column 'client_id' \(it has: client_id,path,sentence\)"),
        ("", "has no column 'client_id'"),
        ("client_id\tpath\tsentencé\n".encode("latin1"), "has byte 0xe9; convert it"),
    ],
)
def test_a_header_without_the_columns_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    table(tmp_path / "validated.tsv")
    write(tmp_path / "validated.tsv", text)
    with pytest.raises(InputError, match=message):
        list(common_voice.prepare(tmp_path, CONFIG))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    table(tmp_path / "en" / "train.tsv", row("a.mp3"))
    with pytest.raises(InputError, match=r"has no validated.tsv; expected a list that is there \(train\)"):
        prepare([str(tmp_path / "en")], tmp_path / "out")
    assert not (tmp_path / "out").exists()  # nothing was done: the mended command may have it
    with pytest.raises(InputError, match="holds no release of Common Voice"):
        list(common_voice.prepare(tmp_path / "en" / "clips", CONFIG))
    with pytest.raises(ConfigError, match="common_voice_max_per_speaker is 0"):
        prepare([str(tmp_path / "en")], tmp_path / "out", PrepareConfig(common_voice_max_per_speaker=0))


def test_only_the_lists_asked_for_of_every_language_below(tmp_path: Path) -> None:
    release = tmp_path / "cv-corpus-17.0"
    for language in ("de", "en"):
        for name in ("validated", "train", "other"):
            table(release / language / f"{name}.tsv", row(f"{language}_{name}.mp3"))
    for path in (tmp_path, release):
        assert [u.utterance_id for u in common_voice.prepare(path, CONFIG)] == ["de_validated", "en_validated"]
    chosen = PrepareConfig(common_voice_lists=("train", "other"))
    assert [u.utterance_id for u in common_voice.prepare(release / "en", chosen)] == ["en_train", "en_other"]


def test_linked_releases_are_read_once(tmp_path: Path) -> None:
    table(tmp_path / "store" / "cv-corpus-17" / "sv" / "validated.tsv", row("a.mp3"))
    (tmp_path / "corpus").mkdir()
    for name in ("cv-corpus-17", "latest"):
        (tmp_path / "corpus" / name).symlink_to(tmp_path / "store" / "cv-corpus-17")
    assert [u.utterance_id for u in common_voice.prepare(tmp_path / "corpus", CONFIG)] == ["a"]


def test_the_limit_takes_the_lowest_hashes_whatever_the_order_and_whoever_else_is_there(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [row(f"clip_{number}.mp3", rng.choice([ANN, BOB, "short id"])) for number in range(60)]
    by_speaker = defaultdict(list)
    for each in rows:
        clip = each["path"].removesuffix(".mp3")
        by_speaker[each["client_id"]].append((hashlib.sha256(clip.encode()).hexdigest(), clip))
    expected = {clip for clips in by_speaker.values() for _, clip in sorted(clips)[:7]}

    table(tmp_path / "a" / "validated.tsv", *rows)
    rng.shuffle(rows)
    eve = [row(f"eve_{number}.mp3", "eve") for number in range(3)]
    table(tmp_path / "b" / "validated.tsv", *eve, *rows, row("empty.mp3", ANN, ""))
    config = PrepareConfig(common_voice_max_per_speaker=7)
    first, left = split(common_voice.prepare(tmp_path / "a", config))
    second, _ = split(common_voice.prepare(tmp_path / "b", config))
    assert first.keys() == expected
    assert second.keys() == expected | {"eve_0", "eve_1", "eve_2"}
    assert len(left) == 60 - len(expected)
    assert set(left.values()) == {"over_speaker_limit"}


def test_recordings_that_do_not_decode_are_dropped_on_the_way(tmp_path: Path) -> None:
    clips = tmp_path / "en" / "clips"
    good = record(clips / "good.mp3", 2.0).read_bytes()
    noise = np.random.default_rng(0).bytes(len(good))
    write(clips / "noise.mp3", noise)
    write(clips / "header.mp3", good[:1000] + noise[1000:])
    write(clips / "empty.mp3", b"")
    names = ("good", "noise", "header", "empty", "gone")
    table(tmp_path / "en" / "validated.tsv", *(row(f"{name}.mp3") for name in names))
    prepare([f"cv=common_voice:{tmp_path / 'en'}"], tmp_path / "prepare")
    assert dropped(tmp_path / "prepare") == {
        "cv-noise": "unreadable_audio", "cv-empty": "unreadable_audio", "cv-gone": "missing_audio",
    }  # fmt: skip
    validate(tmp_path / "prepare", tmp_path / "validate")
    assert dropped(tmp_path / "validate") == {"cv-header": "truncated_audio"}
    kept = lines(tmp_path / "validate" / "utterances.jsonl")
    assert [(u["utterance_id"], u["speaker"], u["end_s"]) for u in kept] == [("cv-good", f"cv-{ANN[:24]}", 2.0)]
