"""What a model's vectors of ordinary speech are like: a random sample of spans that is small enough to travel with the model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEAREST = 40
"""Spans of the cohort whose mean similarity is the level."""
LARGEST = 7
"""Codes are whole numbers from −7 to 7: four bits."""
REACH = 3.5
"""What the largest code stands for, in standard deviations."""


@dataclass(frozen=True)
class Cohort:
    """Vectors of spans: `codes` (G, n, E) times `step` are their coordinates in the `basis` (E, D), by the place of their length
    in the grid of wordprint.spot.spans: `places` (G,), ascending."""

    places: NDArray[np.int64]
    codes: NDArray[np.int8]
    basis: NDArray[np.float32]
    step: float

    @classmethod
    def of(cls, places: Sequence[int], vectors: NDArray[np.float32], most: int = 48) -> Cohort:
        """Of `vectors` (G, n, D), in the `most` directions in which they vary most: a vector is rounded to two of them a byte."""
        flat = vectors.reshape(-1, vectors.shape[2])
        directions = np.linalg.svd(flat.T @ flat)[0][:, : min(most, flat.shape[1]) // 2 * 2]
        coordinates = vectors @ directions
        step = float(REACH * coordinates.std() / LARGEST) or 1.0
        codes = np.clip(np.rint(coordinates / step), -LARGEST, LARGEST).astype(np.int8)
        return cls(np.array(places, np.int64), codes, directions.T.astype(np.float32), step)

    def level(self, prototypes: ArrayLike, places: Sequence[int]) -> float:
        """Mean similarity of the NEAREST spans to the nearest of `prototypes` (P, D); of the lengths nearest to those `places`."""
        rows = sorted({int(np.abs(self.places - place).argmin()) for place in places})
        directions = self.basis @ np.asarray(prototypes, np.float32).T * np.float32(self.step)
        nearest = (self.codes[rows].reshape(-1, len(self.basis)).astype(np.float32) @ directions).max(axis=1)
        count = min(NEAREST, len(nearest))
        return float(np.partition(nearest, len(nearest) - count)[-count:].mean())

    def pack(self) -> bytes:
        """As a compressed archive of arrays, two codes a byte; the same cohort gives the same bytes."""
        halves = (self.codes + 8).astype(np.uint8).reshape(*self.codes.shape[:2], -1, 2)
        content = io.BytesIO()
        np.savez_compressed(
            content, places=self.places, codes=halves[..., 0] << 4 | halves[..., 1], basis=self.basis, step=np.float64(self.step)
        )
        return content.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Cohort:
        """What `pack` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            pairs = arrays["codes"]
            codes = np.stack([pairs >> 4, pairs & 15], axis=-1).astype(np.int8) - np.int8(8)
            return cls(arrays["places"], codes.reshape(*pairs.shape[:2], -1), arrays["basis"], float(arrays["step"]))
