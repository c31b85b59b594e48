"""Losses and miners against naive loops over triplets and pairs."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from wordprint.errors import ConfigError
from wordprint.train.losses import LOSSES, TripletLoss, make_distance, make_loss, make_miner
from wordprint.train.options import TrainConfig

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])


@pytest.fixture
def embeddings():
    return functional.normalize(torch.randn(8, 4, generator=torch.Generator().manual_seed(2)), dim=1)


def distance(a, b, kind):
    return 1 - float(a @ b) if kind == "cosine" else float((a - b).norm())


def triplets(embeddings, kind, miner, margin):
    """(d(a, p), d(a, n)) of all chosen triplets."""
    count = len(embeddings)
    d = [[distance(embeddings[i], embeddings[j], kind) for j in range(count)] for i in range(count)]
    chosen = []
    for a in range(count):
        positives = [d[a][p] for p in range(count) if p != a and LABELS[p] == LABELS[a]]
        negatives = [d[a][n] for n in range(count) if LABELS[n] != LABELS[a]]
        if miner == "batch-hard":
            chosen.append((max(positives), min(negatives)))
            continue
        for ap in positives:
            for an in negatives:
                keep = {"all": True, "hard": an <= ap, "semi-hard": ap < an <= ap + margin}[miner]
                if keep:
                    chosen.append((ap, an))
    return chosen


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("miner", ["all", "hard", "semi-hard", "batch-hard"])
@pytest.mark.parametrize("soft", [False, True])
def test_triplet_loss(embeddings, kind, miner, soft):
    margin = 0.3
    terms = []
    for ap, an in triplets(embeddings, kind, miner, margin):
        terms.append(math.log1p(math.exp(ap - an)) if soft else max(0.0, ap - an + margin))
    expected = np.mean([term for term in terms if term > 0])  # the mean is over triplets that violate the margin
    found = TripletLoss(kind, miner, margin, soft)(embeddings, LABELS)
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_ancestor_loss(embeddings):
    positive, negative = [], []
    for i in range(8):
        for j in range(8):
            if i != j:
                apart = distance(embeddings[i], embeddings[j], "euclidean")
                (positive.append(apart) if LABELS[i] == LABELS[j] else negative.append(max(0.0, 1 - apart)))
    found = make_loss(dataclasses.replace(TrainConfig(), loss="ancestor"), 3, 4)(embeddings, LABELS)
    assert float(found) == pytest.approx(np.mean(positive) + 10 * np.mean(negative), abs=1e-5)


@pytest.mark.parametrize("labels", [LABELS, torch.tensor([0, 5, 0, 1, 4, 2, 2, 2])])
def test_supervised_contrastive_loss(embeddings, labels):
    """The mean is over recordings that have another of the same label: most runs of phones have none."""
    temperature, terms = 0.2, []
    for i in range(8):
        others = [j for j in range(8) if j != i]
        total = math.log(sum(math.exp(float(embeddings[i] @ embeddings[j]) / temperature) for j in others))
        own = [float(embeddings[i] @ embeddings[j]) / temperature - total for j in others if labels[j] == labels[i]]
        terms += [-np.mean(own)] if own else []
    found = make_loss(dataclasses.replace(TrainConfig(), temperature=temperature), 3, 4)(embeddings, labels)
    assert float(found) == pytest.approx(np.mean(terms), abs=1e-5)


def test_arcface_loss(embeddings):
    loss = make_loss(dataclasses.replace(TrainConfig(), loss="arcface", margin=0.4, temperature=0.1), 3, 4)
    proxies = functional.normalize(loss.W.detach(), dim=0)
    terms = []
    for vector, label in zip(embeddings, LABELS, strict=True):
        cosines = [float(vector @ proxies[:, k]) for k in range(3)]
        angle = math.acos(cosines[label])
        own = math.cos(angle + 0.4) if angle <= math.pi - 0.4 else cosines[label] - 0.4 * math.sin(0.4)
        logits = [10 * (own if k == label else cosine) for k, cosine in enumerate(cosines)]
        terms.append(math.log(sum(map(math.exp, logits))) - logits[label])
    assert loss(embeddings, LABELS).item() == pytest.approx(np.mean(terms), abs=1e-4)


def test_proxy_anchor_loss(embeddings):
    loss = make_loss(dataclasses.replace(TrainConfig(), loss="proxy_anchor", margin=0.1, temperature=0.1), 3, 4)
    proxies = functional.normalize(loss.proxies.detach(), dim=1)
    cosine = embeddings @ proxies.T
    positive = negative = 0.0
    for k in range(3):
        positive += math.log1p(sum(math.exp(-10 * (float(cosine[i, k]) - 0.1)) for i in range(8) if LABELS[i] == k)) / 3
        negative += math.log1p(sum(math.exp(10 * (float(cosine[i, k]) + 0.1)) for i in range(8) if LABELS[i] != k)) / 3
    assert loss(embeddings, LABELS).item() == pytest.approx(positive + negative, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_gradients(name):
    embeddings = functional.normalize(torch.randn(8, 4), dim=1).requires_grad_()
    make_loss(dataclasses.replace(TrainConfig(), loss=name), 3, 4)(embeddings, LABELS).backward()
    assert torch.isfinite(embeddings.grad).all()


def test_unknown_names():
    with pytest.raises(ConfigError, match="no miner"):
        make_miner("easy", make_distance("cosine"), 0.1)
    with pytest.raises(ConfigError, match="no distance"):
        make_distance("manhattan")
    with pytest.raises(ConfigError, match="no loss"):
        make_loss(dataclasses.replace(TrainConfig(), loss="softmax"), 3, 4)
