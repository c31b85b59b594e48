"""`info`: what is in any file or folder that wordprint wrote, without loading audio or networks.

A folder is known by its receipt, else by what lies in it; a file by its ending, and a JSON document by its schema.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from wordprint.errors import InputError, require_extra
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.contract import PARTIAL, RECEIPT, read_receipt
from wordprint.stages.manifest import read_jsonl

Facts = dict[str, Any]
"""Names and plain JSON values, in the order in which people want to read them."""

_SCHEMAS = {
    "wordprint.stage/1": "receipt of a stage",
    "wordprint.download/1": "downloaded corpus",
    "wordprint.validate/1": "corpus report",
    "wordprint.words/1": "word dataset",
    "wordprint.checkpoint/1": "checkpoint",
    "wordprint.model/1": "model metadata",
    "wordprint.metrics/1": "evaluation metrics",
    "wordprint.enrollment/1": "enrollment",
    "wordprint.bill_of_materials/1": "bill of materials",
}

_LINES = (
    ("what_to_do", "problems found by 'validate'"),
    ("textgrid", "alignments"),
    ("transcript", "utterances"),
    ("item", "dropped items"),
    ("in_lexicon", "word types of a corpus"),
)
"""JSONL files by a field that only they have."""

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
    what, facts = _folder(path) if path.is_dir() else _file(path)
    return {"what": what, "path": str(path), **facts}


def as_text(facts: Facts) -> str:
    """Facts as indented lines for people; an unset value is a dash."""
    return "\n".join(_text_lines(facts, ""))


def _text_lines(facts: Facts, indent: str) -> Iterator[str]:
    width = max((len(name) for name, value in facts.items() if not _nested(value)), default=0)
    for name, value in facts.items():
        if _nested(value):
            yield f"{indent}{name}"
            for number, item in enumerate([value] if isinstance(value, dict) else value):
                yield from ([""] if number and isinstance(item, dict) else [])
                yield from _text_lines(item, indent + "  ") if isinstance(item, dict) else [f"{indent}  {item}"]
        else:
            empty = value is None or (isinstance(value, (list, dict, str)) and not value)
            yield f"{indent}{name:<{width}}  {'–' if empty else value}"


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _folder(path: Path) -> tuple[str, Facts]:
    if (path / RECEIPT).is_file():
        return _receipt(path)
    if (path / PARTIAL).is_file():
        partial = _read_json(path / PARTIAL)
        hint = "run the same command again to complete it"
        return f"unfinished output of '{partial.get('stage')}'", {"config": partial.get("config"), "what_to_do": hint}
    for name in ("dataset.json", "best.json", "metrics.json", ".download.json"):
        if (path / name).is_file():
            return _document(path / name)
    textgrids = Counter(file.parent for file in path.rglob("*.TextGrid"))
    if textgrids:
        return "TextGrids", {"files": textgrids.total(), "speakers": len(textgrids), "first": str(min(path.rglob("*.TextGrid")))}
    recordings = Counter(file.parent.name for file in path.glob("*/*") if file.suffix.lower() in AUDIO_SUFFIXES)
    if recordings:
        words = {word: count for word, count in sorted(recordings.items()) if not word.startswith("_")}
        return "word folders", {"words": len(words), "recordings": sum(words.values()), "recordings_by_word": words}
    raise _unknown(path)


def _receipt(path: Path) -> tuple[str, Facts]:
    receipt = read_receipt(path)
    return f"output of '{receipt.stage}'", {
        "counts": receipt.counts,
        "details": receipt.details,
        "config": receipt.config,
        "files": sorted(receipt.outputs)[:_LONG],
        "number_of_files": len(receipt.outputs),
        "wall_s": receipt.wall_s,
    }


def _file(path: Path) -> tuple[str, Facts]:
    kinds: dict[str, Callable[[Path], tuple[str, Facts]]] = {
        ".json": _document,
        ".jsonl": _lines,
        ".onnx": _model,
        ".safetensors": _weights,
        ".textgrid": _textgrid,
        ".arrow": _table,
    }
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise _unknown(path)
    return kind(path)


def _weights(path: Path) -> tuple[str, Facts]:
    """Weights, by the description beside them; training's own state (last.safetensors) carries it in its header."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        state = json.loads(header["__metadata__"]["state"])
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return _document(path.with_suffix(".json"))
    return "state of a training run", {"step": state["step"], "best": state.get("best"), "tensors": len(header) - 1}


