"""The documents say what is there: their code runs, their schemas, links, files, names and options exist."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import typing
import unicodedata
from pathlib import Path

import numpy as np
import pytest

import wordprint
from toy_model import padded, stream_of, word
from wordprint import config, pipeline
from wordprint.speech.audio import SAMPLE_RATE, to_int16, write_audio
from wordprint.speech.textgrid import read_textgrid
from wordprint.spot.options import SpotConfig
from wordprint.stages.command import load
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.receipt import read_receipt
from wordprint.stages.recipe import from_dict
from wordprint.stages.table import COMMANDS
from wordprint.words.store import map_table

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
SOURCE = REPOSITORY / "src" / "wordprint"
FOLDERS = [REPOSITORY / part for part in ("docs", "benchmarks", "recipes", "src")]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(path for folder in FOLDERS for path in folder.rglob("*.md"))])
MANUALS = [
    path for path in PAGES if path == REPOSITORY / "README.md" or (path.parent == DOCS and path.name not in ("log.md", "cli.md"))
]

JSON_NAMES = {"null": "None", "true": "True", "false": "False"}

SMALL = {
    "words": "--validation-words 0.25 --test-words 0.25 --validation-speakers 0.25 --test-speakers 0.25",
    "train": "--steps 2 --words-per-batch 3 --tokens-per-word 2 --accelerator cpu --precision 32-true --threads 1",
    "export": "--no-int8 --calibration-minutes 0.05",
    "evaluate": "--draws 2 --dtw-tokens 8 --players 1",
}
"""Options added to the commands of extending.md, so that they take seconds."""


def blocks(path: Path, language: str) -> list[str]:
    """Fenced code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def page_id(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


# extending.md, run for real


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A folder in which everything that extending.md says has been done, in its order, by one process."""
    folder = tmp_path_factory.mktemp("extending")
    speak(folder / "speech")
    script = ["import sys", "from wordprint.cli import main"]
    for language, code in re.findall(
        r"^```(python|sh)\n(.*?)^```$", (DOCS / "extending.md").read_text(encoding="utf-8"), re.M | re.S
    ):
        named = re.match(r"# (\w+\.py)\n", code)
        if named:
            (folder / named[1]).write_text(code, encoding="utf-8")
        elif language == "python":
            script.append(code)
        else:
            script += [f"assert main({small(line)!r}) == 0, {line!r}" for line in code.splitlines()]
    (folder / "all_of_it.py").write_text("\n".join(script), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "all_of_it.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def speak(folder: Path) -> None:
    """Twelve made-up words, each two tones of equal length, said twice by each of eight speakers in an order of their own."""
    words = [f"{a}{b}" for a, b in itertools.permutations(("bam", "dor", "fel", "kis"), 2)]
    tones_hz = {"bam": 300, "dor": 700, "fel": 1500, "kis": 3000}
    time_s = np.arange(round(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
    lines = []
    folder.mkdir()
    for speaker, take in itertools.product(range(8), range(2)):
        rng = np.random.default_rng((speaker, take))
        said = rng.permutation(words).tolist()
        parts = [
            np.sin(2 * np.pi * tones_hz[part] * (0.9 + 0.03 * speaker) * time_s) for word in said for part in (word[:3], word[3:])
        ]
        samples = 0.3 * np.concatenate(parts) + rng.normal(0, 0.01, len(time_s) * len(parts))
        write_audio(folder / f"take-{speaker}-{take}.flac", samples.astype(np.float32))
        lines.append(f"take-{speaker}-{take}\tspeaker-{speaker}\t{' '.join(said)}\n")
    lines.append("lost\tspeaker-0\tbamdor felkis\n")
    (folder / "transcripts.tsv").write_text("".join(lines), encoding="utf-8")


def small(line: str) -> list[str]:
    """The arguments of a command line of the page, with the options that make it small."""
    program, command, *arguments = shlex.split(line.removeprefix("PYTHONPATH=. "))
    assert program == "wordprint"
    return [command, *arguments, *shlex.split(SMALL.get(command, ""))]


def test_the_corpus(extended):
    receipt = read_receipt(extended / "work/prepare")
    assert receipt.counts == {"in": 17, "kept": 16, "dropped": {"missing_audio": 1}}
    assert {line["speaker"] for line in read_jsonl(extended / "work/prepare/utterances.jsonl")} == {
        f"speech-speaker-{n}" for n in range(8)
    }


def test_the_aligner(extended):
    line = next(read_jsonl(extended / "work/align/alignments.jsonl"))
    words = read_textgrid(extended / "work/align" / line["textgrid"], line["utterance_id"]).words
    assert [word.symbol for word in words] == line["transcript"].split()
    assert [word.end_s for word in words] == pytest.approx(np.arange(1, 13) * 0.4)
    assert (extended / "work/align-again/alignments.jsonl").read_bytes() == (extended / "work/align/alignments.jsonl").read_bytes()


def test_the_encoder_and_the_loss(extended):
    receipt = read_receipt(extended / "work/train")
    assert (receipt.config["encoder"], receipt.config["loss"]) == ("my_encoder:TwoConvolutions", "my_loss:pair_loss")
    assert receipt.details["steps_in_this_run"] == 2
    assert wordprint.Model(extended / "work/export/model.onnx").embed(np.zeros((2, SAMPLE_RATE), np.float32)).shape == (2, 128)


@pytest.mark.parametrize(("output", "name"), [("evaluate-mean-spectrum", "mean spectrum"), ("evaluate", "wordprint")])
def test_the_models(extended, output, name):
    receipt = read_receipt(extended / "work" / output)
    assert receipt.config["model"].startswith(name)
    assert 0 < receipt.details["words"]["same_different.ap"] <= 1


# live.md, run with programs that stand for a microphone and a camera


def test_pipes(tmp_path):
    speech = stream_of(("red", 1.0), ("blue", 3.0), seconds=5)
    write_audio(tmp_path / "mono.wav", speech)
    (tmp_path / "mono.raw").write_bytes(to_int16(speech).astype("<i2").tobytes())
    (tmp_path / "stereo32.raw").write_bytes((np.repeat(np.repeat(speech, 3), 2) * 2**31).astype("<i4").tobytes())  # 48 kHz
    shots = [padded(word("red", seed=seed), seed=seed) for seed in range(3)]
    pipeline.enroll(None, "red", shots, tmp_path / "keywords.json", SpotConfig(threshold=0.9))
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_in(programs / "arecord", 'case "$*" in *S32*) cat stereo32.raw;; *raw*) cat mono.raw;; *) cat mono.wav;; esac')
    stand_in(programs / "ffmpeg", "cat mono.wav")
    stand_in(programs / "ssh", 'shift; exec "$@"')
    stand_in(programs / "wordprint", f'exec "{sys.executable}" -m wordprint "$@"')
    stand_in(tmp_path / "lights.sh", "echo lights: $WORDPRINT_KEYWORD")
    search = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": search, "PYTHONPATH": str(SOURCE.parent), "OMP_NUM_THREADS": "1"}
    lines = [line for block in blocks(DOCS / "live.md", "sh") for line in block.splitlines() if "wordprint spot" in line]
    assert len(lines) >= 8
    for line in lines:
        result = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, (line, result.stderr)
        assert "red" in result.stdout, (line, result.stdout, result.stderr)
        if "--exec" in line:
            assert re.search("(lights:|heard) red", result.stderr), (line, result.stderr)


def stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_the_service(tmp_path):
    (unit,) = blocks(DOCS / "live.md", "ini")
    command = re.search(r"^ExecStart=(\S+)", unit, re.M)
    for found, text in ((0, unit.replace(command[1], "/bin/sh")), (1, unit.replace("DynamicUser", "DinamicUser"))):
        (tmp_path / "wordprint.service").write_text(text, encoding="utf-8")
        result = subprocess.run(
            ["systemd-analyze", "verify", "./wordprint.service"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ("wordprint.service" in result.stdout + result.stderr) == bool(found), result.stderr


def test_the_container(tmp_path):
    """Its instructions are known, its extra is one, and what it starts is a command that gets as far as its file."""
    (container,) = blocks(DOCS / "serve.md", "dockerfile")
    instructions = dict(line.split(" ", 1) for line in container.splitlines() if line)
    assert list(instructions) == ["FROM", "RUN", "USER", "EXPOSE", "ENTRYPOINT"]
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.search(r"'wordprint\[(\w+)\]'", instructions["RUN"])[1] in project["optional-dependencies"]
    program, *arguments = json.loads(instructions["ENTRYPOINT"])
    assert program == "wordprint"
    assert arguments[-1].endswith(f":{instructions['EXPOSE']}")
    command = [sys.executable, "-m", program, *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, "/keywords/keywords.json does not exist" in result.stderr) == (2, True), result.stderr


# what pages name


def test_every_schema_is_in_formats_and_the_reverse():
    schema = re.compile(r"wordprint\.[a-z_]+/\d+")
    written = {name for path in SOURCE.rglob("*.py") for name in schema.findall(path.read_text(encoding="utf-8"))}
    assert written == set(schema.findall((DOCS / "formats.md").read_text(encoding="utf-8")))


def examples() -> list[dict]:
    """The JSON examples of formats.md; `…` stands for what they leave out."""
    plain = [re.sub(r"…(, )?", "", block) for block in blocks(DOCS / "formats.md", "json")]
    return [ast.literal_eval(re.sub(r"\b(null|true|false)\b", lambda found: JSON_NAMES[found[0]], block)) for block in plain]


@pytest.mark.parametrize(
    "name",
    ["words/stage.json", "prepare/dropped.jsonl", "prepare/utterances.jsonl", "words/dataset.json", "words/segments-00000.arrow",
     "words/types.arrow", "train/best.json", "train/history.jsonl", "export/model.onnx", "export/bill_of_materials.json",
     "evaluate/metrics.json", "evaluate/trials/words.tokens.jsonl", "evaluate/trials/words.same_different.jsonl"],
)  # fmt: skip
def test_examples_in_formats_have_the_fields_of_real_files(extended, name):
    fields = fields_of(extended / "work" / name)
    assert fields in [set(example) for example in examples()]


def fields_of(path: Path) -> set[str]:
    """Names of the fields of a document, of the first line of a JSONL file, of a table, or of a model's metadata."""
    if path.suffix == ".arrow":
        return set(map_table(path).schema.names)
    if path.suffix == ".onnx":
        return set(wordprint.Model(path).metadata)
    return set(json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else next(read_jsonl(path)))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page_id(page)} links to {target}"
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.*)$", prose(file), re.MULTILINE)}, target


