"""From a corpus to detections through the command line, in the smallest size: every stage real, nothing simulated."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kill_at_random
from wordprint import pipeline
from wordprint.config import RunConfig
from wordprint.errors import DatasetError

STAGES = ("prepare", "validate", "align", "words", "train", "export", "evaluate", "demo")
RECIPE = f"""{kill_at_random.RECIPE}
[demo]
keywords = ["thermostat"]
sentence = "please set the thermostat a little higher"
"""


def wordprint(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "wordprint", *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with a recipe and the work of a whole run."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    result = wordprint("run", "recipe.toml", "--work", folder / "work", "-j", "2", cwd=folder)
    assert result.returncode == 0, result.stderr
    shown = result.stdout.split()
    assert str(folder / "work/export/model.onnx") in shown
    assert str(folder / "work/evaluate/report.html") in shown
    assert shown[:2] == ["open", str(folder / "work/index.html")]
    for stage in STAGES[:-1]:  # the demonstration says its own
        assert f"{stage}: " in result.stderr
        assert f" → {folder / 'work' / stage}\n" in result.stderr  # with what was kept, and dropped by reason
    assert 'another voice says "please set the thermostat' in result.stderr
    return folder


def test_a_corpus_too_small_for_a_test_still_ends_with_a_model(tmp_path):
    """Newcomers' corpora ended at export, then at evaluate, without a word of what to do."""
    arguments = ["run", "recipe.toml", "--work", "work", "--prepare.synthetic-speakers", 2, "--prepare.synthetic-utterances", 30]
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("int8 = false", "min_int8_cosine = 1.0"), encoding="utf-8")
    result = wordprint(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "words: 2 speakers are too few for all sides of the split" in result.stderr
    assert "export: no int8 version: the int8 model has a mean cosine of" in result.stderr
    assert "evaluate: skipped, as work/words has no segments in the split 'test'" in result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:2] == ["open", "work/index.html"]
    paths = ["made work/validate/report.html", "work/train/report.html", "work/export/model.onnx", "listen work/demo/sentence.flac"]
    assert [" ".join(line) for line in lines[1:5]] == paths
    assert lines[5][:3] == ["next", "wordprint", "inspect"]
    page = (tmp_path / "work" / "index.html").read_text(encoding="utf-8")
    assert page.count("not done") == 1  # evaluate
    assert not (tmp_path / "work" / "evaluate").exists()
    assert (tmp_path / "work" / "demo" / "stage.json").is_file()


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [
        ("add --allow-seen or --no-context", "add --evaluate.allow-seen or --evaluate.no-context"),
        ("add --overwrite, see 'x --help'", "add --overwrite, see 'x --help'"),
        ("leave them out (--no-context)", "leave them out (--evaluate.no-context)"),
        ("say --language of 'prepare', --aligner mfa", "say --prepare.language, --align.aligner mfa"),
    ],
)
def test_advice_names_options_that_run_has(remedy, expected):
    error = DatasetError("seen", remedy=remedy)
    pipeline._name_options_of_run(error, "evaluate", RunConfig())
    assert str(error) == f"seen; {expected}"


def test_every_stage_leaves_a_receipt(finished):
    for stage in STAGES:
        receipt = json.loads((finished / "work" / stage / "stage.json").read_text(encoding="utf-8"))
        assert receipt["stage"] == stage
        assert receipt["counts"]["in"] == receipt["counts"]["kept"] + sum(receipt["counts"]["dropped"].values())
        assert not (finished / "work" / stage / "stage.partial.json").exists()
        assert not list((finished / "work" / stage).rglob(".*"))


def test_a_second_run_does_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in (finished / "work").rglob("*")}
    result = wordprint("run", "recipe.toml", "--work", finished / "work", cwd=finished)
    assert result.returncode == 0
    assert result.stderr.count("already done") == len(STAGES)
    assert before == {path: path.stat().st_mtime_ns for path in (finished / "work").rglob("*")}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "demo"])
def test_killed_at_random_moments_and_run_again_gives_the_same_bytes(finished, tmp_path, stage):
    command = kill_at_random.commands(finished / "work", finished / "recipe.toml")[stage]
    reference = finished / "work" / stage
    whole_s = json.loads((reference / "stage.json").read_text(encoding="utf-8"))["wall_s"]
    for _ in kill_at_random.torment(command, tmp_path / stage, whole_s, random.Random(stage), kills=2):
        found = kill_at_random.contents(tmp_path / stage)
        assert kill_at_random.differences(found, kill_at_random.contents(reference)) == []


