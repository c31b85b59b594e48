"""One thin command per stage, in the words of its help; options come from the stage's dataclass in `config.py`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from wordprint import pipeline
from wordprint.commands.options import Execution, Flat, Output, Overwrite, report
from wordprint.config import (
    AlignConfig,
    EvaluateConfig,
    ExportConfig,
    OutliersConfig,
    PrepareConfig,
    RunConfig,
    TrainConfig,
    ValidateConfig,
    WordsConfig,
)
from wordprint.stages.progress import for_terminal


def prepare(
    sources: Annotated[Positional[tuple[str, ...]], arg(metavar="SOURCE...")],
    output: Output,
    config: Flat[PrepareConfig] = PrepareConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Find utterances and their transcripts in one or several corpora.

    Args:
        sources: PATH, KIND:PATH or NAME=KIND:PATH. Kinds: librispeech, common_voice, speech_commands, lhotse,
            kaldi, folder, metadata, synthetic, or your own as package.module:function.
    """
    report(pipeline.prepare(sources, output, config, **execution.options()))


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
    report(pipeline.validate(utterances, output, config, **execution.options()))


def align(
    utterances: Positional[Path],
    output: Output,
    compare: Annotated[Path | None, arg(metavar="FOLDER")] = None,
    config: Flat[AlignConfig] = AlignConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """Find where each word and phone lies; writes TextGrids.

    Args:
        utterances: Folder that 'validate' (or 'prepare') wrote.
        compare: Another set of alignments of these utterances, a folder that 'align' wrote or one of TextGrids: also write
            where they differ, to compare-NAME in the output folder.
    """
    options = execution.options()
    report(pipeline.align(utterances, output, config, **options))
    if compare is not None:
        report(pipeline.compare_alignments(output, compare, **options))


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
    report(pipeline.words(alignments, output, config, **execution.options()))


def train(words: Positional[Path], output: Output, config: Flat[TrainConfig] = TrainConfig(), overwrite: Overwrite = False) -> None:
    """Train an encoder; a run that was stopped goes on from its last checkpoint.

    Args:
        words: Folder that 'words' wrote.
    """
    report(pipeline.train(words, output, config, overwrite=overwrite, progress=for_terminal()))


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
    report(pipeline.export(checkpoint, output, config, words=words, overwrite=overwrite, progress=for_terminal()))


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
    report(pipeline.evaluate(model, data, output, config, overwrite=overwrite, progress=for_terminal()))


def outliers(
    model: Positional[str],
    words: Positional[Path],
    output: Output,
    config: Flat[OutliersConfig] = OutliersConfig(),
    execution: Flat[Execution] = Execution(),
) -> None:
    """List words that a trained model hears as another word, for 'words --drop'; writes outliers.jsonl and report.html.

    Args:
        model: ONNX file, folder that 'train' wrote, or package.module:Class of another project's model.
        words: Folder that 'words' wrote.
    """
    report(pipeline.outliers(model, words, output, config, **execution.options()))


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
