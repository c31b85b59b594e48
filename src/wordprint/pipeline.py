"""The stages as functions, and `run`, which calls them in order and skips what is done.

    from wordprint import pipeline
    pipeline.prepare(["librispeech:/data/LibriSpeech"], "work/prepare")
    pipeline.validate("work/prepare", "work/validate")
    …

The names are those of the table of stages. Each loads its own dependencies when it is first used.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Unpack

from wordprint.config import RunConfig
from wordprint.errors import ConfigError, DatasetError, WordprintError
from wordprint.stages.command import Command, load
from wordprint.stages.contract import HowToRun
from wordprint.stages.options import check
from wordprint.stages.packages import require
from wordprint.stages.progress import SILENT
from wordprint.stages.receipt import Receipt
from wordprint.stages.table import COMMANDS, TABLE

_HOMES = {path.partition(":")[2]: (path, row) for row in TABLE for path in row.functions}

__all__ = ["run", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    path, row = _HOMES[name]
    require(row.extras, f"'{row.name}'")
    return load(path, row.extras, f"'{row.name}'")


def __dir__() -> list[str]:
    return __all__


def run(work: str | Path, config: Any = RunConfig(), **how: Unpack[HowToRun]) -> list[Receipt]:
    """Corpora to spotter: prepare → validate → align → words → train → export → evaluate (and the demo, if asked for).

    Every option, name and extra is checked before the first stage. Each stage has its folder under `work`; one that is done is
    skipped, one that was killed goes on. The model that is evaluated is the exported one, since that is what a device will run. A
    corpus too small to evaluate on is told so and the run goes on. Returns the stages' receipts in order.
    """
    check_run(config)
    work = Path(work)
    folder = {row.name: work / row.name for row in TABLE if row.run}
    model = folder["export"] / "model.onnx"
    own_words = () if config.evaluate.stream or config.evaluate.phrases else (folder["words"],)
    inputs: dict[str, tuple[Any, ...]] = {
        "prepare": (config.sources,),
        "train": (folder["words"],),
        "export": (folder["train"],),
        "evaluate": (model, (*own_words, *config.evaluate_on)),
    }
    receipts: list[Receipt] = []
    previous = Path()
    for name, output in folder.items():
        row = COMMANDS[name]
        extra: dict[str, Any] = {"words": folder["words"]} if name == "export" else {}
        stage = load(row.functions[0])
        try:
            receipts.append(stage(*inputs.get(name, (previous,)), output, getattr(config, name), **extra, **_accepted(row, how)))
        except WordprintError as error:
            _name_options_of_run(error, name, config)
            if name != "evaluate" or not isinstance(error, DatasetError):
                raise
            (how.get("progress") or SILENT).say(f"evaluate: skipped, as {error}")  # the model is made all the same
        else:
            if receipts[-1].fresh:
                (how.get("progress") or SILENT).say(receipts[-1].summary)
        previous = output
    if config.demo.keywords:
        demo = load("wordprint.desk.demo:demo")
        receipts.append(demo(model, work / "demo", config.demo, config.prepare, config.spot, **_accepted(COMMANDS["train"], how)))
    return receipts


def _accepted(row: Command, how: HowToRun) -> dict[str, Any]:
    return {name: value for name, value in how.items() if name != "workers" or row.workers}


def _name_options_of_run(error: WordprintError, stage: str, config: Any) -> None:
    """Turn the options that the advice of `stage` names into those of `run`: `--no-int8` into `--export.no-int8`.

    One that another stage has, and no third, is that stage's: `validate` names the aligner.
    """
    stages = [row.name for row in TABLE if row.run]

    def has(name: str, option: str) -> bool:
        known = {field.name.replace("_", "-") for field in dataclasses.fields(getattr(config, name))}
        return option in known or option.removeprefix("no-") in known

    def full(match: re.Match[str]) -> str:
        homes = [stage] if has(stage, match[1]) else [name for name in stages if has(name, match[1])]
        return f"--{homes[0]}.{match[1]}" if len(homes) == 1 else match[0]

    named = re.compile(r"(?<![^\s(])--([a-z0-9-]+)(?: of '[a-z]+')?")
    error.expected, error.remedy = (named.sub(full, text) for text in (error.expected, error.remedy))


def check_run(config: Any) -> None:
    """Find every mistake that can be found before hours of work: options, names, paths, corpora, extras."""
    from wordprint.corpora.source import load_reader, parse_source
    from wordprint.speech.text import base_language

    check(config)
    if not config.sources:
        raise ConfigError("no corpus was given", expected="at least one source: PATH, KIND:PATH, or 'synthetic'")
    kinds = [parse_source(text).kind for text in config.sources]
    for kind in kinds:
        if kind not in (None, "synthetic"):
            load_reader(kind)
    if config.align.aligner == "pocketsphinx" and base_language(config.prepare.language) != "en":
        raise ConfigError(
            f"prepare.language is '{config.prepare.language}', and pocketsphinx's model is English",
            remedy="set align.aligner to mfa, or to textgrid with alignments that you have",
        )
    synthetic = ("synthetic",) if "synthetic" in kinds or config.demo.keywords else ()
    require(tuple(extra for row in TABLE if row.run for extra in row.extras) + synthetic, "'run'")
