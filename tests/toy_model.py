"""A small model that needs no training and no torch: an ONNX graph whose frames say which bands sound, and its head and phones."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from wordprint.goodness import LEAST_LIKELY
from wordprint.model import COHORT_KEY, HEAD_KEY, MODEL_SCHEMA, PHONES_KEY, STATE_KEY
from wordprint.spot.enroll import enroll

RATE = 16_000
BLOCK, FRAME, DELAY = 1280, 320, 2
WINDOW = 400
"""Samples that a frame hears: frame t those from 320 t − 80 on."""
KEPT = WINDOW - FRAME + DELAY * FRAME
FLOOR = 1e-7
"""Added to the power of a band."""
CENTRES_HZ = np.geomspace(200, 6000, 16)
BINS = 4
"""Equal parts of a span, in each of which the mean frame is taken."""
SIZE = BINS * len(CENTRES_HZ)
TONES_HZ = {"red": (250, 400, 700), "blue": (1200, 2000, 3000), "green": (500, 2600, 5200)}
PHONES = ("R", "B", "G")
"""What the words are typed with: one phone each."""


def write_model(path: Path, metadata: dict[str, Any] | str | None = None, *, cohort: bytes | None = None, **changes: Any) -> Path:
    """Frames of the levels in bands (quadrature filters, log), means in quarters of a span; `changes` go into the metadata."""
    model = _encoder()
    description = {
        "schema": MODEL_SCHEMA,
        "name": "bands",
        "sample_rate": RATE,
        "window_samples": 16_000,
        "block_samples": BLOCK,
        "frame_samples": FRAME,
        "delay_frames": DELAY,
        "embedding_size": SIZE,
        "phones": list(PHONES),
        "threshold": {"similarity": 0.9},
        "training_words": ["alpha", "beta"],
        **changes,
    }
    if metadata is None:
        metadata = json.dumps(description)
    if metadata:
        parts = {HEAD_KEY: _head().SerializeToString(), PHONES_KEY: _phones().SerializeToString()}
        parts[STATE_KEY] = np.zeros((1, KEPT), np.float32).tobytes()
        if cohort is not None:
            parts[COHORT_KEY] = cohort
        packed = {key: base64.b64encode(part).decode() for key, part in parts.items()}
        helper.set_model_props(model, {"wordprint": metadata, **packed})
    save(model, path)
    return path


def _filters() -> NDArray[np.float64]:
    """(32, WINDOW) cosines, then sines, of the bands."""
    phase = 2 * np.pi * CENTRES_HZ[:, None] * np.arange(WINDOW) / RATE
    return np.concatenate([np.cos(phase), np.sin(phase)]) * np.hanning(WINDOW) / WINDOW


def _encoder() -> Any:
    """samples (1, 1280) and state (1, 720), the samples before, to frames (1, 4, 16), two frames late, and the following state."""
    constants = {
        "filters": _filters()[:, None].astype(np.float32),
        "halves": np.array([len(CENTRES_HZ), len(CENTRES_HZ)]),
        "floor": np.float32(FLOOR),
        "channel": np.array([1]),
        "offset": np.log(np.float32(FLOOR)),
        "cut": np.array([BLOCK + KEPT - DELAY * FRAME, DELAY * FRAME]),
        "pieces": np.array([BLOCK, KEPT]),
    }
    nodes = [
        helper.make_node("Concat", ["state", "samples"], ["joined"], axis=1),
        helper.make_node("Split", ["joined", "pieces"], ["gone", "following"], axis=1),
        helper.make_node("Split", ["joined", "cut"], ["heard", "ahead"], axis=1),
        helper.make_node("Unsqueeze", ["heard", "channel"], ["signal"]),
        helper.make_node("Conv", ["signal", "filters"], ["parts"], strides=[FRAME]),
        helper.make_node("Mul", ["parts", "parts"], ["squares"]),
        helper.make_node("Split", ["squares", "halves"], ["cosine", "sine"], axis=1),
        helper.make_node("Add", ["cosine", "sine"], ["power"]),
        helper.make_node("Add", ["power", "floor"], ["floored"]),
        helper.make_node("Log", ["floored"], ["logs"]),
        helper.make_node("Sub", ["logs", "offset"], ["levels"]),
        helper.make_node("Transpose", ["levels"], ["frames"], perm=[0, 2, 1]),
    ]
    inputs = {"samples": [1, BLOCK], "state": [1, KEPT]}
    return _model(nodes, inputs, {"frames": [1, BLOCK // FRAME, len(CENTRES_HZ)], "following": [1, KEPT]}, constants)


def _head() -> Any:
    """frames (T, 16) and spans (S, 2) to unit vectors (S, 64): means in four bins; a frame at the edge of one counts in part."""
    places = np.arange(BINS, dtype=np.float32)[:, None] / BINS
    constants = {
        "last": np.array([2]),
        "halves": np.array([1, 1]),
        "starts": places,
        "ends": places + np.float32(1 / BINS),
        "flat": np.array([-1, SIZE]),
        "none": np.int64(0),
        "one": np.int64(1),
        "half": np.float32(0.5),
        "low": np.float32(0),
        "high": np.float32(1),
        "little": np.float32(1e-6),
    }
    nodes = [
        helper.make_node("Shape", ["frames"], ["shape"]),
        helper.make_node("Gather", ["shape", "none"], ["count"]),
        helper.make_node("Range", ["none", "count", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["time"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["spans", "last"], ["columns"]),
        helper.make_node("Split", ["columns", "halves"], ["start", "end"], axis=1),  # (S, 1, 1)
        helper.make_node("Sub", ["end", "start"], ["lasting"]),
        helper.make_node("Mul", ["lasting", "starts"], ["from_start"]),
        helper.make_node("Mul", ["lasting", "ends"], ["to_end"]),
        helper.make_node("Add", ["start", "from_start"], ["bin_start"]),  # (S, 4, 1)
        helper.make_node("Add", ["start", "to_end"], ["bin_end"]),
        helper.make_node("Sub", ["time", "bin_start"], ["after"]),
        helper.make_node("Sub", ["bin_end", "time"], ["before"]),
        helper.make_node("Min", ["after", "before"], ["inside"]),
        helper.make_node("Add", ["inside", "half"], ["share"]),
        helper.make_node("Clip", ["share", "low", "high"], ["weights"]),
        helper.make_node("MatMul", ["weights", "frames"], ["sums"]),
        helper.make_node("Reshape", ["sums", "flat"], ["joined"]),
        helper.make_node("Add", ["joined", "little"], ["some"]),
        helper.make_node("LpNormalization", ["some"], ["vectors"], axis=1, p=2),
    ]
    inputs = {"frames": ["frames", len(CENTRES_HZ)], "spans": ["spans", 2]}
    return _model(nodes, inputs, {"vectors": ["spans", SIZE]}, constants)


def _phones() -> Any:
    """phones (U, N) to unit vectors (U, 64): the frames in the middle of the words, in all bins."""
    table = np.zeros((1 + len(PHONES), len(CENTRES_HZ)), np.float32)
    for row, name in zip(table[1:], TONES_HZ, strict=True):
        cosine, sine = (_filters() @ word(name)[4000 : 4000 + WINDOW]).reshape(2, -1)
        row[:] = np.log1p((cosine**2 + sine**2) / FLOOR)
    nodes = [
        helper.make_node("Gather", ["table", "phones"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "over"], ["sums"], keepdims=0),
        helper.make_node("LpNormalization", ["sums"], ["vectors"], axis=1, p=2),
    ]
    constants = {"table": np.tile(table, BINS), "over": np.array([1])}
    return _model(nodes, {"phones": ["strings", "length"]}, {"vectors": ["strings", SIZE]}, constants, TensorProto.INT64)


def _model(nodes: list[Any], inputs: Any, outputs: Any, constants: dict[str, Any], kind: int = TensorProto.FLOAT) -> Any:
    graph = helper.make_graph(
        nodes,
        "bands",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def word(name: str, seconds: float = 0.5, level: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    """A made-up word: three tones of its own, with a little noise and a soft start and end."""
    tones_hz = TONES_HZ[name]
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * tone * time_s + random.uniform(0, 6)) for tone in tones_hz) / 3
    envelope = np.minimum(1, np.minimum(time_s, time_s[::-1]) / 0.03)
    return (level * sound * envelope + random.normal(0, 1e-3, time_s.size)).astype(np.float32)


def read_phones(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `Model.phones_of` gives of a model that reads phones: of frames (T, 16) silence, or the word whose tones are loudest,
    and all others less likely by how much quieter they are."""
    nearest = [[int(np.abs(CENTRES_HZ - tone).argmin()) for tone in tones] for tones in TONES_HZ.values()]  # R, B, G
    loud = np.stack([np.full(len(frames), 4.0), *(frames[:, bands].min(axis=1) for bands in nearest)], axis=1)
    return np.maximum(loud - loud.max(axis=1, keepdims=True), LEAST_LIKELY).astype(np.float32)


def enroll_words(folder: Path, *names: str) -> tuple[Path, Path]:
    """A model, and keywords enrolled with it from two recordings each: their files."""
    model, keywords = write_model(folder / "bands.onnx"), folder / "keywords.json"
    for name in names:
        enroll(model, name, [padded(word(name, seed=seed), seed=seed) for seed in range(2)], keywords)
    return model, keywords


def stream_of(*words: tuple[str, float], seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Quiet noise with words that start at the given seconds."""
    samples = np.random.default_rng(seed).normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)
    for number, (name, start_s) in enumerate(words):
        sound = word(name, seed=seed + number)
        samples[round(start_s * RATE) :][: sound.size] += sound
    return samples


def padded(sound: NDArray[np.float32], before_s: float = 0.4, after_s: float = 0.4, seed: int = 9) -> NDArray[np.float32]:
    """A recording of a word: with quiet noise around it."""
    random = np.random.default_rng(seed)
    before, after = (random.normal(0, 1e-3, round(seconds * RATE)) for seconds in (before_s, after_s))
    return np.concatenate([before, sound, after]).astype(np.float32)
