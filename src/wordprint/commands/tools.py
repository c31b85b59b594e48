"""Commands that are more than a stage: the whole pipeline, what comes before it, and looking at what it made."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from wordprint import pipeline
from wordprint.commands import report
from wordprint.errors import ConfigError, InputError, kind_of


def run(sources: tuple[str, ...], work: Path, config: Any, how: dict[str, Any]) -> None:
    config = dataclasses.replace(config, sources=sources) if sources else config
    receipts = pipeline.run(work, config, **how)
    if not receipts:
        return
    from wordprint.desk.index import listen, next_steps, write_index

    groups: dict[str, list[tuple[object, str]]] = {
        "open": [(write_index(work), "what each stage did, with links")],
        "made": [(path, "") for receipt in receipts for path in receipt.show],
        "listen": [(path, "") for path in listen(work)],
        "next": [*next_steps(work)],
    }
    width = max(len(str(entry)) for entries in groups.values() for entry, _ in entries)
    for label, entries in groups.items():
        for number, (entry, note) in enumerate(entries):
            print(f"{label if not number else '':<8}{entry!s:<{width}}  {note}".rstrip())


def align(utterances: Path, output: Path, compare: Path | None, config: Any, how: dict[str, Any]) -> None:
    if compare is not None and not compare.exists():
        raise InputError(kind_of(compare), expected="a folder of TextGrids, or of another 'wordprint align'")
    report(pipeline.align(utterances, output, config, **how))
    if compare is not None:
        report(pipeline.compare_alignments(output, compare, **how))


def download(
    corpus: str,
    release: Path | None,
    subset: tuple[str, ...],
    data: Path | None,
    mirror: str | None,
    keep_archives: bool,
    how: dict[str, Any],
) -> None:
    from wordprint.download.stage import listing, next_command

    if not corpus and not subset:
        print(listing())
        return
    if not corpus:
        raise ConfigError("no corpus was named", expected="its name before --subset: wordprint download CORPUS --subset NAME...")
    paths = pipeline.download(corpus, data, release=release, subsets=subset, mirror=mirror, keep_archives=keep_archives, **how)
    print("\n".join(map(str, paths)))
    print(f"next: {next_command(corpus, paths)}")


def convert(source: Path, output: Path, to: str, how: dict[str, Any]) -> None:
    report(pipeline.convert(source, output, to, **how))


def inspect(what: str, inputs: tuple[Path, ...], output: Path, words: Any, triplets: Any) -> None:
    usage = "wordprint inspect words WORDS, or: wordprint inspect triplets CHECKPOINT WORDS"
    wanted = {"words": 1, "triplets": 2}
    if len(inputs) != wanted.get(what):
        raise ConfigError(f"'inspect {what}' with {len(inputs)} inputs", remedy=usage)
    unused = triplets if what == "words" else words
    if unused != type(unused)():
        names = [field.name for field in dataclasses.fields(unused) if getattr(unused, field.name) != field.default]
        raise ConfigError(f"{names[0]} is no option of 'inspect {what}'", remedy="see 'wordprint inspect --help'")
    if what == "words":
        print(pipeline.inspect_words(inputs[0], output, words))
    else:
        print(pipeline.inspect_triplets(inputs[0], inputs[1], output, triplets))


def info(paths: tuple[Path, ...], as_json: bool) -> None:
    from wordprint.desk.info import as_text

    if not paths:
        raise ConfigError("no path was given", expected="wordprint info PATH...: any file or folder that wordprint wrote")
    for path in paths:
        found = pipeline.info(path)
        print(json.dumps(found, indent=2) if as_json else as_text(found))


def plan(
    hours: float,
    sources: tuple[str, ...],
    workers: int | None,
    work: Path,
    utterances: int,
    from_: Path | None,
    config: Any,
    how: dict[str, Any],
) -> None:
    from wordprint.config import RunConfig
    from wordprint.desk.plan import as_text, disk_warning, plan_from_run, plan_from_sample

    config = dataclasses.replace(config, sources=sources) if sources else config
    if from_ is None:
        pipeline.check_run(config)
        made = plan_from_sample(hours, workers, config, work=work, utterances=utterances, **how)
    elif (workers, utterances, config) == (None, 96, RunConfig()):
        made = plan_from_run(hours, from_)
    else:
        raise ConfigError("--from comes with other options", expected="--hours and --work alone: the receipts tell the rest")
    print(as_text(made, columns()))
    if warning := disk_warning(made, work):
        print(f"warning: {warning}", file=sys.stderr)


def doctor(mfa_command: str, as_json: bool) -> None:
    from wordprint.desk.doctor import as_text, healthy
    from wordprint.desk.doctor import doctor as examine

    found = examine(mfa_command)
    print(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2) if as_json else as_text(found, columns()))
    if not healthy(found):
        raise SystemExit(1)


def columns() -> int:
    """Width of the terminal; 100 where the output goes elsewhere."""
    return shutil.get_terminal_size((100, 24)).columns
