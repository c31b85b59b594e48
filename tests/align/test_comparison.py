"""`align --compare`: planted shifts are found exactly, and what only one of the two has is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.align import comparison
from wordprint.align.comparison import compare_alignments
from wordprint.align.differences import boundary_differences, figures, summarise
from wordprint.errors import DatasetError, InputError, OutputConflictError
from wordprint.records import Alignment, Interval
from wordprint.speech.audio import write_audio
from wordprint.speech.textgrid import write_textgrid
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, write_jsonl
from wordprint.stages.receipt import digest_input

Words = Sequence[tuple[str, float, float]]

SPOKEN: dict[str, Words] = {
    "anna-one": [("good", 0.5, 0.9), ("morning", 0.9, 1.4), ("everybody", 1.7, 2.4)],
    "anna-two": [("good", 0.3, 0.6), ("night", 0.6, 1.2)],
    "ben-one": [("the", 0.4, 0.5), ("night", 0.5, 1.0)],
}


def aligned(folder: Path, spoken: Mapping[str, Words] = SPOKEN) -> Path:
    """A folder as `align` leaves it, of two and a half seconds of noise each."""
    lines = []
    for utterance_id, words in spoken.items():
        speaker, _, source_id = utterance_id.partition("-")
        audio = folder / "recordings" / f"{utterance_id}.wav"
        audio.parent.mkdir(parents=True, exist_ok=True)
        write_audio(audio, np.random.default_rng(len(lines)).normal(0, 0.1, 40_000).astype(np.float32))
        textgrid = f"textgrids/{speaker}/{utterance_id}.TextGrid"
        textgrids(folder / "textgrids", {utterance_id: words})
        lines.append({
            "utterance_id": utterance_id, "speaker": speaker, "audio": str(audio), "start_s": 0.0, "end_s": 2.5,
            "transcript": " ".join(word for word, _, _ in words), "language": "en", "meta": {"source_id": source_id},
            "textgrid": textgrid, "goodness": None, "word_goodness": [None] * len(words), "oov": [],
        })  # fmt: skip
    write_jsonl(folder / ALIGNMENTS, lines)
    return folder


def textgrids(folder: Path, spoken: Mapping[str, Words], *, source_ids: bool = False) -> Path:
    """TextGrids in speaker folders, named after the utterances or after their ids in the corpus."""
    for utterance_id, words in spoken.items():
        speaker, _, source_id = utterance_id.partition("-")
        name = source_id if source_ids else utterance_id
        path = folder / speaker / f"{name}.TextGrid"
        write_textgrid(path, Alignment("", tuple(Interval(*word) for word in words)), 2.5)
    return folder


def shifted(start_ms: float, end_ms: float) -> dict[str, Words]:
    """Where another aligner would have to put the words for the first to be that much later."""
    return {name: [(w, s - start_ms / 1000, e - end_ms / 1000) for w, s, e in words] for name, words in SPOKEN.items()}


def report(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    return document


def test_planted_shifts_are_found_exactly(tmp_path: Path) -> None:
    other = textgrids(tmp_path / "mfa", shifted(30.0, 60.5))
    receipt = compare_alignments(aligned(tmp_path / "align"), other)
    assert receipt.output == tmp_path / "align/compare-mfa"
    assert receipt.counts == {"in": 3, "kept": 3, "dropped": {}}
    found = report(receipt.output)
    assert found["names"] == ["align", "mfa"]
    assert found["words"] == {"matched": 7, "unmatched": 0}
    assert found["starts"] == {"boundaries": 7, "mean_ms": 30.0, "median_ms": 30.0, "within_20_ms": 0.0, "within_50_ms": 1.0,
                               "within_100_ms": 1.0, "bias_ms": 30.0}  # fmt: skip
    assert (found["ends"]["mean_ms"], found["ends"]["bias_ms"]) == (60.5, 60.5)
    assert (found["all"]["boundaries"], found["all"]["median_ms"], found["all"]["bias_ms"]) == (14, 45.25, 45.25)


def test_hand_worked_figures() -> None:
    words = [
        ["a", 0.10, 0.50, 0.10, 0.51],  # ms:    0  −10
        ["night", 0.50, 0.90, 0.48, 0.70],  # +20 +200
        ["telegraph", 1.00, 1.50, 1.30, 1.5001],  # −300 −0.1
    ]
    lines = [{"utterance_id": "u", "speaker": "anna", "words": words, "only_first": ["x"], "only_second": []}]
    lines.append({"utterance_id": "v", "speaker": "ben", "words": [], "only_first": [], "only_second": ["y", "z"]})
    found = summarise(lines)
    assert found["all"]["within_20_ms"] == pytest.approx(4 / 6, abs=1e-5)
    assert found["all"]["median_ms"] == 15.0
    assert found["starts"]["bias_ms"] == pytest.approx(-280 / 3, abs=1e-3)
    assert found["by_speaker"] == [
        {"speaker": "anna", "utterances": 1, "boundaries": 6, "mean_ms": 88.35, "gross": 2},
        {"speaker": "ben", "utterances": 1, "boundaries": 0, "mean_ms": 0.0, "gross": 0},
    ]
    assert found["worst"] == [{"utterance_id": "u", "boundaries": 6, "mean_ms": 88.35, "gross": 2, "max_ms": 300.0}]
    assert found["words"] == {"matched": 3, "unmatched": 3}


def test_a_hundred_of_many_are_listed_the_worst_first() -> None:
    late = np.random.default_rng(0).permutation(250) / 1000
    lines = [
        {
            "utterance_id": f"u{n:03}",
            "speaker": f"s{n}",
            "words": [["a", 0.5 + s, 1.0, 0.5, 1.0]],
            "only_first": [],
            "only_second": [],
        }
        for n, s in enumerate(late.tolist())
    ]
    found = summarise(lines)
    assert [entry["max_ms"] for entry in found["worst"]] == list(range(249, 149, -1))
    assert [row["speaker"] for row in found["by_speaker"]] == [f"s{n}" for n in np.argsort(-late)[:100]]
    assert found["speakers"] == 250


@given(st.lists(st.floats(-12, 12, allow_nan=False), max_size=50))
def test_figures_are_those_of_all_values_at_once(values: list[float]) -> None:
    found = boundary_differences([["a", value, 0.0, 0.0, 0.0] for value in values])[:, 0]
    assert found.tolist() == [round(value * 10_000) for value in values]
    capped = found.clip(-100_000, 100_000)
    got, ms = figures(np.bincount(capped + 100_000, minlength=200_001)), capped / 10
    assert got["boundaries"] == len(values)
    if len(values):
        sizes = np.abs(ms)
        assert got["median_ms"] == pytest.approx(np.median(sizes))
        assert got["mean_ms"] == pytest.approx(sizes.mean(), abs=0.001)
        assert got["bias_ms"] == pytest.approx(ms.mean(), abs=0.001)
        assert got["within_100_ms"] == pytest.approx((sizes <= 100).mean(), abs=1e-5)


def test_the_worst_come_first_with_both_times(tmp_path: Path) -> None:
    moved = {
        "anna-one": [*SPOKEN["anna-one"][:2], ("everybody", 1.7, 2.39)],
        "anna-two": [("good", 0.3, 0.6), ("night", 1.0, 1.2)],
        "ben-one": [("the", 0.4, 0.5), ("night", 0.5, 1.8)],
    }
    receipt = compare_alignments(aligned(tmp_path / "align"), textgrids(tmp_path / "mfa", moved))
    assert [entry["utterance_id"] for entry in report(receipt.output)["worst"]] == ["ben-one", "anna-two", "anna-one"]
    lines = {line["utterance_id"]: line for line in read_jsonl(receipt.output / "differences.jsonl")}
    assert lines["anna-two"]["words"][1] == ["night", 0.6, 1.2, 1.0, 1.2]
    page = (receipt.output / "report.html").read_text(encoding="utf-8")
    shown = json.loads(page.partition('id="listen-data">')[2].partition("</script>")[0])
    assert [row["title"] for row in shown["rows"]] == ["night", "night", "everybody"]
    assert [fact[1] for fact in shown["rows"][0]["facts"][:2]] == ["0.50–1.00 s", "0.50–1.80 s"]
    clip = shown["clips"][2]  # from 1.0 s on
    assert (clip["words"], clip["span"]) == ([["morning", -0.1, 0.4], ["everybody", 0.7, 1.4]], [0.7, 1.4])
    assert clip["phones"] == [["morning", -0.1, 0.4], ["everybody", 0.7, 1.39]]


def test_what_only_one_of_them_has(tmp_path: Path) -> None:
    folder = aligned(tmp_path / "align", {**SPOKEN, "ben-two": [("lost", 0.1, 0.4)], "ben-three": [("broken", 0.1, 0.6)]})
    other = textgrids(tmp_path / "mfa", {**SPOKEN, "anna-two": [("good", 0.3, 0.6), ("day", 0.6, 1.2)]})
    textgrids(other, {"carl-nine": [("hello", 0.1, 0.4)]})
    (other / "ben" / "ben-three.TextGrid").write_text("no TextGrid", encoding="utf-8")
    receipt = compare_alignments(folder, other)
    assert receipt.counts == {
        "in": 6, "kept": 3, "dropped": {"not_in_first_alignment": 1, "not_in_second_alignment": 1, "unreadable_textgrid": 1}
    }  # fmt: skip
    dropped = {line["reason"]: line["item"] for line in read_jsonl(receipt.output / "dropped.jsonl")}
    assert dropped == {
        "not_in_second_alignment": "ben-two", "unreadable_textgrid": "ben-three",
        "not_in_first_alignment": "carl/carl-nine.TextGrid",
    }  # fmt: skip
    lines = {line["utterance_id"]: line for line in read_jsonl(receipt.output / "differences.jsonl")}
    assert (lines["anna-two"]["only_first"], lines["anna-two"]["only_second"]) == (["night"], ["day"])
    assert report(receipt.output)["words"] == {"matched": 6, "unmatched": 2}


def test_a_file_name_that_is_no_utf_8(tmp_path: Path) -> None:
    other = textgrids(tmp_path / "mfa", SPOKEN)
    (other / "ben" / os.fsdecode(b"caf\xe9.TextGrid")).touch()
    receipt = compare_alignments(aligned(tmp_path / "align"), other)
    assert [line["item"] for line in read_jsonl(receipt.output / "dropped.jsonl")] == ["ben/caf?.TextGrid"]


def test_textgrids_named_by_the_ids_of_the_corpus(tmp_path: Path) -> None:
    """`one` is the name of two: the folder of the speaker decides; for `two` there is no choice."""
    receipt = compare_alignments(aligned(tmp_path / "align"), textgrids(tmp_path / "mfa", SPOKEN, source_ids=True))
    lines = {line["utterance_id"]: line["other_textgrid"] for line in read_jsonl(receipt.output / "differences.jsonl")}
    assert lines == {"anna-one": "anna/one.TextGrid", "anna-two": "anna/two.TextGrid", "ben-one": "ben/one.TextGrid"}
    assert report(receipt.output)["all"]["mean_ms"] == 0.0


def test_two_workers_write_the_same_bytes_and_a_rerun_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_SHARD_SIZE", 1)
    folder, other = aligned(tmp_path / "align"), textgrids(tmp_path / "mfa", shifted(10, 20))
    output = compare_alignments(folder, other).output
    one = {path.name: path.read_bytes() for path in output.iterdir() if path.name != "stage.json"}
    assert not compare_alignments(folder, other).fresh
    shutil.rmtree(output)
    compare_alignments(folder, other, workers=2)
    assert one == {path.name: path.read_bytes() for path in output.iterdir() if path.name != "stage.json"}
    textgrids(other, shifted(0, 0))
    with pytest.raises(OutputConflictError, match="input 'other' has changed"):
        compare_alignments(folder, other)


def test_it_is_no_input_of_later_stages(tmp_path: Path) -> None:
    folder = aligned(tmp_path / "align")
    write_jsonl(folder / "dropped.jsonl", [])
    (folder / "stage.json").write_text(json.dumps({
        "schema": "wordprint.stage/1", "stage": "align", "config": {"aligner": "even"}, "inputs": {}, "counts": {},
        "outputs": {"alignments.jsonl": "0"}, "details": {}, "wall_s": 1.0,
    }))  # fmt: skip
    before = digest_input(folder)
    output = compare_alignments(folder, textgrids(tmp_path / "mfa", SPOKEN)).output
    assert digest_input(folder) == before
    assert report(output)["names"] == ["align (even)", "mfa"]


def test_a_recording_that_is_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder = aligned(tmp_path / "align")
    (folder / "recordings/ben-one.wav").unlink()
    output = compare_alignments(folder, textgrids(tmp_path / "mfa", SPOKEN)).output
    assert "1 of their recordings can't be read any more" in (output / "report.html").read_text(encoding="utf-8")


def test_inputs_that_cannot_work(tmp_path: Path) -> None:
    folder = aligned(tmp_path / "align")
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / "textgrids").mkdir(parents=True)
    strangers = textgrids(tmp_path / "mfa", {"carl-nine": [("hello", 0.1, 0.4)]})
    for other, kind, message in (
        (tmp_path / "empty", InputError, "no TextGrids"),
        (tmp_path / "none", InputError, "does not exist"),
        (tmp_path / "half", InputError, "half"),
        (folder, InputError, "compared with itself"),
        (folder / "textgrids", InputError, "compared with itself"),
        (strangers, DatasetError, r"no word in common.*no TextGrid is named anna-one or one"),
    ):
        with pytest.raises(kind, match=message):
            compare_alignments(folder, other)
        assert not list(folder.glob("compare-*"))  # nothing unfinished that would be in the way of the mended command
