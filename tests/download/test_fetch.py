"""One file over HTTP from real servers on this machine: cuts, stalls, other files, wrong checksums, full disks."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopback import Answer, Page, Server
from wordprint.download import fetch as module
from wordprint.download.fetch import Patience, fetch
from wordprint.errors import DiskFullError, DownloadError
from wordprint.stages.progress import SILENT

NOW = Patience(wait_s=0, stall_s=5, draw=lambda: 0.0)
BODY = random.Random(0).randbytes(300_000)
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "corpus.tar.gz"


def get(target, *urls, patience=NOW, progress=SILENT, **options):
    return fetch(urls, target, progress=progress, patience=patience, **options)


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_comes_and_is_checked(target):
    with Server({"a": Page(BODY)}) as server:
        came = get(target, server.url("a"), size_bytes=len(BODY), checksum=MD5)
    assert (came.url, came.size_bytes, came.checksum) == (server.url("a"), len(BODY), MD5)
    assert target.read_bytes() == BODY
    assert names(target) == ["corpus.tar.gz"]
    assert server.asked == [("a", None, None)]


def test_without_a_published_checksum_the_one_seen_is_told(target):
    with Server({"a": Page(BODY)}) as server:
        assert get(target, server.url("a")).checksum == "sha256:" + hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("reset", [False, True])
def test_goes_on_where_the_connection_broke(target, reset):
    with Server({"a": Page(BODY, [Answer(cut=100_000, reset=reset)])}) as server:
        get(target, server.url("a"), checksum=MD5)
    assert target.read_bytes() == BODY
    _, asked, condition = server.asked[1]
    assert condition == '"first"'
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    assert start == 100_000 or (reset and 0 < start <= 100_000)


def test_goes_on_in_another_run(target):
    page = Page(BODY, [Answer(cut=100_000), Answer(503), Answer(503)])
    with Server({"a": page}) as server:
        with pytest.raises(DownloadError, match=r"HTTP 503.*run the same command again to go on \(100 kB are kept\)"):
            get(target, server.url("a"), patience=Patience(tries=2, wait_s=0))
        assert names(target) == ["corpus.tar.gz.partial", "corpus.tar.gz.partial.json"]
        get(target, server.url("a"), checksum=MD5)
    assert server.asked[-1] == ("a", "bytes=100000-", '"first"')
    assert target.read_bytes() == BODY


def test_a_server_that_ignores_ranges_starts_anew(target, said):
    with Server({"a": Page(BODY, [Answer(cut=200_000)], then=Answer(ranges=False))}) as server:
        get(target, server.url("a"), checksum=MD5, progress=said)
    assert target.read_bytes() == BODY
    assert any("sends the whole file again" in line for line in said.lines)


def test_a_file_that_changed_starts_anew(target):
    other = BODY[::-1]
    with Server({"a": Page(BODY, [Answer(cut=100_000), Answer(503)])}) as server:
        with pytest.raises(DownloadError):
            get(target, server.url("a"), patience=Patience(tries=1, wait_s=0))
        server.pages["a"] = Page(other, etag='"second"')
        get(target, server.url("a"))
    assert server.asked[-1] == ("a", "bytes=100000-", '"first"')
    assert target.read_bytes() == other


def test_a_weak_tag_vouches_for_no_bytes(target):
    page = Page(BODY, [Answer(cut=100_000, headers={"ETag": 'W/"x"'})], then=Answer(headers={"ETag": 'W/"x"'}))
    with Server({"a": page}) as server:
        get(target, server.url("a"))
    assert [asked for _, asked, _ in server.asked] == [None, None]
    assert target.read_bytes() == BODY


def test_silence_is_given_up(target, said):
    with Server({"a": Page(BODY, [Answer(cut=50_000, stall=True)])}) as server:
        get(target, server.url("a"), checksum=MD5, progress=said, patience=Patience(wait_s=0, stall_s=0.3))
    assert said.lines == [f"{server.host}: silent for 0.3 s after 50.0 kB of 300 kB"]
    assert server.asked[1][1] == "bytes=50000-"


def test_the_next_server_has_the_rest(target):
    with Server({"a": Page(BODY, [Answer(cut=100_000)], then=Answer(404))}) as first, Server({"a": Page(BODY)}) as second:
        came = get(target, first.url("a"), second.url("a"), checksum=MD5)
    assert came.url == second.url("a")
    assert second.asked == [("a", "bytes=100000-", None)]
    assert target.read_bytes() == BODY


def test_without_a_checksum_parts_of_two_servers_are_not_joined(target):
    with Server({"a": Page(BODY, [Answer(cut=100_000)], then=Answer(404))}) as first, Server({"a": Page(BODY)}) as second:
        get(target, first.url("a"), second.url("a"))
    assert second.asked == [("a", None, None)]


def test_parts_that_do_not_fit_are_found(target):
    """The second server's file has the same length and other bytes: joined they are wrong, then it is asked for all of it."""
    other = bytes(byte ^ 1 for byte in BODY)
    checksum = "md5:" + hashlib.md5(other).hexdigest()
    with Server({"a": Page(BODY, [Answer(cut=100_000)], then=Answer(404))}) as first, Server({"a": Page(other)}) as second:
        get(target, first.url("a"), second.url("a"), checksum=checksum)
    assert [asked for _, asked, _ in second.asked] == ["bytes=100000-", None]
    assert target.read_bytes() == other


