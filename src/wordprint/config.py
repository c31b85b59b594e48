"""Every option of every stage, declared once: the command line, TOML files, docs and receipts read it here.

The text under a field is its help. Options that can't change a result (workers, progress, overwrite) are not here.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from wordprint.errors import ConfigError, InputError


@dataclass(frozen=True)
class PrepareConfig:
    """Find utterances and their transcripts."""

    language: str = "en"
    """Language of the transcripts (ISO 639-1)."""
    seed: int = 0
    """Seed of the synthetic corpus."""
    synthetic_utterances: int = 400
    """Utterances to synthesise when a source is 'synthetic'."""
    synthetic_speakers: int = 24
    """Synthetic voices (variant × accent) that speak them."""


@dataclass(frozen=True)
class ValidateConfig:
    """Check recordings and transcripts before anything expensive."""

    min_duration_s: float = 0.3
    """Drop utterances shorter than this."""
    max_duration_s: float = 60.0
    """Drop utterances longer than this."""
    silence_db: float = -60.0
    """Drop utterances whose level (RMS, dB of full scale) is below this."""
    clipping_share: float = 0.01
    """Report utterances with more than this share of samples at full scale."""
    max_chars_per_s: float = 30.0
    """Drop utterances whose transcript can't fit the duration."""
    min_speakers_per_word: int = 3
    """Report words spoken by fewer speakers."""


@dataclass(frozen=True)
class AlignConfig:
    """Find where each word and phone lies."""

    aligner: str = "pocketsphinx"
    """Aligner by name: pocketsphinx, textgrid, or one of your own ('package.module:Class')."""
    textgrids: Path | None = None
    """Folder of TextGrids (Montreal Forced Aligner output, say) for the aligner 'textgrid'."""
    lexicon: Path | None = None
    """Pronunciation dictionary (word, then phones) that overrides the aligner's own entries."""
    phones: bool = True
    """Also align phones (a second pass; word times stay the same)."""
    silence_as_gap: bool = True
    """Leave silence out of the tiers' index (TextGrids always hold it as empty intervals)."""


@dataclass(frozen=True)
class WordsConfig:
    """Cut utterances into word and phrase segments and split them."""

    max_phrase_words: int = 1
    """Longest phrase, in consecutive words, cut as one segment."""
    min_letters: int = 3
    """Drop words with fewer letters."""
    min_duration_s: float = 0.1
    """Drop segments shorter than this."""
    max_duration_s: float = 3.0
    """Drop segments longer than this."""
    min_goodness: float | None = None
    """Drop words aligned worse than this (mean log likelihood per frame)."""
    min_tokens: int = 2
    """Drop word types with fewer tokens."""
    min_speakers: int = 2
    """Drop word types spoken by fewer speakers."""
    max_tokens: int | None = None
    """Keep at most this many tokens of a word type (chosen by hash)."""
    exclude_words: tuple[str, ...] = ()
    """Words that must not appear in the dataset."""
    exclude_words_from: tuple[Path, ...] = ()
    """Word folders or text files (one word a line) whose words must not appear in the dataset."""
    validation_speakers: float = 0.1
    """Share of speakers kept for validation."""
    test_speakers: float = 0.1
    """Share of speakers kept for the test."""
    validation_words: float = 0.1
    """Share of word types kept for validation."""
    test_words: float = 0.1
    """Share of word types kept for the test."""
    shard_hours: float = 1.0
    """Hours of audio per Arrow shard."""


@dataclass(frozen=True)
class TrainConfig:
    """Train an encoder so that recordings of one word land close together."""

    seed: int = 0
    """Seed of initial weights, batches and augmentation."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Score a model on words and speakers it never heard."""

    seed: int = 0
    """Seed of the support draws."""


@dataclass(frozen=True)
class ExportConfig:
    """Write one ONNX file with the front end inside, and an int8 version beside it."""

    int8: bool = True
    """Also write an int8 version."""


@dataclass(frozen=True)
class SpotConfig:
    """Listen for enrolled keywords."""

    hop_s: float = 0.1
    """Time between two looks at the stream."""


@dataclass(frozen=True)
class RunConfig:
    """The whole pipeline: one section per stage."""

    sources: tuple[str, ...] = ("synthetic",)
    """Corpora: a path, or KIND:PATH."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    words: WordsConfig = field(default_factory=WordsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    spot: SpotConfig = field(default_factory=SpotConfig)


Config = TypeVar("Config")


def read_toml(path: str | Path, cls: type[Config]) -> Config:
    """A configuration from a TOML file; relative paths in it are kept as they are written."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist", expected="a TOML file of options")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML ({error})") from error
    return from_dict(cls, values, str(path))


def from_dict(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """Build the frozen dataclass `cls`; raises ConfigError that names an unknown option and the nearest known one."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else f"known options: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown option '{key}'", remedy=remedy)
        arguments[name] = _convert(hints[name], value, f"{where}: option '{key}'")
    return cls(**arguments)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; raises ConfigError when it is another type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_dict(typing.cast(type, hint), value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(arg for arg in args if arg is not type(None)), value, where)
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{where} is {value!r}", expected="one of " + ", ".join(map(str, args)))
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(args[0], item, where) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint)).replace("tuple", "a list")
    raise ConfigError(f"{where} is {value!r} ({type(value).__name__})", expected=wanted)
