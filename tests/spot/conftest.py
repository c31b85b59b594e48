"""The small model of tests/toy_model.py, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toy_model import SIZE, padded, read_phones, word, write_model
from wordprint.cohort import Cohort
from wordprint.model import Model
from wordprint.spot.enroll import enroll

TABLE = [[0.1, 0.4], [1.0, 0.3], [10.0, 0.1]]
"""False alarms per hour above the level of a keyword."""


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "bands.onnx")


@pytest.fixture(scope="session")
def model(model_path: Path) -> Model:
    return Model(model_path)


@pytest.fixture(scope="module")
def reading(model_path: Path) -> Model:
    """The same, whose phones can be read off its frames."""
    made = Model(model_path)
    made.reads_phones, made.phones_of = True, read_phones  # type: ignore[method-assign]
    return made


@pytest.fixture
def model_writer(tmp_path: Path) -> Callable[..., Path]:
    """Writes variants of the model, to see them refused."""

    def write(file: str = "variant.onnx", **arguments: Any) -> Path:
        return write_model(tmp_path / file, **arguments)

    return write


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A toy model whose ordinary speech is what 'green' sounds like, and noise."""
    path = tmp_path_factory.mktemp("ordinary") / "bands.onnx"
    plain = Model(write_model(path))
    green = enroll(plain, "green", [padded(word("green"))]).keywords[0].prototypes[0]
    random = np.random.default_rng(0)
    vectors = np.concatenate([np.tile(green, (50, 1)), random.normal(0, 1, (50, SIZE))]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cohort = Cohort.of((-6,), vectors[None])
    threshold = {"similarity": 0.9, "target_false_alarms_per_hour": 2.0, "above_level": TABLE}
    return Model(write_model(path, cohort=cohort.pack(), threshold=threshold))
