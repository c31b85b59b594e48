"""Commands beside the stages: what comes before them, and looking at what they made."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from wordprint import pipeline
from wordprint.commands.options import Flat, Output, Overwrite, columns, report
from wordprint.config import InspectTripletsConfig, InspectWordsConfig, RunConfig
from wordprint.errors import ConfigError
from wordprint.stages.progress import for_terminal


def download(
    corpus: Annotated[Positional[str], arg(metavar="CORPUS")] = "",
    release: Annotated[Positional[Path | None], arg(metavar="[PATH]")] = None,
    subset: tuple[str, ...] = (),
    data: Annotated[Path | None, arg(metavar="FOLDER")] = None,
    mirror: Annotated[str | None, arg(metavar="URL")] = None,
    keep_archives: FlagCreatePairsOff[bool] = False,
) -> None:
    """Bring a corpus to this machine: downloaded, checked and extracted; what is there already is left.

    Args:
        corpus: librispeech, speech-commands, musan, rirs-noises or common-voice. Without it, what can be downloaded is listed.
        release: Tarball or folder of a Common Voice release that you have.
        subset: Parts of the corpus, such as train-clean-100 dev-clean.
        data: Folder for corpora (default: the environment variable WORDPRINT_DATA).
        mirror: Server to ask first, laid out as the corpus's own is.
        keep_archives: Keep the archives that were extracted.
    """
    from wordprint.download.stage import listing, next_command

    if not corpus and not subset:
        print(listing())
        return
    if not corpus:
        raise ConfigError("no corpus was named", expected="its name before --subset: wordprint download CORPUS --subset NAME...")
    paths = pipeline.download(
        corpus, data, release=release, subsets=subset, mirror=mirror, keep_archives=keep_archives, progress=for_terminal()
    )
    print("\n".join(map(str, paths)))
    print(f"next: {next_command(corpus, paths)}")


def convert(
    source: Positional[Path],
    output: Output,
    to: Literal["folders", "datasets", "words", "lhotse"] = "folders",
    overwrite: Overwrite = False,
) -> None:
    """Turn a word dataset into word folders or Hugging Face datasets, either into a word dataset, alignments into Lhotse manifests.

    Args:
        source: Word dataset, word folders (word/speaker_….flac), a saved Hugging Face dataset, or the folder that
            'align' wrote (for lhotse).
        to: Form to write.
    """
    report(pipeline.convert(source, output, to, overwrite=overwrite, progress=for_terminal()))


def inspect(
    what: Positional[Literal["words", "triplets"]],
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="[CHECKPOINT] WORDS")],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE", help="Page to write.")] = Path("inspect.html"),
    words: Flat[InspectWordsConfig] = InspectWordsConfig(),
    triplets: Flat[InspectTripletsConfig] = InspectTripletsConfig(),
) -> None:
    """Write a page of words, or of the triplets that the miner picks: players, spectrograms, boundaries, filters.

    Args:
        what: Segments of a word dataset, or what is hard for a network at a checkpoint.
        inputs: The word dataset; for triplets first the folder that 'train' wrote, or its last.safetensors.
    """
    if len(inputs) != (1 if what == "words" else 2):
        usage = "wordprint inspect words WORDS, or: wordprint inspect triplets CHECKPOINT WORDS"
        raise ConfigError(f"'inspect {what}' with {len(inputs)} inputs", remedy=usage)
    if (words if what == "triplets" else triplets) not in (InspectWordsConfig(), InspectTripletsConfig()):
        raise ConfigError(f"an option is not one of 'inspect {what}'", remedy="see 'wordprint inspect --help'")
    if what == "words":
        print(pipeline.inspect_words(inputs[0], output, words))
    else:
        print(pipeline.inspect_triplets(inputs[0], inputs[1], output, triplets))


def info(paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH...")], as_json: FlagCreatePairsOff[bool] = False) -> None:
    """Say what is in any file or folder that wordprint wrote.

    Args:
        as_json: Print one JSON document instead of lines for people.
    """
    from wordprint.desk.info import as_text

    for path in paths:
        found = pipeline.info(path)
        print(json.dumps(found, indent=2) if as_json else as_text(found))


def plan(
    hours: float,
    sources: Annotated[Positional[tuple[str, ...]], arg(metavar="SOURCE...")] = (),
    workers: Annotated[int | None, arg(aliases=["-j"])] = None,
    work: Path = Path("."),
    utterances: int = 96,
    config: Flat[RunConfig] = RunConfig(),
) -> None:
    """Time, disk and memory that 'run' with the same options will take, from rates measured here in about a minute.

    Args:
        hours: Hours of audio to plan for.
        sources: Corpora as in 'prepare', or one recipe (FILE.toml), to measure on; without any, synthetic speech.
        workers: Processes to plan for (default: one per core); more than this machine has cores means a cluster.
        work: Folder that 'run' will write to: its disk is measured, and must be large enough.
        utterances: Utterances to measure on, drawn from all corpora.
    """
    from wordprint.desk.plan.run import as_text, disk_warning
    from wordprint.desk.plan.run import plan as measure

    if sources:
        config = dataclasses.replace(config, sources=sources)
    made = measure(hours, workers, config, work=work, utterances=utterances, progress=for_terminal())
    print(as_text(made, columns()))
    if warning := disk_warning(made):
        print(f"warning: {warning}", file=sys.stderr)


def doctor(mfa_command: str = "mfa", as_json: FlagCreatePairsOff[bool] = False) -> None:
    """Say what is installed and works, and the commands that install what is missing; exit code 1 if 'run' lacks something.

    Args:
        mfa_command: How the Montreal Forced Aligner is started, such as 'conda run --no-capture-output -n aligner mfa'.
        as_json: Print one JSON document instead of a table.
    """
    from wordprint.desk.doctor import as_text, healthy
    from wordprint.desk.doctor import doctor as examine

    found = examine(mfa_command)
    print(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2) if as_json else as_text(found, columns()))
    if not healthy(found):
        raise SystemExit(1)
