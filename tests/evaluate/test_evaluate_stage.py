"""The stage: figures, lists that give the figures again, leaks, bad input, the contract of stages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate.tones import Bands
from toy_model import write_model
from wordprint.errors import ConfigError, DatasetError, DiskFullError, InputError, LeakError, ModelError, OutputConflictError
from wordprint.evaluate import few_shot
from wordprint.evaluate.data import seen_in_training, unique_names
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.stage import evaluate
from wordprint.model import Model
from wordprint.stages.manifest import digest_file, read_jsonl
from wordprint.stages.progress import Lines
from wordprint.words.convert import convert
from wordprint.words.tokens import load_tokens

CONFIG = EvaluateConfig(targets=("yes", "no", "up"), shots=(1, 3), draws=5, dtw_tokens=20, players=2)


@pytest.fixture(scope="module")
def scored(word_folder, tmp_path_factory):
    """Output folder of one evaluation of all protocols."""
    output = tmp_path_factory.mktemp("evaluate") / "out"
    evaluate(Bands(), [word_folder], output, CONFIG)
    return output


@pytest.fixture
def plain_report(monkeypatch):
    """Plots take seconds; most tests don't look at them."""
    monkeypatch.setattr("wordprint.evaluate.stage.write_report", lambda path, *_: path.write_text("report"))


def _metrics(output):
    return json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def test_metrics_hold_figures_intervals_and_origin(scored):
    metrics = _metrics(scored)
    assert metrics["schema"] == "wordprint.metrics/1"
    assert metrics["model"] == {"name": "bands", "digest": "0" * 64, "window_samples": 8000}
    assert metrics["seed"] == 0
    assert metrics["warnings"] == []
    entry = metrics["data"][0]
    assert (entry["tokens"], entry["words"], entry["speakers"]) == (96, 6, 8)
    assert entry["seen_in_training"]["words"] == []
    open_set = entry["protocols"]["open_set"]
    assert open_set["targets"] == ["yes", "no", "up"]
    assert open_set["unknown"] == ["bed", "cat", "dog"]
    assert open_set["targets_seen_in_training"] == []
    for estimates in open_set["shots"].values():
        for estimate in estimates.values():
            assert set(estimate) == {"mean", "std", "low", "high"}
    assert open_set["shots"]["3"]["closed"]["mean"] > 0.9
    same = entry["protocols"]["same_different"]
    assert same["estimates"]["ap_across_speakers"]["low"] <= same["estimates"]["ap_across_speakers"]["value"] <= 1
    assert same["estimates"]["ap"]["value"] > 2 * same["chance"]["ap"]
    assert same["reference"]["tokens"] == 20
    assert "digits" in entry["protocols"]["user_defined"]["not_run"]


def test_published_lists_give_the_figures_again(scored, word_folder):
    """The lists alone, without our code for draws, are enough to score anybody's model."""
    entry = _metrics(scored)["data"][0]
    tokens = list(read_jsonl(scored / entry["tokens_list"]["file"]))
    audio = load_tokens(word_folder)
    assert [token["name"] for token in tokens] == [token.name for token in audio]
    embeddings = Bands().embed(next(audio.batches(8000, len(audio))))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    protocol = entry["protocols"]["open_set"]
    assert digest_file(scored / protocol["trials"]["file"]) == protocol["trials"]["sha256"]
    closed = []
    for draw in read_jsonl(scored / protocol["trials"]["file"]):
        enrolled = {tokens[i]["speaker"] for row in draw["supports"].values() for i in row}
        assert not enrolled & {tokens[i]["speaker"] for i in draw["queries"] + draw["unknown"]}
        targets = list(draw["supports"])
        models = few_shot.prototypes(embeddings, np.array([draw["supports"][word][:1] for word in targets]))
        predicted = (embeddings[draw["queries"]] @ models.T).argmax(axis=1)
        closed.append(np.mean([targets[p] == tokens[i]["word"] for p, i in zip(predicted, draw["queries"], strict=True)]))
    assert protocol["shots"]["1"]["closed"]["mean"] == pytest.approx(np.mean(closed))
    sets = {line["set"]: line["tokens"] for line in read_jsonl(scored / entry["protocols"]["same_different"]["trials"]["file"])}
    assert sets["embeddings"] == list(range(96))
    assert len(set(sets["mfcc_dtw"])) == 20


