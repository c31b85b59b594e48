"""The command line: one line per error, exit codes, recipes."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wordprint.cli import COMMANDS, main
from wordprint.config import RunConfig
from wordprint.speech.audio import write_audio

REPOSITORY = Path(__file__).parents[1]


def wordprint(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run([sys.executable, "-m", "wordprint", *map(str, arguments)], capture_output=True, text=True, **options)


def one_line_error(result: subprocess.CompletedProcess[str]) -> str:
    """The error line of a command that failed as it should: exit code 2, one line, no traceback."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("wordprint: error: ")]
    assert result.returncode == 2, result.stderr
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return errors[0]


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    listing = capsys.readouterr().out
    assert all(f"  {command} " in listing for command in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("wordprint 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"wordprint {command}" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_in_any_encoding(tmp_path, encoding):
    folder = tmp_path / "speech" / "žofie"
    folder.mkdir(parents=True)
    said = np.random.default_rng(0).normal(0, 0.1, 16_000) * np.hanning(16_000)
    write_audio(folder / "слово.wav", np.pad(said, 8000).astype(np.float32))
    (folder / "слово.txt").write_text("слово и дело", encoding="utf-8")
    (tmp_path / "žofie.json").write_text("{}")
    for arguments in (["--help"], ["run", "--help"], ["prepare", tmp_path / "speech", "-o", tmp_path / "přípravek"],
                      ["validate", tmp_path / "přípravek", "-o", tmp_path / "kontrola"], ["info", tmp_path / "přípravek"],
                      ["enroll", "слово", folder / "слово.wav", "-o", tmp_path / "slova.json", "--threshold=0.9"], ["enroll", "→"],
                      ["spot", tmp_path / "slova.json", folder / "слово.wav"], ["download"]):  # fmt: skip
        result = wordprint(*arguments, env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
        assert "Traceback" not in result.stderr, (arguments, result.stderr)
        assert result.returncode == (2 if arguments == ["enroll", "→"] else 0), (arguments, result.stderr)


def test_unknown_command_names_the_nearest(capsys):
    assert main(["algin"]) == 2
    assert capsys.readouterr().err == "wordprint: error: unknown command 'algin'; did you mean 'align'?\n"


def test_missing_folder(tmp_path):
    for command in (["prepare", tmp_path / "none"], ["validate", tmp_path / "none"], ["align", tmp_path / "none"],
                    ["words", tmp_path / "none"], ["train", tmp_path / "none"], ["export", tmp_path / "none"]):  # fmt: skip
        line = one_line_error(wordprint(*command, "-o", tmp_path / "out"))
        assert str(tmp_path / "none") in line
    assert not (tmp_path / "out").exists()


def test_empty_folder(tmp_path):
    (tmp_path / "corpus").mkdir()
    line = one_line_error(wordprint("prepare", tmp_path / "corpus", "-o", tmp_path / "out"))
    assert str(tmp_path / "corpus") in line


def test_unknown_option_in_a_recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text("[words]\nmin_leters = 3\n")
    line = one_line_error(wordprint("run", tmp_path / "recipe.toml"))
    assert "unknown option 'min_leters'; did you mean 'min_letters'?" in line


def test_a_recipe_sets_the_defaults_and_flags_win(tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text("[words]\nmin_letters = 7\nmin_speakers = 9\n")
    with pytest.raises(SystemExit):
        main(["words", "--recipe", str(tmp_path / "recipe.toml"), "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: 7;" in text
    assert "(default: 9;" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["align", "here", "-o", "out", "--fast"], "'wordprint align' has no option '--fast'; see 'wordprint align --help'"),
        (["words", "here", "-o", "out", "--min-leters", "3"], "has no option '--min-leters'; did you mean '--min-letters'?"),
        (["words", "here", "more", "-o", "out"], "'wordprint words' has no place for 'more'"),
        (["train", "here", "-o", "out", "--steps", "many"], "argument --steps: 'many' is not a whole number"),
        (["train", "here"], "the following arguments are required: -o/--output"),
        (["prepare", "-o", "out"], "the following arguments are required: SOURCE"),
        (["run", "--train.steps"], "argument --train.steps: expected one argument"),
    ],
)
def test_usage_errors_are_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("wordprint: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_run_explains_itself_on_one_screen(capsys):
    for arguments, lines in ((["run", "--help"], (10, 40)), (["run", "--help-all"], (200, 700))):
        with pytest.raises(SystemExit):
            main(arguments)
        text = capsys.readouterr().out
        assert lines[0] < len(text.splitlines()) < lines[1]
        assert "(default: )" not in text
        assert "None" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_recipe_is_offered_where_it_has_a_section(name, capsys):

    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert ("--recipe" in capsys.readouterr().out) == (name in ("run", "plan") or hasattr(RunConfig(), name))


def test_flags_of_sections_lists_and_switches_reach_the_stage(monkeypatch):
    seen = {}
    monkeypatch.setattr("wordprint.pipeline.run", lambda work, config, **how: seen.update(work=work, config=config, **how) or [])
    flags = "--train.steps 7 --evaluate.shots 1 5 --export.no-int8 --words.min_goodness none --align.phones -j 3 --overwrite"
    assert main(["run", "a", "kaldi:b", "--work", "there", *flags.split()]) == 0
    config = seen["config"]
    assert config.sources == ("a", "kaldi:b")
    assert (config.train.steps, config.evaluate.shots, config.export.int8) == (7, (1, 5), False)
    assert (config.words.min_goodness, config.align.phones) == ("none", True)
    assert (seen["work"], seen["workers"], seen["overwrite"]) == (Path("there"), 3, True)


def test_a_list_that_is_given_twice_adds_up(monkeypatch):
    seen = {}
    monkeypatch.setattr("wordprint.pipeline.run", lambda work, config, **how: seen.update(config=config) or [])
    flags = "--words.exclude_words good night --words.exclude_words hello --evaluate.shots 1 --evaluate.shots 5"
    assert main(["run", "a", *flags.split()]) == 0
    assert seen["config"].words.exclude_words == ("good", "night", "hello")
    assert seen["config"].evaluate.shots == (1, 5)


@pytest.mark.parametrize(("workers", "pressed"), [("1", signal.SIGINT), ("2", signal.SIGINT), ("2", signal.SIGTERM)])
def test_ctrl_c_says_how_to_go_on(tmp_path, workers, pressed):
    """SIGTERM, which comes to one process alone, does the same, and no worker goes on."""
    command = [sys.executable, "-m", "wordprint", "prepare", "synthetic", "-o", str(tmp_path / "out"), "-j", workers]
    command += ["--synthetic-utterances", "5000"]
    runner = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "out").glob(".parts/*.jsonl")):
        time.sleep(0.02)
    if pressed == signal.SIGTERM:
        runner.terminate()
    else:
        os.killpg(runner.pid, signal.SIGINT)  # as a terminal does
    error = runner.communicate(timeout=120)[1]
    assert runner.returncode == 130
    assert error.strip().splitlines()[-1] == "wordprint: error: stopped; run the same command again to go on where it stopped"
    assert "Traceback" not in error


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(small_disk):
    arguments = ["prepare", "synthetic", "-o", small_disk / "out", "--synthetic-utterances", "40", "-j", "1"]
    assert "no space left" in one_line_error(wordprint(*arguments))
    assert not (small_disk / "out/stage.json").exists()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = wordprint(*arguments)
    assert result.returncode == 0, result.stderr
    assert (small_disk / "out/stage.json").exists()


def test_a_file_that_may_not_be_read_is_one_line(monkeypatch, capsys):
    def refuse(name, arguments):
        raise PermissionError(13, "Permission denied", "words/alignments.jsonl")

    monkeypatch.setattr("wordprint.commands.dispatch", refuse)
    assert main(["words"]) == 2
    expected = "wordprint: error: words/alignments.jsonl can't be opened: Permission denied; check its permissions\n"
    assert capsys.readouterr().err == expected


def test_the_reference_is_up_to_date():
    script = runpy.run_path(str(REPOSITORY / "docs/make_cli_reference.py"))
    assert (REPOSITORY / "docs/cli.md").read_text(encoding="utf-8") == script["render"](), "run 'make docs'"
