"""Options: each declared once, in a frozen dataclass, with its range; one validator checks them all.

    @dataclass(frozen=True)
    class TrainConfig:
        steps: int = option(2000, at_least=1)
        \"""Batches to train on.\"""

The text under a field is its help; its unit is the end of its name (`_s`, `_db`, `_hours`). The command line, TOML files, docs
and receipts read options here. A class may have `check`, which raises ConfigError for options that contradict each other.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import math
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wordprint.errors import ConfigError, InputError
from wordprint.stages.parts import import_part

_BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "at_least": ("at least", lambda value, bound: value >= bound),
    "above": ("more than", lambda value, bound: value > bound),
    "at_most": ("at most", lambda value, bound: value <= bound),
    "below": ("less than", lambda value, bound: value < bound),
}


def option(
    default: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    one_of: tuple[str, ...] = (),
    own: bool = False,
    used_by: Mapping[str, tuple[str, ...] | bool] = {},
    changes_results: bool = True,
    may_grow: bool = False,
    new: bool = False,
    help: str = "",
) -> Any:
    """A field of an options class.

    Args:
        at_least, above, at_most, below: Its range; of a list, that of each item.
        one_of: Names that it may have; with `own` also `package.module:name` of the user's.
        used_by: Other options and their values that use it (True: any value, False: none at all), else it is refused when set.
        changes_results: False for how to do it, not what: a run may go on, or count as done, with another value.
        may_grow: A finished stage goes on when the value is larger than the one it was done with.
        new: The path need not exist.
        help: What it is, where no text can stand under the field.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    return dataclasses.field(
        default=default,
        metadata={
            "bounds": {name: bound for name, bound in bounds.items() if bound is not None},
            "one_of": one_of,
            "own": own,
            "used_by": used_by,
            "changes_results": changes_results,
            "may_grow": may_grow,
            "new": new,
            "help": help,
        },
    )


def share(default: float, **how: Any) -> Any:
    """A field that is a share from 0 to 1."""
    return option(default, at_least=0, at_most=1, **how)


def check(config: Any, section: str = "") -> None:
    """Raises ConfigError for the first option that can't be, InputError for a path that isn't there; checks sections in turn."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{section}{field.name}"
        if dataclasses.is_dataclass(value):
            check(value, f"{name}.")
            continue
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            _check_number(name, item, field.metadata)
        _check_use(name, value, field, config)
        for item in items:
            _check_name_or_path(name, item, field.metadata, literals(hints[field.name]))
    if hasattr(config, "check"):
        try:
            config.check()
        except ConfigError as error:
            raise ConfigError(f"{section}{error.seen}", error.expected, error.remedy) from error


def _check_number(name: str, value: Any, declared: Mapping[str, Any]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} is {value}", expected="a finite number")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for bound, limit in declared.get("bounds", {}).items():
            if not _BOUNDS[bound][1](value, limit):
                raise ConfigError(f"{name} is {value:g}", expected=range_text(declared))


def _check_name_or_path(name: str, value: Any, declared: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if isinstance(value, Path) and not declared.get("new") and not value.exists():
        raise InputError(f"option '{name}': {value} does not exist", expected="a file or folder")
    if isinstance(value, str) and (known := declared.get("one_of") or names):
        check_name(name, value, known, own=declared.get("own", False))


def literals(hint: Any) -> tuple[str, ...]:
    """The values of a Literal, alone or in a union."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(value for part in typing.get_args(hint) for value in literals(part))


def check_name(option_name: str, value: str, known: tuple[str, ...], *, own: bool) -> None:
    """Raises ConfigError unless `value` is one of the `known` names or (with `own`) a `package.module:name` that imports."""
    if value in known:
        return
    if own and ":" in value:
        import_part(value, option_name)
        return
    near = difflib.get_close_matches(value, known, n=1)
    raise ConfigError(
        f"{option_name} is '{value}'",
        expected=f"one of {', '.join(known)}" + (", or package.module:name of your own" if own else ""),
        remedy=f"did you mean '{near[0]}'?" if near else "",
    )


def _check_use(name: str, value: Any, field: dataclasses.Field[Any], config: Any) -> None:
    """Raises ConfigError for an option that was set although what was chosen makes no use of it."""
    if value == field.default:
        return
    for other, users in field.metadata.get("used_by", {}).items():
        chosen = getattr(config, other)
        if users is True:
            if chosen is None:
                raise ConfigError(f"{name} is {value}, but {other} is not set", remedy=f"set {other}, or leave {field.name} out")
        elif users is False:
            if chosen is not None:
                raise ConfigError(f"{name} is set, but so is {other}, which makes no use of it", remedy=f"leave {field.name} out")
        elif chosen not in users and ":" not in chosen:
            raise ConfigError(
                f"{name} is set, but {other} is '{chosen}', which makes no use of it",
                expected=f"{other} " + " or ".join(users),
                remedy=f"leave {field.name} out",
            )


def range_text(declared: Mapping[str, Any]) -> str:
    """The range of a field's metadata in words: `at least 1`, `from 0 to 1`; empty where there is none."""
    bounds = declared.get("bounds", {})
    if {"at_least", "at_most"} == set(bounds):
        return f"from {bounds['at_least']:g} to {bounds['at_most']:g}"
    return " and ".join(f"{_BOUNDS[name][0]} {limit:g}" for name, limit in bounds.items())


def help_texts(cls: type) -> dict[str, str]:
    """What each field of an options class is: the text under it in the source, or its `help`."""
    texts = {field.name: field.metadata.get("help", "") for field in dataclasses.fields(cls)}
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # made from a table
        return texts
    body = typing.cast(ast.ClassDef, ast.parse(source).body[0]).body
    for statement, follower in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant):
            texts[typing.cast(ast.Name, statement.target).id] = " ".join(str(follower.value.value).split())
    return texts
