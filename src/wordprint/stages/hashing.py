"""The one 64-bit hash: what is chosen, split or counted by it is the same on every machine, in every run, in every order."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def digest64(text: str) -> bytes:
    """The first eight bytes of the SHA-256 of `text` in UTF-8 (of file names, also what isn't)."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8]


def hash64(text: str) -> int:
    """`digest64` as a number, least significant byte first."""
    return int.from_bytes(digest64(text), "little")


def mix(*parts: Hashes) -> Hashes:
    """One well-spread hash per row of several (n,) (the finaliser of splitmix64, Steele 2014)."""
    mixed = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + part.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
