"""The microphone with a virtual source: what it drops it counts, and what it can't do it says."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from played_stream import PlayedStream
from toy_model import RATE
from wordprint.errors import AudioError, InputError, MissingExtraError
from wordprint.speech.audio import to_float32
from wordprint.spot import microphone as module
from wordprint.spot.microphone import Microphone, devices

SECOND = np.arange(1, RATE + 1, dtype=np.int16)[:, None]


def test_what_is_dropped_is_counted_and_time_goes_on():
    played = threading.Event()

    def chunks():
        for number in range(13):
            yield SECOND
            if number == 12:
                played.set()
        resume.wait()
        yield SECOND

    resume = threading.Event()
    microphone = Microphone(open_stream=PlayedStream(chunks(), overflows=(2, 5)))
    blocks = iter(microphone)
    heard = [next(blocks)]
    played.wait()
    heard += [next(blocks) for _ in range(9)]
    resume.set()
    with pytest.raises(AudioError, match="has stopped"):
        heard.extend(blocks)
    samples = np.concatenate(heard)
    lost = round(microphone.dropped_s)
    assert microphone.dropped_s == lost
    assert 2 <= lost <= 3  # ten seconds wait, and one or two were read before they were full
    assert len(samples) == 14 * RATE
    np.testing.assert_array_equal(samples[-RATE:], to_float32(SECOND[:, 0]))
    np.testing.assert_array_equal(samples[-RATE * (1 + lost) : -RATE], 0)
    assert np.all(samples[: -RATE * (1 + lost)] > 0)
    overflows, dropped = microphone.notes()
    assert overflows.startswith("2 overflows")
    assert dropped.startswith(f"{lost}.00 s of audio came faster")


def test_one_chunk_longer_than_what_may_wait_is_heard():
    microphone = Microphone(open_stream=PlayedStream([np.tile(SECOND, (12, 1))]))
    assert len(next(iter(microphone))) == 12 * RATE
    assert microphone.notes() == []


def test_a_mute_microphone_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    stream = PlayedStream([SECOND], ends=False)
    with pytest.raises(AudioError, match=r"gave nothing for 0.1 s; check that it is plugged in"):
        list(Microphone(open_stream=stream))
    assert stream.closed.is_set()


def test_leaving_the_loop_closes_the_microphone_and_another_opens_it_again():
    stream = PlayedStream([SECOND] * 3)
    microphone = Microphone(open_stream=stream)
    for _ in range(2):
        for block in microphone:
            assert len(block) == RATE
            break
        assert stream.closed.is_set()


class PortAudioError(Exception):
    pass


def portaudio(*, rates=(48_000,), channels=(2,), stream=None):
    """What stands for the package: a microphone that records at these rates and channels."""
    described = [
        {"name": "speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
        {"name": "USB microphone", "max_input_channels": 2, "default_samplerate": 48_000.0},
    ]

    def query_devices(device=None, kind=None):
        if kind is None:
            return described
        if device not in (None, 1, "USB"):
            raise ValueError(f"No input device matching {device!r}")
        return described[1]

    def check_input_settings(**settings):
        if settings["samplerate"] not in rates or settings["channels"] not in channels:
            raise PortAudioError("Invalid sample rate")

    return SimpleNamespace(
        query_devices=query_devices, check_input_settings=check_input_settings, PortAudioError=PortAudioError,
        InputStream=stream or PlayedStream([]), default=SimpleNamespace(device=(1, 0)),
    )  # fmt: skip


def test_devices(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio())
    assert devices() == [(1, "USB microphone", True)]


@pytest.mark.parametrize(
    ("can", "chosen"),
    [
        ({"rates": (16_000, 48_000), "channels": (1, 2)}, (16_000, 1)),
        ({"rates": (48_000,), "channels": (1, 2)}, (48_000, 1)),
        ({"rates": (48_000,), "channels": (2,)}, (48_000, 2)),
    ],
)
@pytest.mark.parametrize("device", [None, "1", "USB"])
def test_the_first_rate_and_channels_that_it_can(monkeypatch, can, chosen, device):
    stream = PlayedStream([np.zeros((4800, chosen[1]), np.int16)])
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio(stream=stream, **can))
    with pytest.raises(AudioError, match="has stopped"):
        list(Microphone(device))
    settings = stream.settings
    assert (settings["samplerate"], settings["channels"], settings["dtype"]) == (*chosen, "int16")
    assert settings["device"] == (1 if device == "1" else device)


def test_microphones_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio(rates=()))
    with pytest.raises(InputError, match=r"no microphone 'Radio'.*--devices"):
        Microphone("Radio")
    with pytest.raises(InputError, match="'USB microphone' can't be opened: Invalid sample rate"):
        Microphone()

    def busy(**settings):
        raise PortAudioError("Device unavailable")

    with pytest.raises(AudioError, match="can't be opened: Device unavailable"):
        list(Microphone(open_stream=busy))


def test_without_the_package_or_portaudio(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wordprint\[mic\]'"):
        Microphone()
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"PortAudio library not found.*apt-get install libportaudio2"):
        devices()
