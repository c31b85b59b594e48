"""The page that spots in the browser alone: the same detections as Python, from the same audio, in a real Chromium."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from browser import chromium  # noqa: F401 (a fixture)
from toy_model import enroll_words, padded, stream_of, word, write_model
from wordprint.cli import main
from wordprint.errors import ConfigError, EnrollmentError, InputError
from wordprint.export.web import ORT_FILES, write_page
from wordprint.model import Model
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import draw_speakers, speak
from wordprint.spot.correct import add_mistake
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter


@pytest.fixture(scope="session")
def onnxruntime_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package, fetched once."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm, which brings onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    model, keywords = enroll_words(folder, "red")
    try:
        write_page(Model(model), Enrollment.load(keywords), folder)
    except ConfigError as error:
        pytest.skip(str(error))
    return folder


def tones(tmp_path: Path) -> tuple[Model, Enrollment, np.ndarray]:
    """Three keywords: of one shot length, of another, and one with a mistake remembered; and a stream that holds them."""
    model = Model(write_model(tmp_path / "bands.onnx"))
    enrollment = None
    for name, seconds in (("red", 0.5), ("blue", 0.8), ("green", 0.5)):
        shots = [padded(word(name, seconds, seed=seed), seed=seed) for seed in range(2)]
        enrollment = enroll(model, name, shots, enrollment=enrollment)
    assert enrollment is not None
    wrong = model.vector(word("blue"), model_speech(word("blue")))
    stream = stream_of(("red", 1.0), ("green", 2.6), ("blue", 4.5), ("red", 6.3), seconds=7.5)
    return model, add_mistake(enrollment, "green", wrong, "blue"), stream


def phones(tmp_path: Path) -> tuple[Model, Enrollment, np.ndarray]:
    """The model that ships, which reads phones: two typed keywords, one of a recording, and synthetic voices that say them and its
    opposite, which it is told apart from."""
    model, voices = Model(), draw_speakers(3, seed=5)
    enrollment = enroll(model, "kitchen light", config=SpotConfig(threshold=0.1))
    enrollment = enroll(model, "bedroom light", config=SpotConfig(threshold=0.1), enrollment=enrollment)
    said = []
    with Synthesiser() as synthesiser:
        for number, (text, voice) in enumerate(product(("kitchen light", "volume up", "bedroom light", "volume down"), voices)):
            said += [speak(synthesiser, text, voice, np.random.default_rng(number))[0], np.zeros(12_000, np.float32)]
    enrollment = enroll(model, "volume up", [said[6]], enrollment=enrollment).with_threshold("volume up", 0.1)
    assert all(keyword.sounds for keyword in enrollment.keywords)
    assert enrollment.listened()[1] == (2,)
    return model, enrollment, np.concatenate(said)


def model_speech(samples: np.ndarray):
    from wordprint.speech.trim import find_speech

    return find_speech(samples)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of the folder `page`."""
    handler = functools.partial(_Quiet, directory=str(tmp_path / "page"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("made", [tones, phones])
def test_the_page_finds_what_python_finds(tmp_path, made, served, onnxruntime_web, chromium):  # noqa: F811
    model, enrollment, stream = made(tmp_path)
    write_page(model, enrollment, tmp_path / "page", onnxruntime_web=onnxruntime_web)
    expected = list(Spotter(model, enrollment).spot(stream))
    assert len(expected) >= 3
    if made is phones:
        none = replace(enrollment, keywords=tuple(replace(word, rivals=()) for word in enrollment.keywords))
        assert len(list(Spotter(model, none).spot(stream))) > len(expected)
    page, wrong = chromium.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((served, "blob:")) else wrong.append(request.url))
    page.goto(served)
    page.wait_for_selector("#listen:enabled")
    found, again = (
        page.evaluate("async (heard) => window.wordprint.spot(Float32Array.from(heard))", stream.tolist()) for _ in range(2)
    )
    assert page.locator("#words li").count() == 3
    page.close()
    assert wrong == []
    assert found == again
    assert [one["keyword"] for one in found] == [one.keyword for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["time_s"] == other.time_s
        assert one["onset_s"] == pytest.approx(other.onset_s, abs=0.0011)
        assert one["offset_s"] == pytest.approx(other.offset_s, abs=0.0011)
        assert one["similarity"] == pytest.approx(other.similarity, abs=2e-4)


def test_the_command_writes_a_page(tmp_path, capsys, monkeypatch):
    model, keywords = enroll_words(tmp_path, "red")
    package = tmp_path / "package" / "dist"
    package.mkdir(parents=True)
    for name in ORT_FILES:
        (package / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert main(["web", str(model), str(keywords), "-o", "page", "--onnxruntime-web", "package"]) == 0
    assert "http.server" in capsys.readouterr().out
    described = json.loads((tmp_path / "page" / "spotter.json").read_text(encoding="utf-8"))
    assert [one["keyword"] for one in described["keywords"]] == ["red"]
    assert {path.name for path in (tmp_path / "page").iterdir()} >= {"index.html", "encoder.onnx", "head.onnx", *ORT_FILES}


def test_bad_input_is_told(tmp_path, monkeypatch):
    model, keywords = enroll_words(tmp_path, "red")
    engine, enrollment = Model(model), Enrollment.load(keywords)
    with pytest.raises(InputError, match=r"has no ort.wasm.min.mjs; expected the folder of the npm package"):
        write_page(engine, enrollment, tmp_path / "page", onnxruntime_web=tmp_path)
    with pytest.raises(InputError, match="no keyword is enrolled"):
        write_page(engine, Enrollment(engine.name, engine.digest), tmp_path / "page")
    other = Model(write_model(tmp_path / "other.onnx", name="other"))
    with pytest.raises(EnrollmentError, match="was made with model"):
        write_page(other, enrollment, tmp_path / "page")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"npm, which brings it, is not installed; install Node.js"):
        write_page(engine, enrollment, tmp_path / "page")


def test_a_page_beside_the_keywords_leaves_them_alone(tmp_path, monkeypatch):
    model, keywords = enroll_words(tmp_path, "red")
    monkeypatch.setattr("wordprint.export.web._copy_onnxruntime", lambda folder, package: [])
    before = keywords.read_bytes()
    write_page(Model(model), Enrollment.load(keywords), keywords.parent)
    assert keywords.read_bytes() == before
    with pytest.raises(InputError, match=r"cannot write to .*; choose another output folder"):
        write_page(Model(model), Enrollment.load(keywords), keywords)
