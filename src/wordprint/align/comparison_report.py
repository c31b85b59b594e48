"""report.html of `align --compare`: figures, tables, and the worst places to listen to and look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wordprint.align.comparison_tally import LIMITS_MS, Word, boundary_differences
from wordprint.errors import AudioError
from wordprint.pages import html
from wordprint.records import Utterance
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.stages.manifest import read_jsonl

if TYPE_CHECKING:
    from markupsafe import Markup

SHOWN = 12
"""Utterances that can be looked at; comparison.json lists more."""
ROWS = 30
"""Speakers in the table."""
AROUND_S = 0.7
"""What is shown on either side of the word that differs most."""
LONGEST_S = 10.0

_WINDOW, _HOP, _TOP_HZ = 400, 80, 8000  # 25 ms and 5 ms
_RANGE_DB = 60.0


@dataclass(frozen=True)
class _Place:
    """The stretch `[start_s, end_s)` of an utterance around `word`, which differs most."""

    utterance: Utterance
    words: Sequence[Word]
    word: Word
    start_s: float
    end_s: float


def render_report(report: Mapping[str, Any], differences: Path, manifest: Path) -> str:
    """The HTML of comparison.json; `differences` and `manifest` have the words and audio of the worst utterances."""
    wanted = [entry["utterance_id"] for entry in report["worst"][:SHOWN]]
    words = {record["utterance_id"]: record["words"] for record in read_jsonl(differences) if record["utterance_id"] in wanted}
    found = {
        record["utterance_id"]: _place(Utterance.from_json(record), words[record["utterance_id"]])
        for record in read_jsonl(manifest)
        if record["utterance_id"] in words
    }
    return html.render(
        "align/comparison.html.j2",
        report=report,
        limits=LIMITS_MS,
        tables=_tables(report),
        histogram=_histogram(report),
        worst=[_example(entry, found[entry["utterance_id"]], report["names"]) for entry in report["worst"][:SHOWN]],
    )


def _tables(report: Mapping[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    """Rows of the tables, as text."""
    kinds = [("starts and ends", report["all"]), ("starts", report["starts"]), ("ends", report["ends"])]
    return {
        "kinds": [_row(name, row) for name, row in kinds],
        "places": [_row(row["place"], row) for row in report["by_place"] if row["boundaries"]],
        "letters": [_row(row["letters"], row) for row in report["by_letters"] if row["boundaries"]],
        "speakers": [
            (
                row["speaker"],
                html.number(row["utterances"]),
                html.number(row["boundaries"]),
                html.number(row["mean_ms"], 1),
                html.percent(row["gross"]),
            )
            for row in report["by_speaker"][:ROWS]
        ],
    }


def _row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    sizes = (html.number(row["median_ms"], 1), html.number(row["mean_ms"], 1), _signed(row["bias_ms"]))
    return (name, html.number(row["boundaries"]), *sizes, *(html.percent(row[f"within_{limit}_ms"]) for limit in LIMITS_MS))


def _signed(value_ms: float) -> str:
    return ("+" if value_ms > 0 else "") + html.number(value_ms, 1)


def _histogram(report: Mapping[str, Any]) -> Markup:
    figure, axes = html.new_figure(f"{report['names'][0]} earlier  ←  difference (ms)  →  later", "boundaries", 10.4, 3.0)
    edges = np.array(report["histogram"]["edges_ms"], np.float64)
    width = edges[1] - edges[0]
    for number, name in enumerate(("starts", "ends")):
        counts = report["histogram"][name]
        axes.bar(edges[:-1] + number * width / 2, counts, width * 0.44, align="edge", color=html.SERIES[number], label=name)
    axes.axvline(0, color=html.INK, linewidth=1, linestyle="--")
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, labelcolor=html.INK, fontsize=9)
    return html.figure_svg(figure, "Differences of word boundaries")


def _place(utterance: Utterance, words: Sequence[Word]) -> _Place:
    word = words[int(np.abs(boundary_differences(words)).max(axis=1).argmax())]
    start_s = max(0.0, min(word[1], word[3]) - AROUND_S)
    end_s = min(utterance.duration_s, max(word[2], word[4]) + AROUND_S, start_s + LONGEST_S)
    return _Place(utterance, words, word, start_s, end_s)


def _example(entry: Mapping[str, Any], place: _Place, names: Sequence[str]) -> dict[str, Any]:
    """An utterance with the two times of the word that differs most, a picture and a player."""
    utterance, (symbol, *times) = place.utterance, place.word[:5]
    sound = picture = None
    try:
        samples = read_audio(utterance.audio, utterance.start_s + place.start_s, utterance.start_s + place.end_s)
        sound, picture = html.audio_data_uri(samples), _picture(place, samples, names)
    except AudioError:
        pass  # moved since it was aligned; the table still says where the two differ
    return {**entry, "word": symbol, "times": [f"{time_s:.2f}" for time_s in times], "sound": sound, "picture": picture,
            "transcript": utterance.transcript, "stretch": f"{place.start_s:.2f}–{place.end_s:.2f} s"}  # fmt: skip


def _picture(place: _Place, samples: NDArray[np.float32], names: Sequence[str]) -> Markup:
    """Spectrogram with the first's words above it and the other's below, each with its boundaries."""
    from matplotlib.patches import Rectangle

    figure, axes = html.new_figure("seconds from the start of the utterance", "", 10.4, 2.9)
    levels_db = spectrogram_db(samples)
    span = (place.start_s, place.start_s + len(samples) / SAMPLE_RATE)
    # the middle of the figure is the spectrogram, 0.25–0.75; words are in strips above and below
    axes.imshow(levels_db, aspect="auto", origin="lower", extent=(*span, 0.25, 0.75), cmap="Greys", vmin=-_RANGE_DB, vmax=0)
    for number, (strip, reach) in enumerate((((0.75, 1.0), (0.5, 0.75)), ((0.0, 0.25), (0.25, 0.5)))):
        colour = html.SERIES[number]
        for word in place.words:
            start_s, end_s = max(word[1 + 2 * number], span[0]), min(word[2 + 2 * number], span[1])
            if start_s >= end_s:
                continue
            chosen = word is place.word
            alpha = 0.45 if chosen else 0.13
            axes.add_patch(Rectangle((start_s, strip[0]), end_s - start_s, 0.25, color=colour, alpha=alpha, linewidth=0))
            axes.vlines((start_s, end_s), *reach, colors=colour, linewidth=2.2 if chosen else 1.1)
            middle_s, weight = (start_s + end_s) / 2, "bold" if chosen else "normal"
            room = (end_s - start_s) / (span[1] - span[0])
            if chosen or room > 0.0105 * len(word[0]):
                axes.text(middle_s, sum(strip) / 2, word[0], ha="center", va="center", fontsize=9, color=html.INK, weight=weight)
    axes.set_xlim(*span)
    axes.set_ylim(0, 1)
    axes.set_yticks((0.125, 0.875), (names[1], names[0]))
    axes.grid(visible=False)
    return html.figure_svg(figure, f"{place.utterance.utterance_id} around “{place.word[0]}”")


def spectrogram_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frequencies, frames) of `samples` (N,): dB below the strongest."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: len(samples) : _HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), 512)) ** 2
    return np.asarray(10 * np.log10(np.maximum(power.T / max(float(power.max()), 1e-20), 10 ** (-_RANGE_DB / 10))))