def test_a_wrong_checksum_is_kept_aside_and_the_next_server_asked(target, said):
    with Server({"a": Page(BODY[::-1])}) as first, Server({"a": Page(BODY)}) as second:
        came = get(target, first.url("a"), second.url("a"), checksum=MD5, progress=said)
    assert came.url == second.url("a")
    assert target.read_bytes() == BODY
    assert (target.parent / "corpus.tar.gz.corrupt").read_bytes() == BODY[::-1]
    seen = "md5:" + hashlib.md5(BODY[::-1]).hexdigest()
    assert seen in said.lines[0]
    assert MD5 in said.lines[0]
    assert "not used" in said.lines[0]


def test_another_length_than_published_is_not_downloaded(target):
    with Server({"a": Page(BODY, [Answer(cut=0)])}) as server, pytest.raises(DownloadError, match="300,000 bytes, the published"):
        get(target, server.url("a"), size_bytes=7, checksum=MD5)
    assert names(target) == []


@pytest.mark.parametrize(
    ("headers", "why"),
    [({"Content-Type": "text/html; charset=utf-8"}, "a web page"), ({"Content-Length": None}, "does not say how long")],
)
def test_what_is_no_file(target, headers, why):
    with Server({"a": Page(BODY, then=Answer(headers=headers))}) as server, pytest.raises(DownloadError, match=why):
        get(target, server.url("a"))


def test_every_server_and_why_it_failed_is_told(target):
    with Server({"b": Page(b"", then=Answer(503))}) as server:
        nobody = Server({})
        nobody.http.server_close()
        with pytest.raises(DownloadError) as error:
            get(target, server.url("a"), nobody.url("a"), server.url("b"), patience=Patience(tries=2, wait_s=0))
    text = str(error.value)
    assert f"{server.host}: HTTP 404 Not Found; {nobody.host}: Connection refused; {server.host}: HTTP 503" in text
    assert text.endswith("run the same command again to go on, or name another server with --mirror")
    assert [path for path, _, _ in server.asked] == ["a", "b", "b"]


