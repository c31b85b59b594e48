"""Stage `outliers`: segments that a trained model hears as another word than the one they are labelled with.

A segment is an outlier when it is more similar to the centre of another word than to that of its own, by more than a
threshold (see centres.py). `words --drop outliers.jsonl` leaves the outliers out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError
from wordprint.evaluate.centres import Compared, Floats, compare
from wordprint.evaluate.data import save_array, unit_embeddings
from wordprint.evaluate.options import OutliersConfig
from wordprint.load import is_model, load_embedder
from wordprint.pages.html import number, render
from wordprint.pages.listen import Filter, Listening, Order
from wordprint.speech.audio import to_float32
from wordprint.stages.contract import PARTS, HowToRun, StageRun, keep_apart, run_stage
from wordprint.stages.manifest import write_jsonl, write_text
from wordprint.stages.receipt import Receipt
from wordprint.words.dataset import WordDataset
from wordprint.words.inspect import SEGMENT_FILTERS, read_spoken, segment_clips, segment_row

OUTLIERS, REPORT, TEMPLATE = "outliers.jsonl", "report.html", "evaluate/outliers.html.j2"
SHARD, BATCH = 4096, 64
"""Segments whose embeddings make a file, and whose audio is in memory at once."""
SHOWN, PAIRS, CONTEXT_S = 100, 30, 0.8
"""The page plays so many outliers, the worst first, with so much around them, and lists so many pairs of words."""

_ORDERS = (("goodness", "goodness, lowest first"), ("word", "word"), ("nearest", "what it sounds like"))
_COLUMNS = ["utterance_id", "start_sample", "end_sample", "words", "speaker", "goodness"]


@dataclass(frozen=True)
class _Settings(OutliersConfig):
    """What makes a run another run: the options and the model."""

    model: str = ""


def outliers(
    model: str | Path, words: str | Path, output: str | Path, config: OutliersConfig = OutliersConfig(), **how: Unpack[HowToRun]
) -> Receipt:
    """Embed every segment of the word dataset `words`; write those that are nearer to another word, the worst first.

    `model` is an ONNX file, a checkpoint folder, or `package.module:Class`. Writes `outliers.jsonl`, and `report.html`, which
    plays the worst. The receipt counts as kept all segments that are no outliers. Raises DatasetError where fewer than two
    words have enough segments to be told apart.
    """
    if is_model(words) and Path(model).exists() and not is_model(model):
        raise InputError(f"{model} is no model, but stands first", expected="the model, then the word dataset")
    dataset, embedder = WordDataset(words), load_embedder(model)
    settings = _Settings(**vars(config), model=f"{embedder.name} {embedder.digest}")
    keep_apart(Path(output), model)

    def work(stage: StageRun) -> Receipt:
        compared = compare(dataset, _embed(stage, dataset, model), config.min_tokens)
        excess, total = compared.excess, len(dataset)
        listed = np.argsort(-excess, kind="stable")[: int((excess > config.threshold).sum())]  # NaN comes last
        lines = list(_lines(dataset, compared, listed))
        judged, nearer = int(np.isfinite(excess).sum()), int((excess > 0).sum())
        details = {"judged": judged, "too_rare": total - judged, "words": compared.words, "nearer_to_another_word": nearer}
        write_jsonl(stage.output / OUTLIERS, lines)
        at = [(f"{tenth / 10}", number(int((excess > tenth / 10).sum()))) for tenth in range(9)]
        page = {"model": embedder.name, "details": details, "config": config, "outliers": len(lines), "at": at}
        write_text(stage.output / REPORT, render(TEMPLATE, **page, **_listening(dataset, listed[:SHOWN], lines)))
        stage.drop_many("outlier", len(lines), map("{utterance_id}:{start_sample}-{end_sample} {words}".format_map, lines))
        stage.progress.say(f"to leave them out: wordprint words ALIGNMENTS --drop {stage.output / OUTLIERS} --output …")
        return stage.finish(total, total - len(lines), [OUTLIERS, REPORT], details)

    return run_stage("outliers", work, output, settings, {"words": words}, **how)


def _embed(stage: StageRun, dataset: WordDataset, model: str | Path) -> Callable[[], Iterator[tuple[int, Floats]]]:
    """Embed all segments, in parallel, into files; gives a function that reads them back in order."""
    total, folder = len(dataset), stage.output / PARTS
    spans = [(start, min(start + SHARD, total)) for start in range(0, total, SHARD)]
    work = partial(_embed_shards, dataset=dataset, model=Path(model) if Path(model).exists() else model, folder=folder)
    for _ in stage.map_shards("embed", spans, work, shard_size=1, total=len(spans), unit="shards"):
        continue

    def embedded() -> Iterator[tuple[int, Floats]]:
        with stage.progress.task("compare", total, "segments") as task:
            for start, _ in spans:
                yield start, (vectors := np.load(_path(folder, start), allow_pickle=False))
                task.advance(len(vectors))

    return embedded


def _embed_shards(spans: list[tuple[int, int]], dataset: WordDataset, model: str | Path, folder: Path) -> list[dict[str, Any]]:
    """Write the unit embeddings of each span of segments into a file; returns a line for each, which marks it as done."""
    embedder = load_embedder(model)
    window = embedder.window_samples
    for start, end in spans:
        parts = []
        for first in range(start, end, BATCH):
            indices = np.arange(first, min(first + BATCH, end))
            crops = dataset.crops(indices, dataset.centred_starts(indices, window), window, context_samples=0)
            parts.append(unit_embeddings(embedder, to_float32(crops)))
        save_array(_path(folder, start), np.concatenate(parts))
    return [{"start": start} for start, _ in spans]


def _path(parts: Path, start: int) -> Path:
    return parts / f"embeddings-{start:010d}.npy"


def _lines(dataset: WordDataset, compared: Compared, listed: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Lines of outliers.jsonl."""
    rows = dataset.segments.select(_COLUMNS).take(listed).to_pylist()
    for index, row in zip(listed.tolist(), rows, strict=True):
        goodness, own, other = row.pop("goodness"), float(compared.own[index]), float(compared.other[index])
        yield row | {
            "nearest": dataset.words[compared.nearest[index]],
            "own_similarity": round(own, 4),
            "nearest_similarity": round(other, 4),
            "excess": round(float(compared.excess[index]), 4),
            "goodness": None if goodness is None else round(goodness, 3),
        }


