"""Stage `align --compare`: where two sets of alignments of the same utterances differ. Neither is taken for true.

Writes a folder of its own inside that of `align`, `compare-NAME/`, which no later stage reads: `comparison.json`,
`differences.jsonl` (one line per utterance that both have) and `report.html`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from wordprint.align.comparison_report import render_report
from wordprint.align.differences import LIMITS_MS, summarise
from wordprint.align.lookup import NO_TEXTGRID, TextGrids, process_textgrids, textgrid_folder, textgrid_paths
from wordprint.align.rows import TEXTGRIDS, dropped
from wordprint.align.textgrids import clip, read_for, restore_unknown
from wordprint.errors import DatasetError, InputError
from wordprint.records import Interval, Utterance
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.disk_table import Table
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve, write_json, write_jsonl, write_text
from wordprint.stages.receipt import RECEIPT, Receipt, read_receipt

SCHEMA = "wordprint.comparison/2"
COMPARISON, DIFFERENCES, REPORT = "comparison.json", "differences.jsonl", "report.html"
ONLY_FIRST, ONLY_SECOND = "not_in_second_alignment", "not_in_first_alignment"
"""Reasons of what only one of the two has."""

_SHARD_SIZE = 256  # utterances: about a second of reading TextGrids


@dataclass(frozen=True)
class _Options:
    """None: what is compared are the inputs."""


def compare_alignments(alignments: str | Path, other: str | Path, **how: Unpack[HowToRun]) -> Receipt:
    """Compare the words of `alignments`, a folder that `align` wrote, with those of `other`: such a folder, or one of TextGrids.

    Writes `ALIGNMENTS/compare-NAME/`, NAME being that of the folder `other`. Utterances that only one of them has are dropped
    by reason. Raises InputError where both are the same, DatasetError when they have no word in common.
    """
    manifest, second = resolve(alignments, ALIGNMENTS, "align"), textgrid_folder(Path(other))
    folder = manifest.parent
    if second.resolve() == (folder / TEXTGRIDS).resolve():
        raise InputError(f"{other} is compared with itself", expected="another set of alignments of the same utterances")
    output = folder / f"compare-{Path(other).resolve().name}"
    inputs = {"alignments": manifest, "textgrids": folder / TEXTGRIDS, "other": second}

    def work(stage: StageRun) -> Receipt:
        results = stage.map_shards(
            "compare",
            read_jsonl(manifest),
            partial(compare_shard, folder=folder, second=second, digest=stage.inputs["other"]),
            shard_size=_SHARD_SIZE,
            total=sum(1 for _ in read_jsonl(manifest)),
            unit="utterances",
        )
        kept = write_jsonl(stage.output / DIFFERENCES, _keep(stage, results, second))
        found = summarise(read_jsonl(stage.output / DIFFERENCES))
        if not found["words"]["matched"]:
            first = stage.dropped.first
            raise DatasetError(
                f"{folder} and {other} have no word in common",
                expected="alignments of the same utterances",
                remedy=f"the first that was looked for, {first}" if first else "",
            )
        left_out = dict(sorted(stage.dropped.counts.items()))
        names = [_name(folder), _name(Path(other))]
        report = {"schema": SCHEMA, "names": names, "utterances": {"compared": kept, "left_out": left_out}, **found}
        write_json(stage.output / COMPARISON, report)
        write_text(stage.output / REPORT, render_report(report, stage.output / DIFFERENCES, manifest))
        for line in summary_lines(report):
            stage.progress.say(line)
        details = {"all": report["all"], "words": report["words"]}
        return stage.finish(kept + sum(left_out.values()), kept, [COMPARISON, DIFFERENCES, REPORT], details)

    return run_stage("compare", work, output, _Options(), inputs, **how)


def compare_shard(records: Sequence[dict[str, Any]], folder: Path, second: Path, digest: str) -> list[dict[str, Any]]:
    """Lines of differences.jsonl, or a reason, for some lines of alignments.jsonl."""
    textgrids = process_textgrids(second, digest)
    return [_compare(Utterance.from_json(record), folder / record["textgrid"], textgrids) for record in records]


def match_words(first: Sequence[Interval], second: Sequence[Interval]) -> list[tuple[int, int]]:
    """Places, in each of the two, of words with the same symbol, in order."""
    matcher = SequenceMatcher(None, [word.symbol for word in first], [word.symbol for word in second], autojunk=False)
    return [(i + k, j + k) for i, j, size in matcher.get_matching_blocks() for k in range(size)]


def _compare(utterance: Utterance, textgrid: Path, second: TextGrids) -> dict[str, Any]:
    path = None
    try:
        path = second.find(utterance)
        first = restore_unknown(read_textgrid(textgrid, utterance.utterance_id).words, utterance)
        there = read_for(second.folder / path, utterance).words
        other = restore_unknown(clip(path, there, utterance), utterance)
    except InputError as error:
        reason = ONLY_FIRST if path is None and error.reason == NO_TEXTGRID else error.reason
        return {**dropped(utterance, error), "reason": reason, "other_textgrid": _printable(path)}
    pairs = match_words(first, other)
    ours, theirs = ({pair[side] for pair in pairs} for side in (0, 1))
    return {
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "words": [_word(first[i], other[j]) for i, j in pairs],
        "only_first": [word.symbol for place, word in enumerate(first) if place not in ours],
        "only_second": [word.symbol for place, word in enumerate(other) if place not in theirs],
        "other_textgrid": _printable(path),
    }


def _word(first: Interval, second: Interval) -> list[Any]:
    """A `differences.Word`."""
    return [first.symbol, *(round(time_s, 4) for time_s in (first.start_s, first.end_s, second.start_s, second.end_s))]


def _keep(stage: StageRun, results: Iterable[dict[str, Any]], second: Path) -> Iterator[dict[str, Any]]:
    """Lines of differences.jsonl; what only one of the two has is dropped by reason."""
    with Table() as found:
        for result in results:
            found.add(result["other_textgrid"] or "")
            if "dropped" in result:
                stage.drop(result["dropped"], result["reason"], result["detail"])
            else:
                yield result
        for path in map(_printable, textgrid_paths(second)):
            if path and found.add(path):
                stage.drop(path, ONLY_SECOND)


def _printable(path: str | None) -> str | None:
    """A path as JSON takes it: names may be no UTF-8."""
    return None if path is None else path.encode(errors="replace").decode()


def _name(folder: Path) -> str:
    """What people know a set of alignments by: its folder's name, and its aligner where a receipt tells."""
    name = folder.resolve().name
    return f"{name} ({read_receipt(folder).config['aligner']})" if (folder / RECEIPT).is_file() else name


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The compact table for the terminal."""
    words, worst = report["words"], report["worst"][0]
    counted = f"{report['utterances']['compared']:,} utterances, {words['matched']:,} words"
    lines = [f"compared {counted}, {words['unmatched']:,} without a counterpart"]
    for name in ("all", "starts", "ends"):
        row = report[name]
        sizes = f"{name:<8} median {row['median_ms']:5.1f} ms, mean {row['mean_ms']:5.1f}, bias {row['bias_ms']:+6.1f}; "
        lines.append(sizes + ", ".join(f"within {limit} ms {row[f'within_{limit}_ms']:6.1%}" for limit in LIMITS_MS))
    return [*lines, f"worst    {worst['utterance_id']}: mean {worst['mean_ms']:.0f} ms, at most {worst['max_ms']:.0f} ms"]
