"""What a row of the table of commands says, and how the code that it names is found."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordprint.stages.packages import require


@dataclass(frozen=True, slots=True)
class Argument:
    """What a command takes besides its options: by place, or by name where it is a `flag`.

    `many`: any number; a default makes it optional. `kind` is the type of a value; bool flags are switches.
    """

    name: str
    help: str
    kind: Any = Path
    metavar: str = ""
    many: bool = False
    default: Any = ...
    flag: bool = False
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One row. A stage is called as `function(*arguments, output, options, **how_to_run)`.

    `functions`: what it offers to Python as `module:name`; the first is the stage itself. `options`: its options classes, by the
    parameter that takes them. `command`: the function that the command line calls instead of the stage. `run`: whether `run` goes
    through it.
    """

    name: str
    summary: str
    help: str
    functions: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    command: str = ""
    workers: bool = False
    output: bool = True
    overwrite: bool = True
    extras: tuple[str, ...] = ()
    run: bool = False


def load(path: str, extras: Sequence[str] = (), purpose: str = "") -> Any:
    """What `module:name` names; where an import fails for want of one of the `extras`, MissingExtraError says how to install it."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        if extras:
            require(extras, purpose)
        raise