@pytest.mark.usefixtures("plain_report")
def test_again_does_nothing_and_elsewhere_gives_the_same_bytes(scored, word_folder, tmp_path):
    calls = Bands.calls
    assert not evaluate(Bands(), [word_folder], scored, CONFIG).fresh
    assert Bands.calls == calls
    evaluate(Bands(), [word_folder], tmp_path / "out", CONFIG)
    for path in sorted((scored / "trials").iterdir()):
        assert path.read_bytes() == (tmp_path / "out" / "trials" / path.name).read_bytes()
    here, there = _metrics(scored), _metrics(tmp_path / "out")
    assert here.pop("command") != there.pop("command")  # the output folder
    assert here == there
    with pytest.raises(OutputConflictError, match="draws"):
        evaluate(Bands(), [word_folder], scored, EvaluateConfig(draws=3))


@pytest.mark.usefixtures("plain_report")
def test_another_model_is_another_run(scored, word_folder):
    other = Bands()
    other.digest = "1" * 64
    with pytest.raises(OutputConflictError, match="model"):
        evaluate(other, [word_folder], scored, CONFIG)


@pytest.mark.usefixtures("plain_report")
def test_embeddings_are_kept_until_the_stage_is_done(word_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.evaluate.stage.run_protocols", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Bands(), [word_folder], tmp_path / "out", CONFIG)
    calls = Bands.calls
    monkeypatch.undo()
    evaluate(Bands(), [word_folder], tmp_path / "out", CONFIG)
    assert Bands.calls == calls
    assert not (tmp_path / "out" / ".parts").exists()


def _interrupt(*_):
    raise KeyboardInterrupt


def test_command_can_be_run_again(scored, word_folder):
    words = shlex.split(_metrics(scored)["command"])
    assert words[:4] == ["wordprint", "evaluate", "bands", str(word_folder)]
    assert words[words.index("--targets") + 1 :][:3] == ["yes", "no", "up"]


def test_report_is_one_file_that_names_the_figures(scored):
    page = (scored / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "Accuracy at 5 % FAR" in page
    assert page.count("<svg") >= 3
    assert "Confusion matrix" in page
    assert "Keyword by keyword" in page
    assert "MFCC + DTW" in page
    assert "None of these words was in the training vocabulary" in page


def test_seen_words_are_said_loudly_and_left_out_of_same_different(word_folder, tmp_path):
    model = Bands()
    model.training_words = frozenset({"yes", "cat", "house"})
    evaluate(model, [word_folder], tmp_path / "out", CONFIG)
    metrics = _metrics(tmp_path / "out")
    assert metrics["warnings"] == ["tones: the model was trained on 2 words (cat, yes) that are scored here"]
    protocols = metrics["data"][0]["protocols"]
    assert protocols["open_set"]["targets_seen_in_training"] == ["yes"]
    assert protocols["open_set"]["unknown_seen_in_training"] == ["cat"]
    assert protocols["same_different"]["words_left_out_because_seen"] == ["cat", "yes"]
    assert protocols["same_different"]["word_types"] == 4
    assert "Seen in training" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_model_that_does_not_say_is_not_called_clean(word_folder, tmp_path):
    model = Bands()
    model.training_words = None
    evaluate(model, [word_folder], tmp_path / "out", CONFIG)
    assert _metrics(tmp_path / "out")["data"][0]["seen_in_training"]["words"] is None
    assert "does not say" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("trained", "seen"),
    [
        ({"lights", "on"}, ["lights on", "on"]),
        ({"lights on"}, ["lights on", "on"]),
        ({"lights", "bed time"}, []),
        ({"turn on", "bright lights"}, ["lights on", "on"]),
    ],
)
def test_a_phrase_is_seen_when_all_of_its_words_are(word_folder, tmp_path, trained, seen):
    for word, there in {"on": "yes", "lights_on": "no", "off": "up"}.items():
        shutil.copytree(word_folder / there, tmp_path / "data" / word)
    model = Bands()
    model.training_words = frozenset(trained)
    assert seen_in_training(load_tokens(tmp_path / "data"), model).words == seen


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 8 kB: room for the stage's first file, not for 9 kB of embeddings."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error(word_folder, tiny_disk):
    with pytest.raises(DiskFullError, match="no space left"):
        evaluate(Bands(), [word_folder], tiny_disk / "out", CONFIG)
    assert not list(tiny_disk.iterdir())  # nothing was done, so the folder is given back


@pytest.mark.usefixtures("plain_report")
def test_the_audio_of_one_data_set_at_a_time_is_in_memory(word_folder, tmp_path, monkeypatch):
    loaded, held = [], []

    def load(path, **options):
        held.append(sum(len(tokens._source.decoded) for tokens in loaded))
        loaded.append(load_tokens(path, **options))
        assert loaded[-1]._source.decoded
        return loaded[-1]

    monkeypatch.setattr("wordprint.evaluate.data.load_tokens", load)
    other = shutil.copytree(word_folder, tmp_path / "other")
    evaluate(Bands(), [word_folder, other], tmp_path / "out", EvaluateConfig(shots=(1,), draws=2, dtw_tokens=5))
    assert held == [0, 0]


@pytest.mark.usefixtures("plain_report")
def test_speakers_of_training_are_said_too(word_folder, tmp_path):
    model = Bands()
    model.training_speakers = frozenset({"s3", "corpus-s5", "corpus-x-s6"})  # a word folder doesn't name the corpus
    evaluate(model, [word_folder], tmp_path / "out", CONFIG)
    assert _metrics(tmp_path / "out")["warnings"] == ["tones: the model was trained on 2 speakers (s3, s5) that are scored here"]


@pytest.mark.usefixtures("plain_report")
def test_a_word_dataset_with_seen_words_is_refused_unless_allowed(word_folder, tmp_path, monkeypatch):
    """Word datasets are split by word, so a seen word there is a mistake in the set-up."""
    tokens = load_tokens(word_folder)
    monkeypatch.setattr("wordprint.evaluate.data.is_word_dataset", lambda path: True)
    monkeypatch.setattr("wordprint.evaluate.data.load_tokens", lambda path, **_: tokens)
    model = Bands()
    model.training_words = frozenset({"yes"})
    with pytest.raises(LeakError, match=r"split 'test': the model was trained on 1 words \(yes\)"):
        evaluate(model, [word_folder], tmp_path / "out", CONFIG)
    with pytest.raises(LeakError, match="split 'train'"):
        evaluate(Bands(), [word_folder], tmp_path / "train", EvaluateConfig(split="train"))
    evaluate(model, [word_folder], tmp_path / "allowed", EvaluateConfig(shots=(1,), draws=2, dtw_tokens=0, allow_seen=True))
    metrics = _metrics(tmp_path / "allowed")
    assert len(metrics["warnings"]) == 1
    assert metrics["data"][0]["protocols"]["same_different"]["word_types"] == 6


@pytest.mark.usefixtures("plain_report")
def test_unreadable_recordings_are_counted_and_the_rest_scored(word_folder, tmp_path):
    folder = shutil.copytree(word_folder, tmp_path / "tones")
    (folder / "yes" / "s0_nohash_0.wav").write_bytes(b"not audio")
    receipt = evaluate(Bands(), [folder], tmp_path / "out", CONFIG)
    assert receipt.counts["dropped"] == {"unreadable_audio": 1}
    assert receipt.counts["kept"] == 95


@pytest.mark.usefixtures("plain_report")
def test_a_dataset_without_the_split_is_named_and_the_rest_scored(word_folder, tmp_path):
    empty = tmp_path / "empty"
    convert(word_folder, empty, "words")
    splits = json.loads((empty / "dataset.json").read_text())["splits"]
    split = next(name for name, its in splits.items() if not its["segments"])
    config = EvaluateConfig(split=split, shots=(1,), draws=2, dtw_tokens=0)
    receipt = evaluate(Bands(), [empty, word_folder], tmp_path / "out", config)
    assert receipt.counts["dropped"] == {"no_segments": 1}
    assert [entry["name"] for entry in _metrics(tmp_path / "out")["data"]] == ["tones"]
    said = f"{empty} has no segments in the split '{split}'; choose another split, or add speech"
    assert _metrics(tmp_path / "out")["warnings"] == [f"empty is not scored: {said}"]
    with pytest.raises(DatasetError, match="has no segments in the split"):
        evaluate(Bands(), [empty], tmp_path / "nothing", config)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.usefixtures("plain_report")
def test_several_data_sets_and_equal_names(word_folder, tmp_path):
    other = shutil.copytree(word_folder, tmp_path / "tones")
    evaluate(Bands(), [word_folder, other], tmp_path / "out", EvaluateConfig(shots=(1,), draws=2, dtw_tokens=0))
    first, second = _metrics(tmp_path / "out")["data"]
    assert (first["name"], second["name"]) == ("tones", "tones-2")
    assert first["protocols"]["open_set"]["shots"] == second["protocols"]["open_set"]["shots"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("w/words-2", "w/words", "v/words"), ["words-2", "words", "words-3"]),
        (("w/words", "v/words", "u/words-2", "t/words"), ["words", "words-2", "words-2-2", "words-3"]),
        (("commands-es", "commands"), ["commands-es", "commands"]),
    ],
)
def test_no_two_folders_get_one_name(paths, names):
    assert unique_names([Path(path) for path in paths]) == names


