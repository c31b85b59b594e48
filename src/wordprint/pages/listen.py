"""Pages to listen to words: players, spectrograms with boundaries, filters and order, in one file that loads nothing.

A page is a template that extends `pages/listen.html.j2` and is rendered with `listening`, made here from rows and clips;
`listen.js` does the rest in the browser, where it decodes a recording and draws it when its row comes into view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wordprint.pages.html import audio_data_uri
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE

Value = str | float | None | list[str]


@dataclass(frozen=True)
class Clip:
    """A recording (N,) at 16 kHz that holds a word at `[start_s, end_s)`; all times count from its first sample.

    `words` and `phones` are what is known to be said in it, and may reach beyond it. `hidden_times` and `hidden_bands`
    are stretches that were hidden from a network, as shares of the clip and of the bands.
    """

    samples: NDArray[np.int16] | NDArray[np.float32]
    start_s: float
    end_s: float
    words: Sequence[Interval] = ()
    phones: Sequence[Interval] = ()
    hidden_times: Sequence[tuple[float, float]] = ()
    hidden_bands: Sequence[tuple[float, float]] = ()

    def to_json(self) -> dict[str, Any]:
        """What listen.js reads: times in seconds, the recording as FLAC in base64."""
        seconds = len(self.samples) / SAMPLE_RATE
        tiers = {"words": self.words, "phones": self.phones}
        return {
            "flac": audio_data_uri(self.samples).partition(",")[2],
            "seconds": round(seconds, 4),
            "span": [round(self.start_s, 4), round(self.end_s, 4)],
            "hidden_times": [[round(edge, 4) for edge in pair] for pair in self.hidden_times],
            "hidden_bands": [[round(edge, 4) for edge in pair] for pair in self.hidden_bands],
        } | {
            name: [
                [interval.symbol, round(interval.start_s, 4), round(interval.end_s, 4)]
                for interval in intervals
                if interval.end_s > 0 and interval.start_s < seconds
            ]
            for name, intervals in tiers.items()
        }


@dataclass(frozen=True)
class Row:
    """One line of a page: its `clips` as (number of the clip, label, note), facts as (name, text, class of colour).

    `values` are what filters and orders look at, by key; of a list of names a filter needs any, and an order takes the first.
    """

    title: str
    clips: Sequence[tuple[int, str, str]]
    facts: Sequence[tuple[str, str, str]]
    values: dict[str, Value]


@dataclass(frozen=True)
class Filter:
    """A control above the rows: `text` (a whole name, or part of one), `choice` of one of the names, or `range` of numbers."""

    key: str
    label: str
    kind: Literal["text", "choice", "range"]


@dataclass(frozen=True)
class Order:
    """An entry of the menu of orders; rows without a value come last."""

    key: str
    label: str
    descending: bool = False


@dataclass(frozen=True)
class Listening:
    """The rows of a page with their clips, and how they can be filtered and ordered (the first order is the one at first).

    `whole` names what the button that plays a clip from its beginning to its end plays.
    """

    clips: Iterable[Clip]
    rows: Sequence[Row]
    filters: Sequence[Filter]
    orders: Sequence[Order]
    whole: str

    @property
    def several(self) -> bool:
        """Whether a row has more than one clip."""
        return any(len(row.clips) > 1 for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The JSON document in the page."""
        return {
            "clips": [clip.to_json() for clip in self.clips],
            "rows": [vars(row) for row in self.rows],
            "filters": [vars(entry) for entry in self.filters],
            "orders": [vars(entry) for entry in self.orders],
            "whole": self.whole,
        }
