"""The whole network: waveform in, frames out; spans of frames in, unit vectors out; phone strings in, unit vectors out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wordprint.errors import ConfigError
from wordprint.goodness import LEAST_LIKELY
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.parts import find_part
from wordprint.train.encoders import ENCODERS, Encoder
from wordprint.train.features import FRONT_ENDS, FrontEnd
from wordprint.train.heads import HEADS, Head, SpanHead
from wordprint.train.phonetics import PhoneEncoder


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build the network again."""

    front_end: str = "log_mel"
    n_features: int = 40
    encoder: str = "streaming"
    channels: int = 128
    head: str = "binned"
    embedding_size: int = 128
    window_s: float = 2.0
    """Length of the recordings that it is trained on."""
    phones: tuple[str, ...] = ()
    """Symbols that the phone encoder knows; its number of the first is 1."""
    reads_phones: bool = False
    """Whether the phone of each frame can be read off it."""
    sample_rate: int = SAMPLE_RATE

    @property
    def window_samples(self) -> int:
        return round(self.window_s * self.sample_rate)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Embedder(nn.Module):
    """Encoder, head and phone encoder.

    The front end, the normalisation and the vectors always compute in float32, also where the encoder runs in bfloat16.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end: FrontEnd = find_part(FRONT_ENDS, config.front_end, "front end")(config.n_features)
        self.encoder: Encoder = find_part(ENCODERS, config.encoder, "encoder")(config.n_features, config.channels)
        self.head: Head = find_part(HEADS, config.head, "head")(self.encoder.channels, config.embedding_size)
        channels, symbols = self.encoder.channels, len(config.phones)
        self.phones = PhoneEncoder(symbols, config.embedding_size, max(8, channels * 10 // 9)) if config.phones else None
        self.reader = nn.Conv1d(channels, symbols + 1, 1) if config.phones and config.reads_phones else None
        self.frame_samples = self.front_end.hop_samples * self.encoder.stride
        if config.window_samples < self.frame_samples:
            shortest_s = self.frame_samples / config.sample_rate
            raise ConfigError(
                f"window_s is {config.window_s:g}", expected=f"at least {shortest_s:g}, a frame of the encoder '{config.encoder}'"
            )
        with torch.no_grad():  # a head for one length of window learns it here
            self.eval()(torch.zeros(1, config.window_samples))
        self.train()

    def features(self, waveforms: Tensor) -> Tensor:
        """(B, N) to (B, F, T) in float32, normalised."""
        with torch.autocast(waveforms.device.type, enabled=False):
            features: Tensor = self.encoder.normalise(self.front_end(waveforms.float()))
        return features

    def prepare(self, frames: Tensor) -> Tensor:
        """(B, C, T) to (B, T, F): what a SpanHead makes of frames once, and then, where phones can be read, how much less likely
        than the likeliest each is (natural logarithm, LEAST_LIKELY at least), silence being the first."""
        prepared = cast(SpanHead, self.head).prepare(frames)
        if self.reader is None:
            return prepared
        read: Tensor = self.reader(frames).transpose(1, 2).float()
        return torch.cat([prepared, (read - read.amax(dim=2, keepdim=True)).clamp(min=LEAST_LIKELY)], dim=2)

    def pool_prepared(self, prepared: Tensor, spans: Tensor) -> Tensor:
        """What `prepare` gives and spans (B, R, 2) in frames to unit vectors (B, R, D)."""
        heard = prepared if self.reader is None else prepared[..., : -self.reader.out_channels]
        return functional.normalize(cast(SpanHead, self.head).pool(heard, spans).float(), dim=2)

    def pool(self, frames: Tensor, spans: Tensor) -> Tensor:
        """Frames (B, C, T) and spans (B, R, 2) in samples to unit vectors (B, R, D)."""
        return functional.normalize(self.head(frames, spans / self.frame_samples).float(), dim=2)

    def spell(self, phones: Tensor) -> Tensor:
        """Phone strings (U, N), numbers of `config.phones`, to unit vectors (U, D)."""
        if self.phones is None:
            raise TypeError("this network has no phone encoder")
        return functional.normalize(self.phones(phones).float(), dim=1)

    def forward(self, waveforms: Tensor, spans: Tensor | None = None) -> Tensor:
        """(B, N) waveforms, full scale ±1, and spans (B, 2) in samples (without: all of it) to unit vectors (B, D)."""
        if spans is None:
            spans = torch.tensor([0.0, waveforms.shape[1]], device=waveforms.device).expand(len(waveforms), 2)
        return self.pool(self.encoder(self.features(waveforms)), spans[:, None])[:, 0]
