"""What `validate` shows: report.json for programs, report.html for people, a short table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wordprint.errors import AudioError
from wordprint.pages import html
from wordprint.records import Utterance
from wordprint.speech.audio import read_audio
from wordprint.stages.receipt import config_to_json
from wordprint.validate.findings import Finding, Problems
from wordprint.validate.options import ValidateConfig
from wordprint.validate.reasons import REASONS
from wordprint.validate.tally import Tally

if TYPE_CHECKING:
    from markupsafe import Markup

SCHEMA = "wordprint.validate/1"

BINS = 40
"""Bars of the histograms of duration and level."""

SHOWN = 200
"""Rows of a table in the HTML report; report.json and words.jsonl have all."""

_OOV_KEYS = ("word", "language", "count", "speakers")

PLAYED_S = 6.0
"""Seconds of an example that the HTML report carries."""


def build_report(
    tally: Tally, words: Sequence[Mapping[str, Any]], problems: Problems, dropped: Mapping[str, int], config: ValidateConfig
) -> dict[str, Any]:
    """The content of report.json; `words` is `tally.word_table(…)`, `dropped` counts utterances by the reason that dropped them."""
    return {
        "schema": SCHEMA,
        "config": config_to_json(config),
        "counts": {"in": tally.seen, "kept": tally.kept, "dropped": {slug: dropped[slug] for slug in REASONS if slug in dropped}},
        "hours": {"in": round(tally.seen_s / 3600, 5), "kept": round(tally.kept_s / 3600, 5)},
        "problems": _problem_rows(problems),
        "durations_s": _distribution(tally.durations_s),
        "levels_db": _distribution(tally.levels_db),
        "sample_rates": {str(rate): count for rate, count in sorted(tally.sample_rates.items())},
        "channels": {str(count): utterances for count, utterances in sorted(tally.channels.items())},
        "speakers": tally.speaker_table(),
        "words": tally.word_summary(words, config.min_speakers_per_word),
        "oov": [{key: word[key] for key in _OOV_KEYS} for word in words if word["in_lexicon"] is False],
        "unknown_characters": dict(sorted(tally.unknown_characters.items(), key=lambda pair: (-pair[1], pair[0]))),
        "noise_marks": dict(sorted(tally.noise_marks.items(), key=lambda pair: (-pair[1], pair[0]))),
    }


def _problem_rows(problems: Problems) -> list[dict[str, Any]]:
    return [
        {
            "reason": slug,
            "severity": problems.severity[slug],
            "count": problems.counts[slug],
            "title": REASONS[slug].title,
            "what_to_do": REASONS[slug].remedy,
            "examples": [{"utterance_id": found.utterance_id, "detail": found.detail} for found, _ in problems.examples[slug]],
        }
        for slug in REASONS
        if problems.counts[slug]
    ]


def _distribution(tally: Mapping[float, int]) -> dict[str, Any] | None:
    """Extremes, mean, percentiles and a histogram of values that occur so many times; None without values."""
    if not tally:
        return None
    data, times = (np.array(column, np.float64) for column in zip(*sorted(tally.items()), strict=True))
    before = np.cumsum(times)
    places = np.array([0.05, 0.5, 0.95]) * (before[-1] - 1)  # of the percentiles in the sorted values, between two of them
    lower, upper = (data[np.searchsorted(before, place, side="right")] for place in (np.floor(places), np.ceil(places)))
    p05, median, p95 = lower + (upper - lower) * (places % 1)
    lowest, highest, mean = data[0], data[-1], np.average(data, weights=times)
    # the longest of a hundred thousand utterances must not squeeze the others into one bar: the last bar holds the tail
    bins = np.histogram(data, BINS, (lowest, max(min(highest, 4 * p95 - 3 * median), lowest)), weights=times)
    counts, edges = bins[0].astype(np.int64), bins[1]
    counts[-1] += int(times[data > edges[-1]].sum())
    figures = {"min": lowest, "p05": p05, "median": median, "mean": mean, "p95": p95, "max": highest}
    return {
        **{name: round(float(value), 4) for name, value in figures.items()},
        "histogram": {"edges": [round(float(edge), 5) for edge in edges], "counts": counts.tolist()},
    }


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The compact table for the terminal."""
    counts, hours, words = report["counts"], report["hours"], report["words"]
    speakers = sum(speaker["kept"] > 0 for speaker in report["speakers"])
    unchecked = words["unchecked_types"]
    outside = [f"{words['oov_types']:,} not in the lexicon"] * (unchecked < words["types"] or not unchecked)
    outside += [f"{unchecked:,} in languages without one"] * bool(unchecked)
    lines = [
        f"kept     {counts['kept']:>8,} of {counts['in']:,} utterances, {hours['kept']:.2f} of {hours['in']:.2f} h",
        f"speakers {speakers:>8,}",
        f"words    {words['tokens']:>8,} tokens of {words['types']:,} words, {', '.join(outside)}",
    ]
    rows = report["problems"]
    width = max((len(row["reason"]) for row in rows), default=0)
    for row in rows:
        first = row["examples"][0]
        where = f"{first['utterance_id']}: " if first["utterance_id"] else ""
        lines.append(f"{row['severity']:<8} {row['count']:>8,}  {row['reason']:<{width}}  {where}{first['detail']}")
    return lines


