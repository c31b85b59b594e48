"""An enrollment: keywords with their prototypes, in a small JSON file bound to the model that made them."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from wordprint.errors import EnrollmentError, InputError, kind_of
from wordprint.model import Model
from wordprint.stages.manifest import to_line, write_text

SCHEMA = "wordprint.enrollment/2"
ANEW = "delete it (or name another file with -o) and enroll the keywords again with 'wordprint enroll'"
"""What to do about a file that can't be used, nor added to."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One recording of a keyword. `agreement` is its similarity to the mean of the other shots (higher is better)."""

    recording: str
    start_s: float
    end_s: float
    level_db: float
    """Of its loudest 50 ms, dB of full scale."""
    snr_db: float | None
    """How far that stands above the recording's background; None where there is too little of it."""
    embedding: tuple[float, ...] = field(repr=False)
    agreement: float | None = None
    warnings: tuple[str, ...] = ()
    take: str = ""
    """Which time the keyword is said in the recording (`2 of 3`), where it is said more than once."""
    shortfall: float = 0.0
    """What its phones are unlike the keyword's sounds (wordprint.goodness)."""

    @property
    def name(self) -> str:
        """The recording, and which time in it."""
        return f"{self.recording} ({self.take})" if self.take else self.recording


@dataclass(frozen=True, slots=True)
class Mistake:
    """A false alarm that was corrected: a span that is nearer to it than to the keyword loses similarity."""

    recording: str
    similarity: float
    """To the keyword, when it was corrected."""
    embedding: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rival:
    """What is nearly the keyword and isn't. Where it is nearer to what was said, the keyword is not reported."""

    text: str
    prototypes: tuple[tuple[float, ...], ...] = field(repr=False)
    """Unit vectors, one of each pronunciation."""
    sounds: tuple[str, ...]
    """Pronunciations that the phones of a hit are compared with."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """An enrolled keyword. A span with `similarity ≥ threshold` to one of its `prototypes`, less what its phones are unlike its
    `sounds`, is a hit."""

    keyword: str
    threshold: float
    duration_s: float
    """Median of its shots, or what its spelling makes likely."""
    prototypes: tuple[tuple[float, ...], ...] = field(repr=False)
    """Unit vectors: one of its shots, or one of each pronunciation."""
    shots: tuple[Shot, ...]
    phones: tuple[str, ...] = ()
    """Pronunciations, where it was typed."""
    sounds: tuple[str, ...] = ()
    """Pronunciations that the phones of a hit are compared with (wordprint.goodness)."""
    guessed: tuple[str, ...] = ()
    """Its words whose pronunciation no lexicon held."""
    rejected: tuple[str, ...] = ()
    """Recordings that were not used, each with the reason."""
    mistakes: tuple[Mistake, ...] = ()
    rivals: tuple[Rival, ...] = ()
    """What it is told apart from: its opposites, and what a person says that it is taken for."""
    voices: int = 0
    """Synthetic voices that said it, where it was typed."""

    @property
    def warnings(self) -> list[str]:
        """What is worth telling the person who enrolled it, one line each."""
        lines = [*self.rejected, *(f"{shot.name}: {warning}" for shot in self.shots for warning in shot.warnings)]
        if len(self.shots) == 1:
            lines.append("one recording: three or more are better")
        if self.guessed:
            strings = " or ".join(self.phones or self.sounds)
            lines.append(f"the pronunciation of {', '.join(self.guessed)} is a guess: {strings} (say it with --phones)")
        return lines

    def check(self) -> None:
        """Raise ValueError for numbers that no enrollment makes."""
        if not -1 <= self.threshold <= 1 or not 0 <= self.duration_s <= 60:
            raise ValueError(f"'{self.keyword}' has threshold {self.threshold:g} and lasts {self.duration_s:g} s")
        for name, vectors in ((self.keyword, self.prototypes), *((one.text, one.prototypes) for one in self.rivals)):
            if not vectors or not all(map(any, vectors)):
                raise ValueError(f"'{name}' has no prototype, or one of zeros")
        if not plain_name(self.keyword):
            raise ValueError("a keyword has no name")


@dataclass(frozen=True, slots=True, repr=False)
class Enrollment:
    """Keywords enrolled with one model, in the order of their first enrollment."""

    model: str
    model_digest: str
    keywords: tuple[Keyword, ...] = ()

    def __repr__(self) -> str:
        known = ", ".join(f"{word.keyword!r} ({len(word.shots)})" for word in self.keywords) or "no keyword"
        return f"<Enrollment of {known} with model {self.model!r} ({self.model_digest[:12]})>"

    def add(self, keyword: Keyword) -> Enrollment:
        """With `keyword` added, or replacing the one of the same name."""
        if (old := self.find(keyword.keyword)) is not None:
            return replace(self, keywords=tuple(keyword if word is old else word for word in self.keywords))
        return replace(self, keywords=(*self.keywords, keyword))

    def find(self, name: str) -> Keyword | None:
        """The keyword of this name, or None. Case doesn't count, nor whether words are joined by a space, `_` or `-`."""
        return next((word for word in self.keywords if plain_name(word.keyword) == plain_name(name)), None)

    def named(self, name: str) -> Keyword:
        """The keyword of this name; raises EnrollmentError where there is none."""
        if (found := self.find(name)) is None:
            known = ", ".join(f"'{word.keyword}'" for word in self.keywords) or "none is enrolled"
            raise EnrollmentError(
                f"no keyword is called '{name}'", known, remedy="enroll it with 'wordprint enroll'", reason="unknown_keyword"
            )
        return found

    def listened(self) -> tuple[tuple[Keyword, ...], tuple[int, ...]]:
        """The keywords, then their rivals as if they were enrolled, with the lengths of their keywords; and whose each rival is."""
        rivals = [
            (number, replace(word, keyword=one.text, prototypes=one.prototypes, sounds=one.sounds, mistakes=(), rivals=()))
            for number, word in enumerate(self.keywords)
            for one in word.rivals
        ]
        return (*self.keywords, *(rival for _, rival in rivals)), tuple(number for number, _ in rivals)

    def with_threshold(self, name: str, threshold: float) -> Enrollment:
        """With another threshold of that keyword; raises EnrollmentError where it isn't enrolled, InputError beyond ±1."""
        if not -1 <= threshold <= 1:
            raise InputError(f"threshold {threshold}", expected="a cosine similarity from -1 to 1")
        return self.add(replace(self.named(name), threshold=float(threshold)))

    def without(self, name: str) -> Enrollment:
        """Without that keyword; raises EnrollmentError where it isn't enrolled."""
        gone = self.named(name)
        return replace(self, keywords=tuple(word for word in self.keywords if word is not gone))

    def check(self, model: Model, file: str = "") -> None:
        """Raise EnrollmentError unless `model` made it: embeddings of two models can't be compared. `file`: where it lies."""
        where, anew = file or "the enrollment", ANEW if file else "enroll the keywords again"
        if self.model_digest != model.digest:
            raise EnrollmentError(
                f"{where} was made with model '{self.model}' ({self.model_digest[:12]})",
                expected=f"an enrollment for model '{model.name}' ({model.digest[:12]})",
                remedy=f"use the model it was made with; or {anew}",
            )
        known = set(model.phones)
        for word in self.keywords:
            vectors = [*word.prototypes, *(shot.embedding for shot in word.shots), *(one.embedding for one in word.mistakes)]
            vectors += [vector for one in word.rivals for vector in one.prototypes]
            strings = (*word.phones, *word.sounds, *(string for one in word.rivals for string in one.sounds))
            strange = {phone for string in strings for phone in string.split()} - known
            if wrong := [len(vector) for vector in vectors if len(vector) != model.embedding_size]:
                seen, expected = f"a vector of '{word.keyword}' has {wrong[0]} numbers", f"{model.embedding_size}"
            elif strange:
                seen, expected = f"'{word.keyword}' has phones {', '.join(sorted(strange))}", f"some of {' '.join(model.phones)}"
            else:
                continue
            raise EnrollmentError(f"{where} is damaged: {seen}", expected=expected, remedy=anew)

    def save(self, path: str | Path) -> None:
        """Write as one JSON object, atomically; where a link leads, if it is one."""
        write_text(os.path.realpath(path), to_line({"schema": SCHEMA, **asdict(self)}))

    @classmethod
    def load(cls, path: str | Path) -> Enrollment:
        """Read what `save` wrote; raises InputError or EnrollmentError for any other file."""
        path = Path(path)
        if not path.is_file():
            raise InputError(kind_of(path), expected="an enrollment", remedy="make one with 'wordprint enroll'")
        try:
            record = json.loads(path.read_bytes())
            schema = record.pop("schema", None)
            if schema != SCHEMA:
                held = [str(word["keyword"]) for word in record.get("keywords", []) if "keyword" in word]
                of = f" (it holds {', '.join(held)})" if held else ""
                raise EnrollmentError(f"{path} has schema {schema!r}{of}", expected=SCHEMA, remedy=ANEW)
            found: Enrollment = _made_of(cls, record, "it")
            for word in found.keywords:
                word.check()
            if len({plain_name(word.keyword) for word in found.keywords}) < len(found.keywords):
                raise ValueError("two keywords have one name")
            return found
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise EnrollmentError(f"{path} is damaged ({error})", expected=f"JSON of {SCHEMA}", remedy=ANEW) from error


