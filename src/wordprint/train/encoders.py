"""Encoders: features (B, F, T) in, frames (B, C, T') out. A head (heads.py) makes vectors of spans of frames.

`streaming` looks at no window as a whole: a stream is computed once, and equals the recording. Its modules keep, where
they are told to, what they need of the past (`Context`), so that one piece of code serves training and the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wordprint.errors import ConfigError


class Encoder(nn.Module):
    """What `find_part` looks for: `channels` is C, `stride` the features of a frame, `delay` the frames that one looks ahead."""

    channels: int
    stride: int
    delay: int = 0
    normalise: nn.Module
    """What features go through before parts of them are masked."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = nn.Identity()  # not in the class, where it would hide what subclasses register

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, T), normalised, to (B, C, T'), T' ≤ T, evenly spaced over the same time."""
        raise TypeError(f"{type(self).__name__} must define forward()")


class Context(nn.Module):
    """(…, T) to (…, before + T + after): zeros around a recording; in a stream what came before, so that `after` is delay.

    `kept` (…, before + after) is None for recordings. In a stream it holds the end of what came before, and after each call
    `following` is what to keep for the next.
    """

    def __init__(self, before: int, after: int = 0) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.kept: Tensor | None = None
        self.following: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        if self.kept is None:
            return functional.pad(values, (self.before, self.after))
        joined = torch.cat([self.kept, values], dim=-1)
        self.following = joined[..., joined.shape[-1] - self.before - self.after :]
        return joined

    def delayed(self, joined: Tensor, frames: int) -> Tensor:
        """(…, before + T + after), as returned, to (…, T): what went in; in a stream that of so many frames ago, the most that is
        kept of them."""
        ago = self.after if self.kept is None else frames
        first = self.before + self.after - ago
        return joined[..., first : joined.shape[-1] - ago]


def convolution(inputs: int, outputs: int, size: int = 3, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """2-D convolution and batch normalisation; keeps the size but for the stride (bands, time)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs))


def _over_bands(inputs: int, outputs: int, context: Context, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Like `convolution`, its frames before and after from `context`."""
    bands = nn.Conv2d(inputs, outputs, 3, stride, padding=(1, 0), bias=False)
    return nn.Sequential(context, bands, nn.BatchNorm2d(outputs))


class StreamingResidual2d(nn.Module):
    """Two 3 × 3 convolutions over bands and time beside a shortcut (He et al., 2016); looks 2 frames ahead."""

    delay = 2

    def __init__(self, inputs: int, outputs: int, band_stride: int = 1) -> None:
        super().__init__()
        stride = (band_stride, 1)
        first, second = _over_bands(inputs, outputs, Context(1, 1), stride), _over_bands(outputs, outputs, Context(1, 1))
        self.body = nn.Sequential(first, nn.ReLU(), second)
        same = inputs == outputs and band_stride == 1
        narrow = nn.Identity() if same else convolution(inputs, outputs, 1, stride)
        self.shortcut = nn.Sequential(nn.Identity(), narrow)

    def forward(self, maps: Tensor) -> Tensor:
        first = cast(nn.Sequential, self.body[0])
        context = cast(Context, first[0])
        joined = context(maps)
        return torch.relu(self.shortcut(context.delayed(joined, self.delay)) + self.body[1:](first[1:](joined)))


class StreamingResidual1d(nn.Module):
    """A dilated convolution over time, one over channels, and a shortcut; looks at most `ahead` frames ahead."""

    def __init__(self, channels: int, dilation: int, ahead: int) -> None:
        super().__init__()
        self.delay = min(dilation, ahead)
        self.body = nn.Sequential(
            Context(2 * dilation - self.delay, self.delay),
            nn.Conv1d(channels, channels, 3, dilation=dilation, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
        )

    def forward(self, frames: Tensor) -> Tensor:
        context = cast(Context, self.body[0])
        joined = context(frames)
        return torch.relu(context.delayed(joined, self.delay) + self.body[1:](joined))


class StreamingCnn(Encoder):
    """A small 2-D residual stem, then dilated 1-D residual blocks over time: a frame every two features.

    The stem shares its weights over the bands, so that a child's and a man's formants meet the same filters; the blocks see
    all bands at once. No whole-window operation (mean, squeeze-excitation). It hears 0.9 s of the past and looks 10 frames
    ahead: 4 in the stem, 1 in each block.
    """

    stride = 2
    dilations = (1, 2, 4, 8, 2, 4)
    ahead = 1

    def __init__(self, n_features: int, channels: int = 128) -> None:
        super().__init__()
        self.channels = channels
        self.normalise = nn.BatchNorm1d(n_features)
        self.stem = nn.Sequential(
            _over_bands(1, 16, Context(1), stride=(2, 2)),
            nn.ReLU(),
            StreamingResidual2d(16, 16),
            StreamingResidual2d(16, 32, band_stride=2),
        )
        bands = -(-n_features // 4)
        self.project = nn.Sequential(nn.Conv1d(32 * bands, channels, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*[StreamingResidual1d(channels, dilation, self.ahead) for dilation in self.dilations])
        layers = [*self.stem, *self.blocks]
        self.delay = sum(layer.delay for layer in layers if isinstance(layer, (StreamingResidual2d, StreamingResidual1d)))

    def forward(self, features: Tensor) -> Tensor:
        frames: Tensor = self.blocks(self.project(self.stem(features.unsqueeze(1)).flatten(1, 2)))
        return frames


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


class CompactCnn(Encoder):
    """The window encoder of wordprint 0.1, to compare with: every block weighs its channels by the whole window."""

    stride = 2

    def __init__(self, n_features: int, channels: int = 112) -> None:
        super().__init__()
        self.channels = channels
        self.normalise = nn.BatchNorm1d(n_features)
        self.stem = nn.Sequential(
            convolution(1, 16, stride=(2, 2)), nn.ReLU(), Residual2d(16, 16), Residual2d(16, 32, stride=(2, 1))
        )
        bands = -(-n_features // 4)
        self.project = nn.Sequential(nn.Conv1d(32 * bands, channels, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*[Residual1d(channels, dilation) for dilation in (1, 2, 3, 4)])

    def forward(self, features: Tensor) -> Tensor:
        frames: Tensor = self.blocks(self.project(self.stem(features.unsqueeze(1)).flatten(1, 2)))
        return frames


class AncestorCnn(Encoder):
    """The starting point of this project: four convolutions with max pooling over an MFCC image."""

    stride = 4

    def __init__(self, n_features: int, channels: int = 0) -> None:
        super().__init__()
        if n_features < 16:
            raise ConfigError(f"n_features is {n_features}", expected="at least 16 with the encoder 'ancestor', which pools them")
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 2) if outputs < 64 else (2, 1))]
        self.convolutions = nn.Sequential(*layers)
        self.channels = 128 * (n_features // 16)

    def forward(self, features: Tensor) -> Tensor:
        maps: Tensor = self.convolutions(features.unsqueeze(1))
        return maps.flatten(1, 2)


ENCODERS: dict[str, Callable[[int, int], Encoder]] = {"streaming": StreamingCnn, "compact": CompactCnn, "ancestor": AncestorCnn}
"""Encoders by name: (number of features, channels) → module (B, F, T) → (B, C, T')."""
