"""`plan`: its arithmetic by hand, its sample by counting, and one real measurement held against a real run."""

from __future__ import annotations

import math
import os
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
from wordprint.corpora.reader import UNTIL_END
from wordprint.desk.plan.measure import Measured
from wordprint.desk.plan.predict import Rate, Rates, predict, speedup
from wordprint.desk.plan.run import Plan, _measurable, as_text, disk_warning, duration, plan
from wordprint.desk.plan.sample import draw_sample, read_sample, write_repeated, write_sample
from wordprint.desk.plan.trial import run_trial
from wordprint.errors import ConfigError, InputError, MissingExtraError, WordprintError
from wordprint.speech.audio import write_audio
from wordprint.stages.manifest import read_jsonl, write_jsonl
from wordprint.train.options import TrainConfig

ALIGN = Rate("align", 10.0, 60.0, 2e6, 100e6, pace="60 × real time", basis="96 utterances in 5.0 s")
TRAIN = Rate("train", 500.0, 0.0, 0.0, 1e9, 5e5, workers_help=False, pace="4 steps/s", basis="20 of 2000 steps")


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


def test_prediction_by_hand():
    align, train = predict(Rates((ALIGN, TRAIN), gain=0.5, cores=4), hours=100, workers=3)
    assert align.time_s == pytest.approx(10 + 100 * 60 / 2.0)  # 3 workers: 1 + 2 · 0.5
    assert align.disk_bytes == pytest.approx(200e6)
    assert (align.memory_bytes, align.processes) == (100e6, 3)
    assert train.time_s == pytest.approx(500)
    assert train.memory_bytes == pytest.approx(1e9 + 100 * 5e5)
    assert (train.disk_bytes, train.processes) == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5400, "90 min"), (11_100, "3 h 05 min"), (216_000, "2.5 days")],
)
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text


