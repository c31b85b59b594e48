"""Commands for those who use a model: enroll keywords and spot them."""

from __future__ import annotations

import sys
from pathlib import Path

from wordprint import pipeline
from wordprint.errors import ConfigError
from wordprint.spot.options import SpotConfig


def enroll(arguments: tuple[str, ...], output: Path, threshold: float | None) -> None:
    model, arguments = _first(arguments, ".onnx")
    if len(arguments) < 2:
        usage = 'wordprint enroll [MODEL.onnx] "lights on" a.wav b.wav c.wav'
        raise ConfigError("a keyword and its recordings are needed", remedy=usage)
    made = pipeline.enroll(model, arguments[0], arguments[1:], output, SpotConfig(threshold=threshold)).keywords
    keyword = next(keyword for keyword in made if keyword.keyword == " ".join(arguments[0].split()))
    for warning in keyword.warnings:
        print(f"note: {warning}", file=sys.stderr)
    recordings = f"{len(keyword.shots)} recording{'s' * (len(keyword.shots) != 1)}"
    print(f"'{keyword.keyword}' enrolled from {recordings}, threshold {keyword.threshold:.2f} → {output}")


def spot(arguments: tuple[str, ...], config: SpotConfig) -> None:
    model, arguments = _first(arguments, ".onnx")
    enrollment, recordings = _first(arguments, ".json")
    if not recordings:
        raise ConfigError("no recording was named", remedy="wordprint spot [MODEL.onnx] [KEYWORDS.json] RECORDING...")
    for recording in recordings:
        found = 0
        for found, detection in enumerate(pipeline.spot(model, enrollment or "keywords.json", recording, config), start=1):  # noqa: B007
            where = f"{recording}\t" if len(recordings) > 1 else ""
            print(f"{where}{detection.onset_s:9.2f} s  {detection.keyword}  {detection.similarity:.3f}", flush=True)
        if not found:
            print(f"{recording}: no keyword was heard", file=sys.stderr)


def _first(arguments: tuple[str, ...], ending: str) -> tuple[str | None, tuple[str, ...]]:
    """The argument with that ending, wherever it stands, and the rest."""
    found = [argument for argument in arguments if argument.lower().endswith(ending)]
    if len(found) > 1:
        raise ConfigError(f"{len(found)} arguments end in {ending} ({', '.join(found)})", expected="one at most")
    return (found[0] if found else None), tuple(argument for argument in arguments if argument not in found)
