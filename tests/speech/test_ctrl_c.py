"""Ctrl-C while libsndfile calls back into Python is neither lost nor cuts the file that is read or written."""

from __future__ import annotations

import io
import signal

import numpy as np
import pytest

from sound_files import RATE, encoded, speech
from wordprint.speech.audio import read_audio, write_audio
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.spot.pcm import Layout
from wordprint.words.hub import _flac

ONE = speech(0.5)
INT16 = (ONE * 32767).astype(np.int16)


class Pressed(io.BytesIO):
    """A file during whose every callback Ctrl-C is pressed."""

    def tell(self) -> int:
        signal.raise_signal(signal.SIGINT)
        return super().tell()


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_recording_is_written_whole(tmp_path, monkeypatch, ending):
    with monkeypatch.context() as patch:
        patch.setattr("wordprint.speech.audio.BytesIO", Pressed)
        with pytest.raises(KeyboardInterrupt):
            write_audio(tmp_path / f"a.{ending}", INT16)
    assert not list(tmp_path.iterdir())  # not a cut one


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("wordprint.speech.part_file.Memory", lambda: read_audio(io.BytesIO(encoded(ONE, "FLAC", "PCM_16")))),
        ("wordprint.spot.pcm.BytesIO", lambda: Layout(RATE, 1, "PCM_16", 2).decode(INT16.tobytes())),
        ("io.BytesIO", lambda: _flac(INT16)),
    ],
)
def test_reading_and_encoding_are_stopped_afterwards(monkeypatch, file, read):
    monkeypatch.setattr(file, Pressed)
    with pytest.raises(KeyboardInterrupt):
        read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_of_the_block_is_done_first(number):
    done, handled = [], []
    before = signal.signal(number, lambda *arguments: handled.append(list(done)))
    try:
        with ctrl_c_waits(), ctrl_c_waits():
            signal.raise_signal(number)
            done.append("inside")
        assert handled == [["inside"]]
        signal.raise_signal(number)
        assert len(handled) == 2
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_waits():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
