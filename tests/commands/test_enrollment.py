"""enroll, correct and keywords on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toy_model import padded, stream_of, word, write_model
from wordprint.cli import main
from wordprint.speech.audio import write_audio
from wordprint.spot.enrollment import Enrollment


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the toy model, three recordings of 'red' and one of 'green'."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "bands.onnx")
    for seed in range(3):
        write_audio(tmp_path / f"red{seed}.wav", padded(word("red", seed=seed), seed=seed))
    write_audio(tmp_path / "green.wav", padded(word("green")))
    return tmp_path


def run(*arguments: str) -> int:
    return main([arguments[0], "bands.onnx", *arguments[1:]])


def test_enroll_says_what_it_found(here, capsys):
    assert run("enroll", "red", "red0.wav", "red1.wav", "red2.wav") == 0
    out = capsys.readouterr().out
    assert "red0.wav: speech at 0.34–0.96 s, -18 dB, background 42 dB below" in out
    assert "like the others" in out
    assert "'red' enrolled from 3 recordings, threshold 0.90 → keywords.json" in out
    assert run("enroll", "RED", "red0.wav") == 0
    assert "replaces the one before in keywords.json" in capsys.readouterr().out
    assert [keyword.keyword for keyword in Enrollment.load("keywords.json").keywords] == ["RED"]


def test_the_verdict_as_json(here, capsys):
    assert run("enroll", "red", "red0.wav", "green.wav", "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert [shot["recording"] for shot in verdict["shots"]] == ["red0.wav", "green.wav"]
    assert "embedding" not in verdict["shots"][0]
    assert verdict["replaced"] is False
    assert isinstance(verdict["problems"], list)


def test_typed_by_its_phones(here, capsys):
    assert run("enroll", "stop light", "--phones", "R, G") == 0
    assert "'stop light' enrolled as typed (R or G)" in capsys.readouterr().out
    (keyword,) = Enrollment.load("keywords.json").keywords
    assert len(keyword.prototypes) == 2
    write_audio(here / "stream.wav", stream_of(("red", 1.0), ("blue", 3.0), seconds=4.5))
    assert main(["spot", "bands.onnx", "stream.wav", "--threshold", "0.8"]) == 0
    assert "stop light" in capsys.readouterr().out


def test_correct_remembers(here, capsys):
    assert run("enroll", "red", "red0.wav", "red1.wav") == 0
    assert run("correct", "red", "green.wav") == 0
    assert "green.wav: similarity" in capsys.readouterr().out
    assert [one.recording for one in Enrollment.load("keywords.json").named("red").mistakes] == ["green.wav"]
    assert run("correct", "red", "red2.wav", "--missed", "--threshold", "0.7") == 0
    made = Enrollment.load("keywords.json").named("red")
    assert (len(made.shots), made.threshold) == (3, 0.7)


def test_keywords_are_listed_renamed_tested_and_removed(here, capsys):
    run("enroll", "red", "red0.wav")
    run("enroll", "green", "green.wav")
    capsys.readouterr()
    assert main(["keywords"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("red: from 1 recording, 0.62 s, threshold 0.90")
    assert main(["keywords", "rename", "Red", "stop"]) == 0
    assert run("keywords", "test", "green.wav") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("green.wav: green: 1.00 ≥ 0.90 at 0.")
    assert main(["keywords", "remove", "STOP"]) == 0
    assert [keyword.keyword for keyword in Enrollment.load("keywords.json").keywords] == ["green"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keywords", "drop", "red"], "there is no action 'drop'; expected one of list, remove, rename, test"),
        (["keywords", "remove"], "0 names; expected 1"),
        (["keywords", "remove", "blue"], "no keyword is called 'blue'; expected 'red'"),
        (["keywords", "rename", "red", " "], "' ' is no name"),
        (["correct", "red"], "a keyword and recordings of its mistakes are needed"),
        (["enroll"], "error"),
        (["enroll", "red", "red0.wav", "--threshold", "0.5", "--false-alarms-per-hour", "1"], "are both set"),
    ],
)
def test_mistakes_are_told(here, capsys, arguments, message):
    run("enroll", "red", "red0.wav")
    capsys.readouterr()
    assert main([arguments[0], *(["bands.onnx"] if arguments[0] != "keywords" and len(arguments) > 1 else []), *arguments[1:]]) != 0
    assert message in capsys.readouterr().err


def test_noise_is_refused(here, capsys):
    write_audio(here / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32))
    assert run("enroll", "red", "noise.wav") != 0
    assert "noise.wav holds no speech that stands out" in capsys.readouterr().err
