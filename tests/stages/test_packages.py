"""Extras are read from the installed metadata, and what they lack is told with the command that brings it."""

from __future__ import annotations

import pytest

from wordprint.errors import MissingExtraError
from wordprint.stages import packages


@pytest.fixture
def cake(tmp_path, monkeypatch):
    """An installed distribution with requirements of every kind."""
    folder = tmp_path / "cake-1.0.dist-info"
    folder.mkdir()
    needs = [
        "numpy>=1",
        "no-such-flour>=2",
        "no-such-wand; sys_platform == 'nowhere'",
        'numpy<0.1; extra == "old"',
        'packaging; extra == "icing" and python_version >= "3"',
        'no-such-cherry<3,>=1; extra == "icing"',
        'cake[icing,old]; extra == "all"',
    ]
    head = "Metadata-Version: 2.1\nName: cake\nVersion: 1.0\nProvides-Extra: icing\nProvides-Extra: old\nProvides-Extra: all\n"
    (folder / "METADATA").write_text(head + "".join(f"Requires-Dist: {need}\n" for need in needs), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "cake"


def test_extras_are_read_from_the_installed_metadata(cake):
    assert packages.extras(cake) == ["", "icing", "old", "all"]
    fits = {extra: [(package.name, package.fits) for package in packages.packages(extra, cake)] for extra in packages.extras(cake)}
    assert fits[""] == [("numpy", True), ("no-such-flour", False)]
    assert fits["icing"] == [("packaging", True), ("no-such-cherry", False)]
    assert fits["all"] == [*fits["icing"], *fits["old"]]
    (old,) = packages.packages("old", cake)
    assert (old.wanted, old.installed is not None, old.fits) == ("<0.1", True, False)


def test_a_missing_extra_is_named_with_its_command(cake, monkeypatch):
    of_cake = packages.packages
    monkeypatch.setattr(packages, "packages", lambda extra: of_cake(extra, cake) if extra != "fine" else iter(()))
    packages.require(["fine"], "baking")
    with pytest.raises(MissingExtraError, match=r"needs no-such-cherry<3,>=1, numpy<0.1; .*pip install 'wordprint\[icing,old\]'"):
        packages.require(["icing", "fine", "old"], "baking")


def test_the_runtime_is_mended_by_an_upgrade():
    assert packages.install_command([""]) == "pip install --upgrade wordprint"
