"""Rules of `words`: goodness above the threshold, nothing that is listed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.stages.receipt import RECEIPT
from wordprint.words import rules
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

from .conftest import Corpus

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


# goodness


def test_the_worst_hundredth_of_the_words_is_left_out(corpus: Corpus, tmp_path: Path) -> None:
    for number in range(100):  # 300 words with goodness 0, -0.1, … -29.9
        corpus.add(f"u-{number}", f"s{number % 3}", SPOKEN, goodness=[-(3 * number + place) / 10 for place in range(3)])
    folder = corpus.write()
    receipt = words(folder, tmp_path / "out", ALL)
    assert receipt.counts["dropped"] == {"low_goodness": 2}  # as many as lie below the third lowest
    assert details(tmp_path / "out")["gates"] == {"min_goodness": pytest.approx(-29.7)}
    assert [word for name, word in kept(tmp_path / "out") if name == "u-99"] == ["good"]
    assert words(folder, tmp_path / "none", dataclasses.replace(ALL, min_goodness="none")).counts["kept"] == 300
    assert words(folder, tmp_path / "mine", dataclasses.replace(ALL, min_goodness=-5.0)).counts["kept"] == 51


def test_without_goodness_nothing_is_dropped_and_the_old_name_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    corpus.add("a-1", "ann", SPOKEN)
    corpus.add("b-1", "bob", SPOKEN)
    assert words(corpus.write(), tmp_path / "out", ALL).counts["dropped"] == {}
    with pytest.raises(ConfigError, match="min_goodness is 'calibrated'; expected one of auto, none"):
        words(corpus.write(), tmp_path / "old", dataclasses.replace(ALL, min_goodness="calibrated"))


def test_the_percentile_of_a_large_corpus_is_taken_from_an_even_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "AUTO_VALUES", 1000)
    values = np.random.default_rng(0).normal(-10, 3, 20_000)
    found = rules.usual_goodness({"word_goodness": part.tolist()} for part in values.reshape(-1, 10))
    assert found == pytest.approx(np.percentile(values, 1), abs=1.0)
    assert rules.usual_goodness([{"word_goodness": [None, -1.0]}, {}]) == -1.0


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
    assert details(tmp_path / "out")["gates"] == {
        "min_goodness": -10.0,
        "listed_utterances": 3,
        "unknown_utterances": 1,
        "unknown_segments": 1,
    }
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


def test_two_workers_give_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    for number in range(12):
        corpus.add(f"u-{number}", f"s{number % 3}", SPOKEN, goodness=[-1.0, -5.0, -float(number)])
    folder = corpus.write()
    (tmp_path / "list.jsonl").write_text('{"utterance_id": "u-3"}\n', encoding="utf-8")
    config = dataclasses.replace(ALL, min_goodness=-8.5, drop=(tmp_path / "list.jsonl",), shard_hours=0.002)
    receipts = [words(folder, tmp_path / str(workers), config, workers=workers) for workers in (1, 2)]
    assert receipts[0].counts["dropped"] == {"listed": 3, "low_goodness": 3}
    assert receipts[0].outputs == receipts[1].outputs
    assert receipts[0].details == receipts[1].details
