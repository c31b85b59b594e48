"""`wordprint download` from servers on this machine: layout, receipts, what is skipped, what goes wrong, kills."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus_files import lines, write
from loopback import Answer, Page, Server
from wordprint.cli import main
from wordprint.corpora.stage import prepare
from wordprint.download import archive as archive_module
from wordprint.download import folders as place_module
from wordprint.download.catalogue import CORPORA
from wordprint.download.fetch import Patience
from wordprint.download.stage import download, next_command
from wordprint.errors import ConfigError, DiskFullError, DownloadError, InputError, OutputConflictError

NOW = Patience(tries=2, wait_s=0, stall_s=5)
LEXICON = b"TREE T R IY1\n"


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same bytes in every process


def noise(form: str) -> bytes:
    """A recording that can't be compressed, so that an archive of it is a few hundred kilobytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(0).uniform(-0.9, 0.9, 150_000), 16_000, format=form)
    return buffer.getvalue()


def subset(name: str, speakers: bytes = b"; ID\n11 | F\n") -> bytes:
    chapter = f"LibriSpeech/{name}/11/7"
    return tarball(
        {
            "LibriSpeech/SPEAKERS.TXT": speakers,
            f"{chapter}/11-7.trans.txt": b"11-7-0001 A TREE\n",
            f"{chapter}/11-7-0001.flac": noise("FLAC"),
        }
    )


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return buffer.getvalue()


BODIES = {
    "resources/31/dev-clean-2.tar.gz": subset("dev-clean-2"),
    "resources/31/train-clean-5.tar.gz": subset("train-clean-5", b"; ID\n11 | F\n12 | M\n"),
    "resources/11/librispeech-lexicon.txt": LEXICON,
    "data/speech_commands_v0.02.tar.gz": tarball({"./README.md": b"about", "./up/0a_nohash_0.wav": b"up"}),
    "data/speech_commands_test_set_v0.02.tar.gz": tarball({"./up/0b_nohash_0.wav": b"up"}),
    "resources/17/musan.tar.gz": tarball({"musan/noise/README": b"x", "musan/README": b"about"}),
    "resources/28/rirs_noises.zip": zipped({"RIRS_NOISES/simulated_rirs/rir_list": b"x"}),
}


def small(path: str) -> dict[str, object]:
    """What the catalogue says of the small file instead of the real one."""
    body = BODIES.get(path)
    if body is None or path.endswith(".txt"):
        return {}
    return {"size_bytes": len(body), "checksum": "md5:" + hashlib.md5(body).hexdigest()}


def shrink(corpora) -> None:
    """Put the small files into the catalogue, and no servers."""
    for name, corpus in corpora.items():
        items = tuple(dataclasses.replace(item, **small(item.path)) for item in corpus.items)
        corpora[name] = dataclasses.replace(corpus, items=items, servers=())


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("WORDPRINT_DATA", raising=False)
    corpora = dict(CORPORA)
    shrink(corpora)
    for name, corpus in corpora.items():
        monkeypatch.setitem(CORPORA, name, corpus)
    with Server({path: Page(body) for path, body in BODIES.items()}) as server:
        yield server


def bring(server, data, corpus="librispeech", **options):
    return download(corpus, data, mirror=server.address, patience=NOW, **options)


