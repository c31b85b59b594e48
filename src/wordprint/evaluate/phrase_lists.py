"""LibriPhrase as it is published: lists of pairs (CSV, by github.com/gusrud1103/LibriPhrase), and the recordings that they name.

Its recipe writes one recording for each side of a pair, and in a list `anchor`, `anchor_spk`, `anchor_text`, `anchor_dur`, the same
of `comparison`, `type` (`diffspk_positive`, `diffspk_easyneg`, `diffspk_hardneg`), `target` and `class`. Where a list has
`anchor_start` and `anchor_end` (and of `comparison`) the recordings are whole utterances, and the phrases are cut out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wordprint.errors import AudioError, DatasetError, InputError
from wordprint.evaluate.phrase_material import MOST_WORDS, Said, require_speakers
from wordprint.evaluate.phrase_trials import EASY, HARD, POSITIVE, Trial
from wordprint.evaluate.stream_build import Item
from wordprint.speech.audio import probe_audio
from wordprint.speech.formats import READABLE_SUFFIXES
from wordprint.stages.textfile import read_text

SIDES = ("anchor", "comparison")
COLUMNS = (*SIDES, *(f"{side}_{what}" for side in SIDES for what in ("spk", "text")), "type")
KINDS = {"positive": POSITIVE, "easyneg": EASY, "hardneg": HARD}
TARGETS = {"1": True, "0": False}

_PIECE = re.compile(r"_\d+word_\d+(?=\.\w+$)")
"""What the recipe adds to an utterance's name: `985-126228-0004_1word_0.wav`."""


@dataclass(frozen=True)
class Published:
    """Pairs of published lists: the recordings, what is said in them, the trials, and recordings that can't be used."""

    items: list[Item]
    said: list[Said]
    trials: list[Trial]
    dropped: list[tuple[str, str, str]]
    lists: list[Path]


def find_lists(path: Path, say: Callable[[str], None]) -> list[Path]:
    """The lists at a path: the file itself, or those in the folder and the folders in it; of other CSV files it is said that they
    are none. Raises InputError for a file that is none, and where a folder has only such."""
    if path.is_file():
        if path.suffix.lower() == ".csv":
            _reader(path)
            return [path]
        return []
    found, problems = [], []
    for file in sorted({*path.glob("*.csv"), *path.glob("*/*.csv")}):
        try:
            _reader(file)
            found.append(file)
        except InputError as error:
            problems.append(error)
    if problems and not found:
        raise problems[0]
    for problem in problems:
        say(f"left out: {problem}")
    return found


def read_lists(path: Path, lists: Sequence[Path], recordings: Path | None, speakers: Sequence[str]) -> Published:
    """All pairs of the lists by these speakers (none named: all), with the recordings in a folder, or beside the lists.

    Raises InputError that names the line of a list that is damaged, and where the recordings are not there; DatasetError where no
    pair is left.
    """
    roots = [recordings] if recordings is not None else list(dict.fromkeys([*(file.parent for file in lists), path.parent, *(
        file.parent.parent for file in lists)]))  # fmt: skip
    made, there = _Made(roots), set[str]()
    for file in lists:
        for line, row in _rows(file):
            both = {row[f"{side}_spk"] for side in SIDES}
            there |= both
            if not speakers or both <= set(speakers):
                made.add(file, line, row)
    require_speakers(speakers, there, path)
    if not made.trials:
        raise DatasetError(
            f"{path} holds no pairs whose recordings can be read ({len(made.dropped)} recordings can't)",
            expected="pairs by the speakers asked for, and the recordings that they name",
            remedy=made.dropped[0][2] if made.dropped else "name other speakers",
        )
    return Published(made.items, made.said, made.trials, made.dropped, list(lists))


