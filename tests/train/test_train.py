"""The stage `train`: what it writes, resuming to the same bits, two processes, and what it refuses."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from wordprint.errors import ConfigError, DatasetError, LeakError, ModelError, OutputConflictError, WordprintError
from wordprint.stages.manifest import read_jsonl
from wordprint.train import loop as fitting
from wordprint.train.checkpoint import load_checkpoint
from wordprint.train.options import TrainConfig
from wordprint.train.stage import train

from .conftest import build_words
from .test_teachers import TOY

WINDOWS = {"runs": 0, "window_s": 1.0}
"""Encoders that hear windows as a whole have no spans."""

ANCESTOR = {
    **WINDOWS,
    "encoder": "ancestor",
    "front_end": "mfcc",
    "head": "dense",
    "embedding_size": 512,
    "loss": "ancestor",
    "phonetic_weight": 0.0,
    "phone_weight": 0.0,
}


def test_learns_words_and_speakers_that_it_never_heard(tone_words, tmp_path, small):
    config = dataclasses.replace(small, steps=40, validate_every=20, words_per_batch=6, filter_share=0.0)
    lines = []
    progress = type("Said", (_Silent,), {"say": lambda self, line: lines.append(line)})()
    receipt = train(tone_words, tmp_path / "out", config, progress=progress)
    history = list(read_jsonl(tmp_path / "out/history.jsonl"))
    assert [row["step"] for row in history] == [20, 40]
    assert history[1]["loss"] < history[0]["loss"]
    assert receipt.details["best_validation_ap"] > 0.6
    assert any("step 40" in line for line in lines)
    counts = receipt.details["validation"]
    assert 0 < counts["tokens_of_unseen_speakers"] < counts["tokens"]  # few tokens: speakers of training help
    said = [line for line in lines if line.startswith("validating on")]
    assert said == [
        f"validating on {counts['tokens']} tokens, {counts['tokens_of_unseen_speakers']} of them by speakers not trained on"
    ]
    assert any((tmp_path / "out/tensorboard").iterdir())
    assert 0 <= receipt.details["data_wait_share"] < 1
    assert train(tone_words, tmp_path / "out", config).fresh is False  # done: nothing is trained again

    network, record = load_checkpoint(tmp_path / "out")
    embeddings = network(torch.randn(2, 6400))
    assert embeddings.shape == (2, 128)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert record["network"]["window_samples"] == 6400
    assert record["validation"].items() >= counts.items()
    assert record["bill_of_materials"]
    heard = set(record["training_words"])
    assert heard
    held = set(_words_of(tone_words, "validation"))
    assert held
    assert not heard & held


def test_a_killed_run_ends_with_the_same_bits(tone_words, tmp_path, small, monkeypatch):
    train(tone_words, tmp_path / "whole", small)
    update, calls = fitting.Fit._update, []

    def dies(self, batch):
        calls.append(self.step)
        if self.step == 4:
            raise KeyboardInterrupt
        return update(self, batch)

    monkeypatch.setattr(fitting.Fit, "_update", dies)
    with pytest.raises(KeyboardInterrupt):
        train(tone_words, tmp_path / "killed", small)
    monkeypatch.undo()
    train(tone_words, tmp_path / "killed", small)
    for name in ("best.safetensors", "last.safetensors", "best.json", "history.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_a_finished_run_goes_on_to_more_steps(tone_words, tmp_path, small):
    short, longer = dataclasses.replace(small, steps=3), small
    train(tone_words, tmp_path / "out", short)
    assert not train(tone_words, tmp_path / "out", short).fresh
    receipt = train(tone_words, tmp_path / "out", longer)
    assert receipt.details["steps_in_this_run"] == longer.steps - 3
    assert receipt.details["cycles"] == [3, longer.steps]
    assert receipt.config["steps"] == longer.steps
    assert [row["step"] for row in read_jsonl(tmp_path / "out" / "history.jsonl")] == [3, 6]
    assert not train(tone_words, tmp_path / "out", longer).fresh
    assert not (tmp_path / "out" / "stage.partial.json").exists()
    with pytest.raises(OutputConflictError, match="input 'words' has changed"):
        train(build_words(tmp_path / "others", speakers=("a", "b", "c")), tmp_path / "out", dataclasses.replace(longer, steps=9))
    assert (tmp_path / "out" / "stage.json").is_file()
    for other, change in ((short, "steps was 6, now 3"), (dataclasses.replace(longer, steps=9, seed=1), "seed was 0, now 1")):
        with pytest.raises(OutputConflictError, match=change):
            train(tone_words, tmp_path / "out", other)
    anew = train(tone_words, tmp_path / "out", dataclasses.replace(small, steps=9), overwrite=True)
    assert anew.details["cycles"] == [9]


def test_a_killed_run_goes_on_to_more_steps(tone_words, tmp_path, small, monkeypatch):
    update = fitting.Fit._update

    def dies(self, batch):
        if self.step == 4:
            raise KeyboardInterrupt
        return update(self, batch)

    monkeypatch.setattr(fitting.Fit, "_update", dies)
    with pytest.raises(KeyboardInterrupt):
        train(tone_words, tmp_path / "out", small)
    monkeypatch.undo()
    receipt = train(tone_words, tmp_path / "out", dataclasses.replace(small, steps=9))
    assert receipt.details["steps_in_this_run"] == 6
    assert receipt.details["cycles"] == [6, 9]


def test_the_state_of_another_network_is_told_with_a_remedy(tone_words, tmp_path, small):
    train(tone_words, tmp_path / "out", small)
    train(tone_words, tmp_path / "other", dataclasses.replace(small, steps=1, embedding_size=64))
    (tmp_path / "other/last.safetensors").replace(tmp_path / "out/last.safetensors")
    with pytest.raises(ModelError, match=r"last.safetensors is of another network \(.*size mismatch.*; train anew \(--overwrite\)"):
        train(tone_words, tmp_path / "out", dataclasses.replace(small, steps=9))


@pytest.mark.parametrize("text", ["nonsense", '{"stage": "words", "config": {}}'])
def test_a_folder_that_is_no_run_of_training_is_left_alone(tone_words, tmp_path, small, text):
    (tmp_path / "stage.json").write_text(text)
    with pytest.raises(OutputConflictError):
        train(tone_words, tmp_path, small)
    assert (tmp_path / "stage.json").read_text() == text


def test_ctrl_c_to_the_command_alone_ends_in_seconds(tone_words, tmp_path):
    sizes = ["--steps", "100000", "--words-per-batch", "4"]
    command = [sys.executable, "-m", "wordprint", "train", str(tone_words), "-o", str(tmp_path / "out"), *sizes]
    runner = subprocess.Popen([*command, "--validate-every", "1"], stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "out" / "last.safetensors").exists():
        time.sleep(0.05)
    pressed = time.monotonic()
    os.kill(runner.pid, signal.SIGINT)
    error = runner.communicate(timeout=60)[1]
    assert runner.returncode == 130
    assert time.monotonic() - pressed < 15
    assert error.strip().splitlines()[-1] == "wordprint: error: stopped; run the same command again to go on where it stopped"


def test_a_gradient_that_is_not_finite_ends_with_a_remedy(tone_words, tmp_path, small, monkeypatch):
    forward = fitting.Objective.forward

    def diverges(self, batch):
        total, parts = forward(self, batch)
        return total * torch.inf, parts

    monkeypatch.setattr(fitting.Objective, "forward", diverges)
    with pytest.raises(WordprintError, match=r"gradient of step 1 is not finite.*anew \(--overwrite\) with a lower --learning"):
        train(tone_words, tmp_path / "out", small)
    assert not (tmp_path / "out/stage.json").exists()


def test_two_processes(tone_words, tmp_path, small):
    script = tmp_path / "ddp.py"
    (tmp_path / "toy_teacher.py").write_text(TOY)
    options = repr(dataclasses.asdict(small) | {"teacher": "toy_teacher:Toy"})
    script.write_text(
        "from wordprint.config import TrainConfig\nfrom wordprint.train.stage import train\n"
        f"receipt = train({str(tone_words)!r}, {str(tmp_path / 'out')!r}, TrainConfig(**{options}))\n"
        "print(f\"processes {receipt.details['processes']}\", flush=True)\n"
    )
    command = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("processes 2") == 2
    assert json.loads((tmp_path / "out/stage.json").read_text())["counts"]["kept"] > 0
    assert "Warning" not in result.stderr
    assert len(set((tmp_path / "taught_by.txt").read_text().split())) == 1  # the other reads what the first has written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "resnet"}, "encoder is 'resnet'"),
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"front_end": "no.module:Thing"}, "can't be imported"),
        ({"encoder": "os:path"}, "encoder 'os:path' is a module"),
    ],
)
def test_unknown_parts(tone_words, tmp_path, small, change, message):
    with pytest.raises(ConfigError, match=message):
        train(tone_words, tmp_path / "out", dataclasses.replace(small, **change))


def test_a_leaking_dataset_is_refused(tone_words, tmp_path, small, monkeypatch):
    def leaks(dataset):
        raise LeakError("1 words both in train and in validation")

    monkeypatch.setattr("wordprint.train.stage.check_leaks", leaks)
    with pytest.raises(LeakError):
        train(tone_words, tmp_path / "out", small)


def test_too_few_speakers_to_train_on(tmp_path, small, monkeypatch):
    assert train(build_words(tmp_path / "two", speakers=("speaker0", "speaker1")), tmp_path / "model", small).counts["kept"]
    monkeypatch.setattr("wordprint.words.stage.fit_shares", lambda records, rules: (rules, []))  # as in a dataset made elsewhere
    folder = build_words(tmp_path / "few", speakers=("speaker0", "speaker1"))  # the split leaves one of them or none
    with pytest.raises(DatasetError, match=r"one speaker|no segment"):
        train(folder, tmp_path / "out", small)


def test_without_validation_words_the_last_network_is_kept(tmp_path, small, monkeypatch):
    monkeypatch.setattr("wordprint.train.stage.ValidationWords.of", lambda dataset, config: None)
    folder = build_words(tmp_path)
    receipt = train(folder, tmp_path / "out", small)
    assert receipt.details["best_validation_ap"] is None
    assert receipt.details["validation"] == {}
    assert load_checkpoint(tmp_path / "out")[1]["step"] == small.steps


@pytest.mark.parametrize(
    "change",
    [
        ANCESTOR,
        {**WINDOWS, "encoder": "compact", "head": "statistics", "front_end": "centred_log_mel"},
        {**WINDOWS, "encoder": "compact", "head": "dense", "front_end": "mfcc", "n_features": 20},
        {"front_end": "mfcc", "edits": 0},
        {"loss": "triplet", "miner": "semi-hard", "precision": "bf16-mixed"},
        {"precision": "bf16-mixed"},
        {"loss": "proxy_anchor"},
        {"loss": "arcface", "margin": 0.3},
    ],
)
def test_every_recipe_trains(tone_words, tmp_path, small, change):
    config = dataclasses.replace(small, steps=2, validate_every=2, **{"window_s": 0.8, **change})
    receipt = train(tone_words, tmp_path / "out", config)
    assert np.isfinite(receipt.details["best_validation_ap"])
    network, _ = load_checkpoint(tmp_path / "out")
    assert (network.config.encoder, network.config.head) == (config.encoder, config.head)


@pytest.mark.parametrize("speakers", [("a", "b"), ("a", "b", "c")])
def test_a_dataset_without_phones_trains(tmp_path, small, speakers):
    folder = build_words(tmp_path / "data", speakers=speakers, with_phones=False)
    train(folder, tmp_path / "out", dataclasses.replace(small, steps=2, validate_every=1))
    network, record = load_checkpoint(tmp_path / "out")
    assert list(network.config.phones) == sorted(set("".join(record["training_words"])))
    assert [row["phone"] >= 0 for row in read_jsonl(tmp_path / "out" / "history.jsonl")] == [True, True]


def test_learning_rate_is_one_cycle():
    config = TrainConfig(steps=100, learning_rate=1.0, warmup_share=0.2)
    rates = [fitting.learning_rate(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(fitting.FIRST_RATE)
    assert max(rates) == rates[20] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert np.all(np.diff(rates[:21]) > 0)
    assert np.all(np.diff(rates[20:]) < 0)


def _words_of(folder, split):
    from wordprint.words.dataset import WordDataset

    dataset = WordDataset(folder)
    return set(dataset.column("words")[dataset.select(split)])


class _Silent:
    def say(self, line):
        pass

    def task(self, name, total, unit, before=0):
        from wordprint.stages.progress import SILENT

        return SILENT.task(name, total, unit, before)
