"""The table of stages: a new one is a row and its own module; commands, Python and the reference follow."""

from __future__ import annotations

import dataclasses
import importlib
import json
import runpy
import sys
from pathlib import Path

import pytest

from wordprint import cli, pipeline
from wordprint.errors import MissingExtraError
from wordprint.stages import command, table
from wordprint.stages.command import Argument, Command, load
from wordprint.stages.options import help_texts
from wordprint.stages.table import TABLE

REPOSITORY = Path(__file__).resolve().parents[2]

STAGE = '''
from dataclasses import dataclass
from pathlib import Path
from wordprint.stages.contract import run_stage
from wordprint.stages.options import option


@dataclass(frozen=True)
class CountConfig:
    """Count lines."""

    least: int = option(1, at_least=1)
    """Fewest letters of a line that counts."""


def count(text, output, config=CountConfig(), **how):
    """Count the lines of `text`."""

    def work(stage):
        lines = [line for line in Path(text).read_text().splitlines() if len(line) >= config.least]
        (stage.output / "count.txt").write_text(str(len(lines)))
        return stage.finish(total=len(lines), kept=len(lines), outputs=["count.txt"])

    return run_stage("count", work, output, config, {"text": text}, **how)
'''

ROW = Command(
    name="count",
    summary="count lines",
    help="Count the lines of a text.",
    functions=("my_count:count",),
    arguments=(Argument("text", "A text."),),
    options=(("config", "my_count:CountConfig"),),
)


@pytest.fixture
def new_stage(tmp_path, monkeypatch):
    (tmp_path / "my_count.py").write_text(STAGE)
    (tmp_path / "text").write_text("a\nbbb\ncccc\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(table, "TABLE", (*TABLE, ROW))
    monkeypatch.setitem(table.COMMANDS, "count", ROW)
    yield tmp_path
    sys.modules.pop("my_count", None)


def test_a_row_and_a_module_are_a_command(new_stage, capsys):
    arguments = ["count", str(new_stage / "text"), "-o", str(new_stage / "out")]
    assert cli.main([*arguments, "--least", "3"]) == 0
    assert capsys.readouterr().out.startswith("count: 2 of 2 kept")
    assert (new_stage / "out/count.txt").read_text() == "2"
    assert json.loads((new_stage / "out/stage.json").read_text())["config"] == {"least": 3}
    assert cli.main([*arguments, "--least", "0"]) == 2
    assert "least is 0; expected at least 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["count", "--help"])
    assert "Fewest letters of a line that counts. (default: 1; at least 1)" in " ".join(capsys.readouterr().out.split())


def test_it_is_a_function_of_the_pipeline_and_in_the_reference(new_stage, monkeypatch):
    again = importlib.reload(pipeline)
    try:
        assert again.count(new_stage / "text", new_stage / "out").counts["kept"] == 3
    finally:
        monkeypatch.undo()
        importlib.reload(pipeline)


def test_the_reference_names_it(new_stage):
    page = runpy.run_path(str(REPOSITORY / "docs/make_cli_reference.py"))["render"]()
    assert "## wordprint count" in page
    assert "| `--least` | int | 1 | at least 1 | Fewest letters of a line that counts. |" in page


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_is_true(row):
    for path in (*row.functions, *([row.command] if row.command else []), *(path for _, path in row.options)):
        assert callable(load(path)), path
    for _, path in row.options:
        options = load(path)
        assert options.__dataclass_params__.frozen
        assert set(help_texts(options)) == {field.name for field in dataclasses.fields(options)}


def test_a_function_without_its_extra_is_told_with_what_brings_it(monkeypatch):
    monkeypatch.setattr(command, "require", lambda extras, purpose: (_ for _ in ()).throw(MissingExtraError(f"{purpose} {extras}")))
    with pytest.raises(MissingExtraError, match="'x' \\('train',\\)"):
        load("no_such_module:run", ("train",), "'x'")
    with pytest.raises(ImportError):
        load("no_such_module:run")
