"""A sample of utterances that the stages are measured on: of synthetic speech, or drawn from the user's corpora."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem
from wordprint.corpora.source import SYNTHETIC, Source, find_kind, load_reader, parse_source
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.stages.manifest import read_jsonl, write_jsonl

READER = "wordprint.desk.plan.sample:read_sample"
"""The corpus reader (see `prepare`) of the files that `write_sample` writes."""

_VOICES = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Utterances as their corpora name them, by corpus; `listing_s` is what finding one took."""

    utterances: dict[str, list[Utterance]]
    listing_s: float

    def __len__(self) -> int:
        return sum(map(len, self.utterances.values()))


def draw_sample(texts: Sequence[str], config: PrepareConfig, count: int, speech: Path, workers: int) -> Sample:
    """`count` utterances (all, if there are fewer), each as likely as any other, drawn from the corpora named by `texts`.

    A source 'synthetic' is spoken into the folder `speech` first. Raises InputError for corpora without utterances.
    """
    sources = [_synthetic(source, config, count, speech, workers) for source in map(parse_source, texts)]
    started, seen = time.perf_counter(), 0
    chosen: list[tuple[str, Utterance]] = []
    rng = random.Random(config.seed)
    for item in _found(sources, config):  # one pass over any number of utterances (Vitter's algorithm R)
        seen += 1
        if len(chosen) < count:
            chosen.append(item)
        elif (place := rng.randrange(seen)) < count:
            chosen[place] = item
    if not chosen:
        raise InputError(f"no utterance was found in {', '.join(map(str, sources))}", expected="a corpus of transcribed speech")
    utterances = {source.name: [item for name, item in chosen if name == source.name] for source in sources}
    return Sample({name: items for name, items in utterances.items() if items}, (time.perf_counter() - started) / seen)


def write_sample(sample: Sample, folder: Path, repeats: int) -> list[str]:
    """The sample, `repeats` times, as sources that `prepare` reads.

    Each repetition of a recording has a file name of its own, a link: else `prepare` would not read its header again.
    """
    sources = []
    folder.mkdir(parents=True)
    for name, utterances in sample.utterances.items():
        path = folder / f"{name}.jsonl"
        repeated = (
            replace(item, utterance_id=f"{item.utterance_id}-r{turn}", audio=_alias(item.audio, folder, turn)) if turn else item
            for turn in range(repeats)
            for item in utterances
        )
        write_jsonl(path, (item.to_json() | {"end_s": item.end_s if math.isfinite(item.end_s) else None} for item in repeated))
        sources.append(f"{name}={READER}:{path}")
    return sources


def read_sample(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances that `write_sample` wrote."""
    for record in read_jsonl(path):
        yield Utterance.from_json(record | {"end_s": UNTIL_END if record["end_s"] is None else record["end_s"]})


def write_repeated(path: Path, records: Iterable[dict[str, object]], repeats: int) -> Path:
    """Lines of a manifest, `repeats` times, under new ids; returns `path`."""
    lines = list(records)
    again = (
        {**line, "utterance_id": f"{line['utterance_id']}-r{turn}"} if turn else line for turn in range(repeats) for line in lines
    )
    write_jsonl(path, again)
    return path


def _synthetic(source: Source, config: PrepareConfig, count: int, speech: Path, workers: int) -> Source:
    """A source that has a folder: synthetic speech is made now, by few voices, so that words come back."""
    if source.kind != SYNTHETIC:
        return replace(source, kind=source.kind or find_kind(source.path or Path()))
    from wordprint.corpora.stage import prepare

    settings = replace(config, synthetic_utterances=count, synthetic_speakers=min(_VOICES, count))
    prepare([SYNTHETIC], speech, settings, workers=workers)
    return Source(source.name, "librispeech", speech / SYNTHETIC)


def _found(sources: Sequence[Source], config: PrepareConfig) -> Iterator[tuple[str, Utterance]]:
    for source in sources:
        for item in load_reader(source.kind or "")(source.path or Path(), config):
            if isinstance(item, Utterance):
                yield source.name, replace(item, audio=os.path.abspath(item.audio))


def _alias(audio: str, folder: Path, turn: int) -> str:
    link = folder / f"{abs(hash(audio)):x}-{turn}{Path(audio).suffix}"
    with suppress(OSError):  # a system without links: `prepare` is then measured a little too fast
        if not link.is_symlink():
            link.symlink_to(audio)
        return str(link)
    return audio
