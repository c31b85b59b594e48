"""Export: the file computes what the network computes, says what it is, and is refused when it does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from toy_model import RATE
from wordprint.errors import ConfigError, InputError, OutputConflictError, ParityError
from wordprint.export import calibrate as calibration
from wordprint.export import stage as export_module
from wordprint.export.calibrate import calibrate
from wordprint.export.card import bill_of_materials
from wordprint.export.graph import compact_fourier, to_onnx, write_onnx
from wordprint.export.options import ExportConfig
from wordprint.export.stage import export
from wordprint.model import CheckpointEmbedder, Model, load_embedder
from wordprint.speech.audio import to_float32, write_audio
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.progress import SILENT
from wordprint.train.checkpoint import save_checkpoint, write_names
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

CONFIG = ExportConfig(name="tones", licence="CC BY 4.0")
MATERIALS = [{"name": "LibriSpeech", "licence": "CC BY 4.0", "attribution": "Vassil Panayotov"}]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(folder: Path, seed: int = 0, materials: Sequence[dict[str, str]] = MATERIALS, **options) -> Path:
    """An untrained network whose batch statistics are not all zero and one."""
    torch.manual_seed(seed)
    network = Embedder(NetworkConfig(embedding_size=32, **options))
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
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words made of three tones each, six to an utterance, aligned by construction."""
    from wordprint.records import Alignment, Interval
    from wordprint.speech.textgrid import write_textgrid

    folder = tmp_path_factory.mktemp("aligned")
    random = np.random.default_rng(0)
    names = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    tones_hz = {name: np.geomspace(200, 5000, 40)[random.choice(40, 3, replace=False)] for name in names}
    lines = []
    for number in range(48):
        spoken = random.choice(names, 6)
        samples = random.normal(0, 1e-3, 4 * RATE)
        intervals = []
        for place, name in enumerate(spoken):
            start_s = 0.2 + 0.6 * place
            time_s = np.arange(round(0.4 * RATE)) / RATE
            sound = sum(np.sin(2 * np.pi * tone * time_s) for tone in tones_hz[name]) * np.hanning(time_s.size) * 0.1
            samples[round(start_s * RATE) :][: time_s.size] += sound
            intervals.append(Interval(str(name), start_s, start_s + 0.4))
        name = f"u{number:02d}"
        write_audio(folder / f"{name}.flac", samples.astype(np.float32))
        write_textgrid(folder / f"{name}.TextGrid", Alignment(name, tuple(intervals)), 4.0)
        record = {"utterance_id": name, "speaker": f"s{number % 12}", "audio": str(folder / f"{name}.flac"), "start_s": 0.0}
        record |= {"end_s": 4.0, "transcript": " ".join(spoken), "language": "en", "meta": {}}
        lines.append(json.dumps({**record, "textgrid": f"{name}.TextGrid", "goodness": None, "word_goodness": [None] * 6}))
    (folder / "alignments.jsonl").write_text("\n".join(lines) + "\n")
    shares = {"validation_speakers": 0.2, "test_speakers": 0.2, "validation_words": 0.2, "test_words": 0.2}
    words(folder, folder.parent / "words", WordsConfig(**shares))
    return folder.parent / "words"


@pytest.fixture(scope="module")
def graph(checkpoint: Path):
    """The network's graph, made once: torch takes seconds for it."""
    return to_onnx(CheckpointEmbedder(checkpoint).network, 16_000, any_length=True)


