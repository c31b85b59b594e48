"""Export: the file computes what the network computes, says what it is, and is refused when it does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from export.conftest import PHONES
from toy_model import RATE, padded, word
from wordprint.errors import ConfigError, InputError, ModelError, OutputConflictError, ParityError
from wordprint.evaluate.stream_systems import load_system
from wordprint.export import graph
from wordprint.export import stage as export_module
from wordprint.export.card import bill_of_materials
from wordprint.export.graph import compact_fourier, encoder_to_onnx, head_to_onnx, phones_to_onnx, write_onnx
from wordprint.export.options import ExportConfig
from wordprint.export.stage import export
from wordprint.goodness import LEAST_LIKELY
from wordprint.load import CheckpointEmbedder, load_embedder
from wordprint.model import HEAD_KEY, PHONES_KEY, Model
from wordprint.speech.audio import to_float32
from wordprint.spot.stream import Spotter
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.progress import SILENT
from wordprint.train.checkpoint import save_checkpoint, write_names
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.words.dataset import WordDataset

CONFIG = ExportConfig(name="tones", licence="CC BY 4.0", min_int8_cosine=0.9)
MATERIALS = [{"name": "LibriSpeech", "licence": "CC BY 4.0", "attribution": "Vassil Panayotov"}]
SMALL = {"channels": 16, "embedding_size": 32, "window_s": 1.0, "phones": PHONES, "reads_phones": True}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(folder: Path, seed: int = 0, materials: Sequence[dict[str, str]] = MATERIALS, **options: Any) -> Path:
    """An untrained network whose batch statistics are not all zero and one."""
    torch.manual_seed(seed)
    network = Embedder(NetworkConfig(**{**SMALL, **options}))
    for module in network.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_checkpoint(folder, network.eval(), {"step": 7, "validation": {"ap": 0.25}, "bill_of_materials": list(materials)})
    write_names(folder, ["alpha", "beta"], ["s1", "s2"])
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def graphs(checkpoint: Path) -> dict[str, Any]:
    """The network's graphs, made once: torch takes seconds for them."""
    network = CheckpointEmbedder(checkpoint).network
    return {
        "encoder_to_onnx": encoder_to_onnx(network, export_module.BLOCK_FRAMES),
        "head_to_onnx": head_to_onnx(network),
        "phones_to_onnx": phones_to_onnx(network.phones),
    }


@pytest.fixture
def quick(graphs, monkeypatch):
    """`export` takes the graphs that are there, whatever the network."""
    for name, made in graphs.items():
        monkeypatch.setattr(graph, name, lambda *_, made=made: made)


