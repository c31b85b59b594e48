"""Extract a tar, tar.gz or zip that somebody else made: into a folder of its own, nothing outside of it, to the last byte.

Only plain files and folders are made, with the permissions of any new file. A member that is something else (a link, a device, a
pipe), has an absolute path or a `..` in it is refused by name, before anything is written for it. So what a path means never
depends on the file system, which is how tarfile's own filters have been fooled.
"""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from wordprint.errors import InputError
from wordprint.stages.progress import BYTES, Progress, Task

_BUFFER_BYTES = 1 << 20
_ZIP, _GZIP = b"PK", b"\x1f\x8b"
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def extract(archive: Path, folder: Path, progress: Progress) -> None:
    """Extract all of `archive` into the empty or new `folder`.

    Reads to the end, so that a truncated or damaged archive is found. Raises InputError that names the member which can't be
    accepted (`unsafe_archive`), or for damage (`damaged_archive`); what is in `folder` then is of no use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _damage(archive), progress.task(f"extract {archive.name}", archive.stat().st_size, BYTES) as task:
        if _head(archive).startswith(_ZIP):
            _extract_zip(archive, folder, task)
        else:
            with _open_tar(archive, task) as tar:
                _extract_tar(archive, tar, folder)


def first_file(archive: Path) -> PurePosixPath | None:
    """Path of the first file in a tar or tar.gz, without reading on: tells what an archive of 80 GB is."""
    with _damage(archive), _open_tar(archive, None) as tar:
        return next((_place(archive, member.name) for member in tar if member.isreg()), None)


def _place(archive: Path, name: str) -> PurePosixPath:
    """A member's path in the folder; raises InputError for one that leaves it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise _refusal(archive, name, "leads out of the folder")
    return path


def _refusal(archive: Path, name: str, why: str) -> InputError:
    return InputError(
        f"{archive} has the member '{name}', which {why}",
        expected="plain files and folders",
        remedy="nothing of it was used: get the archive from its publisher",
        reason="unsafe_archive",
    )


def _extract_tar(archive: Path, tar: tarfile.TarFile, folder: Path) -> None:
    while member := tar.next():
        path = folder / _place(archive, member.name)
        source = tar.extractfile(member) if member.isreg() else None
        if source is None and not member.isdir():
            raise _refusal(archive, member.name, "is a link, a device or a pipe")
        _write(source, path)
        tar.members.clear()  # type: ignore[attr-defined]  # kept for random access: a gigabyte for two million recordings


def _extract_zip(archive: Path, folder: Path, task: Task) -> None:
    with zipfile.ZipFile(archive) as package:
        for member in package.infolist():
            path = folder / _place(archive, member.orig_filename)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(archive, member.orig_filename, "is a link, a device or a pipe")
            if member.flag_bits & 1:
                raise _refusal(archive, member.orig_filename, "is encrypted")
            _write(None if member.is_dir() else package.open(member), path)
            task.advance(member.compress_size)


def _write(source: IO[bytes] | None, path: Path) -> None:
    """A file with the bytes of `source`, or a folder where there is none."""
    if source is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("wb") as file:
        shutil.copyfileobj(source, file, _BUFFER_BYTES)


@contextmanager
def _open_tar(archive: Path, task: Task | None) -> Iterator[tarfile.TarFile]:
    """A tar as a stream; when the block ends well, the rest is read too, so that the checksum at the end of a gzip is checked."""
    zipped = _head(archive).startswith(_GZIP)
    with archive.open("rb") as file:
        source = io.BufferedReader(_Counted(file, task), _BUFFER_BYTES)
        with gzip.GzipFile(fileobj=source) if zipped else source as stream:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
                yield tar
            while task and stream.read(_BUFFER_BYTES):
                pass


def _head(archive: Path) -> bytes:
    with archive.open("rb") as file:
        return file.read(2)


class _Member(tarfile.TarInfo):
    """A member whose header is damaged or missing is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the blocks of zeros at the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Counted(io.RawIOBase):
    """A file that reports how much of it was read."""

    def __init__(self, file: Any, task: Task | None) -> None:
        self.file, self.task = file, task

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self.file.readinto(buffer)
        if self.task:
            self.task.advance(count)
        return count


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    """Turn what the libraries say about a damaged archive into one line."""
    try:
        yield
    except _DAMAGE as error:
        raise InputError(
            f"{archive} is damaged or not an archive ({error})",
            expected="a complete tar, tar.gz or zip",
            remedy="download it again",
            reason="damaged_archive",
        ) from error
