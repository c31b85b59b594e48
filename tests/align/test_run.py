"""The stage `align`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from corpus_files import record
from wordprint.align.base import transcript_words
from wordprint.align.comparison import compare_alignments
from wordprint.align.options import AlignConfig
from wordprint.align.stage import align, align_shard
from wordprint.corpora.stage import prepare
from wordprint.errors import ConfigError, DatasetError, InputError, OutputConflictError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import probe_audio
from wordprint.speech.textgrid import read_textgrid, write_textgrid
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl

from .conftest import Speech, write_manifest


class EvenAligner:
    """The aligner of the documents: words of equal length."""

    def __init__(self, config: AlignConfig) -> None: ...

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        words = transcript_words(utterance)
        step = utterance.duration_s / len(words)
        intervals = [Interval(word, i * step, (i + 1) * step) for i, word in enumerate(words)]
        return Alignment(utterance.utterance_id, tuple(intervals))


EVEN = AlignConfig(aligner=f"{__name__}:EvenAligner")


@pytest.fixture
def manifest(corpus: list[Speech], tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "prepared", [speech.utterance for speech in corpus])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a finished stage but the receipt, which holds the time."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "stage.json"}


def test_writes_textgrids_and_their_index(manifest: Path, corpus: list[Speech], tmp_path: Path) -> None:
    receipt = align(manifest, tmp_path / "out")
    lines = list(read_jsonl(tmp_path / "out" / ALIGNMENTS))
    assert receipt.counts == {"in": 6, "kept": 6, "dropped": {}}
    assert receipt.details["g2p"] in ("espeak-ng", "rules")
    for speech, line in zip(corpus, lines, strict=True):
        utterance = speech.utterance
        assert Utterance.from_json(line) == utterance
        assert line["textgrid"] == f"textgrids/{utterance.speaker}/{utterance.utterance_id}.TextGrid"
        grid = read_textgrid(tmp_path / "out" / line["textgrid"], utterance.utterance_id)
        assert [word.symbol for word in grid.words] == utterance.transcript.lower().split()
        assert len(line["word_goodness"]) == len(grid.words)
        assert line["goodness"] < 0
        assert line["oov"] == []
        assert len(grid.phones) > len(grid.words)


def test_two_workers_write_the_same_bytes_and_a_rerun_nothing(manifest: Path, tmp_path: Path) -> None:
    align(manifest, tmp_path / "one")
    align(manifest, tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert align(manifest, tmp_path / "one").fresh is False
    with pytest.raises(OutputConflictError, match="phones was True, now False"):
        align(manifest, tmp_path / "one", AlignConfig(phones=False))
    align(manifest, tmp_path / "one", AlignConfig(phones=False), overwrite=True)
    assert tree(tmp_path / "one") != tree(tmp_path / "two")


def test_goes_on_where_it_was_killed(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wordprint.align.stage._SHARD_SIZE", 2)
    align(manifest, tmp_path / "whole", EVEN)
    calls = []

    def dies_at_the_third(utterances: list[Utterance], **arguments: object) -> list[dict[str, object]]:
        calls.append(len(utterances))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return align_shard(utterances, **arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("wordprint.align.stage.align_shard", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        align(manifest, tmp_path / "killed", EVEN)
    assert not (tmp_path / "killed" / ALIGNMENTS).exists()
    align(manifest, tmp_path / "killed", EVEN)
    assert calls == [2, 2, 2, 2]  # the first two shards were not done again
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_bad_utterances_among_good_ones_are_dropped_by_reason(corpus: list[Speech], tmp_path: Path) -> None:
    good = corpus[0].utterance
    noise = tmp_path / "noise.flac"
    noise.write_bytes(b"this is not audio")
    short = replace(good, end_s=0.03)
    utterances = [
        good,
        replace(good, utterance_id="gone", audio=str(tmp_path / "none.flac")),
        replace(good, utterance_id="noise", audio=str(noise)),
        replace(good, utterance_id="silent-text", transcript=""),
        replace(good, utterance_id="digits", transcript="ROOM 101"),
        replace(good, utterance_id="german", language="de"),
        replace(short, utterance_id="short"),
        replace(good, utterance_id="endless", end_s=2400.0),
        replace(good, utterance_id="oov", transcript=good.transcript.replace("YELLOW", "YELOUGH")),
    ]
    receipt = align(write_manifest(tmp_path / "prepared", utterances), tmp_path / "out")
    assert receipt.counts["kept"] == 2
    assert receipt.counts["dropped"] == {
        "empty_transcript": 1,
        "missing_audio": 1,
        "too_long": 1,
        "too_short": 1,
        "unknown_characters": 1,
        "unreadable_audio": 1,
        "unsupported_language": 1,
    }
    assert receipt.details["oov_utterances"] == {"yelough": 1}
    lines = list(read_jsonl(tmp_path / "out" / ALIGNMENTS))
    assert [line["oov"] for line in lines] == [[], ["yelough"]]
    alone = align(write_manifest(tmp_path / "alone", [good]), tmp_path / "out-alone")
    assert alone.counts["kept"] == 1
    grid = lines[0]["textgrid"]
    assert (tmp_path / "out" / grid).read_bytes() == (tmp_path / "out-alone" / grid).read_bytes()


def test_segments_of_a_recording_have_times_of_their_own(corpus: list[Speech], tmp_path: Path) -> None:
    speech = corpus[0]
    cut_s = speech.words[2].start_s  # "the doctor | opened the yellow window"
    part = replace(speech.utterance, start_s=cut_s, transcript="opened the yellow window")
    align(write_manifest(tmp_path / "prepared", [part]), tmp_path / "out")
    (line,) = read_jsonl(tmp_path / "out" / ALIGNMENTS)
    words = read_textgrid(tmp_path / "out" / line["textgrid"], "u").words
    assert [word.symbol for word in words] == ["opened", "the", "yellow", "window"]
    assert words[-1].start_s == pytest.approx(speech.words[-1].start_s - cut_s, abs=0.1)


def test_an_aligner_of_ones_own(manifest: Path, corpus: list[Speech], tmp_path: Path) -> None:
    align(manifest, tmp_path / "out", EVEN)
    (first, *_) = read_jsonl(tmp_path / "out" / ALIGNMENTS)
    assert first["goodness"] is None
    assert first["word_goodness"] == [None] * 6
    words = read_textgrid(tmp_path / "out" / first["textgrid"], "u").words
    assert words[-1].end_s == pytest.approx(corpus[0].utterance.duration_s)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AlignConfig(aligner="kaldi"), "expected one of pocketsphinx, textgrid, lhotse, mfa, or package.module:name"),
        (AlignConfig(aligner="no_such_package:Aligner"), "can't be imported"),
        (AlignConfig(aligner="wordprint.align.base:Missing"), "can't be imported"),
        (AlignConfig(aligner="os:path"), "'os:path' is a module"),
        (AlignConfig(max_duration_s=3600.0), "expected more than 0 and at most 1200"),
        (AlignConfig(aligner="textgrid"), "--textgrids FOLDER"),
        (AlignConfig(textgrids=Path("somewhere")), "expected aligner textgrid; leave textgrids out"),
        (AlignConfig(aligner="textgrid", textgrids=Path(), lexicon=Path("b")), "leave lexicon out"),
    ],
)
def test_options_that_cannot_work_are_told_before_any_work(
    manifest: Path, tmp_path: Path, config: AlignConfig, message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        align(manifest, tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_a_corpus_of_which_nothing_can_be_aligned(corpus: list[Speech], tmp_path: Path) -> None:
    german = write_manifest(tmp_path / "prepared", [replace(speech.utterance, language="de") for speech in corpus])
    with pytest.raises(DatasetError, match=r"none of 6 utterances .* Montreal Forced Aligner"):
        align(german, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # free for the mended command


@pytest.mark.parametrize("ids", [[], ["a", "a"], ["../a"]])
def test_manifests_that_cannot_work(corpus: list[Speech], tmp_path: Path, ids: Sequence[str]) -> None:
    manifest = write_manifest(tmp_path / "prepared", [replace(corpus[0].utterance, utterance_id=name) for name in ids])
    with pytest.raises(InputError, match=r"no utterances|twice|file's name"):
        align(manifest, tmp_path / "out", EVEN)


@pytest.fixture
def textgrids(corpus: list[Speech], tmp_path: Path) -> Path:
    """A folder as MFA writes it: one TextGrid per utterance in speaker folders."""
    for speech in corpus:
        utterance = speech.utterance
        path = tmp_path / "mfa" / utterance.speaker / f"{utterance.utterance_id}.TextGrid"
        write_textgrid(path, Alignment("", speech.words), utterance.duration_s)
    return tmp_path / "mfa"


def test_existing_textgrids_are_an_aligner(manifest: Path, corpus: list[Speech], textgrids: Path, tmp_path: Path) -> None:
    missing, broken, wrong = (
        textgrids / s.utterance.speaker / f"{s.utterance.utterance_id}.TextGrid" for s in (corpus[1], corpus[2], corpus[3])
    )
    missing.unlink()
    broken.write_text("File type = ")
    write_textgrid(wrong, Alignment("", (Interval("late", 50.0, 51.0),)), 60.0)
    receipt = align(manifest, tmp_path / "out", AlignConfig(aligner="textgrid", textgrids=textgrids))
    assert receipt.counts["kept"] == 3
    assert receipt.counts["dropped"] == {"no_textgrid": 1, "textgrid_mismatch": 1, "unreadable_textgrid": 1}
    (first, *_) = read_jsonl(tmp_path / "out" / ALIGNMENTS)
    words = read_textgrid(tmp_path / "out" / first["textgrid"], "u").words
    assert words == tuple(Interval(w.symbol, w.start_s, w.end_s) for w in corpus[0].words)


def test_textgrids_are_found_by_the_id_in_their_corpus(corpus: list[Speech], textgrids: Path, tmp_path: Path) -> None:
    renamed = [
        replace(
            s.utterance,
            utterance_id=f"mine-{i}",
            speaker=f"mine-{s.utterance.speaker}",
            meta={"source_id": s.utterance.utterance_id},
        )
        for i, s in enumerate(corpus)
    ]
    twin = textgrids / "another" / f"{corpus[0].utterance.utterance_id}.TextGrid"
    write_textgrid(twin, Alignment("", (Interval("wrong", 0.1, 0.2),)), 1.0)
    config = AlignConfig(aligner="textgrid", textgrids=textgrids)
    align(write_manifest(tmp_path / "prepared", renamed), tmp_path / "out", config)
    (first, *_) = read_jsonl(tmp_path / "out" / ALIGNMENTS)
    assert read_textgrid(tmp_path / "out" / first["textgrid"], "u").words[0].symbol == "the"


def test_the_textgrid_of_a_recording_serves_all_who_speak_in_it(tmp_path: Path) -> None:
    """What MFA writes for two speakers, read as a corpus and as its alignment."""
    from praatio import textgrid

    anna = [(0.5, 0.9, "hello"), (1.0, 1.4, "there"), (3.0, 3.5, "good")]
    bob = [(1.6, 2.0, "fine"), (2.1, 2.6, "thanks")]
    grid = textgrid.Textgrid()
    for name, entries in {"anna - words": anna, "anna - phones": [(3.0, 3.5, "G")], "bob - words": bob}.items():
        grid.addTier(textgrid.IntervalTier(name, entries, 0, 4.0))
    record(tmp_path / "corpus" / "talk.wav", 4.0)
    grid.save(str(tmp_path / "corpus" / "talk.TextGrid"), format="long_textgrid", includeBlankSpaces=True)
    prepare([f"c=folder:{tmp_path / 'corpus'}"], tmp_path / "prepared")
    align(tmp_path / "prepared", tmp_path / "out", AlignConfig(aligner="textgrid", textgrids=tmp_path / "corpus"))
    found = {}
    for line in read_jsonl(tmp_path / "out" / ALIGNMENTS):
        aligned = read_textgrid(tmp_path / "out" / line["textgrid"], line["utterance_id"])
        spans = [(word.symbol, round(word.start_s, 3), round(word.end_s, 3)) for word in aligned.words]
        found[line["utterance_id"]] = (line["speaker"], spans, len(aligned.phones))
    assert found == {
        "c-talk-anna-0001": ("c-anna", [("hello", 0.0, 0.4), ("there", 0.5, 0.9)], 0),
        "c-talk-bob-0001": ("c-bob", [("fine", 0.0, 0.4), ("thanks", 0.5, 1.0)], 0),
        "c-talk-anna-0002": ("c-anna", [("good", 0.0, 0.5)], 1),
    }
    assert compare_alignments(tmp_path / "out", tmp_path / "corpus").counts["dropped"] == {}


def test_unknown_words_come_back_from_the_transcript(corpus: list[Speech], textgrids: Path, tmp_path: Path) -> None:
    speech = corpus[0]
    path = textgrids / speech.utterance.speaker / f"{speech.utterance.utterance_id}.TextGrid"
    words = [replace(word, symbol="<unk>") if word.symbol == "yellow" else word for word in speech.words]
    config = AlignConfig(aligner="textgrid", textgrids=textgrids)
    for name, transcript, symbol in (("a", speech.utterance.transcript, "yellow"), ("b", "another text", "<unk>")):
        write_textgrid(path, Alignment("", tuple(words)), speech.utterance.duration_s)
        utterance = replace(speech.utterance, transcript=transcript)
        align(write_manifest(tmp_path / f"in-{name}", [utterance]), tmp_path / f"out-{name}", config)
        (line,) = read_jsonl(tmp_path / f"out-{name}" / ALIGNMENTS)
        assert read_textgrid(tmp_path / f"out-{name}" / line["textgrid"], "u").words[4].symbol == symbol


def test_a_label_of_several_words_is_several_words(corpus: list[Speech], tmp_path: Path) -> None:
    words = (Interval("Twenty-one", 0.1, 0.5), Interval("<unk>", 0.5, 0.8), Interval("$", 0.8, 1.0))
    utterance = replace(corpus[0].utterance, transcript="TWENTY-ONE ZQXV")
    config = AlignConfig(aligner="textgrid", textgrids=tmp_path / "mfa")
    for name, count, expected in (("known", 2, ["twenty one", "zqxv"]), ("unlike", 3, ["twenty one", "<unk>", "$"])):
        write_textgrid(tmp_path / "mfa" / f"{utterance.utterance_id}.TextGrid", Alignment("", words[:count]), utterance.duration_s)
        align(write_manifest(tmp_path / f"in-{name}", [utterance]), tmp_path / name, config)
        (line,) = read_jsonl(tmp_path / name / ALIGNMENTS)
        found = read_textgrid(tmp_path / name / line["textgrid"], "u").words
        assert [word.symbol for word in found] == expected
        assert len(line["word_goodness"]) == count


def test_files_that_may_not_be_read_are_dropped_and_no_others(
    manifest: Path, corpus: list[Speech], textgrids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, real = corpus[1].utterance.utterance_id, Path.stat

    def refuses_one(path: Path, **how: bool) -> object:
        if path.stem == locked and str(path).startswith((str(textgrids), corpus[1].utterance.audio)):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **how)

    monkeypatch.setattr(Path, "stat", refuses_one)
    receipt = align(manifest, tmp_path / "audio", EVEN)
    assert receipt.counts == {"in": 6, "kept": 5, "dropped": {"unreadable_audio": 1}}
    monkeypatch.setattr("wordprint.stages.contract.digest_input", str)  # the fingerprint of the folder needs every file
    receipt = align(manifest, tmp_path / "textgrids", AlignConfig(aligner="textgrid", textgrids=textgrids))
    assert receipt.counts == {"in": 6, "kept": 5, "dropped": {"unreadable_textgrid": 1}}


def test_a_folder_without_textgrids_is_told(manifest: Path, tmp_path: Path) -> None:
    for folder, message in ((tmp_path / "none", "does not exist"), (tmp_path, "holds no TextGrids")):
        with pytest.raises(InputError, match=message):
            align(manifest, tmp_path / "out", AlignConfig(aligner="textgrid", textgrids=folder))


def test_textgrids_of_a_real_aligner(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "mfa_textgrids"
    utterances = []
    for path in sorted((folder / "19").glob("*.TextGrid"))[:20]:
        grid = read_textgrid(path, path.stem)
        utterances.append(Utterance(path.stem, "19", "none", 0.0, grid.words[-1].end_s, "text"))
    config = AlignConfig(aligner="textgrid", textgrids=folder)
    receipt = align(write_manifest(tmp_path / "prepared", utterances), tmp_path / "out", config)
    assert receipt.counts["kept"] == len(utterances)


def test_real_speech(shared_data: Path, tmp_path: Path) -> None:
    """Every sentence of a chapter of LibriSpeech is aligned; MFA's rough times agree with most boundaries."""
    folder = next((shared_data / "LibriSpeech" / "train-clean-100" / "19").iterdir())
    (table,) = folder.glob("*.trans.txt")
    utterances = []
    for line in table.read_text().splitlines()[:8]:
        name, transcript = line.split(" ", 1)
        (audio,) = (path for path in folder.glob(f"{name}.*") if path.suffix != ".txt")
        utterances.append(Utterance(name, "19", str(audio), 0.0, probe_audio(audio).duration_s, transcript))
    receipt = align(write_manifest(tmp_path / "prepared", utterances), tmp_path / "out")
    assert receipt.counts["kept"] == len(utterances)
    differences = []
    for line in read_jsonl(tmp_path / "out" / ALIGNMENTS):
        ours = read_textgrid(tmp_path / "out" / line["textgrid"], "u").words
        other = read_textgrid(shared_data / "mfa_textgrids" / "19" / f"{line['utterance_id']}.TextGrid", "u").words
        if len(ours) == len(other):
            differences += [abs(a.start_s - b.start_s) for a, b in zip(ours, other, strict=True)]
    assert np.median(differences) < 0.03
    assert json.loads((tmp_path / "out" / "stage.json").read_text())["stage"] == "align"