def slug(title: str) -> str:
    """The anchor that a heading gets."""
    kept = "".join(c for c in title.lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
    return kept.replace(" ", "-")


def test_every_file_of_the_readme_exists():
    trees = [block for block in blocks(REPOSITORY / "README.md", r"\w*") if block.startswith("src/wordprint/")]
    assert len(trees) == 1, "README.md needs one code block with the file tree that starts with src/wordprint/"
    for path in tree_paths(trees[0]):
        assert path.exists(), f"README.md lists {path.relative_to(REPOSITORY)}"


def tree_paths(tree: str) -> list[Path]:
    """Paths of an indented tree: a name per line (or several with commas), then its purpose; folders end in `/`."""
    paths, folders = [], []
    for line in tree.splitlines():
        found = re.match(r"([\s│├└─|`+-]*)(\S+?(?:, ?\S+?)*?)(?:\s{1,}.*|$)", line)
        if not found or not found[2]:
            continue
        folders = [(column, folder) for column, folder in folders if column < len(found[1])]
        parent = folders[-1][1] if folders else REPOSITORY
        names = re.split(", ?", found[2].rstrip(","))
        paths += [parent / name for name in names]
        if names[0].endswith("/"):
            folders.append((len(found[1]), parent / names[0]))
    return paths


@pytest.mark.parametrize("page", MANUALS, ids=page_id)
def test_names_in_python_examples_exist(page):
    for code in blocks(page, "python"):
        names: dict[str, object] = {}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wordprint"):
                home = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(home, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")
                    names[alias.asname or alias.name] = getattr(home, alias.name)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
                assert hasattr(names[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("page", MANUALS, ids=page_id)
def test_names_in_prose_exist(page):
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    public = {name: getattr(wordprint, name) for name in wordprint.__all__}
    for span in spans:
        for dotted in re.findall(r"(?<![\w./-])wordprint(?:\.[A-Za-z_]+)+(?::\w+)?(?![/\w])", span):
            assert resolves(dotted), f"{page_id(page)}: {dotted}"
        if found := re.match(r"(\w+)\.(\w+)\b(?!\.)", span):
            owner = public.get(found[1], pipeline if found[1] == "pipeline" else None)
            assert owner is None or hasattr(owner, found[2]) or found[2] in getattr(owner, "__annotations__", {}), span


def resolves(dotted: str) -> bool:
    """Whether `wordprint.module.name` or `wordprint.module:name` is there."""
    parts = re.split(r"[.:]", dotted)
    found = wordprint
    for number, name in enumerate(parts[1:], start=2):
        try:
            found = getattr(found, name, None) or importlib.import_module(".".join(parts[:number]))
        except ModuleNotFoundError:
            return False
    return True


@pytest.mark.parametrize("page", MANUALS, ids=page_id)
def test_commands_and_options_exist(page):
    text = page.read_text(encoding="utf-8")
    for line in [*re.findall(r"`([^`\n]+)`", text), *code_lines(text)]:
        found = re.search(r"(?<![\w./=-])wordprint ([a-z]+)\b(.*)", line)
        if found:
            assert found[1] in COMMANDS, f"{page_id(page)}: {found[0]}"
            names = options(found[2]) - options_of(found[1])
        else:
            names = options(line) - set().union(*map(options_of, COMMANDS)) if line.startswith("--") else set()
        assert not names, f"{page_id(page)}: {line}"


def options(line: str) -> set[str]:
    """Options in a command line, as names of fields: `--no-int8` is `int8`."""
    names = re.findall(r"(?<![\w-])--(?:no-)?([a-z][a-z0-9.-]*)", line)
    return {name.replace("-", "_") for name in names}


def options_of(command: str) -> set[str]:
    """Options that a command takes; those of `run` begin with the section: `train.steps`."""
    row = COMMANDS[command]
    names = {
        "output",
        "recipe",
        "help",
        "help_all",
        "workers",
        "cluster",
        "overwrite",
        *(argument.name.rstrip("_") for argument in row.arguments),
    }
    for _, path in row.options:
        for field, hint in typing.get_type_hints(load(path)).items():
            names |= {f"{field}.{inner}" for inner in typing.get_type_hints(hint)} if dataclasses.is_dataclass(hint) else {field}
    return names


def code_lines(text: str) -> list[str]:
    """Indented lines and those of fenced `sh` blocks."""
    fenced = [
        line for block in re.findall(r"^```(?:sh|console|bash)\n(.*?)^```$", text, re.M | re.S) for line in block.splitlines()
    ]
    return [*re.findall(r"^    .*$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.MULTILINE), *fenced]


@pytest.mark.parametrize("page", MANUALS, ids=page_id)
def test_recipes_in_pages_are_valid(page):
    for block in blocks(page, "toml"):
        from_dict(config.RunConfig, tomllib.loads(block), page_id(page))
