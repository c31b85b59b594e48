"""Counts over boundary differences, in memory that depends on neither words nor utterances.

Differences are whole tenths of a millisecond, so that sums and medians are exact and don't depend on any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TENTHS_PER_MS = 10
LIMITS_MS = (20, 50, 100)
GROSS_MS = LIMITS_MS[-1]
"""A difference above this is a gross one."""

HISTOGRAM_MS = 10
"""Width of a bar of the histogram, which reaches to ± HISTOGRAM_REACH_MS; what lies beyond counts in the outer bars."""
HISTOGRAM_REACH_MS = 200

LETTERS = ((1, 2), (3, 5), (6, 8), (9, None))
WORST = 100
"""Utterances and speakers that are listed, those that differ most first."""

_LONGEST = 10_000 * TENTHS_PER_MS  # a median above 10 s would be given as 10 s

Word = Sequence[Any]
"""A word that both have: symbol, start_s, end_s, the other's start_s and end_s, and whether the first has a word, rather than
a pause, right before it and right after it."""


def tenths(difference_s: float) -> int:
    """A difference as the nearest whole tenth of a millisecond."""
    return round(difference_s * 1000 * TENTHS_PER_MS)


class Differences:
    """Sizes and signs of the differences of some boundaries."""

    def __init__(self) -> None:
        self._sizes = np.zeros(_LONGEST + 1, np.int64)
        self._sum = self._sum_of_sizes = 0

    def add(self, values: NDArray[np.int64]) -> None:
        """(n,) signed tenths of a millisecond."""
        sizes = np.abs(values)
        np.add.at(self._sizes, np.minimum(sizes, _LONGEST), 1)
        self._sum += int(values.sum())
        self._sum_of_sizes += int(sizes.sum())

    def to_json(self) -> dict[str, Any]:
        """Mean and median size and bias (first − second, positive: the first is later) in ms; shares within a limit."""
        count = int(self._sizes.sum())
        if not count:
            return {"boundaries": 0}
        up_to = self._sizes.cumsum()
        middle = [int(np.searchsorted(up_to, place, side="right")) for place in ((count - 1) // 2, count // 2)]
        return {
            "boundaries": count,
            "mean_ms": round(self._sum_of_sizes / count / TENTHS_PER_MS, 3),
            "median_ms": sum(middle) / 2 / TENTHS_PER_MS,
            **{f"within_{limit}_ms": round(int(up_to[limit * TENTHS_PER_MS]) / count, 5) for limit in LIMITS_MS},
            "bias_ms": round(self._sum / count / TENTHS_PER_MS, 3),
        }


class Tally:
    """What the utterances, added one by one, have in common."""

    def __init__(self) -> None:
        self.words = self.unmatched = self.utterances = 0
        self.kinds = {name: Differences() for name in ("all", "starts", "ends")}
        self.places = {
            name: Differences() for name in ("start after a pause", "start after a word", "end before a word", "end before a pause")
        }
        self.letters = [Differences() for _ in LETTERS]
        bars = 2 * HISTOGRAM_REACH_MS // HISTOGRAM_MS
        self.histograms = {"starts": np.zeros(bars, np.int64), "ends": np.zeros(bars, np.int64)}
        self._speakers: dict[str, list[int]] = {}
        self._worst: list[tuple[float, str, dict[str, Any]]] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """A line of differences.jsonl."""
        words = record["words"]
        self.utterances += 1
        self.words += len(words)
        self.unmatched += len(record["only_first"]) + len(record["only_second"])
        starts, ends = boundary_differences(words).T
        values = {"all": np.concatenate([starts, ends]), "starts": starts, "ends": ends}
        for name, differences in self.kinds.items():
            differences.add(values[name])
        for name, bars in self.histograms.items():
            np.add.at(bars, _bar(values[name], len(bars)), 1)
        after_word, before_word = np.array([word[5:7] for word in words], bool).reshape(-1, 2).T
        chosen = (starts[~after_word], starts[after_word], ends[before_word], ends[~before_word])
        for differences, some in zip(self.places.values(), chosen, strict=True):
            differences.add(some)
        classes = np.array([_letter_class(word[0]) for word in words], np.int64)
        for number, differences in enumerate(self.letters):
            chosen = classes == number
            differences.add(np.concatenate([starts[chosen], ends[chosen]]))
        sizes = np.abs(values["all"])
        self._add_speaker(record["speaker"], sizes)
        if len(words):
            self._add_worst(record["utterance_id"], len(words), sizes)

    def to_json(self) -> dict[str, Any]:
        """Everything as in comparison.json."""
        reach = range(-HISTOGRAM_REACH_MS, HISTOGRAM_REACH_MS + 1, HISTOGRAM_MS)
        return {
            "words": {"matched": self.words, "unmatched": self.unmatched},
            **{name: differences.to_json() for name, differences in self.kinds.items()},
            "histogram": {"edges_ms": list(reach), **{name: bars.tolist() for name, bars in self.histograms.items()}},
            "by_place": [{"place": name, **differences.to_json()} for name, differences in self.places.items()],
            "by_letters": [
                {"letters": f"{least}–{most}" if most else f"{least} or more", **differences.to_json()}
                for (least, most), differences in zip(LETTERS, self.letters, strict=True)
            ],
            "speakers": len(self._speakers),
            "by_speaker": self._speaker_rows(),
            "worst": [entry for _, _, entry in sorted(self._worst, key=lambda item: (-item[0], item[2]["utterance_id"]))],
        }

    def _add_speaker(self, speaker: str, sizes: NDArray[np.int64]) -> None:
        row = self._speakers.setdefault(speaker, [0, 0, 0, 0])
        row[0] += 1
        row[1] += len(sizes)
        row[2] += int(sizes.sum())
        row[3] += int((sizes > GROSS_MS * TENTHS_PER_MS).sum())

    def _speaker_rows(self) -> list[dict[str, Any]]:
        rows = [
            {
                "speaker": speaker,
                "utterances": utterances,
                "boundaries": boundaries,
                "mean_ms": round(total / boundaries / TENTHS_PER_MS, 3) if boundaries else None,
                "gross": round(gross / boundaries, 5) if boundaries else None,
            }
            for speaker, (utterances, boundaries, total, gross) in self._speakers.items()
        ]
        return heapq.nsmallest(WORST, rows, key=lambda row: (-(row["mean_ms"] or 0.0), row["speaker"]))

    def _add_worst(self, utterance_id: str, words: int, sizes: NDArray[np.int64]) -> None:
        mean_ms = float(sizes.mean()) / TENTHS_PER_MS
        entry = {
            "utterance_id": utterance_id,
            "words": words,
            "mean_ms": round(mean_ms, 3),
            "max_ms": int(sizes.max()) / TENTHS_PER_MS,
            "gross": int((sizes > GROSS_MS * TENTHS_PER_MS).sum()),
        }
        item = (mean_ms, utterance_id, entry)
        if len(self._worst) < WORST:
            heapq.heappush(self._worst, item)
        else:
            heapq.heappushpop(self._worst, item)


def boundary_differences(words: Iterable[Word]) -> NDArray[np.int64]:
    """(n, 2): of each word the difference of its starts and of its ends, first − second, in tenths of a millisecond."""
    pairs = [(tenths(start - other_start), tenths(end - other_end)) for _, start, end, other_start, other_end, *_ in words]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _bar(values: NDArray[np.int64], bars: int) -> NDArray[np.int64]:
    """Bar of each difference: a bar holds its lower edge and not its upper one."""
    places = (values + HISTOGRAM_REACH_MS * TENTHS_PER_MS) // (HISTOGRAM_MS * TENTHS_PER_MS)
    return np.clip(places, 0, bars - 1)


def _letter_class(word: str) -> int:
    letters = sum(map(str.isalpha, word))
    return next((number for number, (_, most) in enumerate(LETTERS) if most is None or letters <= most), 0)
