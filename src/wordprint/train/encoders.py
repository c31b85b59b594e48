"""Encoders: features (B, F, T) in, one vector (B, D) out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wordprint.errors import ConfigError


class Encoder(nn.Module):
    """`frames` looks at time, `pool` makes one vector of it; training also listens to the frames (see phonetics.py)."""

    channels: int
    """C of `frames`."""

    def frames(self, features: Tensor) -> Tensor:
        """(B, F, T) to (B, C, T'), T' ≤ T, evenly spaced over the same time."""
        raise TypeError(f"{type(self).__name__} must define frames()")

    def pool(self, frames: Tensor) -> Tensor:
        """(B, C, T') to (B, D)."""
        raise TypeError(f"{type(self).__name__} must define pool()")

    def forward(self, features: Tensor) -> Tensor:
        pooled: Tensor = self.pool(self.frames(features))
        return pooled


def convolution(inputs: int, outputs: int, size: int = 3, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """2-D convolution and batch normalisation; keeps the size but for the stride (bands, time)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs))


class Residual2d(nn.Module):
    """Two 3 × 3 convolutions over bands and time beside a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(inputs, outputs, stride=stride), nn.ReLU(), convolution(outputs, outputs))
        same = inputs == outputs and stride == (1, 1)
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.shortcut(maps) + self.body(maps))


class SqueezeExcitation(nn.Module):
    """Weighs the channels of (B, C, T) by what the whole window holds (Hu et al., 2018)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // reduction), nn.ReLU(), nn.Linear(channels // reduction, channels), nn.Sigmoid()
        )

    def forward(self, frames: Tensor) -> Tensor:
        gate: Tensor = self.gate(frames.mean(dim=2))
        return frames * gate[:, :, None]


class Residual1d(nn.Module):
    """A dilated convolution over time, one over channels, squeeze-excitation, and a shortcut (after ECAPA-TDNN, 2020)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
            SqueezeExcitation(channels, reduction=8),
        )

    def forward(self, frames: Tensor) -> Tensor:
        return torch.relu(frames + self.body(frames))


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over time: (B, C, T) to (B, 2C) (Okabe et al., 2018)."""

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1))

    def forward(self, frames: Tensor) -> Tensor:
        weights = torch.softmax(self.attention(frames), dim=2)
        mean = (weights * frames).sum(dim=2)
        deviation = ((weights * frames.square()).sum(dim=2) - mean.square()).clamp(min=1e-4).sqrt()
        return torch.cat([mean, deviation], dim=1)


class CompactCnn(Encoder):
    """A small 2-D residual stem, then dilated 1-D residual blocks over time, then attentive statistics.

    The stem shares its weights over the bands, so that a child's and a man's formants meet the same filters; the blocks see
    all bands at once and up to 0.4 s. No depthwise convolutions: on a CPU dense ones of this size are faster.
    """

    def __init__(self, n_features: int, n_frames: int, embedding_size: int, channels: int = 112) -> None:
        super().__init__()
        self.channels = channels
        self.normalise = nn.BatchNorm1d(n_features)
        self.stem = nn.Sequential(
            convolution(1, 16, stride=(2, 2)), nn.ReLU(), Residual2d(16, 16), Residual2d(16, 32, stride=(2, 1))
        )
        bands = -(-n_features // 4)
        self.project = nn.Sequential(nn.Conv1d(32 * bands, channels, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*[Residual1d(channels, dilation) for dilation in (1, 2, 3, 4)])
        self.statistics = nn.Sequential(AttentiveStatistics(channels), nn.BatchNorm1d(2 * channels))
        self.output = nn.Linear(2 * channels, embedding_size)

    def frames(self, features: Tensor) -> Tensor:
        maps = self.stem(self.normalise(features).unsqueeze(1))
        frames: Tensor = self.blocks(self.project(maps.flatten(1, 2)))
        return frames

    def pool(self, frames: Tensor) -> Tensor:
        pooled: Tensor = self.output(self.statistics(frames))
        return pooled


class AncestorCnn(Encoder):
    """The starting point of this project: four convolutions with max pooling over an MFCC image, then two dense layers."""

    def __init__(self, n_features: int, n_frames: int, embedding_size: int) -> None:
        super().__init__()
        if n_features < 16 or n_frames < 4:
            raise ConfigError(
                f"n_features is {n_features}, and the window has {n_frames} frames",
                expected="at least 16 and 4 with the encoder 'ancestor', which pools them",
            )
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 2) if outputs < 64 else (2, 1))]
        self.convolutions = nn.Sequential(*layers)
        self.channels = 128 * (n_features // 16)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(self.channels * (n_frames // 4), embedding_size),
            nn.ReLU(),
            nn.Linear(embedding_size, embedding_size),
        )

    def frames(self, features: Tensor) -> Tensor:
        maps: Tensor = self.convolutions(features.unsqueeze(1))
        return maps.flatten(1, 2)

    def pool(self, frames: Tensor) -> Tensor:
        pooled: Tensor = self.dense(frames)
        return pooled


ENCODERS: dict[str, Callable[[int, int, int], Encoder]] = {"compact": CompactCnn, "ancestor": AncestorCnn}
"""Encoders by name: (number of features, frames in the window, embedding size) → module (B, F, T) → (B, D)."""
