"""What `align` keeps of an utterance: its TextGrid and its line of `alignments.jsonl`, or why it was dropped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from wordprint.errors import AlignmentError, InputError
from wordprint.records import Alignment, Utterance
from wordprint.speech.textgrid import write_textgrid

TEXTGRIDS = "textgrids"


def aligned(utterance: Utterance, alignment: Alignment, duration_s: float, output: Path) -> dict[str, Any]:
    """Write the TextGrid under `output`; returns the line. `duration_s` is how much audio there was."""
    textgrid = Path(TEXTGRIDS, folder_name(utterance.speaker), f"{utterance.utterance_id}.TextGrid")
    write_textgrid(output / textgrid, alignment, duration_s)
    return {
        **utterance.to_json(),
        "textgrid": textgrid.as_posix(),
        "goodness": alignment.goodness,
        "word_goodness": [word.goodness for word in alignment.words],
        "oov": list(alignment.oov),
    }


def dropped(utterance: Utterance, error: InputError) -> dict[str, Any]:
    """What stands in the place of a line for an utterance that can't be aligned."""
    return {"dropped": utterance.utterance_id, "reason": error.reason, "detail": str(error)}


def require_length(utterance: Utterance, max_duration_s: float) -> None:
    """Raise AlignmentError for an utterance that is too long."""
    if utterance.duration_s > max_duration_s:
        raise AlignmentError(f"{utterance.duration_s:.0f} s are more than max_duration_s = {max_duration_s:g}", reason="too_long")


def folder_name(name: str) -> str:
    """A speaker's name as that of a folder."""
    return re.sub(r"[/\\\0]", "_", name).lstrip(".") or "_"
