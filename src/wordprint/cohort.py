"""What a model's vectors of ordinary speech are like: spans at regular places of it, few enough to travel with the model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.goodness import BEFORE, LEAST_LIKELY, Codes, shortfalls

EVENT = 3
"""Places in a row that make one event, as one false alarm of a stream does: they lie a quarter of a second apart."""
NEAREST = 24
"""Events of the cohort whose mean similarity is the level: one a minute."""
LARGEST = 7
"""Codes are whole numbers from −7 to 7: four bits."""
REACH = 3.5
"""What the largest code stands for, in standard deviations."""
COMPARED = 600
"""Spans, the nearest, whose phones are compared with a keyword's."""
EVERY = 2
"""Of how many frames one is kept, to compare phones with."""
LASTING = 2
"""Of these frames a phone lasts, about 80 ms."""
QUIETEST = 15
"""The code of LEAST_LIKELY: whole numbers from 0 take four bits."""


@dataclass(frozen=True)
class Heard:
    """The phones of the speech that spans lie in: `codes` (T, 1 + P) from 0 to QUIETEST say of every EVERY-th frame how much less
    likely than the likeliest silence and each phone are. `ends` (n,) are the frames in which spans of each of the `lengths` (G,),
    also in frames, end."""

    ends: NDArray[np.int64]
    lengths: NDArray[np.float64]
    codes: NDArray[np.uint8]

    @classmethod
    def of(cls, ends: NDArray[np.int64], lengths: NDArray[np.float64], scores: NDArray[np.float32]) -> Heard:
        """`scores` (T', 1 + P) are those of all frames."""
        return cls(ends, lengths, np.rint(scores[::EVERY] * (QUIETEST / LEAST_LIKELY)).astype(np.uint8))

    def shortfalls(self, rows: NDArray[np.int64], places: NDArray[np.int64], sounds: Codes) -> NDArray[np.float32]:
        """What is subtracted (m,) from the similarities of spans, by the numbers of their lengths and ends (m,), to a keyword with
        these sounds."""
        ends = self.ends[places]
        bounds = np.stack([ends - self.lengths[rows], ends], axis=1) / EVERY
        scores = self.codes.astype(np.float32) * np.float32(LEAST_LIKELY / QUIETEST)
        return shortfalls(scores, [sounds] * len(ends), bounds, BEFORE // EVERY)

    def unlike(self, strings: Codes, sounds: Codes) -> NDArray[np.float32]:
        """What would be subtracted (U,) from phone strings, were each of their phones said for LASTING of these frames, as they are
        on average where that phone is the likeliest."""
        likeliest = self.codes.argmin(axis=1)
        counts = np.bincount(likeliest, minlength=self.codes.shape[1])
        sums = np.zeros((len(counts), len(counts)))
        np.add.at(sums, likeliest, self.codes)
        means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], QUIETEST * (1 - np.eye(len(counts))))
        means *= LEAST_LIKELY / QUIETEST
        scores = [means[np.repeat(string, LASTING)] for string in strings]
        return np.array([shortfalls(one, [sounds], [(0, len(one))], 0)[0] for one in scores], np.float32)


@dataclass(frozen=True)
class Cohort:
    """Vectors of spans that end at n places of speech in a row, in each of G lengths: `codes` (G, n, E) times `step` are their
    coordinates in the `basis` (E, D). `places` (G,), ascending, are the lengths in the grid of wordprint.spot.spans."""

    places: NDArray[np.int64]
    codes: NDArray[np.int8]
    basis: NDArray[np.float32]
    step: float
    heard: Heard | None = None
    """What the spans say, where the model reads phones."""

    @classmethod
    def of(cls, places: Sequence[int], vectors: NDArray[np.float32], most: int = 48, *, heard: Heard | None = None) -> Cohort:
        """Of `vectors` (G, n, D), in the `most` directions in which they vary most: a vector is rounded to two of them a byte."""
        flat = vectors.reshape(-1, vectors.shape[2])
        directions = np.linalg.svd(flat.T @ flat)[0][:, : min(most, flat.shape[1]) // 2 * 2]
        coordinates = vectors @ directions
        step = float(REACH * coordinates.std() / LARGEST) or 1.0
        codes = np.clip(np.rint(coordinates / step), -LARGEST, LARGEST).astype(np.int8)
        return cls(np.array(places, np.int64), codes, directions.T.astype(np.float32), step, heard)

    def level(self, prototypes: ArrayLike, places: Sequence[int], sounds: Codes = ()) -> float:
        """Mean similarity of the NEAREST events to the nearest of `prototypes` (P, D), in the lengths nearest to those `places`.

        Less what the spans say that is unlike the keyword's `sounds`, as in a stream.
        """
        rows = np.array(sorted({int(np.abs(self.places - place).argmin()) for place in places}))
        directions = self.basis @ np.asarray(prototypes, np.float32).T * np.float32(self.step)
        nearest = (self.codes[rows].astype(np.float32) @ directions).max(axis=2)  # (rows, n)
        if sounds and self.heard is not None:
            spans = np.argsort(-nearest, axis=None, kind="stable")[:COMPARED]
            row, place = np.divmod(spans, nearest.shape[1])
            compared = nearest[row, place] - self.heard.shortfalls(rows[row], place, sounds)
            nearest = np.full_like(nearest, compared.min())  # the others are hardly nearer
            nearest[row, place] = compared
        best = nearest.max(axis=0)
        events = np.pad(best, (0, -len(best) % EVENT), constant_values=-np.inf).reshape(-1, EVENT).max(axis=1)
        count = min(NEAREST, len(events))
        return float(np.partition(events, len(events) - count)[-count:].mean())

    def pack(self) -> bytes:
        """As a compressed archive of arrays, two codes a byte; the same cohort gives the same bytes."""
        arrays: dict[str, Any] = {
            "places": self.places,
            "codes": _halved((self.codes + 8).astype(np.uint8)),
            "basis": self.basis,
            "step": np.float64(self.step),
            "event": np.int64(EVENT),
        }
        if (heard := self.heard) is not None:
            arrays |= {"ends": heard.ends.astype("<i4"), "heard": _halved(heard.codes), "phones": np.int64(heard.codes.shape[1])}
            arrays["lengths"] = heard.lengths
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Cohort:
        """What `pack` wrote; raises KeyError or ValueError for what another version wrote, whose levels are others."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if (event := int(arrays["event"])) != EVENT:
                raise ValueError(f"{event} places make an event, not {EVENT}")
            codes = _whole(arrays["codes"]).astype(np.int8) - np.int8(8)
            heard = None
            if "heard" in arrays:
                ends, phones = arrays["ends"].astype(np.int64), int(arrays["phones"])
                heard = Heard(ends, arrays["lengths"], _whole(arrays["heard"])[:, :phones])
            return cls(arrays["places"], codes, arrays["basis"], float(arrays["step"]), heard)


def _halved(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes (…, E) of four bits, two a byte."""
    even = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, codes.shape[-1] % 2)])
    return np.asarray(even[..., ::2] << 4 | even[..., 1::2])


def _whole(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What `_halved` was given, and a zero where that was odd."""
    return np.stack([pairs >> 4, pairs & 15], axis=-1).reshape(*pairs.shape[:-1], -1)