def tree(folder: Path) -> dict[str, bytes]:
    """Files but for the receipts."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".download.json")
    }


def expected(*names: str) -> dict[str, bytes]:
    """The tree of these subsets, extracted by tarfile."""
    files = {"librispeech-lexicon.txt": LEXICON}
    for name in names:
        with tarfile.open(fileobj=io.BytesIO(BODIES[f"resources/31/{name}.tar.gz"])) as archive:
            files |= {member.name: archive.extractfile(member).read() for member in archive}
    return dict(sorted(files.items()))


# what it makes


def test_subsets_of_librispeech_share_a_folder(server, tmp_path):
    paths = bring(server, tmp_path, subsets=["train-clean-5", "dev-clean-2"])
    root = tmp_path / "librispeech"
    assert paths == [root / "LibriSpeech/dev-clean-2", root / "LibriSpeech/train-clean-5", root / "librispeech-lexicon.txt"]
    assert tree(root) == expected("dev-clean-2", "train-clean-5")
    receipt = json.loads((paths[0] / ".download.json").read_text())
    body = BODIES["resources/31/dev-clean-2.tar.gz"]
    assert receipt.pop("finished").endswith("+00:00")
    assert receipt == {
        "schema": "wordprint.download/1",
        "corpus": "librispeech",
        "item": "dev-clean-2",
        "url": server.url("resources/31/dev-clean-2.tar.gz"),
        "size_bytes": len(body),
        "checksum": "md5:" + hashlib.md5(body).hexdigest(),
        "published_checksum": "md5:" + hashlib.md5(body).hexdigest(),
    }
    lexicon = json.loads((root / ".librispeech-lexicon.txt.download.json").read_text())
    assert lexicon["published_checksum"] is None
    assert lexicon["checksum"] == "sha256:" + hashlib.sha256(LEXICON).hexdigest()


def test_the_longer_table_of_speakers_stays(server, tmp_path):
    bring(server, tmp_path, subsets=["train-clean-5"])
    bring(server, tmp_path, subsets=["dev-clean-2"])
    assert (tmp_path / "librispeech/LibriSpeech/SPEAKERS.TXT").read_bytes() == b"; ID\n11 | F\n12 | M\n"


@pytest.mark.parametrize(
    ("corpus", "there"),
    [
        ("speech-commands", ["speech_commands_v0.02/up/0a_nohash_0.wav", "speech_commands_test_set_v0.02/up/0b_nohash_0.wav"]),
        ("musan", ["musan/noise/README"]),
        ("rirs-noises", ["RIRS_NOISES/simulated_rirs/rir_list"]),
    ],
)
def test_other_corpora(server, tmp_path, corpus, there):
    paths = bring(server, tmp_path, corpus)
    assert all((tmp_path / corpus / name).is_file() for name in there)
    assert all((path / ".download.json").is_file() for path in paths)
    assert not list((tmp_path / corpus).glob("*.tar.gz")) + list((tmp_path / corpus).glob(".*.extracting"))


def test_the_next_command(tmp_path):
    root = tmp_path / "librispeech"
    folder = root / "LibriSpeech/dev-clean-2"
    folder.mkdir(parents=True)
    lexicon = root / "librispeech-lexicon.txt"
    assert next_command("librispeech", [folder, lexicon]) == f"wordprint prepare librispeech:{folder} --output work/prepare"
    assert f"--lexicon {lexicon}" in next_command("librispeech", [lexicon])
    spaced = tmp_path / "my data" / "en"
    spaced.mkdir(parents=True)
    assert f" 'common_voice:{spaced}' " in next_command("common-voice", [spaced])
    (tmp_path / "musan/musan").mkdir(parents=True)
    assert f" --noise {tmp_path}/musan/musan/noise " in next_command("musan", [tmp_path / "musan/musan"])


def test_what_is_complete_is_not_asked_for_again(server, tmp_path, said):
    bring(server, tmp_path, subsets=["dev-clean-2"])
    before = len(server.asked)
    bring(server, tmp_path, subsets=["dev-clean-2"], progress=said)
    assert len(server.asked) == before
    assert [line.split(" in ")[0] for line in said.lines] == [
        "librispeech dev-clean-2: already there",
        "librispeech lexicon: already there",
    ]


def test_archives_are_kept_on_request_and_used_again(server, tmp_path):
    (path, _) = bring(server, tmp_path, subsets=["dev-clean-2"], keep_archives=True)
    assert (tmp_path / "librispeech/dev-clean-2.tar.gz").is_file()
    subprocess.run(["rm", "-r", path], check=True)
    asked = len(server.asked)
    bring(server, tmp_path, subsets=["dev-clean-2"])
    assert len(server.asked) == asked
    assert tree(tmp_path / "librispeech") == expected("dev-clean-2")


def test_the_published_catalogue_is_whole():
    for corpus in CORPORA.values():
        assert len({item.name for item in corpus.items}) == len({item.makes for item in corpus.items}) == len(corpus.items)
        for item in corpus.items:
            if item.checksum is not None:
                kind, digits = item.checksum.split(":")
                assert len(bytes.fromhex(digits)) == hashlib.new(kind).digest_size


# what goes wrong


def test_names_that_are_not_known(server, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"unknown corpus 'libri-speech'.*did you mean 'librispeech'"):
        bring(server, tmp_path, "libri-speech")
    with pytest.raises(ConfigError, match=r"no subset 'train-clean-10'.*did you mean 'train-clean-100'"):
        bring(server, tmp_path, subsets=["train-clean-10"])
    with pytest.raises(ConfigError, match=r"say which parts; expected --subset .*train-other-500 \(30\.6 GB\)"):
        bring(server, tmp_path)
    with pytest.raises(ConfigError, match="takes no path"):
        bring(server, tmp_path, "musan", release=tmp_path)
    with pytest.raises(ConfigError, match="http://"):
        download("musan", tmp_path, mirror="example.org")
    assert not list(tmp_path.iterdir())
    assert main(["download", "--subset", "dev-clean", "librispeech"]) == 2
    assert "its name before --subset" in capsys.readouterr().err
    assert main(["download"]) == 0
    assert "train-clean-100" in capsys.readouterr().out


def test_no_folder_was_named(server, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="WORDPRINT_DATA"):
        bring(server, None, subsets=["lexicon"])
    monkeypatch.setenv("WORDPRINT_DATA", str(tmp_path / "speech"))
    assert bring(server, None, subsets=["lexicon"]) == [tmp_path / "speech/librispeech/librispeech-lexicon.txt"]


def test_too_little_space_is_said_before_anything_comes(server, tmp_path, monkeypatch):
    usage = place_module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(place_module.shutil, "disk_usage", lambda path: usage._replace(free=400_000))
    with pytest.raises(DiskFullError, match=r"dev-clean-2, lexicon would take 6\d\d kB .* has 400 kB free"):
        bring(server, tmp_path, subsets=["dev-clean-2"])
    assert server.asked == []


def test_a_folder_in_the_way_is_not_touched(server, tmp_path):
    own = write(tmp_path / "librispeech/LibriSpeech/dev-clean-2/own.txt", "mine")
    with pytest.raises(OutputConflictError, match="did not put it there"):
        bring(server, tmp_path, subsets=["dev-clean-2"])
    assert own.read_text() == "mine"
    assert server.asked == []


def test_two_at_once(server, tmp_path):
    (tmp_path / "librispeech").mkdir()
    handle = os.open(tmp_path / "librispeech", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutputConflictError, match="another 'wordprint download' is at work"):
            bring(server, tmp_path, subsets=["dev-clean-2"])
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("files", "why"),
    [({"../evil": b"x"}, "leads out of the folder"), ({"another/folder": b"x"}, "holds no folder 'LibriSpeech/dev-clean-2'")],
)
def test_an_archive_that_is_not_what_it_should_be(server, tmp_path, monkeypatch, files, why):
    body = tarball({"LibriSpeech/SPEAKERS.TXT": b"x"} | files)
    server.pages["resources/31/dev-clean-2.tar.gz"] = Page(body)
    corpus = CORPORA["librispeech"]
    item = dataclasses.replace(corpus.items[0], size_bytes=None, checksum=None)
    monkeypatch.setitem(CORPORA, "librispeech", dataclasses.replace(corpus, items=(item, *corpus.items[1:])))
    with pytest.raises(InputError, match=why):
        bring(server, tmp_path, subsets=["dev-clean-2"])
    assert tree(tmp_path).keys() == {"librispeech/dev-clean-2.tar.gz"}


def test_a_disk_that_fills_while_extracting(server, tmp_path, monkeypatch):
    def full(source, target, length):
        target.write(source.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive_module.shutil, "copyfileobj", full)
        with pytest.raises(DiskFullError, match="free some space and run the same command again"):
            bring(server, tmp_path, subsets=["dev-clean-2"])
    assert tree(tmp_path).keys() == {"librispeech/dev-clean-2.tar.gz"}
    bring(server, tmp_path, subsets=["dev-clean-2"])
    assert tree(tmp_path / "librispeech") == expected("dev-clean-2")


def test_servers_that_are_down_are_named(server, tmp_path, monkeypatch):
    gone = Server({})
    gone.http.server_close()
    servers = (gone.address,)
    monkeypatch.setitem(CORPORA, "musan", dataclasses.replace(CORPORA["musan"], servers=servers))
    server.pages.clear()
    with pytest.raises(DownloadError, match=r"1:\d+: HTTP 404 .*1:\d+: Connection refused.* same command again"):
        bring(server, tmp_path, "musan")


# kills


def command(server, data, *arguments, sabotage=""):
    """A real process; the catalogue in it is the small one."""
    here = Path(__file__).parent
    script = f"import sys\nsys.path[:0] = {[str(here), str(here.parent)]!r}\n"
    script += f"from test_download import CORPORA, shrink\nshrink(CORPORA)\n{sabotage}\n"
    script += "from wordprint.cli import main\nsys.exit(main(sys.argv[1:]))"
    line = ["download", "librispeech", *arguments, "--data", str(data), "--mirror", server.address]
    return subprocess.Popen([sys.executable, "-c", script, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_while_it_downloads(server, tmp_path):
    path = "resources/31/dev-clean-2.tar.gz"
    server.pages[path].answers.append(Answer(cut=150_000, stall=True))
    partial = tmp_path / "librispeech/dev-clean-2.tar.gz.partial"
    with command(server, tmp_path, "--subset", "dev-clean-2") as process:
        while not partial.exists() or partial.stat().st_size < 100_000:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    size = partial.stat().st_size
    with command(server, tmp_path, "--subset", "dev-clean-2") as process:
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert (path, f"bytes={size}-", '"first"') in server.asked
    assert tree(tmp_path / "librispeech") == expected("dev-clean-2")
    folder = tmp_path / "librispeech/LibriSpeech/dev-clean-2"
    following = out.splitlines()[-1].removeprefix("next: wordprint ").replace("work/prepare", str(tmp_path / "work"))
    assert following == f"prepare librispeech:{folder} --output {tmp_path / 'work'}"
    assert main(following.split()) == 0
    assert [(line["speaker"], line["transcript"]) for line in lines(tmp_path / "work/utterances.jsonl")] == [
        ("dev-clean-2-11", "A TREE")
    ]


@pytest.mark.parametrize("step", ["extract", "_merge"])
def test_killed_while_it_extracts(server, tmp_path, step):
    sabotage = f"""
