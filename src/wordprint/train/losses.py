"""Losses on a batch of embeddings and word labels, by name.

The mathematics is pytorch-metric-learning's, where distance, miner and loss are separate parts. Each entry of LOSSES
builds a module `(embeddings (S, D), labels (S,)) -> scalar` from the options, the number of word types, and D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor, nn

from wordprint.errors import ConfigError
from wordprint.stages.parts import find_part
from wordprint.train.options import TrainConfig

ANCESTOR_NEGATIVE_WEIGHT = 10.0
"""What the ancestor gives a negative pair against a positive one."""

LossBuilder = Callable[[TrainConfig, int, int], nn.Module]


def make_distance(name: str) -> Any:
    """Distance between embeddings that are normalised to length 1."""
    if name == "cosine":
        return distances.CosineSimilarity()
    if name == "euclidean":
        return distances.LpDistance(p=2)
    raise ConfigError(f"there is no distance '{name}'", expected="one of cosine, euclidean")


def make_miner(name: str, distance: Any, margin: float) -> Any:
    """Chooses triplets inside the batch; None stands for all of them.

    hard: the negative is nearer than the positive. semi-hard: further, but by less than the margin. batch-hard: for
    each anchor its furthest positive and its nearest negative (Hermans et al., 2017).
    """
    if name == "all":
        return None
    if name == "batch-hard":
        return miners.BatchHardMiner(distance=distance)
    if name in ("hard", "semi-hard"):
        return miners.TripletMarginMiner(margin=margin, type_of_triplets=name.replace("-", ""), distance=distance)
    raise ConfigError(f"there is no miner '{name}'", expected="one of all, hard, semi-hard, batch-hard")


class TripletLoss(nn.Module):
    """max(0, d(a, p) − d(a, n) + margin), or ln(1 + exp(d(a, p) − d(a, n))) with a soft margin, over mined triplets."""

    def __init__(self, distance: str, miner: str, margin: float, soft_margin: bool) -> None:
        super().__init__()
        measure = make_distance(distance)
        self.miner = make_miner(miner, measure, margin)
        self.loss = losses.TripletMarginLoss(margin=0.0 if soft_margin else margin, smooth_loss=soft_margin, distance=measure)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        triplets = self.miner(embeddings, labels) if self.miner is not None else None
        loss: Tensor = self.loss(embeddings, labels, triplets)
        return loss


class AncestorLoss(nn.Module):
    """d(a, p) + 10 · max(0, 1 − d(a, n)) with Euclidean d, each term averaged over all pairs of its kind in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.distance = make_distance("euclidean")

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        apart: Tensor = self.distance(embeddings)
        same = labels[:, None] == labels[None, :]
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = apart[same & ~itself].mean()
        negative = (1 - apart[~same]).clamp(min=0).mean()
        return positive + ANCESTOR_NEGATIVE_WEIGHT * negative


def _triplet(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    return TripletLoss(config.distance, config.miner, config.margin, config.soft_margin)


def _ancestor(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    return AncestorLoss()


def _supervised_contrastive(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    loss: nn.Module = losses.SupConLoss(temperature=config.temperature)
    return loss


def _proxy_anchor(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    loss: nn.Module = losses.ProxyAnchorLoss(word_types, embedding_size, margin=config.margin, alpha=1 / config.temperature)
    return loss


def _arcface(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    degrees = float(torch.rad2deg(torch.tensor(config.margin)))
    loss: nn.Module = losses.ArcFaceLoss(word_types, embedding_size, margin=degrees, scale=1 / config.temperature)
    return loss


LOSSES: dict[str, LossBuilder] = {
    "triplet": _triplet,
    "ancestor": _ancestor,
    "supervised_contrastive": _supervised_contrastive,  # Khosla et al., 2020
    "proxy_anchor": _proxy_anchor,  # Kim et al., 2020
    "arcface": _arcface,  # Deng et al., 2019
}
"""Losses by name; the last two learn one vector for each word type, which is thrown away after training."""


def make_loss(config: TrainConfig, word_types: int, embedding_size: int) -> nn.Module:
    """The loss that `config.loss` names; raises ConfigError for an unknown one."""
    return find_part(LOSSES, config.loss, "loss")(config, word_types, embedding_size)
