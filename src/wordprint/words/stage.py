"""Stage `words`: from alignments to a word dataset.

Two passes, because a filter needs counts over the whole corpus first. The first runs in parallel over shards of
utterances: it stores their audio and cuts candidates. The second, over the candidates alone, filters by the counts of
their word types and writes the segments. What is held in memory grows with the word types, not with the utterances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError, InputError, WordprintError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE, read_audio, to_int16
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.drops import NAMED_PER_REASON
from wordprint.stages.hashing import hash64, mix
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve
from wordprint.stages.receipt import Receipt
from wordprint.words.cut import Segment, cut
from wordprint.words.drop_list import DropList
from wordprint.words.filters import candidates_path, drop_table, write_segments
from wordprint.words.options import WordsConfig
from wordprint.words.rules import LISTED, Rules
from wordprint.words.shares import fit_shares
from wordprint.words.store import (
    arrow,
    audio_batches,
    audio_name,
    audio_schema,
    candidate_schema,
    phone_schema,
    phones_name,
    write_table,
)

Loaded = tuple[NDArray[np.int16], Alignment]
Load = Callable[[dict[str, Any]], Loaded]
"""The audio (n,) and alignment of a record; raises WordprintError for one that can't be used."""

_NEEDED = ("utterance_id", "speaker", "audio", "start_s", "end_s", "transcript", "textgrid")


def words(alignments: str | Path, output: str | Path, config: WordsConfig = WordsConfig(), **how: Unpack[HowToRun]) -> Receipt:
    """Cut the utterances of `align` into word and phrase segments and write them as a word dataset.

    `alignments` is the folder that `align` wrote (or its alignments.jsonl). The receipt counts segments: `in` are all
    words and phrases, and one for each utterance that could not be read. Raises DatasetError when too little is left.
    """
    manifest = resolve(alignments, ALIGNMENTS, "align")
    inputs = {"alignments": manifest, **{f"exclude_words_from {path}": path for path in config.exclude_words_from}}
    if (manifest.parent / "textgrids").is_dir():
        inputs["textgrids"] = manifest.parent / "textgrids"
    inputs |= {f"drop {path}": path for path in config.drop}

    def work(stage: StageRun) -> Receipt:
        rules, lines = fit_shares(aligned_records(manifest), Rules.of(config, aligned_records(manifest)))
        if config.min_goodness == "auto" and rules.min_goodness is not None:
            lines = [*lines, f"min_goodness is {rules.min_goodness} (first percentile)"]
        for line in [*lines, *_absent(config.exclude_speakers, manifest)]:
            stage.progress.say(f"words: {line}")
        listed = DropList.read(config.drop)
        records, load = partial(listed.mark, partial(aligned_records, manifest)), partial(load_aligned, manifest.parent)
        return build(stage, records, load, rules, listed=listed)

    return run_stage("words", work, output, config, inputs, **how)


def build(
    stage: StageRun,
    records: Callable[[], Iterable[dict[str, Any]]],
    load: Load,
    rules: Rules,
    *,
    for_training: bool = True,
    listed: DropList | None = None,
) -> Receipt:
    """Both passes over `records` (called twice: to find the shards, to read them); `load` is sent to the workers.

    `for_training` raises DatasetError where nothing could be learnt from the dataset. What `records` has marked as `listed`
    is dropped.
    """
    arrow()
    sizes = list(_shard_sizes(records(), rules.config.shard_hours))
    items = enumerate(_groups(records(), sizes))
    work = partial(_cut_shards, output=stage.output, load=load, rules=rules)
    shards = []
    for shard in stage.map_shards("words", items, work, shard_size=1, total=len(sizes), unit="shards"):
        for drop in shard.pop("unusable"):
            stage.drop(drop["item"], drop["reason"], drop["detail"])
        for reason, names in shard.pop("examples").items():
            stage.drop_many(reason, shard["dropped"][reason], names)
        shards.append(shard)
    if for_training:
        _require_variety(shards, stage.dropped.counts)
    gates = {} if rules.min_goodness is None else {"min_goodness": rules.min_goodness}
    if listed:
        gates |= listed.report(stage, sum(shard["listed"] for shard in shards))
    return write_segments(stage, shards, rules, sum(sizes), for_training, gates)


