"""TextGrids of ours and of others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wordprint.errors import InputError
from wordprint.records import Alignment, Interval
from wordprint.speech.textgrid import SILENCES, read_textgrid, write_textgrid

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2
<exists>
1
"IntervalTier"
"words"
0
2
3
0
0.5
""
0.5
1.25
"hello"
1.25
2
"sil"
"""

SYMBOLS = st.text("abcdefghijklmnopqrstuvwxyz'éßñ\"<>[]", min_size=1, max_size=8).filter(lambda s: s not in SILENCES)


@st.composite
def alignments(draw: st.DrawFn) -> Alignment:
    def tier() -> tuple[Interval, ...]:
        edges = sorted(draw(st.lists(st.integers(0, 200_000), min_size=2, max_size=20, unique=True)))
        spans = zip(edges[::2], edges[1::2], strict=False)
        return tuple(Interval(draw(SYMBOLS), start / 1e4, end / 1e4) for start, end in spans)

    return Alignment("u", tier(), tier() if draw(st.booleans()) else ())


@given(alignments())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, alignment: Alignment) -> None:
    path = tmp_path / "u.TextGrid"
    write_textgrid(path, alignment, 20.0)
    assert read_textgrid(path, "u") == alignment


def test_layout_is_that_of_mfa(tmp_path: Path) -> None:
    path = tmp_path / "u.TextGrid"
    write_textgrid(path, Alignment("u", (Interval("hi", 0.5, 1.0),), (Interval("HH", 0.5, 0.7), Interval("AY", 0.7, 1.0))), 2.0)
    text = path.read_text()
    assert text.startswith('File type = "ooTextFile"')
    assert [line.split('"')[1] for line in text.splitlines() if "name =" in line] == ["words", "phones"]
    assert text.count('text = ""') == 4  # silence before and after, in both tiers


def save(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "u.TextGrid"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = save(tmp_path, SHORT.replace("hello", "señor").encode(encoding))
    assert read_textgrid(path, "u").words == (Interval("señor", 0.5, 1.25),)


def test_utf16_is_told_from_its_mark_alone(tmp_path: Path) -> None:
    even, odd = (save(tmp_path, SHORT.replace("hello", word)) for word in ("hello", "hellos"))
    assert read_textgrid(even, "u").words
    assert read_textgrid(odd, "u").words


def test_short_format_and_missing_phones(tmp_path: Path) -> None:
    found = read_textgrid(save(tmp_path, SHORT), "u")
    assert found.words == (Interval("hello", 0.5, 1.25),)
    assert found.phones == ()


@pytest.mark.parametrize("name", ["words", "Words", "word", "26 - words", "ORT-MAU", "anything"])
def test_names_of_the_words_tier(tmp_path: Path, name: str) -> None:
    assert read_textgrid(save(tmp_path, SHORT.replace('"words"', f'"{name}"')), "u").words


def test_a_file_without_words_is_told(tmp_path: Path) -> None:
    tier = SHORT[SHORT.index('"IntervalTier"') :].replace('"words"', '"phones"')
    other = tier.replace('"phones"', '"notes"')
    text = SHORT[: SHORT.index("1\n")] + "2\n" + tier + other
    with pytest.raises(InputError, match=r"no tier 'words' \(it has: ") as caught:
        read_textgrid(save(tmp_path, text), "u")
    assert caught.value.reason == "no_words_tier"


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\x01", b"hello world", SHORT[:110].encode(), SHORT[:-40].encode(), b"{}", b"[1, 2]"]
)
def test_files_that_are_no_textgrids(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_textgrid(save(tmp_path, content), "u")
    assert caught.value.reason in ("unreadable_textgrid", "no_words_tier")


def test_overlapping_intervals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="overlapping or reversed"):
        read_textgrid(save(tmp_path, SHORT.replace('"sil"', '"there"').replace("1.25\n2\n", "1.0\n2\n")), "u")


Tiers = list[tuple[str, list[tuple[float, float, str]]]]
HELLO = [(0.2, 0.5, "hello"), (0.6, 1.0, "there")]
BYE = [(1.2, 1.5, "bye")]


def tiers(path: Path, tiers: Tiers, *, blanks: bool = False, form: str = "long_textgrid", end_s: float = 3.0) -> Path:
    """A TextGrid with any tiers, also such as praatio refuses to make."""
    from praatio.utilities.textgrid_io import getTextgridAsStr

    made = [{"class": "IntervalTier", "name": name, "xmin": 0, "xmax": end_s, "entries": entries} for name, entries in tiers]
    text = getTextgridAsStr({"xmin": 0, "xmax": end_s, "tiers": made}, form, blanks, minimumIntervalLength=None)
    path.write_text(text, encoding="utf-8")
    return path


