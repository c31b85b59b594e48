"""The exported model: one ONNX file that encodes a stream once and pools any span of it; runs on onnxruntime, without torch.

    model = Model()                              # the model that ships with wordprint
    frames = model.frames(samples)               # float32 (N,) at 16 kHz -> (T, F), one each 20 ms
    model.pool(frames, [(0.1, 0.9)])             # spans in seconds -> unit vectors (S, D)
    model.spell([["L", "AY", "T"]])              # phones -> unit vectors (U, D) of the same space
    model.embed(waveforms)                       # (B, N), a keyword each -> (B, D)

The file is the encoder with its state as input and output; its metadata holds two more ONNX models, the head and the phone
encoder. `load_embedder` gives `embed` to a checkpoint and to other projects' models, so that evaluation scores them all with
the same code.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import ConfigError, InputError, ModelError, WordprintError, disk_errors, kind_of
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.trim import Speech, find_speech
from wordprint.stages.manifest import digest_file
from wordprint.stages.parts import import_part

MODEL_SCHEMA = "wordprint.model/2"
METADATA_KEY = "wordprint"
HEAD_KEY, PHONES_KEY, STATE_KEY = "wordprint.head", "wordprint.phones", "wordprint.state"
"""Keys of the ONNX metadata under which the JSON description lies, and in base64 two other models and the encoder's first state."""

_NEWER = re.compile(r"Opset \d+ is under development|Unsupported model IR version.*|No Op registered.*")
"""What onnxruntime says of a whole file that it is too old for."""
BEST_WEIGHTS = "best.safetensors"
"""The weights in a checkpoint folder that validation found best."""

EMBED_BATCH = 64
"""Windows embedded at once, so that memory stays small for any number of them."""
SPANS_AT_ONCE = 256
AROUND_S = 0.08
"""Silence put before a recording of a keyword, so that spans may begin a little before it."""
SHAKEN_S = (-0.06, 0.0, 0.06)
"""Where spans around a trim begin and end, against it: a keyword's vector is the mean over all pairs."""
SHORTEST_S = 0.12

_SPECS = "an ONNX file, a checkpoint folder, or package.module:Class of your own"
_NEED = ("sample_rate", "window_samples", "block_samples", "frame_samples", "delay_frames", "embedding_size", "phones", "threshold")
_MODEL_REMEDY = "export the checkpoint again with 'wordprint export'"

Floats = NDArray[np.float32]


@runtime_checkable
class WaveformEmbedder(Protocol):
    """Whatever turns waveforms into embeddings: an exported model, a checkpoint, another project's model."""

    name: str
    digest: str
    window_samples: int
    training_words: frozenset[str] | None

    def embed(self, waveforms: Floats) -> Floats:
        """(B, N) at 16 kHz -> (B, D), each row of length 1."""
        ...


class SpanEmbedder(ABC):
    """A network that makes frames of audio once, and vectors of any span of them."""

    frame_samples: int
    embedding_size: int

    @abstractmethod
    def frames(self, samples: ArrayLike) -> Floats:
        """(N,) at 16 kHz, full scale ±1, in silence -> (T, F); frame t is about the sample t · `frame_samples`."""

    @abstractmethod
    def pool(self, frames: Floats, spans_s: ArrayLike) -> Floats:
        """(T, F) and spans (S, 2) in seconds from the first frame, any length, also beyond the frames -> unit vectors (S, D)."""

    @abstractmethod
    def spell(self, strings: Sequence[Sequence[str]]) -> Floats:
        """Unit vectors (U, D) of phone strings; raises InputError for an unknown phone, ModelError where it knows none."""

    def vector(self, samples: Floats, speech: Speech) -> Floats:
        """A unit vector (D,) of the speech in a recording (N,): the mean of those of nine spans around it."""
        quiet = np.zeros(round(AROUND_S * SAMPLE_RATE), np.float32)
        frames = self.frames(np.concatenate([quiet, samples, quiet]))
        start_s, end_s = (place / SAMPLE_RATE + AROUND_S for place in (speech.start_sample, speech.end_sample))
        spans = [(start_s + a, max(end_s + b, start_s + a + SHORTEST_S)) for a in SHAKEN_S for b in SHAKEN_S]
        mean = self.pool(frames, spans).mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)

    def embed(self, waveforms: ArrayLike) -> Floats:
        """Unit vectors (B, D) of what is said in waveforms (B, N), full scale ±1; zeros at both ends are no part of them."""
        batch = np.asarray(waveforms, np.float32)
        if batch.ndim != 2 or not batch.shape[1]:
            raise InputError(f"waveforms of shape {batch.shape}", expected=f"(B, N) at {SAMPLE_RATE} Hz")
        return np.stack([self._embed(row) for row in batch]) if len(batch) else np.zeros((0, self.embedding_size), np.float32)

    def _embed(self, samples: Floats) -> Floats:
        heard = np.flatnonzero(samples)
        if len(heard):
            samples = samples[heard[0] : heard[-1] + 1]
        return self.vector(samples, find_speech(samples))


