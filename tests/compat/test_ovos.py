"""The plugins of OpenVoiceOS: with ovos-plugin-manager where it is installed, else on stand-ins of its two base classes."""

from __future__ import annotations

import importlib
import sys
import tomllib
import types
import warnings
from pathlib import Path

import pytest

from toy_model import enroll_words, stream_of
from wordprint.errors import AudioError, EnrollmentError
from wordprint.speech.audio import to_float32, to_int16
from wordprint.spot.choose import choose
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.stream import Spotter

STREAM = to_int16(stream_of(("red", 0.5), ("green", 1.6), ("blue", 2.7), ("red", 3.9), seconds=5.5))
TEMPLATES = "ovos_plugin_manager.templates.hotwords"


class HotWordEngine:
    """What ovos-plugin-manager 2.2's does, without its lookup of a configuration file."""

    def __init__(self, key_phrase, config=None):
        self.key_phrase = str(key_phrase).lower()
        self.config = config or {}


class HotWordVerifier:
    def __init__(self, config=None):
        self.config = config or {}


@pytest.fixture(scope="module")
def ovos():
    """wordprint.compat.ovos."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ovos-plugin-manager imports modules that Python 3.13 no longer has
        try:
            importlib.import_module(TEMPLATES)
        except ImportError:
            stand_in = types.ModuleType(TEMPLATES)
            stand_in.HotWordEngine, stand_in.HotWordVerifier = HotWordEngine, HotWordVerifier
            for name in ("ovos_plugin_manager", "ovos_plugin_manager.templates"):
                patch.setitem(sys.modules, name, types.ModuleType(name))
            patch.setitem(sys.modules, TEMPLATES, stand_in)
        yield importlib.import_module("wordprint.compat.ovos")
        sys.modules.pop("wordprint.compat.ovos")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    model, keywords = enroll_words(tmp_path_factory.mktemp("keywords"), "red", "blue")
    return {"module": "ovos-ww-plugin-wordprint", "listen": True, "model": str(model), "enrollment": str(keywords)}


def listen(engine, size=2048) -> list[float]:
    """Seconds at which a listener that asks after every chunk of bytes is told."""
    stream, found = STREAM.tobytes(), []
    for start in range(0, len(stream), size):
        engine.update(stream[start : start + size])
        if engine.found_wake_word():
            found.append((start + size) / 32_000)
    return found


@pytest.mark.parametrize(("phrase", "extra"), [("red", {}), ("RED", {}), ("hey_mycroft", {"keyword": "red"})])
def test_it_is_told_when_its_keyword_is_heard(ovos, config, phrase, extra):
    engine = ovos.WordprintHotWord(phrase, config | extra)
    enrollment = choose(Enrollment.load(config["enrollment"]), ["red"])
    expected = [detection.time_s for detection in Spotter(config["model"], enrollment).spot(to_float32(STREAM))]
    found = listen(engine)
    assert len(found) == 2
    assert found == pytest.approx(expected, abs=0.065)
    assert not engine.found_wake_word()


def test_reset_forgets(ovos, config):
    engine = ovos.WordprintHotWord("red", config)
    engine.update(STREAM[: 16_000 * 3].tobytes())
    engine.reset()
    assert not engine.found_wake_word()
    assert len(listen(engine)) == 2


def test_options_are_those_of_spot(ovos, config):
    assert listen(ovos.WordprintHotWord("red", config | {"threshold": 1.0})) == []


def test_what_cannot_be(ovos, config):
    with pytest.raises(EnrollmentError, match="no keyword is called 'purple'; expected some of 'red', 'blue'"):
        ovos.WordprintHotWord("purple", config)
    with pytest.raises(AudioError, match="3 bytes of audio; expected 16-bit samples"):
        ovos.WordprintHotWord("red", config).update(b"abc")


def test_the_verifier(ovos, config):
    red, green = STREAM[8_000:18_000].tobytes(), STREAM[25_000:35_000].tobytes()
    for extra, expected in (({}, [True, False]), ({"keyword": "red"}, [True, False]), ({"keyword": "blue"}, [False, False])):
        verifier = ovos.WordprintVerifier(config | extra)
        assert [verifier.verify(red), verifier.verify(green)] == expected
        assert not verifier.verify(b"")


def test_the_entry_points_name_the_classes(ovos):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in ("opm.wake_word", "opm.wake_word.verifier"):
        ((_, place),) = project["entry-points"][group].items()
        module, _, name = place.partition(":")
        assert module == ovos.__name__
        assert hasattr(ovos, name)


def test_ovos_finds_the_plugins(ovos, config):
    wakewords = pytest.importorskip("ovos_plugin_manager.wakewords", reason="ovos-plugin-manager is not installed")
    if "ovos-ww-plugin-wordprint" not in wakewords.find_wake_word_plugins():
        pytest.skip("wordprint was installed before it had plugins: pip install it again")
    settings = {"hotwords": {"red": config}}
    engine = wakewords.OVOSWakeWordFactory.create_hotword("red", settings)
    assert len(listen(engine)) == 2
    assert "ovos-ww-verifier-wordprint" in wakewords.find_wake_word_verifier_plugins()
