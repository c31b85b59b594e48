"""Manifests that the real lhotse wrote are read, and those written here satisfy it."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_files import dropped, lines, record, write
from wordprint.align.base import load_aligner
from wordprint.align.options import AlignConfig
from wordprint.align.stage import align
from wordprint.corpora import lhotse as reader
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import Problem
from wordprint.corpora.stage import prepare
from wordprint.errors import ConfigError, DatasetError, InputError, MissingExtraError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.textgrid import read_textgrid, write_textgrid
from wordprint.stages.manifest import to_line
from wordprint.words.convert import convert

lhotse = pytest.importorskip("lhotse", reason="lhotse is not installed: pip install 'wordprint[lhotse]'")
from lhotse.supervision import AlignmentItem  # noqa: E402

CONFIG = PrepareConfig()
WORDS = {
    "u1": [Interval("good", 0.1234, 0.35), Interval("day", 0.35, 0.6)],
    "u2": [Interval("good", 0.0, 0.3), Interval("evening", 0.4001, 1.3)],
    "u3": [Interval("day", 0.2, 0.4)],
}
SPANS = {"u1": ("long", 0.5, 1.25), "u2": ("long", 1.5, 2.9), "u3": ("short", 0.0, 0.5)}


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `align` wrote for two utterances of a stereo recording and one that is a recording, from planted TextGrids."""
    root = tmp_path_factory.mktemp("aligned")
    record(root / "data" / "long.wav", 3.0, 22_050, channels=2)
    record(root / "data" / "short.flac", 0.5)
    write(root / "data" / "wav.scp", "long long.wav\nshort short.flac\n")
    write(root / "data" / "segments", "".join(f"{name} {rec} {start} {end}\n" for name, (rec, start, end) in SPANS.items()))
    write(root / "data" / "text", "".join(f"{name} {' '.join(w.symbol for w in words)}\n" for name, words in WORDS.items()))
    write(root / "data" / "utt2spk", "u1 ann\nu2 bob\nu3 ann\n")
    for name, words in WORDS.items():
        phones = tuple(Interval("AH", word.start_s, word.end_s) for word in words)
        _, start_s, end_s = SPANS[name]
        write_textgrid(root / "grids" / f"{name}.TextGrid", Alignment(name, tuple(words), phones), end_s - start_s)
    prepare([f"k=kaldi:{root / 'data'}"], root / "prepare")
    align(root / "prepare", root / "align", AlignConfig(aligner="textgrid", textgrids=root / "grids"))
    return root / "align"