def _listening(dataset: WordDataset, worst: NDArray[np.int64], lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst to listen to, with what they sound like first, and the commonest pairs of a word and what it sounds like."""
    rows = []
    for place, line in enumerate(lines[: len(worst)]):
        row = segment_row(dataset, int(worst[place]), place)
        similarity = f"{number(line['nearest_similarity'], 2)}, to its own {number(line['own_similarity'], 2)}"
        facts = [("sounds like", line["nearest"], "bad"), ("similarity", similarity, ""), *row.facts]
        rows.append(replace(row, facts=facts, values=row.values | {"nearest": line["nearest"], "excess": line["excess"]}))
    listening = Listening(
        clips=segment_clips(dataset, worst, read_spoken(dataset, worst), CONTEXT_S),
        rows=rows,
        filters=[SEGMENT_FILTERS[0], Filter("nearest", "Sounds like", "text"), *SEGMENT_FILTERS[1:]],
        orders=[Order("excess", "worst first", descending=True), *(Order(key, label) for key, label in _ORDERS)],
        whole="in sentence",
    )
    pairs = Counter((line["words"], line["nearest"]) for line in lines)
    commonest = sorted(((*pair, count) for pair, count in pairs.items()), key=lambda row: (-row[2], row))[:PAIRS]
    return {"name": dataset.path.resolve().name, "listening": listening, "pairs": commonest}
