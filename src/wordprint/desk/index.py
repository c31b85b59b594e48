"""The page of a work folder: what each stage did, with links to its reports, models and pages to listen to; and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wordprint.errors import WordprintError
from wordprint.pages.html import audio_data_uri, number, percent, render
from wordprint.speech.audio import read_audio
from wordprint.stages.manifest import read_jsonl, write_text
from wordprint.stages.receipt import RECEIPT, Receipt, read_receipt
from wordprint.stages.table import COMMANDS, TABLE
from wordprint.stages.units import readable_bytes

INDEX = "index.html"
TEMPLATE = "desk/index.html.j2"
SENTENCE, DETECTIONS = "demo/sentence.flac", "demo/detections.jsonl"
ERRORS = ">Errors to listen to<"
"""The heading in the report of an evaluation that has errors to play."""
LINKED = (".html", ".onnx", ".md")

Link = tuple[str, str]
"""What it says, and its address, relative to the page."""


def write_index(work: str | Path) -> Path:
    """Write `index.html` into the work folder of a run, from the receipts in it; what is there already stays as it is."""
    work = Path(work)
    path = work / INDEX
    page = render(
        TEMPLATE,
        name=work.resolve().name,
        stages=list(_stages(work)),
        pages=[_link(work, work, path) for path in listen(work) if path.suffix == ".html"],
        demo=_demo(work),
        steps=next_steps(work),
    )
    if not path.is_file() or path.read_text(encoding="utf-8") != page:
        write_text(path, page)
    return path


def next_steps(work: str | Path) -> list[tuple[str, str]]:
    """Commands worth trying after a run in `work`, and what each is for; those whose input is not there are left out."""
    work = Path(work)
    words, train, model = work / "words", work / "train", work / "export" / "model.onnx"
    found = [
        (words, ["inspect", "words", words, "-o", work / "words.html"], "hear and see the segments"),
        (train, ["outliers", train, words, "-o", work / "outliers"], "segments that the model hears as another word"),
        (model, ["enroll", model, "KEYWORD", "a.wav", "b.wav", "c.wav"], "learn a keyword of yours from three recordings"),
        (model, ["spot", model, "keywords.json", "recording.wav"], "find it in a recording"),
    ]
    return [(shlex.join(["wordprint", *map(str, command)]), purpose) for needed, command, purpose in found if needed.exists()]


def listen(work: str | Path) -> list[Path]:
    """What there is to hear after a run in `work`: the demonstration, pages that 'inspect' wrote, errors of the evaluation."""
    work = Path(work)
    pages = sorted(path for path in work.glob("*.html") if path.name != INDEX)
    report = work / "evaluate" / "report.html"
    heard = [report] if report.is_file() and ERRORS in report.read_text(encoding="utf-8") else []  # few figures, no players
    return [path for path in (work / SENTENCE, *pages, *heard) if path.is_file()]


def _stages(work: Path) -> Iterator[dict[str, Any]]:
    """A line for every stage of the pipeline, then for the other folders here that a stage wrote."""
    pipeline = [row.name for row in TABLE if row.run]
    others = sorted(receipt.parent.name for receipt in work.glob(f"*/{RECEIPT}") if receipt.parent.name not in pipeline)
    for name in [*pipeline, *others]:
        folder = work / name
        line: dict[str, Any] = {"name": name, "summary": "", "says": "not done", "figures": "", "links": [], "done": False}
        if (folder / RECEIPT).is_file():
            try:
                receipt = read_receipt(folder)
                line |= {"says": receipt.kept, "figures": ", ".join(figures(receipt)), "links": _links(work, folder), "done": True}
                line["summary"] = COMMANDS[receipt.stage].summary if receipt.stage in COMMANDS else ""
            except WordprintError as error:
                line["says"] = str(error)
        yield line


def _links(work: Path, folder: Path) -> list[Link]:
    found = [path for path in (*folder.glob("*"), *folder.glob("*/report.html")) if path.suffix in LINKED]
    return [_link(work, folder, path) for path in sorted(found)]


def _link(work: Path, folder: Path, path: Path) -> Link:
    return path.relative_to(folder).as_posix(), quote(path.relative_to(work).as_posix())


def figures(receipt: Receipt) -> Iterator[str]:
    """The figures that one looks at first, from the details of a receipt."""
    details = receipt.details
    if receipt.stage == "train":
        yield f"validation AP {number(details['best_validation_ap'], 3)}"
        yield f"{number(details['parameters'])} parameters"
    elif receipt.stage == "export":
        yield from (f"{name} {readable_bytes(size)}" for name, size in details["bytes"].items())
        threshold = details["threshold"]
        if threshold.get("above_level"):
            rate = threshold["target_false_alarms_per_hour"]
            yield f"thresholds for {rate:g} false alarm{'' if rate == 1 else 's'} per hour of speech"
        else:
            yield f"threshold {threshold['similarity']:.3f}"
    elif receipt.stage == "evaluate":
        for data, figures in details.items():
            for key, value in figures.items() if isinstance(figures, dict) else ():
                protocol, _, name = key.partition(".")
                if name.endswith("_shot.closed") and protocol == "open_set":
                    yield f"{data}: {name.partition('_')[0]}-shot closed accuracy {percent(value)}"
                elif name == "ap":
                    yield f"{data}: same-different AP {number(value, 3)}"


def _demo(work: Path) -> dict[str, Any] | None:
    """The sentence of the demonstration, to be played, and the keywords found in it; None where there was none."""
    if not ((work / SENTENCE).is_file() and (work / DETECTIONS).is_file()):
        return None
    config = read_receipt(work / "demo").config
    found = [
        f"{hit['keyword']} at {hit['onset_s']:.2f} s (similarity {hit['similarity']:.2f})" for hit in read_jsonl(work / DETECTIONS)
    ]
    return {**config, "found": found, "sound": audio_data_uri(read_audio(work / SENTENCE))}
