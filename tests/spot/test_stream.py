"""Streaming: the same detections for every way to cut the stream, equal to a naive offline computation."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toy_model import RATE, padded, stream_of, word
from wordprint.errors import AudioError, ConfigError, EnrollmentError, InputError
from wordprint.speech.audio import read_audio, stream_audio, to_int16, write_audio
from wordprint.spot.decide import Decider
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter, spot

STREAM = stream_of(("red", 1.0), ("green", 2.6), ("blue", 4.5), ("red", 6.3), seconds=7.5)


@pytest.fixture(scope="module")
def enrollment(model) -> Enrollment:
    made = None
    for name in ("red", "blue"):
        made = enroll(model, name, [padded(word(name, seed=seed), seed=seed) for seed in range(3)], enrollment=made)
    return made


@pytest.fixture(scope="module")
def with_phrase(model, enrollment) -> Enrollment:
    """Two window lengths at once."""
    phrase = np.concatenate([word("green", 0.6), word("red", 0.6)])
    return enroll(model, "green red", [padded(phrase, seed=seed) for seed in range(2)], enrollment=enrollment)


def run(spotter: Spotter, chunks) -> list:
    found = [detection for chunk in chunks for detection in spotter.process(chunk)]
    return found + spotter.flush()


def test_planted_keywords_are_found_at_their_times(model, enrollment):
    spotter = Spotter(model, enrollment)
    found = list(spotter.spot(STREAM))
    assert [detection.keyword for detection in found] == ["red", "blue", "red"]
    for detection, start_s in zip(found, [1.0, 4.5, 6.3], strict=True):
        assert (detection.onset_s + detection.offset_s) / 2 == pytest.approx(start_s + 0.25, abs=0.5)
        assert start_s < detection.time_s <= start_s + 0.25 + spotter.latency_s + spotter.config.hop_s
        assert detection.similarity > 0.9


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 30_000), max_size=12), st.booleans())
def test_chunk_size_changes_nothing(model, with_phrase, cuts, as_int16):
    stream = to_int16(STREAM) if as_int16 else STREAM
    spotter = Spotter(model, with_phrase)
    whole = run(spotter, [stream])
    assert whole
    assert run(spotter, np.split(stream, np.minimum(np.cumsum(cuts), stream.size))) == whole


@pytest.mark.parametrize("size", [1, 159, 1600, 1601])
def test_fixed_chunks_change_nothing(model, enrollment, size):
    stream = STREAM[: 2 * RATE]
    spotter = Spotter(model, enrollment)
    assert run(spotter, np.split(stream, range(size, stream.size, size))) == run(spotter, [stream])


def test_streaming_equals_a_naive_offline_computation(model, with_phrase):
    config = SpotConfig(hop_s=0.08)
    hop = 1280
    decider = Decider([k.threshold for k in with_phrase.keywords], refractory_samples=12_000, hold_samples=1600)
    padding = np.zeros(3 * RATE, np.float32)
    audio = np.concatenate([padding, STREAM, padding])
    peaks = []
    for end in range(hop, STREAM.size + 2 * RATE, hop):
        look = []
        for keyword in with_phrase.keywords:
            middle = end - keyword.window_samples // 2
            window = audio[padding.size + end - keyword.window_samples : padding.size + end]
            seen = 0 <= middle <= STREAM.size and np.mean(window.astype(float) ** 2) >= 1e-6
            look.append(float(model.embed(window[None])[0] @ np.float32(keyword.prototype)) if seen else -np.inf)
        peaks.append(decider.step(end, look))
    expected = [(with_phrase.keywords[p.keyword].keyword, round(p.similarity, 4)) for p in [*peaks, decider.finish()] if p]
    found = [(detection.keyword, detection.similarity) for detection in Spotter(model, with_phrase, config).spot(STREAM)]
    assert [name for name, _ in found] == [name for name, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=2e-4)


def test_keywords_at_the_very_start_and_end_are_found(model, enrollment):
    found = list(Spotter(model, enrollment).spot(stream_of(("red", 0.0), ("blue", 2.0), seconds=2.5)))
    assert [detection.keyword for detection in found] == ["red", "blue"]
    assert found[-1].time_s <= 2.5


def test_silence_gives_nothing_and_is_not_looked_at(model, enrollment, monkeypatch):
    spotter = Spotter(model, enrollment)
    monkeypatch.setattr(model, "embed", lambda _: pytest.fail("a silent window was embedded"))
    assert run(spotter, [np.zeros(3 * RATE, np.float32)]) == []


def test_reset_and_flush_start_a_new_stream(model, enrollment):
    spotter = Spotter(model, enrollment)
    first = run(spotter, [STREAM])
    spotter.process(STREAM[:20_000])
    spotter.reset()
    assert run(spotter, [STREAM]) == first


def test_files_of_any_rate_in_constant_memory(model, enrollment, tmp_path):
    write_audio(tmp_path / "16k.wav", STREAM)
    stereo = np.repeat(STREAM, 3)  # 48 kHz
    write_audio(tmp_path / "48k.flac", np.stack([stereo, stereo], axis=1), 48_000)
    expected = [d.keyword for d in Spotter(model, enrollment).spot(STREAM)]
    for name in ("16k.wav", "48k.flac"):
        assert [d.keyword for d in spot(model, enrollment, tmp_path / name)] == expected
    whole = read_audio(tmp_path / "48k.flac")
    blocks = list(stream_audio(tmp_path / "48k.flac", block_s=0.3))
    assert max(map(len, blocks)) <= 2 * 0.3 * RATE
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_detections_come_as_they_are_found(model, enrollment):
    found = Spotter(model, enrollment).spot(np.concatenate([STREAM] * 3))
    assert next(found).keyword == "red"


def test_the_threshold_of_the_configuration_overrides_the_keywords(model, enrollment):
    assert list(Spotter(model, enrollment, SpotConfig(threshold=1.0)).spot(word("green"))) == []
    assert list(Spotter(model, enrollment, SpotConfig(threshold=-1.0)).spot(word("green")))


def test_enrolling_on_the_spotter(model):
    spotter = Spotter(model)
    with pytest.raises(EnrollmentError, match="no keyword is enrolled"):
        spotter.process(STREAM)
    assert spotter.enroll("red", [padded(word("red")), np.zeros(8000, np.float32)])[0].startswith("recording 2 is silent")
    assert [detection.keyword for detection in spotter.spot(STREAM)] == ["red", "red"]


@pytest.mark.parametrize(
    ("chunk", "error", "message"),
    [
        (np.zeros((2, 160), np.float32), InputError, "shape"),
        (np.zeros(160, np.int32), InputError, "int32"),
        (np.array([0.0, np.nan]), AudioError, "finite"),
        (np.array([0.0, -np.inf]), AudioError, "finite"),
        (np.array([12_000.0]), AudioError, "give 16-bit audio as int16"),
    ],
)
def test_a_bad_chunk_is_refused_and_leaves_the_stream_as_it_was(model, enrollment, chunk, error, message):
    spotter = Spotter(model, enrollment)
    expected = run(spotter, [STREAM])
    before = spotter.process(STREAM[:25_000])
    with pytest.raises(error, match=message):
        spotter.process(chunk)
    assert before + run(spotter, [STREAM[25_000:]]) == expected


@pytest.mark.parametrize("form", [lambda piece: piece[:, None], lambda piece: to_int16(piece)[:, None]])
def test_chunks_as_a_sound_card_gives_them(model, enrollment, form):
    found = run(Spotter(model, enrollment), [form(piece) for piece in np.array_split(STREAM, 20)])
    assert [d.keyword for d in found] == [d.keyword for d in run(Spotter(model, enrollment), [STREAM])]
    assert list(Spotter(model, enrollment).spot(form(STREAM))) == found


@pytest.mark.parametrize("offset", [0.05, -0.3])
def test_an_offset_of_the_microphone_is_not_looked_at(model, enrollment, monkeypatch, offset):
    monkeypatch.setattr(model, "embed", None)
    assert run(Spotter(model, enrollment), [np.full(3 * RATE, offset, np.float32)]) == []


@pytest.mark.parametrize("copies", [copy.copy, copy.deepcopy, lambda spotter: pickle.loads(pickle.dumps(spotter))])
def test_a_copy_goes_on_from_where_the_spotter_was(model, enrollment, copies):
    expected = run(Spotter(model, enrollment), [STREAM])
    spotter = Spotter(model, enrollment)
    before = spotter.process(STREAM[:30_000])
    other = copies(spotter)
    assert before + run(other, [STREAM[30_000:]]) == expected
    assert before + run(spotter, [STREAM[30_000:]]) == expected  # what the copy heard is not its business
    assert other.model.digest == model.digest


def test_bad_audio(model, enrollment, tmp_path):
    with pytest.raises(AudioError, match="0 samples"):
        list(Spotter(model, enrollment).spot(np.zeros(0, np.float32)))
    (tmp_path / "text.flac").write_text("not audio")
    with pytest.raises(AudioError, match="can't be read as audio"):
        list(spot(model, enrollment, tmp_path / "text.flac"))
    with pytest.raises(AudioError, match="does not exist"):
        list(spot(model, enrollment, tmp_path / "none.flac"))
    write_audio(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="holds no audio"):
        list(spot(model, enrollment, tmp_path / "empty.wav"))


def test_an_enrollment_for_another_model_is_refused(enrollment, model_writer):
    with pytest.raises(EnrollmentError, match="enroll the keywords again"):
        Spotter(model_writer(name="other.onnx", version="2"), enrollment)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e9])
@pytest.mark.parametrize("option", ["hop_s", "hold_s", "refractory_s", "min_level_db"])
def test_options_are_numbers_within_limits(model, enrollment, option, value):
    with pytest.raises(ConfigError, match=f"{option} is .*expected (a finite number|from)"):
        Spotter(model, enrollment, SpotConfig(**{option: value}))


@pytest.mark.parametrize("config", [SpotConfig(hop_s=0), SpotConfig(hop_s=1.5), SpotConfig(threshold=80), SpotConfig(hold_s=-1)])
def test_bad_options(model, enrollment, config):
    with pytest.raises(ConfigError):
        Spotter(model, enrollment, config)


def test_runs_without_torch(model_path, tmp_path):
    write_audio(tmp_path / "red.wav", padded(word("red")))
    write_audio(tmp_path / "stream.wav", STREAM)
    script = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import wordprint; assert 'onnxruntime' not in sys.modules and 'soundfile' not in sys.modules\n"
        "import wordprint.spot.stream; assert 'onnxruntime' not in sys.modules\n"
        "spotter = wordprint.spot.stream.Spotter(sys.argv[1])\n"
        "spotter.enroll('red', [sys.argv[2]])\n"
        "print([d.keyword for d in spotter.spot(sys.argv[3])])\n"
    )
    command = [sys.executable, "-c", script, str(model_path), str(tmp_path / "red.wav"), str(tmp_path / "stream.wav")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "['red', 'red']"), result.stderr
