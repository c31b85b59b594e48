"""Extract a tar, tar.gz or zip that somebody else made: into a folder of its own, nothing outside of it, to the last byte.

Only plain files and folders are made, with the permissions of any new file. A member that is something else (a link, a device, a
pipe), has an absolute path or a `..` in it is refused by name, before anything is written for it. So what a path means never
depends on the file system, which is how tarfile's own filters have been fooled.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Self

from wordprint.errors import InputError
from wordprint.stages.progress import BYTES, Progress

_BUFFER_BYTES = 1 << 20
_ZIP, _GZIP = b"PK", b"\x1f\x8b"
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)
"""The last is what zipfile says of an encrypted member, or of a compression that it doesn't know."""

Member = tuple[PurePosixPath, IO[bytes] | None]
"""Path and content of a member; a folder has none."""


def extract(archive: Path, folder: Path, progress: Progress) -> None:
    """Extract all of `archive` into the empty or new `folder`.

    Reads to the end, so that a truncated or damaged archive is found. Raises InputError that names the member which can't be
    accepted (`unsafe_archive`), or for damage (`damaged_archive`); what is in `folder` then is of no use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = archive.stat().st_size
    with _open(archive) as file, progress.task(f"extract {archive.name}", size, BYTES) as task:
        read = 0
        for name, source in _members(archive, file):
            path = folder / name
            (path if source is None else path.parent).mkdir(parents=True, exist_ok=True)
            if source is not None:
                with source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, _BUFFER_BYTES)
            before, read = read, max(read, file.tell())
            task.advance(read - before)


def first_file(archive: Path) -> PurePosixPath | None:
    """Path of the first file in a tar or tar.gz, without reading on: tells what an archive of 80 GB is."""
    with _open(archive) as file:
        return next((name for name, source in _members(archive, file) if source), None)


@contextmanager
def _open(archive: Path) -> Iterator[IO[bytes]]:
    """The archive's bytes; what the libraries say about damage becomes one line."""
    try:
        with archive.open("rb") as file:
            yield file
    except _DAMAGE as error:
        raise InputError(
            f"{archive} is damaged or not an archive ({error})",
            expected="a complete tar, tar.gz or zip",
            remedy="download it again",
            reason="damaged_archive",
        ) from error


def _members(archive: Path, file: IO[bytes]) -> Iterator[Member]:
    head = file.read(2)
    file.seek(0)
    if head == _ZIP:
        with zipfile.ZipFile(file) as package:
            for entry in package.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                path = _accept(archive, entry.orig_filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
                yield path, None if entry.is_dir() else package.open(entry)
        return
    mode = "r:gz" if head == _GZIP else "r:"
    with tarfile.open(fileobj=file, mode=mode, tarinfo=_TarMember) as tar:  # type: ignore[call-overload]
        while member := tar.next():
            yield _accept(archive, member.name, member.isreg() or member.isdir()), tar.extractfile(member)
            tar.members.clear()  # kept for random access: a gigabyte for two million recordings
        while tar.fileobj.read(_BUFFER_BYTES):  # to the checksum at the end of a gzip
            pass


def _accept(archive: Path, name: str, is_plain: bool) -> PurePosixPath:
    """A member's path in the folder; raises InputError for one that leaves it or is no plain file or folder."""
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name[1:2] == ":"
    if is_plain and not leaves:
        return path
    raise InputError(
        f"{archive} has the member '{name}', which {'leads out of the folder' if leaves else 'is a link, a device or a pipe'}",
        expected="plain files and folders",
        remedy="nothing of it was used: get the archive from its publisher",
        reason="unsafe_archive",
    )


class _TarMember(tarfile.TarInfo):
    """A member whose header is damaged or missing is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the blocks of zeros at the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
