"""`info`: what is in any file or folder that wordprint wrote, without loading audio or networks.

A folder is known by its receipt, else by what lies in it; what a file is stands in one table, KINDS.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wordprint.errors import InputError, require_extra
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.receipt import PARTIAL, RECEIPT, read_receipt
from wordprint.stages.units import readable_duration
from wordprint.stages.walk import subfolders, walk

Facts = dict[str, Any]
"""Names and plain JSON values, in the order in which people want to read them."""

ENROLLMENT = "wordprint.enrollment/2"
"""Its schema."""

_LONG = 12
"""Lists with more entries are given as their length."""


def info(path: str | Path) -> Facts:
    """Facts about `path`: always `what` and `path`, then what matters for its kind.

    Raises InputError for a path that doesn't exist or that no stage of wordprint wrote, and the error of its kind for
    one that is damaged or of another version.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="a file or folder that wordprint wrote")
    if path.is_dir():
        return {"what": "", "path": str(path), **_folder(path)}
    what, facts = KINDS.get(_mark(path), ("", _unknown))
    return {"what": what, "path": str(path), **facts(path)}


def as_text(facts: Facts) -> str:
    """Facts as indented lines for people; an unset value is a dash."""
    return "\n".join(_lines(facts, ""))


def _lines(facts: Facts, indent: str) -> Iterator[str]:
    width = max((len(name) for name, value in facts.items() if not _nested(value)), default=0)
    for name, value in facts.items():
        if not _nested(value):
            yield f"{indent}{name:<{width}}  {_cell(value)}"
            continue
        yield f"{indent}{name}"
        items = value if isinstance(value, list) else [value]
        if len(items) > 1 and all(isinstance(item, dict) and not any(map(_nested, item.values())) for item in items):
            rows = [list(items[0]), *([_cell(cell) for cell in item.values()] for item in items)]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            yield from (f"{indent}  {'  '.join(map(str.ljust, row, widths))}".rstrip() for row in rows)
        else:
            for item in items:
                yield from _lines(item, indent + "  ") if isinstance(item, dict) else [f"{indent}  {item}"]


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _cell(value: Any) -> str:
    return "–" if value is None or (isinstance(value, (list, dict, str)) and not value) else str(value)


# folders


def _folder(path: Path) -> Facts:
    if (path / RECEIPT).is_file():
        return _receipt(path)
    if (path / PARTIAL).is_file():
        partial = _read_json(path / PARTIAL)
        hint = "run the same command again to complete it"
        return {"what": f"unfinished output of '{partial.get('stage')}'", "config": partial.get("config"), "what_to_do": hint}
    markers = sorted(path.glob(f"*/{RECEIPT}"), key=lambda file: file.stat().st_mtime) + sorted(path.glob(f"*/{PARTIAL}"))
    if markers:
        return {"what": "work folder of 'run'", "stages": [_stage(marker) for marker in markers]}
    for name in ("dataset.json", "best.json", "metrics.json", ".download.json"):
        if (path / name).is_file():
            return info(path / name) | {"path": str(path)}
    textgrids = sorted(Path(place, name) for place, names in walk(path) for name in names if name.lower().endswith(".textgrid"))
    if textgrids:
        speakers = {file.parent for file in textgrids}
        return {"what": "TextGrids", "files": len(textgrids), "speakers": len(speakers), "first": str(textgrids[0])}
    files = (file for name in subfolders(path) for file in (path / name).iterdir())
    recordings = Counter(file.parent.name for file in files if file.suffix.lower() in AUDIO_SUFFIXES)
    if recordings:
        words = {word: count for word, count in sorted(recordings.items()) if not word.startswith("_")}
        return {"what": "word folders", "words": len(words), "recordings": sum(words.values()), "recordings_by_word": words}
    return _unknown(path)


def _receipt(path: Path) -> Facts:
    receipt = read_receipt(path)
    return {
        "what": f"output of '{receipt.stage}'",
        "counts": receipt.counts,
        "details": receipt.details,
        "config": receipt.config,
        "files": sorted(receipt.outputs)[:_LONG],
        "number_of_files": len(receipt.outputs),
        "wall_s": receipt.wall_s,
    }


