"""Synthetic corpus: sentences spoken by many espeak-ng voices, with the true time of each word.

LibriSpeech layout under OUTPUT/synthetic, and `words.jsonl`: one line per utterance with `utterance_id`, `speaker`, `voice`
and `words`, a list of [word, start_s, end_s]. The recordings are slightly noisy and differ in rate, pitch and level.
Nobody states a licence of the speech; the program that makes it, espeak-ng, is GPL-3.0-or-later. Each utterance says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from wordprint.corpora import librispeech
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import Problem
from wordprint.corpora.sentences import draw_sentences
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.audio import write_audio
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import Speaker, draw_speakers, speak
from wordprint.stages.contract import StageRun
from wordprint.stages.manifest import atomic_path, read_jsonl, write_jsonl, write_text

FOLDER = "synthetic"
SUBSET = "espeak"
WORDS = f"{FOLDER}/words.jsonl"
LICENCE = "not stated; spoken by espeak-ng, a program under GPL-3.0-or-later"

_SHARD_SIZE = 32  # utterances that one task speaks
_CHAPTER_SIZE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """What one speaker says; `seed` decides the small differences between their recordings."""

    utterance_id: str
    speaker: Speaker
    text: str
    seed: tuple[int, int]


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """What `write_corpus` wrote: English in the layout of LibriSpeech."""
    for found in librispeech.prepare(path, replace(config, language="en")):
        yield found if isinstance(found, Problem) else replace(found, meta={**found.meta, "licence": LICENCE})


def write_corpus(stage: StageRun, config: PrepareConfig) -> list[str]:
    """Speak the corpus of `config` into OUTPUT/synthetic; returns the files of it that the receipt is to name."""
    folder, total = stage.output / FOLDER, config.synthetic_utterances
    speakers = draw_speakers(config.synthetic_speakers, config.seed)
    work = partial(_speak_shard, folder=folder)
    lines = _plan(config, speakers)
    spoken = stage.map_shards("synthesise", lines, work, shard_size=_SHARD_SIZE, total=total, unit="utterances")
    write_jsonl(stage.output / WORDS, _counted(stage, spoken))
    records = read_jsonl(stage.output / WORDS)
    for (speaker, chapter), chapter_records in groupby(records, lambda record: tuple(record["utterance_id"].split("-")[:2])):
        text = "".join(f"{r['utterance_id']} {' '.join(word[0] for word in r['words']).upper()}\n" for r in chapter_records)
        write_text(folder / SUBSET / speaker / chapter / f"{speaker}-{chapter}.trans.txt", text)
    table = [f"{s.speaker} | U | {SUBSET} | 0 | {s.voice.name}\n" for s in speakers]
    write_text(folder / "SPEAKERS.TXT", ";ID | SEX | SUBSET | MINUTES | NAME\n" + "".join(table))
    return [WORDS]


def _plan(config: PrepareConfig, speakers: list[Speaker]) -> Iterator[Line]:
    """Who says what, speaker by speaker."""
    sentences = draw_sentences(config.synthetic_utterances, np.random.default_rng((config.seed, 1)))
    share, rest = divmod(config.synthetic_utterances, len(speakers))
    index = 0
    for place, speaker in enumerate(speakers):
        for number in range(share + (place < rest)):
            chapter, position = divmod(number, _CHAPTER_SIZE)
            utterance_id = f"{speaker.speaker}-{chapter + 1}-{position:04d}"
            yield Line(utterance_id, speaker, next(sentences), (config.seed, 2 + index))
            index += 1


def _speak_shard(lines: list[Line], folder: Path) -> list[dict[str, Any]]:
    """Write the recordings; a JSON record for each, with the true times of its words."""
    records = []
    with Synthesiser() as synthesiser:
        for line in lines:
            record: dict[str, Any] = {"utterance_id": line.utterance_id, "speaker": line.speaker.speaker}
            record["voice"] = line.speaker.voice.name
            try:
                samples, words = speak(synthesiser, line.text, line.speaker, np.random.default_rng(line.seed))
            except InputError as error:
                records.append(record | {"problem": str(error)})
                continue
            speaker, chapter, _ = line.utterance_id.split("-")
            with atomic_path(folder / SUBSET / speaker / chapter / f"{line.utterance_id}.flac") as path:
                write_audio(path, samples)
            records.append(record | {"words": [[w.symbol, round(w.start_s, 5), round(w.end_s, 5)] for w in words]})
    return records


def _counted(stage: StageRun, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What could be spoken; the rest is dropped."""
    for record in records:
        if "problem" in record:
            stage.drop(record["utterance_id"], "synthesis", record["problem"])
        else:
            yield record