def _absent(excluded: Sequence[str], manifest: Path) -> Iterator[str]:
    """What to say of speakers to leave out who aren't there: with a misspelt name they would be trained on."""
    if not excluded:
        return
    speakers = {record["speaker"] for record in aligned_records(manifest)}
    if absent := [name for name in excluded if name not in speakers]:
        named = ", ".join(absent[:3]) + ", …" * (len(absent) > 3)
        yield f"{len(absent)} of {len(excluded)} exclude_speakers are not there ({named}); names are such as {min(speakers)}"


def aligned_records(manifest: Path) -> Iterator[dict[str, Any]]:
    """Lines of alignments.jsonl, checked."""
    for number, record in enumerate(read_jsonl(manifest), start=1):
        if missing := [name for name in _NEEDED if name not in record]:
            raise InputError(f"{manifest}:{number} has no '{missing[0]}'", expected="a file that 'wordprint align' wrote")
        yield record


def load_aligned(folder: Path, record: dict[str, Any]) -> Loaded:
    """A line of alignments.jsonl: its stretch of the recording, and its alignment."""
    alignment, utterance = read_alignment(folder, record), Utterance.from_json(record)
    return to_int16(read_audio(utterance.audio, utterance.start_s, utterance.end_s)), alignment


def read_alignment(folder: Path, record: dict[str, Any]) -> Alignment:
    """The TextGrid of a line of alignments.jsonl, with the goodness of each word."""
    from wordprint.speech.textgrid import read_textgrid

    alignment = read_textgrid(folder / record["textgrid"], record["utterance_id"])
    goodness = record.get("word_goodness") or []
    if len(goodness) == len(alignment.words):  # else a person has added or removed words: their goodness is unknown
        scored = zip(alignment.words, goodness, strict=True)
        intervals = tuple(Interval(word.symbol, word.start_s, word.end_s, value) for word, value in scored)
        return replace(alignment, words=intervals)
    return alignment


def load_recording(record: dict[str, Any]) -> Loaded:
    """A recording that holds one word or phrase from its beginning to its end."""
    samples = to_int16(read_audio(record["audio"]))
    return samples, whole(record, len(samples))


def whole(record: dict[str, Any], n_samples: int) -> Alignment:
    """The alignment of a recording that holds just its transcript."""
    word = Interval(record["transcript"], 0.0, n_samples / SAMPLE_RATE, record.get("goodness"))
    symbols = record.get("phones", "").split()
    ends = [n_samples / SAMPLE_RATE * place / max(1, len(symbols)) for place in range(len(symbols) + 1)]  # for want of better
    phones = tuple(map(Interval, symbols, ends, ends[1:]))
    return Alignment(record["utterance_id"], (word,), phones)


def _shard_sizes(records: Iterable[dict[str, Any]], shard_hours: float) -> Iterator[int]:
    """Utterances in each shard: consecutive, until they last `shard_hours`."""
    count, seconds = 0, 0.0
    for record in records:
        count, seconds = count + 1, seconds + record["end_s"] - record["start_s"]
        if seconds >= shard_hours * 3600:
            yield count
            count, seconds = 0, 0.0
    if count:
        yield count


