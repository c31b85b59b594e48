"""The network as one module: waveform in, unit vector out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.parts import find_part
from wordprint.train.encoders import ENCODERS, Encoder
from wordprint.train.features import FRONT_ENDS


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build the network again."""

    front_end: str = "log_mel"
    n_features: int = 40
    encoder: str = "compact"
    embedding_size: int = 128
    window_s: float = 1.0
    sample_rate: int = SAMPLE_RATE

    @property
    def window_samples(self) -> int:
        return round(self.window_s * self.sample_rate)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Embedder(nn.Module):
    """(B, N) waveforms, full scale ±1, to (B, D) embeddings of length 1.

    The front end and the normalisation always compute in float32, also where the encoder runs in bfloat16.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = find_part(FRONT_ENDS, config.front_end, "front end")(config.n_features)
        make_encoder = find_part(ENCODERS, config.encoder, "encoder")
        with torch.no_grad():
            n_frames = self.front_end(torch.zeros(1, config.window_samples)).shape[2]
        self.encoder: Encoder = make_encoder(config.n_features, n_frames, config.embedding_size)

    def features(self, waveforms: Tensor) -> Tensor:
        """(B, N) to (B, F, T) in float32."""
        with torch.autocast(waveforms.device.type, enabled=False):
            features: Tensor = self.front_end(waveforms.float())
        return features

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, T) to unit embeddings (B, D) and the encoder's frames (B, C, T'), both float32."""
        frames = self.encoder.frames(features)
        embeddings = functional.normalize(self.encoder.pool(frames).float(), dim=1)
        return embeddings, frames.float()

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.encode(self.features(waveforms))[0]
