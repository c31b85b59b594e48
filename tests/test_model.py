"""The exported model as a file: what it says, what it computes, and what is refused; torch plays no part."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from toy_model import WINDOW, word, write_model
from wordprint import model as model_module
from wordprint.errors import ConfigError, InputError, ModelError
from wordprint.model import MODEL_SCHEMA, Model, load_embedder


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "bands.onnx")


def test_it_describes_itself(path):
    model = Model(path)
    assert (model.name, model.sample_rate, model.window_samples, model.embedding_size) == ("bands", 16_000, WINDOW, 16)
    assert model.training_words == frozenset({"alpha", "beta"})
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.metadata["schema"] == MODEL_SCHEMA


@pytest.mark.parametrize("batch", [0, 1, 3, 130])
def test_embeddings_have_length_one_for_any_batch(path, batch):
    waveforms = np.random.default_rng(0).normal(0, 0.1, (batch, WINDOW))
    embeddings = Model(path).embed(waveforms)
    assert embeddings.shape == (batch, 16)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_any_length_is_embedded_and_too_short_is_refused(path):
    model = Model(path)
    assert model.embed(word("red", 1.7)[None]).shape == (1, 16)
    for waveforms in (np.zeros((1, 100)), np.zeros(WINDOW), np.zeros((1, 1, WINDOW))):
        with pytest.raises(InputError, match="1600 or more samples"):
            model.embed(waveforms)


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
    again, waveforms = pickle.loads(pickled), word("red")[None, :WINDOW]
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
        ({"sample_rate": 8000}, "is for 8000 Hz, not 16000"),
    ],
)
def test_models_of_another_kind_are_refused(tmp_path, arguments, message):
    with pytest.raises(ModelError, match=message):
        Model(write_model(tmp_path / "other.onnx", **arguments))


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
