"""EfficientWord-Net (Apache-2.0) behind the interface of wordprint's models, to score it with the same command.

    pip install --no-deps EfficientWord-Net==1.0.5
    wordprint evaluate wordprint.evaluate.efficientword:EfficientWordNet DATA --output OUT

https://github.com/Ant-Brain/EfficientWord-Net: a ResNet-50 with ArcFace loss on log-mel energies of a 1.5 s window,
trained on words of the Multilingual Spoken Words Corpus. Its vocabulary isn't published, so nothing can be said about
words it has seen. Only its front end and its weights are used: neither microphone nor detector is imported.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import MissingExtraError
from wordprint.speech.audio import SAMPLE_RATE

WINDOW_S = 1.5
WEIGHTS = "models/resnet_50_arc/slim_93%_accuracy_72.7390%_qint8.onnx"
"""int8, 22 MB; the wheel's float weights are 88 MB."""


class EfficientWordNet:
    """The int8 model of the wheel; embeddings (B, 2048)."""

    training_words: frozenset[str] | None = None
    window_samples = int(WINDOW_S * SAMPLE_RATE)

    def __init__(self) -> None:
        import onnxruntime

        try:
            self._front_end = import_module("eff_word_net.audio_utils")
        except ImportError as error:
            raise MissingExtraError(
                "this adapter needs the Python package 'eff_word_net', which is not installed",
                remedy="install it with: pip install --no-deps EfficientWord-Net==1.0.5",
            ) from error
        path = Path(str(self._front_end.__file__)).parent / WEIGHTS
        self.name = "EfficientWord-Net 1.0.5 (int8)"
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, N) at 16 kHz -> (B, 2048), each row of length 1; one by one, as the model takes no batches."""
        return np.concatenate([self._session.run(None, {self._input: self._features(samples)})[0] for samples in waveforms])

    def _features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, 1, T, 64) log-mel energies with the settings of its `Resnet50_Arc_loss`."""
        energies = self._front_end.logfbank(
            samples, samplerate=SAMPLE_RATE, winlen=0.025, winstep=0.01, nfilt=64, nfft=512, preemph=0.0
        )
        return np.asarray(energies, dtype=np.float32)[None, None]