@pytest.mark.usefixtures("plain_report")
def test_shots_without_recordings_are_left_out_and_named(word_folder, tmp_path):
    config = EvaluateConfig(targets=("yes", "no"), shots=(1, 3, 15, 30), draws=2, dtw_tokens=0)
    evaluate(Bands(), [word_folder], tmp_path / "out", config)
    open_set = _metrics(tmp_path / "out")["data"][0]["protocols"]["open_set"]
    assert list(open_set["shots"]) == ["1", "3"]
    assert open_set["shots_not_possible"] == [15, 30]


@pytest.mark.usefixtures("plain_report")
def test_a_target_that_is_not_there_is_said_at_once(word_folder, tmp_path, capsys):
    config = replace(CONFIG, targets=("yes", "nope"))
    evaluate(Bands(), [word_folder], tmp_path / "out", config, progress=Lines())
    assert "open set on tones not run, because no recordings of the targets nope" in capsys.readouterr().err


@pytest.mark.usefixtures("plain_report")
def test_keywords_chosen_by_the_data_are_fewer_where_speakers_are_few(word_folder, tmp_path):
    """Words of one speaker each can't all be enrolled by some and asked of others; those of many speakers can."""
    folder = tmp_path / "tones"
    for word, speakers in {"yes": (0, 1, 2), "no": (0, 1, 2), "up": (0, 1), "bed": (1, 2), "cat": (0, 2), "dog": (3, 4)}.items():
        for name in [f"s{speaker}_nohash_{take}.wav" for speaker in speakers for take in (0, 1)]:
            (folder / word).mkdir(parents=True, exist_ok=True)
            shutil.copy(word_folder / word / name, folder / word / name)
    evaluate(Bands(), [folder], tmp_path / "out", EvaluateConfig(shots=(1, 2), draws=2, dtw_tokens=0))
    open_set = _metrics(tmp_path / "out")["data"][0]["protocols"]["open_set"]
    assert open_set["targets"] == ["no", "yes", "bed"]
    assert open_set["unknown"] == ["cat", "dog", "up"]
    assert list(open_set["shots"]) == ["1", "2"]


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (EvaluateConfig(shots=()), "shots"),
        (EvaluateConfig(shots=(0, 1)), "shots"),
        (EvaluateConfig(draws=0), "draws"),
        (EvaluateConfig(enroll_share=1.0), "enroll_share"),
        (EvaluateConfig(targets=("yes",)), "targets"),
        (EvaluateConfig(targets=("yes", "yes", "no")), "different keywords"),
        (EvaluateConfig(targets=("lights on", "Lights_on", "no")), "different keywords"),
    ],
)
def test_options_out_of_range(config, match, word_folder, tmp_path):
    with pytest.raises(ConfigError, match=match):
        evaluate(Bands(), [word_folder], tmp_path / "out", config)


