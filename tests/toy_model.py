"""A small model that needs no training and no torch: an ONNX graph whose embedding says which bands sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from wordprint.model import MODEL_SCHEMA
from wordprint.spot.enroll import enroll

RATE = 16_000
WINDOW = 16_000
FRAME, HOP = 400, 160
CENTRES_HZ = np.geomspace(200, 6000, 16)


def write_model(path: Path, metadata: dict[str, Any] | str | None = None, **changes: Any) -> Path:
    """Waveform → band energies (quadrature filters) → log → mean over time → unit length; `changes` go into its metadata."""
    time_s = np.arange(FRAME) / RATE
    phase = 2 * np.pi * CENTRES_HZ[:, None] * time_s
    filters = np.concatenate([np.cos(phase), np.sin(phase)]) * np.hanning(FRAME) / FRAME
    constants = {
        "filters": filters[:, None].astype(np.float32),
        "halves": np.array([len(CENTRES_HZ), len(CENTRES_HZ)]),
        "floor": np.float32(1e-7),
        "channel": np.array([1]),
        "time": np.array([2]),
        "offset": np.log(np.float32(1e-7)),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "channel"], ["signal"]),
        helper.make_node("Conv", ["signal", "filters"], ["parts"], strides=[HOP]),
        helper.make_node("Mul", ["parts", "parts"], ["squares"]),
        helper.make_node("Split", ["squares", "halves"], ["cosine", "sine"], axis=1),
        helper.make_node("Add", ["cosine", "sine"], ["power"]),
        helper.make_node("Add", ["power", "floor"], ["floored"]),
        helper.make_node("Log", ["floored"], ["logs"]),
        helper.make_node("Sub", ["logs", "offset"], ["levels"]),
        helper.make_node("ReduceMean", ["levels", "time"], ["means"], keepdims=0),
        helper.make_node("LpNormalization", ["means"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "bands",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", len(CENTRES_HZ)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    description = {
        "schema": MODEL_SCHEMA,
        "name": "bands",
        "sample_rate": RATE,
        "window_samples": WINDOW,
        "any_length": True,
        "min_samples": 4 * FRAME,
        "embedding_size": len(CENTRES_HZ),
        "threshold": {"similarity": 0.9},
        "training_words": ["alpha", "beta"],
        **changes,
    }
    if metadata is None:
        metadata = json.dumps(description)
    if metadata:
        helper.set_model_props(model, {"wordprint": metadata})
    save(model, path)
    return path


def word(name: str, seconds: float = 0.5, level: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    """A made-up word: three tones of its own, with a little noise and a soft start and end."""
    tones_hz = {"red": (250, 400, 700), "blue": (1200, 2000, 3000), "green": (500, 2600, 5200)}[name]
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * tone * time_s + random.uniform(0, 6)) for tone in tones_hz) / 3
    envelope = np.minimum(1, np.minimum(time_s, time_s[::-1]) / 0.03)
    return (level * sound * envelope + random.normal(0, 1e-3, time_s.size)).astype(np.float32)


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
