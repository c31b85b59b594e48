"""The adapter for EfficientWord-Net, which is not a dependency."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from wordprint.embedding import WaveformEmbedder
from wordprint.errors import MissingExtraError
from wordprint.evaluate.efficientword import EfficientWordNet


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "eff_word_net", None)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps EfficientWord-Net==1\.0\.5"):
        EfficientWordNet()


def test_embeds_like_any_model():
    pytest.importorskip(
        "eff_word_net", reason="EfficientWord-Net is not installed (pip install --no-deps EfficientWord-Net==1.0.5)"
    )
    model = EfficientWordNet()
    assert isinstance(model, WaveformEmbedder)
    noise = np.random.default_rng(0).normal(size=(2, model.window_samples)).astype(np.float32)
    embeddings = model.embed(noise)
    assert embeddings.shape == (2, 2048)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(np.ones(2), abs=1e-3)
