"""The exported model: one ONNX file that encodes a stream once and pools any span of it; runs on onnxruntime, without torch.

    model = Model()                              # the model that ships with wordprint
    frames = model.frames(samples)               # float32 (N,) at 16 kHz -> (T, F), one each 20 ms
    model.pool(frames, [(0.1, 0.9)])             # spans in seconds -> unit vectors (S, D)
    model.spell([["L", "AY", "T"]])              # phones -> unit vectors (U, D) of the same space
    model.embed(waveforms)                       # (B, N), a keyword each -> (B, D)

The file is the encoder with its state as input and output; its metadata holds two more ONNX models, the head and the phone
encoder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike

from wordprint.cohort import Cohort
from wordprint.embedding import Floats, SpanEmbedder, phone_codes
from wordprint.errors import InputError, ModelError, kind_of
from wordprint.speech.audio import SAMPLE_RATE

MODEL_SCHEMA = "wordprint.model/2"
METADATA_KEY = "wordprint"
HEAD_KEY, PHONES_KEY, STATE_KEY, COHORT_KEY = "wordprint.head", "wordprint.phones", "wordprint.state", "wordprint.cohort"
"""Keys of the ONNX metadata under which the JSON description lies, and in base64 two other models, the encoder's first state and
what ordinary speech is like."""
DEFAULT_PER_HOUR = 1.0
"""False alarms per hour at the default threshold of a model that doesn't say."""

_NEWER = re.compile(r"Opset \d+ is under development|Unsupported model IR version.*|No Op registered.*")
"""What onnxruntime says of a whole file that it is too old for."""
SPANS_AT_ONCE = 256

_NEED = ("sample_rate", "window_samples", "block_samples", "frame_samples", "delay_frames", "embedding_size", "phones", "threshold")
_MODEL_REMEDY = "export the checkpoint again with 'wordprint export'"


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
        self.reads_phones: bool = self.metadata.get("reads_phones", False)
        self.threshold: float = self.metadata["threshold"]["similarity"]
        self.false_alarms_per_hour: float = self.metadata["threshold"].get("target_false_alarms_per_hour", DEFAULT_PER_HOUR)
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

    @cached_property
    def cohort(self) -> Cohort | None:
        """Spans of ordinary speech, where the model has them."""
        if COHORT_KEY not in self._encoder.get_modelmeta().custom_metadata_map:
            return None
        try:
            return Cohort.unpack(_part(self._encoder, COHORT_KEY, self.path))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            wrong = "that is damaged or of another version"
            raise ModelError(f"{self.path} has a {COHORT_KEY} {wrong}", remedy=_MODEL_REMEDY) from error

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
        vectors = np.zeros((len(spans), self.embedding_size), np.float32)
        for first in range(0, len(spans), SPANS_AT_ONCE):
            vectors[first : first + SPANS_AT_ONCE] = self._pool(frames, spans[first : first + SPANS_AT_ONCE])
        return vectors

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
        if not len(strings):  # onnxruntime's GRU would read beyond them
            return np.zeros((0, self.embedding_size), np.float32)
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


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(kind_of(path), expected="a model file (.onnx) that 'wordprint export' wrote")
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
