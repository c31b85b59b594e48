"""Stage `outliers`: segments that a trained model hears as another word than the one they are labelled with.

A segment is an outlier when it is more similar to the centre of another word than to that of its own, by more than a
threshold (see centres.py). `words --drop outliers.jsonl` leaves the outliers out.

Two passes. The first embeds shards of segments, in parallel, into files; the second adds them up, and compares. What is
held in memory grows with the word types.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wordprint.errors import ConfigError, ModelError
from wordprint.evaluate.centres import Centres, Floats, Judged, sum_by_word
from wordprint.evaluate.options import OutliersConfig
from wordprint.evaluate.outlier_report import Histogram, write_report
from wordprint.model import load_embedder
from wordprint.speech.audio import to_float32
from wordprint.stages.cluster import Cluster
from wordprint.stages.contract import PARTS, StageRun, open_stage
from wordprint.stages.manifest import atomic_path, write_jsonl
from wordprint.stages.progress import Progress
from wordprint.stages.receipt import Receipt
from wordprint.words.dataset import WordDataset

OUTLIERS, REPORT = "outliers.jsonl", "report.html"
SHARD = 4096
"""Segments whose embeddings make a file."""
BATCH = 64
"""Segments whose audio is in memory at once."""

Span = tuple[int, int]
"""The first segment of a shard, and the one after its last."""


@dataclass(frozen=True)
class _Settings(OutliersConfig):
    """What makes a run another run: the options and the model."""

    model: str = ""


def outliers(
    model: str | Path,
    words: str | Path,
    output: str | Path,
    config: OutliersConfig = OutliersConfig(),
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Embed every segment of the word dataset `words`; write those that are nearer to another word, the worst first.

    `model` is an ONNX file, a checkpoint folder, or `package.module:Class`. Writes `outliers.jsonl`, and `report.html`, which
    plays the worst. The receipt counts as kept all segments that are no outliers. Raises DatasetError where fewer than two
    words have enough segments to be told apart.
    """
    if config.min_tokens < 2 or abs(config.threshold) > 2:
        seen = f"min_tokens is {config.min_tokens}, threshold {config.threshold}"
        raise ConfigError(seen, expected="at least 2, and a difference between two cosines")
    dataset, embedder = WordDataset(words), load_embedder(model)
    options = {option.name: getattr(config, option.name) for option in fields(config)}
    settings = _Settings(**options, model=f"{embedder.name} {embedder.digest}")
    with open_stage("outliers", output, settings, {"words": words}, overwrite=overwrite, progress=progress) as stage:
        if stage.receipt:
            return stage.receipt
        spans = [(start, min(start + SHARD, len(dataset))) for start in range(0, len(dataset), SHARD)]
        spec = Path(model) if Path(model).exists() else model
        work = partial(_embed_shards, dataset=dataset, model=spec, folder=stage.output / PARTS)
        for _ in stage.map_shards("embed", spans, work, shard_size=1, workers=workers, total=len(spans), unit="shards"):
            continue
        centres = Centres(dataset, sum_by_word(dataset, _embedded(stage, spans)), config.min_tokens)
        listed, histogram = _compare(stage, centres, spans, config.threshold)
        return _finish(stage, dataset, embedder.name, listed, histogram, len(centres.words), config)


def _compare(stage: StageRun, centres: Centres, spans: list[Span], threshold: float) -> tuple[Judged, Histogram]:
    """The outliers, the worst first, and how the excesses of all segments are spread."""
    found, histogram = [], Histogram()
    with stage.progress.task("compare", spans[-1][1], "segments") as task:
        for start, embeddings in _embedded(stage, spans):
            judged = centres.judge(start, embeddings)
            histogram.add(judged.excess)
            found.append(judged.at(np.flatnonzero(judged.excess > threshold)))
            task.advance(len(embeddings))
    listed = Judged.concatenate(found)
    return listed.at(np.argsort(-listed.excess, kind="stable")), histogram


def _finish(
    stage: StageRun, dataset: WordDataset, model: str, listed: Judged, histogram: Histogram, words: int, config: OutliersConfig
) -> Receipt:
    details = {
        "judged": histogram.total,
        "too_rare": len(dataset) - histogram.total,
        "words": words,
        "nearer_to_another_word": histogram.above_zero,
    }
    count = write_jsonl(stage.output / OUTLIERS, _records(dataset, listed))
    write_report(stage.output / REPORT, dataset, model, listed, histogram, details, config)
    stage.drop_many(
        "outlier", count, map("{utterance_id}:{start_sample}-{end_sample} {words}".format_map, _records(dataset, listed))
    )
    stage.progress.say(f"to leave them out: wordprint words ALIGNMENTS --drop {stage.output / OUTLIERS} --output …")
    return stage.finish(len(dataset), len(dataset) - count, [OUTLIERS, REPORT], details)


def _embed_shards(spans: list[Span], dataset: WordDataset, model: str | Path, folder: Path) -> list[dict[str, Any]]:
    """Write the unit embeddings of each span of segments into a file; returns a line for each, which marks it as done."""
    embedder = load_embedder(model)
    window = embedder.window_samples
    for start, end in spans:
        parts = []
        for first in range(start, end, BATCH):
            indices = np.arange(first, min(first + BATCH, end))
            crops = dataset.crops(indices, dataset.centred_starts(indices, window), window, context_samples=0)
            vectors = np.asarray(embedder.embed(to_float32(crops)), np.float32)
            if vectors.ndim != 2 or len(vectors) != len(indices) or not np.isfinite(vectors).all():
                seen = f"{embedder.name} gave embeddings of shape {vectors.shape} for {len(indices)} segments"
                raise ModelError(seen, expected="one finite vector for each")
            parts.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
        content = io.BytesIO()  # numpy's own writing doesn't say that a disk is full
        np.save(content, np.concatenate(parts))
        with atomic_path(_path(folder, start)) as temporary:
            temporary.write_bytes(content.getbuffer())
    return [{"start": start, "end": end} for start, end in spans]


def _embedded(stage: StageRun, spans: list[Span]) -> Iterator[tuple[int, Floats]]:
    """The first segment of each span, and the embeddings (n, D)."""
    for start, _ in spans:
        yield start, np.load(_path(stage.output / PARTS, start), allow_pickle=False)


def _path(parts: Path, start: int) -> Path:
    return parts / f"embeddings-{start:010d}.npy"


def _records(dataset: WordDataset, listed: Judged) -> Iterator[dict[str, Any]]:
    """Lines of outliers.jsonl."""
    (words, word_names), (ids, id_names), (speakers, speaker_names) = map(dataset.codes, ("words", "utterance_id", "speaker"))
    starts, ends, goodness = (dataset.column(name) for name in ("start_sample", "end_sample", "goodness"))
    for place, index in enumerate(listed.indices.tolist()):
        yield {
            "utterance_id": id_names[ids[index]],
            "start_sample": int(starts[index]),
            "end_sample": int(ends[index]),
            "words": word_names[words[index]],
            "speaker": speaker_names[speakers[index]],
            "nearest": word_names[listed.nearest[place]],
            "own_similarity": round(float(listed.own_similarity[place]), 4),
            "nearest_similarity": round(float(listed.nearest_similarity[place]), 4),
            "excess": round(float(listed.excess[place]), 4),
            "goodness": None if np.isnan(goodness[index]) else round(float(goodness[index]), 3),
        }
