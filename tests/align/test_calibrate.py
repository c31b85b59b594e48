"""`align --calibrate`: planted goodness gives the planted threshold; wrong transcripts are wrong where they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wordprint.align import corruption
from wordprint.align.base import transcript_words
from wordprint.align.calibrate import calibrate_goodness
from wordprint.align.compare import match_words
from wordprint.align.corruption import corrupt, digest64, sample
from wordprint.align.operating import auc, curve, threshold, values
from wordprint.align.stage import align
from wordprint.config import AlignConfig, CalibrateConfig
from wordprint.errors import AlignmentError, ConfigError, DatasetError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl

from .conftest import Speech, write_manifest

SENTENCES = ["".join(letters) for letters in product("bdg", "aeiou", "klmn", "aeiou", "prs")][:500]
"""Five hundred words that all differ, ten to a sentence."""


class PlantedAligner:
    """Knows what was said: a right word's goodness is −1, −2, … −500, no two alike; a wrong word's is −1000."""

    def __init__(self, config: AlignConfig) -> None: ...

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        words = [Interval(word, 0.1 * place, 0.1 * place + 0.1) for place, word in enumerate(transcript_words(utterance))]
        said = [Interval(word, 0.0, 0.1) for word in utterance.meta["said"]]
        if len(words) == len(said) + 1 and utterance.utterance_id.endswith("7"):
            raise AlignmentError("one word too many", reason="no_alignment")
        right = {place for place, _ in match_words(words, said)}
        scored = tuple(
            Interval(word.symbol, word.start_s, word.end_s, -1.0 - SENTENCES.index(word.symbol) if place in right else -1000.0)
            for place, word in enumerate(words)
        )
        return Alignment(utterance.utterance_id, scored, goodness=sum(word.goodness or 0 for word in scored) / len(scored))


class SilentAligner(PlantedAligner):
    """Says nothing about goodness."""

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        return Alignment(utterance.utterance_id, tuple(Interval(word, 0.0, 1.0) for word in transcript_words(utterance)[:1]))


PLANTED = AlignConfig(aligner=f"{__name__}:PlantedAligner")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty utterances of ten words and one second."""
    folder = tmp_path_factory.mktemp("spoken")
    write_audio(folder / "noise.wav", np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32))
    utterances = []
    for number in range(50):
        said = SENTENCES[10 * number : 10 * number + 10]
        audio, name = str(folder / "noise.wav"), f"utterance-{number:02d}"
        utterances.append(Utterance(name, f"speaker-{number % 5}", audio, 0.0, 1.0, " ".join(said), meta={"said": said}))
    return write_manifest(folder, utterances)


