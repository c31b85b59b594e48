"""The layouts, each from files on disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_files import librispeech as write_librispeech
from corpus_files import record, write
from wordprint.corpora import folder, kaldi, librispeech, metadata
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem, read_lines
from wordprint.corpora.source import Source, find_kind, parse_source
from wordprint.errors import ConfigError, InputError, WordprintError
from wordprint.records import Utterance
from wordprint.stages.disk_table import Table

CONFIG = PrepareConfig()


def split(items) -> tuple[dict[str, Utterance], dict[str, str]]:
    """Utterances by id, and reasons by item."""
    items = list(items)
    good = {item.utterance_id: item for item in items if isinstance(item, Utterance)}
    return good, {item.item: item.reason for item in items if isinstance(item, Problem)}


# LibriSpeech


def test_librispeech_reads_speakers_and_prefers_lossless(tmp_path: Path) -> None:
    chapter = tmp_path / "train" / "5" / "9"
    for suffix in (".mp3", ".flac", ".ogg"):
        record(chapter / f"5-9-0000{suffix}")
    write(chapter / "5-9.trans.txt", "5-9-0000 A B  C\n\n")
    write(tmp_path / "SPEAKERS.TXT", ";ID | SEX\n5    | F | train | 25.0 | Ann | of Green Gables\nbad line\n")
    for root in (tmp_path, tmp_path / "train"):
        good, bad = split(librispeech.prepare(root, CONFIG))
        assert bad == {}
        assert good["5-9-0000"].audio.endswith(".flac")
        about = {"sex": "F", "name": "Ann | of Green Gables", "subset": "train", "minutes": 25.0}
        assert good["5-9-0000"].meta == {"chapter": "9", **about}


@pytest.mark.parametrize("below", ["LibriSpeech", ".", "LibriSpeech/dev-clean", "LibriSpeech/dev-clean/11/7"])
def test_librispeech_finds_speakers_from_any_folder_and_knows_its_licence(tmp_path: Path, below: str) -> None:
    write_librispeech(tmp_path / "LibriSpeech", ("11",), 1)
    (tmp_path / "LibriSpeech" / "dev").rename(tmp_path / "LibriSpeech" / "dev-clean")
    write(tmp_path / "LibriSpeech" / "SPEAKERS.TXT", "11 | M | dev-clean-of-old | 8.02 | Ann\n")
    good, bad = split(librispeech.prepare(tmp_path / below, CONFIG))
    assert bad == {}
    assert good["11-7-0000"].meta == {
        "chapter": "7", "sex": "M", "name": "Ann", "subset": "dev-clean", "minutes": 8.02, "licence": "CC BY 4.0",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line", ["12 | F | dev | eight | Bob", "12 | F", "12 | F | dev | nan | Bob", "12 | F | dev | 1 | caf\udce9"]
)
def test_a_bad_line_about_a_speaker_matters_where_they_speak(tmp_path: Path, line: str) -> None:
    write_librispeech(tmp_path, ("11", "12"), 2)
    bad_of_another = "99 | F\n"
    table = f"{bad_of_another}{line}\n11 | M | dev | 1 | Ann\n"
    write(tmp_path / "SPEAKERS.TXT", table.encode("utf-8", "surrogateescape"))
    items = list(librispeech.prepare(tmp_path, CONFIG))
    problems = [item for item in items if isinstance(item, Problem)]
    assert [problem.item for problem in problems] == ["12"]
    assert problems[0].reason in ("bad_speaker_line", "not_utf8")
    good, _ = split(items)
    assert {key: u.meta.get("sex") for key, u in good.items()} == {
        "11-7-0000": "M", "11-7-0001": "M", "12-7-0000": None, "12-7-0001": None,
    }  # fmt: skip


def test_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    record(tmp_path / "1" / "2" / "1-2-0.wav")
    write(tmp_path / "1" / "2" / "1-2.trans.txt", b"\xef\xbb\xbf1-2-0 HELLO\r\n")
    good, bad = split(librispeech.prepare(tmp_path, CONFIG))
    assert good["1-2-0"].transcript == "HELLO"
    assert bad == {}


# Kaldi


def kaldi_folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        write(root / name.replace("wav_scp", "wav.scp"), text)
    return root


def test_kaldi_paths_commands_and_gaps(tmp_path: Path) -> None:
    outside = record(tmp_path / "elsewhere" / "b.wav")
    root = tmp_path / "data"
    record(root / "audio" / "a.wav")
    kaldi_folder(
        root,
        wav_scp=f"a audio/a.wav\nb {outside}\nc sph2pipe -f wav c.sph |\nd d.wav\ne audio/a.wav\na audio/again.wav\n",
        text="a ONE TWO\nb THREE\nc FOUR\nd\nx GONE\n",
        utt2spk="a ann\nb bob\nc cy\nx ann\n",
    )
    good, bad = split(kaldi.prepare(root, CONFIG))
    assert {key: (u.speaker, u.transcript) for key, u in good.items()} == {"a": ("ann", "ONE TWO"), "b": ("bob", "THREE")}
    assert Path(good["a"].audio) == root / "audio" / "a.wav"
    assert Path(good["b"].audio) == outside
    assert bad == {
        "a": "duplicate_id", "c": "pipe_command", "d": "missing_speaker", "x": "missing_audio", "e": "missing_transcript",
    }  # fmt: skip


def test_kaldi_segments(tmp_path: Path) -> None:
    record(tmp_path / "long.wav", 3.0)
    kaldi_folder(
        tmp_path,
        wav_scp="long long.wav\n",
        segments="u1 long 0.5 1.25\nu2 long 2 -1\nu3 long x 1\nu4 nobody 0 1\nu5 long 0 1\n",
        text="u1 ONE\nu2 TWO\nu3 THREE\nu4 FOUR\nu6 SIX\n",
        utt2spk="u1 s\nu2 s\nu3 s\nu4 s\nu5 s\nu6 s\n",
    )
    good, bad = split(kaldi.prepare(tmp_path, CONFIG))
    assert {key: (u.start_s, u.end_s) for key, u in good.items()} == {"u1": (0.5, 1.25), "u2": (2.0, UNTIL_END)}
    assert bad == {"u3": "bad_segment", "u4": "missing_audio", "u5": "missing_transcript", "u6": "missing_audio"}


def test_kaldi_segments_with_a_channel(tmp_path: Path) -> None:
    record(tmp_path / "mono.wav", 3.0)
    record(tmp_path / "call.wav", 3.0, channels=2)
    fields = {"a": "mono 0 1 0", "b": "mono 1 2 A", "c": "call 0 1 0", "d": "call 0 1 1", "e": "call 0 1 -1", "f": "gone 0 1 1"}
    bad_fields = {"g": "mono 0 1 0 0", "h": "mono 0", "i": "mono"}
    kaldi_folder(
        tmp_path,
        wav_scp="mono mono.wav\ncall call.wav\ngone gone.wav\n",
        segments="".join(f"{name} {rest}\n" for name, rest in (fields | bad_fields).items()),
        text="".join(f"{name} ONE\n" for name in fields | bad_fields),
        utt2spk="".join(f"{name} s\n" for name in fields | bad_fields),
    )
    items = list(kaldi.prepare(tmp_path, CONFIG))
    good, bad = split(items)
    assert {key: (u.start_s, u.end_s) for key, u in good.items()} == {"a": (0, 1), "b": (1, 2), "e": (0, 1), "f": (0, 1)}
    assert bad == {"c": "part_of_channels", "d": "part_of_channels", **dict.fromkeys(bad_fields, "bad_segment")}
    details = {item.item: item.detail for item in items if isinstance(item, Problem)}
    assert details["c"] == f"channel 0 of {tmp_path / 'call.wav'}, which has 2; split it"
    assert "has 'g mono 0 1 0 0', not id, recording, start, end and perhaps a channel" in details["g"]


def test_segments_outside_their_recording(tmp_path: Path) -> None:
    from wordprint.corpora.stage import probe

    audio = str(record(tmp_path / "a.wav", 2.0))
    spans = [(0.5, UNTIL_END), (1.0, 2.4), (1.0, 2.6), (2.1, 2.2), (1.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)]
    items = [("c", Utterance(str(i), "s", audio, start, end, "x")) for i, (start, end) in enumerate(spans)]
    records = probe(items)
    assert [r["utterance"]["end_s"] for r in records[:2]] == [2.0, 2.0]
    assert [r["problem"]["reason"] for r in records[2:]] == ["bad_segment"] * 5


def test_kaldi_without_speakers_says_what_is_missing(tmp_path: Path) -> None:
    kaldi_folder(tmp_path, wav_scp="a a.wav\n", text="a HELLO\n")
    with pytest.raises(InputError, match="'utt2spk'"):
        list(kaldi.prepare(tmp_path, CONFIG))


# folders


def test_folder_speakers_and_transcripts(tmp_path: Path) -> None:
    for name in ("ann/1.wav", "ann/2.wav", "bob/1.ogg", "bob/deep/3.flac"):
        record(tmp_path / name)
    write(tmp_path / "ann" / "1.lab", "first\n line")
    write(tmp_path / "ann" / "1.txt", "ignored beside .lab")
    write(tmp_path / "bob" / "1.txt", b"caf\xe9")
    write(tmp_path / "bob" / "deep" / "3.txt", "three")
    write(tmp_path / "bob" / "9.lab", "no audio")
    write(tmp_path / "README.txt", "not a transcript")
    good, bad = split(folder.prepare(tmp_path, CONFIG))
    assert {key: (u.speaker, u.transcript) for key, u in good.items()} == {
        "ann/1": ("ann", "first\n line"), "bob/deep/3": ("deep", "three"),
    }  # fmt: skip
    assert bad == {"ann/2": "missing_transcript", "bob/1": "not_utf8", "bob/9": "missing_audio"}


def test_flat_folder_is_one_speaker(tmp_path: Path) -> None:
    record(tmp_path / "marie" / "1.wav")
    write(tmp_path / "marie" / "1.txt", "one")
    good, _ = split(folder.prepare(tmp_path / "marie", CONFIG))
    assert good["1"].speaker == "marie"


@pytest.fixture
def read_grids(tmp_path: Path):
    """Reads a folder `s` of recordings and TextGrids with the tiers given by name."""
    from praatio.utilities.textgrid_io import getTextgridAsStr

    def read(**grids: list[tuple[str, list[tuple[float, float, str]]]]) -> tuple[dict[str, Utterance], dict[str, str]]:
        for name, tiers in grids.items():
            record(tmp_path / "s" / f"{name}.wav", 4.0)
            made = [{"class": "IntervalTier", "name": tier, "xmin": 0, "xmax": 4, "entries": entries} for tier, entries in tiers]
            text = getTextgridAsStr({"xmin": 0, "xmax": 4, "tiers": made}, "long_textgrid", False, minimumIntervalLength=None)
            write(tmp_path / "s" / f"{name}.TextGrid", text)
        return split(folder.prepare(tmp_path, CONFIG))

    return read


def spoken(good: dict[str, Utterance]) -> set[tuple[str, float, float, str]]:
    return {(u.speaker, u.start_s, u.end_s, u.transcript) for u in good.values()}


def test_textgrids_hold_alignments_or_utterances(tmp_path: Path, read_grids) -> None:
    record(tmp_path / "s" / "broken.wav")
    write(tmp_path / "s" / "broken.TextGrid", "File type = nonsense")
    good, bad = read_grids(
        aligned=[("words", [(0.1, 0.5, "good"), (0.6, 1.0, "day")]), ("phones", [(0.1, 0.5, "G")]), ("notes", [])],
        talk=[("ann", [(0.0, 0.8, "hello there")]), ("bob", [(1.0, 1.5, "hi")]), ("empty", []), ("ann - phones", [(0, 1, "HH")])],
        silent=[("ann", [(0.0, 4.0, "")])],
    )
    assert good.keys() == {"s/aligned", "s/talk-ann-0001", "s/talk-bob-0001"}
    assert spoken(good) == {
        ("s", 0.0, UNTIL_END, "good day"), ("ann", 0.0, 0.8, "hello there"), ("bob", 1.0, 1.5, "hi"),
    }  # fmt: skip
    assert bad == {"s/broken": "bad_textgrid", "s/silent": "missing_transcript"}


def test_words_of_several_speakers_are_turns(read_grids) -> None:
    """Bug report: MFA's output for two speakers became one utterance with the words of the first."""
    anna = [(0.1, 0.5, "how"), (0.5, 0.9, "are"), (0.9, 1.0, "you"), (3.5, 3.9, "good")]
    bob = [(1.2, 1.5, "fine"), (2.6, 2.9, "and"), (3.0, 3.2, "you")]
    good, bad = read_grids(
        both=[("anna - words", anna), ("anna - phones", [(0.1, 0.5, "HH")]), ("bob - words", bob), ("bob - phones", [])],
        one=[("anna - words", anna), ("bob - words", [])],
        mixed=[("words", bob), ("words", anna)],
    )
    assert good.pop("s/one").speaker == "anna"
    assert spoken(good) == {
        ("anna", 0.1, 1.0, "how are you"), ("bob", 1.2, 1.5, "fine"), ("bob", 2.6, 3.2, "and you"), ("anna", 3.5, 3.9, "good"),
    }  # fmt: skip
    assert good["s/both-bob-0002"].meta == {"recording_id": "s/both", "tier": "bob"}
    assert bad == {"s/mixed": "bad_textgrid"}


