"""Outliers: planted ones are found, homophones are none; the stage resumes and gives the same bytes for any workers."""

from __future__ import annotations

import numpy as np
import pytest

from browser import chromium, heard_s, ink, opened, page_data, titles  # noqa: F401 (chromium is a fixture)
from toy_model import write_model
from train.conftest import write_alignments
from wordprint.errors import ConfigError, DatasetError, InputError
from wordprint.evaluate import outliers as stage
from wordprint.evaluate.centres import compare, usual_pronunciations
from wordprint.evaluate.options import OutliersConfig
from wordprint.evaluate.outliers import outliers
from wordprint.records import Alignment, Interval
from wordprint.speech.textgrid import read_textgrid, write_textgrid
from wordprint.stages.manifest import read_jsonl
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

VOCABULARY = ("aei", "aeo", "aeu", "aio", "aiu", "eio", "eiu", "iou")
"""Words that differ in their sets of tones: what the toy model hears."""
SPEAKERS = tuple(f"speaker{number}" for number in range(8))
ALL = WordsConfig(min_tokens=1, min_speakers=1, validation_speakers=0, test_speakers=0, validation_words=0, test_words=0)
WRONG = "speaker3-0"
"""The utterance in which one `aei` is said to be `iou`."""


def relabel(folder, utterance_id, old, new, phones=None):
    """Write another word (and its phones) over one of an utterance."""
    path = folder / f"textgrids/{utterance_id.rpartition('-')[0]}/{utterance_id}.TextGrid"
    grid = read_textgrid(path, utterance_id)
    place = next(word for word in grid.words if word.symbol == old)
    said = tuple(Interval(new if word == place else word.symbol, word.start_s, word.end_s) for word in grid.words)
    inside = [phone for phone in grid.phones if place.start_s <= (phone.start_s + phone.end_s) / 2 < place.end_s]
    renamed = dict(zip(inside, phones or [phone.symbol for phone in inside], strict=True))
    tier = tuple(Interval(renamed.get(phone, phone.symbol), phone.start_s, phone.end_s) for phone in grid.phones)
    write_textgrid(path, Alignment(utterance_id, said, tier), next(r["end_s"] for r in read_jsonl(folder / "alignments.jsonl")))
    return place


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A dataset in which one `aei` bears the label `iou`, and every second `eio` is spelt `eyo`; a model; the planted place."""
    folder = tmp_path_factory.mktemp("planted")
    align = write_alignments(folder / "align", SPEAKERS, VOCABULARY)
    place = relabel(align, WRONG, "aei", "iou", ["I", "O", "U"])
    for speaker in SPEAKERS:
        relabel(align, f"{speaker}-1", "eio", "eyo")
    words(align, folder / "words", ALL)
    return folder / "words", write_model(folder / "bands.onnx"), round(place.start_s * 16_000)


def test_the_planted_word_is_the_worst_and_alone(planted, tmp_path):
    dataset, model, start = planted
    receipt = outliers(model, dataset, tmp_path / "out", OutliersConfig(threshold=0.1))
    lines = list(read_jsonl(tmp_path / "out/outliers.jsonl"))
    assert len(lines) == 1
    line = lines[0]
    assert (line["utterance_id"], line["start_sample"], line["words"], line["nearest"]) == (WRONG, start, "iou", "aei")
    assert line["end_sample"] - start == pytest.approx(0.24 * 16_000, abs=1)
    assert line["speaker"] == "speaker3"
    assert line["excess"] == pytest.approx(line["nearest_similarity"] - line["own_similarity"], abs=2e-4)
    assert receipt.counts == {"in": 128, "kept": 127, "dropped": {"outlier": 1}}
    assert receipt.details["judged"] == 128


def test_a_homophone_is_no_other_word(planted, tmp_path):
    dataset, model, _ = planted
    outliers(model, dataset, tmp_path / "out", OutliersConfig(threshold=-2))
    lines = list(read_jsonl(tmp_path / "out/outliers.jsonl"))
    assert len(lines) == 128  # all of them, the worst first
    assert [line["excess"] for line in lines] == sorted((line["excess"] for line in lines), reverse=True)
    for word in ("eio", "eyo"):
        assert {line["nearest"] for line in lines if line["words"] == word}.isdisjoint({"eio", "eyo"})


def test_a_segment_said_as_another_word_is_usually_said_is_none(tmp_path):
    """`read`, said as `red`: its alignment knows."""
    align = write_alignments(tmp_path / "align", SPEAKERS, VOCABULARY)
    relabel(align, WRONG, "aei", "iou", ["A", "E", "I"])
    words(align, tmp_path / "words", ALL)
    outliers(write_model(tmp_path / "bands.onnx"), tmp_path / "words", tmp_path / "out", OutliersConfig(threshold=0.1))
    assert list(read_jsonl(tmp_path / "out/outliers.jsonl")) == []


@pytest.mark.parametrize("min_tokens", [8, 16])
def test_it_agrees_with_naive_loops(planted, min_tokens):
    dataset = WordDataset(planted[0])
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(dataset), 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = [(0, vectors[:50]), (50, vectors[50:])]
    names, said = dataset.column("words"), dataset.segments.column("phones").to_pylist()
    usual = dict(zip(dataset.words, usual_pronunciations(dataset), strict=True))
    assert usual["eyo"] == usual["eio"] == "E I O"
    frequent = [word for word in dataset.words if (names == word).sum() >= min_tokens]
    compared = compare(dataset, lambda: parts, min_tokens)
    assert compared.words == len(frequent)
    judged = np.flatnonzero(np.isfinite(compared.excess)).tolist()
    assert judged == np.flatnonzero(np.isin(names, frequent)).tolist()
    cosine = lambda a, b: float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    for index in judged:
        mine = [other for other in range(len(dataset)) if names[other] == names[index] and other != index]
        others = {word: cosine(vectors[index], vectors[names == word].sum(axis=0)) for word in frequent if word != names[index]}
        alike = {word for word in others if usual[word] in (usual[names[index]], said[index])}
        own = [cosine(vectors[index], vectors[mine].sum(axis=0)), *(others.pop(word) for word in alike)]
        assert compared.own[index] == pytest.approx(max(own), abs=1e-5)
        assert compared.other[index] == pytest.approx(max(others.values()), abs=1e-5)
        assert dataset.words[compared.nearest[index]] == max(others, key=others.get)


def test_the_same_bytes_for_any_workers_and_after_a_kill(planted, tmp_path, monkeypatch):
    dataset, model, _ = planted
    monkeypatch.setattr(stage, "SHARD", 40)
    config = OutliersConfig(threshold=-0.1)
    outliers(model, dataset, tmp_path / "one", config)
    outliers(model, dataset, tmp_path / "two", config, workers=2)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "compare", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            outliers(model, dataset, tmp_path / "three", config)
    parts = tmp_path / "three/.parts"
    (parts / "embed-000002-1.jsonl").unlink()
    assert len(list(parts.glob("*.npy"))) == 4
    outliers(model, dataset, tmp_path / "three", config)
    for name in ("outliers.jsonl", "report.html", "dropped.jsonl"):
        assert len({(tmp_path / run / name).read_bytes() for run in ("one", "two", "three")}) == 1, name
    assert not parts.exists()
    assert not outliers(model, dataset, tmp_path / "one", config).fresh


def test_what_is_refused(planted, tmp_path):
    dataset, model, _ = planted
    with pytest.raises(DatasetError, match="0 words have 1000 segments or more"):
        outliers(model, dataset, tmp_path / "out", OutliersConfig(min_tokens=1000))
    with pytest.raises(ConfigError, match="min_tokens is 1"):
        outliers(model, dataset, tmp_path / "out", OutliersConfig(min_tokens=1))
    with pytest.raises(InputError, match="words is no model, but stands first; expected the model, then the word dataset"):
        outliers(dataset, model, tmp_path / "out")


def test_the_report_in_the_browser(planted, tmp_path, chromium):  # noqa: F811
    dataset, model, _ = planted
    outliers(model, dataset, tmp_path / "out", OutliersConfig(threshold=-2))
    report = tmp_path / "out/report.html"
    rows = page_data(report)["rows"]
    assert len(rows) == 100
    with opened(chromium, report) as tab:
        assert titles(tab)[0] == "iou"
        assert tab.locator(".row").first.locator("dd").first.inner_text() == "aei"
        assert max(ink(tab)) > 0.1
        assert heard_s(tab, tab.locator(".row").first.get_by_text("▶ word").click) > 0.1
        tab.fill("[name=nearest]", "aei")
        assert len(titles(tab)) == sum(row["values"]["nearest"] == "aei" for row in rows)