def _document(path: Path) -> tuple[str, Facts]:
    """A JSON document, by its schema."""
    record = _read_json(path)
    schema = record.get("schema")
    if not isinstance(schema, str) or not schema.startswith("wordprint."):
        raise _unknown(path)
    if schema not in _SCHEMAS:
        known = ", ".join(name for name in _SCHEMAS if name.split("/")[0] == schema.split("/")[0])
        raise InputError(f"{path} has schema {schema!r}", expected=known or "a schema of this version of wordprint")
    if schema == "wordprint.enrollment/1":
        return _enrollment(path)
    return _SCHEMAS[schema], {name: _brief(value) for name, value in record.items()}


def _enrollment(path: Path) -> tuple[str, Facts]:
    from wordprint.spot.enroll import Enrollment

    enrollment = Enrollment.load(path)
    keywords = [
        {"keyword": word.keyword, "shots": len(word.shots), "threshold": word.threshold, "duration_s": word.duration_s}
        for word in enrollment.keywords
    ]
    return "enrollment", {"model": enrollment.model, "model_digest": enrollment.model_digest, "keywords": keywords}


def _model(path: Path) -> tuple[str, Facts]:
    from wordprint.model import Model

    model = Model(path)
    facts = {name: _brief(value) for name, value in model.metadata.items()}
    return "model", {"bytes": path.stat().st_size, "digest": model.digest, **facts}


def _lines(path: Path) -> tuple[str, Facts]:
    records = read_jsonl(path)
    first = next(records, None)
    if first is None:
        return "empty JSONL file", {"lines": 0}
    what = next((what for field, what in _LINES if field in first), None)
    if what is None:
        return "JSONL file", {"lines": 1 + sum(1 for _ in records), "fields": list(first)}
    try:
        return what, _count(chain([first], records))
    except (KeyError, TypeError) as error:
        raise _unknown(path) from error


def _count(records: Iterator[Facts]) -> Facts:
    """Lines, and what can be summed over them in one pass."""
    lines, seconds, tokens = 0, 0.0, 0
    speakers: set[str] = set()
    tallies: dict[str, Counter[str]] = {name: Counter() for name in ("reason", "severity", "language")}
    for record in records:
        lines += 1
        if "transcript" in record:
            seconds += record["end_s"] - record["start_s"]
            speakers.add(record["speaker"])
        tokens += record["count"] if "in_lexicon" in record else 0
        for name, tally in tallies.items():
            if record.get(name) is not None:
                tally[record[name]] += 1
    facts: Facts = {"lines": lines}
    if speakers:
        facts |= {"speakers": len(speakers), "hours": round(seconds / 3600, 4)}
    if tokens:
        facts["tokens"] = tokens
    return facts | {f"by_{name}": dict(tally.most_common()) for name, tally in tallies.items() if tally}


def _textgrid(path: Path) -> tuple[str, Facts]:
    from wordprint.speech.textgrid import read_textgrid

    alignment = read_textgrid(path, path.stem)
    words = [word.symbol for word in alignment.words]
    end_s = alignment.words[-1].end_s if words else 0.0
    return "TextGrid", {"words": len(words), "phones": len(alignment.phones), "last_word_ends_s": end_s, "text": " ".join(words)}


def _table(path: Path) -> tuple[str, Facts]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise require_extra("pyarrow", "words", "reading Arrow tables") from error
    try:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
            return "Arrow table", {"rows": table.num_rows, "columns": {field.name: str(field.type) for field in table.schema}}
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not an Arrow IPC file", expected="a table that 'wordprint words' wrote") from error


def _brief(value: Any) -> Any:
    """The value, with long lists and long texts replaced by their length."""
    if isinstance(value, dict):
        if len(value) > 4 * _LONG:
            return f"{len(value)} entries"
        return {name: _brief(item) for name, item in value.items()}
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > _LONG else [_brief(item) for item in value]
    return value


def _read_json(path: Path) -> Facts:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", expected="the description that belongs to the weights") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error})", expected="a file that wordprint wrote") from error
    if not isinstance(record, dict):
        raise _unknown(path)
    return record


def _unknown(path: Path) -> InputError:
    return InputError(
        f"{path} is nothing that wordprint wrote",
        expected="a stage's output folder, a manifest (.jsonl), TextGrids, a word dataset, word folders, a checkpoint, "
        "a model (.onnx), an enrollment or a metrics file",
    )
