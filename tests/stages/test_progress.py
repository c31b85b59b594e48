"""What progress shows: amounts, rates, time left."""

from __future__ import annotations

import pytest

from wordprint.stages import progress as module
from wordprint.stages.progress import BYTES, Lines, readable_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (337_926_286, "337.9 MB"),
     (30_593_501_606, "30.6 GB"), (5e15, "5000.0 TB")],
)  # fmt: skip
def test_bytes_for_people(count, text):
    assert readable_bytes(count) == text


@pytest.mark.parametrize(
    ("unit", "lines"),
    [
        (BYTES, ["get: 3.0 MB of 12.0 MB, 1.0 MB/s, 0:03 elapsed, 0:09 left", "get: 12.0 MB of 12.0 MB, 3.0 MB/s, 0:04 elapsed"]),
        ("items", ["get: 3000000/12000000 items, 1000000.0/s, 0:03 elapsed, 0:09 left",
                   "get: 12000000/12000000 items, 3000000.0/s, 0:04 elapsed"]),
    ],
)  # fmt: skip
def test_lines_say_how_fast_and_how_long(monkeypatch, capsys, unit, lines):
    times = iter([0.0, 3.0, 3.0, 3.5, 4.0])  # start, first advance and its line, second advance, the last line
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    with Lines(interval_s=1).task("get", 12_000_000, unit) as task:
        task.advance(3_000_000)
        task.advance(9_000_000)
    assert capsys.readouterr().err.splitlines() == lines
