"""What a word is made of as a teacher: two losses from the phones of the training words, thrown away afterwards.

A type with two tokens says little about how its neighbours sound, its phones do. They are what makes the embedding of a
word that was never heard land in the right place (He, Wang and Livescu, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_PHONES = 24
"""Phones of a word or phrase that are looked at."""


class Spelling:
    """The phones of each word type as numbers: `codes` (types, MAX_PHONES), 0 after the last one."""

    def __init__(self, phones: Sequence[Sequence[str]]) -> None:
        self.symbols = sorted({symbol for word in phones for symbol in word})
        code = {symbol: number for number, symbol in enumerate(self.symbols, start=1)}
        self.codes = torch.zeros(len(phones), MAX_PHONES, dtype=torch.long)
        for row, word in enumerate(phones):
            known = [code[symbol] for symbol in word[:MAX_PHONES]]
            self.codes[row, : len(known)] = torch.tensor(known, dtype=torch.long)

    @property
    def lengths(self) -> Tensor:
        """Phones of each type (types,)."""
        return (self.codes > 0).sum(dim=1)


class PhoneEncoder(nn.Module):
    """Phones (W, MAX_PHONES) to unit vectors (W, D): a bidirectional GRU, its two last states projected."""

    def __init__(self, symbols: int, embedding_size: int, hidden: int = 128) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols + 1, hidden, padding_idx=0)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, embedding_size)

    def forward(self, phones: Tensor) -> Tensor:
        lengths = (phones > 0).sum(dim=1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(phones), lengths, batch_first=True, enforce_sorted=False)
        _, (forward, backward) = self.recurrent(packed)
        return functional.normalize(self.project(torch.cat([forward, backward], dim=1)), dim=1)


def audio_phone_loss(audio: Tensor, targets: Tensor, phones: Tensor, temperature: float) -> Tensor:
    """Each recording (B, D) must find its word `targets` (B,) among the vectors `phones` (W, D), and, half as important, be found.

    Both ways are softmax cross-entropies of cosine similarities / `temperature`; the first `max(targets) + 1` vectors are
    those of the batch's words, the rest are words that are not in the batch.
    """
    logits = audio @ phones.T / temperature
    present = int(targets.max()) + 1
    to_audio = functional.log_softmax(logits[:, :present], dim=0)[torch.arange(len(targets)), targets]
    return functional.cross_entropy(logits, targets) - 0.5 * to_audio.mean()


def frame_targets(spans: Tensor, codes: Tensor, frames: int) -> Tensor:
    """The phone that each frame lies in, (B, frames), its word's phones being taken as equally long; −100 outside the word.

    `spans` (B, 2) are a word's start and end as shares of the window; `codes` (B, MAX_PHONES) its phones.
    """
    middle = (torch.arange(frames, device=spans.device) + 0.5) / frames
    start, end = spans[:, :1], spans[:, 1:]
    inside = (middle >= start) & (middle < end)
    counts = (codes > 0).sum(dim=1, keepdim=True)
    place = ((middle - start) / (end - start) * counts).long().clamp(0, MAX_PHONES - 1)
    labels = codes.gather(1, place)
    return labels.masked_fill(~inside | (labels == 0), -100)


class AudioPhoneLoss(nn.Module):
    """Pulls recordings to vectors computed from their words' phones, and away from those of other words."""

    codes: Tensor

    def __init__(self, spelling: Spelling, embedding_size: int, temperature: float) -> None:
        super().__init__()
        self.register_buffer("codes", spelling.codes, persistent=False)
        self.temperature = temperature
        self.phones = PhoneEncoder(len(spelling.symbols), embedding_size)

    def forward(self, embeddings: Tensor, labels: Tensor, others: Tensor) -> Tensor:
        """Scalar loss of unit embeddings (B, D) of word types (B,); `others` (any,) are word types to be told apart from."""
        present, targets = torch.unique(labels, return_inverse=True)
        absent = torch.unique(others[~torch.isin(others, present)])
        vectors = self.phones(self.codes[torch.cat([present, absent])])
        return audio_phone_loss(embeddings, targets, vectors, self.temperature)


class FramePhoneLoss(nn.Module):
    """Tells the phone of each of the encoder's frames."""

    codes: Tensor

    def __init__(self, spelling: Spelling, channels: int) -> None:
        super().__init__()
        self.register_buffer("codes", spelling.codes, persistent=False)
        self.classify = nn.Conv1d(channels, len(spelling.symbols) + 1, 1)

    def forward(self, frames: Tensor, labels: Tensor, spans: Tensor) -> Tensor:
        """Mean cross-entropy over the frames (B, C, T') that lie in the words; `spans` (B, 2) as in `frame_targets`."""
        return functional.cross_entropy(self.classify(frames), frame_targets(spans, self.codes[labels], frames.shape[2]))