def a_plan(workers: int = 16, **changes) -> Plan:
    rates = Rates((ALIGN, replace(ALIGN, stage="words", memory_bytes=None), TRAIN), gain=0.93, cores=2)
    measured = Measured(rates, utterances=96, hours=0.1, load=changes.pop("load", 0.1))
    values = {"hours": 1000.0, "workers": workers, "aligner": "pocketsphinx", "steps": 2000, "sources": ("synthetic",)}
    values |= {"measured": measured, "expected": predict(rates, 1000, workers), "work": os.curdir, "free_disk_bytes": 10**13}
    return Plan(**values | changes)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_and_says_what_it_rests_on(width):
    text = as_text(a_plan(notes=("align is planned with pocketsphinx, not MFA: none here.",), load=1.9), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "align (pocketsphinx) 60 × real time 65 min 2.0 GB 100 MB" in words  # 10 s + 60,000 s / (8 · 1.93)
    assert "total 2 h 18 min 4.0 GB" in words
    assert "words 60 × real time 65 min 2.0 GB unknown" in words
    assert "16 workers do 15.4 times the work of one" in words
    assert "Assumed, not measured: beyond the cores of this machine (2) they run on others like it, 8 machines" in words
    assert "all 16 of align take 1.6 GB" in words
    assert "not MFA" in words
    assert "busy (load 1.9 on 2 cores)" in words


def test_one_worker_needs_no_word_on_sharing():
    text = as_text(a_plan(workers=1), 80)
    assert "the work of one" not in text
    assert "busy" not in text


def test_a_disk_that_is_too_small(tmp_path):
    assert disk_warning(a_plan()) is None
    warning = disk_warning(a_plan(free_disk_bytes=10**9, work=tmp_path))
    assert warning == f"4.0 GB will be needed but 1.0 GB are free for {tmp_path}; name another disk with --work"


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
    return [f"kaldi:{tmp_path}/one", f"mine=kaldi:{tmp_path}/two"]


def test_a_sample_is_drawn_evenly_and_comes_back_as_it_was(corpora, tmp_path):
    sample = draw_sample(corpora, PrepareConfig(), 30, tmp_path / "speech", 1)
    again = draw_sample(corpora, PrepareConfig(), 30, tmp_path / "speech", 1)
    assert sample.utterances == again.utterances
    ids = [item.utterance_id for items in sample.utterances.values() for item in items]
    assert len(ids) == len(set(ids)) == len(sample) == 30
    assert list(sample.utterances) == ["one", "mine"]
    assert all(item.end_s == UNTIL_END for item in sample.utterances["one"])
    sources = write_sample(sample, tmp_path / "sample", 3)
    assert [source.split("=")[0] for source in sources] == ["one", "mine"]
    read = list(read_sample(tmp_path / "sample/one.jsonl", PrepareConfig()))
    count = len(sample.utterances["one"])
    assert read[:count] == sample.utterances["one"]
    assert len({item.audio for item in read}) == 3
    receipt = pipeline.prepare(sources, tmp_path / "prepared")
    assert (receipt.counts["kept"], receipt.counts["dropped"]) == (90, {})


def test_every_utterance_is_as_likely(corpora, tmp_path):
    drawn: Counter[str] = Counter()
    for seed in range(300):
        sample = draw_sample(corpora, PrepareConfig(seed=seed), 10, tmp_path, 1)
        drawn.update(item.utterance_id for items in sample.utterances.values() for item in items)
    assert len(drawn) == 50
    assert all(abs(count - 60) < 5 * math.sqrt(60 * 0.8) for count in drawn.values())


def test_a_small_corpus_is_taken_whole(corpora, tmp_path):
    assert len(draw_sample(corpora, PrepareConfig(), 1000, tmp_path, 1)) == 50


def test_a_corpus_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        draw_sample([str(tmp_path / "nowhere")], PrepareConfig(), 10, tmp_path, 1)


def test_repeated_lines_have_ids_of_their_own(tmp_path):
    path = write_repeated(tmp_path / "lines.jsonl", [{"utterance_id": "a", "x": 1}, {"utterance_id": "b"}], 2)
    assert list(read_jsonl(path)) == [
        {"utterance_id": "a", "x": 1}, {"utterance_id": "b"}, {"utterance_id": "a-r1", "x": 1}, {"utterance_id": "b-r1"}
    ]  # fmt: skip


# trials


def test_a_stage_that_fails_in_its_trial_says_why(tmp_path):
    write_jsonl(tmp_path / "none.jsonl", [])
    with pytest.raises(WordprintError, match=r"validate: .*none.jsonl holds no utterances"):
        run_trial("validate", [(tmp_path / "none.jsonl", tmp_path / "out")], RunConfig(), tmp_path)


def test_a_trial_that_crashes_is_one_line(tmp_path):
    with pytest.raises(
        WordprintError, match=r"the trial of 'nonsense' ended with exit code 1: AttributeError.*; try 'wordprint nonsense'"
    ):
        run_trial("nonsense", [(tmp_path, tmp_path / "out")], RunConfig(), tmp_path)


SMALL = RunConfig(
    prepare=PrepareConfig(seed=3), train=TrainConfig(words_per_batch=8, tokens_per_word=2, steps=50, threads=1, precision="32-true")
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Plan:
    """A real plan, from a small sample of synthetic speech."""
    folder = tmp_path_factory.mktemp("plan")
    made = plan(1000, 2, SMALL, work=folder / "not" / "yet", utterances=24)
    assert list(folder.iterdir()) == []  # its temporary folder went
    return made


def test_a_real_measurement_has_every_figure(measured):
    rates = measured.measured.rates
    assert [rate.stage for rate in rates.stages] == ["prepare", "validate", "align", "words", "train"]
    assert all(rate.fixed_s > 0 and rate.pace and rate.basis for rate in rates.stages)
    assert all(rate.work_s_per_hour > 0 and rate.bytes_per_hour > 0 for rate in rates.stages[:-1])
    assert 0 <= rates.gain <= 1
    if hasattr(os, "wait4"):
        assert all(20e6 < rate.memory_bytes < 20e9 for rate in rates.stages)
    assert measured.measured.utterances == 24
    # int16 at 16 kHz takes 115 MB an hour, and what has no candidate word is left out
    words = next(stage for stage in measured.expected if stage.stage == "words")
    assert 0.5 * 115.2e9 < words.disk_bytes < 1.3 * 115.2e9
    assert max(map(len, as_text(measured, 80).splitlines())) <= 80


def test_the_time_planned_for_alignment_is_about_what_it_takes(measured, tmp_path):
    config = replace(SMALL.prepare, synthetic_utterances=24, synthetic_speakers=12)
    pipeline.prepare(["synthetic"], tmp_path / "prepare", config)
    manifest = tmp_path / "prepare" / "utterances.jsonl"
    real_s = run_trial("align", [(manifest, tmp_path / "align")], SMALL, tmp_path).process_s
    planned = predict(measured.measured.rates, measured.measured.hours, 1)
    planned_s = next(stage.time_s for stage in planned if stage.stage == "align")
    assert 1 / 5 < planned_s / real_s < 5


# what is asked


@pytest.mark.parametrize(
    ("hours", "workers", "utterances", "said"),
    [
        (0, 1, 96, "hours is 0"),
        (-5, 1, 96, "hours is -5"),
        (math.nan, 1, 96, "hours is nan"),
        (math.inf, 1, 96, "hours is inf"),
        (1, 0, 96, "workers is 0"),
        (1, -2, 96, "workers is -2"),
        (1, 1, 3, "utterances is 3"),
    ],
)
def test_nonsense_is_refused(hours, workers, utterances, said):
    with pytest.raises(ConfigError, match=said):
        plan(hours, workers, utterances=utterances)


def test_missing_extras_are_told_before_any_work(monkeypatch, tmp_path):
    from wordprint.stages import packages

    known = packages.groups()
    lacking = replace(known["synthetic"], packages=(replace(known["synthetic"].packages[0], installed=None, fits=False),))
    monkeypatch.setattr(packages, "groups", lambda: {**known, "synthetic": lacking})
    with pytest.raises(MissingExtraError, match=r"planning needs espeakng-loader.*pip install 'wordprint\[synthetic\]'"):
        plan(10, 1, work=tmp_path)
    with pytest.raises(InputError, match="does not exist"):  # one's own corpus needs no synthetic speech
        plan(10, 1, replace(SMALL, sources=(str(tmp_path / "nowhere"),)), work=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mfa_command": "no-such-mfa"}, "there is no program 'no-such-mfa' on PATH (see 'wordprint doctor')"),
        ({"mfa_command": "conda run 'x"}, "No closing quotation (see 'wordprint doctor')"),
        ({"mfa_train": True}, "what MFA takes to train a model can't be told from a sample"),
    ],
)
def test_an_mfa_that_cant_be_measured_is_planned_as_pocketsphinx(options, why):
    asked = replace(SMALL, align=AlignConfig(aligner="mfa", lexicon=Path("mfa.dict"), **options))
    config, notes = _measurable(asked)
    assert config.align == AlignConfig()
    assert notes == (f"align is planned with pocketsphinx, not MFA: {why}.",)


def test_command_line_errors_are_one_line():
    command = [sys.executable, "-m", "wordprint", "plan", "--hours", "0"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "wordprint: error: hours is 0; expected a number above 0\n"