@pytest.fixture(scope="module")
def manifests(aligned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("lhotse") / "manifests"
    assert convert(aligned, output, "lhotse").counts == {"in": 3, "kept": 3, "dropped": {}}
    return output


def load(folder: Path) -> tuple:
    return tuple(lhotse.load_manifest(folder / f"{name}.jsonl.gz") for name in ("recordings", "supervisions", "cuts"))


def read(folder: Path, corpus: str, output: Path) -> dict[str, dict]:
    """Utterances and their words after `prepare` and `align`, by id without the corpus."""
    prepare([f"{corpus}=lhotse:{folder}"], output / "prepare")
    align(output / "prepare", output / "align", AlignConfig(aligner="lhotse"))
    found = lines(output / "align" / "alignments.jsonl")
    return {line["utterance_id"].removeprefix(f"{corpus}-"): line for line in found}


def assert_same(again: dict[str, dict], folder: Path, aligned: Path) -> None:
    before = {line["utterance_id"]: line for line in lines(aligned / "alignments.jsonl")}
    assert again.keys() == before.keys()
    for name, line in again.items():
        for field in ("audio", "start_s", "end_s", "transcript", "language"):
            assert line[field] == before[name][field]
        assert line["speaker"].endswith(before[name]["speaker"])
        grid, planted = read_textgrid(folder / line["textgrid"], name), WORDS[name.removeprefix("k-")]
        assert [word.symbol for word in grid.words] == [word.symbol for word in planted]
        assert [phone.symbol for phone in grid.phones] == ["AH"] * len(planted)
        for intervals in (grid.words, grid.phones):
            for interval, expected in zip(intervals, planted, strict=True):
                assert (interval.start_s, interval.end_s) == pytest.approx((expected.start_s, expected.end_s), abs=1e-4)


def test_lhotse_accepts_what_is_written(manifests: Path) -> None:
    recordings, supervisions, cuts = load(manifests)
    for manifest in (recordings, supervisions, cuts):
        lhotse.validate(manifest, read_data=True)
    lhotse.qa.validate_recordings_and_supervisions(recordings, supervisions)
    assert [recording.id for recording in recordings] == ["k-u1", "k-u3"]
    cut = cuts["k-u2"]
    assert (cut.start, cut.duration, cut.channel, cut.supervisions[0].speaker) == (1.5, 1.4, [0, 1], "k-bob")
    assert cut.load_audio().shape == (2, round(1.4 * 22_050))
    words = cuts["k-u3"].trim_to_alignments("word")  # lhotse's own view of where a word lies
    assert [(word.start, word.duration, word.supervisions[0].text) for word in words] == [(0.2, 0.2, "day")]


def test_there_and_back_gives_the_same_words(aligned: Path, manifests: Path, tmp_path: Path) -> None:
    assert_same(read(manifests, "lh", tmp_path), tmp_path / "align", aligned)


def test_cuts_that_lhotse_makes_give_the_same_words(aligned: Path, manifests: Path, tmp_path: Path) -> None:
    recordings, supervisions, cuts = load(manifests)
    trimmed = lhotse.CutSet.from_manifests(recordings, supervisions).trim_to_supervisions(keep_overlapping=False)
    for name, chosen in (("written", cuts), ("made", trimmed)):
        (tmp_path / name).mkdir()
        chosen.to_file(tmp_path / name / "cuts_all.jsonl")
        assert_same(read(tmp_path / name, "c", tmp_path / f"{name}-out"), tmp_path / f"{name}-out" / "align", aligned)


def test_equal_alignments_make_equal_bytes(aligned: Path, manifests: Path, tmp_path: Path) -> None:
    convert(aligned, tmp_path / "again", "lhotse", workers=2)
    for name in ("recordings", "supervisions", "cuts"):
        assert (tmp_path / "again" / f"{name}.jsonl.gz").read_bytes() == (manifests / f"{name}.jsonl.gz").read_bytes()
    assert not convert(aligned, tmp_path / "again", "lhotse").fresh


def test_what_cannot_be_converted_is_dropped_or_said(aligned: Path, tmp_path: Path) -> None:
    good, *others = (json.loads(line) for line in (aligned / "alignments.jsonl").read_text().splitlines())
    lost = [{**other, "audio": str(tmp_path / "gone.wav")} for other in others]
    for each in (good, *lost):
        each["textgrid"] = str(aligned / each["textgrid"])
    write(tmp_path / "some.jsonl", "".join(json.dumps(each) + "\n" for each in (good, *lost)))
    convert(tmp_path / "some.jsonl", tmp_path / "out", "lhotse")
    assert dropped(tmp_path / "out") == {"k-u2": "missing_audio", "k-u3": "missing_audio"}
    write(tmp_path / "none.jsonl", "".join(json.dumps(each) + "\n" for each in lost))
    with pytest.raises(DatasetError, match=r"nothing in .*none.jsonl can be converted; the first, k-u2: "):
        convert(tmp_path / "none.jsonl", tmp_path / "nothing", "lhotse")


# manifests of others


def recording(name: str, audio: Path, **fields) -> lhotse.Recording:
    source = lhotse.AudioSource(type=fields.pop("type", "file"), channels=fields.pop("channels", [0]), source=str(audio))
    return lhotse.Recording(id=name, sources=[source], sampling_rate=16_000, num_samples=8000, duration=0.5, **fields)


def supervision(name: str, recording_id: str, **fields) -> lhotse.SupervisionSegment:
    defaults = {"start": 0.0, "duration": 0.5, "text": "hello", "speaker": "ann"}
    return lhotse.SupervisionSegment(id=name, recording_id=recording_id, **{**defaults, **fields})


def manifest_folder(root: Path, recordings: list, supervisions: list, part: str = "") -> Path:
    """The two manifests, named as recipes name them."""
    root.mkdir(exist_ok=True)
    lhotse.RecordingSet.from_recordings(recordings).to_file(root / f"x_recordings{part}.jsonl.gz")
    lhotse.SupervisionSet.from_segments(supervisions).to_file(root / f"x_supervisions{part}.jsonl.gz")
    return root


def split(items) -> tuple[dict[str, Utterance], dict[str, str]]:
    """Utterances by id, and reasons by item."""
    items = list(items)
    good = {item.utterance_id: item for item in items if isinstance(item, Utterance)}
    return good, {item.item: item.reason for item in items if isinstance(item, Problem)}


def test_every_part_is_read_and_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    audio = record(tmp_path / "audio" / "a.wav")
    known = [
        recording("r", audio),
        recording("stereo", audio, channels=[0, 1]),
        recording("web", audio, type="url"),
        recording("fast", audio).perturb_speed(1.1),
        recording("silent", audio),
    ]
    nan = {"word": [AlignmentItem("hello", 0.1, float("nan"))]}
    said = [
        supervision("good", "r", language="Singaporean English", gender="F", custom={"age": 7, "bad": float("nan")}),
        supervision("both", "stereo", channel=[0, 1], speaker=None, start=0.1, duration=0.3),
        supervision("one", "stereo", channel=1),
        supervision("far", "web"),
        supervision("changed", "fast_sp1.1"),
        supervision("lost", "nowhere"),
        supervision("mute", "r", text=None),
        supervision("bad", "r", alignment=nan),
    ]
    folder = manifest_folder(tmp_path / "m", known, said, "_train")
    manifest_folder(folder, [recording("r2", audio)], [supervision("second", "r2")], "_dev")
    good, bad = split(reader.prepare(folder, CONFIG))
    assert good.keys() == {"good", "both", "second"}
    assert bad == {
        "one": "part_of_channels", "far": "not_a_file", "changed": "transformed_recording", "lost": "missing_audio",
        "mute": "missing_transcript", "bad": "bad_item", "silent": "missing_transcript",
    }  # fmt: skip
    assert good["good"].meta == {"age": 7, "recording_id": "r", "gender": "F"}
    assert (good["good"].speaker, good["good"].language) == ("ann", "en")
    assert (good["both"].speaker, good["both"].start_s, good["both"].end_s) == ("unknown", 0.1, 0.4)


def test_cuts_of_other_kinds_are_named(tmp_path: Path) -> None:
    audio = record(tmp_path / "audio" / "a.wav")
    cut = recording("r", audio).to_cut()
    cut.supervisions.append(supervision("good", "r"))
    silent = recording("silent", audio).to_cut()
    padded = cut.pad(1.0).with_id("padded")
    lhotse.CutSet.from_cuts([cut, silent, padded]).to_file(tmp_path / "cuts.jsonl.gz")
    good, bad = split(reader.prepare(tmp_path, CONFIG))
    assert good.keys() == {"good"}
    assert bad == {"silent": "missing_transcript", "padded": "bad_item"}


def test_a_relative_path_is_from_the_manifests_where_the_file_is_there(tmp_path: Path) -> None:
    record(tmp_path / "wavs" / "a.wav")
    folder = manifest_folder(tmp_path, [recording("r", Path("wavs/a.wav"))], [supervision("u", "r")])
    good, _ = split(reader.prepare(folder, CONFIG))
    assert good["u"].audio == str(tmp_path / "wavs" / "a.wav")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("English", "en"),
        ("en-GB", "en-GB"),
        ("yue", "yue"),
        ("Mandarin", "zh"),
        ("English-US", "en"),
        ("Elvish", "elvish"),
        (None, "de"),
    ],
)
def test_languages_by_name(name: str | None, code: str) -> None:
    assert reader._language(name, "de") == code


