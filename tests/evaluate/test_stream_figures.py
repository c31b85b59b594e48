"""Figures of a stream with planted scores, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.evaluate.intervals import wilson_interval
from wordprint.evaluate.stream_build import Item, Segment
from wordprint.evaluate.stream_figures import Asked, Heard, describe
from wordprint.evaluate.stream_material import RUNNING, Material, Token
from wordprint.evaluate.stream_report import _overview
from wordprint.evaluate.stream_scores import RATES, Looks

RATE = 16_000


def _heard(draws):
    """Six utterances of 10 s by as many speakers: 0 to 3 say "green" at 5–6 s, 0 to 2 of them inside a sentence; 4 and 5 don't.

    What scores highest in the background is 0.5. "green" scores 0.9 in 0 and 3, 0.4 in 1 and 2. `draws`: who is asked for in each.
    """
    texts = ["so green it is"] * 3 + ["green"] + ["nothing", "of that kind"]
    items = [Item(f"u{number}", f"s{number}", "", 0.0, 10.0, text=text) for number, text in enumerate(texts)]
    tokens = [Token(number, f"s{number}", 5.0, 6.0, joined=number < 3) for number in range(4)]
    ends = np.arange(1, 601) * RATE // 10
    scores = np.full(len(ends), 0.1, np.float32)
    for second, score in [(5.5, 0.9), (15.5, 0.4), (25.5, 0.4), (35.5, 0.9), (43, 0.5)]:
        scores[round(10 * second) - 1] = score
    asked = [Asked("green", draw, [], [tokens[number] for number in numbers]) for draw, numbers in enumerate(draws)]
    segments = {number: Segment(number, 10 * number * RATE, 10 * (number + 1) * RATE, 10 * number * RATE) for number in range(6)}
    material = Material(RUNNING, items, [], {"green": tokens})
    looks = Looks(ends, 0, 12_000)
    return Heard("running, clean", material, "clean", None, [], segments, looks, np.stack([scores] * len(draws)), asked, len(draws))


def test_misses_inside_sentences_are_counted_apart():
    """Draw 0 asks for 0, 1 and 3, draw 1 for 0 to 3: two of three inside sentences are missed, 7/12 in the mean."""
    stream = describe(_heard([(0, 1, 3), (0, 1, 2, 3)]))
    for point in [*stream["shared"], *stream["own"]]:
        assert point["missed"]["value"] == pytest.approx((1 / 3 + 1 / 2) / 2)
        low, high = wilson_interval(2, 3)  # 7/12 of three is two of three
        inside = {"value": (1 / 2 + 2 / 3) / 2, "low": min(low, 7 / 12), "high": high, "spoken": 3}
        assert point["missed_inside_sentences"] == pytest.approx(inside)
    rows = _overview(stream)
    assert [row[:3] for row in rows] == [["running, clean", "4 × 2", "0.02 h"], ["… inside sentences", "3 × 2", ""]]
    assert rows[1][3:] == [f"58 ({100 * low:.0f}–{100 * high:.0f})"] * len(RATES) + [""]


def test_words_said_alone_have_no_misses_inside_sentences():
    stream = describe(_heard([(3,)]))
    assert {point["missed_inside_sentences"] for point in stream["shared"]} == {None}
    assert [row[0] for row in _overview(stream)] == ["running, clean"]
