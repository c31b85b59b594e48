"""Write docs/cli.md from the commands and the configuration dataclasses; a test holds that it is up to date."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import typing
from pathlib import Path
from typing import Any

import wordprint.commands
import wordprint.config
from wordprint.cli import COMMANDS

REFERENCE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

Made by `docs/make_cli_reference.py` from `src/wordprint/commands/` and `config.py`; don't edit.

Exit codes: 0 done; 2 something you can mend (the message says what); 130 stopped with Ctrl-C, run the same command to
go on; 1 a bug in wordprint (of `doctor`: something that `run` needs is missing). Progress goes to standard error,
results to standard output. Every stage also takes `--recipe FILE.toml`, whose section of the same name sets its
options; flags win over the recipe. Stages write to `--output FOLDER` (`-o`) and replace another run's output there with
`--overwrite`. `prepare`, `validate`, `align`, `words`, `outliers` and `run` use `--workers N` (`-j`) processes (0, the
default: one per core), or those of a cluster (`--cluster dask://HOST:PORT` or `ray://HOST:PORT`). None of these changes
a result.
"""


def field_docs(cls: type) -> dict[str, str]:
    """The text under each field of a dataclass, from its source."""
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    docs = {}
    for statement, follower in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant):
            docs[statement.target.id] = " ".join(str(follower.value.value).split())  # type: ignore[union-attr]
    return docs


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, typing.get_args(hint)))
    name = str(hint) if typing.get_args(hint) else getattr(hint, "__name__", str(hint))
    return name.replace("pathlib.", "").replace("tuple[", "list of ").replace(", ...]", "").replace(" | None", "").lower()


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "–"
    return "–" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def _rows(cls: type) -> list[str]:
    hints, docs, rows = typing.get_type_hints(cls), field_docs(cls), []
    instance = cls()
    for field in dataclasses.fields(cls):
        value = getattr(instance, field.name)
        if dataclasses.is_dataclass(value):
            meaning = " ".join((inspect.getdoc(type(value)) or "").split())
            rows.append(f"| `--{field.name}.…` | options of '{field.name}' | | {meaning} |")
            continue
        flag = f"--{field.name.replace('_', '-')}"
        rows.append(f"| `{flag}` | {_type_name(hints[field.name])} | {_default(value)} | {docs[field.name]} |".replace("||", "|"))
    return rows


def _command(name: str) -> str:
    command = wordprint.commands.COMMANDS[name]
    text = inspect.getdoc(command) or ""
    summary, _, arguments = text.partition("Args:")
    lines = [f"## wordprint {name}\n", summary.strip() + "\n"]
    described = re.findall(r"^    (\w+): ((?:.+\n?)(?:^ {8}.+\n?)*)", arguments, flags=re.MULTILINE)
    lines += [f"- *{argument}*: {' '.join(meaning.split())}" for argument, meaning in described]
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(parameter.default) and parameter.name != "execution":
            rows = _rows(type(parameter.default))
            lines += ["", "| option | type | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def render() -> str:
    """The whole reference as Markdown."""
    return HEAD + "\n" + "\n".join(_command(name) for name in COMMANDS)


if __name__ == "__main__":
    REFERENCE.write_text(render(), encoding="utf-8")
