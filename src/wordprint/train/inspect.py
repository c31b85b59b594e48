"""`inspect triplets`: a page of the triplets of spans that the miner picks at a checkpoint, the hardest first.

Batches, augmentation and masks are those with which training goes on from that checkpoint, and the network is in
training mode (batch statistics): the page shows what was heard, and the distances are those that the loss sees.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_metric_learning.utils.loss_and_miner_utils import get_all_triplets_indices
from torch import Tensor

from wordprint.errors import DatasetError, InputError
from wordprint.pages.html import number, render
from wordprint.pages.listen import Clip, Filter, Listening, Order, Row, Value
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.stages.manifest import write_text
from wordprint.stages.options import check
from wordprint.stages.receipt import PARTIAL, RECEIPT, digest_input
from wordprint.stages.recipe import from_dict
from wordprint.stages.units import readable_bytes
from wordprint.train import checkpoint
from wordprint.train.augment import Sounds, mask_features
from wordprint.train.data import Batch, TrainingWords
from wordprint.train.losses import make_distance, make_miner
from wordprint.train.network import Embedder
from wordprint.train.options import LOSSES_OF_TYPES, InspectTripletsConfig, TrainConfig
from wordprint.words.dataset import WordDataset

TEMPLATE = "train/inspect.html.j2"
PAIRS = 30
"""Confused pairs of words in the table."""

_OBJECTIVE = "objective.network."

Place = tuple[int, int, int]
"""A span: the step of its batch, its recording there, and its place among the spans of that."""


@dataclass(frozen=True)
class Trained:
    """A network, the step that it was saved after, the options it is trained with, and the fingerprint of its words."""

    name: str
    network: Embedder
    step: int
    config: TrainConfig
    words: str | None


@dataclass(frozen=True)
class Triplet:
    """Anchor, positive and negative, spans of one batch; `violation` is d(a, p) − d(a, n) + margin."""

    spans: tuple[Place, Place, Place]
    positive: float
    negative: float
    violation: float


def inspect_triplets(
    path: str | Path, words: str | Path, page: str | Path, config: InspectTripletsConfig = InspectTripletsConfig()
) -> str:
    """Write a page of the triplets mined at the checkpoint `path` from the word dataset `words`; returns a line about it.

    `path` is the folder that `train` wrote (its best checkpoint), or one of its files `best.safetensors` and
    `last.safetensors`. A loss without a miner is shown the triplets that batch-hard would pick.
    """
    check(config)
    trained = read_trained(Path(path))
    options = trained.config
    dataset = WordDataset(words)
    sounds = Sounds.read(options.noise, options.rir, round(options.window_s * SAMPLE_RATE))
    mined = Mined(TrainingWords(dataset, options, sounds), trained, config)
    html = render(
        TEMPLATE,
        mined=mined,
        trained=trained,
        pairs=_pair_rows(mined)[:PAIRS],
        name=trained.name,
        other_words=trained.words not in (None, digest_input(words)),
        listening=_listening(mined),
    )
    write_text(page, html)
    return f"{number(len(mined.hardest))} of {number(mined.count)} triplets, {readable_bytes(len(html.encode()))} → {page}"


def read_trained(path: Path) -> Trained:
    """The network at `path` in training mode, with the options in the receipt of its folder, finished or not."""
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="the folder that 'wordprint train' wrote")
    folder = path if path.is_dir() else path.parent
    receipt = next((folder / name for name in (RECEIPT, PARTIAL) if (folder / name).is_file()), None)
    if receipt is None:
        raise InputError(f"{folder} has no {RECEIPT}", expected="the folder that 'wordprint train' wrote")
    try:
        record = json.loads(receipt.read_text(encoding="utf-8"))
        stage, options, words = record["stage"], record["config"], record["inputs"].get("words")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{receipt} is damaged ({error})", remedy="train it again with 'wordprint train'") from error
    if stage != "train":
        raise InputError(f"{folder} was written by '{stage}'", expected="the folder that 'wordprint train' wrote")
    config = from_dict(TrainConfig, options, str(receipt))
    last = path.name == f"{checkpoint.LAST}.safetensors"
    network, document = checkpoint.load_checkpoint(folder if last else path)
    if last and (state := checkpoint.read_state(folder)) is not None:
        tensors, document = state
        network.load_state_dict({name.removeprefix(_OBJECTIVE): t for name, t in tensors.items() if name.startswith(_OBJECTIVE)})
    return Trained(folder.resolve().name, network.train(), document["step"], config, words)


class Mined:
    """Triplets of some batches: the hardest one by one with their clips, all of them in figures."""

    def __init__(self, words: TrainingWords, trained: Trained, config: InspectTripletsConfig) -> None:
        options = trained.config
        self.words, self.with_bands = words, options.front_end in ("log_mel", "centred_log_mel")
        self.steps = range(trained.step, trained.step + config.batches)
        self.own_miner = options.loss == "triplet"
        self.miner = options.miner if self.own_miner else "batch-hard"
        self.margin = options.margin if self.own_miner and not options.soft_margin else 0.0
        self.hardest: list[Triplet] = []
        self.clips: dict[Place, Clip] = {}
        self.segments: dict[Place, int] = {}
        self.names: dict[Place, str] = {}
        """Words, and phone strings of runs."""
        self.count = self.violating = self.nearer = 0
        self.positive_sum = self.negative_sum = 0.0
        self.pairs: dict[tuple[str, str], list[float]] = defaultdict(list)
        """d(a, p) − d(a, n) of the triplets whose negative is nearer than their positive, by the names of both in order."""
        for step in self.steps:
            batch = words.batch(step)
            triplets = mine(trained.network, batch, options, self.miner)
            self._count(batch, *triplets)
            self._keep(step, batch, *triplets, most=config.triplets)
        if not self.count:
            raise DatasetError(
                f"the miner '{self.miner}' picks no triplet in {config.batches} batches",
                expected="some",
                remedy="mine from more batches, or train with miner = 'batch-hard'",
            )

    def _count(self, batch: Batch, spans: NDArray[np.int64], positive: NDArray[np.float32], negative: NDArray[np.float32]) -> None:
        difference = positive - negative
        self.count += len(spans)
        self.violating += int((difference + self.margin > 0).sum())
        self.nearer += int((difference > 0).sum())
        self.positive_sum += float(positive.sum())
        self.negative_sum += float(negative.sum())
        for place in np.flatnonzero(difference > 0).tolist():
            anchor, other = sorted(self._name(batch, *span) for span in spans[place, [0, 2]].tolist())
            self.pairs[anchor, other].append(float(difference[place]))

    def _keep(
        self,
        step: int,
        batch: Batch,
        spans: NDArray[np.int64],
        positive: NDArray[np.float32],
        negative: NDArray[np.float32],
        most: int,
    ) -> None:
        """Keep the hardest of these and of those before, with the spans that they need."""
        difference = positive - negative
        found = [
            Triplet(
                ((step, *anchor), (step, *other), (step, *wrong)),
                float(positive[place]),
                float(negative[place]),
                float(difference[place] + self.margin),
            )
            for place in np.argsort(-difference, kind="stable")[:most].tolist()
            for anchor, other, wrong in [spans[place].tolist()]
        ]
        self.hardest = sorted([*self.hardest, *found], key=lambda triplet: -triplet.violation)[:most]
        needed = {span for triplet in self.hardest for span in triplet.spans}
        fresh = sorted((row, place) for at, row, place in needed if at == step)
        self.clips = {span: clip for span, clip in self.clips.items() if span in needed}
        self.names |= {(step, *span): self._name(batch, *span) for span in fresh}
        self.clips |= {(step, *span): self._clip(batch, *span) for span in fresh}
        self.segments |= {(step, row, place): int(batch.segments[row]) for row, place in fresh}

    def _name(self, batch: Batch, row: int, place: int) -> str:
        """The word, or the phones of a run with spaces between."""
        if place == 0:
            return self.words.words[int(batch.labels[row])]
        codes = batch.codes[int(batch.strings[row, place])]
        return " ".join(self.words.phones[code - 1] for code in codes[codes > 0].tolist())

    def _clip(self, batch: Batch, row: int, place: int) -> Clip:
        samples = to_int16(batch.waveforms[row].numpy())
        start_s, end_s = (min(max(sample, 0.0), len(samples)) / SAMPLE_RATE for sample in batch.spans[row, place].tolist())
        bands = _stretches(batch.band_masks[row]) if self.with_bands else []
        said = Interval(self._name(batch, row, place), start_s, end_s)
        return Clip(samples, start_s, end_s, [said], (), _stretches(batch.time_masks[row]), bands)


def heard(batch: Batch, loss: str) -> tuple[Tensor, Tensor]:
    """The spans that a loss hears, as recording and place (S, 2), and their labels (S,)."""
    there = batch.strings >= 0
    if loss in LOSSES_OF_TYPES:
        there[:, 1:] = False
        return there.nonzero(), batch.labels
    return there.nonzero(), batch.strings[there]


def mine(
    network: Embedder, batch: Batch, config: TrainConfig, miner: str
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Triplets that `miner` picks in the batch: recording and place (n, 3, 2) of anchor, positive and negative, d(a, p) (n,)
    and d(a, n) (n,).

    With cosine, a distance is 1 − similarity; smaller is nearer.
    """
    measure = make_distance(config.distance)
    spans, labels = heard(batch, config.loss)
    with torch.no_grad():
        features = mask_features(network.features(batch.waveforms), batch.time_masks, batch.band_masks)
        embeddings = network.pool(network.encoder(features), batch.spans)[spans[:, 0], spans[:, 1]]
        picker = make_miner(miner, measure, config.margin)
        picked = picker(embeddings, labels) if picker is not None else get_all_triplets_indices(labels)
        apart = measure(embeddings)
    anchor, positive, negative = picked
    apart = 1 - apart if measure.is_inverted else apart
    return spans[torch.stack(picked[:3], dim=1)].numpy(), apart[anchor, positive].numpy(), apart[anchor, negative].numpy()


