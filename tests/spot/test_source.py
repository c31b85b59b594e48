"""Live audio: whatever it comes through and however it is cut, the detections are those of the file."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from played_stream import PlayedStream
from toy_model import RATE, padded, stream_of, word
from wordprint.errors import AudioError, ConfigError, InputError
from wordprint.speech.audio import read_audio, resample, stream_audio, to_float32, to_int16, write_audio
from wordprint.spot.enroll import enroll
from wordprint.spot.microphone import Microphone
from wordprint.spot.options import RawConfig
from wordprint.spot.source import Feed, Pipe, is_pipe, tapped
from wordprint.spot.stream import Spotter

STREAM = stream_of(("red", 1.0), ("blue", 4.5), ("red", 6.3), ("blue", 12.0), seconds=14)
"""Its last second and a half is quiet: all is decided before it ends."""
SUBTYPES = {"s16": "PCM_16", "s32": "PCM_32", "f32": "FLOAT"}


@pytest.fixture(scope="module")
def spotter(model) -> Spotter:
    made = None
    for name in ("red", "blue"):
        made = enroll(model, name, [padded(word(name, seed=seed), seed=seed) for seed in range(3)], enrollment=made)
    return Spotter(model, made)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """(rate, channels) → samples (N, channels) as 16-bit, and a file that holds them."""
    folder, made = tmp_path_factory.mktemp("recordings"), {}
    for rate, channels in ((RATE, 1), (44_100, 2), (8000, 1)):
        mono = resample(STREAM, RATE, rate)
        samples = to_int16(np.stack([mono * (1 - 0.5 * channel) for channel in range(channels)], axis=1))
        write_audio(folder / f"{rate}.flac", samples, rate)
        made[rate, channels] = samples, folder / f"{rate}.flac"
    return made


@contextmanager
def pipe_with(pieces):
    """A pipe into which a thread writes these pieces of bytes, one by one."""
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb", buffering=0) as end:
            try:
                for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[end.write(view) :]
            except BrokenPipeError:  # the reader refused what came
                pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        thread.join()


def wav(samples, rate, subtype="PCM_16", length=None, **how) -> bytes:
    """A WAV; `length` stands in its header for the length of its samples."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format="WAV", subtype=subtype, **how)
    data = target.getvalue()
    if length is None:
        return data
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", length) + data[at + 4 :]


def raw(samples, rate, subtype) -> bytes:
    target = io.BytesIO()
    values = to_float32(samples) if subtype == "FLOAT" else samples  # libsndfile doesn't scale integers that it writes as floats
    soundfile.write(target, values, rate, format="RAW", subtype=subtype, endian="LITTLE")
    return target.getvalue()


def cut(data, sizes, unit=1):
    """Pieces of these sizes, again and again, in units."""
    at, number = 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)] * unit
        yield data[at : at + size]
        at, number = at + size, number + 1


def through_microphone(spotter, samples, rate, sizes):
    permits = threading.Semaphore(1)
    stream = PlayedStream(cut(samples, sizes), wait=permits.acquire)
    microphone = Microphone(open_stream=stream, sample_rate=rate, channels=samples.shape[1])
    found = []
    with pytest.raises(AudioError, match="has stopped"):  # a microphone has no end
        found.extend(spotter.listen(tapped(microphone, lambda _: permits.release())))  # extend keeps what came before the error
    assert microphone.notes() == []
    return found


def through(front, spotter, samples, rate, sizes):
    if front == "microphone":
        return through_microphone(spotter, samples, rate, sizes)
    channels = samples.shape[1]
    if front == "wav":
        data, options, width = wav(samples, rate, length=0x7FFF_FFFF), RawConfig(), 2
    else:
        data, options = raw(samples, rate, SUBTYPES[front]), RawConfig(rate, channels, front)
        width = 2 if front == "s16" else 4
    with pipe_with(cut(data, sizes, width * channels)) as path:
        return list(spotter.listen(Pipe(path, options)))


chunks = st.lists(st.one_of(st.integers(1, 400), st.integers(1, 10 * RATE)), min_size=1, max_size=8).filter(lambda n: sum(n) > 20)


@pytest.mark.parametrize("front", ["s16", "s32", "f32", "wav", "microphone"])
@settings(max_examples=4)
@given(sizes=chunks, kind=st.sampled_from([(RATE, 1), (44_100, 2), (8000, 1)]))
def test_the_detections_of_a_stream_are_those_of_the_file(spotter, recordings, front, sizes, kind):
    samples, path = recordings[kind]
    expected = list(spotter.spot(path))
    assert [detection.keyword for detection in expected] == ["red", "blue", "red", "blue"]
    assert through(front, spotter, samples, kind[0], sizes) == expected


