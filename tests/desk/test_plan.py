"""`plan`: its arithmetic by hand, its sample by counting, one real measurement held against a real run."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wordprint import pipeline
from wordprint.align.options import AlignConfig
from wordprint.config import RunConfig
from wordprint.corpora.options import PrepareConfig
from wordprint.desk.plan import (
    Expected,
    Plan,
    as_text,
    disk_warning,
    extrapolate,
    plan_from_run,
    plan_from_sample,
    speedup,
    trained,
)
from wordprint.desk.trial import Took, Trial, read_sample
from wordprint.errors import ConfigError, InputError, MissingExtraError, WordprintError
from wordprint.speech.audio import write_audio
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import SILENT
from wordprint.stages.receipt import Receipt
from wordprint.train.options import TrainConfig


@pytest.mark.parametrize(
    ("workers", "cores", "gain", "expected"),
    [
        (1, 8, 0.5, 1.0),
        (3, 8, 0.5, 2.0),
        (8, 8, 1.0, 8.0),
        (8, 8, 0.0, 1.0),
        (5, 2, 0.8, 1.8 + 1.8 + 1.0),  # two full machines and one worker on a third
        (16, 1, 0.0, 16.0),
    ],
)
def test_speedup_by_hand(workers, cores, gain, expected):
    assert speedup(workers, cores, gain) == pytest.approx(expected)


def test_what_grows_is_extrapolated_on_the_line_through_two_runs():
    small, large = Took(0.1, 16, 1_000_000), Took(0.3, 28, 3_000_000)  # 10 s, and 60 s and 10 MB an hour
    planned = extrapolate("align", small, large, 100, shared=2.0)
    assert planned.pace == "60 × real time"
    assert planned.time_s == pytest.approx(10 + 100 * 60 / 2)
    assert planned.disk_bytes == pytest.approx(1e9)
    assert extrapolate("align", small, large, 100, restart_hours=4).time_s == pytest.approx(10 + 100 * (60 + 10 / 4))
    # a larger run that noise made the quicker one, and a single run
    assert extrapolate("words", Took(0.1, 30), large, 100).time_s == pytest.approx(100 * 28 / 0.3)
    assert extrapolate("words", Took(), large, 100).disk_bytes == pytest.approx(1e9)


def a_receipt(stage: str, folder: Path, wall_s: float, details: dict | None = None, **config) -> Receipt:
    receipt = Receipt(stage, folder, config, {}, {}, {}, details or {}, wall_s)
    record = {"schema": "wordprint.stage/1", "stage": stage, "config": config, "wall_s": wall_s, "details": details or {}}
    write_json(folder / "stage.json", record | {"inputs": {}, "counts": {}, "outputs": {}})
    return receipt


TRAINED = {"segments_per_s": 48.0, "processes": 2, "steps_in_this_run": 10}


def test_training_goes_by_its_steps(tmp_path):
    receipt = a_receipt("train", tmp_path, 30.0, TRAINED, words_per_batch=8, tokens_per_word=3)
    assert trained(receipt, 2000, 7) == Expected("train", "1 steps/s", 20.0 + 2000, 7)


@pytest.fixture
def finished(tmp_path) -> Path:
    """The receipts of a run on two hours."""
    corpora = {"a": {"hours": 0.5}, "b": {"hours": 1.5}}
    stages = {"prepare": 2.0, "validate": 40.0, "align": 100.0, "words": 20.0, "train": 30.0, "export": 5.0, "evaluate": 9.0}
    for stage, wall_s in stages.items():
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "data").write_bytes(bytes(1_000_000))
        config = {"words_per_batch": 8, "tokens_per_word": 3, "steps": 10, "sources": ["a=kaldi:/a", "b=kaldi:/b"]}
        a_receipt(stage, tmp_path / stage, wall_s, TRAINED | {"corpora": corpora}, **config)
    return tmp_path


def test_a_finished_run_is_scaled_without_running_anything(finished):
    made = plan_from_run(100, finished)
    assert [round(stage.time_s, 6) for stage in made.stages] == [100, 2000, 5000, 1000, 30, 5, 9]
    assert {stage.memory_bytes for stage in made.stages} == {None}
    assert made.disk_bytes == pytest.approx((4 * 50 + 3) * 1e6, rel=0.1)
    text = " ".join(as_text(made, 80).split())
    assert f"100 h of audio, as in {finished}" in text
    assert "align 72 × real time 1.39 h" in text
    assert "synthetic" not in text
    (finished / "words" / "stage.json").unlink()
    with pytest.raises(InputError, match=r"words has no stage\.json; expected the folder of a finished stage"):
        plan_from_run(100, finished)


def test_a_run_too_small_to_evaluate_is_finished_all_the_same(finished):
    shutil.rmtree(finished / "evaluate")
    made = plan_from_run(100, finished)
    assert [stage.stage for stage in made.stages][-1] == "export"
    assert any("Nothing was evaluated there" in note for note in made.notes)


def test_the_command_takes_a_finished_run_and_refuses_what_its_receipts_tell(finished):
    command = [sys.executable, "-m", "wordprint", "plan", "--hours", "100", "--from", str(finished)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "72 × real time" in result.stdout
    result = subprocess.run([*command, "--workers", "3"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "--from comes with other options" in result.stderr


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal(width):
    stages = [Expected("align", "60 × real time", 3900.0, 2e9, 100_000_000), Expected("train", "4 steps/s", 500.0, 0.0)]
    text = as_text(Plan("1000 h of audio", stages, ["Measured just now " * 20]), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "align 60 × real time 1.08 h 2.00 GB 100 MB" in words
    assert "train 4 steps/s 8.33 min 0 bytes unknown" in words
    assert "total 1.22 h 2.00 GB" in words


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    made = Plan("", [Expected("words", "", 1.0, 4e9)], [])
    monkeypatch.setattr("wordprint.desk.machine.free_disk_bytes", lambda path: 10**9)
    assert (
        disk_warning(made, tmp_path) == f"4.00 GB will be needed but 1.00 GB are free for {tmp_path}; name another disk with --work"
    )
    assert disk_warning(Plan("", [], []), tmp_path) is None


# the sample


@pytest.fixture
def corpora(tmp_path):
    """Two Kaldi corpora of 40 and 10 utterances, one with segments."""
    for name, count in (("one", 40), ("two", 10)):
        folder = tmp_path / name
        folder.mkdir()
        write_audio(folder / "a.wav", np.zeros(16_000 * 50, np.float32))
        ids = [f"{name}{number:02d}" for number in range(count)]
        (folder / "wav.scp").write_text("".join(f"{item} {folder}/a.wav\n" for item in (ids if name == "one" else ["a"])))
        (folder / "text").write_text("".join(f"{item} hello there\n" for item in ids))
        (folder / "utt2spk").write_text("".join(f"{item} s{number % 3}\n" for number, item in enumerate(ids)))
        if name == "two":
            (folder / "segments").write_text("".join(f"{item} a {number} {number + 1}\n" for number, item in enumerate(ids)))
    return (f"kaldi:{tmp_path}/one", f"mine=kaldi:{tmp_path}/two")


def draw(folder: Path, sources: tuple[str, ...], count: int, seed: int = 0) -> list[list[str]]:
    folder.mkdir(exist_ok=True)
    return Trial(RunConfig(sources=sources, prepare=PrepareConfig(seed=seed)), folder, SILENT).draw(count)


def ids(source: str) -> list[str]:
    return [item.utterance_id for item in read_sample(Path(source.rpartition(":")[2]), PrepareConfig())]


def test_a_sample_is_what_prepare_makes_of_the_corpora(corpora, tmp_path):
    third, whole = draw(tmp_path / "drawn", corpora, 30)
    assert [source.split("=")[0] for source in whole] == ["mine", "one"]
    drawn = [item for source in whole for item in ids(source)]
    assert len(set(drawn)) == len(drawn) == 30
    assert {item for source in third for item in ids(source)} < set(drawn)
    receipt = pipeline.prepare(whole, tmp_path / "prepared")
    assert (receipt.counts["kept"], receipt.counts["dropped"]) == (30, {})
    assert receipt.details["corpora"]["one"]["hours"] == pytest.approx(len(ids(whole[1])) * 50 / 3600, abs=1e-3)
    assert len([item for source in draw(tmp_path / "all", corpora, 1000)[1] for item in ids(source)]) == 50


def test_every_utterance_is_as_likely(corpora, tmp_path):
    drawn: Counter[str] = Counter()
    for seed in range(200):
        drawn.update(item for source in draw(tmp_path / "drawn", corpora, 25, seed)[1] for item in ids(source))
    assert len(drawn) == 50
    assert all(abs(count - 100) < 5 * math.sqrt(200 / 4) for count in drawn.values())


def test_too_small_a_corpus_and_one_that_is_not_there(corpora, tmp_path):
    with pytest.raises(InputError, match="hold 10 utterances; expected 24 or more"):
        draw(tmp_path / "drawn", corpora[1:], 96)
    with pytest.raises(InputError, match="does not exist"):
        draw(tmp_path / "drawn", (str(tmp_path / "nowhere"),), 96)


def test_a_stage_that_fails_on_the_sample_says_why(corpora, tmp_path):
    with pytest.raises(WordprintError, match=r"align, on a sample: .*aligner is 'nonsense'"):
        plan_from_sample(10, 1, RunConfig(sources=corpora, align=AlignConfig(aligner="nonsense")), work=tmp_path, utterances=24)
    assert not list(tmp_path.glob(".wordprint*"))


# a real one

SMALL = RunConfig(
    prepare=PrepareConfig(seed=3), train=TrainConfig(words_per_batch=8, tokens_per_word=2, steps=50, threads=1, precision="32-true")
)


def test_a_real_measurement_has_every_figure_and_is_about_right(tmp_path):
    made = plan_from_sample(1000, 2, SMALL, work=tmp_path / "not" / "yet", utterances=36)
    assert list(tmp_path.iterdir()) == []  # its temporary folder went
    stages = {stage.stage: stage for stage in made.stages}
    assert list(stages) == ["prepare", "validate", "align", "words", "train"]
    assert all(stage.time_s > 0 and stage.disk_bytes > 0 and stage.pace for stage in made.stages)
    if hasattr(os, "wait4"):
        assert all(20e6 < stage.memory_bytes < 20e9 for stage in made.stages)
    # int16 at 16 kHz takes 115 MB an hour, and what has no candidate word is left out
    assert 0.5 * 115.2e9 < stages["words"].disk_bytes < 1.3 * 115.2e9
    assert max(map(len, as_text(made, 80).splitlines())) <= 80
    config = replace(SMALL.prepare, synthetic_utterances=64, synthetic_speakers=12)
    prepared = pipeline.prepare(["synthetic"], tmp_path / "prepare", config)
    real_s = pipeline.align(tmp_path / "prepare", tmp_path / "align").wall_s / prepared.details["corpora"]["synthetic"]["hours"]
    assert 1 / 5 < stages["align"].time_s / 1000 / real_s < 5


# what is asked


@pytest.mark.parametrize(
    ("hours", "workers", "utterances", "said"),
    [
        (0, 1, 96, "hours is 0"),
        (math.nan, 1, 96, "hours is nan"),
        (math.inf, 1, 96, "hours is inf"),
        (1, 0, 96, "workers is 0"),
        (1, 1, 3, "utterances is 3"),
    ],
)
def test_nonsense_is_refused(hours, workers, utterances, said):
    with pytest.raises(ConfigError, match=said):
        plan_from_sample(hours, workers, utterances=utterances)


def test_training_a_model_of_mfa_cant_be_planned():
    with pytest.raises(ConfigError, match="mfa_train is set; plan without it"):
        plan_from_sample(1, 1, RunConfig(align=AlignConfig(aligner="mfa", mfa_train=True)))


def test_missing_extras_are_told_before_any_work(monkeypatch, tmp_path):
    from wordprint.stages import packages

    known = packages.packages
    lacking = packages.Package("espeakng-loader", ">=0.2.4", None, fits=False)
    monkeypatch.setattr(packages, "packages", lambda extra: iter([lacking]) if extra == "synthetic" else known(extra))
    with pytest.raises(MissingExtraError, match=r"planning needs espeakng-loader.*pip install 'wordprint\[synthetic\]'"):
        plan_from_sample(10, 1, work=tmp_path)
    with pytest.raises(InputError, match="does not exist"):  # one's own corpus needs no synthetic speech
        plan_from_sample(10, 1, replace(SMALL, sources=(str(tmp_path / "nowhere"),)), work=tmp_path)
    assert list(tmp_path.iterdir()) == []
