"""Messages that tell the truth about a path, and about what keeps it from being written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from toy_model import padded, word, write_model
from wordprint.cli import main
from wordprint.errors import DiskFullError, InputError, disk_errors, kind_of
from wordprint.speech.audio import write_audio
from wordprint.speech.lexicon import Lexicon
from wordprint.speech.textgrid import read_textgrid
from wordprint.spot.enrollment import Enrollment
from wordprint.stages.manifest import read_jsonl, write_text
from wordprint.stages.recipe import read_toml
from wordprint.words.folders import WordFolder


def test_what_a_path_is(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    names = ("folder", "file", "link", "pipe", "none")
    assert {name: kind_of(tmp_path / name).removeprefix(f"{tmp_path / name} ") for name in names} == {
        "folder": "is a folder",
        "file": "is a file",
        "link": "is a link that leads nowhere",
        "pipe": "is a pipe or a device",
        "none": "does not exist",
    }


READERS = {
    "enrollment": Enrollment.load,
    "JSONL": lambda path: list(read_jsonl(path)),
    "TextGrid": lambda path: read_textgrid(path, "u"),
    "pronunciation dictionary": Lexicon.read,
    "TOML file": lambda path: read_toml(path, object),
}


@pytest.mark.parametrize("what", READERS)
def test_a_folder_where_a_file_is_read(tmp_path, what):
    with pytest.raises(InputError, match=rf"{tmp_path} is a folder; expected an? {what}"):
        READERS[what](tmp_path)
    with pytest.raises(InputError, match=rf"none does not exist; expected an? {what}"):
        READERS[what](tmp_path / "none")


def test_a_file_where_a_folder_is_read(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; expected a folder of word folders"):
        WordFolder(tmp_path / "file")


@pytest.fixture
def sound(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a model, a recording and a keyword enrolled from it."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model.onnx")
    write_audio("a.wav", padded(word("red")))
    assert main(["enroll", "model.onnx", "hello", "a.wav"]) == 0
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(arguments)
    return code, capsys.readouterr().err


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("spot model.onnx .", ". is a folder; expected an audio file"),
        ("enroll model.onnx hello .", ". is a folder; expected an audio file"),
        ("enroll model.onnx a.wav hello", "the keyword 'a.wav' is a file; expected a word or a phrase, then its recordings"),
        ("enroll hello a.wav -o .", ". is a folder; expected an enrollment"),
        ("spot model.onnx model.onnx a.wav", "2 arguments end in .onnx (model.onnx, model.onnx); expected one at most"),
        ("evaluate . model.onnx -o out", ". is no model, but stands first; expected the model, then the data to score it on"),
        ("evaluate model.onnx model.onnx -o out", "model.onnx is a file; expected a folder of word folders"),
        ("train model.onnx -o out", "model.onnx is a file; expected the output folder of 'words', or its dataset.json"),
        ("align a.wav -o out", "a.wav is a file; expected the output folder of 'prepare', or its utterances.jsonl"),
        ("export a.wav -o out", "a.wav is no checkpoint; expected the folder that 'wordprint train' wrote"),
    ],
)
def test_swapped_arguments(capsys, command, message):
    code, said = run(capsys, *command.split())
    assert (code, said.count("\n")) == (2, 1)
    assert message in said


@pytest.mark.usefixtures("sound")
def test_a_model_and_an_enrollment_are_known_by_their_endings_wherever_they_stand(capsys):
    assert main(["spot", "a.wav", "keywords.json", "model.onnx"]) == 0
    assert "hello" in capsys.readouterr().out
    assert main(["enroll", "again", "a.wav", "model.onnx"]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize(
    "command",
    [
        "prepare . -o /proc/x",
        "prepare . -o /proc/self/x/y",
        "prepare . -o /dev/null/x",
        "prepare . -o a.wav/x",
        "enroll model.onnx hello a.wav -o /proc/x.json",
        "enroll model.onnx hello a.wav -o a.wav/x.json",
    ],
)
def test_an_output_that_cannot_be_made(capsys, command):
    """Bug report: `-o /proc/x` ended in a traceback, as the system says that there is no such file."""
    for name in ("b.wav", "b.txt"):
        Path(name).write_bytes(Path("a.wav").read_bytes() if name.endswith("wav") else b"hello")
    code, said = run(capsys, *command.split())
    assert (code, said.count("\n")) == (2, 1)
    assert f"cannot write to {command.split()[-1]}: " in said or "lie in one another" in said


def test_an_error_about_another_file_is_left_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path / "out"):
        (tmp_path / "in").read_text()
    with pytest.raises(InputError, match=r"cannot write to .*nowhere.*: No such file"), disk_errors(tmp_path / "nowhere" / "out"):
        (tmp_path / "nowhere").rmdir()
    for refused in (tmp_path / "in", tmp_path / "outer"):
        with pytest.raises(PermissionError), disk_errors(tmp_path / "out"):
            raise PermissionError(13, "Permission denied", str(refused))
    with pytest.raises(InputError, match="cannot write to"), disk_errors(tmp_path / "out"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "out" / "part"))
    with pytest.raises(DiskFullError), disk_errors(tmp_path):
        raise OSError(28, "No space left on device")
    write_text(tmp_path / "made" / "out.txt", "x")
