"""TextGrids: written as the Montreal Forced Aligner and Praat do; read whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wordprint.errors import InputError, require_extra
from wordprint.records import Alignment, Interval
from wordprint.stages.manifest import atomic_path
from wordprint.stages.textfile import read_text

UNKNOWN_WORD = "<unk>"
"""How the Montreal Forced Aligner writes a word without a pronunciation; kept, for it is speech all the same."""

SILENCES = frozenset({"", "<eps>", "<sil>", "<p:>", "<p>", "sil", "sp", "pau", "h#", "#", "_", "<s>", "</s>", "!sil"})
"""Symbols, in lower case, that mean that nobody speaks."""

Tiers = dict[str, list[tuple[float, float, str]]]
"""Interval tiers by name in the file's order: start and end in seconds, and what is written there."""

_WORD_TIERS = ("words", "word", "ort", "ort-mau", "orthography", "tokens")
_PHONE_TIERS = ("phones", "phone", "phonemes", "segments", "mau", "phon")
_OVERLAP_S = 0.001  # rounding of whoever wrote the file
_CUT_OFF_S = 0.1


def write_textgrid(path: str | Path, alignment: Alignment, duration_s: float) -> None:
    """Write tiers `words` and `phones` over `[0, duration_s]`, silence as empty intervals; long text format, UTF-8."""
    textgrid = _praatio_textgrid()
    grid = textgrid.Textgrid(0, duration_s)
    for name, intervals in (("words", alignment.words), ("phones", alignment.phones)):
        entries = [(interval.start_s, interval.end_s, interval.symbol) for interval in intervals]
        # praatio refuses a tier without entries; an empty interval is what Praat itself writes
        grid.addTier(textgrid.IntervalTier(name, entries or [(0, duration_s, "")], 0, duration_s))
    with atomic_path(path) as temporary:
        grid.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)


def read_textgrid(path: str | Path, utterance_id: str) -> Alignment:
    """Words and phones of a TextGrid, long or short, in UTF-8 or UTF-16; silence and empty intervals are left out.

    A file without a phones tier has no phones. Raises InputError, with `reason` unreadable_textgrid or no_words_tier.
    """
    path = Path(path)
    tiers = read_tiers(path)
    words = words_tier(tiers)
    if words is None and len(tiers) == 1:
        words = next(iter(tiers.values()))
    if words is None:
        raise InputError(
            f"{path} has no tier 'words' (it has: {', '.join(tiers) or 'none'})",
            expected="interval tiers 'words' and 'phones'",
            reason="no_words_tier",
        )
    return Alignment(utterance_id, _intervals(path, words), _intervals(path, _find_tier(tiers, _PHONE_TIERS) or ()))


def words_tier(tiers: Tiers) -> list[tuple[float, float, str]] | None:
    """The tier of words by the names that aligners give it, if there is one."""
    return _find_tier(tiers, _WORD_TIERS)


def read_tiers(path: str | Path) -> Tiers:
    """All interval tiers, silence included; raises InputError, with `reason`, for a file that can't be read."""
    _praatio_textgrid()
    from praatio.utilities import textgrid_io

    path = Path(path)
    tiers: Tiers = {}
    try:
        if not path.is_file():
            raise InputError(f"{path} does not exist", expected="a TextGrid", reason="no_textgrid")
        text = read_text(path, fallback="latin-1")  # Praat saves UTF-16 where text is not ASCII, or UTF-8; old ones are Latin-1
        for tier in textgrid_io.parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]:
            if tier["class"] == "IntervalTier":
                entries = [(float(start), float(end), str(label)) for start, end, label in tier["entries"]]
                if not entries or max(end for _, end, _ in entries) < float(tier["xmax"]) - _CUT_OFF_S:
                    raise ValueError("it is cut off")  # intervals, empty ones among them, cover a whole tier
                tiers.setdefault(str(tier["name"]).strip(), entries)
    except InputError:
        raise
    # praatio's parser slices text by position: on a file of anything else it fails in ways of its own
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:100]
        raise InputError(f"{path} can't be read as a TextGrid ({detail})", reason="unreadable_textgrid") from error
    return tiers


def _find_tier(tiers: Tiers, names: Sequence[str]) -> list[tuple[float, float, str]] | None:
    """The tier with one of the names, alone or after a speaker's (`26 - words`, as MFA writes for several speakers)."""
    for name in names:
        for tier in tiers:
            if re.split(r"\s+-\s+|\s*/\s*", tier.lower())[-1] == name:
                return tiers[tier]
    return None


def _intervals(path: Path, entries: Iterable[tuple[float, float, str]]) -> tuple[Interval, ...]:
    intervals: list[Interval] = []
    for start_s, end_s, label in sorted(entries):
        symbol = label.strip()
        if symbol.lower() in SILENCES:
            continue
        if end_s <= start_s or (intervals and start_s < intervals[-1].end_s - _OVERLAP_S):
            raise InputError(f"{path} has overlapping or reversed intervals at {start_s:g} s", reason="unreadable_textgrid")
        intervals.append(Interval(symbol, max(start_s, intervals[-1].end_s if intervals else 0.0), end_s))
    return tuple(intervals)


def _praatio_textgrid() -> Any:
    try:
        from praatio import textgrid
    except ImportError as error:
        raise require_extra("praatio", "align", "reading and writing TextGrids") from error
    return textgrid
