"""Every error that wordprint raises on purpose.

Each message is one line with three parts: what was seen, what was expected, and what to do next. A stage that
meets a bad *item* (one file among thousands) catches the error, counts it under `reason` and goes on; everything
else ends the command with `exit_code`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WordprintError(Exception):
    """Base class: `seen`, then what was `expected`, then the `remedy`; empty parts are left out of the message."""

    exit_code = 2
    reason = "error"

    def __init__(self, seen: str, expected: str = "", remedy: str = "", reason: str = "") -> None:
        super().__init__(seen, expected, remedy, reason)
        self.seen, self.expected, self.remedy = seen, expected, remedy
        if reason:
            self.reason = reason

    def __str__(self) -> str:
        parts = [self.seen, f"expected {self.expected}" if self.expected else "", self.remedy]
        return "; ".join(" ".join(part.split()) for part in parts if part)


class InputError(WordprintError):
    """A file or folder given by the user is missing, empty or not of the expected form."""

    reason = "bad_input"


class AudioError(InputError):
    """Audio that can't be used; `reason` is the slug counted in receipts (`unreadable_audio`, `empty_audio`, …)."""

    reason = "unreadable_audio"


class AlignmentError(InputError):
    """An utterance that can't be aligned; `reason` is the slug counted in the receipt."""

    reason = "no_alignment"


class ConfigError(WordprintError):
    """An unknown option, a value of the wrong type or one out of range."""

    reason = "bad_config"


class OutputConflictError(WordprintError):
    """The output folder holds something else: another configuration, other inputs, another program's files."""

    reason = "output_conflict"


class WorkerError(WordprintError):
    """A cluster that doesn't answer, or a worker that can't work here or died."""

    reason = "worker"


class DiskFullError(WordprintError):
    """No space left while writing; what was finished before stays and the stage resumes from there."""

    reason = "disk_full"


class DownloadError(WordprintError):
    """A file that no server gave; what has come stays and the same command goes on from it."""

    reason = "download"


class MissingExtraError(WordprintError):
    """An optional dependency is not installed."""

    reason = "missing_extra"


class DatasetError(WordprintError):
    """Too little data for what was asked (one speaker, one word, nothing left after filters)."""

    reason = "dataset"


class LeakError(WordprintError):
    """A speaker, word or recording stands on both sides of a split."""

    reason = "leak"


class ModelError(WordprintError):
    """A model or checkpoint of another version, damaged, or not made by wordprint."""

    reason = "model"


class ParityError(ModelError):
    """An exported model does not reproduce the network it came from."""

    reason = "parity"


class EnrollmentError(WordprintError):
    """An enrollment that is damaged or bound to another model."""

    reason = "enrollment"


def require_extra(module: str, extra: str, purpose: str) -> MissingExtraError:
    """The error to raise when `module` can't be imported; names the extra that brings it."""
    return MissingExtraError(
        f"{purpose} needs the Python package '{module}', which is not installed",
        remedy=f"install it with: pip install 'wordprint[{extra}]'",
    )


def kind_of(path: str | Path) -> str:
    """`path` and what is wrong with it where another kind of file was asked for: "x is a folder", "x does not exist"."""
    path = Path(path)
    if path.is_dir():
        return f"{path} is a folder"
    if path.is_file():
        return f"{path} is a file"
    if path.exists():
        return f"{path} is a pipe or a device"
    return f"{path} is a link that leads nowhere" if path.is_symlink() else f"{path} does not exist"


_UNUSABLE = {
    errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG
}  # fmt: skip
"""What keeps a path from being written to, whatever is done with the data."""


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn "no space left", "permission denied" and whatever else keeps `path` from being written into a one-line error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"no space left on the disk of {path}", remedy="free some space and run the same command again to go on"
            ) from error
        if _keeps_from(error, Path(path)):
            raise InputError(f"cannot write to {path}: {error.strerror}", remedy="choose another output folder") from error
        raise


def _keeps_from(error: OSError, path: Path) -> bool:
    """Whether the system refused `path` itself, what is above or in it, or its temporary file: /proc says "no such file"."""
    if not isinstance(error.filename, str):
        return error.errno in _UNUSABLE
    refused = Path(error.filename)
    if error.errno in _UNUSABLE and path in refused.parents:
        return True
    return refused in (path, *path.parents) or (refused.parent == path.parent and ".partial" in refused.suffixes)
