"""An enrollment: keywords with their prototypes, in a small JSON file bound to the model that made them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from wordprint.errors import EnrollmentError, InputError, kind_of
from wordprint.model import Model
from wordprint.stages.manifest import to_line, write_text

SCHEMA = "wordprint.enrollment/1"


@dataclass(frozen=True, slots=True)
class Shot:
    """One recording of a keyword. `agreement` is its similarity to the mean of the other shots (higher is better)."""

    recording: str
    start_s: float
    end_s: float
    level_db: float
    embedding: tuple[float, ...] = field(repr=False)
    agreement: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keyword:
    """An enrolled keyword. `similarity ≥ threshold` to its `prototype` in a window of `window_samples` is a hit."""

    keyword: str
    threshold: float
    window_samples: int
    duration_s: float
    prototype: tuple[float, ...] = field(repr=False)
    shots: tuple[Shot, ...]
    rejected: tuple[str, ...] = ()
    """Recordings that were not used, each with the reason."""

    @property
    def warnings(self) -> list[str]:
        """What is worth telling the person who enrolled it, one line each."""
        lines = [*self.rejected, *(f"{shot.recording}: {warning}" for shot in self.shots for warning in shot.warnings)]
        if len(self.shots) == 1:
            lines.append("one recording: three or more are better")
        agreements = [shot.agreement for shot in self.shots if shot.agreement is not None]
        if agreements and median(agreements) < self.threshold:
            typical = f"{median(agreements):.2f} alike, the threshold is {self.threshold:.2f}"
            lines.append(f"'{self.keyword}' may often be missed: its recordings are {typical}")
        return lines


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
        if any(old.keyword == keyword.keyword for old in self.keywords):
            return replace(self, keywords=tuple(keyword if old.keyword == keyword.keyword else old for old in self.keywords))
        return replace(self, keywords=(*self.keywords, keyword))

    def check(
        self,
        model: Model,
        where: str = "the enrollment",
        remedy: str = "enroll the keywords again with this model, or use the model it was made with",
    ) -> None:
        """Raise EnrollmentError unless `model` made it: embeddings of two models can't be compared."""
        if self.model_digest != model.digest:
            raise EnrollmentError(
                f"{where} was made with model '{self.model}' ({self.model_digest[:12]})",
                expected=f"an enrollment for model '{model.name}' ({model.digest[:12]})",
                remedy=remedy,
            )
        for word in self.keywords:
            if len(word.prototype) != model.embedding_size:
                raise EnrollmentError(
                    f"{where} is damaged: the prototype of '{word.keyword}' has {len(word.prototype)} numbers",
                    expected=f"{model.embedding_size}",
                    remedy="enroll the keywords again with 'wordprint enroll'",
                )

    def save(self, path: str | Path) -> None:
        """Write as one JSON object, atomically."""
        write_text(path, to_line({"schema": SCHEMA, **asdict(self)}))

    @classmethod
    def load(cls, path: str | Path) -> Enrollment:
        """Read what `save` wrote; raises InputError or EnrollmentError for any other file."""
        path = Path(path)
        if not path.is_file():
            raise InputError(kind_of(path), expected="an enrollment", remedy="make one with 'wordprint enroll'")
        remedy = "enroll the keywords again with 'wordprint enroll'"
        try:
            record = json.loads(path.read_bytes())
            schema = record.get("schema")
            if schema != SCHEMA:
                raise EnrollmentError(f"{path} has schema {schema!r}", expected=SCHEMA, remedy=remedy)
            keywords = tuple(_keyword_from_json(keyword) for keyword in record["keywords"])
            return cls(record["model"], record["model_digest"], keywords)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EnrollmentError(f"{path} is damaged ({error})", expected=f"JSON of {SCHEMA}", remedy=remedy) from error


def _keyword_from_json(record: dict[str, Any]) -> Keyword:
    shots = tuple(
        Shot(**{**shot, "embedding": tuple(shot["embedding"]), "warnings": tuple(shot["warnings"])}) for shot in record["shots"]
    )
    keyword = Keyword(**{**record, "prototype": tuple(record["prototype"]), "shots": shots, "rejected": tuple(record["rejected"])})
    if not all(map(math.isfinite, (*keyword.prototype, keyword.threshold, keyword.duration_s))):
        raise ValueError(f"the numbers of '{keyword.keyword}' are not finite")
    if not isinstance(keyword.window_samples, int) or keyword.window_samples < 1:
        raise ValueError(f"window_samples = {keyword.window_samples!r}")
    return keyword
