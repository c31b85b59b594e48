"""What people and machines read about a model: its card and its bill of materials."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

from wordprint.export.options import ExportConfig, parse_material
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.units import readable_bytes

MATERIALS_SCHEMA = "wordprint.bill_of_materials/1"


def bill_of_materials(stated: Sequence[str], prepared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the weights were made of: the `stated` lines 'name; licence; attribution; source', then the corpora of the
    training data that none of them names. Raises ConfigError for a line without a licence."""
    bill: list[dict[str, Any]] = [dict(parse_material(line)) for line in stated]
    names = {item["name"] for item in bill}
    return bill + [item for item in prepared if item.get("name") not in names]


def without_licence(bill: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the materials whose licence nobody stated."""
    return [str(item.get("name", "?")) for item in bill if not item.get("licence")]


def materials(metadata: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """The bill of materials as a document of its own."""
    return {
        "schema": MATERIALS_SCHEMA,
        "model": metadata["name"],
        "files": digests,
        "licence": metadata["licence"],
        "materials": metadata["bill_of_materials"],
    }


def model_card(metadata: dict[str, Any], details: dict[str, Any], config: ExportConfig) -> str:
    """MODEL_CARD.md from the template beside this module: bounds that were checked, since last digits depend on threads."""
    template = Template((resources.files("wordprint.export") / "model_card.md").read_text(encoding="utf-8"))
    threshold, cosine = metadata["threshold"], details.get("int8_cosine")
    int8 = (
        f"mean cosine with the network of at least {config.min_int8_cosine:g} on {cosine['words']} words."
        " Only the mean decides whether it may be exported; single words can be less alike."
        if cosine
        else "no int8 version."
    )
    network = metadata["network"]
    return template.substitute(
        name=metadata["name"],
        version=metadata["version"],
        checkpoint=metadata["checkpoint"],
        licence=metadata["licence"] or "not stated by whoever exported it",
        front_end=network["front_end"],
        encoder=network["encoder"],
        parameters=f"{metadata['parameters']:,}",
        embedding_size=metadata["embedding_size"],
        ahead_s=f"{(metadata['delay_frames'] + 1) * metadata['frame_samples'] / SAMPLE_RATE:g}",
        phones=" ".join(metadata["phones"]) or "none: no keyword can be typed",
        files="\n".join(f"| `{name}` | {readable_bytes(size)} |" for name, size in details["bytes"].items()),
        training="\n".join(f"| {key} | {_cell(value)} |" for key, value in sorted(metadata["training"].items())),
        words=_count(metadata["training_words"]),
        speakers=_count(metadata["training_speakers"]),
        materials="\n".join(f"- {_material(item)}" for item in metadata["bill_of_materials"]) or "- not recorded",
        threshold=f"{threshold['similarity']:.4f}",
        calibration="\n".join(f"| {key} | {_cell(value)} |" for key, value in threshold.items() if key != "similarity"),
        max_difference=f"{config.max_difference:g}",
        int8=int8,
    )


def _material(item: dict[str, Any]) -> str:
    """One line: `licence not stated` where it is empty, nothing for other empty fields."""
    fields = {key: value for key, value in item.items() if value and key != "licence"}
    licence = f"licence: {item['licence']}" if item.get("licence") else "**licence not stated**"
    name = fields.pop("name", "?")
    return ", ".join([f"name: {name}", licence, *([_cell(fields)] if fields else [])])


def _count(names: list[str] | None) -> str:
    return "not recorded" if names is None else f"{len(names):,}"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