import os, wordprint.download.folders as place
real = place.{step}
def half(*arguments, **options):
    real(*arguments, **options)
    os.kill(os.getpid(), 9)
place.{step} = half"""
    with command(server, tmp_path, "--subset", "dev-clean-2", sabotage=sabotage) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "librispeech/LibriSpeech/dev-clean-2").exists()
    bring(server, tmp_path, subsets=["dev-clean-2"])
    assert tree(tmp_path / "librispeech") == expected("dev-clean-2")
    assert sum(path.endswith("dev-clean-2.tar.gz") for path, _, _ in server.asked) == 1


# Common Voice

HEADER = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\n"
ROW = "{0}\tcommon_voice_cy_{1}.mp3\t5\tHelo\t2\t0\t\t\t\tcy\n"


def release() -> dict[str, bytes]:
    rows = "".join(ROW.format("ab" * 64, number) for number in range(2)).encode()
    files = {"validated.tsv": HEADER.encode() + rows} | {f"clips/common_voice_cy_{n}.mp3": noise("MP3") for n in range(3)}
    return {f"cv-corpus-24.0-2025-12-05/cy/{name}": body for name, body in files.items()}


def test_a_release_is_extracted_once(tmp_path, capsys, said):
    archive = write(tmp_path / "cy.tar.gz", tarball(release()))
    (path,) = download("common-voice", tmp_path / "data", release=archive, progress=said)
    assert path == tmp_path / "data/common-voice/cv-corpus-24.0-2025-12-05/cy"
    assert tree(tmp_path / "data/common-voice") == release()
    assert said.lines == ["common-voice cy: 2 validated recordings, 3 in all"]
    assert archive.is_file()
    assert main(["download", "common-voice", str(archive), "--data", str(tmp_path / "data")]) == 0
    assert "already there" in capsys.readouterr().err
    receipt = prepare([next_command("common-voice", [path]).split()[2]], tmp_path / "work")
    assert receipt.counts["in"] == 2


@pytest.mark.parametrize("below", [".", "..", "../.."])
def test_a_folder_of_a_release_is_only_checked(tmp_path, below):
    for name, body in release().items():
        write(tmp_path / "cv" / name, body)
    folder = tmp_path / "cv/cv-corpus-24.0-2025-12-05/cy"
    assert download("common-voice", release=folder / below) == [folder]


def test_what_is_no_release(tmp_path):
    with pytest.raises(InputError, match=r"Mozilla Data Collective; get the tarball .* at https://mozilladatacollective.com"):
        download("common-voice", tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        download("common-voice", tmp_path, release=tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no validated\.tsv"):
        download("common-voice", tmp_path, release=tmp_path)
    archive = write(tmp_path / "x.tar.gz", BODIES["resources/17/musan.tar.gz"])
    with pytest.raises(InputError, match="begins with 'musan/noise/README'"):
        download("common-voice", tmp_path, release=archive)


@pytest.mark.parametrize("cut", ["truncated", "without clips", "a clip missing"])
def test_a_release_that_is_not_whole(tmp_path, cut):
    files = release()
    if cut != "truncated":
        files = {name: body for name, body in files.items() if "clips" not in name or (cut == "a clip missing" and "_0" in name)}
    body = tarball(files)
    archive = write(tmp_path / "cy.tar.gz", body[:-20] if cut == "truncated" else body)
    with pytest.raises(InputError, match=r"download it again|get the release again|expected a whole release"):
        download("common-voice", tmp_path / "data", release=archive)
    assert tree(tmp_path / "data") == {}