def _groups(records: Iterable[dict[str, Any]], sizes: list[int]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(records)
    return (list(islice(iterator, size)) for size in sizes)


def _cut_shards(items: list[tuple[int, list[dict[str, Any]]]], output: Path, load: Load, rules: Rules) -> list[dict[str, Any]]:
    return [_cut_shard(number, records, output, load, rules) for number, records in items]


def _cut_shard(number: int, records: list[dict[str, Any]], output: Path, load: Load, rules: Rules) -> dict[str, Any]:
    """Write the audio and the candidates of one shard; return its counts."""
    pa = arrow()
    shard = _Shard(number, rules)
    rows = write_table(output / audio_name(number), audio_batches(shard.cut_all(records, load)), audio_schema())
    phones = pa.Table.from_pylist(shard.phones, schema=phone_schema())
    write_table(output / phones_name(number), phones.to_batches(), phones.schema)
    table = pa.table(shard.columns(), schema=candidate_schema())
    write_table(candidates_path(output, number), table.to_batches(), table.schema)
    return {
        "shard": number,
        "rows": rows,
        "samples": shard.samples,
        "listed": shard.listed,
        "dropped": dict(sorted(shard.dropped.items())),
        "examples": dict(sorted(shard.examples.items())),
        "unusable": shard.unusable,
        "speakers": sorted({record["speaker"] for record in records})[:2],
        "words": sorted(set(table.column("words").to_pylist()))[:2],
        "corpora": {record["corpus"]: record["licence"] for record in map(_described, records)},
    }


class _Shard:
    """Collects the candidates of a shard while its audio is written."""

    def __init__(self, number: int, rules: Rules) -> None:
        self.number, self.rules = number, rules
        self.rows: list[tuple[Any, ...]] = []
        self.segments: list[Segment] = []
        self.phones: list[dict[str, Any]] = []
        self.dropped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.unusable: list[dict[str, str]] = []
        self.samples = self.listed = 0

    def cut_all(self, records: Iterable[dict[str, Any]], load: Load) -> Iterator[tuple[dict[str, Any], NDArray[np.int16]]]:
        """The utterances that have candidates, with their audio."""
        row = 0
        for record in map(_described, records):
            try:
                samples, alignment = load(record)
            except WordprintError as error:
                self.unusable.append({"item": record["utterance_id"], "reason": error.reason, "detail": str(error)})
                continue
            spans = frozenset((start, end) for start, end in record.get("listed") or ())
            reason = self.rules.utterance_reason(record)
            result = cut(alignment, record["speaker"], len(samples), self.rules, reason=reason, listed=spans)
            self.listed += result.dropped[LISTED] if spans else 0
            self.dropped.update(result.dropped)
            for reason, names in result.examples.items():
                named = self.examples.setdefault(reason, [])
                named += names[: NAMED_PER_REASON - len(named)]
            if result.segments:
                place = (record["utterance_id"], record["speaker"], record["corpus"], self.number, row)
                self.segments += result.segments
                self.rows += [place] * len(result.segments)
                self.phones.append(_timed(alignment, len(samples)))
                self.samples += len(samples)
                row += 1
                yield record, samples

    def columns(self) -> dict[str, Any]:
        """The candidates as columns of `store.candidate_schema`."""
        names = ("utterance_id", "speaker", "corpus", "shard", "row")
        columns: dict[str, Any] = {name: [row[place] for row in self.rows] for place, name in enumerate(names)}
        columns |= {field.name: list(map(attrgetter(field.name), self.segments)) for field in fields(Segment)}
        hashes = {text: hash64(text) for text in {*columns["words"], *columns["speaker"], *columns["utterance_id"]}}
        types, speakers, utterances = (
            np.array([hashes[text] for text in columns[name]], np.uint64) for name in ("words", "speaker", "utterance_id")
        )
        places = [np.array(columns[name], np.uint64) for name in ("start_sample", "end_sample")]
        return columns | {"type_hash": types, "speaker_hash": speakers, "token_hash": mix(utterances, *places)}


def _timed(alignment: Alignment, n_samples: int) -> dict[str, Any]:
    """The phones as a row of `store.phone_schema`; what lies beyond the end of the audio is left out."""
    spoken = [phone for phone in alignment.phones if phone.start_s * SAMPLE_RATE < n_samples]
    return {
        "phones": [phone.symbol for phone in spoken],
        "start_samples": [round(phone.start_s * SAMPLE_RATE) for phone in spoken],
        "end_samples": [min(round(phone.end_s * SAMPLE_RATE), n_samples) for phone in spoken],
    }


def _described(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its corpus and licence beside its other fields."""
    meta = record.get("meta") or {}
    return record | {"corpus": str(meta.get("corpus", "")), "licence": str(meta.get("licence", meta.get("license", "")))}


def _require_variety(shards: list[dict[str, Any]], dropped: Counter[str]) -> None:
    """Raise when there is nothing to tell apart."""
    speakers = {name for shard in shards for name in shard["speakers"]}
    types = {name for shard in shards for name in shard["words"]}
    if not speakers:
        raise InputError("the alignments hold no utterances", remedy="see what 'wordprint align' dropped, and why")
    if len(speakers) < 2:
        raise DatasetError(
            f"all utterances are of one speaker ('{speakers.pop()}')",
            expected="two speakers or more: a word must be recognised whoever says it",
            remedy="add a corpus with other speakers, or check the speaker names in utterances.jsonl",
        )
    if len(types) == 1:
        raise DatasetError(
            f"the only word left is '{types.pop()}'" + drop_table(dropped),
            expected="two words or more, to tell apart",
            remedy="add transcribed speech with other words, or loosen the filters",
        )
