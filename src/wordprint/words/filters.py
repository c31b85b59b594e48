"""Second pass of `words`: keep what is frequent enough, write segments, word types and `dataset.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.contract import PARTS, StageRun
from wordprint.stages.drops import NAMED_PER_REASON
from wordprint.stages.manifest import write_json
from wordprint.stages.receipt import Receipt, config_to_json
from wordprint.words.counts import TokenLimit, TypeCounts
from wordprint.words.rules import Rules
from wordprint.words.split import common_side
from wordprint.words.store import (
    DATASET,
    SCHEMA,
    SEGMENTS_PER_SHARD,
    SPLITS,
    TYPES,
    arrow,
    audio_name,
    map_table,
    phones_name,
    segment_schema,
    segments_name,
    write_table,
)


def candidates_path(output: Path, number: int) -> Path:
    """Where the first pass leaves the candidates of a shard."""
    return output / PARTS / f"candidates-{number:05d}.arrow"


def drop_table(dropped: Counter[str]) -> str:
    """Counts by reason in words, for a message."""
    return f" (dropped: {', '.join(f'{count} {reason}' for reason, count in dropped.most_common())})" if dropped else ""


def write_segments(
    stage: StageRun, shards: list[dict[str, Any]], rules: Rules, utterances: int, for_training: bool, gates: dict[str, Any]
) -> Receipt:
    """Filter the candidates of all shards and finish the stage; `gates`, what the first pass kept by, goes into the receipt."""
    paths = [candidates_path(stage.output, shard["shard"]) for shard in shards]
    counts = _count(paths)
    second = _SecondPass(stage, counts, _limit(paths, counts, rules), rules)
    written = _write_shards(stage.output, second.kept(paths))
    second.report()
    if not second.segments:
        raise DatasetError(
            f"none of the words and phrases is left{drop_table(stage.dropped.counts)}",
            expected="words that several speakers say",
            remedy="loosen the filters that dropped most (min_tokens, min_speakers, min_letters, …) or add speech",
        )
    if for_training and second.by_split["train"]["words"] < 2:
        raise DatasetError(
            f"{second.by_split['train']['words']} word types are left for training; "
            "all other segments have a speaker or word kept for validation or test",
            expected="two words or more, to tell apart",
            remedy="add speech, or lower validation_speakers, test_speakers, validation_words and test_words",
        )
    types = second.types_table()
    write_table(stage.output / TYPES, types.to_batches(), types.schema)
    dataset = _dataset(shards, written, second, rules)
    write_json(stage.output / DATASET, dataset)
    names = [shard["name"] for shard in (*dataset["audio_shards"], *dataset["phone_shards"], *written)]
    return stage.finish(
        total=second.segments + stage.dropped.counts.total(),
        kept=second.segments,
        outputs=[*names, TYPES, DATASET],
        details={
            "utterances": {"in": utterances, "stored": sum(shard["rows"] for shard in shards), "unusable": len(stage.dropped)},
            "types": {"in": len(counts.types), "kept": types.num_rows},
            "splits": dataset["splits"],
            **({"gates": gates} if gates else {}),
        },
    )


def _count(paths: list[Path]) -> TypeCounts:
    def read() -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
        for path in paths:
            table = map_table(path)
            yield _hashes(table, "type_hash"), _hashes(table, "speaker_hash")

    return TypeCounts(read)


def _limit(paths: list[Path], counts: TypeCounts, rules: Rules) -> TokenLimit:
    limit = TokenLimit(counts, rules.config)
    for path in paths if limit.capped.any() else ():
        table = map_table(path)
        limit.add(_hashes(table, "type_hash"), _hashes(table, "token_hash"))
    limit.finish()
    return limit


def _hashes(table: Any, name: str) -> NDArray[np.uint64]:
    return np.asarray(table.column(name).to_numpy())


class _SecondPass:
    """Filters candidates a shard at a time and counts what it keeps, per word type and per split."""

    def __init__(self, stage: StageRun, counts: TypeCounts, limit: TokenLimit, rules: Rules) -> None:
        self.stage, self.counts, self.limit, self.rules = stage, counts, limit, rules
        self.failing = rules.type_reasons(counts.tokens, counts.speakers)
        n_types = len(counts.types)
        self.names: dict[int, str] = {}
        self.kept_tokens = np.zeros((len(SPLITS), n_types), np.int64)
        self.kept_samples = np.zeros(n_types, np.int64)
        self.goodness_sum, self.goodness_count = np.zeros(n_types), np.zeros(n_types, np.int64)
        self.speakers: dict[str, set[str]] = {split: set() for split in SPLITS}
        self.samples: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def kept(self, paths: list[Path]) -> Iterator[Any]:
        """For each shard the table of the segments that stay, strings still plain."""
        for path in paths:
            table = map_table(path)
            places = self.counts.places(_hashes(table, "type_hash"))
            reasons = {reason: failing[places] for reason, failing in self.failing.items()}
            failed = np.logical_or.reduce(list(reasons.values()))
            reasons["many_tokens"] = ~failed & (_hashes(table, "token_hash") > self.limit.highest[places])
            for reason, mask in reasons.items():
                self._drop(reason, np.flatnonzero(mask), table)
            keep = ~(failed | reasons["many_tokens"])
            table = table.filter(arrow().array(keep)).select(segment_schema().names)
            self._tally(table, places[keep])
            yield table

    def _drop(self, reason: str, rows: NDArray[np.int64], table: Any) -> None:
        self.dropped[reason] += len(rows)
        named = self.examples.setdefault(reason, [])
        for row in rows[: NAMED_PER_REASON - len(named)].tolist():
            cells = {name: table.column(name)[row].as_py() for name in ("utterance_id", "start_sample", "end_sample", "words")}
            named.append("{utterance_id}:{start_sample}-{end_sample} {words}".format(**cells))

    def _tally(self, table: Any, places: NDArray[np.int64]) -> None:
        distinct, first = np.unique(places, return_index=True)
        self.names.update(zip(distinct.tolist(), table.column("words").take(first).to_pylist(), strict=True))
        lengths = table.column("end_sample").to_numpy() - table.column("start_sample").to_numpy()
        goodness = table.column("goodness").to_numpy()
        known = ~np.isnan(goodness)
        np.add.at(self.kept_samples, places, lengths)
        np.add.at(self.goodness_sum, places[known], goodness[known])
        np.add.at(self.goodness_count, places[known], 1)
        splits = np.array(table.column("split").to_pylist(), dtype=object)
        for number, split in enumerate(SPLITS):
            rows = np.flatnonzero(splits == split)
            np.add.at(self.kept_tokens[number], places[rows], 1)
            self.samples[split] += int(lengths[rows].sum())
            self.speakers[split].update(table.column("speaker").take(rows).unique().to_pylist())

    def report(self) -> None:
        """Tell the stage what was dropped."""
        for reason, count in self.dropped.items():
            self.stage.drop_many(reason, count, self.examples[reason])

    @property
    def segments(self) -> int:
        return int(self.kept_tokens.sum())

    @property
    def by_split(self) -> dict[str, dict[str, Any]]:
        """Segments, word types, speakers and hours (of segments) on each side."""
        return {
            split: {
                "segments": int(self.kept_tokens[number].sum()),
                "words": int((self.kept_tokens[number] > 0).sum()),
                "speakers": len(self.speakers[split]),
                "hours": round(self.samples[split] / SAMPLE_RATE / 3600, 4),
            }
            for number, split in enumerate(SPLITS)
        }

    def types_table(self) -> Any:
        """One row per word type that is kept, the most frequent first."""
        pa = arrow()
        tokens = self.kept_tokens.sum(axis=0)
        places = sorted(self.names, key=lambda place: (-tokens[place], self.names[place]))
        words = [self.names[place] for place in places]
        with np.errstate(invalid="ignore"):
            goodness = (self.goodness_sum / self.goodness_count)[places].astype(np.float32)
        columns = {
            "words": words,
            "n_words": pa.array([word.count(" ") + 1 for word in words], pa.int8()),
            "side": [common_side([self.rules.side(part, "word") for part in word.split(" ")]) for word in words],
            "found": self.counts.tokens[places],
            "segments": tokens[places],
            "speakers": self.counts.speakers[places],
            "hours": self.kept_samples[places] / (SAMPLE_RATE * 3600),
            "goodness": pa.array(goodness, mask=np.isnan(goodness)),
        }
        return pa.table(columns)


def _write_shards(output: Path, tables: Iterator[Any]) -> list[dict[str, Any]]:
    """Gather tables into shards of SEGMENTS_PER_SHARD rows; returns their names and rows."""
    pa = arrow()
    written: list[dict[str, Any]] = []

    def write(table: Any) -> None:
        name = segments_name(len(written))
        rows = write_table(output / name, _encoded(table).to_batches(), segment_schema())
        written.append({"name": name, "rows": rows})

    waiting = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= SEGMENTS_PER_SHARD:
            write(waiting.slice(0, SEGMENTS_PER_SHARD))
            waiting = waiting.slice(SEGMENTS_PER_SHARD)
    if waiting is not None and waiting.num_rows:
        write(waiting)
    return written


def _encoded(table: Any) -> Any:
    """The table in one chunk, with names as codes into just the names that occur."""
    schema = segment_schema()
    pa = arrow()
    table = table.combine_chunks()
    columns = [
        column.combine_chunks().dictionary_encode() if pa.types.is_dictionary(field.type) else column
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema).combine_chunks()


def _dataset(shards: list[dict[str, Any]], written: list[dict[str, Any]], second: _SecondPass, rules: Rules) -> dict[str, Any]:
    """The contents of dataset.json."""
    samples = sum(shard["samples"] for shard in shards)
    corpora: dict[str, str] = {}
    for shard in shards:
        corpora |= shard["corpora"]
    return {
        "schema": SCHEMA,
        "sample_rate": SAMPLE_RATE,
        "segments": second.segments,
        "words": len(second.names),
        "speakers": len(set().union(*second.speakers.values())),
        "hours": round(samples / SAMPLE_RATE / 3600, 4),
        "splits": second.by_split,
        "corpora": [{"name": name, "licence": licence} for name, licence in sorted(corpora.items())],
        "excluded_words": sorted(rules.excluded),
        "audio_shards": [{"name": audio_name(shard["shard"]), "rows": shard["rows"]} for shard in shards],
        "phone_shards": [{"name": phones_name(shard["shard"]), "rows": shard["rows"]} for shard in shards],
        "segment_shards": written,
        "config": config_to_json(rules.config),
    }
