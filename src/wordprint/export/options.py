"""Options of `export`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.errors import ConfigError
from wordprint.stages.options import option


@dataclass(frozen=True)
class ExportConfig:
    """Write one ONNX file with the front end inside, and an int8 version beside it."""

    name: str = "wordprint"
    """Name of the model."""
    licence: str = ""
    """Licence of the weights."""
    materials: tuple[str, ...] = ()
    """Data in the weights, each as 'name; licence; attribution; source'; corpora that are not named here stay as prepared."""
    int8: bool = True
    """Also write an int8 version (needs a word dataset to calibrate on)."""
    max_difference: float = option(1e-4, at_least=0)
    """Refuse an export that differs from the network by more, in any number of an embedding."""
    min_int8_cosine: float = option(0.99, at_most=1)
    """Leave out an int8 version whose embeddings of real words have a mean cosine with the network's below this."""
    false_alarms_per_hour: float = option(1.0, above=0)
    """False alarms per hour of uninterrupted speech, and keyword, at the default threshold."""
    calibration_minutes: float = option(120.0, above=0)
    """Speech listened to for false alarms."""

    def check(self) -> None:
        for line in self.materials:
            parse_material(line)


MATERIAL_FIELDS = ("name", "licence", "attribution", "source")


def parse_material(line: str) -> dict[str, str]:
    """The fields of a line 'name; licence; attribution; source'; raises ConfigError for one without a licence."""
    parts = [part.strip() for part in line.split(";")]
    if not 2 <= len(parts) <= len(MATERIAL_FIELDS) or not all(parts):
        raise ConfigError(f"a material is {line!r}", expected="'name; licence; attribution; source' (the last two may be left out)")
    return dict(zip(MATERIAL_FIELDS, parts, strict=False))