def test_bad_input_is_one_clear_error(word_folder, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        evaluate(Bands(), [tmp_path / "nowhere"], tmp_path / "out", CONFIG)
    with pytest.raises(InputError, match="no data"):
        evaluate(Bands(), [], tmp_path / "out", CONFIG)
    with pytest.raises(ConfigError, match="can't be imported"):
        evaluate("no.such.module:Model", [word_folder], tmp_path / "out", CONFIG)


def test_one_word_is_not_enough(word_folder, tmp_path):
    folder = tmp_path / "one"
    shutil.copytree(word_folder / "yes", folder / "yes")
    for path in sorted((folder / "yes").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DatasetError, match="no protocol can be run"):
        evaluate(Bands(), [folder], tmp_path / "out", EvaluateConfig(dtw_tokens=0))


def test_a_model_that_gives_no_vectors_is_an_error(word_folder, tmp_path):
    model = Bands()
    model.embed = lambda waveforms: np.full((len(waveforms), 4), np.nan, np.float32)
    with pytest.raises(ModelError, match="finite vector"):
        evaluate(model, [word_folder], tmp_path / "out", CONFIG)


def test_spans_that_are_no_vectors_are_an_error(word_folder, tmp_path, monkeypatch):
    model = Model(write_model(tmp_path / "model.onnx"))
    monkeypatch.setattr(model, "embed_spans", lambda waveforms: np.full((len(waveforms), 9, 4), np.nan, np.float32))
    with pytest.raises(ModelError, match="finite vector"):
        evaluate(model, [word_folder], tmp_path / "out", CONFIG)
