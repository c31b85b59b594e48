"""report.html of `align --compare`: figures, and the worst places to listen to and look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wordprint.align.differences import LIMITS_MS, Word, boundary_differences
from wordprint.errors import AudioError
from wordprint.pages.html import number, render
from wordprint.pages.listen import Clip, Filter, Listening, Order, Row
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import read_audio
from wordprint.stages.manifest import read_jsonl

SHOWN = 24
"""Utterances that can be listened to; comparison.json lists more."""
AROUND_S = 0.7
"""What is shown on either side of the word that differs most."""
LONGEST_S = 10.0


def render_report(report: Mapping[str, Any], differences: Path, manifest: Path) -> str:
    """The HTML of comparison.json; `differences` and `manifest` have the words and audio of the worst utterances."""
    worst = {entry["utterance_id"]: entry for entry in report["worst"][:SHOWN]}
    words = {line["utterance_id"]: line["words"] for line in read_jsonl(differences) if line["utterance_id"] in worst}
    spoken = {line["utterance_id"]: Utterance.from_json(line) for line in read_jsonl(manifest) if line["utterance_id"] in worst}
    clips: list[Clip] = []
    rows: list[Row] = []
    for name, entry in worst.items():
        word = words[name][int(np.abs(boundary_differences(words[name])).max(axis=1).argmax())]
        try:
            clips.append(_clip(spoken[name], words[name], word))
        except AudioError:
            continue  # moved since it was aligned; comparison.json still names it
        rows.append(_row(entry, spoken[name], word, len(clips) - 1, report["names"]))
    filters = [Filter("word", "Word", "text"), Filter("speaker", "Speaker", "choice")]
    orders = [Order("mean_ms", "mean difference", descending=True), Order("max_ms", "largest difference", descending=True)]
    listening = Listening(clips, rows, filters, orders, whole="around it")
    return render("align/comparison.html.j2", report=report, limits=LIMITS_MS, listening=listening, gone=len(worst) - len(rows))


def _clip(utterance: Utterance, words: Sequence[Word], word: Word) -> Clip:
    """What lies around the `word` that differs most; the other's words stand where phones would."""
    start_s = max(0.0, min(word[1], word[3]) - AROUND_S)
    end_s = min(utterance.duration_s, max(word[2], word[4]) + AROUND_S, start_s + LONGEST_S)
    samples = read_audio(utterance.audio, utterance.start_s + start_s, utterance.start_s + end_s)
    first, second = ([Interval(w[0], w[n] - start_s, w[n + 1] - start_s) for w in words] for n in (1, 3))
    return Clip(samples, word[1] - start_s, word[2] - start_s, first, second)


def _row(entry: Mapping[str, Any], utterance: Utterance, word: Word, clip: int, names: Sequence[str]) -> Row:
    facts = [
        (names[0], f"{word[1]:.2f}–{word[2]:.2f} s", ""),
        (names[1], f"{word[3]:.2f}–{word[4]:.2f} s", ""),
        ("at most", f"{number(entry['max_ms'])} ms", "bad"),
        ("mean", f"{number(entry['mean_ms'])} ms; {entry['gross']} of {entry['boundaries']} above {LIMITS_MS[-1]} ms", ""),
        ("utterance", utterance.utterance_id, "muted"),
    ]
    values = {"word": word[0], "speaker": utterance.speaker, "mean_ms": entry["mean_ms"], "max_ms": entry["max_ms"]}
    return Row(word[0], [(clip, "", "")], facts, values)
