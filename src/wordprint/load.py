"""Anything that can be scored as an embedder: an exported model, a checkpoint, another project's class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wordprint.embedding import Floats, SpanEmbedder, WaveformEmbedder, phone_codes
from wordprint.errors import ConfigError, InputError, ModelError, WordprintError, kind_of
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.manifest import digest_file
from wordprint.stages.parts import import_part

BEST_WEIGHTS = "best.safetensors"
"""The weights in a checkpoint folder that validation found best."""
EMBED_BATCH = 64
"""Windows embedded at once, so that memory stays small for any number of them."""
_SPECS = "an ONNX file, a checkpoint folder, or package.module:Class of your own"


def is_model(path: str | Path) -> bool:
    """Whether `path` looks like a model: an ONNX file, a checkpoint, or the folder of one."""
    path = Path(path)
    return path.suffix in (".onnx", ".safetensors") or (path / BEST_WEIGHTS).is_file()


def load_embedder(spec: str | Path) -> WaveformEmbedder:
    """An ONNX file, a checkpoint folder, or `package.module:Class` (built without arguments) as one interface.

    Raises InputError when `spec` is none of them, ConfigError for a class that does not import, ModelError for one that doesn't
    fit the interface.
    """
    path = Path(spec)
    if path.is_dir() or (path.is_file() and path.suffix in (".safetensors", ".json")):
        return CheckpointEmbedder(path)
    if path.is_file() or path.suffix == ".onnx":
        return Model(path)
    if ":" in str(spec):
        made = build(str(spec))
        if isinstance(made, WaveformEmbedder):
            return made
        raise ModelError(
            f"{spec} lacks a part of the interface",
            expected="attributes name, digest, window_samples, training_words and a method embed",
        )
    raise InputError(kind_of(spec), expected=_SPECS)


def build(spec: str) -> Any:
    """What the class or function `package.module:Class` makes without arguments; raises ConfigError where it can't."""
    module, _, name = spec.partition(":")
    if not (module.replace(".", "").replace("_", "").isalnum() and name.isidentifier()):
        raise InputError(f"{spec} does not exist", expected=_SPECS)
    try:
        return import_part(spec, "model")()
    except WordprintError:
        raise
    except Exception as error:  # of somebody's own code: whatever it is, it is no fault of ours
        seen = f"the model '{spec}' can't be made ({type(error).__name__}: {error})"
        raise ConfigError(seen, expected="a class that is built without arguments") from error


class CheckpointEmbedder(SpanEmbedder):
    """A training checkpoint behind the interface of `Model`; needs torch. Window encoders embed windows as they are."""

    def __init__(self, path: Path) -> None:
        from wordprint.train.checkpoint import load_checkpoint

        self.network, self.metadata = load_checkpoint(path)
        self.name = path.name if path.is_dir() else path.parent.name
        self.weights = path / BEST_WEIGHTS if path.is_dir() else path.with_suffix(".safetensors")
        self.digest = digest_file(self.weights)
        self.window_samples = self.network.config.window_samples
        self.frame_samples = self.network.frame_samples
        self.embedding_size = self.network.config.embedding_size
        self.pools_spans = hasattr(self.network.head, "prepare")
        self.phones = self.network.config.phones
        self.reads_phones = self.network.reader is not None
        words = self.metadata.get("training_words")
        self.training_words = frozenset(words) if words is not None else None

    def spell(self, strings: Sequence[Sequence[str]]) -> Floats:
        import torch

        if not len(strings):
            return np.zeros((0, self.embedding_size), np.float32)
        codes = phone_codes(strings, self.phones)
        with torch.inference_mode():
            return np.asarray(self.network.spell(torch.from_numpy(codes)).numpy())

    def frames(self, samples: ArrayLike) -> Floats:
        import torch

        heard = np.asarray(samples, np.float32)
        count, before = -(-len(heard) // self.frame_samples), SAMPLE_RATE // self.frame_samples
        rest = (count + self.network.encoder.delay) * self.frame_samples - len(heard)
        padded = np.pad(heard, (before * self.frame_samples, rest))
        with torch.inference_mode():
            frames = self.network.prepare(self.network.encoder(self.network.features(torch.from_numpy(padded[None]))))
        return np.asarray(frames[0, before : before + count].numpy())

    def pool(self, frames: Floats, spans_s: ArrayLike) -> Floats:
        import torch

        spans = torch.from_numpy(np.asarray(spans_s, np.float32).reshape(1, -1, 2) * np.float32(SAMPLE_RATE / self.frame_samples))
        with torch.inference_mode():
            return np.asarray(self.network.pool_prepared(torch.from_numpy(frames[None]), spans)[0].numpy())

    def embed(self, waveforms: ArrayLike) -> Floats:
        """Embeddings (B, D) of waveforms (B, N)."""
        import torch

        if self.pools_spans:
            return super().embed(waveforms)
        batch = torch.from_numpy(np.require(waveforms, np.float32, ["C", "W"]))
        with torch.inference_mode():
            return np.concatenate([self.network(part).numpy() for part in torch.split(batch, EMBED_BATCH)])