def _stage(marker: Path) -> Facts:
    """A stage's row in what is said of a work folder; unset where it isn't finished."""
    if marker.name == PARTIAL:
        return {"stage": marker.parent.name, "state": "unfinished", "in": None, "kept": None, "took": None}
    receipt = read_receipt(marker.parent)
    figures = {name: receipt.counts.get(name) for name in ("in", "kept")}
    return {"stage": receipt.stage, "state": "done", **figures, "took": readable_duration(receipt.wall_s)}


# files


def _mark(path: Path) -> str:
    """What tells the kind of a file: its schema, a field of its first line, or its suffix."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        schema = _read_json(path).get("schema")
        if isinstance(schema, str) and schema.startswith("wordprint.enrollment/"):
            return ENROLLMENT  # which says of one of another version what to do
        if isinstance(schema, str) and schema not in KINDS and schema.startswith("wordprint."):
            known = ", ".join(name for name in KINDS if name.split("/")[0] == schema.split("/")[0])
            raise InputError(f"{path} has schema {schema!r}", expected=known or "a schema of this version of wordprint")
        return schema if isinstance(schema, str) else ""
    first = next(read_jsonl(path), {}) if suffix == ".jsonl" else {}
    return next((mark for mark in KINDS if mark in first), suffix)


def _document(path: Path) -> Facts:
    return {name: _brief(value) for name, value in _read_json(path).items()}


def _enrollment(path: Path) -> Facts:
    """Each keyword with its shots and mistakes, without embeddings."""
    from wordprint.spot.enrollment import Enrollment

    enrollment = Enrollment.load(path)
    keywords = []
    for word in enrollment.keywords:
        shots = [{name: value for name, value in asdict(shot).items() if name != "embedding"} for shot in word.shots]
        shots = [shot | {"warnings": "; ".join(shot["warnings"])} for shot in shots]
        figures = {"keyword": word.keyword, "threshold": word.threshold, "duration_s": word.duration_s}
        said = {"phones": list(word.phones), "sounds": list(word.sounds), "guessed": list(word.guessed), "voices": word.voices}
        mistakes = [{"recording": one.recording, "similarity": one.similarity} for one in word.mistakes]
        rivals = [one.text for one in word.rivals]
        keywords.append(
            {**figures, **said, "shots": shots, "rejected": list(word.rejected), "mistakes": mistakes, "rivals": rivals}
        )
    return {"model": enrollment.model, "model_digest": enrollment.model_digest, "keywords": keywords}


def _weights(path: Path) -> Facts:
    """Weights, by the description beside them; training's own state (last.safetensors) carries it in its header."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        state = json.loads(header["__metadata__"]["state"])
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError):
        beside = path.with_suffix(".json")
        if not beside.is_file():
            raise InputError(f"{beside} does not exist", expected="the description that belongs to the weights") from None
        return info(beside) | {"path": str(path)}
    return {"step": state["step"], "best": state.get("best"), "tensors": len(header) - 1}


def _model(path: Path) -> Facts:
    from wordprint.model import Model

    model = Model(path)
    return {"bytes": path.stat().st_size, "digest": model.digest, **{name: _brief(value) for name, value in model.metadata.items()}}


def _count(path: Path) -> Facts:
    """Lines, and what can be summed over them in one pass."""
    lines, seconds, tokens, fields = 0, 0.0, 0, list[str]()
    speakers: set[str] = set()
    tallies: dict[str, Counter[str]] = {name: Counter() for name in ("reason", "severity", "language")}
    try:
        for record in read_jsonl(path):
            lines, fields = lines + 1, fields or list(record)
            if "transcript" in record:
                seconds += record["end_s"] - record["start_s"]
                speakers.add(record["speaker"])
            tokens += record["count"] if "in_lexicon" in record else 0
            for name, tally in tallies.items():
                if record.get(name) is not None:
                    tally[record[name]] += 1
    except (KeyError, TypeError):
        return _unknown(path)
    facts: Facts = {"lines": lines, "fields": fields} if lines else {"what": "empty JSONL file", "lines": 0}
    if speakers:
        facts |= {"speakers": len(speakers), "hours": round(seconds / 3600, 4)}
    if tokens:
        facts["tokens"] = tokens
    return facts | {f"by_{name}": dict(tally.most_common()) for name, tally in tallies.items() if tally}


