"""The page of a measurement in streams: misses against false alarms, a table per keyword, and what went wrong to listen to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.stream_build import Entry, render_entry
from wordprint.evaluate.stream_figures import Heard
from wordprint.evaluate.stream_running import JOINED_S
from wordprint.evaluate.stream_scores import RATES, miss_rate, shared_threshold
from wordprint.pages.html import INK, SERIES, figure_svg, new_figure, number, render
from wordprint.pages.listen import Clip, Filter, Listening, Order, Row, Value
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.manifest import write_text

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "evaluate/stream.html.j2"
LISTEN_RATE = 1.0
"""False alarms per hour and keyword at whose shared threshold errors are played."""
AROUND_S = 0.6
"""Audio played on either side of what is marked."""
ALARM_S = 1.0
"""Audio before the answer that is marked as a false alarm."""


@dataclass(frozen=True)
class Mistake:
    """A false alarm or a miss, at `[start, end)` of the stream, in how many of the draws it happened."""

    kind: str
    keyword: str
    start: int
    end: int
    score: float
    draws: int


def write_report(path: Path, metrics: dict[str, Any], heard: Sequence[Heard], config: EvaluateConfig) -> None:
    """Write report.html from what metrics.json holds and the streams behind it."""
    rows: list[Row] = []
    clips: list[Clip] = []
    for one in heard:
        for mistake in false_alarms(one)[: config.players] + misses(one)[: config.players]:
            rows.append(_row(one, mistake, len(clips)))
            clips.append(_clip(one, mistake, config.stream_snr_db))
    filters = [Filter("kind", "Error", "choice"), Filter("stream", "Stream", "choice"), Filter("keyword", "Keyword", "text")]
    orders = [
        Order("place", "as found, worst first"),
        Order("score", "score, highest first", descending=True),
        Order("draws", "in most draws", descending=True),
    ]
    values: dict[str, Any] = {
        "listening": Listening(clips, rows, filters, orders, "with what is around it"),
        "metrics": metrics,
        "plot": _plot(heard),
        "overview": [row for stream in metrics["streams"] for row in _overview(stream)],
        "tables": [(stream, _keyword_rows(stream)) for stream in metrics["streams"]],
        "rates": [f"{rate:g}" for rate in RATES],
        "joined_s": JOINED_S,
    }
    write_text(path, render(TEMPLATE, **values))


def false_alarms(heard: Heard) -> list[Mistake]:
    """What the live code detects in the background at the shared threshold, the highest score first; one in several draws once."""
    bar = shared_threshold(heard.trials, LISTEN_RATE)
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for trial, one in zip(heard.trials, heard.decided([bar] * len(heard.trials), range(len(heard.trials))), strict=True):
        found[trial.keyword] += zip(one.ends[one.false].tolist(), one.similarities[one.false].tolist(), strict=True)
    mistakes = []
    for keyword, alarms in found.items():
        while alarms:
            at, score = max(alarms, key=lambda alarm: alarm[1])
            same = [alarm for alarm in alarms if abs(alarm[0] - at) <= heard.looks.refractory_samples]
            alarms = [alarm for alarm in alarms if alarm not in same]
            mistakes.append(Mistake("false alarm", keyword, at - round(ALARM_S * SAMPLE_RATE), at, score, len(same)))
    return sorted(mistakes, key=lambda mistake: (-mistake.score, mistake.keyword, mistake.start))


def misses(heard: Heard) -> list[Mistake]:
    """Times a keyword is said that the live code misses at the shared threshold, those missed in most draws first."""
    bar = shared_threshold(heard.trials, LISTEN_RATE)
    missed: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for trial, one in zip(heard.trials, heard.decided([bar] * len(heard.trials), range(len(heard.trials))), strict=True):
        for place in np.flatnonzero(~one.found).tolist():
            start, end = trial.spoken[place].tolist()
            missed[trial.keyword, start, end].append(float(trial.hits[place]))
    mistakes = [Mistake("miss", *where, max(scores), len(scores)) for where, scores in missed.items()]
    return sorted(mistakes, key=lambda mistake: (-mistake.draws, mistake.score, mistake.keyword, mistake.start))


def _entry(heard: Heard, mistake: Mistake) -> Entry:
    """The entry in which the mistake ends (of a miss: begins)."""
    at = mistake.start if mistake.kind == "miss" else mistake.end - 1
    placed = next((s for s in heard.segments.values() if s.start <= at < s.end), None)
    last = max(heard.segments.values(), key=lambda segment: segment.end)
    wanted = (placed or last).number
    return next(entry for session in heard.sessions for entry in session if entry.number == wanted)


def _row(heard: Heard, mistake: Mistake, clip: int) -> Row:
    item = _entry(heard, mistake).item
    text = item.keyword or item.text
    facts = [
        ("", mistake.kind, "bad"),
        ("stream", heard.name, ""),
        ("said", text or "transcript not known", ""),
        ("score", number(mistake.score, 3) if np.isfinite(mistake.score) else "–", ""),
        ("draws", f"{mistake.draws} of {heard.draws}", ""),
        ("from", f"{item.name}, {mistake.start / SAMPLE_RATE:.1f}\u00a0s of the stream", "muted"),
    ]
    values: dict[str, Value] = {
        "kind": mistake.kind,
        "stream": heard.name,
        "keyword": mistake.keyword,
        "draws": float(mistake.draws),
        "score": mistake.score if np.isfinite(mistake.score) else None,
        "place": float(clip),
    }
    return Row(mistake.keyword, [(clip, "", "")], facts, values)


def _clip(heard: Heard, mistake: Mistake, snr_db: float) -> Clip:
    """What was heard there, babble and all, within the one recording."""
    entry = _entry(heard, mistake)
    segment = heard.segments[entry.number]
    piece = render_entry(entry, heard.babble, snr_db)
    start, end = (min(max(at - segment.start, 0), len(piece)) for at in (mistake.start, mistake.end))
    low, high = max(0, start - round(AROUND_S * SAMPLE_RATE)), min(len(piece), end + round(AROUND_S * SAMPLE_RATE))
    shift_s = (segment.audio_start - segment.start - low) / SAMPLE_RATE
    words = [Interval(word.symbol, word.start_s + shift_s, word.end_s + shift_s) for word in entry.item.words]
    return Clip(piece[low:high], (start - low) / SAMPLE_RATE, (end - low) / SAMPLE_RATE, words)


def curve(heard: Heard) -> tuple[list[float], list[float]]:
    """Misses at rates of false alarms per hour from what one false alarm in all hours is to 20, with one threshold."""
    hours = sum(trial.hours for trial in heard.trials)
    rates = np.geomspace(max(0.02, 1 / hours), 20.0, 60).tolist()
    bars = [shared_threshold(heard.trials, rate) for rate in rates]
    return rates, [miss_rate(heard.trials, [bar] * len(heard.trials)) for bar in bars]


def _plot(heard: Sequence[Heard]) -> Markup:
    figure, axes = new_figure("False alarms per hour and keyword", "Missed (%)", width_in=7.4, height_in=4.2)
    kinds = list(dict.fromkeys(one.material.kind for one in heard))
    for one in heard:
        rates, missed = curve(one)
        style = "--" if one.babble is not None else "-"
        colour = SERIES[kinds.index(one.material.kind)]
        axes.plot(rates, [100 * share for share in missed], style, color=colour, linewidth=1.7, label=one.name)
    axes.set_xscale("log")
    axes.set_ylim(0, 100)
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure_svg(figure, "Misses against false alarms per hour")


def _overview(stream: dict[str, Any]) -> list[list[str]]:
    """The row of a stream, and where words are said inside sentences another of these alone."""
    points, draws = stream["shared"], stream["draws"]
    at = next(point for point in points if point["rate"] == LISTEN_RATE)
    hours, spoken = number(stream["background"]["hours"], 2), f"{number(stream['spoken'])} × {draws}"
    rows = [[stream["name"], spoken, f"{hours} h", *(_missed(point["missed"]) for point in points), _delay(at)]]
    if inside := at["missed_inside_sentences"]:
        cells = [_missed(point["missed_inside_sentences"]) for point in points]
        rows.append(["… inside sentences", f"{number(inside['spoken'])} × {draws}", "", *cells, ""])
    return rows


def _keyword_rows(stream: dict[str, Any]) -> list[list[str]]:
    rows = []
    for entry in stream["keywords"]:
        at = {point["rate"]: point for point in entry["shared"]}[LISTEN_RATE]
        alarms = at["false_alarms"]
        rate = f"{alarms['text']} ({number(alarms['low'], 1)}–{number(alarms['high'], 1)})"
        rows.append([entry["keyword"], number(entry["spoken"]), *(_missed(point["missed"]) for point in entry["shared"]), rate,
                     _delay(at), *(_missed(point["missed"]) for point in entry["own"])])  # fmt: skip
    return rows


def _delay(point: dict[str, Any]) -> str:
    delay_s = point["decided"]["median_delay_s"]
    return "–" if delay_s is None else f"{number(delay_s, 2)} s"


def _missed(missed: dict[str, float]) -> str:
    return f"{100 * missed['value']:.0f} ({100 * missed['low']:.0f}–{100 * missed['high']:.0f})"
