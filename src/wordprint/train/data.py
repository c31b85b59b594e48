"""Batches for training: each a function of the seed, the process and the step alone, made ahead of the loop.

All that is drawn and read makes a `Draft`; effects on its sound make the batch. On a CPU threads do both. For a GPU, which does the
effects itself, drafts come from processes: threads of Python would be in the way of those that launch its work.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wordprint.errors import DatasetError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.mix import INT16_SCALE
from wordprint.train import augment
from wordprint.train.options import TrainConfig
from wordprint.train.runs import PhoneTimes, edited
from wordprint.train.sampler import WordSampler
from wordprint.train.teachers import Lessons
from wordprint.words.dataset import WordDataset

AHEAD = 2
"""Batches made before they are asked for, besides those that threads are making."""

DRAFTERS = 8
"""Processes that make drafts for a GPU, at most: 400 a second, more than steps."""

JITTER_S, OUTWARD_S = 0.025, 0.01
"""Deviation of the ends of spans in training, and how far outside the true ends they lie on average."""

LOOSE_S, LOOSE_OUTWARD_S = 0.06, 0.02
"""The same for most words in silence: a trim by energy is no better."""

SHORTEST_S = 0.1
"""Of a span."""

CPU = torch.device("cpu")


class Batch(SimpleNamespace):
    """B recordings with R spans each; the waveforms are where effects were computed, the rest on the CPU.

    A plain object, not a dataclass or named tuple: in mixed precision Fabric would round their waveforms to bfloat16.
    """

    waveforms: Tensor
    """(B, N) full scale ±1."""
    segments: Tensor
    """(B,) where they stand in the dataset."""
    labels: Tensor
    """(B,) word types."""
    spans: Tensor
    """(B, R, 2) starts and ends in samples of the waveforms; the first is the word."""
    strings: Tensor
    """(B, R) the phone string of each span, −1 where there is no span."""
    codes: Tensor
    """(U, MAX_PHONES) phone strings: those of spans, then edits of them that nobody says."""
    present: Tensor
    """() how many of them spans say."""
    frame_phones: Tensor
    """(B, T) the phone of each of the encoder's frames, 0 in silence, runs.UNKNOWN where nobody has aligned them."""
    lessons: Tensor
    """(B, M, size) what the teacher says of the encoder's `lesson_frames` (B, M), which count where `lesson_valid` (B, M)."""
    lesson_frames: Tensor
    lesson_valid: Tensor
    time_masks: Tensor
    band_masks: Tensor
    """(B, masks, 2), see augment.mask_features."""

    def to(self, device: torch.device) -> Batch:
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


@dataclass(frozen=True)
class Draft:
    """A batch before effects on its sound."""

    crops: NDArray[np.int16]
    """(B, M) sound that holds the windows at any speed."""
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    """(B,) samples of them where real audio begins and ends."""
    choices: augment.Draw
    arrays: dict[str, NDArray[Any]]
    """What of the batch effects don't change, by name."""


