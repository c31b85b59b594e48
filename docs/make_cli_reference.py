"""Write docs/cli.md from the table of stages and their options; a test holds that it is up to date."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

from wordprint.stages.command import Command, load
from wordprint.stages.options import help_texts, range_text
from wordprint.stages.table import TABLE

REFERENCE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

Made by `docs/make_cli_reference.py` from the table of stages and the options declared in their rooms; don't edit.

Exit codes: 0 done; 2 something you can mend (the message says what); 130 stopped with Ctrl-C, run the same command to
go on; 1 a bug in wordprint (of `doctor`: something that `run` needs is missing). Progress goes to standard error,
results to standard output. Every stage also takes `--recipe FILE.toml`, whose section of the same name sets its
options; flags win over the recipe. Stages write to `--output FOLDER` (`-o`) and replace another run's output there with
`--overwrite`. {parallel} use `--workers N` (`-j`) processes (0, the default: one per core), or those of a Dask cluster
(`--cluster dask://HOST:PORT`). None of these changes a result.
"""


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"list of {_type_name(typing.get_args(hint)[0])}"
    if kinds := [kind for kind in typing.get_args(hint) if kind is not type(None)]:
        return ", ".join(map(_type_name, kinds))
    return hint.__name__.lower()


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "–"
    return "–" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def _rows(cls: type, of_run: bool) -> list[str]:
    hints, texts, rows = typing.get_type_hints(cls), help_texts(cls), []
    instance = cls()
    for field in dataclasses.fields(cls):
        value = getattr(instance, field.name)
        if dataclasses.is_dataclass(value):
            meaning = " ".join((type(value).__doc__ or "").split())
            rows.append(f"| `--{field.name}.…` | options of '{field.name}' | | | {meaning} |")
        elif not (of_run and field.name == "sources"):
            cells = [_type_name(hints[field.name]), _default(value), range_text(field.metadata) or " ", texts[field.name]]
            rows.append(f"| `--{field.name.replace('_', '-')}` | " + " | ".join(cells) + " |")
    return rows


def _command(row: Command) -> str:
    lines = [f"## wordprint {row.name}\n", row.help + "\n"]
    for argument in row.arguments:
        name = f"`--{argument.name.rstrip('_').replace('_', '-')}`" if argument.flag else f"*{argument.name}*"
        lines.append(f"- {name}: {argument.help}")
    for _, path in row.options:
        rows = _rows(load(path), of_run=row.name in ("run", "plan"))
        lines += ["", "| option | type | default | range | meaning |", "|---|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def render() -> str:
    """The whole reference as Markdown."""
    parallel = [f"`{row.name}`" for row in TABLE if row.workers]
    head = HEAD.format(parallel=", ".join(parallel[:-1]) + " and " + parallel[-1])
    return head + "\n" + "\n".join(map(_command, TABLE))


if __name__ == "__main__":
    REFERENCE.write_text(render(), encoding="utf-8")
