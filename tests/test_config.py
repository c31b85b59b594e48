"""Options: one declaration, strict reading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from wordprint import config
from wordprint.align.options import AlignConfig
from wordprint.config import RunConfig
from wordprint.errors import ConfigError, InputError
from wordprint.stages.options import help_texts
from wordprint.stages.recipe import from_dict, read_toml
from wordprint.words.options import WordsConfig

CONFIGS = [getattr(config, name) for name in dir(config)]


def test_toml_becomes_nested_frozen_configs(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'sources = ["librispeech:/data"]\n[words]\nmin-letters = 4\nexclude_words_from = ["lists/a.txt"]\nmin_goodness = -3\n'
    )
    recipe = read_toml(path, RunConfig)
    assert recipe.sources == ("librispeech:/data",)
    assert recipe.words == WordsConfig(min_letters=4, exclude_words_from=(Path("lists/a.txt"),), min_goodness=-3.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.words.min_letters = 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wrods": {}}, "unknown option 'wrods'; did you mean 'words'"),
        ({"words": {"min_leters": 3}}, "unknown option 'min_leters'; did you mean 'min_letters'"),
        ({"words": {"min_letters": "3"}}, r"'min_letters' is '3' \(str\); expected int"),
        ({"words": {"min_letters": True}}, "expected int"),
        ({"align": {"phones": 1}}, "expected bool"),
        ({"words": 3}, "expected WordsConfig"),
        ({"sources": "here"}, "expected a list"),
    ],
)
def test_wrong_options_are_named_with_what_was_expected(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(RunConfig, values, "recipe.toml")


def test_missing_or_broken_toml(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_toml(tmp_path / "none.toml", RunConfig)
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(tmp_path / "bad.toml", RunConfig)
    (tmp_path / "align.toml").write_text("phones = false")
    assert read_toml(tmp_path / "align.toml", AlignConfig).phones is False


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_option_has_a_help_text(cls):
    texts = help_texts(cls)
    for field in dataclasses.fields(cls):
        assert texts[field.name] or dataclasses.is_dataclass(getattr(cls(), field.name)), f"{cls.__name__}.{field.name} has no help"


@pytest.mark.parametrize("cls", CONFIGS)
def test_defaults_are_complete_and_frozen(cls):
    assert cls() == cls()
    assert cls.__dataclass_params__.frozen


@pytest.mark.parametrize("recipe", sorted((Path(__file__).parents[1] / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_reads(recipe):
    read_toml(recipe, RunConfig)
