"""Heads: any span of an encoder's frames in, one vector out, as object detectors pool boxes.

Spans are starts and ends in frames, frame t being centred on t; they may be fractions and reach beyond the frames there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

SHORTEST = 2.0
"""Frames; a span that is shorter is pooled as if it were so long."""

STEEPEST = 8.0
"""Bound of attention's logits, so that their exponentials neither overflow nor vanish without looking at the whole span."""


def bin_weights(spans: Tensor, bins: int, frames: int) -> Tensor:
    """Weights (…, bins, frames) of frames in triangles spread evenly over spans (…, 2); each row's sum is 1, or 0 outside."""
    start, lasting = spans[..., :1, None], (spans[..., 1:] - spans[..., :1]).clamp(min=SHORTEST)[..., None]
    middles = start + (torch.arange(bins, device=spans.device)[:, None] + 0.5) / bins * lasting
    reach = (lasting / bins).clamp(min=1.5)
    weights = (1 - (torch.arange(frames, device=spans.device) - middles).abs() / reach).clamp(min=0)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6)


def membership(spans: Tensor, frames: int) -> Tensor:
    """How far each frame (…, frames) lies inside spans (…, 2): 1 well inside, 0 outside, between at the ends."""
    time = torch.arange(frames, device=spans.device)
    end = torch.maximum(spans[..., 1:], spans[..., :1] + SHORTEST)
    return torch.minimum(time - spans[..., :1] + 0.5, end - time + 0.5).clamp(0, 1)


class Head(nn.Module):
    """(B, C, T) frames and (B, R, 2) spans in frames to (B, R, D)."""


class SpanHead(Head):
    """One that pools spans, in two steps: what is done once for a frame, and what is done for each span."""

    def prepare(self, frames: Tensor) -> Tensor:
        """(B, C, T) to (B, T, F) float32."""
        raise TypeError(f"{type(self).__name__} must define prepare()")

    def pool(self, prepared: Tensor, spans: Tensor) -> Tensor:
        """(B, T, F) and (B, R, 2) to (B, R, D)."""
        raise TypeError(f"{type(self).__name__} must define pool()")

    def forward(self, frames: Tensor, spans: Tensor) -> Tensor:
        return self.pool(self.prepare(frames), spans)


class BinnedHead(SpanHead):
    """The course of a span in evenly spread bins, beside attentive mean and deviation inside it (Okabe et al., 2018).

    (B, C, T) frames and (B, R, 2) spans to (B, R, D). All pooling is one product of weights with frames, so that hundreds of
    spans of one stretch of audio cost little.
    """

    def __init__(self, channels: int, embedding_size: int, bins: int = 10, hidden: int = 64) -> None:
        super().__init__()
        self.bins = bins
        self.attention = nn.Sequential(nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1))
        self.mix = nn.Sequential(nn.Conv1d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.scale = nn.BatchNorm1d(2 * channels)
        self.output = nn.Linear(bins * channels + 2 * channels, embedding_size)

    def prepare(self, frames: Tensor) -> Tensor:
        """(B, C, T) to (B, T, 6C) float32: of each frame all that does not depend on a span, once for the spans that hold it.

        Three parts of C are what the taps of `mix` make of it: bins are weighted sums of frames, so it may come before them. Three
        are the attention that it draws, and that times the frame and its square.
        """
        taps = cast(nn.Conv1d, self.mix[0]).weight.permute(2, 0, 1).flatten(0, 1)[..., None]
        mixed = functional.conv1d(frames, taps).float()
        logits = self.attention(frames).float()
        force = torch.exp(STEEPEST * torch.tanh(logits / STEEPEST))
        heard = frames.float()
        return torch.cat([mixed, force, force * heard, force * heard.square()], dim=1).transpose(1, 2)

    def pool(self, prepared: Tensor, spans: Tensor) -> Tensor:
        """(B, T, 6C) and (B, R, 2) to (B, R, D)."""
        mixed, forces = prepared.chunk(2, dim=2)
        length = prepared.shape[1]
        weights = functional.pad(bin_weights(spans, self.bins, length), (0, 0, 1, 1))  # (B, R, bins + 2, T)
        taps = [weights[..., first : first + self.bins, :] for first in range(3)]
        summed = torch.stack(taps, dim=-1).flatten(3).flatten(1, 2) @ mixed.reshape(len(prepared), 3 * length, -1)
        course = self.mix[1:](summed.flatten(0, 1)).reshape(len(prepared) * spans.shape[1], -1)
        with torch.autocast(prepared.device.type, enabled=False):  # a variance is a small difference of large sums
            sums = membership(spans, length) @ forces
        total, first, second = sums.flatten(0, 1).clamp(min=1e-6).chunk(3, dim=1)
        mean = first / total
        deviation = (second / total - mean.square()).clamp(min=1e-4).sqrt()
        statistics = self.scale(torch.cat([mean, deviation], dim=1))
        vectors: Tensor = self.output(torch.cat([course.float(), statistics], dim=1))
        return vectors.view(len(spans), -1, self.output.out_features)


class StatisticsHead(Head):
    """Attentive mean and deviation of the whole window, whatever the span: the head of wordprint 0.1."""

    def __init__(self, channels: int, embedding_size: int, hidden: int = 64) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1))
        self.scale = nn.BatchNorm1d(2 * channels)
        self.output = nn.Linear(2 * channels, embedding_size)

    def forward(self, frames: Tensor, spans: Tensor) -> Tensor:
        weights = torch.softmax(self.attention(frames), dim=2)
        mean = (weights * frames).sum(dim=2)
        deviation = ((weights * frames.square()).sum(dim=2) - mean.square()).clamp(min=1e-4).sqrt()
        vectors: Tensor = self.output(self.scale(torch.cat([mean, deviation], dim=1)))
        return vectors[:, None].expand(-1, spans.shape[1], -1)


class DenseHead(Head):
    """The ancestor's two dense layers over the whole window, whatever the span; its first call fixes the window's length."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Flatten(), nn.LazyLinear(embedding_size), nn.ReLU(), nn.Linear(embedding_size, embedding_size)
        )

    def forward(self, frames: Tensor, spans: Tensor) -> Tensor:
        vectors: Tensor = self.dense(frames)
        return vectors[:, None].expand(-1, spans.shape[1], -1)


HEADS: dict[str, Callable[[int, int], Head]] = {"binned": BinnedHead, "statistics": StatisticsHead, "dense": DenseHead}
"""Heads by name: (channels, embedding size) → module (B, C, T), (B, R, 2) → (B, R, D)."""
