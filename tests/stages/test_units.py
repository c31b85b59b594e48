"""Bytes and seconds as people read them."""

from __future__ import annotations

import pytest

from wordprint.stages.units import readable_bytes, readable_duration


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (99_940, "99.9 kB"), (999_400, "999 kB"), (999_600, "1.00 MB"),
     (337_926_286, "338 MB"), (30_593_501_606, "30.6 GB"), (5e15, "5,000 TB")],
)  # fmt: skip
def test_bytes(count, text):
    assert readable_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (0.416, "0.42 s"), (42, "42.0 s"), (59.99, "1.00 min"), (185, "3.08 min"), (5400, "1.50 h"), (45_000, "12.5 h"),
     (3_600_000, "1,000 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert readable_duration(seconds) == text
