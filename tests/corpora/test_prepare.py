"""The stage: sources, ids, what is dropped and why, formats, resuming, workers."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus_files import dropped, librispeech, lines, record, write
from wordprint.corpora import stage as stage_module
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END
from wordprint.corpora.stage import prepare, safe_name
from wordprint.errors import ConfigError, DatasetError, InputError, OutputConflictError
from wordprint.records import Utterance
from wordprint.speech.audio import read_audio
from wordprint.stages.manifest import read_utterances
from wordprint.words.split import side


def test_writes_utterances_and_counts(tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "libri")
    write(corpus / "LICENSE.TXT", "CC BY 4.0")
    receipt = prepare([str(corpus)], tmp_path / "out")
    utterances = list(read_utterances(tmp_path / "out"))
    assert [u.utterance_id for u in utterances] == [f"libri-{s}-7-{n:04d}" for s in ("11", "12") for n in range(3)]
    assert utterances[0].speaker == "libri-11"
    assert utterances[0].transcript == "HELLO WORLD"
    assert (utterances[0].start_s, utterances[0].end_s) == (0.0, 0.5)
    assert Path(utterances[0].audio).is_absolute()
    assert utterances[0].meta == {"corpus": "libri", "source_id": "11-7-0000", "chapter": "7", "subset": "dev"}
    assert receipt.counts == {"in": 6, "kept": 6, "dropped": {}}
    assert receipt.details["corpora"]["libri"] == {
        "kind": "librispeech", "path": str(corpus), "utterances": 6, "speakers": 2, "hours": round(3 / 3600, 4),
        "licence_files": ["LICENSE.TXT"],
    }  # fmt: skip
    assert not prepare([str(corpus)], tmp_path / "out").fresh


def test_corpora_are_joined_under_unique_ids(tmp_path: Path) -> None:
    first, second = librispeech(tmp_path / "a"), librispeech(tmp_path / "b")
    prepare([str(first), f"other=librispeech:{second}"], tmp_path / "out")
    utterances = list(read_utterances(tmp_path / "out"))
    assert len({u.utterance_id for u in utterances}) == 12
    assert {u.speaker for u in utterances} == {"a-11", "a-12", "other-11", "other-12"}
    assert utterances[-1].meta["corpus"] == "other"
    assert utterances[-1].meta["source_id"] == "12-7-0002"


def test_a_corpus_that_is_added_renames_nobody_and_moves_nobody_to_another_side(tmp_path: Path) -> None:
    first, second = librispeech(tmp_path / "a", speakers=tuple("12345678")), librispeech(tmp_path / "b")
    prepare([str(first)], tmp_path / "one")
    prepare([str(first), str(second)], tmp_path / "both")
    one, both = (list(read_utterances(tmp_path / name)) for name in ("one", "both"))
    assert both[: len(one)] == one
    sides = [{u.speaker: side(u.speaker, "speaker", 0.3, 0.3) for u in utterances} for utterances in (one, both)]
    assert set(sides[0].values()) == {"train", "validation", "test"}
    assert sides[0].items() <= sides[1].items()


def test_ids_of_dropped_items_are_those_they_would_have_had(tmp_path: Path) -> None:
    folder = tmp_path / "speech" / "anna"
    for name in ("one", "two"):
        write(folder / f"{name}.lab", "hello")
    record(folder / "four.wav")
    write(folder / "four.lab", "hello")
    write(folder / "two.wav", b"not a recording")  # found out by its header, the others by the reader
    record(folder / "three.wav")
    prepare([str(tmp_path / "speech")], tmp_path / "out")
    assert [u.utterance_id for u in read_utterances(tmp_path / "out")] == [safe_name("speech-anna/four")]
    assert dropped(tmp_path / "out") == {
        safe_name("speech-anna/one"): "missing_audio",
        safe_name("speech-anna/two"): "unreadable_audio",
        safe_name("speech-anna/three"): "missing_transcript",
    }


@pytest.mark.parametrize("ending", ["m4a", "webm", "wma"])
def test_a_format_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "phone"
    write(folder / f"a.{ending}", b"\0\0\0\x20ftypM4A " if ending == "m4a" else b"\0" * 20)
    write(folder / "a.txt", "hello")
    with pytest.raises(DatasetError, match=rf"a\.{ending} is .*, which libsndfile can't read; .* ffmpeg -i \S+a\.{ending}"):
        prepare([str(folder)], tmp_path / "out")
    record(folder / "a.wav")  # wins over the same recording in a format that isn't read
    prepare([str(folder)], tmp_path / "out", overwrite=True)
    assert [Path(u.audio).name for u in read_utterances(tmp_path / "out")] == ["a.wav"]


@pytest.mark.parametrize("kind", ["librispeech", "folder", "metadata"])
def test_a_folder_that_cannot_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    corpus = librispeech(tmp_path / "libri")
    for speaker in ("11", "12"):
        write(corpus / "dev" / speaker / "7" / f"{speaker}-7-0000.lab", "HELLO")
    write(corpus / "metadata.csv", "dev/12/7/12-7-0000|HELLO\n")
    real = os.scandir

    def refuses_one(path: str | int) -> object:
        if str(path).endswith("/11"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuses_one)
    prepare([f"{kind}:{corpus}"], tmp_path / "out")
    assert {u.meta["source_id"].split("-")[-3][-2:] for u in read_utterances(tmp_path / "out")} == {"12"}
    (drop,) = (line for line in lines(tmp_path / "out" / "dropped.jsonl") if line["reason"] == "unreadable_folder")
    assert drop["item"] == safe_name("libri-dev/11")
    assert "Permission denied" in drop["detail"]


def test_bad_items_are_dropped_by_reason_and_the_rest_is_kept(tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "libri")
    chapter = corpus / "dev" / "11" / "7"
    write(chapter / "11-7-0000.flac", b"this is no audio")
    record(chapter / "11-7-0003.wav", duration_s=0.0)
    record(chapter / "11-7-0004.flac")
    record(chapter / "11-7-0005.flac")
    with (chapter / "11-7.trans.txt").open("ab") as file:
        file.write(b"11-7-0003 EMPTY\n11-7-0004 CAF\xc9\n11-7-0001 AGAIN\n11-7-0009 NOBODY\n")
    receipt = prepare([str(corpus)], tmp_path / "out")
    assert dropped(tmp_path / "out") == {
        "libri-11-7-0000": "unreadable_audio",
        "libri-11-7-0001": "duplicate_id",
        "libri-11-7-0003": "empty_audio",
        "libri-11-7-0004": "not_utf8",
        "libri-11-7-0005": "missing_transcript",
        "libri-11-7-0009": "missing_audio",
    }
    assert receipt.counts["in"] == 11
    assert receipt.counts["kept"] == 5
    assert all(line["detail"] for line in lines(tmp_path / "out" / "dropped.jsonl"))


@pytest.mark.parametrize(
    ("name", "sample_rate", "channels", "subtype"),
    [
        ("a.flac", 8_000, 1, "PCM_24"),
        ("a.wav", 48_000, 3, "PCM_24"),
        ("a.wav", 44_100, 2, "FLOAT"),
        ("a.WAV", 16_000, 1, "PCM_U8"),
        ("a.mp3", 22_050, 1, None),
        ("a.ogg", 48_000, 2, "VORBIS"),
        ("a.opus", 48_000, 1, "OPUS"),
    ],
)
def test_any_format_rate_and_depth(tmp_path: Path, name: str, sample_rate: int, channels: int, subtype: str | None) -> None:
    target = tmp_path / "corpus" / "speaker" / name
    if target.suffix == ".opus":
        record(target.with_suffix(".ogg"), 1.0, sample_rate, channels, subtype).rename(target)
    else:
        record(target, 1.0, sample_rate, channels, subtype)
    write(target.parent / "a.txt", "hello")
    prepare([str(tmp_path / "corpus")], tmp_path / "out")
    (utterance,) = read_utterances(tmp_path / "out")
    assert utterance.end_s == pytest.approx(1.0, abs=0.08)  # MP3 pads to whole frames
    samples = read_audio(utterance.audio, utterance.start_s, utterance.end_s)
    assert len(samples) == pytest.approx(16_000 * utterance.duration_s, abs=2)
    assert float(np.abs(samples[4000:12000]).max()) == pytest.approx(0.3, abs=0.05)


def test_same_bytes_for_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "SHARD_SIZE", 4)
    corpus = librispeech(tmp_path / "libri", speakers=tuple("123456"))
    write(corpus / "dev" / "3" / "7" / "3-7-0001.flac", b"no audio")
    for workers in (1, 2):
        prepare([str(corpus)], tmp_path / f"out{workers}", workers=workers)
    for name in ("utterances.jsonl", "dropped.jsonl"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_while_reading_is_raised_for_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(stage_module, "SHARD_SIZE", 1)
    corpus = librispeech(tmp_path / "libri", per_chapter=20)

    def fails_late(path: Path, config: PrepareConfig):
        from wordprint.corpora import librispeech as reader

        yield from reader.prepare(path, config)
        raise InputError("the corpus ends badly")

    monkeypatch.setattr(stage_module, "load_reader", lambda kind: fails_late)
    with pytest.raises(InputError, match="ends badly"):
        prepare([str(corpus)], tmp_path / "out", workers=workers)
    assert not (tmp_path / "out" / "utterances.jsonl").exists()


def test_one_corpus_too_little_says_which_and_why(tmp_path: Path) -> None:
    good = librispeech(tmp_path / "good")
    write(tmp_path / "bad" / "s" / "a.lab", "hello")
    write(tmp_path / "bad" / "s" / "a.wav", b"not a recording")
    with pytest.raises(DatasetError, match=r"none of the 1 items of .*bad can be used.*unreadable_audio"):
        prepare([str(good), str(tmp_path / "bad")], tmp_path / "out")
    assert prepare([str(good)], tmp_path / "out").counts["kept"]  # the mended command is not refused for what is left of that one
    write(tmp_path / "words" / "wav.scp", "")
    write(tmp_path / "words" / "text", "")
    write(tmp_path / "words" / "utt2spk", "")
    with pytest.raises(DatasetError, match="words holds no utterances"):
        prepare([str(tmp_path / "words")], tmp_path / "out2")


def test_missing_empty_and_unknown_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        prepare([str(tmp_path / "nowhere")], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        prepare([str(tmp_path / "empty")], tmp_path / "out")
    write(tmp_path / "notes" / "README.txt", "no speech here")
    with pytest.raises(InputError, match=r"\.trans\.txt.*wav\.scp.*\.TextGrid.*metadata\.csv"):
        prepare([str(tmp_path / "notes")], tmp_path / "out")
    with pytest.raises(InputError, match="is a file"):
        prepare([str(tmp_path / "notes" / "README.txt")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ambiguous_folder_needs_a_kind(tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "libri")
    write(corpus / "metadata.csv", "11-7-0000|HELLO\n")
    with pytest.raises(InputError, match=r"more than one kind.*librispeech:"):
        prepare([str(corpus)], tmp_path / "out")
    assert prepare([f"librispeech:{corpus}"], tmp_path / "out").counts["kept"] == 6


def test_sources_that_collide(tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "libri")
    with pytest.raises(ConfigError, match="NAME=KIND:PATH"):
        prepare([str(corpus), str(corpus)], tmp_path / "out")
    with pytest.raises(InputError, match="in one another"):
        prepare([str(corpus)], corpus / "out")
    with pytest.raises(InputError, match="in one another"):
        prepare([str(corpus)], tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match="no corpus"):
        prepare([], tmp_path / "out")


def test_other_sources_need_another_folder(tmp_path: Path) -> None:
    first, second = librispeech(tmp_path / "a"), librispeech(tmp_path / "b")
    prepare([str(first)], tmp_path / "out")
    with pytest.raises(OutputConflictError, match="sources"):
        prepare([str(first), str(second)], tmp_path / "out")
    assert prepare([str(first), str(second)], tmp_path / "out", overwrite=True).counts["kept"] == 12


def test_a_corpus_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path / "mine_for_tests.py",
        "from wordprint.corpora.reader import UNTIL_END, Problem\n"
        "from wordprint.records import Utterance\n"
        "def words(path, config):\n"
        "    for file in sorted(path.glob('*.wav')):\n"
        "        speaker, word = file.stem.split('_')\n"
        "        yield Utterance(file.stem, speaker, str(file), 0.0, UNTIL_END, word, config.language)\n"
        "    yield Problem('ann_none', 'missing_audio')\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    record(tmp_path / "data" / "ann_lamp.wav")
    prepare([f"mine_for_tests:words:{tmp_path / 'data'}"], tmp_path / "out", PrepareConfig(language="de"))
    (utterance,) = read_utterances(tmp_path / "out")
    assert (utterance.speaker, utterance.transcript, utterance.language, utterance.end_s) == ("data-ann", "lamp", "de", 0.5)
    assert dropped(tmp_path / "out") == {"data-ann_none": "missing_audio"}
    with pytest.raises(ConfigError, match="can't be imported"):
        prepare([f"mine_for_tests:nothing:{tmp_path / 'data'}"], tmp_path / "out2")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes only on Linux")
def test_file_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = record(tmp_path / "corpus" / "s" / "good.wav").parent
    write(folder / "good.lab", "hello")
    bad = bytes(folder) + b"/caf\xe9"
    for suffix in (b".wav", b".lab"):
        with open(bad + suffix, "wb") as file:
            file.write((folder / f"good{suffix.decode()}").read_bytes())
    prepare([str(tmp_path / "corpus")], tmp_path / "out")
    assert [u.utterance_id for u in read_utterances(tmp_path / "out")] == [safe_name("corpus-s/good")]
    assert dropped(tmp_path / "out") == {safe_name(r"corpus-s/caf\udce9"): "bad_file_name"}


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes only on Linux")
def test_a_corpus_below_a_folder_that_is_not_utf8_and_an_output_that_leads_to_itself(tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "libri")
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    with pytest.raises(InputError, match=r"caf\\udce9/libri' is not UTF-8; rename"):
        prepare([str(corpus.rename(folder / "libri"))], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputConflictError, match="loop is a link that leads nowhere"):
        prepare([str(librispeech(tmp_path / "libri"))], tmp_path / "loop")


def odd_reader(path: Path, config: PrepareConfig) -> Iterator[Any]:
    good = Utterance("fine", "s", str(path / "a.wav"), 0.0, UNTIL_END, "hello there")
    yield good
    yield replace(good, utterance_id=7, speaker=5, audio=path / "a.wav", start_s=0)  # type: ignore[arg-type]
    wrong = {"transcript": None, "start_s": "0", "language": None, "meta": None, "speaker": None, "audio": None}
    for name, value in wrong.items():
        yield replace(good, utterance_id=name, **{name: value})
    yield replace(good, utterance_id="object", meta={"x": path})
    yield "text"


def test_items_of_a_reader_with_wrong_types_are_dropped(tmp_path: Path) -> None:
    record(tmp_path / "speech" / "a.wav")
    assert prepare([f"{__name__}:odd_reader:{tmp_path / 'speech'}"], tmp_path / "out").counts["kept"] == 2
    names = ("transcript", "start_s", "language", "meta", "speaker", "audio", "object", "text")
    assert dropped(tmp_path / "out") == {f"speech-{name}": "bad_item" for name in names}
    assert "start_s '0'; expected a number" in (tmp_path / "out/dropped.jsonl").read_text()


def test_safe_names() -> None:
    for same in ("a-1-7_2.x", "straße", "रीता", "รีน", "ze\u0301ro", "Ա1"):
        assert safe_name(same) == same
    assert re.fullmatch(r"p225-p225_001-[0-9a-f]{8}", safe_name("p225/p225_001"))
    assert re.fullmatch(r"__-[0-9a-f]{8}", safe_name(".."))
    assert re.fullmatch(r"straße_7__a_b-[0-9a-f]{8}", safe_name("straße 7: a*b"))
    long = [safe_name("x" * 200 + end) for end in "ab"]
    assert long[0] != long[1]
    assert max(map(len, long)) < 60


def test_resumes_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "SHARD_SIZE", 2)
    corpus = librispeech(tmp_path / "libri")
    prepare([str(corpus)], tmp_path / "whole")
    real, calls = stage_module.probe, []

    def killed(items: list) -> list:
        calls.append(len(items))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(items)

    monkeypatch.setattr(stage_module, "probe", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare([str(corpus)], tmp_path / "out")
    prepare([str(corpus)], tmp_path / "out")
    assert calls == [2, 2, 2, 2]  # the third again, the first two not
    assert (tmp_path / "out" / "utterances.jsonl").read_bytes() == (tmp_path / "whole" / "utterances.jsonl").read_bytes()
    assert json.loads((tmp_path / "out" / "stage.json").read_text())["counts"]["kept"] == 6


def test_real_speech(shared_data: Path, tmp_path: Path) -> None:
    sources = [str(shared_data / "LibriSpeech"), str(shared_data / "speechocean762"), str(shared_data / "german")]
    receipt = prepare(sources, tmp_path / "out", workers=2)
    corpora = {name: (c["utterances"], c["speakers"], round(c["hours"], 2)) for name, c in receipt.details["corpora"].items()}
    assert corpora == {"LibriSpeech": (1680, 23, 3.87), "speechocean762": (4500, 225, 5.01), "german": (30, 1, 0.04)}
    assert receipt.counts["dropped"] == {}


def speakers_of(folder: Path, out: Path) -> set[str]:
    prepare([f"folder:{folder}"], out)
    return {u.speaker for u in read_utterances(out)}


def test_ids_and_speakers_never_collide(tmp_path: Path) -> None:
    corpus = tmp_path / "c"
    names = (
        "anna/b-1",
        "anna-b/1",
        "tom s/1",
        "tom_s/1",
        "रीता/1",
        "राता/1",
        "รีน/1",
        "รุน/1",
        "a.b/1",
        "a,b/1",
        "ze\u0301/1",
        "zé/1",
    )
    for name in names:
        record(corpus / f"{name}.wav")
        write(corpus / f"{name}.lab", "hello")
    assert len(speakers_of(corpus, tmp_path / "out")) == len(names)
    utterances = list(read_utterances(tmp_path / "out"))
    assert len({u.utterance_id for u in utterances}) == len(names)
    assert {"c-रीता", "c-राता", "c-รีน", "c-รุน", "c-tom_s"} <= {u.speaker for u in utterances}


def test_speakers_of_two_corpora_stay_apart(tmp_path: Path) -> None:
    for name in ("a/b-1/1", "a-b/1/2"):
        record(tmp_path / "f" / f"{name}.wav")
        write(tmp_path / "f" / f"{name}.lab", "hello")
    sources = [f"folder:{tmp_path / 'f' / name}" for name in ("a", "a-b")]
    with pytest.raises(ConfigError, match="'a-b-1' is a speaker of both 'a' and 'a-b'; name them apart: NAME=KIND:PATH"):
        prepare(sources, tmp_path / "out")


@pytest.mark.parametrize(("table", "disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_match_composed_or_not(tmp_path: Path, table: str, disk: str) -> None:
    listed, there = (unicodedata.normalize(form, "été") for form in (table, disk))
    record(tmp_path / "meta" / "wavs" / there / f"{there}0.wav")
    write(tmp_path / "meta" / "metadata.csv", f"{listed}/{listed}0|bonjour\n")
    record(tmp_path / "folder" / "s" / f"{there}0.wav")
    write(tmp_path / "folder" / "s" / f"{listed}0.lab", "bonjour")
    record(tmp_path / "kaldi" / there / f"{there}.wav")
    for name, text in (("wav.scp", f"{there} {listed}/{listed}.wav"), ("text", f"{listed} bonjour"), ("utt2spk", f"{listed} s")):
        write(tmp_path / "kaldi" / name, f"{text}\n")
    record(tmp_path / "cv" / "fr" / "clips" / f"{there}.wav")
    write(tmp_path / "cv" / "fr" / "validated.tsv", f"client_id\tpath\tsentence\nann\t{listed}.wav\tbonjour\n")
    for kind in ("meta", "folder", "kaldi", "cv"):
        receipt = prepare([str(tmp_path / kind)], tmp_path / f"{kind}-out")
        assert (receipt.counts["kept"], receipt.counts["dropped"]) == (1, {})
        assert Path(next(read_utterances(tmp_path / f"{kind}-out")).audio).is_file()


def test_bytes_that_happen_to_be_utf8_are_no_text(tmp_path: Path) -> None:
    for name in ("c/s/a.wav", "c/s/b.wav"):
        record(tmp_path / name)
    write(tmp_path / "c/s/a.txt", "你好吗".encode("utf-16-le"))
    write(tmp_path / "c/s/b.txt", "hello there")
    prepare([str(tmp_path / "c")], tmp_path / "out")
    assert [u.transcript for u in read_utterances(tmp_path / "out")] == ["hello there"]
    assert list(dropped(tmp_path / "out").values()) == ["not_utf8"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_transcripts_in_utf16(tmp_path: Path, encoding: str) -> None:
    def save(path: str, text: str) -> None:
        write(tmp_path / path, text.encode(encoding))

    for name in ("meta/wavs/a.wav", "folder/s/a.wav", "kaldi/a.wav", "cv/en/clips/a.wav", "libri/1/2/1-2-0.wav"):
        record(tmp_path / name)
    save("meta/metadata.csv", "a|hello there\n")
    save("folder/s/a.txt", "hello there")
    for name, text in (("wav.scp", "a a.wav"), ("text", "a hello there"), ("utt2spk", "a s")):
        save(f"kaldi/{name}", f"{text}\n")
    save("cv/en/validated.tsv", "client_id\tpath\tsentence\nann\ta.wav\thello there\n")
    save("libri/1/2/1-2.trans.txt", "1-2-0 hello there\n")
    for kind in ("meta", "folder", "kaldi", "cv", "libri"):
        assert prepare([str(tmp_path / kind)], tmp_path / f"{kind}-out").counts["dropped"] == {}
        assert [u.transcript for u in read_utterances(tmp_path / f"{kind}-out")] == ["hello there"]
