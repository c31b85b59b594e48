"""JSONL and atomic writing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.stages.manifest import (
    atomic_write,
    digest_tree,
    read_jsonl,
    read_utterances,
    remove_partials,
    resolve,
    to_line,
    write_jsonl,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5))
def test_any_json_objects_come_back(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("jsonl") / "records.jsonl"
    write_jsonl(path, records)
    assert list(read_jsonl(path)) == records


def test_utterances_come_back_and_later_fields_are_ignored(tmp_path):
    utterance = Utterance("a-1", "a", "/audio/a.flac", 0.5, 2.0, "Grüße", "de", {"sex": "F"})
    (tmp_path / "utterances.jsonl").write_text(to_line({**utterance.to_json(), "goodness": -1.0}), encoding="utf-8")
    assert list(read_utterances(tmp_path)) == [utterance]
    assert utterance.duration_s == 1.5


@pytest.mark.parametrize("line", [b"{", b"[1]", b"\xff\xfe{}", b'{"a": }', b'{"a":NaN}'])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"a":1}\n' + line + b"\n")
    with pytest.raises(InputError, match=r"records\.jsonl:2 is not a JSON object"):
        list(read_jsonl(path))


@pytest.mark.parametrize("line", ["speaker 5", "audio 5", "language null", "start_s null", 'end_s "1"', "meta []", "textgrid 5"])
def test_a_field_of_the_wrong_type_is_named_with_its_line(tmp_path, line):
    good = Utterance("a-1", "a", "/audio/a.flac", 0, 2.0, "hello").to_json()
    name, value = line.split(" ")
    (tmp_path / "utterances.jsonl").write_text(to_line(good) + to_line(good | {name: json.loads(value)}))
    with pytest.raises(InputError, match=rf"utterances\.jsonl:2 has {name} .*; expected a"):
        list(read_utterances(tmp_path))
    write_jsonl(tmp_path / "problems.jsonl", [{"utterance_id": None, "audio": None}])
    assert len(list(read_jsonl(tmp_path / "problems.jsonl"))) == 1


def test_half_a_character_is_named_and_not_written(tmp_path):
    with pytest.raises(InputError, match=r"'h\\ud800' is not UTF-8"):
        write_jsonl(tmp_path / "a.jsonl", [{"text": "h\ud800", "n": 1}])
    assert list(tmp_path.iterdir()) == []


def test_nothing_appears_when_writing_fails(tmp_path):
    def stop_halfway():
        with atomic_write(tmp_path / "file.txt") as file:
            file.write("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_stage_is_not_an_input(tmp_path):
    (tmp_path / "utterances.jsonl").write_text("")
    (tmp_path / "stage.partial.json").write_text("{}")
    with pytest.raises(InputError, match="unfinished"):
        resolve(tmp_path, "utterances.jsonl", "prepare")
    with pytest.raises(InputError, match="run 'wordprint align' first"):
        resolve(tmp_path, "alignments.jsonl", "align")


def test_tree_digest_sees_names_sizes_and_transcripts(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    first = digest_tree(tmp_path)
    (tmp_path / "a.txt").write_text("two")
    second = digest_tree(tmp_path)
    (tmp_path / "b.flac").write_bytes(b"12")
    third = digest_tree(tmp_path)
    (tmp_path / "b.flac").rename(tmp_path / "c.flac")
    assert len({first, second, third, digest_tree(tmp_path)}) == 4


def test_tree_digest_passes_over_what_cannot_be_read(tmp_path):
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    assert digest_tree(tmp_path) == digest_tree(tmp_path)


def test_two_writers_of_one_file_never_mix(tmp_path):
    path = tmp_path / "part.jsonl"
    with atomic_write(path) as slow:
        slow.write("first half, ")
        slow.flush()
        with atomic_write(path) as fast:
            fast.write("all of it")
        assert path.read_text(encoding="utf-8") == "all of it"
        slow.write("second half")
    assert path.read_text(encoding="utf-8") == "first half, second half"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in (".mine.partial.json", "a.0123abcd.partial.json", "in/b.TextGrid", ".c.0123abcd.json")]
    left = [tmp_path / "in" / name for name in (".b.0123abcd.partial.TextGrid", ".no ending.89abcdef.partial")]
    (tmp_path / "in").mkdir()
    for path in (*kept, *left):
        path.touch()
    remove_partials(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
