"""All options: the classes of every stage by name, and `RunConfig`, which has a section for each stage that `run` goes through.

    from wordprint.config import RunConfig, TrainConfig

They are declared in the rooms of their stages; the table of stages says where.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from wordprint.stages.command import load
from wordprint.stages.options import option
from wordprint.stages.table import TABLE

_HOMES = {path.partition(":")[2]: path for row in TABLE for _, path in row.options if not path.startswith(__name__)}
_HOMES |= {"DemoConfig": "wordprint.desk.options:DemoConfig"}

_SECTIONS = {row.name: row.options[0][1] for row in TABLE if row.run}
_SECTIONS |= {"spot": "wordprint.spot.options:SpotConfig", "demo": "wordprint.desk.options:DemoConfig"}


EVALUATE_ON = "Word folders or word datasets to score the model on besides the test split of the corpora."


def _run_config() -> type:
    fields: list[tuple[str, Any, Any]] = [
        ("sources", tuple[str, ...], option(("synthetic",), help="Corpora: PATH, KIND:PATH or NAME=KIND:PATH.")),
        ("evaluate_on", tuple[Path, ...], option((), help=EVALUATE_ON)),
    ]
    for name, path in _SECTIONS.items():
        options = load(path)
        fields.append((name, options, dataclasses.field(default_factory=options)))
    made = dataclasses.make_dataclass("RunConfig", fields, frozen=True)
    made.__module__ = __name__
    made.__doc__ = "The whole pipeline: one section per stage."
    return made


RunConfig: Any = _run_config()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load(_HOMES[name])


def __dir__() -> list[str]:
    return ["RunConfig", *_HOMES]