def render_report(report: Mapping[str, Any], tally: Tally, words: Sequence[Mapping[str, Any]], problems: Problems) -> str:
    """The HTML of the report."""
    return html.render(
        "validate/report.html.j2",
        report=report,
        shown=SHOWN,
        kept_speakers=tally.kept_speakers,
        figures=_figures(report, words),
        tables=_tables(report),
        examples={slug: [_example(*found) for found in problems.examples[slug]] for slug in problems.examples},
    )


def _tables(report: Mapping[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    """Rows of the tables, as text."""
    count = html.number
    return {
        "sample_rates": [(f"{count(int(rate))} Hz", count(n)) for rate, n in report["sample_rates"].items()],
        "channels": [(f"{name} channel{'s' * (name != '1')}", count(n)) for name, n in report["channels"].items()],
        "speakers": [
            (
                row["speaker"],
                count(row["kept"]),
                count(row["utterances"] - row["kept"]),
                count(60 * row["hours"], 1),
                count(row["words"]),
            )
            for row in report["speakers"][:SHOWN]
        ],
        "oov": [(row["word"], row["language"], count(row["count"]), count(row["speakers"])) for row in report["oov"][:SHOWN]],
        "characters": [(sign, f"U+{ord(sign):04X}", count(n)) for sign, n in list(report["unknown_characters"].items())[:SHOWN]],
        "noise": [(mark, count(n)) for mark, n in list(report["noise_marks"].items())[:SHOWN]],
    }


def _example(finding: Finding, utterance: Utterance | None) -> dict[str, Any]:
    """Id, detail and transcript of an example, with a player where there is sound."""
    sound = None
    if utterance is not None:
        try:
            end_s = min(utterance.end_s, utterance.start_s + PLAYED_S)
            sound = html.audio_data_uri(read_audio(utterance.audio, utterance.start_s, end_s))
        except AudioError:
            pass  # that is what the finding is about
    return {
        "name": finding.utterance_id,
        "detail": finding.detail,
        "transcript": (utterance.transcript or "").strip() if utterance and "“" not in finding.detail else "",
        "sound": sound,
    }


def _figures(report: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    figures = {}
    if report["durations_s"]:
        figures["durations"] = _histogram(report["durations_s"], "duration (s)", "Utterances by duration")
    if report["levels_db"]:
        figures["levels"] = _histogram(report["levels_db"], "level (dB of full scale)", "Utterances by level")
    if report["counts"]["kept"]:
        figures["speakers"] = _speaker_bars(report["speakers"])
        figures["words"] = _doubling_bars([word["count"] for word in words], "tokens of the word", "Words by count", 1)
        figures["word_speakers"] = _doubling_bars(
            [word["speakers"] for word in words], "speakers of the word", "Words by number of speakers", 2
        )
    return figures


def _histogram(distribution: Mapping[str, Any], x_label: str, title: str) -> Markup:
    figure, axes = html.new_figure(x_label, "utterances")
    edges, counts = distribution["histogram"]["edges"], distribution["histogram"]["counts"]
    axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.92, align="edge", color=html.SERIES[0])
    median = distribution["median"]
    axes.axvline(median, color=html.INK, linewidth=1, linestyle="--")
    label = f"\N{NO-BREAK SPACE}median {html.number(median, 1)}"
    axes.text(median, 0.98, label, transform=axes.get_xaxis_transform(), color=html.INK, fontsize=9, va="top")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(top=1.14 * max(counts))
    return html.figure_svg(figure, title)


def _speaker_bars(speakers: Sequence[Mapping[str, Any]]) -> Markup:
    minutes = [60 * speaker["hours"] for speaker in speakers if speaker["kept"]]
    figure, axes = html.new_figure("speakers, the one with most audio first", "minutes")
    if len(minutes) <= 30:
        axes.bar(range(len(minutes)), minutes, width=0.8, color=html.SERIES[0])
        named = len(minutes) <= 12
        names = [speaker["speaker"] for speaker in speakers if speaker["kept"]] if named else []
        # the ends of long ones, which differ: Common Voice's would leave no room for the bars
        names = [name if len(name) <= 16 else f"…{name[-15:]}" for name in names]
        axes.set_xticks(range(len(names)), names, rotation=30 if sum(map(len, names)) > 40 else 0)
    else:
        axes.fill_between(np.arange(len(minutes) + 1), [*minutes, minutes[-1]], step="post", color=html.SERIES[0], linewidth=0)
        axes.set_xlim(0, len(minutes))
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    return html.figure_svg(figure, "Audio per speaker")


def _doubling_bars(values: Sequence[int], label: str, title: str, colour: int) -> Markup:
    """Number of words for 1, 2, 3–4, 5–8, … of something."""
    bins = np.ceil(np.log2(np.maximum(values, 1))).astype(int)
    counts = np.bincount(bins)
    names = ["1", "2", *(f"{2 ** (k - 1) + 1}–{2**k}" for k in range(2, len(counts)))][: len(counts)]
    figure, axes = html.new_figure(label, "words")
    bars = axes.bar(range(len(counts)), counts, width=0.8, color=html.SERIES[colour])
    axes.bar_label(bars, [f"{count:,}" if count else "" for count in counts], color=html.INK, fontsize=8.5, padding=2)
    axes.set_xticks(range(len(counts)), names, rotation=30 if len(names) > 8 else 0)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
    return html.figure_svg(figure, title)