class Model(SpanEmbedder):
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
        self._encoder = _session(content, path, threads)
        self.metadata = _metadata(self._encoder, path)
        self._head = _session(_part(self._encoder, HEAD_KEY, path), path, threads)
        self._speller = _session(_part(self._encoder, PHONES_KEY, path), path, threads) if self.metadata["phones"] else None
        self.silent_state = np.frombuffer(_part(self._encoder, STATE_KEY, path), "<f4")[None]
        """The state (1, S) after silence, in which a stream begins."""
        self.sample_rate: int = self.metadata["sample_rate"]
        self.block_samples: int = self.metadata["block_samples"]
        self.frame_samples: int = self.metadata["frame_samples"]
        self.delay_frames: int = self.metadata["delay_frames"]
        self.embedding_size: int = self.metadata["embedding_size"]
        self.window_samples: int = self.metadata["window_samples"]
        self.phones: tuple[str, ...] = tuple(self.metadata["phones"])
        self.threshold: float = self.metadata["threshold"]["similarity"]
        self.name: str = self.metadata.get("name") or path.stem
        words = self.metadata.get("training_words")
        self.training_words = frozenset(words) if words is not None else None
        frames, _ = self.step(np.zeros((1, self.block_samples), np.float32), self.silent_state)
        self.silence: Floats = frames[0, -1]
        """The frame (F,) of silence."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with the file's content, since a session can't be, and the file may not be where it is unpickled."""
        return _restored, (self.path, self._content, self._threads)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self  # nothing in it changes

    def parts(self) -> dict[str, Any]:
        """The file that holds the encoder, and by their keys the other models in it (base64)."""
        held = self._encoder.get_modelmeta().custom_metadata_map
        return {"encoder": self._content, **{key: held[key] for key in (HEAD_KEY, PHONES_KEY) if key in held}}

    def stream(self) -> FrameStream:
        """A stream that begins in silence."""
        return FrameStream(self)

    def frames(self, samples: ArrayLike) -> Floats:
        heard = np.asarray(samples, np.float32)
        if heard.ndim != 1:
            raise InputError(f"samples of shape {heard.shape}", expected=f"(N,) at {SAMPLE_RATE} Hz")
        count = -(-len(heard) // self.frame_samples)
        stream = self.stream()
        rest = -(-(count + self.delay_frames) * self.frame_samples // self.block_samples) * self.block_samples - len(heard)
        return stream.push(np.pad(heard, (0, max(0, rest))))[self.delay_frames : self.delay_frames + count]

    def pool(self, frames: Floats, spans_s: ArrayLike) -> Floats:
        spans = np.asarray(spans_s, np.float32).reshape(-1, 2) * np.float32(self.sample_rate / self.frame_samples)
        if not len(spans):
            return np.zeros((0, self.embedding_size), np.float32)
        groups = np.split(spans, range(SPANS_AT_ONCE, len(spans), SPANS_AT_ONCE))
        return np.concatenate([self._pool(frames, group) for group in groups])

    def _pool(self, frames: Floats, spans: Floats) -> Floats:
        beside = 2 + (spans[:, 1] - spans[:, 0]).max(initial=0.0) / 4  # frames that a head may look at beyond a span
        low = max(0, int(np.floor(spans.min() - beside)))
        shown = frames[low : max(low + 1, int(np.ceil(spans.max() + beside)) + 1)]
        if not len(shown):
            shown = self.silence[None]
        vectors: Floats = self._head.run(None, {"frames": np.ascontiguousarray(shown), "spans": spans - np.float32(low)})[0]
        return vectors

    def spell(self, strings: Sequence[Sequence[str]]) -> Floats:
        if self._speller is None:
            raise ModelError(f"{self.path} has no phone encoder: no keyword can be typed", remedy="enroll recordings")
        vectors: Floats = self._speller.run(None, {"phones": phone_codes(strings, self.phones)})[0]
        return vectors

    def step(self, samples: Floats, state: Floats) -> tuple[Floats, Floats]:
        """One block (1, block_samples) after `state` (1, S): its frames (1, n, F), `delay_frames` late, and the next state."""
        frames, following = self._encoder.run(["frames", "following"], {"samples": samples, "state": state})
        return frames, following


class FrameStream:
    """Frames of a stream as it comes. Samples are only ever collected into whole blocks: their chunks can't change one bit."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._state: Floats = model.silent_state
        self._pending = np.zeros(model.block_samples, np.float32)
        self._filled = 0

    def push(self, samples: Floats) -> Floats:
        """The frames (n, F) that the next samples (N,) complete, `delay_frames` late: the first of a stream lie before it."""
        found = [np.zeros((0, len(self._model.silence)), np.float32)]
        used = 0
        while used < len(samples):
            piece = samples[used : used + len(self._pending) - self._filled]
            self._pending[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            used += len(piece)
            if self._filled == len(self._pending):
                frames, self._state = self._model.step(self._pending[None], self._state)
                self._filled = 0
                found.append(frames[0])
        return np.concatenate(found)

    def __copy__(self) -> FrameStream:
        """A stream of its own that has heard the same."""
        made = FrameStream(self._model)
        made._state, made._pending, made._filled = self._state, self._pending.copy(), self._filled
        return made


def phone_codes(strings: Sequence[Sequence[str]], phones: Sequence[str]) -> NDArray[np.int64]:
    """Phone strings as the phone encoder takes them: (U, N), numbers from 1 on into `phones`, 0 after the last."""
    number = {phone: place for place, phone in enumerate(phones, start=1)}
    if unknown := sorted({phone for string in strings for phone in string} - number.keys()):
        raise InputError(f"the model doesn't know the phones {' '.join(unknown)}", expected=f"some of {' '.join(phones)}")
    if not all(strings):
        raise InputError("a phone string is empty", expected="one phone or more")
    codes = np.zeros((len(strings), max(map(len, strings), default=1)), np.int64)
    for row, string in zip(codes, strings, strict=True):
        row[: len(string)] = [number[phone] for phone in string]
    return codes


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
        self._span_head: Any = self.network.head if hasattr(self.network.head, "prepare") else None
        words = self.metadata.get("training_words")
        self.training_words = frozenset(words) if words is not None else None

    @property
    def pools_spans(self) -> bool:
        """Whether any span of its frames can be pooled; else it embeds whole windows."""
        return self._span_head is not None

    def spell(self, strings: Sequence[Sequence[str]]) -> Floats:
        import torch

        codes = phone_codes(strings, self.network.config.phones)
        with torch.inference_mode():
            return np.asarray(self.network.spell(torch.from_numpy(codes)).numpy())

    def frames(self, samples: ArrayLike) -> Floats:
        import torch

        heard = np.asarray(samples, np.float32)
        count, before = -(-len(heard) // self.frame_samples), SAMPLE_RATE // self.frame_samples
        rest = (count + self.network.encoder.delay) * self.frame_samples - len(heard)
        padded = np.pad(heard, (before * self.frame_samples, rest))
        with torch.inference_mode():
            frames = self._span_head.prepare(self.network.encoder(self.network.features(torch.from_numpy(padded[None]))))
        return np.asarray(frames[0, before : before + count].numpy())

    def pool(self, frames: Floats, spans_s: ArrayLike) -> Floats:
        import torch
        from torch.nn.functional import normalize

        spans = torch.from_numpy(np.asarray(spans_s, np.float32).reshape(1, -1, 2) * np.float32(SAMPLE_RATE / self.frame_samples))
        with torch.inference_mode():
            return np.asarray(normalize(self._span_head.pool(torch.from_numpy(frames[None]), spans)[0], dim=1).numpy())

    def embed(self, waveforms: ArrayLike) -> Floats:
        """Embeddings (B, D) of waveforms (B, N)."""
        import torch

        if self.pools_spans:
            return super().embed(waveforms)
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


def _part(session: Any, key: str, path: Path) -> bytes:
    """One of the parts in the metadata."""
    try:
        return base64.b64decode(session.get_modelmeta().custom_metadata_map[key], validate=True)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} has no {key} in its metadata", remedy=_MODEL_REMEDY) from error


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