class _Made:
    """Collects pairs; a recording that several name is one item."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots, self.items, self.said, self.trials = roots, list[Item](), list[Said](), list[Trial]()
        self.dropped: list[tuple[str, str, str]] = []
        self._items: dict[str, int | None] = {}
        self._said: dict[Said, int] = {}
        self._episodes: dict[tuple[str, str, str], int] = {}

    def add(self, file: Path, line: int, row: dict[str, str]) -> None:
        sides = [self._side(file, line, row, side) for side in SIDES]
        if None in sides:
            return
        anchor, comparison = (side for side in sides if side is not None)
        words = self.said[anchor].words
        if not 1 <= words <= MOST_WORDS:
            raise _damaged(file, line, f"the phrase '{self.said[anchor].text}'", f"1 to {MOST_WORDS} words")
        # each pair has a copy of its anchor: what they were cut from tells that they are one
        key = (row["anchor_spk"], self.said[anchor].text, _PIECE.sub("", row["anchor"]) + (row.get("anchor_start") or ""))
        episode = self._episodes.setdefault(key, len(self._episodes))
        self.trials.append(Trial(anchor, comparison, row["type"], words, episode))

    def _side(self, file: Path, line: int, row: dict[str, str], side: str) -> int | None:
        name, speaker = row[side], row[f"{side}_spk"]
        if name not in self._items:
            self._items[name] = self._item(file, line, name, speaker)
        item = self._items[name]
        if item is None:
            return None
        start_s, end_s = 0.0, self.items[item].end_s
        if row.get(f"{side}_start") and row.get(f"{side}_end"):
            try:
                start_s, end_s = float(row[f"{side}_start"]), float(row[f"{side}_end"])
            except ValueError as error:
                raise _damaged(file, line, str(error), "times in seconds") from error
        if not 0 <= start_s < end_s:
            raise _damaged(file, line, f"a phrase from {start_s:g} to {end_s:g} s", "an end after its start")
        said = Said(item, speaker, " ".join(row[f"{side}_text"].lower().split()), start_s, end_s)
        if said not in self._said:
            self._said[said] = len(self.said)
            self.said.append(said)
        return self._said[said]

    def _item(self, file: Path, line: int, name: str, speaker: str) -> int | None:
        path = _found(self.roots, name)
        if path is None:
            if not self.items:  # the first of all: the folder is wrong
                raise InputError(
                    f"{file}:{line} names {name}, which is not in {' or '.join(map(str, self.roots))}",
                    expected="the recordings that LibriPhrase's recipe wrote, beside its lists",
                    remedy="name their folder: wordprint evaluate MODEL RECORDINGS --phrases LISTS",
                )
            self.dropped.append((name, "missing_audio", f"not in {' or '.join(map(str, self.roots))}"))
            return None
        try:
            duration_s = probe_audio(path).duration_s
        except AudioError as error:
            self.dropped.append((name, error.reason, str(error)))
            return None
        self.items.append(Item(name, speaker, str(path), 0.0, duration_s))
        return len(self.items) - 1


def _found(roots: Sequence[Path], name: str) -> Path | None:
    """The recording of that name, also with another ending (LibriSpeech's own are FLAC)."""
    for root in roots:
        path = root / name.lstrip("/")
        if path.is_file():
            return path
        for suffix in sorted(READABLE_SUFFIXES):
            if path.with_suffix(suffix).is_file():
                return path.with_suffix(suffix)
    return None


def _reader(path: Path) -> csv.DictReader[str]:
    """A reader of a list; raises InputError for a file that is no text or lacks columns."""
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error})", expected="a list of LibriPhrase, CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    have = list(reader.fieldnames or ())
    if missing := [column for column in COLUMNS if column not in have]:
        raise InputError(
            f"{path} has no column{'s' * (len(missing) > 1)} {', '.join(missing)} (it has: {', '.join(have[:12]) or 'none'})",
            expected=f"a list of LibriPhrase with columns {', '.join(COLUMNS)}",
        )
    return reader


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with the numbers of their lines; `type` is the kind of the trial."""
    reader, count = _reader(path), 0
    try:
        for row in reader:
            line, count = reader.line_num, count + 1
            if None in row:
                raise _damaged(path, line, "more values than columns", "a value in each column")
            if empty := [column for column in COLUMNS if not (row[column] or "").strip()]:
                raise _damaged(path, line, f"nothing in {', '.join(empty)}", "a value in each column")
            kind = KINDS.get(row["type"].rpartition("_")[2])
            if kind is None:
                raise _damaged(path, line, f"the type '{row['type']}'", "one that ends in _positive, _easyneg or _hardneg")
            target = (row.get("target") or "").strip().removesuffix(".0")
            if target and TARGETS.get(target) is not (kind == POSITIVE):
                raise _damaged(path, line, f"target {target} of a {row['type']}", "1 of positives, 0 of negatives")
            yield line, row | {"type": kind}
    except csv.Error as error:
        raise _damaged(path, reader.line_num, str(error), "CSV") from error
    if not count:
        raise InputError(f"{path} holds no pairs", expected="a line for each pair, under the names of the columns")


def _damaged(path: Path, line: int, seen: str, expected: str) -> InputError:
    return InputError(f"{path}:{line} has {seen}", expected=expected, remedy="get the list again")
