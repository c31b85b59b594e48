"""What the command line does with a row of the table: options from its arguments, over those of `--recipe`, over the defaults."""

from __future__ import annotations

import inspect
from typing import Any

from wordprint.commands.parser import parse
from wordprint.desk.index import figures
from wordprint.desk.machine import cores
from wordprint.errors import ConfigError
from wordprint.stages.cluster import Cluster
from wordprint.stages.command import Command, load
from wordprint.stages.packages import require
from wordprint.stages.progress import for_terminal
from wordprint.stages.receipt import Receipt
from wordprint.stages.recipe import read_toml
from wordprint.stages.table import COMMANDS

_MOST_WORKERS = 64  # on a machine with few cores: waiting for a slow disk they may be useful, but each takes 100 MB


def dispatch(name: str, arguments: list[str]) -> None:
    """Run the command `name`; raises WordprintError for whatever the user can mend."""
    row = COMMANDS[name]
    recipe, arguments = _take_recipe(row, arguments)
    defaults = {parameter: load(path)() for parameter, path in row.options}
    if recipe is not None:
        defaults = _from_recipe(row, recipe, defaults)
    values, options, how = parse(row, arguments, defaults)
    require(row.extras, f"'wordprint {name}'")
    output = {"output": how.pop("output")} if row.output else {}
    how = how_to_run(row, how)
    if not row.command:  # its stage, and a line of what came of it
        report(load(row.functions[0])(**values, **output, **options, **how))
        return
    command = load(row.command)
    wanted = {"how": how} if "how" in inspect.signature(command).parameters else {}
    command(**values, **output, **options, **wanted)


def report(receipt: Receipt) -> None:
    """Say what a stage did, with its first figures; one that was already done has said so."""
    if receipt.fresh:
        print("\n  ".join([receipt.summary, *figures(receipt)]))


def how_to_run(row: Command, given: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a stage function from the flags of the same names."""
    how: dict[str, Any] = {"progress": for_terminal()}
    if row.overwrite:
        how["overwrite"] = given.get("overwrite", False)
    if row.workers:
        how["workers"] = _workers(given.get("workers", 0), given.get("cluster", ""))
    return how


def _workers(workers: int, cluster: str) -> int | Cluster:
    if cluster:
        if workers:
            raise ConfigError("both workers and cluster are set", expected="one of them: a cluster has its own workers")
        return Cluster(cluster)
    limit = max(_MOST_WORKERS, 4 * cores())
    if not 0 <= workers <= limit:
        raise ConfigError(f"workers is {workers}", expected=f"0 (one per core, here {cores()}) to {limit}")
    return workers or cores()


def _from_recipe(row: Command, recipe: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """The options of this command in a recipe of `run`."""
    from wordprint.config import RunConfig

    settings = read_toml(recipe, RunConfig)
    found = settings if row.name in ("run", "plan") else getattr(settings, row.name, None)
    if found is None or "config" not in defaults:
        raise ConfigError(f"'wordprint {row.name}' has no options that a recipe could set")
    return {**defaults, "config": found}


def _take_recipe(row: Command, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Split off `--recipe FILE` (for 'run' and 'plan', also an argument that ends in .toml)."""
    for index, argument in enumerate(arguments):
        if row.name in ("run", "plan") and argument.endswith(".toml") and (index == 0 or not arguments[index - 1].startswith("-")):
            return argument, arguments[:index] + arguments[index + 1 :]
        if argument.startswith("--recipe="):
            return argument.partition("=")[2], arguments[:index] + arguments[index + 1 :]
        if argument == "--recipe":
            if index + 1 == len(arguments):
                raise ConfigError("--recipe names no file", expected="--recipe FILE.toml")
            return arguments[index + 1], arguments[:index] + arguments[index + 2 :]
    return None, arguments
