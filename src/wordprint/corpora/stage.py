"""Stage 1: any number of corpora → one manifest of utterances.

Readers find the utterances as a stream; the headers of the recordings are read in parallel; nothing is copied.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations, product, starmap
from pathlib import Path
from typing import Any, Unpack

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem
from wordprint.corpora.source import SYNTHETIC, Source, find_kind, load_reader, parse_source, require_folder
from wordprint.errors import AudioError, ConfigError, DatasetError, InputError
from wordprint.records import Utterance, wrong_type
from wordprint.speech.audio import AudioInfo, probe_audio
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.disk_table import Table
from wordprint.stages.hashing import digest64
from wordprint.stages.manifest import UTTERANCES, atomic_write, to_line
from wordprint.stages.receipt import Receipt

SHARD_SIZE = 512
"""Recordings whose headers one task reads."""

END_TOLERANCE_S = 0.5
"""A segment may end this much after its recording (Kaldi's own tolerance); it is cut there."""

_HASH_DIGITS = 8
_ID_LIMIT = 120  # characters; with a suffix, a name that every file system takes


def prepare(
    sources: Sequence[str],
    output: str | Path,
    config: PrepareConfig = PrepareConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Write `utterances.jsonl` for the corpora named by `sources` (see `parse_source`).

    Ids and speakers begin with the name of their corpus, always: a corpus that is added renames nobody, so nobody changes
    sides in the split. `meta` holds `corpus`, `source_id` (the corpus's own id) and what the reader knows. Raises InputError
    for a corpus that is missing, DatasetError for one of which nothing can be used.
    """
    output = Path(output)
    corpora = _resolve_sources(sources, output)
    settings = _Settings(**vars(config), sources=tuple(map(str, corpora)))
    inputs = {corpus.name: corpus.path for corpus in corpora if corpus.path}

    def work(stage: StageRun) -> Receipt:
        outputs = [UTTERANCES]
        for index, corpus in enumerate(corpora):
            if corpus.kind == SYNTHETIC:
                from wordprint.corpora.synthetic import write_corpus

                outputs += write_corpus(stage, config)
                corpora[index] = replace(corpus, path=output / SYNTHETIC)
        tallies = {corpus.name: _Tally() for corpus in corpora}
        with Table() as seen, atomic_write(output / UTTERANCES) as manifest:
            for utterance in _utterances(stage, corpora, config, tallies):
                if seen.add(utterance.utterance_id):
                    manifest.write(to_line(utterance.to_json()))
                    tallies[utterance.meta["corpus"]].add(utterance)
                else:
                    stage.drop(utterance.utterance_id, "duplicate_id", f"{utterance.audio}: another utterance has this id")
            _require_usable(corpora, tallies)
            _require_distinct(tallies)
        details = {"corpora": {corpus.name: tallies[corpus.name].to_json(corpus) for corpus in corpora}}
        kept = sum(tally.utterances for tally in tallies.values())
        return stage.finish(total=kept + len(stage.dropped), kept=kept, outputs=outputs, details=details)

    return run_stage("prepare", work, output, settings, inputs, **how)


@dataclass(frozen=True)
class _Settings(PrepareConfig):
    """What decides the result: the options, and which corpora (synthetic speech is no input file)."""

    sources: tuple[str, ...] = ()


@dataclass
class _Tally:
    """What one corpus gave."""

    items: int = 0
    utterances: int = 0
    duration_s: float = 0.0
    speakers: set[str] = field(default_factory=set)
    first_problem: dict[str, str] | None = None

    def add(self, utterance: Utterance) -> None:
        self.utterances += 1
        self.duration_s += utterance.duration_s
        self.speakers.add(utterance.speaker)

    def to_json(self, corpus: Source) -> dict[str, Any]:
        hours = round(self.duration_s / 3600, 4)
        where = {"kind": corpus.kind, "path": str(corpus.path)}
        found = {"utterances": self.utterances, "speakers": len(self.speakers), "hours": hours}
        return where | found | {"licence_files": _licence_files(corpus.path)}


def _licence_files(folder: Path | None) -> list[str]:
    """Names of what says how the corpus may be used, for the bill of materials of what is trained on it."""
    names = os.listdir(folder) if folder and folder.is_dir() else []
    return sorted(name for name in names if re.match(r"licen[cs]e|copying|notice", name, re.IGNORECASE))


def _resolve_sources(sources: Sequence[str], output: Path) -> list[Source]:
    """Sources with their kinds; every mistake that can be seen before work begins is raised here."""
    corpora = [parse_source(text) for text in sources]
    if not corpora:
        raise ConfigError("no corpus was given", expected="at least one source: PATH, KIND:PATH, or 'synthetic'")
    name, count = Counter(corpus.name for corpus in corpora).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"{count} sources are called '{name}'", remedy="name them apart: NAME=KIND:PATH")
    if sum(corpus.kind == SYNTHETIC for corpus in corpora) > 1:
        raise ConfigError("'synthetic' is given more than once", expected="one synthetic corpus")
    target = Path(os.path.realpath(output))  # Path.resolve fails for a link to itself
    for index, corpus in enumerate(corpora):
        if corpus.path is None:
            continue
        if corpus.kind is None or ":" not in corpus.kind:
            require_folder(corpus.path)
        folder = Path(os.path.realpath(corpus.path))
        if target.is_relative_to(folder) or folder.is_relative_to(target):
            raise InputError(f"the output {output} and the corpus {corpus.path} lie in one another", remedy="choose another output")
        kind = corpus.kind or find_kind(corpus.path)
        load_reader(kind)
        corpora[index] = replace(corpus, kind=kind)
    return corpora


def _utterances(
    stage: StageRun, corpora: Sequence[Source], config: PrepareConfig, tallies: dict[str, _Tally]
) -> Iterator[Utterance]:
    """Utterances whose recordings have a readable header; the others are dropped on the way."""
    for record in stage.map_shards("probe", _found(corpora, config), probe, shard_size=SHARD_SIZE, unit="recordings"):
        tallies[record["corpus"]].items += 1
        if "problem" in record:
            stage.drop(**record["problem"])
            tally = tallies[record["corpus"]]
            tally.first_problem = tally.first_problem or record["problem"]
        else:
            yield Utterance.from_json(record["utterance"])


def _found(corpora: Sequence[Source], config: PrepareConfig) -> Iterator[tuple[str, Utterance | Problem]]:
    """(corpus, what its reader yields) under ids that are unique among the corpora and safe as file names."""
    for corpus in corpora:
        for item in load_reader(corpus.kind or "")(corpus.path or Path(), config):
            yield corpus.name, _adopt(item, corpus.name)


def _adopt(item: Utterance | Problem, corpus: str) -> Utterance | Problem:
    if isinstance(item, Problem):
        return Problem(_full_name(corpus, item.item), item.reason, _printable(item.detail))
    if fault := _fault(item):
        return Problem(_full_name(corpus, f"{getattr(item, 'utterance_id', item)!s:.100}"), "bad_item", _printable(fault))
    audio = os.path.abspath(item.audio)
    utterance_id = _full_name(corpus, item.utterance_id)
    if audio != _printable(audio):
        return Problem(utterance_id, "bad_file_name", f"{_printable(audio)} is not UTF-8; rename it")
    return replace(
        item,
        utterance_id=utterance_id,
        speaker=_full_name(corpus, item.speaker),
        audio=audio,
        transcript=" ".join(item.transcript.split()),
        meta={**item.meta, "corpus": corpus, "source_id": item.utterance_id},
    )


def _fault(item: Any) -> str:
    """What is wrong with the types of what a reader yielded; empty where nothing is."""
    if not isinstance(item, Utterance):
        return f"{type(item).__name__}; expected an Utterance or a Problem"
    # numbers may be names, and a path may be a Path
    names = {
        name: str(value) for name in ("utterance_id", "speaker", "audio") if isinstance(value := getattr(item, name), int | Path)
    }
    if item.transcript is None:
        return "transcript None; expected a string"
    if wrong := wrong_type(item.to_json() | names):
        return f"{wrong[0]}; expected {wrong[1]}"
    try:
        to_line(item.meta)
    except (TypeError, ValueError) as error:
        return f"meta can't be written as JSON ({error})"
    return ""


def _full_name(corpus: str, name: str) -> str:
    return safe_name(_printable(f"{corpus}-{name}"))


def safe_name(name: str) -> str:
    """`name` as a file name: `/` becomes `-`, what is no letter, mark, digit or inner dot `_`; one that changed ends in a hash.

    So no two names become one, and a name that is fine stays as it is.
    """
    safe = re.sub(r"[^\w.-]", lambda sign: sign[0] if unicodedata.category(sign[0])[0] == "M" else "_", name.replace("/", "-"))
    safe = re.sub(r"^\.|\.$", "_", safe) or "_"
    digest = digest64(name).hex()
    if len(safe.encode()) > _ID_LIMIT - (safe != name) * (_HASH_DIGITS + 1):
        return f"{safe[: _ID_LIMIT // 4]}-{digest}"
    return safe if safe == name else f"{safe}-{digest[:_HASH_DIGITS]}"


def _printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of a file name in another encoding are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def probe(items: list[tuple[str, Utterance | Problem]]) -> list[dict[str, Any]]:
    """A JSON record per item, the durations filled in from the headers of the recordings; what has none is a problem."""
    headers: dict[str, AudioInfo] = {}  # one header serves all segments of a recording
    records: list[dict[str, Any]] = []
    for corpus, item in items:
        result = item if isinstance(item, Problem) else _probe_one(item, headers)
        found = {"problem": asdict(result)} if isinstance(result, Problem) else {"utterance": result.to_json()}
        records.append({"corpus": corpus, **found})
    return records


def _probe_one(utterance: Utterance, headers: dict[str, AudioInfo]) -> Utterance | Problem:
    if (audio := _as_on_disk(utterance.audio)) != utterance.audio:
        utterance = replace(utterance, audio=audio)
    try:
        header = headers.get(utterance.audio) or probe_audio(utterance.audio)
    except (AudioError, OSError) as error:
        return Problem(utterance.utterance_id, getattr(error, "reason", AudioError.reason), str(error))
    headers[utterance.audio] = header
    end_s = header.duration_s if utterance.end_s == UNTIL_END else utterance.end_s
    if not (0.0 <= utterance.start_s < min(end_s, header.duration_s) and end_s <= header.duration_s + END_TOLERANCE_S):
        span = f"{utterance.start_s:g} to {end_s:g} s of {utterance.audio}, which lasts {header.duration_s:g} s"
        return Problem(utterance.utterance_id, "bad_segment", span)
    return replace(utterance, end_s=round(min(end_s, header.duration_s), 6))


def _as_on_disk(path: str) -> str:
    """The path, or where nothing is there, its composed or decomposed form with something there: tables and disks differ."""
    if path.isascii() or os.path.exists(path):
        return path
    folder, name = os.path.split(path)
    folders = (folder, unicodedata.normalize("NFC", folder), unicodedata.normalize("NFD", folder))
    names = (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((other for other in starmap(os.path.join, product(folders, names)) if os.path.exists(other)), path)


def _require_distinct(tallies: dict[str, _Tally]) -> None:
    """Raise ConfigError where a speaker has the same name in two corpora: `a` and `a-b` may make one of two people."""
    for (first, one), (second, other) in combinations(tallies.items(), 2):
        same = min(one.speakers & other.speakers, default=None)
        if same is not None:
            raise ConfigError(f"'{same}' is a speaker of both '{first}' and '{second}'", remedy="name them apart: NAME=KIND:PATH")


def _require_usable(corpora: Sequence[Source], tallies: dict[str, _Tally]) -> None:
    """Raise DatasetError for a corpus of which nothing is left, with the first thing that is wrong with it."""
    for corpus in corpora:
        if tallies[corpus.name].utterances:
            continue
        if not tallies[corpus.name].items:
            raise DatasetError(f"{corpus.path} holds no utterances", expected=f"a corpus of kind '{corpus.kind}'")
        first = tallies[corpus.name].first_problem
        example = f", the first: {first['item']}: {first['detail']} ({first['reason']})" if first else ""
        count = tallies[corpus.name].items
        seen = f"none of the {count} items of {corpus.path} can be used{example}"
        raise DatasetError(seen, remedy=f"check that it is the right folder, and a corpus of kind '{corpus.kind}'")
