"""What the command line offers: thin commands, no logic of the stages; `--recipe FILE.toml` sets defaults of their options."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tyro

from wordprint.commands.keywords import enroll, spot
from wordprint.commands.stages import align, evaluate, export, outliers, prepare, run, train, validate, words
from wordprint.commands.tools import convert, doctor, download, info, inspect, plan
from wordprint.config import RunConfig
from wordprint.errors import ConfigError
from wordprint.stages.recipe import read_toml

COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command
    for command in (
        *(run, download, prepare, validate, align, words, train, evaluate, outliers, export),
        *(enroll, spot, convert, inspect, info, plan, doctor),
    )
}
"""By name."""


def dispatch(name: str, arguments: list[str]) -> None:
    """Run the command `name`; options come from its arguments, over those of `--recipe`, over the defaults."""
    command = COMMANDS[name]
    recipe, arguments = _take_recipe(name, arguments)
    if recipe is not None:
        settings = read_toml(recipe, RunConfig)
        default = settings if name in ("run", "plan") else getattr(settings, name, None)
        if default is None:
            raise ConfigError(f"'wordprint {name}' has no options that a recipe could set")
        command = functools.partial(command, config=default)  # not wrapped: tyro would call the function inside, without it
    tyro.cli(command, prog=f"wordprint {name}", args=arguments)


def _take_recipe(name: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Split off `--recipe FILE` (for 'run', also a first argument that ends in .toml)."""
    if name in ("run", "plan") and arguments and arguments[0].endswith(".toml"):
        return arguments[0], arguments[1:]
    for index, argument in enumerate(arguments):
        if argument.startswith("--recipe="):
            return argument.partition("=")[2], arguments[:index] + arguments[index + 1 :]
        if argument == "--recipe":
            if index + 1 == len(arguments):
                raise ConfigError("--recipe names no file", expected="--recipe FILE.toml")
            return arguments[index + 1], arguments[:index] + arguments[index + 2 :]
    return None, arguments