class TrainingWords:
    """The training side of a word dataset, and how batches are made of it.

    Args:
        sounds: noise and room impulse responses for augmentation. lessons: what a teacher says of the dataset, if there is one.
        device: where effects on waveforms are computed.
    """

    def __init__(
        self,
        dataset: WordDataset,
        config: TrainConfig,
        sounds: augment.Sounds,
        lessons: Lessons | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.dataset, self.config, self.sounds, self.lessons, self.device = dataset, config, sounds, lessons, device
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
        self.times = PhoneTimes(dataset, self.indices, self.labels, self.words)
        self.apart = device.type == "cuda" and "fork" in multiprocessing.get_all_start_methods()
        """Whether drafts are made in processes of their own."""
        self.frame_samples = 320
        """Samples of one frame of the encoder that the batches are for."""

    @property
    def phones(self) -> list[str]:
        """Symbols of phone strings; number 1 is the first."""
        return self.times.symbols

    def batch(self, step: int, process: int = 0) -> Batch:
        """The batch of a step; `process` is the rank in distributed training."""
        return self.finish(self.draft(step, process))

    def batches(self, steps: range, process: int, workers: int) -> Iterator[tuple[Batch, float]]:
        """The batch of each step in order, with the seconds that the caller had to wait for it; `workers` make them ahead."""
        if not self.apart:
            yield from prefetch(lambda step: self.batch(step, process), steps, workers)
            return
        drafts = DataLoader(
            _Drafts(self, process),
            batch_size=None,
            sampler=steps,
            num_workers=min(workers, DRAFTERS),
            worker_init_fn=_leave_signals_to_the_parent,
            multiprocessing_context="fork",
        )
        asked = time.monotonic()
        for draft in drafts:
            waited_s = time.monotonic() - asked
            yield self.finish(draft), waited_s
            asked = time.monotonic()

    def draft(self, step: int, process: int = 0) -> Draft:
        """What is drawn and read for the batch of a step."""
        rng = np.random.default_rng([self.config.seed, process, step])
        picked = self.sampler.draw(rng)
        choices = augment.draw(rng, len(picked), self.sounds, self.config)
        indices = self.indices[picked]
        first = self._first(indices, choices)
        read = int(np.ceil(self.window_samples * self.config.max_speed_change)) + 2
        low, high = self.dataset.limits(indices, choices.context_samples)
        spans, strings, codes = self._spans(rng, picked, choices, first)
        wrong = [edited(rng, codes, len(self.phones)) for _ in range(self.config.edits)]
        known = {row.tobytes() for row in codes}
        fresh = [row for row in np.unique(np.concatenate([codes[:0], *wrong]), axis=0) if row.tobytes() not in known]
        arrays: dict[str, NDArray[Any]] = {
            "segments": indices,
            "labels": self.labels[picked].astype(np.int64),
            "spans": spans.astype(np.float32),
            "strings": strings,
            "codes": np.stack([*codes, *fresh]),
            "present": np.array(len(codes)),
            "frame_phones": self._frame_phones(picked, choices, first),
            "time_masks": choices.time_masks,
            "band_masks": choices.band_masks,
            **self._lessons(picked, choices, first),
        }
        crops = self.dataset.crops(indices, first, read, context_samples=choices.context_samples)
        return Draft(crops, low - first, high - first, choices, arrays)

    def finish(self, draft: Draft) -> Batch:
        """The batch of a draft, its waveforms on the device."""
        choices, on = draft.choices, self.device
        speed, low, high = (torch.from_numpy(values).to(on) for values in (choices.speed, draft.low, draft.high))
        sound = torch.from_numpy(draft.crops).to(on).float() / INT16_SCALE
        waveforms = augment.fade(augment.change_speed(sound, speed, self.window_samples), low * speed, high * speed)
        heard = waveforms != 0  # before filters, which leave no digital silence
        waveforms = augment.filter_waveforms(waveforms, choices.filters, self.sounds.impulses)
        waveforms = augment.set_level(waveforms, torch.from_numpy(choices.level_db).to(on), heard)
        waveforms = augment.add_noise(waveforms, choices.noises, self.sounds.noises, heard)
        tensors = {name: torch.from_numpy(array) for name, array in draft.arrays.items()}
        return Batch(waveforms=waveforms.clamp(-1, 1), **tensors)

    def _first(self, indices: NDArray[np.int64], choices: augment.Draw) -> NDArray[np.int64]:
        """Where in their utterances windows (B,) begin that hold the words at their new speed."""
        start = self.dataset.at("start_sample", indices).astype(np.int64)
        lasting = (self.dataset.at("end_sample", indices) - start) * choices.speed
        room = self.window_samples - lasting
        offset = room * np.where(room > 0, choices.position, 0.5)
        return np.rint(start - offset / choices.speed).astype(np.int64)

    def _spans(
        self, rng: np.random.Generator, picked: NDArray[np.int64], choices: augment.Draw, first: NDArray[np.int64]
    ) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]:
        """Spans (B, R, 2) in samples of the windows, their ends shaken, as a keyword's are found; strings (B, R); codes (U, 24)."""
        config, indices = self.config, self.indices[picked]
        low, high = self.dataset.limits(indices)
        whole = choices.context_samples >= 2**30
        seen = np.maximum(low, first), np.minimum(high, first + (self.window_samples / choices.speed).astype(np.int64))
        alone = np.where(whole, seen[0], 0), np.where(whole, seen[1], 0)  # no runs around a word in silence
        drawn = self.times.draw(rng, picked, *alone, config.runs)
        start, end = drawn.start.copy(), drawn.end.copy()
        start[:, 0], end[:, 0] = self.dataset.at("start_sample", indices), self.dataset.at("end_sample", indices)
        absent = drawn.strings < 0  # are the word's once more: no loss hears them, but the head's batch statistics do
        start, end = np.where(absent, start[:, :1], start), np.where(absent, end[:, :1], end)
        spans = (np.stack([start, end], axis=2) - first[:, None, None]) * choices.speed[:, None, None]
        loose = ~whole[:, None] & (rng.random(start.shape) < config.loose_share)
        spread = np.where(loose, LOOSE_S, JITTER_S) * SAMPLE_RATE
        outward = np.where(loose, LOOSE_OUTWARD_S, OUTWARD_S) * SAMPLE_RATE
        spans[..., 0] += rng.standard_normal(start.shape) * spread - outward
        spans[..., 1] += rng.standard_normal(start.shape) * spread + outward
        spans[..., 1] = np.maximum(spans[..., 1], spans[..., 0] + SHORTEST_S * SAMPLE_RATE)
        return spans, drawn.strings, drawn.codes

    def _frame_phones(self, picked: NDArray[np.int64], choices: augment.Draw, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, T) the phone in the middle of each of the encoder's frames."""
        places = self._places(np.arange(0, self.window_samples, self.frame_samples), choices, first)
        low, high = self.dataset.limits(self.indices[picked], choices.context_samples)
        heard = (places >= low[:, None]) & (places < high[:, None])
        return np.where(heard, self.times.at(picked, places), 0)

    def _lessons(self, picked: NDArray[np.int64], choices: augment.Draw, first: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        if self.lessons is None:
            return {}
        lag = round(self.config.teacher_lag_s * SAMPLE_RATE)
        when = np.arange(lag, self.window_samples, self.lessons.hop_samples)
        places = self._places(when - lag, choices, first)
        low, high = self.dataset.limits(self.indices[picked])
        valid = (places >= low[:, None]) & (places < high[:, None]) & (choices.context_samples >= 2**30)[:, None]
        taught = self.lessons.at(self.times.utterance[picked], places)
        frames = np.broadcast_to(when // self.frame_samples, valid.shape)
        return {
            "lessons": taught,
            "lesson_frames": frames.astype(np.int64),
            "lesson_valid": valid.astype(np.float32),
        }

    def _places(self, samples: NDArray[np.int64], choices: augment.Draw, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in their utterances samples (T,) of the windows lie: (B, T)."""
        return first[:, None] + (samples / choices.speed[:, None]).astype(np.int64)


class _Drafts(Dataset[Draft]):
    """The drafts of a process, by step, as DataLoader asks for them."""

    def __init__(self, words: TrainingWords, process: int) -> None:
        self.words, self.process = words, process

    def __getitem__(self, step: int) -> Draft:
        return self.words.draft(step, self.process)


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C, and SIGTERM of systemd or Slurm, reach all processes; the parent ends its step, and then its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


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
