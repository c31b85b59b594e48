"""What `words` trusts: words that two aligners agree on, goodness above the calibrated threshold, nothing that is listed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.stages.receipt import RECEIPT
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

from .conftest import Corpus, write_textgrid

ALL = WordsConfig(
    min_letters=1, min_tokens=1, min_speakers=1, validation_speakers=0, test_speakers=0, validation_words=0, test_words=0
)
SPOKEN = [("good", 0.2, 0.6), ("morning", 0.6, 1.1), ("everybody", 1.3, 2.0)]


@pytest.fixture
def folder(corpus: Corpus) -> Path:
    """Three words, said by two speakers."""
    corpus.add("a-1", "ann", SPOKEN, goodness=[-1.0, -5.0, -9.0])
    corpus.add("b-1", "bob", SPOKEN, goodness=[-2.0, -6.0, -10.0])
    corpus.lines[0]["goodness"], corpus.lines[1]["goodness"] = -4.0, -7.0
    return corpus.write()


def kept(output: Path) -> list[tuple[str, str]]:
    return sorted((row["utterance_id"], row["words"]) for row in WordDataset(output).segments.to_pylist())


def details(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / RECEIPT).read_text(encoding="utf-8"))["details"]
    return found


# agreement


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Ann's first word begins 50 ms later and her second ends 50.1 ms earlier; her third, and all of Bob's, is the same."""
    moved = [("Good", 0.25, 0.6), ("morning", 0.6, 1.0499), ("everybody", 1.3, 2.0)]
    write_textgrid(tmp_path / "mfa/ann/a-1.TextGrid", 3.0, {"words": moved})
    write_textgrid(tmp_path / "mfa/bob/b-1.TextGrid", 3.0, {"words": SPOKEN})
    return tmp_path / "mfa"


def agreeing(second: Path, limit_ms: float, **options: Any) -> WordsConfig:
    return dataclasses.replace(ALL, second_alignments=second, require_agreement=limit_ms, **options)


def test_a_difference_of_just_the_limit_is_agreement(folder: Path, second: Path, tmp_path: Path) -> None:
    receipt = words(folder, tmp_path / "out", agreeing(second, 50.0))
    assert receipt.counts == {"in": 6, "kept": 5, "dropped": {"aligners_disagree": 1}}
    assert ("a-1", "morning") not in kept(tmp_path / "out")
    assert words(folder, tmp_path / "wide", agreeing(second, 50.1)).counts["kept"] == 6
    assert words(folder, tmp_path / "exact", agreeing(second, 0)).counts["kept"] == 4


def test_words_and_utterances_that_the_second_does_not_have(folder: Path, second: Path, tmp_path: Path) -> None:
    write_textgrid(second / "ann/a-1.TextGrid", 3.0, {"words": [SPOKEN[0], ("mourning", 0.6, 1.1), SPOKEN[2]]})
    (second / "bob/b-1.TextGrid").write_text("no TextGrid", encoding="utf-8")
    receipt = words(folder, tmp_path / "out", agreeing(second, 100), workers=1)
    assert receipt.counts["dropped"] == {"not_in_second_alignment": 4}
    assert kept(tmp_path / "out") == [("a-1", "everybody"), ("a-1", "good")]


def test_a_phrase_needs_all_its_words(folder: Path, second: Path, tmp_path: Path) -> None:
    words(folder, tmp_path / "out", agreeing(second, 50, max_phrase_words=2))
    assert [text for name, text in kept(tmp_path / "out") if name == "a-1"] == ["everybody", "good"]
    assert ("b-1", "good morning") in kept(tmp_path / "out")


