"""Configurations from TOML files, with an error for every option that is unknown or of another type."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from wordprint.errors import ConfigError, InputError, kind_of
from wordprint.stages.textfile import read_text

Config = TypeVar("Config")


def read_toml(path: str | Path, cls: type[Config]) -> Config:
    """A configuration from a TOML file; relative paths in it are kept as they are written."""
    path = Path(path)
    if not path.is_file():
        raise InputError(kind_of(path), expected="a TOML file of options")
    try:
        values = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML ({error})") from error
    return from_dict(cls, values, str(path))


def from_dict(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """Build the frozen dataclass `cls`; raises ConfigError that names an unknown option and the nearest known one."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else f"known options: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown option '{key}'", remedy=remedy)
        arguments[name] = _convert(hints[name], value, f"{where}: option '{key}'")
    return cls(**arguments)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; raises ConfigError when it is another type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_dict(typing.cast(type, hint), value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        *others, last = (arg for arg in args if arg is not type(None))
        for other in others:
            with suppress(ConfigError):
                return _convert(other, value, where)
        return _convert(last, value, where)
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{where} is {value!r}", expected="one of " + ", ".join(map(str, args)))
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(args[0], item, where) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint)).replace("tuple", "a list")
    raise ConfigError(f"{where} is {value!r} ({type(value).__name__})", expected=wanted)
