"""One shard: write MFA's corpus, run it, read its TextGrids; when it crashes, find the recording that it crashed on."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from wordprint.align.base import transcript_words
from wordprint.align.existing import clip, restore_unknown
from wordprint.align.mfa.corpus import Entry, Written, write_corpus
from wordprint.align.mfa.dictionary import Pronunciations
from wordprint.align.mfa.failures import check_phones, known_failure, last_words
from wordprint.align.mfa.plan import Shard
from wordprint.align.mfa.program import Outcome, run_mfa
from wordprint.align.mfa.work import LOGS, keep_log, work_folder
from wordprint.align.options import AlignConfig
from wordprint.align.results import aligned, dropped, require_length
from wordprint.errors import AlignmentError, InputError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.g2p import load_g2p
from wordprint.speech.textgrid import UNKNOWN_WORD, read_textgrid

MODEL = Path("mfa", "model.zip")

_MOST_RUNS = 16
"""Runs that one shard may take in all; halving two thousand utterances down to one takes 23, so a few go with it."""

_SPOKEN_NOISE = "spn"  # the phone of a word without a pronunciation


@dataclass(frozen=True, slots=True)
class Setup:
    """What all shards share; `dictionary` and `acoustic` are names, or absolute paths."""

    command: tuple[str, ...]
    dictionary: str
    acoustic: str
    output: Path
    config: AlignConfig
    lexicon_digest: str = ""

    @property
    def time_limit_s(self) -> float:
        return 3600 * self.config.mfa_time_limit_h

    def pronunciations(self) -> Pronunciations | None:
        """The lexicon, where it is a file of the user's."""
        return _pronunciations(self.config.lexicon, self.config.g2p, self.lexicon_digest) if self.config.lexicon else None


def align_shards(shards: list[Shard], setup: Setup) -> list[dict[str, Any]]:
    """Align shards, writing their TextGrids; one result for each utterance, with its place as `number`."""
    return [result for shard in shards for result in _align(shard, setup)]


def usable(utterance: Utterance, config: AlignConfig) -> Entry:
    """The utterance and its words; raises AlignmentError for one that is not for aligning."""
    require_length(utterance, config.max_duration_s)
    return Entry(utterance, tuple(transcript_words(utterance)))