@pytest.fixture(scope="module")
def exported(checkpoint: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, as a user would export it."""
    output = tmp_path_factory.mktemp("export") / "model"
    export(checkpoint, output, CONFIG, words=dataset)
    return output


def test_the_file_computes_what_the_network_computes(checkpoint, exported):
    network, model = load_embedder(checkpoint), Model(exported / "model.onnx")
    random = np.random.default_rng(1)
    for batch, samples in [(1, 16_000), (4, 16_000), (2, 4_000), (1, 40_001)]:
        waveforms = (0.1 * random.normal(size=(batch, samples))).astype(np.float32)
        np.testing.assert_allclose(model.embed(waveforms), network.embed(waveforms), atol=1e-4)


def test_it_describes_itself(checkpoint, exported):
    model = Model(exported / "model.onnx")
    assert (model.name, model.window_samples, model.embedding_size) == ("tones", 16_000, 32)
    assert model.training_words == frozenset({"alpha", "beta"})
    assert model.metadata["training_speakers"] == ["s1", "s2"]
    assert model.metadata["training"] == {"step": 7, "validation": {"ap": 0.25}}
    assert model.metadata["bill_of_materials"] == MATERIALS
    assert model.metadata["checkpoint"] == load_embedder(checkpoint).digest
    assert model.threshold == model.metadata["threshold"]["similarity"]


def test_nothing_of_this_machine_is_in_the_file(exported):
    for file in exported.glob("*.onnx"):
        content = file.read_bytes()
        assert b"site-packages" not in content
        assert str(Path(__file__).parents[2]).encode() not in content


def test_files_are_small_and_int8_is_close(checkpoint, exported):
    assert (exported / "model.onnx").stat().st_size < 2e6
    assert (exported / "model.int8.onnx").stat().st_size < 0.6e6
    model = Model(exported / "model.int8.onnx")
    assert model.metadata["precision"] == "int8"
    receipt = json.loads((exported / "stage.json").read_text())
    assert receipt["details"]["int8_cosine"]["mean"] > 0.99
    assert receipt["details"]["max_difference"] <= 1e-4


def test_same_inputs_give_the_same_bytes(exported, graph, tmp_path):
    """The graph is made twice: by the export, and for this test."""
    metadata = Model(exported / "model.onnx").metadata
    write_onnx(graph, metadata, tmp_path / "again.onnx")
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
        "window 1 s, any length from 0.25 s",
        "| validation | ap: 0.25 |",
        "int8: mean cosine with the network of at least 0.99 on ",
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


def test_without_words_there_is_no_int8_and_the_threshold_is_fixed(checkpoint, graph, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.export.graph.to_onnx", lambda *_, **__: graph)
    receipt = export(checkpoint, tmp_path / "out")
    assert receipt.counts == {"in": 2, "kept": 1, "dropped": {"no_words": 1}}
    assert Model(tmp_path / "out" / "model.onnx").metadata["threshold"]["method"] == "fixed: no word dataset was given"


def test_a_network_of_one_length_exports_too(tmp_path):
    save(tmp_path / "train", front_end="mfcc", encoder="ancestor")
    export(tmp_path / "train", tmp_path / "out", ExportConfig(int8=False))
    model = Model(tmp_path / "out" / "model.onnx")
    assert model.min_samples == model.window_samples
    assert not model.metadata["any_length"]
    with pytest.raises(InputError, match="16000 samples"):
        model.embed(np.zeros((1, 20_000)))


def test_a_model_that_differs_is_refused(checkpoint, exported, tmp_path):
    other = CheckpointEmbedder(save(tmp_path / "other", seed=1))
    model = Model(exported / "model.onnx")
    assert export_module.check_float(CheckpointEmbedder(checkpoint), model, 1e-4) <= 1e-4
    with pytest.raises(ParityError, match="the float32 model differs from the network"):
        export_module.check_float(other, model, 1e-4)
    batches = [0.1 * np.random.default_rng(0).normal(size=(8, 16_000)).astype(np.float32)]
    with pytest.raises(ParityError, match="mean cosine"):
        export_module.check_int8(other, model, batches, 0.99)


def test_a_refused_file_is_not_left_behind(checkpoint, dataset, graph, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.export.graph.to_onnx", lambda *_, **__: graph)
    monkeypatch.setattr("wordprint.export.graph.quantise", lambda *_: graph)
    with pytest.raises(ParityError, match="float32"):
        export(checkpoint, tmp_path / "float", ExportConfig(max_difference=0.0))
    assert not list((tmp_path / "float").glob("*.onnx"))
    assert not list(tmp_path.rglob(".*.onnx"))


def test_an_int8_version_that_fails_its_check_is_dropped_and_the_other_kept(checkpoint, dataset, graph, tmp_path, monkeypatch):
    """Newcomers' corpora ended here: training was short, and one model of two was good."""
    monkeypatch.setattr("wordprint.export.graph.to_onnx", lambda *_, **__: graph)
    monkeypatch.setattr("wordprint.export.graph.quantise", lambda *_: graph)
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


def test_int8_ranges_are_those_of_training_segments(checkpoint, dataset, graph, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("wordprint.export.graph.to_onnx", lambda *_, **__: graph)
    monkeypatch.setattr("wordprint.export.graph.quantise", lambda _, batches: given.extend(batches) or graph)
    export(checkpoint, tmp_path / "out", words=dataset)
    data = WordDataset(dataset)
    indices = data.select("train")
    heard = to_float32(data.crops(indices, data.centred_starts(indices, 16_000), 16_000))
    assert sum(len(batch) for batch in given) == len(indices) < export_module.CALIBRATION_WORDS
    np.testing.assert_array_equal(np.concatenate(given), heard)


def test_a_licence_that_is_not_stated_is_said(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.export.graph.to_onnx", lambda *_, **__: graph)
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


def test_the_fourier_basis_comes_back_from_its_formula(checkpoint, graph):
    import onnx
    from onnx.reference import ReferenceEvaluator

    network = CheckpointEmbedder(checkpoint).network
    model = onnx.ModelProto()
    model.CopyFrom(graph)
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


def bands(waveforms: np.ndarray) -> np.ndarray:
    """An embedding for which made-up words are all different."""
    spectrum = np.log(np.abs(np.fft.rfft(waveforms, axis=1))[:, 100:5500].reshape(len(waveforms), 180, -1).mean(axis=2) + 1e-1)
    centred = spectrum - spectrum.mean(axis=1, keepdims=True)
    return (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)


def test_calibration_finds_the_threshold_for_the_false_alarms_asked_for(dataset):
    data = WordDataset(dataset)
    strict, lax = (calibrate(bands, data, 16_000, target, 5.0) for target in (60.0, 600.0))
    assert strict["similarity"] > lax["similarity"]
    for found, target in ((strict, 60.0), (lax, 600.0)):
        assert found["false_alarms"] <= target * found["keyword_hours"]
        assert found["false_alarms"] >= target * found["keyword_hours"] - 1
    assert lax["missed"] <= strict["missed"] <= strict["spoken"]
    assert calibrate(bands, data, 16_000, 60.0, 5.0) == strict


def test_calibration_leaves_the_test_split_alone(dataset):
    """Neither its segments, wherever they lie, nor its speakers' recordings of validation words are heard."""
    data = WordDataset(dataset)
    [crops, samples] = [data.crops, data.samples]
    heard: list[int] = []
    places = {(int(data.column("shard")[i]), int(data.column("row")[i])): data.column("speaker")[i] for i in range(len(data))}
    listened: list[str] = []
    data.crops = lambda indices, *rest: heard.extend(indices.tolist()) or crops(indices, *rest)
    data.samples = lambda *place: listened.append(places[place]) or samples(*place)
    found = calibrate(bands, data, 16_000, 600.0, 5.0)
    assert found["method"] == "streaming, validation words and speakers"
    test_speakers = set(data.column("speaker")[data.select("test")])
    assert test_speakers
    assert not test_speakers & (set(listened) | set(data.column("speaker")[heard]))
    assert set(data.column("words")[heard]) <= set(data.column("words")[data.select("validation")])


def test_calibration_adds_the_test_split_where_validation_is_too_small_and_says_so(dataset):
    data = WordDataset(dataset)
    found = calibrate(bands, data, 16_000, 1.0, 5.0)
    assert found["method"].startswith("streaming, validation and test words and speakers, as validation alone holds 0.")
    assert found["keywords"] > calibrate(bands, data, 16_000, 600.0, 5.0)["keywords"]


def test_calibration_says_when_it_can_not(dataset, monkeypatch):
    monkeypatch.setattr(calibration, "SHOTS", 10_000)
    found = calibrate(bands, WordDataset(dataset), 16_000, 1.0, 1.0)
    assert found["similarity"] == calibration.FALLBACK
    assert found["method"].startswith("fixed: the word dataset holds no unseen word")
