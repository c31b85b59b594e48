"""A few-shot result keyword by keyword, against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.evaluate.few_shot import FewShotResult, ShotResult
from wordprint.evaluate.keywords import MOST_WORDS, by_keyword, confusion


def _result(targets, counts, accepted=None):
    accepted = None if accepted is None else np.array(accepted)
    return FewShotResult(targets, [], [], [ShotResult(1, {}, None, np.array(counts), accepted)])


WORDS = np.array(["go", "go", "no", "bed", "up"])
RESULT = _result(["go", "no", "up"], [[3, 1, 0], [4, 2, 0], [5, 5, 0], [1, 1, 1], [0, 0, 0]], [3, 5, 0, 2, 0])


def test_the_confusion_counts_queries_of_the_keywords_alone():
    assert confusion(RESULT, WORDS).tolist() == [[7, 3, 0], [5, 5, 0], [0, 0, 0]]


def test_the_table_has_the_worst_keyword_first_and_a_dash_where_nothing_was_asked():
    found = by_keyword(RESULT, WORDS)
    assert found["accepts"]
    assert found["rows"] == [
        ["no", "1", "50.0 %", "0.0 %", "62.5 %", "go (50.0 %)"],
        ["go", "2", "70.0 %", "80.0 %", "58.3 %", "no (30.0 %)"],
        ["up", "1", "–", "–", "–", "–"],
    ]


def test_a_closed_set_accepts_everything():
    found = by_keyword(_result(["a", "b"], [[2, 0], [0, 2]]), np.array(["a", "b"]))
    assert found["rows"] == [["a", "1", "100.0 %", "100.0 %", "–"], ["b", "1", "100.0 %", "100.0 %", "–"]]
    assert not found["accepts"]


def test_the_matrix_is_in_percent_of_the_queries():
    matrix = by_keyword(RESULT, WORDS)["matrix"]
    assert matrix["columns"] == ["go", "no", "up"]
    assert [[cell["text"] for cell in row["cells"]] for row in matrix["rows"]] == [["70", "30", ""], ["50", "50", ""], ["", "", ""]]
    assert [[cell["right"] for cell in row["cells"]] for row in matrix["rows"]] == np.eye(3, dtype=bool).tolist()
    assert not matrix["wide"]


def test_of_many_keywords_the_matrix_shows_those_that_are_confused():
    size = MOST_WORDS + 5
    names, counts = [f"w{number:02d}" for number in range(size)], 1000 * np.eye(size, dtype=np.int64)
    counts[-1, -2], counts[0, -1] = 3, 500  # all of the errors
    matrix = by_keyword(_result(names, counts), np.array(names))["matrix"]
    assert {names[0], names[-1], names[-2]} <= set(matrix["columns"])
    assert (len(matrix["rows"]), matrix["columns"][-1]) == (MOST_WORDS, "all others")
    assert matrix["wide"]
    last = {cell["column"]: cell["text"] for cell in matrix["rows"][-1]["cells"]}
    assert (last[names[-2]], last[names[-1]], last["all others"]) == ("<1", "100", "")


@pytest.mark.parametrize("shots", [1, 3])
def test_the_entry_with_the_most_shots_is_shown(shots):
    entries = [ShotResult(k, {}, None, np.array([[k, 0]]), None) for k in range(1, shots + 1)]
    found = by_keyword(FewShotResult(["a", "b"], [], [], entries), np.array(["a"]))
    assert found["matrix"]["rows"][0]["asked"] == shots
