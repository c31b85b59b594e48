"""Archives from strangers: what leaves the folder, what is no file, what is cut short."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.download.archive import extract, first_file
from wordprint.errors import InputError
from wordprint.stages.progress import SILENT


def entry(name, kind=tarfile.REGTYPE, body=b"", target="", mode=0o644):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.size = kind, target, mode, len(body)
    return member, body


def tar(path, *entries, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, body in entries:
            archive.addfile(member, io.BytesIO(body))
    return path


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


FILES = {"corpus/README": b"about", "corpus/a/1.flac": bytes(70_000), "corpus/a/2.flac": b"two"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar(tmp_path, out, mode):
    archive = tar(
        tmp_path / "x", entry("corpus/", tarfile.DIRTYPE), *(entry(*pair[:1], body=pair[1]) for pair in FILES.items()), mode=mode
    )
    extract(archive, out, SILENT)
    assert content(out) == FILES
    assert first_file(archive) == PurePosixPath("corpus/README")


def test_a_tar_with_a_dot_before_every_name(tmp_path, out):
    extract(tar(tmp_path / "x", entry("./", tarfile.DIRTYPE), entry("./up/1.wav", body=b"1")), out, SILENT)
    assert content(out) == {"up/1.wav": b"1"}


def test_a_zip(tmp_path, out):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("empty")
        for name, body in FILES.items():
            archive.writestr(name, body)
    extract(tmp_path / "x.zip", out, SILENT)
    assert content(out) == FILES
    assert (out / "empty").is_dir()


def test_permissions_are_not_taken_over(tmp_path, out):
    extract(tar(tmp_path / "x", entry("d", tarfile.DIRTYPE, mode=0o000), entry("d/suid", body=b"x", mode=0o6777)), out, SILENT)
    assert stat.S_IMODE((out / "d/suid").stat().st_mode) == 0o644
    assert os.access(out / "d", os.W_OK)


MALICIOUS = {
    "up": [entry("../evil", body=b"x")],
    "up in the middle": [entry("a/../../evil", body=b"x")],
    "absolute": [entry("/tmp/wordprint-evil", body=b"x")],
    "of Windows": [entry("..\\evil", body=b"x")],
    "drive": [entry("C:evil", body=b"x")],
    "folder up": [entry("../evil", tarfile.DIRTYPE)],
    "link up": [entry("evil", tarfile.SYMTYPE, target="../secret")],
    "link to the root": [entry("evil", tarfile.SYMTYPE, target="/etc")],
    "through a link": [entry("evil", tarfile.SYMTYPE, target=".."), entry("evil/b", body=b"x")],
    "hard link": [entry("evil", tarfile.LNKTYPE, target="../secret")],
    "hard link to the root": [entry("evil", tarfile.LNKTYPE, target="/etc/passwd")],
    "device": [entry("evil", tarfile.CHRTYPE)],
    "block device": [entry("evil", tarfile.BLKTYPE)],
    "pipe": [entry("evil", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_what_is_refused_by_name(tmp_path, out, case):
    (tmp_path / "secret").write_bytes(b"secret")
    archive = tar(tmp_path / "x", entry("fine", body=b"x"), *MALICIOUS[case])
    with pytest.raises(InputError, match="evil") as error:
        extract(archive, out, SILENT)
    assert error.value.reason == "unsafe_archive"
    assert sorted(os.listdir(tmp_path)) == ["out", "secret", "x"]
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not os.path.lexists("/tmp/wordprint-evil")


@pytest.mark.parametrize("name", ["../evil", "/tmp/wordprint-evil", "a/../../evil", "a\\evil"])
def test_a_zip_that_leaves_its_folder(tmp_path, out, name):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "x")
    with pytest.raises(InputError, match="evil"):
        extract(tmp_path / "x", out, SILENT)
    assert content(tmp_path).keys() == {"x"}


def test_a_zip_with_a_link(tmp_path, out):
    link = zipfile.ZipInfo("evil")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(InputError, match="is a link"):
        extract(tmp_path / "x", out, SILENT)


@pytest.mark.parametrize("kept", [0, 1, 100, 5_000, -600, -9, -1])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_truncated_tar(tmp_path, out, kept, mode):
    body = os.urandom(20_000)
    archive = tar(tmp_path / "x", entry("1.flac", body=body[:4096]), entry("2.flac", body=body), mode=mode)
    whole = archive.read_bytes()
    if mode == "w":
        whole = whole[: 2 * 512 + 4096 + 20_480 + 512 * 2]  # without the padding behind the end mark
        kept = {-9: -1500, -1: -1024 - 512}.get(kept, kept)
    archive.write_bytes(whole[:kept])
    with pytest.raises(InputError) as error:
        extract(archive, out, SILENT)
    assert error.value.reason == "damaged_archive"


def test_a_tar_that_ends_between_two_members(tmp_path, out):
    archive = tar(tmp_path / "x", entry("1", body=b"1"), entry("2", body=b"2"), mode="w")
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(InputError, match="damaged"):
        extract(archive, out, SILENT)


def test_a_damaged_header_is_not_the_end(tmp_path, out):
    archive = tar(tmp_path / "x", entry("1", body=b"1"), entry("2", body=b"2"), mode="w")
    data = bytearray(archive.read_bytes())
    data[1024] ^= 1
    archive.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        extract(archive, out, SILENT)


def test_a_flipped_bit_in_a_gzip(tmp_path, out):
    data = bytearray(tar(tmp_path / "x", entry("1", body=os.urandom(5000))).read_bytes())
    data[3000] ^= 1
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        extract(tmp_path / "x", out, SILENT)


@pytest.mark.parametrize("body", [b"", b"no archive at all", b"PK", gzip.compress(b"no tar")], ids=["empty", "text", "PK", "gzip"])
def test_what_is_no_archive(tmp_path, out, body):
    (tmp_path / "x").write_bytes(body)
    with pytest.raises(InputError, match="damaged or not an archive"):
        extract(tmp_path / "x", out, SILENT)


def test_an_encrypted_zip(tmp_path, out):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("1", b"one")
    data = bytearray((tmp_path / "x").read_bytes())
    for place in (6, data.index(b"PK\x01\x02") + 8):  # the flags, before the member and in the directory
        data[place] |= 1
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        extract(tmp_path / "x", out, SILENT)


def test_a_zip_with_a_wrong_checksum(tmp_path, out):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("1", b"one" * 100)
    data = (tmp_path / "x").read_bytes().replace(b"oneone", b"onetwo", 1)
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        extract(tmp_path / "x", out, SILENT)


parts = st.sampled_from(["..", ".", "a", "b", "", "/"])
wild_names = st.lists(parts, min_size=1, max_size=4).map("/".join)
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
members = st.lists(st.tuples(wild_names, kinds, wild_names), max_size=6)


@settings(max_examples=300)
@given(members)
def test_nothing_is_ever_written_outside(entries):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "deep").mkdir()
        (root / "a").write_bytes(b"outside")
        archive = tar(
            root / "x", *(entry(path, kind, b"y" if kind == tarfile.REGTYPE else b"", target) for path, kind, target in entries)
        )
        with suppress(InputError, OSError):  # OSError: a file where a folder should be, say
            extract(archive, root / "deep" / "out", SILENT)
        assert sorted(os.listdir(root)) == ["a", "deep", "x"]
        assert os.listdir(root / "deep") == ["out"]
        assert (root / "a").read_bytes() == b"outside"
        assert not any(path.is_symlink() for path in (root / "deep" / "out").rglob("*"))