def test_damaged_manifests(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path, [recording("r", tmp_path)], [supervision("u", "r"), supervision("v", "r")])
    path = folder / "x_supervisions.jsonl.gz"
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(b'{"id": "odd"}\n[1]\n' + text))
    good, bad = split(reader.prepare(folder, CONFIG))
    assert good.keys() == {"u", "v"}
    assert bad == {"odd": "bad_item", "x_supervisions.jsonl.gz:2": "bad_item"}
    for damage in (gzip.compress(text)[:-12], b"no gzip", gzip.compress(text + b"{")):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=r"x_supervisions.jsonl.gz:\d can't be read .*write it again"):
            list(reader.prepare(folder, CONFIG))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters() | st.just("\ud800"), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["word", "id", "type", "x"]), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "id", "recording_id", "start", "duration", "channel", "text", "language", "speaker", "gender", "custom", "alignment", "shape",
    "type",
]  # fmt: skip


@settings(max_examples=150)
@given(spoilt=st.lists(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3), max_size=5))
def test_supervisions_of_any_content_are_utterances_or_problems(
    tmp_path_factory: pytest.TempPathFactory, spoilt: list[dict]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    sources = [{"type": "file", "channels": [0], "source": "a.wav"}]
    known = {"id": "r", "sources": sources, "sampling_rate": 16_000, "num_samples": 8000, "duration": 0.5}
    valid = {"id": "u", "recording_id": "r", "start": 0.0, "duration": 0.5, "channel": 0, "text": "hello", "speaker": "ann"}
    write(folder / "recordings.jsonl", json.dumps(known))
    write(folder / "supervisions.jsonl", "\n".join(json.dumps({**valid, **fields}) for fields in spoilt))
    found = list(reader.prepare(folder, CONFIG))
    unused = [item for item in found if isinstance(item, Problem) and item.item == "r"]
    assert len(found) - len(unused) == len(spoilt)
    for item in found:
        assert isinstance(item, Problem) or to_line(item.to_json()).encode()


def test_without_manifests_or_without_lhotse(aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "recordings.jsonl.gz", "")
    with pytest.raises(InputError, match="holds no manifests of Lhotse"):
        list(reader.prepare(tmp_path, CONFIG))
    write(tmp_path / "supervisions.jsonl.gz", "")
    for module in ("lhotse", "lhotse.lazy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wordprint\[lhotse\]'"):
        list(reader.prepare(tmp_path, CONFIG))
    with pytest.raises(MissingExtraError, match=r"pip install 'wordprint\[lhotse\]'"):
        convert(aligned, tmp_path / "out", "lhotse")
    assert not (tmp_path / "out").exists()


# the aligner


@pytest.mark.parametrize(
    ("intervals", "reason"),
    [
        ([], "no_alignment"),
        ([["<eps>", 0.0, 0.5]], "no_alignment"),
        ([["a", 0.0, 0.3], ["b", 0.2, 0.5]], "bad_alignment"),
        ([["a", 0.3, 0.3]], "bad_alignment"),
        ([["a", -0.2, 0.3]], "bad_alignment"),
        ([["a", 0.1, 2.0]], "textgrid_mismatch"),
    ],
)
def test_alignments_that_cannot_be_right_are_dropped(intervals: list, reason: str, tmp_path: Path) -> None:
    audio, meta = str(record(tmp_path / "a.wav", 1.0)), {"word_alignment": intervals}
    good = Utterance("good", "s", audio, 0.0, 1.0, "a b", meta={"word_alignment": [["B", 0.5, 1.02, -3.0], ["<unk>", 0.1, 0.5]]})
    bad = Utterance("bad", "s", audio, 0.0, 1.0, "a b", meta=meta)
    write(tmp_path / "utterances.jsonl", "".join(json.dumps(u.to_json()) + "\n" for u in (good, bad)))
    align(tmp_path / "utterances.jsonl", tmp_path / "align", AlignConfig(aligner="lhotse"))
    assert dropped(tmp_path / "align") == {"bad": reason}
    (line,) = lines(tmp_path / "align" / "alignments.jsonl")
    assert (line["word_goodness"], line["goodness"]) == ([None, -3.0], -3.0)
    grid = read_textgrid(tmp_path / "align" / line["textgrid"], "good")
    assert [(word.symbol, word.start_s, word.end_s) for word in grid.words] == [("a", 0.1, 0.5), ("b", 0.5, 1.0)]


def test_the_aligner_needs_no_lexicon() -> None:
    with pytest.raises(ConfigError, match="aligner is 'lhotse', which makes no use of it"):
        load_aligner(AlignConfig(aligner="lhotse", lexicon=Path("lexicon")))
