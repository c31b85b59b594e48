"""One thin command per stage: what the command line offers, in the words of its help. No logic of the stages.

Options of a stage come from its dataclass in `config.py`; `--recipe FILE.toml` sets their defaults.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from wordprint import pipeline
from wordprint.config import (
    AlignConfig,
    EvaluateConfig,
    ExportConfig,
    PrepareConfig,
    RunConfig,
    SpotConfig,
    TrainConfig,
    ValidateConfig,
    WordsConfig,
    read_toml,
)
from wordprint.errors import ConfigError
from wordprint.progress import for_terminal
from wordprint.stage import Receipt

Fields = TypeVar("Fields")
Flat = Annotated[Fields, arg(name="")]
"""A dataclass whose fields are options of the command itself."""
Output = Annotated[Path, arg(aliases=["-o"], metavar="FOLDER", help="Folder to write.")]
Overwrite = Annotated[FlagCreatePairsOff[bool], arg(help="Replace another run's output in that folder.")]
Workers = Annotated[int, arg(aliases=["-j"], help="Processes; 0 means one per core.")]


@dataclass(frozen=True)
class Execution:
    """How to run; none of it can change a result."""

    workers: Workers = 0
    overwrite: Overwrite = False

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a stage function."""
        if self.workers < 0:
            raise ConfigError(f"workers is {self.workers}", expected="0 (one per core) or more")
        # cores that this process may use: fewer than there are in a container or a cluster job
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return {"workers": self.workers or cores, "overwrite": self.overwrite, "progress": for_terminal()}