def test_tiers_of_one_name_are_all_read(read_grids) -> None:
    """Bug report: the utterances of the second tier of a name were gone."""
    first, second = [(0.0, 1.0, "one"), (1.0, 2.0, "two")], [(2.0, 3.0, "three")]
    good, bad = read_grids(named=[("speaker", first), ("speaker", second)], nameless=[("", first), ("", second)])
    assert bad == {}
    assert {key: (u.speaker, u.transcript) for key, u in good.items()} == {
        "s/named-speaker-0001": ("speaker", "one"), "s/named-speaker-0002": ("speaker", "two"),
        "s/named-speaker-0003": ("speaker", "three"), "s/nameless-s-0001": ("s", "one"), "s/nameless-s-0002": ("s", "two"),
        "s/nameless-s-0003": ("s", "three"),
    }  # fmt: skip


# links


def test_linked_speakers_are_read_by_every_reader(tmp_path: Path) -> None:
    """Bug report: of three speaker folders, two links, one was kept and the others not mentioned."""
    away = tmp_path / "away"
    for name in ("a1", "b1"):
        record(away / name / "1.wav")
        write(away / name / "1.txt", "hello")
    mfa = tmp_path / "mfa"
    record(mfa / "carl" / "1.wav")
    write(mfa / "carl" / "1.txt", "hello")
    (mfa / "anna").symlink_to(away / "a1")
    (mfa / "bob").symlink_to("../away/b1")
    (mfa / "bob" / "round").symlink_to(mfa)
    (mfa / "dora").symlink_to(away / "gone")
    good, bad = split(folder.prepare(mfa, CONFIG))
    assert {key: u.speaker for key, u in good.items()} == {"anna/1": "anna", "bob/1": "bob", "carl/1": "carl"}
    assert bad == {"dora": "unreadable_folder"}

    write_librispeech(tmp_path / "store", ("11", "12"), 1)
    (tmp_path / "libri").mkdir()
    (tmp_path / "libri" / "12").symlink_to(tmp_path / "store" / "dev" / "12")
    good, bad = split(librispeech.prepare(tmp_path / "libri", CONFIG))
    assert (list(good), bad) == (["12-7-0000"], {})
    assert librispeech.detect(tmp_path / "libri")

    write(tmp_path / "lj" / "metadata.csv", "1|hello\n")
    (tmp_path / "lj" / "wavs").symlink_to(away / "a1")
    good, bad = split(metadata.prepare(tmp_path / "lj", CONFIG))
    assert (list(good), bad) == (["1"], {})


