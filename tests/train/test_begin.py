"""Training that begins with a model: the same network, all that it had heard told, and a reader that learns alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from wordprint.errors import ConfigError, ModelError
from wordprint.export.options import ExportConfig
from wordprint.export.stage import export
from wordprint.load import load_embedder
from wordprint.train.begin import begin
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.train.stage import train

PHONES = ("A", "E", "I", "O", "U")
CONFIG = NetworkConfig(channels=16, embedding_size=32, window_s=0.4, phones=PHONES, reads_phones=True)


@pytest.fixture(scope="module")
def trained(tone_words, tmp_path_factory):
    """A folder that `train` wrote, after a few steps, so that no statistics are zero and one."""
    from wordprint.train.options import TrainConfig

    config = TrainConfig(steps=6, words_per_batch=4, window_s=0.4, channels=16, embedding_size=32, precision="32-true", threads=1)
    train(tone_words, folder := tmp_path_factory.mktemp("first") / "train", config)
    return folder


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    materials = ("tones; CC0; nobody",)
    export(trained, folder := tmp_path_factory.mktemp("first") / "export", ExportConfig(materials=materials, int8=False))
    return folder / "model.onnx"


@pytest.mark.parametrize("kind", ["trained", "exported"])
def test_the_network_is_that_of_the_model(kind, trained, exported):
    network, before = Embedder(CONFIG), load_embedder(trained).network
    beginning, anew = begin(network, {"trained": trained, "exported": exported}[kind])
    assert not anew
    assert beginning.words == (trained / "training_words.txt").read_text().split()
    heard = torch.randn(2, 6400) * 0.1
    spans = torch.tensor([[[0.0, 3000.0], [1000.0, 6000.0]]]).expand(2, 2, 2)
    codes = torch.tensor([[1, 2, 3], [4, 5, 0]])
    with torch.no_grad():
        frames = [one.eval().encoder(one.features(heard)) for one in (network, before)]
        torch.testing.assert_close(network.prepare(frames[0]), before.prepare(frames[1]), atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(network.pool(frames[0], spans), before.pool(frames[1], spans), atol=1e-4, rtol=0)
        torch.testing.assert_close(network.spell(codes), before.spell(codes), atol=1e-4, rtol=0)


def test_norms_of_an_exported_model_stay_as_they_are(exported):
    network = Embedder(CONFIG)
    begin(network, exported)
    heard = torch.randn(4, 6400) * 0.1
    with torch.no_grad():
        learning = network.train().encoder(network.features(heard))
        torch.testing.assert_close(learning, network.eval().encoder(network.features(heard)))


def test_other_phones_begin_anew(exported):
    network = Embedder(replace(CONFIG, phones=("A", "B")))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert begin(network, exported)[1] == ["phones", "reader"]
    same = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    assert {name for name in before if name.startswith(("phones.", "reader."))} <= same
    assert not {name for name in before if name.startswith("encoder.block") and name.endswith("1.weight")} & same


def test_another_network_is_told_by_the_option_that_differs(exported, tone_words, tmp_path, small):
    with pytest.raises(ModelError, match=r"has channels = 16, the network to train has 24"):
        begin(Embedder(replace(CONFIG, channels=24)), exported)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError):
        train(tone_words, tmp_path / "out", replace(small, begin_with=tmp_path / "model.onnx"))
    with pytest.raises(ConfigError, match="begin_with is not set"):
        train(tone_words, tmp_path / "out", replace(small, reader_alone=True))
    with pytest.raises(ConfigError, match="reads no phones"):
        train(tone_words, tmp_path / "out", replace(small, begin_with=exported, reader_alone=True, phone_weight=0.0))


def test_the_reader_learns_alone(trained, tone_words, tmp_path, small):
    given = replace(small, channels=16, embedding_size=32, begin_with=trained, reader_alone=True, steps=60, learning_rate=0.01)
    receipt = train(tone_words, tmp_path / "out", given)
    before, after = (load_file(folder / "best.safetensors") for folder in (trained, tmp_path / "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("reader.")}
    losses = [json.loads(line)["phone"] for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert receipt.details["best_validation_ap"] is None  # the last is kept: vectors can't get better


def test_all_that_the_model_had_heard_is_told(exported, tone_words, tmp_path, small):
    given = replace(small, channels=16, embedding_size=32, begin_with=exported)
    train(tone_words, tmp_path / "out", given)
    record = json.loads((tmp_path / "out" / "best.json").read_text())
    model = load_embedder(exported)
    assert record["training"]["began_with"]["digest"] == model.digest
    assert record["training"]["began_with"]["step"] == 6
    assert record["bill_of_materials"] == [{"name": "tones", "licence": "CC0", "attribution": "nobody"}]
    assert set((tmp_path / "out" / "training_words.txt").read_text().split()) >= model.training_words
    assert load_embedder(tmp_path / "out").training_words >= model.training_words