def report(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    return document


def test_the_threshold_loses_exactly_one_right_word_in_a_hundred(spoken: Path, tmp_path: Path) -> None:
    align(spoken, tmp_path / "align", PLANTED)
    receipt = calibrate_goodness(tmp_path / "align", PLANTED)
    found = report(receipt.output)
    assert receipt.counts == {"in": 50, "kept": 50, "dropped": {}}
    assert found["words"]["right"] == 500
    assert found["words"]["threshold"] == -495.0  # below it are −496 … −500, five of five hundred
    goodness = [value for line in read_jsonl(tmp_path / "align" / ALIGNMENTS) for value in line["word_goodness"]]
    assert sum(value < found["words"]["threshold"] for value in goodness) == 5
    assert found["words"]["wrong"] == {"other": 500, "substituted": 50, "inserted": 45, "deleted": 85}
    (point,) = (point for point in found["words"]["points"] if point["may_lose"] == 0.01)
    assert point["lost"] == 0.01
    assert point["passed"]["other"] == 0
    assert point["passed"]["substituted"] <= 0.04  # one that is taken from the same sentence may be taken for the right one
    assert point["passed"]["deleted"] > 0.9  # its neighbours are right words
    assert found["words"]["auc"]["other"] == 1.0
    assert (found["tried"]["inserted"], found["not_aligned"]["inserted"]) == (50, 5)
    lost = [point["lost"] for point in found["words"]["points"]]
    assert lost == sorted(lost)
    assert found["utterances"]["right"] == 50
    page = (receipt.output / "report.html").read_text(encoding="utf-8")
    assert "−495.00" in page
    assert "--min-utterance-goodness=-" in page


def test_two_workers_write_the_same_bytes_and_a_rerun_nothing(spoken: Path, tmp_path: Path) -> None:
    align(spoken, tmp_path / "align", PLANTED)
    config = CalibrateConfig(calibration_minutes=0.25)
    receipt = calibrate_goodness(tmp_path / "align", PLANTED, config)
    assert receipt.counts["in"] == 15
    assert report(receipt.output)["words"]["right"] == 500  # right words cost nothing
    one = {path.name: path.read_bytes() for path in receipt.output.iterdir() if path.name != "stage.json"}
    assert not calibrate_goodness(tmp_path / "align", PLANTED, config).fresh
    shutil.rmtree(receipt.output)
    calibrate_goodness(tmp_path / "align", PLANTED, config, workers=2)
    assert one == {path.name: path.read_bytes() for path in receipt.output.iterdir() if path.name != "stage.json"}


def test_pocketsphinx_tells_a_wrong_sentence(corpus: list[Speech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption, "LEAST_WORDS", 10)
    align(write_manifest(tmp_path / "prepared", [speech.utterance for speech in corpus]), tmp_path / "align")
    found = report(calibrate_goodness(tmp_path / "align").output)
    assert found["words"]["auc"]["substituted"] > 0.8
    assert found["words"]["threshold"] == min(
        value for line in read_jsonl(tmp_path / "align" / ALIGNMENTS) for value in line["word_goodness"]
    )  # of 36 words none may be lost


def test_what_cannot_be_calibrated(spoken: Path, tmp_path: Path) -> None:
    silent = AlignConfig(aligner=f"{__name__}:SilentAligner")
    align(spoken, tmp_path / "silent", silent)
    with pytest.raises(ConfigError, match="SilentAligner' gave no goodness of words"):
        calibrate_goodness(tmp_path / "silent", silent)
    assert not (tmp_path / "silent" / "calibration").exists()
    align(spoken, tmp_path / "align", PLANTED)
    with pytest.raises(DatasetError, match=r"10 words.*raise calibration_minutes"):
        calibrate_goodness(tmp_path / "align", PLANTED, CalibrateConfig(calibration_minutes=0.01))
    with pytest.raises(ConfigError, match="more than 0"):
        calibrate_goodness(tmp_path / "align", PLANTED, CalibrateConfig(calibration_minutes=0))


def records(spoken: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(spoken / "utterances.jsonl"))


def test_a_sample_does_not_depend_on_the_order_and_grows_by_adding(spoken: Path) -> None:
    lines = records(spoken)
    chosen = [record["utterance_id"] for record in sample(lines, 0.2)]
    assert chosen == sorted((line["utterance_id"] for line in lines), key=digest64)[:12]
    assert [record["utterance_id"] for record in sample(reversed(lines), 0.2)] == chosen
    assert [record["utterance_id"] for record in sample(lines, 0.4)][:12] == chosen
    assert len(sample(lines, 100.0)) == 50
    assert sample([line | {"transcript": "one"} for line in lines], 1.0) == []


def test_wrong_transcripts_are_wrong_where_they_say(spoken: Path) -> None:
    for item in corrupt(records(spoken)):
        said, wrong = item["utterance"]["meta"]["said"], {entry["kind"]: entry for entry in item["wrong"]}
        assert wrong["other"]["words"] != said
        assert wrong["other"]["places"] == list(range(10))
        (place,) = wrong["substituted"]["places"]
        assert [i for i, (a, b) in enumerate(zip(said, wrong["substituted"]["words"], strict=True)) if a != b] == [place]
        (place,) = wrong["inserted"]["places"]
        assert wrong["inserted"]["words"][:place] + wrong["inserted"]["words"][place + 1 :] == said
        shorter, beside = wrong["deleted"]["words"], wrong["deleted"]["places"]
        left_out = next(i for i, word in enumerate(said) if word not in shorter)
        assert beside == [i for i in (left_out - 1, left_out) if 0 <= i < 9]
    assert corrupt(records(spoken)) == corrupt(records(spoken))


@pytest.mark.parametrize("transcripts", [["the same words again"] * 30])
def test_a_corpus_of_one_sentence_has_no_other(transcripts: Sequence[str]) -> None:
    lines = [
        {"utterance_id": f"u-{i}", "speaker": "a", "audio": "", "start_s": 0.0, "end_s": 1.0, "transcript": text}
        for i, text in enumerate(transcripts)
    ]
    assert {entry["kind"] for item in corrupt(lines) for entry in item["wrong"]} == {"substituted", "inserted", "deleted"}


some = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)


@given(some, some, st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_thresholds_and_auc_are_those_of_naive_loops(right: list[float], wrong: list[float], lost: float) -> None:
    limit = threshold(values(right), lost)
    assert limit is not None
    assert sum(value < limit for value in right) <= lost * len(right) + 1e-9
    higher = [value for value in right if value > limit]
    assert all(sum(value < one for value in right) > lost * len(right) for one in higher)
    pairs = [(r > w) + (r == w) / 2 for r in right for w in wrong]
    assert auc(values(right), values(wrong)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-5)


def test_words_without_goodness_pass() -> None:
    found = curve(values([-1.0, None, -3.0]), {"other": values([None, -9.0]), "deleted": values([])})
    assert found["threshold"] == -3.0
    assert found["points"][0]["passed"] == {"other": 0.5}
    assert curve(values([None]), {})["points"] == []
