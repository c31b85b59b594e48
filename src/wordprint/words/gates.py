"""What decides, besides the rules that a segment itself must meet, whether its utterance or its place can be trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wordprint.align.second import index_textgrids, textgrid_folder
from wordprint.errors import InputError
from wordprint.records import Alignment
from wordprint.stages.contract import PARTS, StageRun
from wordprint.stages.manifest import resolve
from wordprint.words.agreement import Agreement
from wordprint.words.cut import LISTED, Marks, Rules
from wordprint.words.options import WordsConfig

CALIBRATION = "calibration"
LOW_UTTERANCE = "low_utterance_goodness"


def gate_inputs(alignments: Path, config: WordsConfig) -> dict[str, Path]:
    """Files and folders that the gates depend on, besides the alignments, by the name that a receipt gives them."""
    inputs = {f"drop {path}": path for path in config.drop}
    if config.second_alignments is not None:
        inputs["second_alignments"] = textgrid_folder(config.second_alignments)
    calibration = _calibration(alignments, config)
    return inputs | ({"calibration": calibration} if calibration else {})


def with_gates(stage: StageRun, rules: Rules, alignments: Path) -> Rules:
    """The rules with the calibrated threshold, and with the second alignments ready to be looked up."""
    config = rules.config
    if calibration := _calibration(alignments, config):
        rules = replace(rules, min_goodness=_threshold(calibration))
        stage.progress.say(f"min_goodness: {rules.min_goodness} (calibrated)")
    if config.second_alignments is not None and config.require_agreement is not None:
        folder, index = textgrid_folder(config.second_alignments), stage.output / PARTS / "textgrids.sqlite"
        index_textgrids(folder, index)
        rules = replace(rules, agreement=Agreement(folder, index, stage.inputs["second_alignments"], config.require_agreement))
    return rules


def marks_of(record: Mapping[str, Any], alignment: Alignment, rules: Rules) -> Marks:
    """What the gates say about a line of alignments.jsonl."""
    listed = record.get("listed", ())
    least, goodness = rules.config.min_utterance_goodness, record.get("goodness")
    low = least is not None and goodness is not None and goodness < least
    return Marks(
        utterance=LISTED if listed is None else LOW_UTTERANCE if low else "",
        words=rules.agreement.doubts(record, alignment) if rules.agreement else (),
        listed=frozenset((start, end) for start, end in listed or ()),
    )


def _calibration(alignments: Path, config: WordsConfig) -> Path | None:
    """The calibration to take the threshold from; raises InputError for one that was stopped half-way."""
    folder = alignments / CALIBRATION
    if config.min_goodness != "calibrated" or not folder.is_dir():
        return None
    return resolve(folder, "calibration.json", "align --calibrate")


def _threshold(calibration: Path) -> float | None:
    try:
        found = json.loads(calibration.read_text(encoding="utf-8"))["words"]["threshold"]
        return None if found is None else float(found)
    except (ValueError, KeyError, TypeError) as error:
        remedy = "run 'wordprint align --calibrate' again, with --overwrite"
        raise InputError(f"{calibration} is damaged ({error})", remedy=remedy) from error
