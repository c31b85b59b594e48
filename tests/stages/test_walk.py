"""Folders behind links: each real folder once, circles caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from wordprint.stages.manifest import digest_tree
from wordprint.stages.walk import subfolders, walk


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(root: Path, **options) -> list[str]:
    return [str(Path(path, name).relative_to(root)) for path, names in walk(root, **options) for name in names]


def test_linked_folders_come_last_and_under_their_own_names(tmp_path):
    root, away = tmp_path / "corpus", tmp_path / "away"
    touch(root / "zoe" / "1.wav", away / "spk7" / "2.wav", away / "spk7" / "deep" / "3.wav", root / "0.wav", root / ".h" / "4.wav")
    (root / "anna").symlink_to(away / "spk7")
    assert found(root) == ["0.wav", "zoe/1.wav", "anna/2.wav", "anna/deep/3.wav"]
    assert found(root, hidden=True) == ["0.wav", ".h/4.wav", "zoe/1.wav", "anna/2.wav", "anna/deep/3.wav"]


def test_a_linked_corpus_is_walked(tmp_path):
    touch(tmp_path / "real" / "a" / "1.wav")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert found(tmp_path / "link") == ["a/1.wav"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../b", "../a", "../../corpus/b"])
def test_circles_and_second_names_add_nothing(tmp_path, target):
    root = tmp_path / "corpus"
    touch(root / "a" / "1.wav", root / "b" / "2.wav", tmp_path / "outside.wav")
    (root / "a" / "again").symlink_to(target)
    assert found(root) == ["a/1.wav", "b/2.wav"]


def test_each_real_folder_once_whatever_links_lead_to_it(tmp_path):
    root, away = tmp_path / "corpus", tmp_path / "away"
    touch(away / "all" / "anna" / "1.wav", away / "all" / "bob" / "2.wav", root / "3.wav")
    for name, target in {"a": "all/anna", "b": "all", "c": "all/bob", "d": "all"}.items():
        (root / name).symlink_to(away / target)
    (away / "all" / "bob" / "up").symlink_to(away)  # out of what was linked, and round again
    (away / "all" / "anna" / "bob").symlink_to(away / "all" / "bob")
    assert found(root) == ["3.wav", "a/1.wav", "b/bob/2.wav"]


def test_a_link_into_a_hidden_folder_is_followed(tmp_path):
    touch(tmp_path / ".store" / "blob" / "1.wav")
    (tmp_path / "anna").symlink_to(".store/blob")
    assert found(tmp_path) == ["anna/1.wav"]
    assert found(tmp_path, hidden=True) == [".store/blob/1.wav"]


def test_subfolders_prefers_folders_to_links_to_them(tmp_path):
    touch(tmp_path / "yes" / "1.wav", tmp_path / ".h" / "1.wav", tmp_path / "file")
    (tmp_path / "aye").symlink_to("yes")
    (tmp_path / "self").symlink_to("self")
    assert subfolders(tmp_path) == ["yes"]


def test_what_changes_behind_a_link_changes_the_fingerprint(tmp_path):
    touch(tmp_path / "away" / "1.txt", tmp_path / "corpus" / "2.txt")
    (tmp_path / "corpus" / "anna").symlink_to(tmp_path / "away")
    before = digest_tree(tmp_path / "corpus")
    (tmp_path / "away" / "1.txt").write_text("hello")
    assert digest_tree(tmp_path / "corpus") != before
