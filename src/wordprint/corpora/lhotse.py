"""What Lhotse's hundred recipes write: manifests of recordings and supervisions, or of cuts (lhotse.readthedocs.io).

Every `…recordings….jsonl.gz` with a `…supervisions….jsonl.gz` of the same name otherwise, else every `…cuts….jsonl.gz`, in
the folder itself. A supervision is an utterance; its word and phone alignments stay with it in `meta`, in seconds from its
start, where the aligner `lhotse` finds them. Manifests are read line by line, so that memory doesn't grow.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import Problem, missing_audio, missing_transcript
from wordprint.errors import InputError, require_extra
from wordprint.records import Utterance
from wordprint.stages.disk_table import Table

LAYOUT = "recordings.jsonl.gz with supervisions.jsonl.gz, or cuts.jsonl.gz"
UNKNOWN_SPEAKER = "unknown"

_ENDINGS = (".jsonl", ".jsonl.gz")
_CODE = re.compile(r"[A-Za-z]{2,3}([-_]\w+)*")
_TIME_DIGITS = 6

_CODES = {
    "arabic": "ar", "bengali": "bn", "chinese": "zh", "mandarin": "zh", "cantonese": "yue", "czech": "cs", "danish": "da",
    "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no", "persian": "fa",
    "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es", "swahili": "sw", "swedish": "sv",
    "tamil": "ta", "telugu": "te", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi",
}  # fmt: skip
"""Lhotse's recipes name languages in English; ISO 639-1 where there is such a code."""


def detect(path: Path) -> bool:
    """Whether the folder has manifests."""
    return any(_manifests(path))


