"""Batches for training: each a function of the seed, the process and the step alone, made in a thread ahead of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wordprint.errors import DatasetError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.mix import INT16_SCALE
from wordprint.train import augment
from wordprint.train.options import TrainConfig
from wordprint.train.phonetics import Spelling
from wordprint.train.sampler import WordSampler
from wordprint.words.dataset import WordDataset

AHEAD = 2
"""Batches made before they are asked for, besides those that threads are making."""


class Batch(SimpleNamespace):
    """B recordings; all tensors on the CPU.

    A plain object, not a dataclass or named tuple: in mixed precision Fabric would round their waveforms to bfloat16.
    """

    waveforms: Tensor
    """(B, N) full scale ±1."""
    segments: Tensor
    """(B,) where they stand in the dataset."""
    labels: Tensor
    """(B,) word types."""
    spans: Tensor
    """(B, 2) start and end of the word as shares of the window."""
    time_masks: Tensor
    band_masks: Tensor
    """(B, masks, 2), see augment.mask_features."""
    others: Tensor
    """(any,) word types to be told apart from besides those of the batch."""

    def to(self, device: torch.device) -> Batch:
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


class TrainingWords:
    """The training side of a word dataset, and how batches are made of it.

    Args:
        sounds: noise and room impulse responses for augmentation.
    """

    def __init__(self, dataset: WordDataset, config: TrainConfig, sounds: augment.Sounds) -> None:
        self.dataset, self.config, self.sounds = dataset, config, sounds
        self.indices = dataset.select("train")
        if not len(self.indices):
            raise DatasetError("no segment is on the training side", remedy="use more data, or smaller validation and test shares")
        codes, types = dataset.codes("words")
        self.labels, self.words = _renumbered(codes[self.indices], types)
        """Word type of each training segment (n,), and their names."""
        codes, names = dataset.codes("speaker")
        speakers, heard = _renumbered(codes[self.indices], names)
        self.speakers = sorted(heard)
        self.sampler = WordSampler(self.labels, speakers, config.words_per_batch, config.tokens_per_word)
        self.window_samples = round(config.window_s * SAMPLE_RATE)

    def spelling(self) -> Spelling:
        """The phones of each word type as it is said most often; its letters where no phones are known."""
        codes, names = self.dataset.encoded("phones")
        texts = [text or "" for text in names.to_pylist()]
        ranks = np.empty(len(texts), np.int64)
        ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
        pairs, counts = np.unique(self.labels * np.int64(len(texts)) + codes[self.indices], return_counts=True)
        labels, said = np.divmod(pairs, len(texts))
        usual = [""] * len(self.words)
        for place in np.lexsort((-ranks[said], counts)).tolist():  # the last that is written is the most frequent
            usual[labels[place]] = texts[said[place]] or usual[labels[place]]
        return Spelling([phones.split() or list(word.replace(" ", "")) for phones, word in zip(usual, self.words, strict=True)])

    def batch(self, step: int, process: int = 0) -> Batch:
        """The batch of a step; `process` is the rank in distributed training."""
        rng = np.random.default_rng([self.config.seed, process, step])
        picked = self.sampler.draw(rng)
        choices = augment.draw(rng, len(picked), self.sounds, self.config)
        waveforms, spans = self._cut(self.indices[picked], choices)
        waveforms = augment.filter_waveforms(waveforms, choices.filters, self.sounds.impulses)
        waveforms = augment.set_level(waveforms, torch.from_numpy(choices.level_db))
        waveforms = augment.add_noise(waveforms, choices.noises, self.sounds.noises)
        return Batch(
            waveforms=waveforms.clamp(-1, 1),
            segments=torch.from_numpy(self.indices[picked]),
            labels=torch.from_numpy(self.labels[picked].astype(np.int64)),
            spans=spans,
            time_masks=torch.from_numpy(choices.time_masks),
            band_masks=torch.from_numpy(choices.band_masks),
            others=torch.from_numpy(rng.integers(len(self.words), size=min(self.config.other_words, len(self.words)))),
        )

    def _cut(self, indices: NDArray[np.int64], choices: augment.Draw) -> tuple[Tensor, Tensor]:
        """Windows (B, N) that hold the words at their new speed, with real context or silence around, and the words' spans."""
        dataset, window = self.dataset, self.window_samples
        start = dataset.at("start_sample", indices).astype(np.int64)
        lasting = (dataset.at("end_sample", indices) - start) * choices.speed
        offset = (window - lasting) * np.where(lasting < window, choices.position, 0.5)
        first = np.rint(start - offset / choices.speed).astype(np.int64)
        read = int(np.ceil(window * self.config.max_speed_change)) + 2
        crops = dataset.crops(indices, first, read, context_samples=choices.context_samples)
        speed = torch.from_numpy(choices.speed)
        waveforms = augment.change_speed(torch.from_numpy(crops).float() / INT16_SCALE, speed, window)
        low, high = dataset.limits(indices, choices.context_samples)
        waveforms = augment.fade(waveforms, torch.from_numpy(low - first) * speed, torch.from_numpy(high - first) * speed)
        spans = np.stack([offset, offset + lasting], axis=1) / window
        return waveforms, torch.from_numpy(spans.astype(np.float32))


def _renumbered(codes: NDArray[np.int32], names: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Codes into just the names that occur, in the same order."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    numbers = np.zeros(len(names), np.int32)
    numbers[used] = np.arange(len(used))
    return numbers[codes], [names[code] for code in used.tolist()]


def prefetch(make: Callable[[int], Batch], steps: range, threads: int = 1) -> Iterator[tuple[Batch, float]]:
    """`make(step)` for each step in order, made ahead in threads, with the seconds that the caller had to wait for it."""
    with ThreadPoolExecutor(threads, "wordprint-batches") as thread:
        waiting = iter(steps)
        queue = [thread.submit(make, step) for step in islice(waiting, AHEAD + threads)]
        try:
            while queue:
                asked = time.monotonic()
                batch = queue.pop(0).result()
                waited_s = time.monotonic() - asked
                queue += [thread.submit(make, step) for step in islice(waiting, 1)]
                yield batch, waited_s
        finally:
            for future in queue:
                future.cancel()
