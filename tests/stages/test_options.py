"""Options: ranges, names, paths and uses are checked by one validator; registries have the names that options declare."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from wordprint.align.base import ALIGNERS
from wordprint.align.options import ALIGNERS as ALIGNER_NAMES
from wordprint.errors import ConfigError, InputError
from wordprint.stages.options import check, help_texts, option, range_text, share
from wordprint.stages.receipt import config_to_json
from wordprint.train.encoders import ENCODERS
from wordprint.train.features import FRONT_ENDS
from wordprint.train.losses import LOSSES
from wordprint.train.options import LOSSES as LOSS_NAMES
from wordprint.train.options import TrainConfig


@dataclass(frozen=True)
class Shape:
    """A shape."""

    sides: int = option(4, at_least=3, at_most=12)
    """How many
    sides."""
    size_m: float = option(1.0, above=0)
    """Its size."""
    filled: float = share(0.5)
    """Share that is filled."""
    colours: tuple[str, ...] = option(("red",), one_of=("red", "blue"))
    """Its colours."""
    kind: str = option("square", one_of=("square", "round"), own=True)
    """Its kind."""
    edge: Literal["sharp", "soft"] = "sharp"
    """Its edge."""
    roundness: float = option(0.0, used_by={"kind": ("round",)})
    """How round."""
    texture: Path | None = option(None)
    """A picture."""
    scale: float = option(1.0, used_by={"texture": True})
    """Of the picture."""
    tint: float = option(0.0, used_by={"texture": False})
    """Where there is no picture."""

    def check(self) -> None:
        if self.sides == 4 and self.kind == "round":
            raise ConfigError("sides is 4 of something round", expected="3")


@dataclass(frozen=True)
class Drawing:
    """Shapes."""

    first: Shape = dataclasses.field(default_factory=Shape)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sides": 2}, "sides is 2; expected from 3 to 12"),
        ({"sides": 13}, "sides is 13; expected from 3 to 12"),
        ({"size_m": 0.0}, "size_m is 0; expected more than 0"),
        ({"size_m": math.nan}, "size_m is nan; expected a finite number"),
        ({"filled": 1.1}, "filled is 1.1; expected from 0 to 1"),
        ({"colours": ("red", "blu")}, "colours is 'blu'; expected one of red, blue; did you mean 'blue'?"),
        (
            {"kind": "squaer"},
            "kind is 'squaer'; expected one of square, round, or package.module:name of your own; did you mean 'square'?",
        ),
        ({"kind": "no_such_module:Kind"}, "the kind 'no_such_module:Kind' can't be imported (No module named 'no_such_module')"),
        ({"kind": "math:pi"}, "the kind 'math:pi' is a float; expected a class or a function"),
        ({"edge": "blunt"}, "edge is 'blunt'; expected one of sharp, soft"),
        (
            {"roundness": 0.1},
            "roundness is set, but kind is 'square', which makes no use of it; expected kind round; leave roundness out",
        ),
        ({"tint": 1.0, "texture": Path(__file__)}, "tint is set, but so is texture, which makes no use of it; leave tint out"),
        ({"scale": 2.0}, "scale is 2.0, but texture is not set; set texture, or leave scale out"),
        ({"kind": "round"}, "sides is 4 of something round; expected 3"),
        ({"texture": Path("/none")}, "option 'texture': /none does not exist; expected a file or folder"),
    ],
)
def test_what_is_refused(values, message):
    for config, section in ((Shape(**values), ""), (Drawing(Shape(**values)), "first.")):
        with pytest.raises((ConfigError, InputError)) as refused:
            check(config)
        said = str(refused.value)
        assert message in said.replace(f"'{section}", "'").replace(f"{section}", "")
        assert section in said


def test_what_is_taken(tmp_path):
    check(Shape())
    check(Shape(sides=3, kind="round", roundness=1.0, texture=tmp_path, scale=2.0))
    check(Shape(kind="math:cos", roundness=1.0))  # of one's own: it may use what it likes


def test_words_for_people():
    ranges = {field.name: range_text(field.metadata) for field in dataclasses.fields(Shape)}
    assert (ranges["sides"], ranges["size_m"], ranges["edge"]) == ("from 3 to 12", "more than 0", "")
    assert help_texts(Shape)["sides"] == "How many sides."


def test_what_changes_no_result_is_not_in_a_receipt():
    @dataclass(frozen=True)
    class Config:
        a: int = 1
        b: int = option(2, changes_results=False)

    assert config_to_json(Config()) == {"a": 1}


def test_registries_have_the_names_that_options_declare():
    names = {field.name: field.metadata.get("one_of") for field in dataclasses.fields(TrainConfig)}
    assert (names["encoder"], names["front_end"]) == (tuple(ENCODERS), tuple(FRONT_ENDS))
    assert tuple(LOSSES) == LOSS_NAMES
    assert set(ALIGNERS) == set(ALIGNER_NAMES)