class _RunError(Exception):
    """A run failed, maybe for a reason of its own."""

    def __init__(self, detail: str, reason: str, culprit: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.reason, self.culprit = detail, reason, culprit


def _align(shard: Shard, setup: Setup) -> list[dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    entries = []
    for _, utterance in shard.utterances:
        try:
            entries.append(usable(utterance, setup.config))
        except AlignmentError as error:
            results[utterance.utterance_id] = dropped(utterance, error)
    log = setup.output / LOGS / f"{shard.index:06d}.log"
    log.unlink(missing_ok=True)  # of a run that was killed
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
            yield from (_failed(entry, failure) for entry in group)
        elif named or len(group) == 1:
            yield from (_failed(entry, failure) for entry in named or group)
            rest = [entry for entry in group if named and entry is not named[0]]
            groups.extend([rest] if rest else [])
        else:
            half = len(group) // 2
            groups.extend([group[:half], group[half:]])


def _failed(entry: Entry, failure: _RunError) -> dict[str, Any]:
    return dropped(entry.utterance, AlignmentError(failure.detail, reason=failure.reason))


def _align_group(group: list[Entry], setup: Setup, log: Path) -> list[dict[str, Any]]:
    """One run of MFA. Raises _RunError, or the WordprintError of a failure that every run would have."""
    results: list[dict[str, Any]] = []
    with work_folder(setup.output, log.stem) as work:
        written: list[Written] = []
        for item in write_corpus(work / "corpus", group):
            if isinstance(item, Written):
                written.append(item)
            else:
                results.append(dropped(*item))
        if not written:
            return results
        words = {word for item in written for word in item.entry.words}
        lexicon = setup.pronunciations()
        dictionary = setup.dictionary
        if lexicon:
            dictionary = str(work / "dictionary.dict")
            lexicon.write(Path(dictionary), words, group[0].utterance.language)
        outcome = run_mfa(setup.command, _arguments(setup, work, dictionary), work, setup.time_limit_s)
        keep_log(work, outcome, log)
        _check(outcome, written, setup, work, log)
        read = Reader(work / "aligned", setup, lexicon.missing(words) if lexicon else set())
        found = [read.result(item) for item in written]
        heard = [word not in result["oov"] for item, result in zip(written, found, strict=True) if "oov" in result
                 for word in item.entry.words]  # fmt: skip
        check_phones(outcome.text, sum(len(item.entry.words) for item in written), sum(heard))
        return results + found


def _arguments(setup: Setup, work: Path, dictionary: str) -> list[str]:
    # the temporary directory must be an absolute path: MFA links files in it by the path that it was given
    config = setup.config
    arguments = ["align", str(work / "corpus"), dictionary, setup.acoustic, str(work / "aligned")]
    arguments += ["--temporary_directory", str(work / "temporary"), "--clean", "--num_jobs", "1"]
    # MFA's clean-up joins words at apostrophes by their spelling: 'tell' and "'em" would come back as one
    arguments += ["--output_format", "long_textgrid", "--no_tokenization", "--no_textgrid_cleanup"]
    for option, value in (("--beam", config.mfa_beam), ("--retry_beam", config.mfa_retry_beam)):
        arguments += [option, str(value)] if value is not None else []
    return arguments


def _check(outcome: Outcome, written: list[Written], setup: Setup, work: Path, log: Path) -> None:
    """Raise where a run failed; that it found no alignment for any utterance is no failure."""
    where = f"log: {log.relative_to(setup.output).as_posix()}"
    if outcome.timed_out:
        limit_h = setup.config.mfa_time_limit_h
        raise _RunError(f"MFA took longer than mfa_time_limit_h = {limit_h:g}; {where}", "mfa_timed_out")
    if outcome.code == 0 or "Done! Everything took" in outcome.text or "no successful alignments" in outcome.text:
        return
    known = known_failure(outcome.text, setup.command)
    if known:
        raise known
    said = last_words(outcome.text).replace(str(work), "").replace(str(work.resolve()), "")
    error = last_words(outcome.text, len(outcome.text))
    detail = f"MFA was killed by signal {-outcome.code}" if outcome.code < 0 else f"MFA failed: {said}"
    named = {item.entry.utterance.utterance_id for item in written if re.search(rf"{re.escape(item.name)}(?![\w-])", error)}
    raise _RunError(f"{detail}; {where}", "mfa_failed", named.pop() if len(named) == 1 else None)


class Reader:
    """Reads what a run of MFA wrote."""

    def __init__(self, folder: Path, setup: Setup, guessed: set[str]) -> None:
        self._folder, self._setup, self._guessed = folder, setup, guessed
        self._goodness = read_goodness(folder / "alignment_analysis.csv")

    def result(self, item: Written) -> dict[str, Any]:
        utterance = item.entry.utterance
        try:
            alignment = self._alignment(item, utterance)
        except AlignmentError as error:
            return dropped(utterance, error)
        return aligned(utterance, alignment, item.duration_s, self._setup.output)

    def _alignment(self, item: Written, utterance: Utterance) -> Alignment:
        path = self._folder / f"{item.name}.TextGrid"
        if not path.is_file():
            raise AlignmentError(
                "MFA found no alignment", remedy="check the transcript, or widen the search with mfa_retry_beam", reason="unaligned"
            )
        try:
            found = read_textgrid(path, utterance.utterance_id)
            joined = join_clitics(clip(path.name, found.words, utterance), item.entry.words)
            found_words = restore_unknown(joined, utterance)
        except InputError as error:
            raise AlignmentError(error.seen.replace(str(self._folder), ""), reason=error.reason) from error
        if not found_words:
            raise AlignmentError("MFA's TextGrid has no words", reason="unaligned")
        known = [word.symbol for word in found_words if word.symbol != UNKNOWN_WORD]
        if sum(symbol in item.entry.words for symbol in known) < len(known) / 2:
            # MFA pairs the words and phones of its files by counting: one file without either would shift all that follow
            raise AlignmentError("MFA's TextGrid has other words than the transcript", reason="textgrid_mismatch")
        phones = clip(path.name, found.phones, utterance)
        oov = {word.symbol for word in found_words if word.symbol in self._guessed or _unknown(word, phones)}
        return replace(
            found,
            words=found_words,
            phones=phones if self._setup.config.phones else (),
            goodness=self._goodness.get(path.stem),
            oov=tuple(sorted(oov - {UNKNOWN_WORD})),
        )


def join_clitics(found: Sequence[Interval], words: Sequence[str]) -> tuple[Interval, ...]:
    """Put together what MFA split at an apostrophe (`l'` `homme`), unless it is the next of the transcript's `words`."""
    joined: list[Interval] = []
    for interval in found:
        apart = not joined or not (joined[-1].symbol.endswith("'") or interval.symbol.startswith("'"))
        if apart or interval.symbol in words[len(joined) : len(joined) + 1]:
            joined.append(interval)
        else:
            joined[-1] = replace(joined[-1], symbol=joined[-1].symbol + interval.symbol, end_s=interval.end_s)
    return tuple(joined)


def read_goodness(path: Path) -> dict[str, float]:
    """Log likelihood by file name from MFA's `alignment_analysis.csv`: the mean over the phones of the speech, or where that
    is missing the mean over all frames."""
    if not path.is_file():
        return {}
    goodness = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = row.get("speech_log_likelihood") or row.get("overall_log_likelihood")
            if value:
                goodness[row.get("file", "")] = round(float(value), 3)
    return goodness


def _unknown(word: Interval, phones: Sequence[Interval]) -> bool:
    """Whether MFA had no pronunciation for a word, or for its part before or after an apostrophe: that is one phone of noise."""
    noise = (phone for phone in phones if phone.symbol == _SPOKEN_NOISE)
    return any(word.start_s <= (phone.start_s + phone.end_s) / 2 < word.end_s for phone in noise)


@lru_cache(maxsize=1)
def _pronunciations(path: Path, g2p: str, digest: str) -> Pronunciations:
    """One lexicon per process; `digest`: a file that changed is read again."""
    return Pronunciations(path, partial(load_g2p, g2p))
