"""The page of a training run, from histories of every length."""

from __future__ import annotations

import pytest

from wordprint.train.report import render_report

DETAILS = {"parameters": 1234, "cycles": [40], "validation": {"tokens": 90, "tokens_of_unseen_speakers": 30}}
HISTORY = [
    {"step": 20, "total": 9.0, "loss": 6.0, "phone": 3.0, "validation_ap": 0.7},
    {"step": 40, "total": 5.0, "loss": 3.0, "phone": 2.0, "validation_ap": 0.6},
]


def test_losses_and_validation_are_drawn_and_the_best_is_named():
    page = render_report("train", HISTORY, 12, 3, DETAILS)
    assert page.count("<svg") == 2
    assert "at step 20, the network that is kept" in page
    for text in ("1,234 parameters", "Phone loss", "0.700", "9.000", "90 tokens, 30 of them"):
        assert text in page
    assert page == render_report("train", HISTORY, 12, 3, DETAILS)  # same bytes
    assert "://" not in page


def test_without_validation_there_are_the_losses_alone():
    history = [{key: value for key, value in row.items() if key != "validation_ap"} for row in HISTORY]
    page = render_report("train", history, 12, 3, DETAILS | {"validation": {}, "cycles": [20, 40]})
    assert page.count("<svg") == 1
    assert "the last network was kept. More steps were added" in " ".join(page.split())


@pytest.mark.parametrize("history", [HISTORY[:1], [{"step": 3, "total": -0.5, "loss": -0.5}]])
def test_one_validation_is_a_table_and_no_curve(history):
    page = render_report("train", history, 12, 3, DETAILS)
    assert "<svg" not in page
    assert f'<td class="num">{history[0]["step"]}</td>' in page
