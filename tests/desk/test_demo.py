"""The demonstration at the end of a run: what a model that learned little can't enroll is counted, and the run goes on."""

from __future__ import annotations

import pytest

from toy_model import write_model
from wordprint.desk.demo import demo
from wordprint.desk.options import DemoConfig
from wordprint.spot.enrollment import Enrollment


@pytest.mark.parametrize("refused", [["thermostat"], ["thermostat", "higher"]])
def test_keywords_that_can_not_be_enrolled_are_counted(tmp_path, monkeypatch, refused):
    pytest.importorskip("espeakng_loader")
    rare = lambda model, keyword, per_hour=None: 1.0 if keyword.keyword in refused else 0.5
    monkeypatch.setattr("wordprint.spot.enroll.default_threshold", rare)
    config = DemoConfig(keywords=("thermostat", "higher"), sentence="please set the thermostat a little higher", shots=2)
    receipt = demo(write_model(tmp_path / "bands.onnx"), tmp_path / "demo", config)
    assert receipt.counts["dropped"]["not_enrolled"] == len(refused)
    known = Enrollment.load(tmp_path / "demo" / "keywords.json").keywords
    assert [keyword.keyword for keyword in known] == [name for name in config.keywords if name not in refused]
