"""What a model's vectors of ordinary speech are like: spans at regular places of it, few enough to travel with the model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.goodness import BEFORE, LEAST_LIKELY, PAUSE_FRAMES, Codes, pauses, run_ons, shortfalls
from wordprint.residual import LARGEST, Residual

Floats = NDArray[np.float32]

EVENT = 3
"""Places in a row that make one event, as one false alarm of a stream does: they lie a quarter of a second apart."""
NEAREST = 112
"""Events whose mean similarity is the level, 45 an hour: of fewer chance says more, and more say less of rare false alarms."""
DIMENSIONS = 144
"""Directions that are kept, those in which the vectors of the spans of a place, one after the other, vary most: much of what one of
them says of the speech, the others say too."""
STAGES = 16
"""Bytes that the spans of a place take."""
COMPARED = 1200
"""Spans, the nearest, whose phones are compared with a keyword's."""
AT_ONCE = 100
"""Of them, those that promise most, before it is asked whether others still matter."""
EVERY = 2
"""Of how many frames one is kept, to compare phones with."""
TOGETHER, PHONE_STAGES = 2, 3
"""Of these frames so many take so many bytes."""
LASTING = 2
"""Of these frames a phone lasts, about 80 ms."""


@dataclass(frozen=True)
class Heard:
    """The phones of the speech that spans lie in: `scores` (T / TOGETHER, TOGETHER · (1 + P)) of every EVERY-th frame, how much
    less likely than the likeliest silence and each of P phones are. `ends` (n,) are the frames in which spans of each of the
    `lengths` (G,), also in frames, end."""

    ends: NDArray[np.int64]
    lengths: NDArray[np.float64]
    scores: Residual

    @classmethod
    def of(cls, ends: NDArray[np.int64], lengths: NDArray[np.float64], scores: Floats) -> Heard:
        """`scores` (T', 1 + P) are those of all frames."""
        kept = scores[::EVERY]
        kept = np.pad(kept, [(0, -len(kept) % TOGETHER), (0, 0)], mode="edge")
        return cls(ends, lengths, Residual.of(kept.reshape(len(kept) // TOGETHER, -1), PHONE_STAGES))

    def around(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Floats, NDArray[np.float64]]:
        """Of spans, by the numbers of their lengths and ends (m,): scores of the kept frames that they lie in, a stretch after the
        other, and their starts and ends (m, 2) there."""
        ends = self.ends[places] / EVERY
        bounds = np.stack([ends - self.lengths[rows] / EVERY, ends], axis=1)
        first, last = (np.add(bounds, (-BEFORE, 1)) // TOGETHER).astype(np.int64).clip(0, len(self.scores) - 1).T
        needed = np.zeros(len(self.scores) + 1, np.int64)
        np.add.at(needed, first, 1)
        np.add.at(needed, last + 1, -1)
        there = needed.cumsum()[:-1] > 0
        earlier = (~there).cumsum()[first] * TOGETHER  # frames that are left out
        return self._scores(there), bounds - earlier[:, None]

    def run_ons(self, rows: NDArray[np.int64]) -> Floats:
        """What sound before them takes from the spans (n, R) of those of the lengths (R,)."""
        return run_ons(self._silence, (self.ends[:, None] - self.lengths[rows]) / EVERY, PAUSE_FRAMES // EVERY)

    @cached_property
    def _silence(self) -> Floats:
        return pauses(self._scores(slice(None)))

    @cached_property
    def confusions(self) -> Floats:
        """How likely silence and each phone are (1 + P, 1 + P) where each of them is the likeliest."""
        scores = self._scores(slice(None))
        likeliest = scores.argmax(axis=1)
        counts = np.bincount(likeliest, minlength=scores.shape[1])[:, None]
        sums = np.stack([np.bincount(likeliest, column, len(counts)) for column in scores.T], axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), LEAST_LIKELY * (1 - np.eye(len(counts)))).astype(np.float32)

    def unlike(self, strings: Codes, sounds: Codes) -> Floats:
        """What would be subtracted (U,) from phone strings, were each of their phones said for LASTING of these frames, as they are
        on average where that phone is the likeliest."""
        scores = [self.confusions[np.repeat(string, LASTING)] for string in strings]
        return np.array([shortfalls(one, [sounds], [(0, len(one))], 0)[0] for one in scores], np.float32)

    def _scores(self, which: NDArray[np.bool_] | slice) -> Floats:
        """Scores (t, 1 + P) of the kept frames of those of the codes."""
        several = self.scores.decode(which)
        phones = several.shape[1] // TOGETHER
        return np.clip(several.reshape(-1, phones), LEAST_LIKELY, 0)


@dataclass(frozen=True)
class Cohort:
    """Vectors of spans that end at n places of speech in a row, in each of G lengths: `spans` (n, E) times the `basis` (E, G · D)
    are they. `places` (G,), ascending, are the lengths in the grid of wordprint.spot.spans."""

    places: NDArray[np.int64]
    spans: Residual
    basis: NDArray[np.int8]
    heard: Heard | None = None
    """What the spans say, where the model reads phones."""

    @classmethod
    def of(cls, places: Sequence[int], vectors: Floats, *, heard: Heard | None = None) -> Cohort:
        """Of vectors (G, n, D)."""
        together = vectors.transpose(1, 0, 2).reshape(vectors.shape[1], -1)  # (n, G · D)
        directions = np.linalg.svd(together.T @ together)[0][:, :DIMENSIONS].T
        basis = np.rint(directions * (LARGEST / np.abs(directions).max())).astype(np.int8)
        onto = np.linalg.pinv(basis.astype(np.float32))
        return cls(np.array(places, np.int64), Residual.of(together @ onto, STAGES), basis, heard)

    def level(self, prototypes: ArrayLike, places: Sequence[int], sounds: Codes = ()) -> float:
        """Mean similarity of the NEAREST events to the nearest of `prototypes` (P, D), in the lengths nearest to those `places`.

        Less what sound before the spans takes, and what they say that is unlike the keyword's `sounds`, as in a stream.
        """
        rows = np.array(sorted({int(np.abs(self.places - place).argmin()) for place in places}))
        prototypes = np.asarray(prototypes, np.float32)
        basis = self.basis.reshape(len(self.basis), len(self.places), -1)[:, rows].astype(np.float32)  # (E, rows, D)
        products = self.spans.products((basis @ prototypes.T).reshape(len(basis), -1))
        nearest = products.reshape(len(products), len(rows), -1).max(axis=2)  # (n, rows)
        if self.heard is not None:
            nearest -= self.heard.run_ons(rows)
        read = bool(sounds) and self.heard is not None
        events = self._read_events(nearest, rows, sounds) if read else _events(nearest.max(axis=1))
        count = min(NEAREST, len(events))
        return float(np.partition(events, len(events) - count)[-count:].mean())

    def _read_events(self, nearest: Floats, rows: NDArray[np.int64], sounds: Codes) -> Floats:
        """How near events come, less what their spans are unlike the sounds: exact of the NEAREST, of others at most as much."""
        assert self.heard is not None
        spans = np.argsort(-nearest, axis=None, kind="stable")[:COMPARED]
        place, row = np.divmod(spans, nearest.shape[1])
        scores, bounds = self.heard.around(rows[row], place)
        alike, events = nearest[place, row], _events(np.full(len(nearest), -np.inf, np.float32))
        best = alike - shortfalls(scores, [sounds] * len(spans), bounds, BEFORE // EVERY, exact_below=0.0)  # or worse
        for some in np.split(np.argsort(-best), range(AT_ONCE, len(best), AT_ONCE)):
            if best[some[0]] <= np.sort(events)[-min(NEAREST, len(events))]:
                break
            compared = alike[some] - shortfalls(scores, [sounds] * len(some), bounds[some], BEFORE // EVERY)
            np.maximum.at(events, place[some] // EVENT, compared)
        return np.asarray(np.maximum(events, events[np.isfinite(events)].min()))  # what isn't compared is hardly nearer

    def pack(self) -> bytes:
        """As a compressed archive of arrays; the same cohort gives the same bytes."""
        arrays: dict[str, Any] = {
            "places": self.places,
            "basis": self.basis,
            "event": np.int64(EVENT),
            "pause": np.int64(PAUSE_FRAMES),
            **self.spans.arrays("spans"),
        }
        if (heard := self.heard) is not None:
            arrays |= {"ends": heard.ends.astype("<i4"), "lengths": heard.lengths, **heard.scores.arrays("heard")}
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Cohort:
        """What `pack` wrote; raises KeyError or ValueError for what another version wrote, whose levels are others."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if (other := (int(arrays["event"]), int(arrays["pause"]))) != (EVENT, PAUSE_FRAMES):
                raise ValueError(f"places of an event and frames of a pause are {other}, not {(EVENT, PAUSE_FRAMES)}")
            heard = None
            if "ends" in arrays:
                heard = Heard(arrays["ends"].astype(np.int64), arrays["lengths"], Residual.read(arrays, "heard"))
            return cls(arrays["places"], Residual.read(arrays, "spans"), arrays["basis"], heard)


def _events(best: Floats) -> Floats:
    """The best of EVENT places in a row each."""
    return np.asarray(np.pad(best, (0, -len(best) % EVENT), constant_values=-np.inf).reshape(-1, EVENT).max(axis=1))