# metadata.csv


def test_metadata_columns_and_speakers(tmp_path: Path) -> None:
    for name in ("wavs/a.wav", "wavs/p1/b.mp3", "wavs/c.ogg", "wavs/unlisted.wav", "wavs/e.wav"):
        record(tmp_path / name)
    write(
        tmp_path / "metadata.csv",
        "a|I paid £5|I paid five pounds\nwavs/p1/b.mp3|Two\nc.wav|Three|\nd|Four\ne\nf|caf\xe9\n".encode("latin1"),
    )
    good, bad = split(metadata.prepare(tmp_path, CONFIG))
    assert bad == {
        "a": "not_utf8",
        "d": "missing_audio",
        "e": "missing_transcript",
        "f": "not_utf8",
        "unlisted": "missing_transcript",
    }
    assert {key: (u.speaker, u.transcript) for key, u in good.items()} == {
        "p1/b": ("p1", "Two"), "c": (tmp_path.name, "Three"),
    }  # fmt: skip
    write(tmp_path / "metadata.csv", "a|I paid £5|I paid five pounds\n")
    good, _ = split(metadata.prepare(tmp_path, CONFIG))
    assert good["a"].transcript == "I paid five pounds"


# sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/libri", Source("libri", None, Path("/data/libri"))),
        ("kaldi:/data/x", Source("x", "kaldi", Path("/data/x"))),
        ("n=kaldi:/data/x", Source("n", "kaldi", Path("/data/x"))),
        ("n=/data/x", Source("n", None, Path("/data/x"))),
        ("synthetic", Source("synthetic", "synthetic", None)),
        ("toy=synthetic", Source("toy", "synthetic", None)),
        ("my.corpora:yesno:/data/y", Source("y", "my.corpora:yesno", Path("/data/y"))),
        ("folder:/a:b/c=d", Source("c=d", "folder", Path("/a:b/c=d"))),
        ("./a=b:c", Source("a=b:c", None, Path("./a=b:c").absolute())),
    ],
)
def test_sources(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


def test_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'librispeech'"):
        parse_source("librispech:/data")
    with pytest.raises(ConfigError, match="say how many with --synthetic-utterances"):
        parse_source("synthetic:10")
    with pytest.raises(ConfigError, match="no path"):
        parse_source("kaldi:")


@given(st.text(max_size=40))
def test_any_text_is_a_source_or_a_clear_error(text: str) -> None:
    with suppress(WordprintError):
        source = parse_source(text)
        assert source.name
        assert parse_source(str(source)) == source or source.kind is None


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_problems(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes(raw)
    results = list(read_lines(path))
    assert len(results) <= raw.count(b"\n") + 1
    for result in results:
        assert isinstance(result, Problem) or (result == result.strip() and result)


def test_find_kind(tmp_path: Path) -> None:
    record(tmp_path / "f" / "s" / "a.wav")
    write(tmp_path / "f" / "s" / "a.TextGrid", "")
    assert find_kind(tmp_path / "f") == "folder"
    write(tmp_path / "k" / "wav.scp", "")
    assert find_kind(tmp_path / "k") == "kaldi"
    write(tmp_path / "l" / "recordings.jsonl.gz", "")
    write(tmp_path / "l" / "supervisions.jsonl.gz", "")
    assert find_kind(tmp_path / "l") == "lhotse"
    for name in ("testing_list.txt", "validation_list.txt"):
        write(tmp_path / "s" / name, "")
    record(tmp_path / "s" / "yes" / "1.wav")
    assert find_kind(tmp_path / "s") == "speech_commands"
    (tmp_path / "c" / "cv-corpus-1" / "de" / "clips").mkdir(parents=True)
    write(tmp_path / "c" / "cv-corpus-1" / "de" / "validated.tsv", "")
    for below in ("c", "c/cv-corpus-1", "c/cv-corpus-1/de"):
        assert find_kind(tmp_path / below) == "common_voice"


def test_table_keeps_the_first_value() -> None:
    with Table() as table:
        assert table.add("b", "1")
        assert not table.add("b", "2")
        assert table.add("a")
        assert (table.get("b"), table.get("z")) == ("1", None)
        assert table.use("b") == "1"
        assert table.add("caf\udce9")  # a file name that is not UTF-8
        assert list(table.unused()) == ["a", "caf\udce9"]
        for value in ("one", "caf\udce9"):
            table.append("several", value)
        assert table.get("several") == "one//caf\udce9"
