"""Many vectors in a few bytes each: residual vector quantisation (Juang and Gray, 1982)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]

CENTRES = 256
"""Of a stage: a code is a byte."""
LEARNT_FROM = 30_000
"""Vectors, at most, that centres are learnt from."""
ROUNDS = 12
"""Of k-means: centres that move on by little say what they stand for as well."""
LARGEST = 127
"""Coordinates of centres are whole numbers from −127 to 127 times the stage's step."""


@dataclass(frozen=True)
class Residual:
    """n vectors (n, D), each the sum of one centre of each of M stages: `codes` (M, n) say which of the `centres` (M, CENTRES, D),
    which are to be multiplied by the `steps` (M,)."""

    codes: NDArray[np.uint8]
    centres: NDArray[np.int8]
    steps: Floats

    @classmethod
    def of(cls, vectors: Floats, stages: int) -> Residual:
        """Each stage has the centres of what the ones before leave of the vectors (n, D). Needs scikit-learn; deterministic."""
        chosen = np.random.default_rng(0).permutation(len(vectors))[:LEARNT_FROM]
        left, codes, centres, steps = vectors.astype(np.float32), [], [], []
        for _ in range(stages):
            found = _centres(left[chosen])
            step = max(float(np.abs(found).max()) / LARGEST, 1e-12)
            whole = np.zeros((CENTRES, vectors.shape[1]), np.int8)
            whole[: len(found)] = np.rint(found / step)
            found = whole[: len(found)] * np.float32(step)
            nearest = np.concatenate([_nearest(part, found) for part in np.array_split(left, 1 + len(left) // 10_000)])
            left -= found[nearest]
            codes.append(nearest)
            centres.append(whole)
            steps.append(step)
        return cls(np.array(codes, np.uint8), np.array(centres), np.array(steps, np.float32))

    def __len__(self) -> int:
        return int(self.codes.shape[1])

    def decode(self, which: ArrayLike | slice = slice(None)) -> Floats:
        """Those of the vectors (m, D)."""
        stages = zip(self.codes, self.centres, self.steps, strict=True)
        return np.asarray(np.sum([centres[codes[which]] * step for codes, centres, step in stages], axis=0))

    def products(self, directions: Floats) -> Floats:
        """Of all vectors with `directions` (D, Q): (n, Q)."""
        stages = zip(self.codes, self.centres, self.steps, strict=True)
        tables = [(codes, centres.astype(np.float32) @ (directions * step)) for codes, centres, step in stages]
        found = np.zeros((len(self), directions.shape[1]), np.float32)
        for codes, table in tables:
            found += table[codes]
        return found

    def arrays(self, name: str) -> dict[str, Any]:
        """What `read` takes, to be saved."""
        return {f"{name}_codes": self.codes, f"{name}_centres": self.centres, f"{name}_steps": self.steps}

    @classmethod
    def read(cls, arrays: Any, name: str) -> Residual:
        """From a mapping of arrays; KeyError where one is missing."""
        return cls(*(arrays[f"{name}_{part}"] for part in ("codes", "centres", "steps")))


def _centres(vectors: Floats) -> Floats:
    """CENTRES of them at most (C, D), by k-means."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    distinct = np.unique(vectors, axis=0)
    if len(distinct) <= CENTRES:
        return np.asarray(distinct)
    with threadpool_limits(1):  # threads add up in any order
        found = KMeans(CENTRES, init="random", n_init=1, max_iter=ROUNDS, tol=0, random_state=0).fit(vectors)
    return np.asarray(found.cluster_centers_, np.float32)


def _nearest(vectors: Floats, centres: Floats) -> NDArray[np.int64]:
    return np.asarray((vectors @ centres.T - np.square(centres).sum(axis=1) / 2).argmax(axis=1))