FORMS = pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid", "json", "textgrid_json"])


@FORMS
def test_silence_may_be_left_out_and_other_tiers_be_empty(tmp_path: Path, form: str) -> None:
    """Bug report: alignments that praatio saved without blanks, and good ones with an empty tier, were "cut off"."""
    path = tmp_path / "u.TextGrid"
    for extra in ([], [("notes", [])]):
        found = read_textgrid(tiers(path, [("words", HELLO), ("phones", [(0.2, 0.3, "HH")]), *extra], form=form), "u")
        assert [word.symbol for word in found.words] == ["hello", "there"]
        assert len(found.phones) == 1
    assert read_textgrid(tiers(path, [("notes", []), ("anything", HELLO)], form=form), "u").words
    assert read_textgrid(tiers(path, [("words", [])], form=form), "u").words == ()


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("blanks", [False, True])
def test_a_file_cut_anywhere_is_told(tmp_path: Path, form: str, blanks: bool) -> None:
    path = tiers(tmp_path / "u.TextGrid", [("words", HELLO), ("phones", BYE)], form=form, blanks=blanks)
    text = path.read_text().rstrip()
    whole = read_textgrid(path, "u")
    for end in range(len(text)):
        path.write_text(text[:end])
        with suppress(InputError):
            assert read_textgrid(path, "u") == whole, text[:end]  # only an empty interval is gone


def test_a_wrong_count_is_no_cut(tmp_path: Path) -> None:
    for text in (SHORT.replace("\n3\n", "\n7\n"), SHORT.replace("\n3\n", "\n1\n")):
        assert read_textgrid(save(tmp_path, text), "u").words == (Interval("hello", 0.5, 1.25),)


def test_of_two_tiers_of_one_name_the_one_with_words_counts(tmp_path: Path) -> None:
    path = tmp_path / "u.TextGrid"
    for made in (
        [("words", []), ("words", HELLO)],
        [("words", HELLO), ("words", [(0, 3, "")])],
        [("words", HELLO), ("words", HELLO)],
    ):
        assert [word.symbol for word in read_textgrid(tiers(path, made), "u").words] == ["hello", "there"]
    with pytest.raises(InputError, match="two tiers 'words' with different words") as caught:
        read_textgrid(tiers(path, [("words", HELLO), ("words", BYE)]), "u")
    assert caught.value.reason == "ambiguous_textgrid"


@pytest.mark.parametrize("pattern", ["{} - {}", "{}/{}", "{}@{}"])
def test_tiers_of_several_speakers(tmp_path: Path, pattern: str) -> None:
    """Bug report: of MFA's output for two speakers the first one's words were taken for the whole recording's."""
    made = [
        ("anna", "words", HELLO),
        ("anna", "phones", [(0.2, 0.3, "A")]),
        ("bob", "words", BYE),
        ("bob", "phones", [(1.2, 1.5, "B")]),
    ]
    path = tiers(tmp_path / "u.TextGrid", [(pattern.format(who, role), entries) for who, role, entries in made])
    for speaker, words, phone in (("anna", ["hello", "there"], "A"), ("corpus-bob", ["bye"], "B")):
        found = read_textgrid(path, "u", speaker)
        assert ([word.symbol for word in found.words], [phone.symbol for phone in found.phones]) == (words, [phone])
    for speaker in (None, "carl", "joanna"):
        with pytest.raises(InputError, match="the words of several speakers; expected one of 'anna', 'bob', not") as caught:
            read_textgrid(path, "u", speaker)
        assert caught.value.reason == "ambiguous_textgrid"
    silent = tiers(path, [("anna - words", [(0, 3, "sil")]), ("bob - words", BYE)])
    assert [word.symbol for word in read_textgrid(silent, "u").words] == ["bye"]


def test_phones_alone_are_no_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tier 'words' \(it has: anna - phones\)"):
        read_textgrid(tiers(tmp_path / "u.TextGrid", [("anna - phones", HELLO)]), "u")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_textgrid(tmp_path / "none.TextGrid", "u")


def test_reads_what_mfa_wrote(shared_data: Path) -> None:
    files = sorted((shared_data / "mfa_textgrids").rglob("*.TextGrid"))
    assert len(files) == 366
    for path in files[::10]:
        found = read_textgrid(path, path.stem)
        assert found.words
        assert len(found.phones) > len(found.words)
