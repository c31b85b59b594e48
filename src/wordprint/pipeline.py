"""The stages as functions, and `run`, which calls them in order and skips what is done.

    from wordprint import pipeline
    pipeline.prepare(["librispeech:/data/LibriSpeech"], "work/prepare")
    pipeline.validate("work/prepare", "work/validate")
    …

The names are those of the command line. Each loads its own dependencies when it is first used.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordprint.config import RunConfig
from wordprint.errors import DatasetError, InputError, WordprintError
from wordprint.stages.cluster import Cluster
from wordprint.stages.contract import Receipt
from wordprint.stages.lazy import lazy_names
from wordprint.stages.progress import SILENT, Progress

if TYPE_CHECKING:
    from wordprint.align.calibrate import calibrate_goodness
    from wordprint.align.comparison import compare_alignments
    from wordprint.align.stage import align
    from wordprint.corpora.stage import prepare
    from wordprint.desk.info import info
    from wordprint.download.stage import download
    from wordprint.evaluate.outliers import outliers
    from wordprint.evaluate.stage import evaluate
    from wordprint.export.stage import export
    from wordprint.spot.enroll import enroll
    from wordprint.spot.stream import spot
    from wordprint.train.inspect import inspect_triplets
    from wordprint.train.stage import train
    from wordprint.validate.stage import validate
    from wordprint.words.convert import convert
    from wordprint.words.inspect import inspect_words
    from wordprint.words.stage import words

__all__ = [
    "align",
    "calibrate_goodness",
    "compare_alignments",
    "convert",
    "download",
    "enroll",
    "evaluate",
    "export",
    "info",
    "inspect_triplets",
    "inspect_words",
    "outliers",
    "prepare",
    "run",
    "spot",
    "train",
    "validate",
    "words",
]

_HOMES = {
    "download": "wordprint.download.stage",
    "prepare": "wordprint.corpora.stage",
    "validate": "wordprint.validate.stage",
    "align": "wordprint.align.stage",
    "calibrate_goodness": "wordprint.align.calibrate",
    "compare_alignments": "wordprint.align.comparison",
    "words": "wordprint.words.stage",
    "train": "wordprint.train.stage",
    "evaluate": "wordprint.evaluate.stage",
    "export": "wordprint.export.stage",
    "enroll": "wordprint.spot.enroll",
    "spot": "wordprint.spot.stream",
    "convert": "wordprint.words.convert",
    "info": "wordprint.desk.info",
    "inspect_words": "wordprint.words.inspect",
    "inspect_triplets": "wordprint.train.inspect",
    "outliers": "wordprint.evaluate.outliers",
}
_load = lazy_names(__name__, _HOMES)
__getattr__ = _load


def __dir__() -> list[str]:
    return __all__


def run(
    work: str | Path,
    config: RunConfig = RunConfig(),
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Receipt]:
    """Corpora to spotter: prepare → validate → align → words → train → export → evaluate (and the demo, if asked for).

    Every stage has its folder under `work`; one that is done is skipped, one that was killed goes on. The model that
    is evaluated is the exported one, since that is what a device will run. A corpus too small to evaluate on is told so and
    the run goes on. Returns the stages' receipts in order.
    """
    _check(config)
    work = Path(work)
    folder = {name: work / name for name in ("prepare", "validate", "align", "words", "train", "export", "evaluate", "demo")}
    shared: dict[str, Any] = {"overwrite": overwrite, "progress": progress or SILENT}
    parallel = {**shared, "workers": workers}
    model = folder["export"] / "model.onnx"
    steps = [
        ("prepare", (config.sources, folder["prepare"], config.prepare), parallel),
        ("validate", (folder["prepare"], folder["validate"], config.validate), parallel),
        ("align", (folder["validate"], folder["align"], config.align), parallel),
        ("words", (folder["align"], folder["words"], config.words), parallel),
        ("train", (folder["words"], folder["train"], config.train), shared),
        ("export", (folder["train"], folder["export"], config.export), {**shared, "words": folder["words"]}),
        ("evaluate", (model, (folder["words"], *config.evaluate_on), folder["evaluate"], config.evaluate), shared),
    ]
    receipts = []
    for name, arguments, options in steps:
        try:
            receipts.append(_load(name)(*arguments, **options))
        except WordprintError as error:
            _name_options_of_run(error, name, config)
            if name != "evaluate" or not isinstance(error, DatasetError):
                raise
            shared["progress"].say(f"evaluate: skipped, as {error}")  # the model is made all the same
    if config.demo.keywords:
        from wordprint.desk.demo import demo

        receipts.append(demo(model, folder["demo"], config.demo, config.prepare, config.spot, **shared))
    return receipts


def _name_options_of_run(error: WordprintError, stage: str, config: RunConfig) -> None:
    """Turn the options of `stage` that the advice names into those of `run`: `--no-int8` into `--export.no-int8`."""
    known = {option.name.replace("_", "-") for option in dataclasses.fields(getattr(config, stage))}

    def full(match: re.Match[str]) -> str:
        return f"--{stage}.{match[1]}" if match[1] in known or match[1].removeprefix("no-") in known else match[0]

    error.expected, error.remedy = (re.sub(r"(?<!\S)--([a-z0-9-]+)", full, text) for text in (error.expected, error.remedy))


def _check(config: RunConfig) -> None:
    """Find mistakes in the options of late stages before hours of work."""
    from wordprint.train import options

    _check_paths(config, "")
    options.check(config.train)


def _check_paths(config: Any, section: str) -> None:
    """Raise InputError for any file or folder that an option names and that is not there: now, not after hours of work."""
    for option in dataclasses.fields(config):
        value = getattr(config, option.name)
        if dataclasses.is_dataclass(value):
            _check_paths(value, f"{option.name}.")
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and not path.exists():
                raise InputError(f"option '{section}{option.name}': {path} does not exist", expected="a file or folder")
