"""What progress shows: amounts, rates, time left."""

from __future__ import annotations

import pytest

from wordprint.stages import progress as module
from wordprint.stages.progress import BYTES, Lines


@pytest.mark.parametrize(
    ("unit", "lines"),
    [
        (BYTES, ["get: 3.00 MB of 12.0 MB, 1.00 MB/s, 3.00 s elapsed, 9.00 s left",
                 "get: 12.0 MB of 12.0 MB, 3.00 MB/s, 4.00 s elapsed"]),
        ("items", ["get: 3000000/12000000 items, 1000000.0/s, 3.00 s elapsed, 9.00 s left",
                   "get: 12000000/12000000 items, 3000000.0/s, 4.00 s elapsed"]),
    ],
)  # fmt: skip
def test_lines_say_how_fast_and_how_long(monkeypatch, capsys, unit, lines):
    times = iter([0.0, 3.0, 3.0, 3.5, 4.0])  # start, first advance and its line, second advance, the last line
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    with Lines(interval_s=1).task("get", 12_000_000, unit) as task:
        task.advance(3_000_000)
        task.advance(9_000_000)
    assert capsys.readouterr().err.splitlines() == lines


def test_what_an_earlier_run_did_is_no_speed(monkeypatch, capsys):
    times = iter([0.0, 4.0, 4.0, 5.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    with Lines(interval_s=1).task("train", 20, "steps", before=10) as task:
        task.advance(4)
    assert capsys.readouterr().err.splitlines()[0] == "train: 14/20 steps, 1.0/s, 4.00 s elapsed, 6.00 s left"