@pytest.mark.parametrize("front", ["s16", "microphone"])
def test_single_samples(spotter, recordings, front):
    samples = recordings[RATE, 1][0][: 3 * RATE]
    expected = list(spotter.spot(to_float32(samples[:, 0])))
    assert len(expected) == 1
    assert through(front, spotter, samples, RATE, [1]) == expected


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@settings(max_examples=5)
@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=5).filter(lambda n: sum(n) > 20))
def test_how_a_stream_is_cut_changes_no_bit_of_what_is_mixed_and_resampled(tmp_path_factory, rate, channels, sizes):
    signal = np.random.default_rng(0).integers(-5000, 5000, (2 * rate, channels)).astype(np.int16)
    signal[rate // 2 : rate, -1] = -signal[rate // 2 : rate, 0]  # here two channels cancel, and one is taken
    path = tmp_path_factory.mktemp("cut") / "a.wav"
    write_audio(path, signal, rate)
    feed = Feed(rate, channels)
    heard = [feed.push(to_float32(piece)) for piece in cut(signal, sizes)]
    heard.append(feed.push(np.zeros((0, channels), np.float32), last=True))
    whole = np.concatenate(list(stream_audio(path)))
    assert len(whole) == 2 * RATE
    np.testing.assert_array_equal(np.concatenate(heard), whole)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
@pytest.mark.parametrize("length", [None, 0, 0xFFFF_FFFF, 0x7FFF_F000])
def test_wav_of_every_kind_is_what_the_file_is(tmp_path, subtype, length):
    (tmp_path / "a.wav").write_bytes(wav(STREAM[:RATE], RATE, subtype))
    with pipe_with([wav(STREAM[:RATE], RATE, subtype, length)]) as path:
        heard = np.concatenate(list(Pipe(path)))
    expected = read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(heard[: len(expected)], expected)


def test_long_headers_of_other_kinds(tmp_path):
    extra = b"LIST" + struct.pack("<I", 27) + b"x" * 28  # of odd length, with its padding
    plain = wav(STREAM[:RATE], RATE)
    extensible = wav(np.stack([STREAM[:RATE]] * 3, axis=1), RATE, "PCM_24")
    rf64 = io.BytesIO()
    soundfile.write(rf64, STREAM[:RATE], RATE, format="RF64", subtype="PCM_16")
    assert struct.unpack("<H", extensible[20:22])[0] in (1, 0xFFFE)
    for data in (plain[:36] + extra + plain[36:], extensible, rf64.getvalue(), plain + b"LIST\x04\0\0\0abcd"):
        with pipe_with(cut(data, [7, 1000])) as path:
            pipe = Pipe(path)
            heard = np.concatenate(list(pipe))
        np.testing.assert_allclose(heard, STREAM[:RATE], atol=1e-4)
        assert pipe.dropped_bytes == (12 if data.endswith(b"abcd") else 0)


def test_what_is_no_whole_sample_is_dropped_and_counted():
    with pipe_with([b"\1\0\2\0\3"]) as path:
        pipe = Pipe(path, RawConfig(channels=2))
        assert sum(map(len, pipe)) == 1
    assert pipe.notes() == [f"{path}: 1 bytes at its end are no samples: dropped"]


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (b"", RawConfig(), AudioError, "holds no audio"),
        (b"\1", RawConfig(), AudioError, "holds no audio"),
        (b"fLaC" + bytes(100), RawConfig(), AudioError, "holds FLAC.*ffmpeg"),
        (bytes(4) + b"ftypM4A " + bytes(100), RawConfig(), AudioError, "holds MP4"),
        (wav(STREAM[:100], RATE)[:30], RawConfig(), AudioError, "damaged|ends inside"),
        (wav(STREAM[:100], RATE)[:40], RawConfig(), AudioError, "ends inside"),
        (wav(STREAM[:100], RATE).replace(b"fmt ", b"fnt "), RawConfig(), AudioError, "doesn't say what its samples are"),
        (wav(STREAM[:100], RATE).replace(b"fmt \x10\0\0\0\1", b"fmt \x10\0\0\0\x55"), RawConfig(), AudioError, "format 85"),
        (wav(STREAM[:100], RATE).replace(b"fmt \x10\0\0\0", b"fmt \0\0\0\x7f"), RawConfig(), AudioError, "damaged"),
        (wav(STREAM[:0], RATE), RawConfig(), AudioError, "holds no audio"),
        (wav(STREAM[:100], RATE), RawConfig(rate=8000), ConfigError, "rate is 8000.*rate 16000"),
        (wav(STREAM[:100], RATE), RawConfig(format="f32"), ConfigError, "format is f32.*PCM_16"),
    ],
)
def test_what_is_no_audio_is_refused(data, options, error, message):
    with pipe_with([data]) as path, pytest.raises(error, match=message):
        list(Pipe(path, options))


def test_options_that_say_what_the_header_says_are_no_mistake():
    with pipe_with([wav(STREAM[:100], RATE)]) as path:
        assert sum(map(len, Pipe(path, RawConfig(RATE, 1, "s16")))) == 100


def test_integers_read_as_floats_are_refused(spotter):
    data = np.random.default_rng(0).integers(-20_000, 20_000, 4000).astype("<i2").tobytes()
    with pipe_with([data]) as path, pytest.raises(AudioError, match=r"finite|full scale"):
        list(spotter.listen(Pipe(path, RawConfig(format="f32"))))


def test_a_fifo_where_a_file_is_expected(spotter, recordings, tmp_path):
    samples, path = recordings[RATE, 1]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert is_pipe(fifo)
    assert not is_pipe(path)
    assert not is_pipe(tmp_path)
    assert not is_pipe(tmp_path / "none")
    writer = threading.Thread(target=fifo.write_bytes, args=(wav(samples, RATE, length=0),))
    writer.start()
    assert list(spotter.spot(fifo)) == list(spotter.spot(path))
    writer.join()


def test_a_terminal_is_no_audio(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(InputError, match=r"is a terminal.*arecord"):
        list(Pipe("-"))


def test_a_pipe_is_read_in_short_pieces():
    with pipe_with([bytes(2 * RATE * 20)]) as path:
        assert max(map(len, Pipe(path))) <= RATE / 10