def test_changed_options_are_refused_by_the_stage_they_touch(finished):
    result = wordprint("words", "work/align", "-o", "work/words", "--min-letters", "5", cwd=finished)
    assert result.returncode == 2
    assert "min_letters was 3, now 5" in result.stderr


def test_a_recipe_sets_the_options_of_one_stage(finished, tmp_path):
    output = tmp_path / "words"
    arguments = ["words", "work/align", "-o", output, "--recipe", "recipe.toml", "--test-words", "0.5"]
    result = wordprint(*arguments, cwd=finished)
    assert result.returncode == 0, result.stderr
    config = json.loads((output / "stage.json").read_text(encoding="utf-8"))["config"]
    assert (config["validation_words"], config["test_words"]) == (0.25, 0.5)


def test_enroll_and_spot(finished, tmp_path):
    shots = [f"work/demo/thermostat_{number}.flac" for number in (1, 2, 3)]
    keywords = tmp_path / "keywords.json"
    result = wordprint("enroll", "work/export/model.onnx", "thermostat", *shots, "-o", keywords, cwd=finished)
    assert result.returncode == 0, result.stderr
    assert "'thermostat' enrolled from 3 recordings" in result.stdout
    # one of the enrolled recordings itself is as near as can be
    result = wordprint("spot", "work/export/model.onnx", keywords, shots[0], "--threshold", "0.5", cwd=finished)
    assert result.returncode == 0, result.stderr
    assert "thermostat" in result.stdout


def test_an_enrollment_for_another_model_is_refused(finished, tmp_path):
    record = json.loads((finished / "work/demo/keywords.json").read_text(encoding="utf-8"))
    record["model_digest"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(record), encoding="utf-8")
    result = wordprint("spot", "work/export/model.onnx", tmp_path / "other.json", "work/demo/sentence.flac", cwd=finished)
    assert result.returncode == 2
    assert "enroll the keywords again" in result.stderr


def test_info_knows_everything_that_was_written(finished):
    work = finished / "work"
    paths = [work / stage for stage in STAGES]
    paths += [
        work / name for name in ("export/model.onnx", "demo/keywords.json", "evaluate/metrics.json", "train/last.safetensors")
    ]
    paths += [work / "words/segments-00000.arrow", work / "align/textgrids", work / "prepare/utterances.jsonl"]
    result = wordprint("info", *paths)
    assert result.returncode == 0, result.stderr
    assert [line.split(maxsplit=1)[1] for line in result.stdout.splitlines() if line.startswith("path ")] == list(map(str, paths))


def test_a_checkpoint_and_its_onnx_file_score_alike(finished, tmp_path):
    folder = tmp_path / "spoken"
    speech = finished / "work/demo/sentence.flac"
    for word in ("one", "other"):
        for speaker in ("ann", "bob", "eve", "joe"):
            (folder / word).mkdir(parents=True, exist_ok=True)
            shutil.copy(speech if word == "one" else finished / "work/demo/thermostat_1.flac", folder / word / f"{speaker}_1.flac")
    protocols = []
    for model in ("work/train", "work/export/model.onnx"):
        output = tmp_path / Path(model).name
        result = wordprint("evaluate", model, folder, "-o", output, "--draws", "2", "--dtw-tokens", "0", cwd=finished)
        assert result.returncode == 0, result.stderr
        metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
        protocols.append(metrics["data"][0]["protocols"]["same_different"]["estimates"])
    assert protocols[0]["ap"]["value"] == pytest.approx(protocols[1]["ap"]["value"], abs=1e-6)
    assert protocols[0]["ap"]["value"] == pytest.approx(1.0)  # copies of two recordings


def test_a_missing_folder_of_a_late_stage_is_told_before_anything_is_done(tmp_path):
    result = wordprint("run", "synthetic", "--work", "work", "--evaluate-on", "keywords", "--train.noise", "noise", cwd=tmp_path)
    assert result.returncode == 2
    assert "option 'evaluate_on': keywords does not exist" in result.stderr
    assert not (tmp_path / "work").exists()