def prepare(
    sources: Annotated[Positional[tuple[str, ...]], arg(metavar="SOURCE...")],
    output: Output,
    config: Flat[PrepareConfig] = PrepareConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Find utterances and their transcripts in one or several corpora.

    Args:
        sources: PATH, KIND:PATH or NAME=KIND:PATH. Kinds: librispeech, kaldi, folder, metadata, synthetic, or your
            own as package.module:function.
    """
    _report(pipeline.prepare(sources, output, config, **execution.options()))


def validate(
    utterances: Positional[Path],
    output: Output,
    config: Flat[ValidateConfig] = ValidateConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Check every recording and transcript before anything expensive; writes report.html.

    Args:
        utterances: Folder that 'prepare' wrote.
    """
    _report(pipeline.validate(utterances, output, config, **execution.options()))


def align(
    utterances: Positional[Path],
    output: Output,
    config: Flat[AlignConfig] = AlignConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Find where each word and phone lies; writes TextGrids.

    Args:
        utterances: Folder that 'validate' (or 'prepare') wrote.
    """
    _report(pipeline.align(utterances, output, config, **execution.options()))


def words(
    alignments: Positional[Path],
    output: Output,
    config: Flat[WordsConfig] = WordsConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Cut a dataset of word segments, split by speaker and by word.

    Args:
        alignments: Folder that 'align' wrote.
    """
    _report(pipeline.words(alignments, output, config, **execution.options()))


def train(words: Positional[Path], output: Output, config: Flat[TrainConfig] = TrainConfig(), overwrite: Overwrite = False) -> None:
    """Train an encoder; a run that was stopped goes on from its last checkpoint.

    Args:
        words: Folder that 'words' wrote.
    """
    _report(pipeline.train(words, output, config, overwrite=overwrite, progress=for_terminal()))


def export(
    checkpoint: Positional[Path],
    output: Output,
    words: Path | None = None,
    config: Flat[ExportConfig] = ExportConfig(),
    overwrite: Overwrite = False,
) -> None:
    """Write model.onnx and model.int8.onnx, each checked against the network.

    Args:
        checkpoint: Folder that 'train' wrote.
        words: Word dataset whose validation words calibrate int8 and the default threshold.
    """
    _report(pipeline.export(checkpoint, output, config, words=words, overwrite=overwrite, progress=for_terminal()))


def evaluate(
    model: Positional[str],
    data: Annotated[Positional[tuple[Path, ...]], arg(metavar="DATA...")],
    output: Output,
    config: Flat[EvaluateConfig] = EvaluateConfig(),
    overwrite: Overwrite = False,
) -> None:
    """Score a model on words and speakers it never heard; writes metrics.json, trial lists and report.html.

    Args:
        model: ONNX file, folder that 'train' wrote, or package.module:Class of another project's model.
        data: Word folders (word/speaker_….flac) or word datasets.
    """
    _report(pipeline.evaluate(model, data, output, config, overwrite=overwrite, progress=for_terminal()))


def run(
    sources: Annotated[Positional[tuple[str, ...]], arg(metavar="SOURCE...")] = (),
    work: Path = Path("work"),
    config: Flat[RunConfig] = RunConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """All stages in order, from corpora to a model that spots keywords; what is done is skipped.

    Args:
        sources: Corpora as in 'prepare', or one recipe (FILE.toml) that names them.
        work: Folder to write; each stage has its own in it.
    """
    if sources:
        config = dataclasses.replace(config, sources=sources)
    receipts = pipeline.run(work, config, **execution.options())
    print("\n".join(str(path) for receipt in receipts for path in receipt.show))


def enroll(
    arguments: Annotated[Positional[tuple[str, ...]], arg(metavar="[MODEL.onnx] KEYWORD RECORDING...")],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE", help="Enrollment to write or add to.")] = Path("keywords.json"),
    threshold: float | None = None,
) -> None:
    """Learn a keyword from a few recordings of it (three or more are best).

    Args:
        arguments: The model (left out: the one that comes with wordprint), the keyword, and its recordings.
        threshold: Similarity that counts as a hit of this keyword; without it, the model's own.
    """
    model, arguments = _first(arguments, ".onnx")
    if len(arguments) < 2:
        usage = 'wordprint enroll [MODEL.onnx] "lights on" a.wav b.wav c.wav'
        raise ConfigError("a keyword and its recordings are needed", remedy=usage)
    made = pipeline.enroll(model, arguments[0], arguments[1:], output, SpotConfig(threshold=threshold)).keywords
    keyword = next(keyword for keyword in made if keyword.keyword == " ".join(arguments[0].split()))
    for warning in keyword.warnings:
        print(f"note: {warning}", file=sys.stderr)
    recordings = f"{len(keyword.shots)} recording{'s' * (len(keyword.shots) != 1)}"
    print(f"'{keyword.keyword}' enrolled from {recordings}, threshold {keyword.threshold:.2f} → {output}")


def spot(
    arguments: Annotated[Positional[tuple[str, ...]], arg(metavar="[MODEL.onnx] [KEYWORDS.json] RECORDING...")],
    config: Flat[SpotConfig] = SpotConfig(),
) -> None:
    """Find enrolled keywords in recordings; prints time, keyword and similarity as it goes.

    Args:
        arguments: The model (left out: the one that comes with wordprint), the enrollment (left out: keywords.json),
            and the recordings to listen to.
    """
    model, arguments = _first(arguments, ".onnx")
    enrollment, recordings = _first(arguments, ".json")
    if not recordings:
        raise ConfigError("no recording was named", remedy="wordprint spot [MODEL.onnx] [KEYWORDS.json] RECORDING...")
    for recording in recordings:
        found = 0
        for found, detection in enumerate(pipeline.spot(model, enrollment or "keywords.json", recording, config), start=1):  # noqa: B007
            where = f"{recording}\t" if len(recordings) > 1 else ""
            print(f"{where}{detection.onset_s:9.2f} s  {detection.keyword}  {detection.similarity:.3f}", flush=True)
        if not found:
            print(f"{recording}: no keyword was heard", file=sys.stderr)


def convert(
    source: Positional[Path], output: Output, to: Literal["folders", "datasets", "words"] = "folders", overwrite: Overwrite = False
) -> None:
    """Turn a word dataset into word folders or Hugging Face datasets, or either into a word dataset.

    Args:
        source: Word dataset, word folders (word/speaker_….flac), or a saved Hugging Face dataset.
        to: Form to write.
    """
    _report(pipeline.convert(source, output, to, overwrite=overwrite, progress=for_terminal()))


def info(paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH...")], as_json: FlagCreatePairsOff[bool] = False) -> None:
    """Say what is in any file or folder that wordprint wrote.

    Args:
        as_json: Print one JSON document instead of lines for people.
    """
    from wordprint.info import as_text

    for path in paths:
        found = pipeline.info(path)
        print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else as_text(found))


def dispatch(name: str, arguments: list[str]) -> None:
    """Run the command `name`; options come from its arguments, over those of `--recipe`, over the defaults."""
    command: Callable[..., None] = globals()[name]
    recipe, arguments = _take_recipe(name, arguments)
    if recipe is not None:
        settings = read_toml(recipe, RunConfig)
        default = settings if name == "run" else getattr(settings, name, None)
        if default is None:
            raise ConfigError(f"'wordprint {name}' has no options that a recipe could set")
        command = functools.partial(command, config=default)  # not wrapped: tyro would call the function inside, without it
    tyro.cli(command, prog=f"wordprint {name}", args=arguments)


def _take_recipe(name: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Split off `--recipe FILE` (for 'run', also a first argument that ends in .toml)."""
    if name == "run" and arguments and arguments[0].endswith(".toml"):
        return arguments[0], arguments[1:]
    for index, argument in enumerate(arguments):
        if argument.startswith("--recipe="):
            return argument.partition("=")[2], arguments[:index] + arguments[index + 1 :]
        if argument == "--recipe":
            if index + 1 == len(arguments):
                raise ConfigError("--recipe names no file", expected="--recipe FILE.toml")
            return arguments[index + 1], arguments[:index] + arguments[index + 2 :]
    return None, arguments


def _first(arguments: tuple[str, ...], ending: str) -> tuple[str | None, tuple[str, ...]]:
    """The first argument if it has that ending, and the rest."""
    if arguments and arguments[0].lower().endswith(ending):
        return arguments[0], arguments[1:]
    return None, arguments


def _report(receipt: Receipt) -> None:
    if receipt.fresh:  # a stage that was already done has said so
        print(receipt.summary)
