"""A map of embeddings in two dimensions, to look at (never to measure on)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 25.0
"""Neighbours that a point tries to keep close, roughly."""

Floats = NDArray[np.float64]


def tsne(vectors: NDArray[np.float32], iterations: int = 400) -> Floats:
    """(n, 2) positions of (n, D) unit vectors by exact t-SNE (van der Maaten & Hinton 2008).

    Starts from the two main components, so the same vectors always give the same map; O(n²) per iteration.
    """
    count = len(vectors)
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0)
    if count < 4:
        return np.pad(centred, ((0, 0), (0, 2)))[:, :2]
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    components = np.pad(left * sizes, ((0, 0), (0, 2)))[:, :2]
    positions = components / max(components[:, 0].std(), 1e-12) * 1e-4
    affinities = _affinities(2 - 2 * np.asarray(vectors, np.float64) @ np.asarray(vectors, np.float64).T)
    velocity, rate = np.zeros_like(positions), max(50.0, count / 12)
    for iteration in range(iterations):
        early = iteration < 100
        squares = (positions**2).sum(axis=1)
        closeness = 1 / (1 + np.maximum(squares[:, None] + squares - 2 * positions @ positions.T, 0))
        np.fill_diagonal(closeness, 0)
        pull = ((12.0 if early else 1.0) * affinities - closeness / closeness.sum()) * closeness
        gradient = 4 * (pull.sum(axis=1)[:, None] * positions - pull @ positions)
        velocity = (0.5 if early else 0.8) * velocity - rate * gradient
        positions = positions + velocity
    return np.asarray(positions - positions.mean(axis=0))


def _affinities(squared: Floats) -> Floats:
    """Symmetric neighbour probabilities (n, n) at PERPLEXITY, the precision of each point found by bisection."""
    count = len(squared)
    target = np.log(min(PERPLEXITY, (count - 1) / 3))
    np.fill_diagonal(squared, np.inf)
    squared = squared - squared.min(axis=1, keepdims=True)
    low, high = np.full((count, 1), -10.0), np.full((count, 1), 15.0)  # natural logarithm of the precision
    for _ in range(50):
        middle = (low + high) / 2
        weights = np.exp(-squared * np.exp(middle))
        shares = weights / weights.sum(axis=1, keepdims=True)
        entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1, keepdims=True)
        low, high = np.where(entropy > target, middle, low), np.where(entropy > target, high, middle)
    return np.asarray((shares + shares.T) / (2 * count))
