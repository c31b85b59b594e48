"""Which TextGrid of a folder is an utterance's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wordprint.align.lookup import NO_TEXTGRID, TextGrids, textgrid_folder, textgrid_paths
from wordprint.errors import AlignmentError, InputError
from wordprint.records import Utterance


def folder_of(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def said(name: str, source: str = "", speaker: str = "corpus-anna") -> Utterance:
    return Utterance(name, speaker, "a.wav", 0.0, 1.0, "one", meta={"source_id": source} if source else {})


def test_an_id_is_looked_up_before_the_one_in_its_corpus_and_a_path_before_a_name(tmp_path: Path) -> None:
    found = TextGrids(
        folder_of(tmp_path, "anna/take.TextGrid", "bert/take.TextGrid", "deep/er/own.textgrid", ".x.TextGrid", "x.txt")
    )
    assert found.find(said("own", source="bert/take")) == "deep/er/own.textgrid"
    assert found.find(said("c-1", source="bert/take")) == "bert/take.TextGrid"
    assert found.find(said("c-1", source="take")) == "anna/take.TextGrid"  # by the folder of the speaker
    assert found.find(said("c-1", source="elsewhere/own")) == "deep/er/own.textgrid"
    for utterance, reason in ((said("c-1", source="take", speaker="carl"), "ambiguous_textgrid"), (said("x"), NO_TEXTGRID)):
        with pytest.raises(AlignmentError) as caught:
            found.find(utterance)
        assert caught.value.reason == reason


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    found = TextGrids(folder_of(tmp_path, f"{name}/one.TextGrid", f"{name}.TextGrid"))
    assert found.find(said("one")) == f"{name}/one.TextGrid"
    assert sorted(textgrid_paths(tmp_path)) == sorted([f"{name}.TextGrid", f"{name}/one.TextGrid"])


def test_folders_that_hold_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no TextGrids"):
        TextGrids(tmp_path)
    with pytest.raises(InputError, match="holds no TextGrids"):
        textgrid_folder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        textgrid_folder(tmp_path / "none")
