"""What the benchmarks run on: utterances, a word dataset, and the same words as one file each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint import WordDataset, pipeline
from wordprint.corpora.options import PrepareConfig
from wordprint.speech.audio import write_audio
from wordprint.stages.manifest import UTTERANCES, read_utterances, write_jsonl
from wordprint.words.dataset import is_word_dataset

SPEAKERS = 16
WORTH_TWO = 64
"""Utterances from which on a second process is quicker than starting it."""


def utterances(source: str, count: int, folder: Path) -> Path:
    """A manifest of `count` utterances of a corpus, evenly spaced over it, or of all where there are fewer."""
    config = PrepareConfig(synthetic_utterances=count, synthetic_speakers=min(SPEAKERS, count))
    pipeline.prepare([source], folder / "prepare", config, workers=_workers(count))
    found = [utterance.to_json() for utterance in read_utterances(folder / "prepare")]
    chosen = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    manifest = folder / UTTERANCES
    write_jsonl(manifest, (found[index] for index in chosen))
    return manifest


def word_dataset(source: str, count: int, folder: Path) -> WordDataset:
    """`source` itself where it is a word dataset; else one made of `count` utterances of that corpus."""
    if is_word_dataset(source):
        return WordDataset(source)
    pipeline.align(utterances(source, count, folder), folder / "align", workers=_workers(count))
    pipeline.words(folder / "align", folder / "words", workers=_workers(count))
    return WordDataset(folder / "words")


def write_word_files(
    dataset: WordDataset, indices: NDArray[np.int64], starts: NDArray[np.int64], window_samples: int, folder: Path, ending: str
) -> list[Path]:
    """A file per segment with the real audio of its window: the least that a reader of word files can have to decode."""
    folder.mkdir()
    paths = [folder / f"{index}{ending}" for index in indices]
    for path, view in zip(paths, dataset.views(indices, starts, starts + window_samples), strict=True):
        write_audio(path, view)
    return paths


def _workers(count: int) -> int:
    return 2 if count >= WORTH_TWO else 1