def test_the_folder_of_align_is_taken_as_well(folder: Path, second: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "alignments.jsonl").write_text("", encoding="utf-8")
    second.rename(other / "textgrids")
    assert words(folder, tmp_path / "out", agreeing(other, 50)).counts["kept"] == 5
    (other / "compare-mfa").mkdir()
    assert not words(folder, tmp_path / "out", agreeing(other, 50)).fresh
    write_textgrid(other / "textgrids/ann/a-1.TextGrid", 3.0, {"words": SPOKEN})
    with pytest.raises(OutputConflictError, match="input 'second_alignments' has changed"):
        words(folder, tmp_path / "out", agreeing(other, 50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"require_agreement": 50.0}, "second_alignments is not set"),
        ({"second_alignments": Path("mfa")}, "require_agreement is not set"),
        ({"second_alignments": Path("mfa"), "require_agreement": -1.0}, "require_agreement is -1"),
    ],
)
def test_one_option_needs_the_other(folder: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        words(folder, tmp_path / "out", dataclasses.replace(ALL, **options))


# goodness


def calibrate(folder: Path, threshold: float | None) -> None:
    (folder / "calibration").mkdir(exist_ok=True)
    (folder / "calibration/calibration.json").write_text(json.dumps({"words": {"threshold": threshold}}), encoding="utf-8")


def test_the_calibrated_threshold_is_the_default(folder: Path, tmp_path: Path) -> None:
    assert words(folder, tmp_path / "before", ALL).counts["kept"] == 6
    calibrate(folder, -6.0)
    assert words(folder, tmp_path / "out", ALL).counts["dropped"] == {"low_goodness": 2}
    assert details(tmp_path / "out")["gates"] == {"min_goodness": -6.0}
    assert words(folder, tmp_path / "none", dataclasses.replace(ALL, min_goodness="none")).counts["kept"] == 6
    assert words(folder, tmp_path / "mine", dataclasses.replace(ALL, min_goodness=-5.0)).counts["kept"] == 3


def test_another_calibration_is_another_run(folder: Path, tmp_path: Path) -> None:
    calibrate(folder, -6.0)
    words(folder, tmp_path / "out", ALL)
    assert not words(folder, tmp_path / "out", ALL).fresh
    words(folder, tmp_path / "mine", dataclasses.replace(ALL, min_goodness=-6.0))
    calibrate(folder, -9.5)
    with pytest.raises(OutputConflictError, match="input 'calibration' has changed"):
        words(folder, tmp_path / "out", ALL)
    assert not words(folder, tmp_path / "mine", dataclasses.replace(ALL, min_goodness=-6.0)).fresh


def test_a_calibration_that_gave_no_threshold_or_was_stopped(folder: Path, tmp_path: Path) -> None:
    calibrate(folder, None)
    assert words(folder, tmp_path / "out", ALL).counts["kept"] == 6
    (folder / "calibration/calibration.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        words(folder, tmp_path / "damaged", ALL)
    (folder / "calibration/calibration.json").unlink()
    with pytest.raises(InputError, match="run 'wordprint align --calibrate' first"):
        words(folder, tmp_path / "stopped", ALL)


def test_an_utterance_that_fits_badly_on_the_whole(folder: Path, tmp_path: Path) -> None:
    receipt = words(folder, tmp_path / "out", dataclasses.replace(ALL, min_utterance_goodness=-4.0))
    assert receipt.counts["dropped"] == {"low_utterance_goodness": 3}
    assert {name for name, _ in kept(tmp_path / "out")} == {"a-1"}


# lists


def test_listed_segments_are_dropped_and_unknown_ones_are_counted(folder: Path, tmp_path: Path) -> None:
    lists = tmp_path / "outliers.jsonl", tmp_path / "mine.jsonl"
    lists[0].write_text(
        '{"utterance_id": "a-1", "start_sample": 9600, "end_sample": 17600, "why": "near\u2028another"}\n\n'
        '{"utterance_id": "a-1", "start_sample": 9600, "end_sample": 17600}\n'
        '{"utterance_id": "a-1", "start_sample": 9601, "end_sample": 17600}\n',
        encoding="utf-8",
    )
    lists[1].write_text(
        '{"utterance_id": "gone", "start_sample": 0, "end_sample": 10}\n{"utterance_id": "b-1"}\n'
        '{"utterance_id": "b-1", "start_sample": 9600, "end_sample": 17600}\n',
        encoding="utf-8",
    )
    config = dataclasses.replace(ALL, drop=lists)
    receipt = words(folder, tmp_path / "out", config)
    assert receipt.counts == {"in": 6, "kept": 2, "dropped": {"listed": 4}}
    assert kept(tmp_path / "out") == [("a-1", "everybody"), ("a-1", "good")]
    assert details(tmp_path / "out")["gates"] == {"listed_utterances": 3, "unknown_utterances": 1, "unknown_segments": 1}
    assert not words(folder, tmp_path / "out", config).fresh
    lists[1].write_text("", encoding="utf-8")
    with pytest.raises(OutputConflictError, match=r"input 'drop .*mine.jsonl' has changed"):
        words(folder, tmp_path / "out", config)


@pytest.mark.parametrize(
    "line",
    [
        '{"utterance_id": "a-1"',
        "[]",
        "{}",
        '{"utterance_id": 1}',
        '{"utterance_id": "a-1", "start_sample": 5}',
        '{"utterance_id": "a-1", "start_sample": 5, "end_sample": 5}',
        '{"utterance_id": "a-1", "start_sample": 0.5, "end_sample": 7}',
    ],
)
def test_a_line_that_names_no_segment(folder: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "list.jsonl").write_text(f'{{"utterance_id": "b-1"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.jsonl:2 .*expected \{\"utterance_id\""):
        words(folder, tmp_path / "out", dataclasses.replace(ALL, drop=(tmp_path / "list.jsonl",)))
    assert not (tmp_path / "out").exists()


def test_all_gates_with_two_workers_give_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    for number in range(12):
        corpus.add(f"u-{number}", f"s{number % 3}", SPOKEN, goodness=[-1.0, -5.0, -float(number)])
        write_textgrid(tmp_path / f"mfa/u-{number}.TextGrid", 3.0, {"words": [*SPOKEN[:2], ("everybody", 1.3 + number / 100, 2.0)]})
    folder = corpus.write()
    calibrate(folder, -8.5)
    (tmp_path / "list.jsonl").write_text('{"utterance_id": "u-3"}\n', encoding="utf-8")
    config = agreeing(tmp_path / "mfa", 60, drop=(tmp_path / "list.jsonl",), shard_hours=0.002)
    receipts = [words(folder, tmp_path / str(workers), config, workers=workers) for workers in (1, 2)]
    assert receipts[0].counts["dropped"] == {"listed": 3, "low_goodness": 3, "aligners_disagree": 2}
    assert receipts[0].outputs == receipts[1].outputs
    assert receipts[0].details == receipts[1].details