def _textgrid(path: Path) -> Facts:
    from wordprint.speech.textgrid import read_textgrid, read_tiers, words_by_speaker

    tiers = read_tiers(path)
    speakers = words_by_speaker(path, tiers)
    if len(speakers) > 1:
        found = {name or "unnamed": " ".join(label for _, _, label in words) for name, words in speakers.items()}
        return {"words": sum(map(len, speakers.values())), "text_by_speaker": found}
    if not speakers and len([tier for tier in tiers if tier.spoken]) > 1:  # a speaker each, or notes: no words of one alignment
        return {"tiers": [{"name": tier.name, "intervals": len(tier.spoken)} for tier in tiers]}
    alignment = read_textgrid(path, path.stem)
    words = [word.symbol for word in alignment.words]
    end_s = alignment.words[-1].end_s if words else 0.0
    return {"words": len(words), "phones": len(alignment.phones), "last_word_ends_s": end_s, "text": " ".join(words)}


def _table(path: Path) -> Facts:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise require_extra("pyarrow", "words", "reading Arrow tables") from error
    try:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
            return {"rows": table.num_rows, "columns": {field.name: str(field.type) for field in table.schema}}
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not an Arrow IPC file", expected="a table that 'wordprint words' wrote") from error


def _brief(value: Any) -> Any:
    """The value, with long lists and tables replaced by their length."""
    if isinstance(value, (dict, list)) and len(value) > (4 * _LONG if isinstance(value, dict) else _LONG):
        return f"{len(value)} entries"
    if isinstance(value, dict):
        return {name: _brief(item) for name, item in value.items()}
    return [_brief(item) for item in value] if isinstance(value, list) else value


def _read_json(path: Path) -> Facts:
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error})", expected="a file that wordprint wrote") from error
    return record if isinstance(record, dict) else _unknown(path)


def _unknown(path: Path) -> Facts:
    """Raises InputError."""
    raise InputError(
        f"{path} is nothing that wordprint wrote",
        expected="a work folder, a stage's output folder, a manifest (.jsonl), TextGrids, a word dataset, word folders, "
        "a checkpoint, a model (.onnx), an enrollment or a metrics file",
    )


KINDS: dict[str, tuple[str, Callable[[Path], Facts]]] = {
    "wordprint.stage/1": ("receipt of a stage", _document),
    "wordprint.download/1": ("downloaded corpus", _document),
    "wordprint.validate/1": ("corpus report", _document),
    "wordprint.words/2": ("word dataset", _document),
    "wordprint.checkpoint/2": ("checkpoint", _document),
    "wordprint.model/2": ("model metadata", _document),
    "wordprint.metrics/1": ("evaluation metrics", _document),
    ENROLLMENT: ("enrollment", _enrollment),
    "wordprint.bill_of_materials/1": ("bill of materials", _document),
    "what_to_do": ("problems found by 'validate'", _count),
    "textgrid": ("alignments", _count),
    "transcript": ("utterances", _count),
    "item": ("dropped items", _count),
    "in_lexicon": ("word types of a corpus", _count),
    ".jsonl": ("JSONL file", _count),
    ".onnx": ("model", _model),
    ".safetensors": ("state of a training run", _weights),
    ".textgrid": ("TextGrid", _textgrid),
    ".arrow": ("Arrow table", _table),
}
"""What a file is by what tells it, and how its facts are read. JSON: the schema. JSONL: a field that only these lines have, the
first in this order. Else: the suffix."""
