"""JSONL between stages: read as a stream with line numbers in errors, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from wordprint.errors import InputError, OutputConflictError, disk_errors, kind_of
from wordprint.records import Utterance, wrong_type
from wordprint.stages.walk import walk

UTTERANCES = "utterances.jsonl"
ALIGNMENTS = "alignments.jsonl"
DROPPED = "dropped.jsonl"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


_json = json.JSONDecoder(parse_constant=_refuse)
"""NaN and Infinity are Python's own: `to_line` doesn't write them."""


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    """Objects of a JSONL file one by one; raises InputError that names the line which can't be read, or is no proper utterance."""
    path = Path(path)
    if not path.is_file():
        raise InputError(kind_of(path), expected="a JSONL file that wordprint wrote")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = _json.decode(line.decode("utf-8-sig"))
                if not isinstance(record, dict):
                    raise ValueError(f"a JSON {type(record).__name__}")
            except ValueError as error:
                seen = f"{path}:{number} is not a JSON object ({error})"
                raise InputError(seen, remedy="run the stage that wrote it again") from error
            if "transcript" in record and (wrong := wrong_type(record)):  # only utterances have one
                raise InputError(f"{path}:{number} has {wrong[0]}", wrong[1], "run the stage that wrote it again")
            yield record


def to_line(record: dict[str, Any]) -> str:
    """One JSON object as a line; the same object always gives the same bytes."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def write_jsonl(path: str | Path, records: Iterable[dict[str, Any]]) -> int:
    """Write all records under a temporary name, then rename; returns how many."""
    count = 0
    with atomic_write(path) as file:
        for record in records:
            file.write(to_line(record))
            count += 1
    return count


def write_json(path: str | Path, value: Any) -> None:
    """Write one indented JSON document atomically."""
    with atomic_write(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2, allow_nan=False)
        file.write("\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as file:
        file.write(text)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """A text file that appears under `path` only when the block ends without an error."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        try:
            yield file
        except UnicodeEncodeError as error:  # bytes of a file name, or half a character that a file has written as \ud800
            wrong = re.search(r'[^"]*[\ud800-\udfff][^"]*', error.object)
            seen = f"{wrong[0] if wrong else error.object!a} is not UTF-8"
            raise InputError(seen, remedy="rename that file or folder, or mend that text") from error
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` (same ending), renamed to it when the block ends without an error."""
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # a name for each writer: a worker that was given up may still be writing the file that another writes again
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
        try:
            yield temporary
            with suppress(FileNotFoundError):
                shutil.copymode(path, temporary)
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def alone_with(path: str | Path, wait: bool = True) -> Iterator[None]:
    """Others who ask for the same wait meanwhile: nobody changes what is in the folder of `path`, where a system can lock it.

    Without `wait`, OutputConflictError where another is there. The lock goes with this process: its children don't inherit it.
    """
    path = Path(path)
    folder = path.resolve().parent if path.is_symlink() else path.parent
    if os.name != "posix" or not folder.is_dir():
        yield
        return
    import fcntl

    with disk_errors(path):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            remedy = "wait until it has ended, or choose another output folder"
            raise OutputConflictError(f"another wordprint is at work in {folder}", remedy=remedy) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove what killed writers left in a folder and those inside it, under the temporary names of `atomic_path`."""
    for root, _, files in os.walk(folder):
        for name in files:
            if re.fullmatch(r"\..*\.[0-9a-f]{8}\.partial(\.[^.]*)?", name, re.DOTALL):
                Path(root, name).unlink(missing_ok=True)


def resolve(path: str | Path, name: str, stage: str) -> Path:
    """The file `name` for an input given as that file or as the folder that `stage` wrote."""
    path = Path(path)
    found = path / name if path.is_dir() else path
    if not path.is_dir() and (not path.is_file() or path.suffix != found.with_name(name).suffix):
        raise InputError(kind_of(path), expected=f"the output folder of '{stage}', or its {name}")
    if not found.is_file():
        raise InputError(
            f"{path} holds no {name}", expected=f"the output folder of '{stage}'", remedy=f"run 'wordprint {stage}' first"
        )
    if path.is_dir() and (path / "stage.partial.json").exists():
        raise InputError(f"{path} is unfinished", remedy=f"run the same 'wordprint {stage}' command again to complete it")
    return found


def read_utterances(path: str | Path) -> Iterator[Utterance]:
    """Utterances of a manifest file, or of the folder of the stage that wrote it."""
    for record in read_jsonl(resolve(path, UTTERANCES, "prepare")):
        try:
            yield Utterance.from_json(record)
        except TypeError as error:
            raise InputError(
                f"{path} has an utterance with missing fields ({error})", remedy="run 'wordprint prepare' again"
            ) from error


def digest_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_value(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


_TEXT_SUFFIXES = frozenset({"", ".txt", ".lab", ".csv", ".tsv", ".json", ".scp", ".textgrid"})
_TEXT_LIMIT_BYTES = 4 << 20


def digest_tree(folder: str | Path) -> str:
    """Fingerprint of a folder, also behind links: relative path and size of every file, and the bytes of small text files.

    Recordings are not read: hashing a thousand hours to decide that nothing changed would cost more than the work.
    """
    folder = Path(folder)
    digest = hashlib.sha256()
    for root, files in walk(folder, hidden=True):
        for name in files:
            path = Path(root, name)
            try:
                size = path.stat().st_size
                text = path.read_bytes() if path.suffix.lower() in _TEXT_SUFFIXES and size <= _TEXT_LIMIT_BYTES else b""
            except OSError as error:  # a dangling link, a file that may not be read: whoever needs it will say so
                size, text = -1, str(error.errno).encode()
            digest.update(f"{path.relative_to(folder)}\0{size}\0".encode("utf-8", "surrogateescape"))
            digest.update(text)
    return digest.hexdigest()
