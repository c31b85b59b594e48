"""Stage `align --compare`: where two sets of alignments of the same utterances differ. Neither is taken for true.

Writes a folder of its own inside that of `align`, `compare-NAME/`, which no later stage reads: `comparison.json`,
`differences.jsonl` (one line per utterance that both have) and `report.html`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wordprint.align.compare import match_words
from wordprint.align.comparison_report import render_report
from wordprint.align.comparison_tally import Tally
from wordprint.align.existing import restore_unknown
from wordprint.align.second import SecondAlignments, index_textgrids, open_second, textgrid_folder
from wordprint.errors import DatasetError, InputError
from wordprint.records import Interval, Utterance
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.cluster import Cluster
from wordprint.stages.contract import PARTS, StageRun, open_stage
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve, write_json, write_jsonl, write_text
from wordprint.stages.progress import Progress
from wordprint.stages.receipt import RECEIPT, Receipt, read_receipt

SCHEMA = "wordprint.comparison/1"
COMPARISON, DIFFERENCES, REPORT = "comparison.json", "differences.jsonl", "report.html"

_SHARD_SIZE = 256  # utterances: about a second of reading TextGrids


@dataclass(frozen=True)
class _Options:
    """None: what is compared are the inputs."""


def compare_alignments(
    alignments: str | Path,
    other: str | Path,
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Compare the words of `alignments`, a folder that `align` wrote, with those of `other`: such a folder, or one of TextGrids.

    Writes `ALIGNMENTS/compare-NAME/`, NAME being that of the folder `other`. Utterances that only one of them has are dropped
    by reason. Raises DatasetError when they have no word in common.
    """
    manifest = resolve(alignments, ALIGNMENTS, "align")
    second = textgrid_folder(other)
    output = manifest.parent / f"compare-{Path(other).resolve().name}"
    inputs = {"alignments": manifest, "textgrids": manifest.parent / "textgrids", "other": second}
    with open_stage("compare", output, _Options(), inputs, overwrite=overwrite, progress=progress) as stage:
        return stage.receipt or _compare(stage, manifest, Path(other), second, workers)


def _compare(stage: StageRun, manifest: Path, other: Path, second: Path, workers: int | Cluster) -> Receipt:
    index = stage.output / PARTS / "textgrids.sqlite"
    index_textgrids(second, index)
    results = stage.map_shards(
        "compare",
        read_jsonl(manifest),
        partial(compare_shard, folder=manifest.parent, second=second, index=index, run=stage.inputs["other"]),
        shard_size=_SHARD_SIZE,
        workers=workers,
        total=sum(1 for _ in read_jsonl(manifest)),
        unit="utterances",
    )
    tally, marks = Tally(), SecondAlignments(second, index)
    kept = write_jsonl(stage.output / DIFFERENCES, _keep(stage, results, tally, marks))
    if not tally.words:
        first = stage.dropped.first
        raise DatasetError(
            f"{manifest.parent} and {other} have no word in common",
            expected="alignments of the same utterances",
            remedy=f"the first that was looked for, {first}" if first else "",
        )
    for path in marks.unmarked():
        stage.drop(path, "not_in_first_alignment")
    report = {
        "schema": SCHEMA,
        "names": [_name(manifest.parent), _name(other)],
        "utterances": {"compared": kept, "left_out": dict(sorted(stage.dropped.counts.items()))},
        **tally.to_json(),
    }
    write_json(stage.output / COMPARISON, report)
    write_text(stage.output / REPORT, render_report(report, stage.output / DIFFERENCES, manifest))
    for line in summary_lines(report):
        stage.progress.say(line)
    total = kept + stage.dropped.counts.total()
    files = [COMPARISON, DIFFERENCES, REPORT]
    return stage.finish(total=total, kept=kept, outputs=files, details={"all": report["all"], "words": report["words"]})


def compare_shard(records: Sequence[Mapping[str, Any]], folder: Path, second: Path, index: Path, run: str) -> list[dict[str, Any]]:
    """Lines of differences.jsonl, or a reason, for some lines of alignments.jsonl."""
    found = open_second(second, index, run)
    return [_compare_one(Utterance.from_json(dict(record)), folder / record["textgrid"], found) for record in records]


def _compare_one(utterance: Utterance, textgrid: Path, second: SecondAlignments) -> dict[str, Any]:
    path = None
    try:
        path = second.find(utterance)
        first = restore_unknown(read_textgrid(textgrid, utterance.utterance_id).words, utterance)
        other = second.words(utterance, path)
    except InputError as error:
        return {"dropped": utterance.utterance_id, "reason": error.reason, "detail": str(error), "other_textgrid": path}
    pairs = match_words(first, other)
    ours, theirs = ({pair[side] for pair in pairs} for side in (0, 1))
    return {
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "words": [_pair(first, i, other[j]) for i, j in pairs],
        "only_first": [word.symbol for place, word in enumerate(first) if place not in ours],
        "only_second": [word.symbol for place, word in enumerate(other) if place not in theirs],
        "other_textgrid": path,
    }


def _pair(first: Sequence[Interval], place: int, other: Interval) -> list[Any]:
    """A `comparison_tally.Word`."""
    word = first[place]
    after_word = place > 0 and first[place - 1].end_s == word.start_s
    before_word = place + 1 < len(first) and first[place + 1].start_s == word.end_s
    times = [round(time_s, 4) for time_s in (word.start_s, word.end_s, other.start_s, other.end_s)]
    return [word.symbol, *times, after_word, before_word]


def _keep(stage: StageRun, results: Iterable[dict[str, Any]], tally: Tally, marks: SecondAlignments) -> Iterator[dict[str, Any]]:
    """Lines of differences.jsonl; what only one of the two has is dropped by reason."""
    for result in results:
        if result["other_textgrid"] is not None:
            marks.mark(result["other_textgrid"])
        if "dropped" in result:
            stage.drop(result["dropped"], result["reason"], result["detail"])
        else:
            tally.add(result)
            yield result


def _name(folder: Path) -> str:
    """What people know a set of alignments by: its folder's name, and its aligner where a receipt tells."""
    name = folder.resolve().name
    return f"{name} ({read_receipt(folder).config['aligner']})" if (folder / RECEIPT).is_file() else name


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The compact table for the terminal."""
    words, compared = report["words"], report["utterances"]["compared"]
    unmatched = f", {words['unmatched']:,} without a counterpart" if words["unmatched"] else ""
    lines = [f"compared {compared:>7,} utterances, {words['matched']:,} words{unmatched}"]
    for name in ("all", "starts", "ends"):
        row = report[name]
        lines.append(
            f"{name:<8} median {row['median_ms']:5.1f} ms, mean {row['mean_ms']:5.1f}, bias {row['bias_ms']:+6.1f}; "
            f"within 20 ms {row['within_20_ms']:6.1%}, 50 ms {row['within_50_ms']:6.1%}, 100 ms {row['within_100_ms']:6.1%}"
        )
    worst = report["worst"][0]
    lines.append(f"worst    {worst['utterance_id']}: mean {worst['mean_ms']:.0f} ms, at most {worst['max_ms']:.0f} ms")
    return lines
