"""The page of a work folder: a line for each stage, links that lead somewhere, what to do next."""

from __future__ import annotations

import re
import shlex
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

from browser import chromium, opened  # noqa: F401 (a fixture)
from wordprint.commands.parser import parse
from wordprint.desk.index import figures, listen, next_steps, write_index
from wordprint.desk.options import DemoConfig
from wordprint.export.options import ExportConfig
from wordprint.speech.audio import write_audio
from wordprint.stages.command import load
from wordprint.stages.contract import open_stage
from wordprint.stages.manifest import write_jsonl
from wordprint.stages.table import COMMANDS
from wordprint.validate.options import ValidateConfig


@pytest.fixture
def work(tmp_path):
    """A work folder (with a name that has to be quoted) of a run that made a model and was not evaluated."""
    folder = tmp_path / "work & play #1"
    with open_stage("validate", folder / "validate", ValidateConfig(), {}) as stage:
        (stage.output / "report.html").write_text("a page", encoding="utf-8")
        stage.drop("a", "silent_audio")
        stage.finish(3, 2, ["report.html"])
    with open_stage("export", folder / "export", ExportConfig(), {}) as stage:
        for name in ("model.onnx", "MODEL_CARD.md"):
            (stage.output / name).write_text("a file", encoding="utf-8")
        stage.finish(1, 1, ["model.onnx"], {"bytes": {"model.onnx": 1_310_000}, "threshold": {"similarity": 0.7654}})
    config = DemoConfig(keywords=("lights on",), sentence="put the lights on & out")
    with open_stage("demo", folder / "demo", config, {}) as stage:
        write_audio(stage.output / "sentence.flac", np.zeros(1600, np.float32))
        write_jsonl(stage.output / "detections.jsonl", [{"keyword": "lights on", "onset_s": 0.94, "similarity": 0.83}])
        stage.finish(1, 1, ["sentence.flac"])
    (folder / "words <1>.html").write_text("a page", encoding="utf-8")
    (folder / "outliers").mkdir()
    (folder / "outliers" / "stage.json").write_text("{}", encoding="utf-8")
    return folder


def test_each_stage_has_its_line_and_links_lead_somewhere(work):
    page = write_index(work).read_text(encoding="utf-8")
    for text in ("2 of 3 kept (dropped: 1 silent_audio)", "model.onnx 1.31 MB, threshold 0.765", "lights on at 0.94 s", "not done"):
        assert text in page
    assert "outliers/stage.json has schema None" in page  # one bad receipt is told, the rest is shown
    links = [unquote(address) for address in re.findall(r'<a href="([^"]+)"', page)]
    assert sorted(links) == ["export/MODEL_CARD.md", "export/model.onnx", "validate/report.html", "words <1>.html"]
    assert all((work / link).is_file() for link in links)
    assert "://" not in page


def test_it_fits_a_narrow_window_and_loads_nothing(work, chromium):  # noqa: F811
    with opened(chromium, write_index(work), "dark") as tab:
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_a_page_that_would_be_the_same_is_left(work):
    path = write_index(work)
    before = path.stat().st_mtime_ns
    assert write_index(work).stat().st_mtime_ns == before
    assert listen(work) == [work / "demo" / "sentence.flac", work / "words <1>.html"]  # not itself


def test_an_evaluation_is_to_be_listened_to_where_it_has_something_to_play(work):
    report = work / "evaluate" / "report.html"
    report.parent.mkdir()
    report.write_text("<h1>Evaluation</h1>", encoding="utf-8")
    assert report not in listen(work)
    report.write_text("<h1>Evaluation</h1><h3>Errors to listen to</h3>", encoding="utf-8")
    assert report in listen(work)


def test_what_to_do_next_are_commands_that_exist(work):
    for name in ("words", "train"):
        (work / name).mkdir()
    commands = [shlex.split(command) for command, _ in next_steps(work)]
    assert [command[1] for command in commands] == ["inspect", "outliers", "enroll", "spot"]
    for _, name, *arguments in commands:
        row = COMMANDS[name]
        parse(row, arguments, {parameter: load(path)() for parameter, path in row.options})
    assert next_steps(work / "nothing") == []


def test_an_export_says_what_its_thresholds_are_for():
    details = {
        "bytes": {},
        "threshold": {"similarity": 0.7, "target_false_alarms_per_hour": 2.0, "above_level": [[1.0, 0.2], [5.0, 0.1]]},
    }
    assert list(figures(SimpleNamespace(stage="export", details=details))) == ["thresholds for 2 false alarms per hour of speech"]
