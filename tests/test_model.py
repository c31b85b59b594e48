"""The exported model as a file: what it says, what it computes, and what is refused; torch plays no part."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toy_model import BINS, BLOCK, CENTRES_HZ, DELAY, FRAME, KEPT, RATE, SIZE, WINDOW, padded, stream_of, word, write_model
from wordprint import model as model_module
from wordprint.embedding import phone_codes
from wordprint.errors import ConfigError, InputError, ModelError
from wordprint.load import load_embedder
from wordprint.model import HEAD_KEY, MODEL_SCHEMA, PHONES_KEY, STATE_KEY, Model
from wordprint.speech.trim import Speech

STREAM = stream_of(("red", 0.1), ("blue", 0.9), seconds=1.7)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "bands.onnx")


def test_it_describes_itself(path):
    model = Model(path)
    assert (model.name, model.sample_rate, model.embedding_size) == ("bands", 16_000, SIZE)
    assert (model.block_samples, model.frame_samples, model.delay_frames) == (BLOCK, FRAME, DELAY)
    assert model.phones == ("R", "B", "G")
    assert model.training_words == frozenset({"alpha", "beta"})
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.metadata["schema"] == MODEL_SCHEMA


@pytest.mark.parametrize("batch", [0, 1, 30])
def test_embeddings_have_length_one_for_any_batch(path, batch):
    waveforms = np.random.default_rng(0).normal(0, 0.1, (batch, 4000))
    embeddings = Model(path).embed(waveforms)
    assert embeddings.shape == (batch, SIZE)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_what_is_embedded_is_the_speech_of_any_length_wherever_it_stands(path):
    """Zeros around a recording, which cut a word to a window, change nothing; nor does quiet noise."""
    model = Model(path)
    said = padded(word("red", 0.7))
    vector = model.embed(said[None])
    assert np.array_equal(model.embed(np.pad(said, (3000, 5000))[None]), vector)
    assert (model.embed(word("red", 2.9)[None]) @ vector.T).item() > 0.98
    assert (model.embed(word("blue", 0.7)[None]) @ vector.T).item() < 0.7
    assert np.isfinite(model.embed(np.zeros((2, 10)))).all()
    for waveforms in (np.zeros(WINDOW), np.zeros((1, 1, WINDOW)), np.zeros((1, 0))):
        with pytest.raises(InputError, match=r"waveforms of shape .*; expected \(B, N\)"):
            model.embed(waveforms)


def test_frames_are_those_of_the_samples_around_them_by_a_naive_computation(path):
    model, time_s = Model(path), np.arange(WINDOW) / RATE
    around = np.pad(STREAM, WINDOW)
    expected = []
    for number in range(-(-len(STREAM) // FRAME)):
        heard = around[WINDOW + FRAME * number - 80 :][:WINDOW] * np.hanning(WINDOW) / WINDOW
        powers = [abs(np.sum(heard * np.exp(2j * np.pi * centre * time_s))) ** 2 for centre in CENTRES_HZ]
        expected.append(np.log(np.array(powers) + 1e-7) - np.log(1e-7))
    np.testing.assert_allclose(model.frames(STREAM), expected, atol=1e-3)
    assert model.frames(np.zeros(0, np.float32)).shape == (0, 16)
    with pytest.raises(InputError, match=r"samples of shape \(1, 5\)"):
        model.frames(np.zeros((1, 5)))


@settings(max_examples=20)
@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_a_stream_in_any_chunks_is_the_recording_bit_for_bit(path, cuts):
    model = Model(path)
    whole = model.frames(STREAM)
    stream = model.stream()
    after = np.zeros(2 * BLOCK, np.float32)
    pieces = [stream.push(piece) for piece in (*np.split(STREAM, sorted(cuts)), after)]
    assert np.array_equal(np.concatenate(pieces)[DELAY:][: len(whole)], whole)


def test_no_sample_is_encoded_twice_and_the_state_does_not_grow(path, monkeypatch):
    model = Model(path)
    step, states = model.step, []
    monkeypatch.setattr(model, "step", lambda samples, state: states.append(state) or step(samples, state))
    stream = model.stream()
    for piece in np.split(STREAM, range(777, len(STREAM), 777)):
        stream.push(piece)
    assert len(states) == len(STREAM) // BLOCK
    assert states[0] is model.silent_state
    assert {state.shape for state in states} == {(1, KEPT)}
    assert stream._pending.shape == (BLOCK,)
    states.clear()
    model.frames(STREAM)
    assert len(states) == -(-(len(STREAM) + DELAY * FRAME) // BLOCK)


def test_a_stream_begins_in_silence_and_a_copy_goes_on_by_itself(path):
    model = Model(path)
    quiet = np.zeros(BLOCK, np.float32)
    assert np.array_equal(model.stream().push(quiet), np.tile(model.silence, (BLOCK // FRAME, 1)))
    stream = model.stream()
    stream.push(STREAM[:9000])
    other = copy.copy(stream)
    expected = stream.push(STREAM[9000:])
    assert np.array_equal(other.push(STREAM[9000:]), expected)


def test_a_span_is_pooled_as_if_it_were_alone_and_spans_may_reach_beyond_the_frames(path, monkeypatch):
    model = Model(path)
    frames = model.frames(STREAM)
    random = np.random.default_rng(0)
    spans = np.sort(random.uniform(-1, len(STREAM) / RATE + 1, (40, 2)), axis=1)
    together = model.pool(frames, spans)
    assert together.shape == (40, SIZE)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for vector, (start_s, end_s) in zip(together, spans, strict=True):
        time_s, edges_s = np.arange(len(frames)) * FRAME / RATE, np.linspace(start_s, end_s, BINS + 1)
        inside_s = [np.minimum(time_s - first, last - time_s) for first, last in itertools.pairwise(edges_s)]
        sums = np.concatenate([np.clip(s * RATE / FRAME + 0.5, 0, 1) @ frames for s in inside_s]) + 1e-6
        np.testing.assert_allclose(vector, sums / np.linalg.norm(sums), atol=1e-3)
        np.testing.assert_allclose(model.pool(frames, [(start_s, end_s)])[0], vector, atol=1e-5)
    monkeypatch.setattr(model_module, "SPANS_AT_ONCE", 7)
    np.testing.assert_allclose(model.pool(frames, spans), together, atol=1e-5)
    assert model.pool(frames, []).shape == (0, SIZE)
    assert model.pool(frames[:0], [(0.0, 1.0)]).shape == (1, SIZE)


def test_the_vector_of_a_recording_is_the_mean_over_spans_around_its_speech(path):
    model = Model(path)
    samples = padded(word("green"))
    quiet = np.zeros(BLOCK, np.float32)
    frames = model.frames(np.concatenate([quiet, samples, quiet]))
    pooled = [model.pool(frames, [(0.48 + a, 0.98 + b)])[0] for a in (-0.06, 0, 0.06) for b in (-0.06, 0, 0.06)]
    mean = np.mean(pooled, axis=0)
    vector = model.vector(samples, Speech(6400, 14_400, -20.0))
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert np.isfinite(model.vector(samples, Speech(6400, 6400, -20.0))).all()


def test_phone_strings_are_numbers_from_one_on_and_unknown_ones_are_named(path):
    model = Model(path)
    assert phone_codes([["R"], ["G", "B", "R"]], model.phones).tolist() == [[1, 0, 0], [3, 2, 1]]
    assert model.spell([["R"], ["B", "G"]]).shape == (2, SIZE)
    np.testing.assert_allclose(model.spell([["R"]])[0], model.spell([["R"], ["R", "B"]])[0], atol=1e-6)
    with pytest.raises(InputError, match="doesn't know the phones AA ZH; expected some of R B G"):
        model.spell([["R", "ZH"], ["AA"]])
    with pytest.raises(InputError, match="a phone string is empty"):
        model.spell([["R"], []])


def test_files_that_are_no_model(tmp_path, path):
    with pytest.raises(InputError, match=r"none\.onnx does not exist"):
        Model(tmp_path / "none.onnx")
    for content in (b"", b"not a model at all", path.read_bytes()[: path.stat().st_size // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx is not a valid ONNX file"):
            Model(tmp_path / "bad.onnx")


@pytest.mark.parametrize("change", ["ir_version", "opset", "operation"])
def test_a_model_that_onnxruntime_is_too_old_for(tmp_path, path, change):
    """Bug report: a model of a newer opset "is not a valid ONNX file"."""
    model = onnx.load(str(path))
    if change == "ir_version":
        model.ir_version = 99
    elif change == "opset":
        model.opset_import[0].version = 99
    else:
        model.graph.node[0].op_type = "Brandnew"
    onnx.save(model, str(tmp_path / "new.onnx"))
    with pytest.raises(
        ModelError, match=rf"needs a newer onnxruntime \(have {onnxruntime.__version__}: .*(99|Brandnew).*; install it"
    ):
        Model(tmp_path / "new.onnx")


def test_a_pickled_model_needs_its_file_no_longer(tmp_path, path):
    shutil.copy(path, tmp_path / "moved.onnx")
    pickled = pickle.dumps(Model(tmp_path / "moved.onnx"))
    (tmp_path / "moved.onnx").unlink()
    again, waveforms = pickle.loads(pickled), word("red")[None]
    assert (again.digest, again.name) == (Model(path).digest, "bands")
    assert np.array_equal(again.embed(waveforms), Model(path).embed(waveforms))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metadata": ""}, "without wordprint's metadata"),
        ({"metadata": "{"}, "damaged metadata"),
        ({"metadata": "[]"}, "damaged metadata"),
        ({"metadata": json.dumps({"schema": MODEL_SCHEMA})}, "lacks sample_rate"),
        ({"schema": "wordprint.model/7"}, "has schema 'wordprint.model/7'.*export the checkpoint again"),
        (
            {"schema": "wordprint.model/1"},
            r"'wordprint.model/1' \(made by another version\); expected .*/2; export the",
        ),
        ({"sample_rate": 8000}, "is for 8000 Hz, not 16000"),
    ],
)
def test_models_of_another_kind_are_refused(tmp_path, arguments, message):
    with pytest.raises(ModelError, match=message):
        Model(write_model(tmp_path / "other.onnx", **arguments))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (HEAD_KEY, None, "has no wordprint.head in its metadata; export the checkpoint again"),
        (HEAD_KEY, "no base64!", "has no wordprint.head in its metadata; export the checkpoint again"),
        (HEAD_KEY, base64.b64encode(b"no ONNX").decode(), "is not a valid ONNX file"),
        (PHONES_KEY, None, "has no wordprint.phones in its metadata; export the checkpoint again"),
        (PHONES_KEY, "AAA", "has no wordprint.phones in its metadata; export the checkpoint again"),
        (STATE_KEY, None, "has no wordprint.state in its metadata; export the checkpoint again"),
    ],
)
def test_models_without_one_of_their_parts_are_refused(tmp_path, path, key, value, message):
    model = onnx.load(str(path))
    parts = {part.key: part.value for part in model.metadata_props} | {key: value}
    onnx.helper.set_model_props(model, {key: text for key, text in parts.items() if text is not None})
    onnx.save(model, str(tmp_path / "part.onnx"))
    with pytest.raises(ModelError, match=message):
        Model(tmp_path / "part.onnx")


def test_a_model_without_phones_can_be_shown_keywords_but_not_told(tmp_path):
    model = Model(write_model(tmp_path / "mute.onnx", phones=[]))
    assert model.embed(word("red")[None]).shape == (1, SIZE)
    with pytest.raises(ModelError, match=r"mute\.onnx has no phone encoder: no keyword can be typed; enroll recordings"):
        model.spell([["R"]])


def test_a_copy_without_a_model_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(model_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match=r"ships without a model.*wordprint run"):
        Model()


def test_the_shipped_model_is_the_float_one(tmp_path, path, monkeypatch):
    monkeypatch.setattr(model_module.resources, "files", lambda _: tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("a.int8.onnx", "a.onnx"):
        (tmp_path / "models" / name).write_bytes(path.read_bytes())
    assert Model().path.name == "a.onnx"


def test_load_embedder_by_file_and_by_class(path, tmp_path, monkeypatch):
    assert load_embedder(path).digest == Model(path).digest
    (tmp_path / "others.py").write_text(
        "class Good:\n    name, digest, window_samples, training_words = 'good', '0', 16000, None\n"
        "    def embed(self, waveforms):\n        return waveforms[:, :4]\n"
        "class Bad:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_embedder("others:Good").name == "good"
    with pytest.raises(ModelError, match="lacks a part of the interface"):
        load_embedder("others:Bad")
    with pytest.raises(ConfigError, match=r"'os.path:join' can't be made \(TypeError: .*; expected a class that is built without"):
        load_embedder("os.path:join")
    with pytest.raises(ConfigError, match="'os:path' is a module; expected a class"):
        load_embedder("os:path")
    for spec in ("others:Missing", "nowhere.at.all:Class"):
        with pytest.raises(ConfigError, match="can't be imported"):
            load_embedder(spec)
    sys.modules.pop("others")


@pytest.mark.parametrize("spec", ["no/such/folder", "model.onnx", "a:b:c", "nonsense"])
def test_load_embedder_says_what_it_takes(spec):
    with pytest.raises(InputError, match="does not exist"):
        load_embedder(spec)
