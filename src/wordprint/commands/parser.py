"""The argument parser of a command, made from its row of the table: arguments by place, switches, and the fields of its options."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from wordprint.errors import ConfigError
from wordprint.stages.command import Argument, Command
from wordprint.stages.options import help_texts, range_text

HELP_ALL = "--help-all"


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are ConfigErrors of one line, with the nearest option that exists."""

    def error(self, message: str) -> NoReturn:
        _, _, wrong = message.partition("unrecognized arguments: ")
        if not wrong:
            raise ConfigError(message, remedy=f"see '{self.prog} --help'")
        first = wrong.split()[0]
        near = difflib.get_close_matches(first.partition("=")[0], self._option_string_actions, n=1, cutoff=0.75)
        hint = f"did you mean '{near[0]}'?" if near else f"see '{self.prog} --help'"
        raise ConfigError(f"'{self.prog}' has no {'option' if first.startswith('-') else 'place for'} '{first}'", remedy=hint)


def parse(
    row: Command, arguments: Sequence[str], defaults: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Values of the row's arguments, its options by parameter (`defaults` with what was given), and how to run it.

    Raises ConfigError for arguments that can't be, SystemExit after `--help`.
    """
    everything = HELP_ALL in arguments
    parser = build(row, defaults, everything=everything)
    words = [_with_dashes(word) for word in arguments]
    if everything or "-h" in words or "--help" in words:
        parser.print_help()
        raise SystemExit(0)
    given = vars(parser.parse_intermixed_args(words))
    values = {argument.name: given.pop(argument.name, argument.default) for argument in row.arguments}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    options = {
        name: _filled(default, {key: value for key, value in given.items() if "@" in key}, name)
        for name, default in defaults.items()
    }
    return values, options, {key: value for key, value in given.items() if "@" not in key}


def build(row: Command, defaults: dict[str, Any], *, everything: bool = False) -> Parser:
    """The parser of a row; sections of options are in its help only where `everything` is asked for."""
    parser = Parser(
        prog=f"wordprint {row.name}",
        description=row.help,
        allow_abbrev=False,
        usage=_usage(row),
        add_help=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34),
    )
    for argument in row.arguments:
        _add_argument(parser, argument)
    sections = []
    for name, default in defaults.items():
        for field, section, holder in _fields(default):
            if section and section not in sections:
                sections.append(section)
            if any(argument.name == section + field.name for argument in row.arguments):
                continue  # the argument stands for it
            hidden = bool(section) and not everything
            _add_option(parser, field, section, holder, key=f"{name}@{section}{field.name}", hidden=hidden)
    if sections and not everything:
        listing = ", ".join(section.rstrip(".") for section in sections)
        parser.epilog = f"--STAGE.OPTION sets an option of a stage ({listing}); '{HELP_ALL}' lists them."
    _add_how(parser, row)
    return parser


def _usage(row: Command) -> str:
    words = ["wordprint", row.name]
    for argument in (argument for argument in row.arguments if not argument.flag):
        word = (argument.metavar or argument.name.upper()) + ("..." if argument.many else "")
        words.append(word if argument.default is ... or word.startswith("[") else f"[{word}]")
    words += [
        f"{_flag(argument.name)} {_metavar(argument.kind)}"
        for argument in row.arguments
        if argument.flag and argument.default is ...
    ]
    return " ".join([*words, *(["-o FOLDER"] if row.output else []), "[OPTIONS]"])


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    described = argument.help + _remarks(None if argument.default is ... else argument.default)
    if argument.kind is bool:
        parser.add_argument(_flag(argument.name), action="store_true", dest=argument.name, help=described)
        return
    how: dict[str, Any] = {"type": reader(argument.kind), "help": _escaped(described)}
    if argument.flag:
        flags = [_flag(argument.name), *([f"-{argument.short}"] if argument.short else [])]
        how["metavar"] = argument.metavar or _metavar(argument.kind)
        how |= {"nargs": "*", "action": "extend"} if argument.many else {}
        parser.add_argument(*flags, dest=argument.name, required=argument.default is ..., **how)
        return
    optional = argument.default is not ...
    how["metavar"] = argument.metavar or argument.name.upper()
    if optional:
        how["default"] = argument.default
    parser.add_argument(argument.name, nargs=("*" if optional else "+") if argument.many else "?" if optional else None, **how)


def _add_option(
    parser: argparse.ArgumentParser, field: dataclasses.Field[Any], section: str, holder: Any, *, key: str, hidden: bool
) -> None:
    hint = typing.get_type_hints(type(holder))[field.name]
    remarks = _remarks(getattr(holder, field.name), range_text(field.metadata))
    text = argparse.SUPPRESS if hidden else _escaped(help_texts(type(holder)).get(field.name, "") + remarks)
    flag = _flag(section + field.name)
    if hint is bool:
        parser.add_argument(flag, _flag(f"{section}no_{field.name}"), dest=key, action=_Switch, help=text)
        return
    many = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if many else hint
    # a list may be given in one go or flag by flag: with argparse's default the last flag would silently win
    several: dict[str, Any] = {"nargs": "*", "action": "extend"} if many else {}
    parser.add_argument(flag, dest=key, type=reader(kind), metavar=_metavar(kind), help=text, **several)


class _Switch(argparse.Action):
    """`--int8` and `--no-int8`, also in a section: `--export.no-int8`."""

    def __init__(self, option_strings: Sequence[str], dest: str, **how: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **how)

    def __call__(self, parser: object, namespace: object, values: object, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, option_string == self.option_strings[0])


def _add_how(parser: argparse.ArgumentParser, row: Command) -> None:
    group = parser.add_argument_group("how to run")
    if row.output:
        group.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="Folder to write.")
    if row.workers:
        group.add_argument("-j", "--workers", type=reader(int), metavar="N", help="Processes; 0, the default: one per core.")
        text = "Dask cluster to run on instead, dask://host:port; it sees the same files."
        group.add_argument("--cluster", metavar="ADDRESS", help=text)
    if row.overwrite:
        group.add_argument(
            "--overwrite",
            action="store_true",
            help="Replace another run's output in that folder, one that is damaged or unfinished.",
        )
    if row.run or row.name in ("run", "plan", "spot"):  # a recipe has no section for the others
        group.add_argument("--recipe", metavar="FILE.toml", help="Options from this file, where no flag gives them.")
    group.add_argument("-h", "--help", action="store_true", help="Show this help.")


def _fields(default: Any, section: str = "") -> Iterator[tuple[dataclasses.Field[Any], str, Any]]:
    """Fields of an options object, and of those inside it with the section's name and a dot."""
    for field in dataclasses.fields(default):
        value = getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{section}{field.name}.")
        else:
            yield field, section, default


def _filled(default: Any, given: dict[str, Any], name: str) -> Any:
    """`default` with the values that were given for it, in its sections too."""
    changes: dict[str, Any] = {}
    for key, value in given.items():
        owner, _, path = key.partition("@")
        if owner == name and "." not in path:
            changes[path] = tuple(value) if isinstance(value, list) else value
    for field in dataclasses.fields(default):
        inner = getattr(default, field.name)
        if dataclasses.is_dataclass(inner):
            prefix = f"{name}@{field.name}."
            deeper = {f"{name}@{key[len(prefix) :]}": value for key, value in given.items() if key.startswith(prefix)}
            changes[field.name] = _filled(inner, deeper, name)
    return dataclasses.replace(default, **changes)


def reader(hint: Any) -> Callable[[str], Any]:
    """A function that reads one word of the command line as the type `hint`; argparse words its ArgumentTypeError."""

    def read(text: str) -> Any:
        for kind in _kinds(hint):
            if typing.get_origin(kind) is Literal and text in typing.get_args(kind):
                return text
            if kind is type(None) and text.lower() == "none":
                return None
            if kind in (int, float, str, Path):
                try:
                    return kind(text)
                except ValueError:
                    continue
        raise argparse.ArgumentTypeError(f"{text!r} is not {_expected(hint)}")

    return read


def _kinds(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _expected(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", Path: "a path", type(None): "none"}
    found: list[str] = []
    for kind in _kinds(hint):
        found += map(str, typing.get_args(kind)) if typing.get_origin(kind) is Literal else [names.get(kind, str(kind))]
    return " or ".join(found)


def _metavar(hint: Any) -> str:
    names = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
    kinds = [kind for kind in _kinds(hint) if kind is not type(None)]
    return "|".join("|".join(typing.get_args(k)) if typing.get_origin(k) is Literal else names.get(k, "VALUE") for k in kinds)


def _remarks(value: Any, bounds: str = "") -> str:
    """The default and the range of an option, in brackets."""
    default = ""
    if value not in (None, (), "", False) or (value == 0 and value is not False):
        default = "default: " + (" ".join(map(str, value)) if isinstance(value, tuple) else "on" if value is True else str(value))
    remarks = "; ".join(filter(None, (default, bounds)))
    return f" ({remarks})" if remarks else ""


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _flag(name: str) -> str:
    return "--" + name.rstrip("_").replace("_", "-")


def _with_dashes(word: str) -> str:
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else word