@pytest.fixture(scope="module")
def exported(checkpoint: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, as a user would export it."""
    output = tmp_path_factory.mktemp("export") / "model"
    export(checkpoint, output, CONFIG, words=dataset)
    return output


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(1).normal(0, level, round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize(("seconds", "level"), [(0.05, 0.1), (1.0, 1e-4), (2.5067, 0.3)])
def test_the_file_computes_what_the_network_computes(checkpoint, exported, seconds, level):
    """A stream in blocks, with its state, and the whole recording at once: the same frames, vectors and phone strings."""
    network, model = CheckpointEmbedder(checkpoint), Model(exported / "model.onnx")
    heard = noise(seconds, level)
    frames = network.frames(heard)
    np.testing.assert_allclose(model.frames(heard), frames, atol=1e-4 * max(1, np.abs(frames).max()))
    spans = np.sort(np.random.default_rng(2).uniform(-0.2, seconds + 0.2, (300, 2)), axis=1)
    np.testing.assert_allclose(model.pool(frames, spans), network.pool(frames, spans), atol=1e-4)
    np.testing.assert_allclose(model.embed(heard[None]), network.embed(heard[None]), atol=1e-4)


def test_the_file_spells_what_the_network_spells(checkpoint, exported):
    network, model = CheckpointEmbedder(checkpoint), Model(exported / "model.onnx")
    random = np.random.default_rng(0)
    strings = [random.choice(PHONES, length).tolist() for length in (1, 2, 3, 7, 24, 40)]
    np.testing.assert_allclose(model.spell(strings), network.spell(strings), atol=1e-5)
    assert model.spell([]).shape == network.spell([]).shape == (0, model.embedding_size)
    for string, vector in zip(strings, model.spell(strings), strict=True):
        np.testing.assert_allclose(model.spell([string])[0], vector, atol=1e-6)


def test_the_file_reads_the_phones_that_the_network_reads(checkpoint, exported):
    model, network = Model(exported / "model.onnx"), CheckpointEmbedder(checkpoint).network
    heard = np.random.default_rng(1).normal(0, 0.1, 2 * RATE).astype(np.float32)
    scores = model.phones_of(model.frames(heard))
    with torch.inference_mode():
        padded_heard = torch.from_numpy(np.pad(heard, (RATE, RATE)))[None]
        logits = network.reader(network.encoder(network.features(padded_heard)))[0].T.numpy()[50:150]
    assert scores.shape == (100, len(PHONES) + 1)
    assert (scores.max(axis=1) == 0).all()
    np.testing.assert_allclose(scores, np.maximum(logits - logits.max(axis=1, keepdims=True), LEAST_LIKELY), atol=1e-3)


def test_weights_are_rounded_to_seventeen_bits(exported):
    model = onnx.load(exported / "model.onnx")
    large = [values for one in model.graph.initializer if (values := numpy_helper.to_array(one)).size > 1000]
    assert large
    assert all((values.view(np.uint32) & 0x3F == 0).all() for values in large if values.dtype == np.float32)


def test_the_streams_of_the_file_are_the_recording_bit_for_bit(exported):
    for name in ("model.onnx", "model.int8.onnx"):
        model, heard = Model(exported / name), noise(1.3)
        stream = model.stream()
        pieces = [stream.push(piece) for piece in [*np.split(heard, [5, 1000, 1001, 9000]), np.zeros(RATE, np.float32)]]
        whole = model.frames(heard)
        assert np.array_equal(np.concatenate(pieces)[model.delay_frames :][: len(whole)], whole)


def test_it_describes_itself(checkpoint, exported):
    model = Model(exported / "model.onnx")
    assert (model.name, model.window_samples, model.embedding_size) == ("tones", 16_000, 32)
    assert (model.block_samples, model.frame_samples, model.delay_frames, model.phones) == (1920, 320, 10, PHONES)
    assert model.training_words == frozenset({"alpha", "beta"})
    assert model.metadata["training_speakers"] == ["s1", "s2"]
    assert model.metadata["training"] == {"step": 7, "validation": {"ap": 0.25}}
    assert model.metadata["bill_of_materials"] == MATERIALS
    assert model.metadata["checkpoint"] == load_embedder(checkpoint).digest
    assert model.threshold == model.metadata["threshold"]["similarity"]


def test_keywords_are_enrolled_and_found_with_it(exported):
    spotter = Spotter(exported / "model.onnx")
    spotter.enroll("red", [padded(word("red", seed=seed), seed=seed) for seed in range(3)])
    spotter.enroll("typed", phones="a b")
    best = max((look.similarities[0], look.spans[0].tolist()) for look in spotter.looks(padded(word("red", seed=9), 1.0, 1.0)))
    assert best[0] > 0.9
    assert best[1] == pytest.approx([RATE, 1.5 * RATE], abs=0.2 * RATE)


def test_nothing_of_this_machine_is_in_the_file(exported):
    for file in exported.glob("*.onnx"):
        parts = [part.value.encode() for part in onnx.load(str(file)).metadata_props]
        for content in (file.read_bytes(), *parts, Model(file)._content):
            assert b"site-packages" not in content
            assert str(Path(__file__).parents[2]).encode() not in content
        for part in (HEAD_KEY, PHONES_KEY):
            inside = onnx.load_from_string(_unpacked(file, part))
            assert not any(node.doc_string or node.metadata_props for node in inside.graph.node)


def _unpacked(file: Path, key: str) -> bytes:
    return base64.b64decode({part.key: part.value for part in onnx.load(str(file)).metadata_props}[key])


def test_int8_is_smaller_and_close(exported):
    assert (exported / "model.int8.onnx").stat().st_size < (exported / "model.onnx").stat().st_size
    model = Model(exported / "model.int8.onnx")
    assert model.metadata["precision"] == "int8"
    receipt = json.loads((exported / "stage.json").read_text())
    assert receipt["details"]["int8_cosine"]["mean"] > 0.9
    assert receipt["details"]["max_difference"] <= 1e-4
    assert not np.array_equal(model.frames(noise(1)), Model(exported / "model.onnx").frames(noise(1)))


def test_same_inputs_give_the_same_bytes(exported, graphs, tmp_path):
    """The graphs are made twice: by the export, and for this test."""
    made = Model(exported / "model.onnx")
    encoder, state = graphs["encoder_to_onnx"]
    parts = (graphs["head_to_onnx"], graphs["phones_to_onnx"], made.metadata)
    write_onnx(encoder, state, *parts, tmp_path / "again.onnx", made.cohort)
    assert (tmp_path / "again.onnx").read_bytes() == (exported / "model.onnx").read_bytes()


def test_stated_materials_complete_those_of_the_corpora():
    stated = ["LibriSpeech; CC BY 4.0; Vassil Panayotov et al.; openslr.org/12", "noise; CC0"]
    prepared = [{"name": "LibriSpeech", "licence": ""}, {"name": "mine", "licence": "MIT"}]
    bill = bill_of_materials(stated, prepared)
    assert [item["name"] for item in bill] == ["LibriSpeech", "noise", "mine"]
    assert bill[0]["attribution"] == "Vassil Panayotov et al."
    for line in ("LibriSpeech", "LibriSpeech; ", "a; b; c; d; e"):
        with pytest.raises(ConfigError, match="material"):
            bill_of_materials([line], [])


def test_card_and_bill_of_materials(exported):
    card = (exported / "MODEL_CARD.md").read_text()
    for text in (
        "# tones",
        "licence: CC BY 4.0",
        "Vassil Panayotov",
        "looks 0.22 s ahead",
        "| phones of typed keywords | A B C D",
        "| validation | ap: 0.25 |",
        "int8: mean cosine with the network of at least 0.9 on ",
    ):
        assert text in card
    assert "$" not in card
    bill = json.loads((exported / "bill_of_materials.json").read_text())
    assert bill["schema"] == "wordprint.bill_of_materials/1"
    assert bill["materials"] == MATERIALS
    assert bill["files"]["model.onnx"] == Model(exported / "model.onnx").digest


def test_a_second_run_does_nothing_and_another_one_is_refused(checkpoint, exported, dataset):
    assert not export(checkpoint, exported, CONFIG, words=dataset).fresh
    with pytest.raises(OutputConflictError, match="name was 'tones'"):
        export(checkpoint, exported, ExportConfig(), words=dataset)


@pytest.mark.usefixtures("quick")
def test_without_words_there_is_no_int8_and_the_threshold_is_fixed(checkpoint, tmp_path):
    receipt = export(checkpoint, tmp_path / "out")
    assert receipt.counts == {"in": 2, "kept": 1, "dropped": {"no_words": 1}}
    assert Model(tmp_path / "out" / "model.onnx").metadata["threshold"]["method"] == "fixed: no word dataset was given"


def test_a_network_without_phones_exports_too(graphs, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "encoder_to_onnx", lambda *_: graphs["encoder_to_onnx"])
    folder = save(tmp_path / "train", phones=())
    with monkeypatch.context() as patch:
        patch.setattr(export_module, "check_float", lambda *_: 0.0)  # the encoder is another network's
        export(folder, tmp_path / "out", ExportConfig(int8=False))
    model = Model(tmp_path / "out" / "model.onnx")
    with pytest.raises(ModelError, match="no keyword can be typed"):
        model.spell([["A"]])
    assert "none: no keyword can be typed" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    "options",
    [
        {"front_end": "centred_log_mel", "encoder": "compact", "head": "statistics", "channels": 16},
        {"front_end": "mfcc", "encoder": "ancestor", "head": "dense"},
    ],
)
def test_networks_that_hear_whole_windows_are_not_exported_but_measured(tmp_path, options):
    folder = save(tmp_path / "train", **options)
    parts = f"encoder '{options['encoder']}' and the head '{options['head']}'"
    message = f"{parts}, which hear whole windows; expected a network that pools spans.*; evaluate it as it is: wordprint evaluate"
    with pytest.raises(InputError, match=message):
        export(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    system = load_system(folder)
    ends, scores = system.looks(noise(2), [system.enroll("red", [padded(word("red"))])])
    assert scores.shape == (1, len(ends))


def test_a_checkpoint_that_pools_spans_is_measured_in_streams_once_exported(checkpoint):
    with pytest.raises(ModelError, match=r"is a checkpoint that pools spans of a stream; export it and name its model\.onnx"):
        load_system(checkpoint)


def changed(graph_of: Any, where: str, factor: float = 1.01) -> Any:
    """A copy in which one weight is larger: the largest tensor whose name holds `where`."""
    model = onnx.ModelProto()
    model.CopyFrom(graph_of)
    tensor = max((one for one in model.graph.initializer if where in one.name), key=lambda one: numpy_helper.to_array(one).size)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    return model


@pytest.mark.parametrize(
    ("part", "where", "said"),
    [
        ("encoder_to_onnx", "encoder.", "in frames"),
        ("head_to_onnx", "mix.", "in spans"),
        ("phones_to_onnx", "projection", None),  # unit vectors: all of it larger is the same direction but for the offset
        ("phones_to_onnx", "state_weights", "in phone strings"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_part_that_differs_is_refused_by_name(checkpoint, graphs, tmp_path, monkeypatch, part, where, said):
    made = graphs[part]
    wrong = (changed(made[0], where), made[1]) if isinstance(made, tuple) else changed(made, where, 1.5)
    monkeypatch.setattr(graph, part, lambda *_: wrong)
    with pytest.raises(ParityError, match=f"the model differs from the network by .* {said or ''}.*; expected at most 0.0001"):
        export(checkpoint, tmp_path / "out")
    assert not list(tmp_path.rglob("*.onnx"))


def test_numbers_that_are_none_are_a_difference(checkpoint, exported):
    model = Model(exported / "model.onnx")
    model.pool = lambda frames, spans: np.full((len(spans), 32), np.nan, np.float32)
    with pytest.raises(ParityError, match="by nan in spans"):
        export_module.check_float(CheckpointEmbedder(checkpoint), model, 1e-4)


def test_a_model_that_is_less_alike_than_asked_is_no_int8(exported):
    model = Model(exported / "model.onnx")
    heard = [padded(word(name)) for name in ("red", "blue", "green")]
    assert export_module.check_int8(model, model, heard, 0.999) == {"mean": 1.0, "percentile_5": 1.0, "min": 1.0, "words": 3}
    other = Model(exported / "model.onnx")
    other.embed = lambda waveforms: -model.embed(waveforms)
    with pytest.raises(ParityError, match=r"mean cosine of -1\.0 with .* on 3 real words; expected at least 0\.99"):
        export_module.check_int8(model, other, heard, 0.99)


@pytest.mark.usefixtures("quick")
def test_an_int8_version_that_fails_its_check_is_dropped_and_the_other_kept(checkpoint, dataset, graphs, tmp_path, monkeypatch):
    """Newcomers' corpora ended here: training was short, and one model of two was good."""
    monkeypatch.setattr(graph, "quantise", lambda *_: graphs["encoder_to_onnx"][0])
    whole = export_module.check_int8
    monkeypatch.setattr(export_module, "check_int8", lambda *given: whole(*given[:3], 1.1))  # nothing is as alike as that
    receipt = export(checkpoint, tmp_path / "out", ExportConfig(), words=dataset)
    assert receipt.counts == {"in": 2, "kept": 1, "dropped": {"parity": 1}}
    assert [path.name for path in (tmp_path / "out").rglob("*.onnx")] == ["model.onnx"]
    (line,) = read_jsonl(tmp_path / "out" / "dropped.jsonl")
    assert line["item"] == "model.int8.onnx"
    assert "expected at least 1.1; train longer, or lower --min-int8-cosine" in line["detail"]
    assert "no int8 version" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert not export(checkpoint, tmp_path / "out", ExportConfig(), words=dataset).fresh


@pytest.mark.usefixtures("quick")
def test_int8_ranges_are_those_of_blocks_of_training_segments_with_their_states(checkpoint, dataset, graphs, tmp_path, monkeypatch):
    given: list[dict[str, np.ndarray]] = []
    encoder, first = graphs["encoder_to_onnx"]
    monkeypatch.setattr(graph, "quantise", lambda _, feeds: given.extend(feeds) or encoder)
    export(checkpoint, tmp_path / "out", words=dataset)
    data = WordDataset(dataset)
    segments = [to_float32(data.segment_audio(int(index))) for index in data.select("train")]
    assert len(segments) < export_module.CALIBRATION_WORDS
    blocks = [heard[at : at + 1920] for heard in segments for at in range(0, len(heard) - 1919, 1920)]
    fed = {feed["samples"].tobytes() for feed in given}
    assert fed <= {block.tobytes() for block in blocks}
    assert len(given) >= len(blocks) - len(segments)
    assert {feed["state"].shape for feed in given} == {first.shape}
    assert any(np.abs(feed["state"] - first).max() > 0.1 for feed in given)


@pytest.mark.usefixtures("quick")
def test_a_licence_that_is_not_stated_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(SILENT, "say", said.append)
    folder = save(tmp_path / "train", materials=[{"name": "mine", "licence": ""}, {"name": "yours", "licence": "MIT"}])
    export(folder, tmp_path / "out", ExportConfig(materials=("noise; CC0",)))
    assert [line for line in said if "licence" in line] == ["export: licence not known of: mine (state it with 'materials')"]
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "- name: mine, **licence not stated**\n- name: yours, licence: MIT\n" in card


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        export(tmp_path / "nowhere", tmp_path / "out")


def test_the_fourier_basis_comes_back_from_its_formula(checkpoint, graphs):
    network = CheckpointEmbedder(checkpoint).network
    model = onnx.ModelProto()
    model.CopyFrom(graphs["encoder_to_onnx"][0])
    [name] = [tensor.name for tensor in model.graph.initializer if tensor.name.endswith("power.basis")]
    compact_fourier(model)
    assert name not in {tensor.name for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if any(output.startswith(name) for output in node.output)]
    constants = [tensor for tensor in model.graph.initializer if tensor.name.startswith(name)]
    output = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    basis = onnx.helper.make_graph(nodes, "basis", [], [output], constants)
    opset = [onnx.helper.make_opsetid("", 18)]
    computed = ReferenceEvaluator(onnx.helper.make_model(basis, opset_imports=opset)).run(None, {})[0]
    np.testing.assert_allclose(computed, network.front_end.power.basis.numpy(), atol=1e-6)


def test_a_constant_that_is_no_fourier_basis_is_left_alone():
    from wordprint.export.graph import _fourier

    assert _fourier(np.random.default_rng(0).normal(size=(20, 1, 50)).astype(np.float32)) is None
    assert _fourier(np.ones((3, 1, 5), np.float32)) is None
