"""Every benchmark runs, in its smallest size, and ends with a ratio. How fast it is, no test can say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toy_model import write_model
from wordprint.records import Detection, Interval, Utterance

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

SMALLEST = {
    "alignment": ["--utterances", "2"],
    "words": ["--utterances", "16", "--segments", "20"],
    "training": ["--utterances", "16", "--steps", "1", "--words-per-batch", "2", "--workers", "1", "--threads", "1"],
    "spotter": ["--utterances", "4", "--seconds", "8"],
    "clients": ["--utterances", "4", "--seconds", "4", "--clients", "3"],
    "scale": ["--utterances", "100", "200"],
    "segments": ["--segments", "2000", "4000"],
}

pytest.importorskip("pocketsphinx")
pytest.importorskip("espeakng_loader")


def run(name: str, *options: str) -> str:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SMALLEST)
def test_it_ends_with_a_ratio(name: str, tmp_path: Path) -> None:
    if name == "clients":
        pytest.importorskip("wyoming", reason="wyoming is not installed: pip install 'wordprint[serve]'")
    options = [*SMALLEST[name], "--rounds", "1"]
    if name == "spotter":
        model = write_model(tmp_path / "model.onnx")
        shutil.copy(model, tmp_path / "model.int8.onnx")
        options += ["--model", str(model)]
    last = run(name, *options).splitlines()[-1]
    assert re.search(r"ratio, .+ : .+ = \d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\)$", last)


def test_every_benchmark_is_tried() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")}
    # gates and ablations train several networks: their own parts are tested below, and so are confusable pairs, which aren't timed;
    # the others need real speech
    untimed = {"gates", "ablations", "confusable_pairs", "confusions", "expected", "mistakes", "personal", "vocabulary"}
    assert scripts == set(SMALLEST) | untimed


def test_confusable_pairs_are_a_table_for_each_way_to_enroll() -> None:
    shown = run("confusable_pairs", "--voices", "2", "--shots", "1", "--takes", "1", "--draws", "1")
    for way in ("typed, own", "1 shots, own", "both, own"):
        goal = r"\d+ of 20 rows fire for at most 5% of the sayings, and \d+ of these find the keyword 80% of the time"
        assert re.search(rf"^{way}: {goal}$", shown, re.M)
    rows = re.findall(r"^volume up +volume down +2( +\d+ \(\d+–\d+\)){3}", shown, re.M)
    assert len(rows) == 3


def test_what_is_confused_with_a_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from confusable_pairs import KINDS, Asked, Enrolled, Heard, Saying, kind_of, share

    said = ["on lights", "lights", "on", "lights off", "turn on", "lights on", "on on", "off lights", "lights on now", "up"]
    assert [kind_of("lights on", text) for text in said] == [*KINDS, None, None, None, None, None]
    spans = np.array([[[0, 100]] * 3])
    heard = [Heard(np.array([1000]), np.array([alike]), spans) for alike in ([0.5, 0.1, 0.0], [0.4, 0.9, 0.0], [0.5, 0.2, 0.6])]
    enrolled = [Enrolled("lights on", "typed", None), Enrolled("lights off", "typed", None, frozenset({"ann"}))]
    sayings = [Saying("", who, np.zeros(0)) for who in ("ann", "bob", "eve")]
    asked = Asked(enrolled, sayings, heard, owners=[0])  # a rival of "lights on", nearer than it in the last saying
    assert asked.strangers.tolist() == [[True, False], [True, True], [True, True]]
    bars, first, both = np.array([0.45, 0.2]), np.array([[0, 0], [1, 0], [2, 0]]), np.array([[0, 0], [1, 1], [2, 1]])
    assert asked.hits(first, bars).tolist() == [True, False, False]
    assert asked.hits(first, np.array([0.3, 0.2])).tolist() == [True, True, False]
    assert share(asked.hits(both, bars), both) == "100 (44–100)"
    assert asked.together(first, np.array([0.3, 0.2]), "lights off").tolist() == [True, False, False]  # the other is further above
    assert asked.together(first, np.array([0.3, 0.95]), "lights off").tolist() == [True, True, False]
    assert asked.together(first, bars, "lights up") is None


def test_detections_are_right_where_the_word_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from vocabulary import matched

    asked = [Interval("alpha", 1.0, 1.5), Interval("alpha", 3.0, 3.4), Interval("beta", 1.0, 1.5)]
    places = [("alpha", 1.1, 1.6), ("alpha", 1.4, 2.0), ("beta", 3.0, 3.4), ("alpha", 2.9, 3.9), ("gamma", 1.0, 1.5)]
    found = [Detection(word, start, end, end + 0.2, 0.9) for word, start, end in places]
    assert matched(found, asked) == (2, 2)  # late by more than half, another word, and a word that nobody says are wrong


def test_a_running_mean_is_that_of_naive_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from ablations import RunningMean

    from wordprint.train.features import POWER_FLOOR, LogMel

    sound = 0.1 * torch.randn(1, 16_000 * 2, generator=torch.Generator().manual_seed(0))
    power = LogMel(4)(sound)[0].exp().numpy() - POWER_FLOOR
    weights = np.exp(-np.arange(100) * 0.01 / 0.3)
    found = RunningMean(4)(sound)[0].numpy()
    for band, frame in ((0, 0), (1, 50), (3, 150), (2, 199)):
        past = power[band, max(0, frame - 99) : frame + 1][::-1]
        mean = float(np.sum(past * weights[: len(past)]) / weights.sum())
        expected = np.log(power[band, frame] + POWER_FLOOR) - np.log(mean + POWER_FLOOR)
        assert found[band, frame] == pytest.approx(expected, abs=1e-3)


def test_spoilt_transcripts_are_as_many_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gates import spoil

    right = [Utterance(f"u{n}", "ann", "a.wav", 0.0, 1.0, " ".join(f"w{n}x{k}" for k in range(5 + n % 4))) for n in range(80)]
    wrong = spoil(right, 0.5, seed=0)
    assert wrong == spoil(right, 0.5, seed=0)
    changed = [(a, b) for a, b in zip(right, wrong, strict=True) if a != b]
    swapped = [b.transcript for _, b in changed if b.transcript in {a.transcript for a in right}]
    assert (len(changed), len(swapped)) == (40, 20)
    for before, after in changed:
        assert replace(after, transcript=before.transcript) == before
        if after.transcript not in swapped:
            words = zip(before.transcript.split(), after.transcript.split(), strict=True)
            assert 1 <= sum(a != b for a, b in words) <= 2


def test_thresholds_of_goodness_are_those_of_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gates import goodness, operating_points

    said = {"a": "one two three", "b": "four five", "c": "six", "d": "seven eight"}
    spoken = {"a": ("One two three", [-1.0, -2.0, -3.0]), "b": ("four nine five", [-1.0, -20.0, -21.0]), "c": ("six", [None]),
              "d": ("seven", [-4.0])}  # fmt: skip
    lines = [
        {"utterance_id": name, "transcript": text, "language": "en", "word_goodness": values}
        for name, (text, values) in spoken.items()
    ]
    right, wrong = goodness(lines, said)
    assert (right, wrong) == ([-1.0, -2.0, -3.0], [-20.0, -21.0])  # what stands beside words left out is neither
    head, *points = operating_points([-1.0, -2.0, -3.0, -9.0], [-2.5, -20.0], [0.0, 0.5])
    assert head == "4 right words, 2 wrong ones, area under the ROC curve 0.750"
    none, half = (re.findall(r"-?[\d.]+", point) for point in points)
    assert none == ["-9.00", "0.00", "50.0"]
    assert half == ["-2.00", "50.00", "100.0"]