def _stretches(masks: Tensor) -> list[tuple[float, float]]:
    """(masks, 2) starts and lengths as starts and ends."""
    return [(start, start + length) for start, length in masks.tolist() if length > 0]


def _pair_rows(mined: Mined) -> list[list[Any]]:
    """Pairs of names by how often the negative was nearer than the positive: names, count, mean d(a, p) − d(a, n)."""
    ranked = sorted(mined.pairs.items(), key=lambda item: (-len(item[1]), -sum(item[1]), item[0]))
    return [[first, second, number(len(found)), number(sum(found) / len(found), 3)] for (first, second), found in ranked]


def _listening(mined: Mined) -> Listening:
    places = sorted(mined.clips)
    numbers = {place: index for index, place in enumerate(places)}
    return Listening(
        clips=(mined.clips[place] for place in places),
        rows=list(_rows(mined, numbers)),
        filters=[
            Filter("word", "Word or phones", "text"),
            Filter("anchor", "Anchor's speaker", "choice"),
            Filter("negative", "Negative's speaker", "choice"),
            Filter("speakers", "Anchor and negative", "choice"),
            Filter("violation", "Violation", "range"),
        ],
        orders=[
            Order("violation", "hardest first", descending=True),
            Order("negative_distance", "nearest negative first"),
            Order("positive_distance", "furthest positive first", descending=True),
            Order("word", "word or phones"),
        ],
        whole="as heard",
    )


def _rows(mined: Mined, numbers: dict[Place, int]) -> Iterator[Row]:
    speakers, speaker_names = mined.words.dataset.codes("speaker")
    for triplet in mined.hardest:
        anchor, _, other = (mined.names[span] for span in triplet.spans)
        by = [speaker_names[speakers[mined.segments[span]]] for span in triplet.spans]
        bad = "bad" if triplet.violation > 0 else "good"
        facts = [
            ("d(a, p)", number(triplet.positive, 3), ""),
            ("d(a, n)", number(triplet.negative, 3), ""),
            ("violation", number(triplet.violation, 3), bad),
            ("batch", f"of step {triplet.spans[0][0] + 1}", "muted"),
        ]
        values: dict[str, Value] = {
            "word": [anchor, other],
            "anchor": by[0],
            "negative": by[2],
            "speakers": "same speaker" if by[0] == by[2] else "two speakers",
            "violation": triplet.violation,
            "positive_distance": triplet.positive,
            "negative_distance": triplet.negative,
        }
        roles = zip(triplet.spans, ("anchor", "positive", "negative"), by, strict=True)
        yield Row(f"{anchor} / {other}", [(numbers[span], role, speaker) for span, role, speaker in roles], facts, values)
