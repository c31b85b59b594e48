"""The exported model: one ONNX file, waveform in, L2-normalised embedding out; runs on onnxruntime, without torch.

    model = Model()                       # the model that ships with wordprint
    model.embed(waveforms)                # float32 (B, N) at 16 kHz -> float32 (B, D)

`load_embedder` gives the same interface to a checkpoint folder and to other projects' models, so that evaluation
scores them all with the same code.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import ConfigError, InputError, ModelError, WordprintError, disk_errors, kind_of
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.manifest import digest_file
from wordprint.stages.parts import import_part

MODEL_SCHEMA = "wordprint.model/1"
METADATA_KEY = "wordprint"
"""Key of the ONNX metadata under which the JSON description lies."""

_NEWER = re.compile(r"Opset \d+ is under development|Unsupported model IR version.*|No Op registered.*")
"""What onnxruntime says of a whole file that it is too old for."""
BEST_WEIGHTS = "best.safetensors"
"""The weights in a checkpoint folder that validation found best."""

EMBED_BATCH = 64
"""Waveforms embedded at once, so that memory stays small for any number of them."""

_SPECS = "an ONNX file, a checkpoint folder, or package.module:Class of your own"
_NEED = ("sample_rate", "window_samples", "any_length", "min_samples", "embedding_size", "threshold")
_MODEL_REMEDY = "export the checkpoint again with 'wordprint export'"


@runtime_checkable
class WaveformEmbedder(Protocol):
    """Whatever turns waveforms into embeddings: an exported model, a checkpoint, another project's model."""

    name: str
    digest: str
    window_samples: int
    training_words: frozenset[str] | None

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, N) at 16 kHz -> (B, D), each row of length 1."""
        ...


class Model:
    """An exported model. Without `path`, the one that ships with wordprint.

    Raises InputError when the file does not exist; ModelError when it is not ONNX, was not made by wordprint, or was
    made by a version with another schema. `threads` is the number of CPU threads of one call.
    """

    def __init__(self, path: str | Path | None = None, *, threads: int = 1) -> None:
        path = Path(path) if path is not None else bundled_model()
        self._load(path, _read(path), threads)

    def _load(self, path: Path, content: bytes, threads: int) -> None:
        self.path = path
        self.digest = hashlib.sha256(content).hexdigest()
        self._content, self._threads = content, threads
        self._session = _session(content, self.path, threads)
        self.metadata = _metadata(self._session, self.path)
        self.sample_rate: int = self.metadata["sample_rate"]
        self.window_samples: int = self.metadata["window_samples"]
        self.any_length: bool = self.metadata["any_length"]
        self.min_samples: int = self.metadata["min_samples"]
        self.embedding_size: int = self.metadata["embedding_size"]
        self.threshold: float = self.metadata["threshold"]["similarity"]
        self.name: str = self.metadata.get("name") or self.path.stem
        words = self.metadata.get("training_words")
        self.training_words = frozenset(words) if words is not None else None
        self._input = self._session.get_inputs()[0].name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with the file's content, since a session can't be, and the file may not be where it is unpickled."""
        return _restored, (self.path, self._content, self._threads)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self  # nothing in it changes

    def embed(self, waveforms: ArrayLike) -> NDArray[np.float32]:
        """Embeddings (B, D), L2-normalised, of waveforms (B, N), full scale ±1, at `sample_rate`.

        N is at least `min_samples`, and `window_samples` where the model does not take `any_length`.
        """
        batch = np.asarray(waveforms, dtype=np.float32)
        fits = batch.ndim == 2 and (
            batch.shape[1] >= self.min_samples if self.any_length else batch.shape[1] == self.window_samples
        )
        if not fits:
            wanted = f"{self.min_samples} or more" if self.any_length else str(self.window_samples)
            raise InputError(f"waveforms of shape {batch.shape}", expected=f"(B, N) with {wanted} samples at {SAMPLE_RATE} Hz")
        parts = [self._run(batch[start : start + EMBED_BATCH]) for start in range(0, len(batch), EMBED_BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.embedding_size), np.float32)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0]
        return output


def _restored(path: Path, content: bytes, threads: int) -> Model:
    model = Model.__new__(Model)
    model._load(path, content, threads)
    return model


def bundled_model() -> Path:
    """Path of the model that ships as package data."""
    folder = Path(str(resources.files("wordprint"))) / "models"
    found = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    floats = [path for path in found if not path.name.endswith(".int8.onnx")] or found
    if not floats:
        raise ModelError(
            "this copy of wordprint ships without a model",
            expected=f"a file models/*.onnx in {folder.parent}",
            remedy="name a model file: train and export one with 'wordprint run'",
        )
    return floats[0]


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


class CheckpointEmbedder:
    """A training checkpoint behind the interface of `Model`; needs torch."""

    def __init__(self, path: Path) -> None:
        from wordprint.train.checkpoint import load_checkpoint

        self.network, self.metadata = load_checkpoint(path)
        self.name = path.name if path.is_dir() else path.parent.name
        self.weights = path / BEST_WEIGHTS if path.is_dir() else path.with_suffix(".safetensors")
        self.digest = digest_file(self.weights)
        self.window_samples = self.network.config.window_samples
        words = self.metadata.get("training_words")
        self.training_words = frozenset(words) if words is not None else None

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (B, D) of waveforms (B, N)."""
        import torch

        batch = torch.from_numpy(np.require(waveforms, np.float32, ["C", "W"]))
        with torch.inference_mode():
            return np.concatenate([self.network(part).numpy() for part in torch.split(batch, EMBED_BATCH)])


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(kind_of(path), expected="a model file (.onnx) that 'wordprint export' wrote")
    with disk_errors(path):
        return path.read_bytes()


def _session(content: bytes, path: Path, threads: int) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented) as error:
        if newer := _NEWER.search(str(error)):
            raise ModelError(
                f"{path} needs a newer onnxruntime (have {onnxruntime.__version__}: {newer[0]})",
                remedy="install it with: pip install --upgrade onnxruntime",
            ) from error
        raise ModelError(f"{path} is not a valid ONNX file", expected="a model that 'wordprint export' wrote") from error


def _metadata(session: Any, path: Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{path} is an ONNX file without wordprint's metadata", expected="a model that 'wordprint export' wrote")
    try:
        metadata: dict[str, Any] = json.loads(text)
        schema = metadata.get("schema")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path} has damaged metadata", expected=MODEL_SCHEMA, remedy=_MODEL_REMEDY) from error
    if schema != MODEL_SCHEMA:
        raise ModelError(f"{path} has schema {schema!r} (made by another version)", expected=MODEL_SCHEMA, remedy=_MODEL_REMEDY)
    missing = [key for key in _NEED if key not in metadata]
    if missing or metadata["sample_rate"] != SAMPLE_RATE:
        what = f"lacks {', '.join(missing)}" if missing else f"is for {metadata['sample_rate']} Hz, not {SAMPLE_RATE}"
        raise ModelError(f"{path}: its metadata {what}", remedy=_MODEL_REMEDY)
    return metadata
