"""TextGrids: written as the Montreal Forced Aligner and Praat do; read whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordprint.errors import InputError, kind_of, require_extra
from wordprint.records import Alignment, Interval
from wordprint.stages.manifest import atomic_path
from wordprint.stages.textfile import read_text

UNKNOWN_WORD = "<unk>"
"""How the Montreal Forced Aligner writes a word without a pronunciation; kept, for it is speech all the same."""

SILENCES = frozenset({"", "<eps>", "<sil>", "<p:>", "<p>", "sil", "sp", "pau", "h#", "#", "_", "<s>", "</s>", "!sil"})
"""Symbols, in lower case, that mean that nobody speaks."""

Entries = list[tuple[float, float, str]]
"""Start and end in seconds, and what is written there."""

_WORD_TIERS = ("words", "word", "ort", "ort-mau", "orthography", "tokens")
_PHONE_TIERS = ("phones", "phone", "phonemes", "segments", "mau", "phon")
_OVERLAP_S = 0.001  # rounding of whoever wrote the file
_CUT_OFF_S = 0.1
_SPEAKER = re.compile(r"\s+-\s+|\s*[/:@]\s*")
_SIZES = (
    re.compile(r"(?:intervals|points) ?: *size *= *(\d+)"),  # of the long format, and of the short one
    re.compile(r'"(?:IntervalTier|TextTier)"\s+".*"\s+\S+\s+\S+\s+(\d+)(?:\s|$)'),
)


@dataclass(frozen=True, slots=True)
class Tier:
    """An interval tier, silence included. MFA names those of several speakers `anna - words`; `role` is then `words`."""

    name: str
    entries: Entries

    @property
    def role(self) -> str:
        return _SPEAKER.split(self.name.lower())[-1]

    @property
    def speaker(self) -> str:
        """What stands before the role; empty where nothing does."""
        return _SPEAKER.sub("\0", self.name).rpartition("\0")[0].replace("\0", " - ")

    @property
    def spoken(self) -> Entries:
        """Without silence."""
        return [entry for entry in self.entries if entry[2].strip().lower() not in SILENCES]

    @property
    def holds_phones(self) -> bool:
        return self.role in _PHONE_TIERS


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


def read_textgrid(path: str | Path, utterance_id: str, speaker: str | None = None) -> Alignment:
    """Words and phones of a TextGrid, long or short, in UTF-8 or UTF-16; silence and empty intervals are left out.

    Where it holds the words of several speakers, those of `speaker` (`corpus-anna` finds `anna`). A lone tier is one of words.
    A file without a phones tier has no phones. Raises InputError, with `reason` unreadable_textgrid, no_words_tier or
    ambiguous_textgrid.
    """
    path = Path(path)
    tiers = read_tiers(path)
    lone = [tier for tier in tiers if tier.spoken] or tiers
    by_speaker = words_by_speaker(path, tiers)
    if not by_speaker and len(lone) == 1 and not lone[0].holds_phones:
        by_speaker = {"": lone[0].entries}
    if not by_speaker:
        names = ", ".join(tier.name for tier in tiers) or "none"
        seen, expected = f"{path} has no tier 'words' (it has: {names})", "interval tiers 'words' and 'phones'"
        raise InputError(seen, expected, reason="no_words_tier")
    one = len(by_speaker) == 1
    wanted = [name for name in by_speaker if one or re.search(rf"(?:^|\W|_){re.escape(name)}$", speaker or "")]
    if not wanted:
        seen, names = f"{path} holds the words of several speakers", ", ".join(f"'{name}'" for name in by_speaker)
        raise InputError(seen, f"one of {names}, not '{speaker or ''}'", reason="ambiguous_textgrid")
    who = max(wanted, key=len)
    phones = next((tier.entries for tier in tiers if tier.holds_phones and tier.spoken and (one or tier.speaker == who)), ())
    return Alignment(utterance_id, _intervals(path, by_speaker[who]), _intervals(path, phones))


def words_by_speaker(path: str | Path, tiers: Sequence[Tier]) -> dict[str, Entries]:
    """Words, without silence, by speaker (``""`` where the names of the tiers don't tell): of all who say something, or of one
    who doesn't; empty without tiers that aligners name like that. Raises InputError with reason ambiguous_textgrid where two
    tiers of one speaker differ.
    """
    named = [tier for role in _WORD_TIERS for tier in tiers if tier.role == role]
    found: dict[str, Tier] = {}
    for tier in [tier for tier in named if tier.spoken] or named[:1]:
        first = found.setdefault(tier.speaker, tier)
        if first.role == tier.role and first.spoken != tier.spoken:
            seen = f"{path} has two tiers '{tier.name}' with different words"
            raise InputError(seen, remedy="name each speaker's tiers apart", reason="ambiguous_textgrid")
    return {speaker: [(start_s, end_s, label.strip()) for start_s, end_s, label in tier.spoken] for speaker, tier in found.items()}


def read_tiers(path: str | Path) -> list[Tier]:
    """All interval tiers in order, silence included; raises InputError, with `reason`, for a file that can't be read."""
    _praatio_textgrid()
    from praatio.utilities import textgrid_io

    path = Path(path)
    tiers: list[Tier] = []
    try:
        if not path.is_file():
            raise InputError(kind_of(path), expected="a TextGrid", reason="no_textgrid")
        text = read_text(path, fallback="latin-1")  # Praat saves UTF-16 where text is not ASCII, or UTF-8; old ones are Latin-1
        parsed = textgrid_io.parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
        _require_whole(text, parsed)
        for tier in parsed:
            if tier["class"] == "IntervalTier":
                entries = [(float(start), float(end), str(label)) for start, end, label in tier["entries"]]
                tiers.append(Tier(str(tier["name"]).strip(), entries))
    except InputError:
        raise
    # praatio's parser slices text by position: on a file of anything else it fails in ways of its own
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:100]
        raise InputError(f"{path} can't be read as a TextGrid ({detail})", reason="unreadable_textgrid") from error
    return tiers


def _require_whole(text: str, tiers: Sequence[dict[str, Any]]) -> None:
    """Raise ValueError for a file that ends too early: the last tier has fewer entries than it says, and doesn't reach its end.

    Neither alone means that: some writers leave silence out, others count wrong.
    """
    sizes = max((pattern.findall(text) for pattern in _SIZES), key=len)
    promised = re.search(r"<exists>\s+(?:size *= *)?(\d+)", text)
    if promised and len(tiers) < int(promised[1]):
        raise ValueError(f"it is cut off: {len(tiers)} of {promised[1]} tiers")
    if sizes and len(tiers[-1]["entries"]) < int(sizes[-1]):
        ends_s = [float(entry[-2]) for entry in tiers[-1]["entries"]]
        if not ends_s or max(ends_s) < float(tiers[-1]["xmax"]) - _CUT_OFF_S:
            raise ValueError(f"it is cut off: {len(ends_s)} of {sizes[-1]} entries in the last tier")


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
