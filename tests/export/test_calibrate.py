"""The default threshold: counted in false alarms of the live code, on words and speakers that nobody trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toy_model import write_model
from wordprint.export import calibrate as calibration
from wordprint.export.calibrate import calibrate
from wordprint.model import Model
from wordprint.speech.audio import to_float32
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter
from wordprint.words.dataset import WordDataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(write_model(tmp_path_factory.mktemp("model") / "bands.onnx"))


@pytest.fixture
def data(dataset: Path) -> WordDataset:
    return WordDataset(dataset)


def test_it_finds_the_threshold_for_the_false_alarms_asked_for(model, data):
    strict, lax = (calibrate(model, data, target, 5.0) for target in (60.0, 600.0))
    assert strict["similarity"] > lax["similarity"]
    for found, target in ((strict, 60.0), (lax, 600.0)):
        assert found["false_alarms"] <= target * (found["keyword_hours"] + 0.0005)
        assert found["false_alarms"] >= target * found["keyword_hours"] - 2  # less one, and one more where two are equal
    assert lax["missed"] <= strict["missed"] <= strict["spoken"]
    assert lax["missed"] < lax["spoken"] / 4
    assert calibrate(model, data, 60.0, 5.0) == strict


def test_the_live_code_has_the_false_alarms_that_were_counted(model, data, monkeypatch):
    """Each keyword alone, through `Spotter.spot`, in each utterance of the background without it. The words of an utterance come
    faster than the refractory period: a peak that is counted keeps off those on both sides, a detection only those behind."""
    seen: dict[str, list] = {"make_keyword": [], "_background": [], "_keywords": []}
    for name, results in seen.items():
        whole = getattr(calibration, name)
        monkeypatch.setattr(
            calibration, name, lambda *given, whole=whole, results=results: results.append(whole(*given)) or results[-1]
        )
    found = calibrate(model, data, 600.0, 5.0)
    (background,), (chosen,) = seen["_background"], seen["_keywords"]
    places = calibration._places(data, np.arange(len(data)))
    alarms = hits = 0
    for keyword, tokens in zip(seen["make_keyword"], chosen, strict=True):
        spotter = Spotter(model, Enrollment(model.name, model.digest, (keyword,)), SpotConfig(threshold=found["similarity"]))
        for place in background.utterance.tolist():
            heard = len(list(spotter.spot(to_float32(data.samples(place >> 32, place & 0xFFFFFFFF)))))
            if place in places[tokens]:
                hits += heard
            else:
                alarms += heard
    assert 0 < found["false_alarms"] <= alarms <= 2 * found["false_alarms"]
    assert hits >= found["spoken"] - found["missed"]


def test_it_leaves_the_test_split_alone(model, data):
    """Neither its segments, wherever they lie, nor its speakers' recordings of validation words are heard."""
    segment, samples = data.segment_audio, data.samples
    heard: list[int] = []
    places = {(int(data.column("shard")[i]), int(data.column("row")[i])): data.column("speaker")[i] for i in range(len(data))}
    listened: list[str] = []
    data.segment_audio = lambda index: heard.append(index) or segment(index)
    data.samples = lambda *place: listened.append(places[place]) or samples(*place)
    found = calibrate(model, data, 600.0, 5.0)
    assert found["method"] == "streaming, validation words and speakers"
    test_speakers = set(data.column("speaker")[data.select("test")])
    assert test_speakers
    assert not test_speakers & (set(listened) | set(data.column("speaker")[heard]))
    assert set(data.column("words")[heard]) <= set(data.column("words")[data.select("validation")])


def test_it_adds_the_test_split_where_validation_is_too_small_and_says_so(model, data):
    found = calibrate(model, data, 1.0, 5.0)
    assert found["method"].startswith("streaming, validation and test words and speakers, as validation alone holds 0.")
    assert found["keywords"] > calibrate(model, data, 600.0, 5.0)["keywords"]


def test_it_says_when_it_can_not(model, data, monkeypatch):
    monkeypatch.setattr(calibration, "SHOTS", 10_000)
    found = calibrate(model, data, 1.0, 1.0)
    assert found["similarity"] == calibration.FALLBACK
    assert found["method"].startswith("fixed: the word dataset holds no unseen word")