def tidy_name(name: str) -> str:
    """The name of a keyword with single spaces and composed letters; raises InputError for one that is empty or no text."""
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not tidy:
        raise InputError("the keyword is empty", expected="a word or a phrase")
    try:
        tidy.encode()
    except UnicodeEncodeError:
        raise InputError(f"the keyword {name!a} is no text", expected="a word or a phrase in UTF-8") from None
    return tidy


def plain_name(name: str) -> str:
    """What two names of one keyword have in common."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").replace("-", " ").casefold().split())


def _made_of(kind: Any, value: Any, name: str) -> Any:
    """A value of JSON as a field of an enrollment; raises ValueError, which calls it `name`, where it is no such thing."""
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{name} is no object")
        if needed := {one.name for one in fields(kind) if one.default is MISSING} - value.keys():
            raise ValueError(f"{name} has no {', '.join(sorted(needed))}")
        kinds, build = get_type_hints(kind), cast(Any, kind)
        return build(**{key: _made_of(kinds[key], held, key) for key, held in value.items()})
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if not isinstance(value, list):
            raise ValueError(f"{name} is no list")
        if inner is float and set(map(type, value)) <= {int, float} and all(map(math.isfinite, value)):
            return tuple(value)
        return tuple(_made_of(inner, held, name) for held in value)
    if value is None and type(None) in get_args(kind):
        return None
    kind = next((one for one in get_args(kind) if one is not type(None)), kind)
    known = {float: (int, float), int: (int,), str: (str,)}[kind]
    if type(value) not in known or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {value!r:.40}")
    return value
