"""The small model of tests/toy_model.py, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toy_model import write_model
from wordprint.model import Model


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "bands.onnx")


@pytest.fixture(scope="session")
def model(model_path: Path) -> Model:
    return Model(model_path)


@pytest.fixture
def model_writer(tmp_path: Path) -> Callable[..., Path]:
    """Writes variants of the model, to see them refused."""

    def write(file: str = "variant.onnx", **arguments: Any) -> Path:
        return write_model(tmp_path / file, **arguments)

    return write
