"""Recordings of detections: the samples around each, whatever the chunks."""

from __future__ import annotations

import re

import numpy as np
import pytest

from toy_model import RATE
from wordprint.records import Detection
from wordprint.speech.audio import read_audio, to_float32, to_int16
from wordprint.spot.keep import DetectionKeeper

STREAM = to_float32(to_int16(np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)))


def heard(folder, size, told_s, *, ending="flac", seconds=20.0):
    """A keeper after a stream in chunks of `size`, told of detections at their times."""
    keeper = DetectionKeeper(folder, ending, reach_s=2.0)
    for start in range(0, round(seconds * RATE), size):
        keeper.hear(STREAM[start : start + size])
        while told_s and told_s[0].time_s * RATE <= start + size:
            keeper.detected(told_s.pop(0))
    keeper.finish()
    return keeper


@pytest.mark.parametrize("size", [37, 1600, 10 * RATE])
@pytest.mark.parametrize("ending", ["flac", "wav"])
def test_half_a_second_around_each_detection(tmp_path, size, ending):
    told = [
        Detection("lights on", 0.2, 0.9, 1.3, 0.8),
        Detection("a/b: ../ü", 7.0, 7.6, 8.2, 0.9),
        Detection("lights on", 7.5, 8.0, 8.3, 0.8),  # overlaps the one before
        Detection("end", 19.0, 19.8, 20.0, 0.7),  # what follows it never comes
    ]
    keeper = heard(tmp_path / "new" / "folder", size, list(told), ending=ending)
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [re.sub(r"^\d{8}-\d{6}-", "", path.name) for path in files] == [
        f"000000.20-lights-on.{ending}", f"000007.00-a-b-ü.{ending}", f"000007.50-lights-on.{ending}", f"000019.00-end.{ending}",
    ]  # fmt: skip
    for detection, path in zip(told, files, strict=True):
        first, last = max(0.0, detection.onset_s - 0.5), min(20.0, detection.offset_s + 0.5)
        np.testing.assert_array_equal(read_audio(path), STREAM[round(first * RATE) : round(last * RATE)])
    assert (keeper.kept, keeper.failed) == (4, 0)


def test_memory_does_not_grow(tmp_path):
    keeper = DetectionKeeper(tmp_path, "flac", reach_s=2.0)
    for _ in range(2000):
        keeper.hear(np.zeros(1600, np.float32))
    assert sum(map(len, keeper._blocks)) <= 2.7 * RATE


def test_a_recording_that_cannot_be_written_is_counted(tmp_path):
    keeper = DetectionKeeper(tmp_path / "gone", "wav", reach_s=2.0)
    (tmp_path / "gone").rmdir()
    keeper.hear(STREAM[: 3 * RATE])
    keeper.detected(Detection("red", 1.0, 1.5, 2.1, 0.9))
    assert (keeper.kept, keeper.failed) == (0, 1)
    assert keeper.failure == "No such file or directory"