def test_pauses_double_and_the_server_may_ask_for_more(target, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    page = Page(BODY, [Answer(503), Answer(429, headers={"Retry-After": "17"}), Answer(503), Answer(cut=9), Answer(503)])
    with Server({"a": page}) as server:
        get(target, server.url("a"), checksum=MD5, patience=Patience(wait_s=1, longest_wait_s=20, draw=lambda: 1.0))
    assert pauses == [1.5, 17, 6, 1.5, 1.5]  # what came starts the count again


def test_pauses_end_somewhere():
    patience = Patience(wait_s=1, longest_wait_s=20, draw=lambda: 0.0)
    assert [patience.pause_s(failures) for failures in range(7)] == [1, 2, 4, 8, 16, 20, 20]
    assert patience.pause_s(0, asked_s=3600) == 20


def test_a_range_from_the_wrong_place_is_not_taken(target):
    with Server({"a": Page(BODY, [Answer(cut=100_000), Answer(shift=5)])}) as server:
        get(target, server.url("a"), checksum=MD5)
    assert [asked for _, asked, _ in server.asked] == [None, "bytes=100000-", None]
    assert target.read_bytes() == BODY


def test_more_here_than_there_starts_anew(target):
    longer, shorter = Server({"a": Page(BODY, [Answer(cut=200_000)], then=Answer(404))}), Server({"a": Page(BODY[:1000])})
    checksum = "md5:" + hashlib.md5(BODY[:1000]).hexdigest()
    with longer, shorter:
        get(target, longer.url("a"), shorter.url("a"), checksum=checksum)
    assert [asked for _, asked, _ in shorter.asked] == ["bytes=200000-", None]
    assert target.read_bytes() == BODY[:1000]


def test_what_is_there_is_checked_and_not_fetched(target):
    target.parent.mkdir()
    target.write_bytes(BODY)
    assert get(target, "http://127.0.0.1:9/none", checksum=MD5).url is None
    target.write_bytes(BODY[:-1])
    with Server({"a": Page(BODY)}) as server:
        get(target, server.url("a"), checksum=MD5)
    assert names(target) == ["corpus.tar.gz", "corpus.tar.gz.corrupt"]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("note", [None, "", "[]", '{"url": '])
def test_a_part_of_nobody_knows_what_is_thrown_away(target, note):
    target.parent.mkdir()
    target.with_name("corpus.tar.gz.partial").write_bytes(b"something else")
    if note is not None:
        target.with_name("corpus.tar.gz.partial.json").write_text(note)
    with Server({"a": Page(BODY)}) as server:
        get(target, server.url("a"), checksum=MD5)
    assert server.asked == [("a", None, None)]
    assert target.read_bytes() == BODY


def test_killed_before_the_last_step(target):
    target.parent.mkdir()
    target.with_name("corpus.tar.gz.partial").write_bytes(BODY)
    note = {"url": "http://127.0.0.1:9/none", "size_bytes": len(BODY), "validator": None}
    target.with_name("corpus.tar.gz.partial.json").write_text(json.dumps(note))
    get(target, note["url"], checksum=MD5)
    assert names(target) == ["corpus.tar.gz"]


answers = st.builds(
    Answer,
    status=st.sampled_from([0, 0, 0, 503]),
    cut=st.integers(0, 4000),
    reset=st.booleans(),
    ranges=st.booleans(),
    shift=st.sampled_from([0, 0, 0, 1]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(answers, max_size=8), st.lists(answers, max_size=8), st.booleans(), st.integers(1, 4000))
def test_whatever_the_servers_do_the_file_is_the_same(first, second, checked, size):
    body = random.Random(size).randbytes(size)
    checksum = "sha256:" + hashlib.sha256(body).hexdigest() if checked else None
    with tempfile.TemporaryDirectory() as folder, Server({"a": Page(body, first), "b": Page(body, second)}) as server:
        target = Path(folder, "file")
        get(target, server.url("a"), server.url("b"), checksum=checksum, patience=Patience(tries=20, wait_s=0))
        assert target.read_bytes() == body
        assert os.listdir(folder) == ["file"]


def test_a_full_disk_leaves_nothing_under_the_name(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with Server({"a": Page(BODY)}) as server, pytest.raises(DiskFullError, match="free some space"):
            get(disk / "corpus.tar.gz", server.url("a"), checksum=MD5)
        assert not (disk / "corpus.tar.gz").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
