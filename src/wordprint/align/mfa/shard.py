"""One shard: run MFA on it; when that crashes, find the recording that it crashed on."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from wordprint.align.mfa.corpus import Entry
from wordprint.align.mfa.failures import check_phones, known_failure, last_words
from wordprint.align.mfa.plan import Shard
from wordprint.align.mfa.program import Outcome
from wordprint.align.mfa.reader import Reader
from wordprint.align.mfa.run import LOGS, Run, Setup, open_run, usable
from wordprint.align.rows import dropped
from wordprint.errors import AlignmentError

_MOST_RUNS = 16
"""Runs that one shard may take in all; halving two thousand utterances down to one takes 23, so a few go with it."""


def align_shards(shards: list[Shard], setup: Setup) -> list[dict[str, Any]]:
    """Align shards, writing their TextGrids; one result for each utterance, with its place as `number`."""
    return [result for shard in shards for result in _align(shard, setup)]


class _RunError(AlignmentError):
    """A run failed, maybe for a reason of its own."""

    def __init__(self, detail: str, reason: str, culprit: str | None = None) -> None:
        super().__init__(detail, reason=reason)
        self.culprit = culprit


def _align(shard: Shard, setup: Setup) -> list[dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    entries = []
    for _, utterance in shard.utterances:
        try:
            entries.append(usable(utterance, setup.config))
        except AlignmentError as error:
            results[utterance.utterance_id] = dropped(utterance, error)
    log = f"{shard.index:06d}.log"
    (setup.output / LOGS / log).unlink(missing_ok=True)  # of a run that was killed
    for result in _in_groups(entries, partial(_align_group, setup=setup, log=log)):
        results[result["dropped"] if "dropped" in result else result["utterance_id"]] = result
    return [{**results[utterance.utterance_id], "number": number} for number, utterance in shard.utterances]


def _in_groups(entries: Sequence[Entry], align: Callable[[list[Entry]], list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Align all entries in one run; if it fails, again without the one that MFA names, or in halves, and so on.

    What fails to the end is dropped, and all that is left when both halves fail: then it is not one recording.
    """
    groups = deque([list(entries)] if entries else [])
    runs = unnamed = 0
    aligned_some = False
    while groups:
        group = groups.popleft()
        runs += 1
        try:
            yield from align(group)
            aligned_some = True
            continue
        except _RunError as error:
            failure = error
        named = [entry for entry in group if entry.utterance.utterance_id == failure.culprit]
        unnamed += not named
        if failure.reason != "mfa_failed" or runs >= _MOST_RUNS or (unnamed >= 3 and not aligned_some):
            group.extend(entry for other in groups for entry in other)
            groups.clear()
            yield from (dropped(entry.utterance, failure) for entry in group)
        elif named or len(group) == 1:
            yield from (dropped(entry.utterance, failure) for entry in named or group)
            rest = [entry for entry in group if named and entry is not named[0]]
            groups.extend([rest] if rest else [])
        else:
            half = len(group) // 2
            groups.extend([group[:half], group[half:]])


def _align_group(group: list[Entry], setup: Setup, log: str) -> list[dict[str, Any]]:
    """One run of MFA. Raises _RunError, or the WordprintError of a failure that every run would have."""
    with open_run(setup, log, group) as run:
        results = [dropped(*item) for item in run.unreadable]
        if not run.written:
            return results
        folder = run.work / "aligned"
        outcome = run.mfa("align", setup.acoustic, str(folder), options=_options(setup), time_limit_s=setup.time_limit_s)
        _check(outcome, run, setup)
        lexicon = setup.pronunciations()
        read = Reader(folder, setup, lexicon.missing(run.words) if lexicon else set())
        found = [read.result(item) for item in run.written]
        heard = [word not in result["oov"] for item, result in zip(run.written, found, strict=True) if "oov" in result
                 for word in item.entry.words]  # fmt: skip
        check_phones(outcome.text, sum(len(item.entry.words) for item in run.written), sum(heard))
        return results + found


def _options(setup: Setup) -> list[str]:
    # MFA's clean-up joins words at apostrophes by their spelling: 'tell' and "'em" would come back as one
    options = ["--output_format", "long_textgrid", "--no_tokenization", "--no_textgrid_cleanup"]
    for option, value in (("--beam", setup.config.mfa_beam), ("--retry_beam", setup.config.mfa_retry_beam)):
        options += [option, str(value)] if value is not None else []
    return options


def _check(outcome: Outcome, run: Run, setup: Setup) -> None:
    """Raise where a run failed; that it found no alignment for any utterance is no failure."""
    where = f"log: {run.log.relative_to(setup.output).as_posix()}"
    if outcome.timed_out:
        limit_h = setup.config.mfa_time_limit_h
        raise _RunError(f"MFA took longer than mfa_time_limit_h = {limit_h:g}; {where}", "mfa_timed_out")
    if outcome.code == 0 or "Done! Everything took" in outcome.text or "no successful alignments" in outcome.text:
        return
    known = known_failure(outcome.text, setup.command)
    if known:
        raise known
    said = last_words(outcome.text).replace(str(run.work), "").replace(str(run.work.resolve()), "")
    error = last_words(outcome.text, len(outcome.text))
    detail = f"MFA was killed by signal {-outcome.code}" if outcome.code < 0 else f"MFA failed: {said}"
    named = {item.entry.utterance.utterance_id for item in run.written if re.search(rf"{re.escape(item.name)}(?![\w-])", error)}
    raise _RunError(f"{detail}; {where}", "mfa_failed", named.pop() if len(named) == 1 else None)
