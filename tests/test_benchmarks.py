"""Every benchmark runs, in its smallest size, and ends with a ratio. How fast it is, no test can say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toy_model import write_model

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

SMALLEST = {
    "alignment": ["--utterances", "2"],
    "words": ["--utterances", "16", "--segments", "20"],
    "training": ["--utterances", "16", "--steps", "1", "--words-per-batch", "2", "--workers", "1", "--threads", "1"],
    "spotter": ["--utterances", "4", "--seconds", "8"],
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
    options = [*SMALLEST[name], "--rounds", "1"]
    if name == "spotter":
        model = write_model(tmp_path / "model.onnx")
        shutil.copy(model, tmp_path / "model.int8.onnx")
        options += ["--model", str(model)]
    last = run(name, *options).splitlines()[-1]
    assert re.search(r"ratio, .+ : .+ = \d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\)$", last)


def test_every_benchmark_is_tried() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert scripts == set(SMALLEST)
