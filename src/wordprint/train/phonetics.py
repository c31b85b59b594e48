"""What a span is made of as a teacher: its phone string as a point of the same space, and the phone of each frame.

A type with two tokens says little about how its neighbours sound, its phones do. They are what makes the embedding of a
word that was never heard land in the right place (He, Wang and Livescu, 2017), and what a keyword can be typed with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from wordprint.train.runs import UNKNOWN


class PhoneEncoder(nn.Module):
    """Phone strings (U, N), numbers from 1 on and 0 after the last, to vectors (U, D): a bidirectional GRU's last states."""

    def __init__(self, symbols: int, embedding_size: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols + 1, hidden, padding_idx=0)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, embedding_size)

    def forward(self, phones: Tensor) -> Tensor:
        lengths = (phones > 0).sum(dim=1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(phones), lengths, batch_first=True, enforce_sorted=False)
        _, (forward, backward) = self.recurrent(packed)
        vectors: Tensor = self.project(torch.cat([forward, backward], dim=1))
        return vectors


def audio_phone_loss(audio: Tensor, targets: Tensor, phones: Tensor, temperature: float, present: int) -> Tensor:
    """Each span (S, D) must find its string `targets` (S,) among the vectors `phones` (U, D), and, half as important, be found.

    Both ways are softmax cross-entropies of cosine similarities / `temperature`. The first `present` strings are said in the
    batch; each of them that is must find a span that says it, any of them.
    """
    logits = audio @ phones.T / temperature
    of_string = logits[:, :present].T
    says = targets[None] == torch.arange(present, device=targets.device)[:, None]
    found = torch.logsumexp(of_string.masked_fill(~says, -1e4), dim=1) - torch.logsumexp(of_string, dim=1)
    return functional.cross_entropy(logits, targets) - 0.5 * found[says.any(dim=1)].mean()


class FrameTask(nn.Module):
    """A linear layer that reads something off each frame (B, C, T) and is thrown away after training."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.read = nn.Conv1d(channels, outputs, 1)

    def forward(self, frames: Tensor) -> Tensor:
        read: Tensor = self.read(frames)
        return read


def frame_phone_loss(logits: Tensor, phones: Tensor) -> Tensor:
    """Cross-entropy of logits (B, P, T) with the phone of each frame (B, T), over the frames whose phone is known (not UNKNOWN)."""
    total = functional.cross_entropy(logits, phones, ignore_index=UNKNOWN, reduction="sum")
    return total / (phones != UNKNOWN).sum().clamp(min=1)


def distillation_loss(guessed: Tensor, taught: Tensor, valid: Tensor) -> Tensor:
    """1 − cosine + 0.1 · squared error of (B, M, 96) with what a teacher says, over the frames that are `valid` (B, M)."""
    apart = 1 - functional.cosine_similarity(guessed, taught, dim=2) + 0.1 * (guessed - taught).square().mean(dim=2)
    return (apart * valid).sum() / valid.sum().clamp(min=1)