def prepare(path: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    """Utterances in the order of the manifests, then recordings that no supervision names.

    `meta` holds `recording_id`, what is plain of `custom`, gender, `word_alignment` and `phone_alignment`, lists of [symbol,
    start_s, end_s] and perhaps a score. Raises InputError for manifests that are missing or damaged.
    """
    pairs, cuts = _manifests(path)
    if not (pairs or cuts):
        raise InputError(f"{path} holds no manifests of Lhotse", LAYOUT, "write them with lhotse's to_file(…)")
    for recordings, supervisions in pairs:
        with Table() as known:
            for item in _items(recordings, "Recording"):
                if isinstance(item, Problem):
                    yield item
                elif not known.add(str(item.id), json.dumps(_described(item))):
                    yield Problem(str(item.id), "duplicate_id", f"{recordings} has it twice; the first line counts")
            for item in _items(supervisions, "SupervisionSegment"):
                if isinstance(item, Problem):
                    yield item
                else:
                    recording = known.use(str(item.recording_id))
                    yield _utterance(item, 0.0, json.loads(recording or "null"), supervisions, config)
            for name in known.unused():
                yield missing_transcript(name, supervisions)
    for manifest in cuts if not pairs else ():
        for item in _items(manifest, "MonoCut", "MultiCut"):
            yield from [item] if isinstance(item, Problem) else _cut(item, manifest, config)


def _manifests(path: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pairs of recordings and supervisions, and cuts, by name."""
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(_ENDINGS) and not entry.name.startswith("."))
    partners = [(name, name.replace("recordings", "supervisions")) for name in names if "recordings" in name]
    pairs = [(path / name, path / partner) for name, partner in partners if partner in names]
    return pairs, [path / name for name in names if "cuts" in name]


def _items(manifest: Path, *kinds: str) -> Iterator[Any]:
    """Objects of these classes of Lhotse, or a Problem for one of another class or with other fields."""
    try:
        from lhotse.lazy import LazyJsonlIterator
        from lhotse.serialization import deserialize_item
    except ImportError as error:
        raise require_extra("lhotse", "lhotse", "reading Lhotse's manifests") from error
    number = 0
    try:
        for number, fields in enumerate(LazyJsonlIterator(manifest), start=1):
            name = str((isinstance(fields, dict) and fields.get("id")) or f"{manifest.name}:{number}")
            try:
                json.dumps(fields, ensure_ascii=False).encode()  # half a character (\ud800) could not be written
                item, wrong = deserialize_item(fields), ""
            except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
                item, wrong = None, f"{type(error).__name__}: {error}"
            found = type(item).__name__
            if wrong or found not in kinds:
                yield Problem(name, "bad_item", f"{manifest}:{number} has no {' or '.join(kinds)} ({wrong or found})")
            else:
                yield item
    except (EOFError, OSError, ValueError, zlib.error) as error:
        seen = f"{manifest}:{number + 1} can't be read ({error})"
        raise InputError(seen, expected="lines of JSON, compressed where the name ends in .gz", remedy="write it again") from error


def _cut(cut: Any, manifest: Path, config: PrepareConfig) -> Iterator[Utterance | Problem]:
    if cut.recording is None:
        yield missing_audio(str(cut.id), manifest)
    elif not cut.supervisions:
        yield missing_transcript(str(cut.id), manifest)
    else:
        for supervision in cut.supervisions:
            yield _utterance(supervision, cut.start, _described(cut.recording), manifest, config)


def _described(recording: Any) -> dict[str, Any]:
    """What has to be known of a recording, as JSON."""
    sources = [
        {"type": source.type, "channels": source.channels, "path": source.source if source.type == "file" else ""}
        for source in recording.sources
    ]
    return {"sources": sources, "changed": bool(recording.transforms)}


def _utterance(
    supervision: Any, offset_s: float, recording: dict[str, Any] | None, manifest: Path, config: PrepareConfig
) -> Utterance | Problem:
    """The utterance of a supervision whose times count from `offset_s` of its recording."""
    try:
        return _read(supervision, offset_s, recording, manifest, config)
    except (AttributeError, TypeError, ValueError) as error:  # Lhotse doesn't check the types of fields
        return Problem(str(supervision.id), "bad_item", f"a field is not as it should be ({error})")


def _read(
    supervision: Any, offset_s: float, recording: dict[str, Any] | None, manifest: Path, config: PrepareConfig
) -> Utterance | Problem:
    item, start_s, duration_s = str(supervision.id), float(offset_s) + float(supervision.start), float(supervision.duration)
    if not math.isfinite(start_s + duration_s):
        raise ValueError(f"it starts at {start_s:g} s and lasts {duration_s:g} s")
    if recording is None:
        return Problem(item, "missing_audio", f"its recording '{supervision.recording_id}' is in no manifest")
    if recording["changed"]:
        return Problem(item, "transformed_recording", "its recording is changed as it is read (speed, rate, …); save it as a file")
    channels = set(supervision.channel if isinstance(supervision.channel, list) else [supervision.channel])
    sources = [source for source in recording["sources"] if channels & set(source["channels"])]
    if len(sources) != 1 or set(sources[0]["channels"]) != channels:
        among = sorted(channel for source in recording["sources"] for channel in source["channels"])
        return Problem(item, "part_of_channels", f"it is in channels {sorted(channels)} of {among}; save these as a file")
    if sources[0]["type"] != "file":
        return Problem(item, "not_a_file", f"its recording is a '{sources[0]['type']}'; save it as a file")
    if not (supervision.text or "").strip():
        return missing_transcript(item, manifest)
    aligned = {f"{kind}_alignment": _alignment(supervision, kind, start_s) for kind in ("word", "phone")}
    meta = {name: value for name, value in (supervision.custom or {}).items() if _is_plain(value)}
    meta |= {"recording_id": str(supervision.recording_id)} | ({"gender": str(supervision.gender)} if supervision.gender else {})
    meta |= {name: intervals for name, intervals in aligned.items() if intervals}
    end_s = round(start_s + duration_s, _TIME_DIGITS)
    audio = _audio(manifest.parent, sources[0]["path"])
    speaker, language = str(supervision.speaker or UNKNOWN_SPEAKER), _language(supervision.language, config.language)
    return Utterance(item, speaker, audio, round(start_s, _TIME_DIGITS), end_s, supervision.text, language, meta)


def _alignment(supervision: Any, kind: str, start_s: float) -> list[list[Any]]:
    """[symbol, start_s, end_s, perhaps a score], from the start of the utterance; Lhotse counts from the recording's."""
    intervals = []
    for item in (supervision.alignment or {}).get(kind, ()):
        first, last = float(item.start) - start_s, float(item.start) + float(item.duration) - start_s
        numbers = [first, last] if item.score is None else [first, last, float(item.score)]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"'{item.symbol}' is aligned at {first:g} to {last:g} s")
        intervals.append([str(item.symbol), *(round(number, _TIME_DIGITS) for number in numbers)])
    return intervals


def _audio(folder: Path, path: str) -> str:
    """A relative path is from the folder of the manifests where the file is there, else from the current one, as Lhotse has it."""
    return str(folder / path) if (folder / path).is_file() else path


def _language(name: str | None, default: str) -> str:
    if not name:
        return default
    if _CODE.fullmatch(name):
        return name
    known = (_CODES[word] for word in re.findall(r"\w+", name.lower()) if word in _CODES)  # Singaporean English, English-US
    return next(known, name.lower())


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))
