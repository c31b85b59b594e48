"""Stage `validate`: look at every recording and transcript before anything expensive, and say what is wrong.

Writes `utterances.jsonl` (those worth aligning), `problems.jsonl` (every finding, with what to do), `words.jsonl` (word
types with counts and speakers), `report.json` and `report.html`. Which findings drop an utterance is in
`validate/findings.py`; the options `drop` and `keep` move them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from wordprint.errors import InputError, MissingExtraError
from wordprint.records import Utterance
from wordprint.speech.lexicon import Lexicon
from wordprint.speech.text import base_language
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.disk_table import Table
from wordprint.stages.manifest import (
    UTTERANCES,
    atomic_write,
    digest_value,
    read_utterances,
    resolve,
    to_line,
    write_json,
    write_jsonl,
    write_text,
)
from wordprint.stages.receipt import Receipt
from wordprint.validate.findings import Finding, Problems, examine
from wordprint.validate.options import ValidateConfig
from wordprint.validate.reasons import Severity, severities
from wordprint.validate.report import build_report, render_report, summary_lines
from wordprint.validate.tally import Tally

PROBLEMS, WORDS, REPORT_JSON, REPORT_HTML = "problems.jsonl", "words.jsonl", "report.json", "report.html"

FEW_OOV_WORDS = 10
"""A corpus with fewer words outside the lexicon is about these words (names, made-up keywords), not in another language."""

SHARD_SIZE = 128
"""Utterances per unit of work: about ten minutes of speech, a second or two of decoding."""


def validate(
    utterances: str | Path,
    output: str | Path,
    config: ValidateConfig = ValidateConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Check the utterances of a manifest (or of the folder that `prepare` wrote) and report into `output`.

    Raises InputError for a manifest without utterances and for a corpus in another language than its lexicon (its reports are
    written), ConfigError for a reason that doesn't exist or a shortest duration above the longest; a bad utterance is never
    fatal, nor is a corpus that later stages will refuse (one speaker, one word, nothing left): it is reported.
    """
    chosen = severities(config.drop, config.keep)
    if config.lexicon is not None:
        Lexicon.read(config.lexicon)  # a fault in it is told before hours of work
    manifest = resolve(utterances, UTTERANCES, "prepare")
    inputs = {"utterances": manifest} | ({"lexicon": config.lexicon} if config.lexicon else {})

    def work(stage: StageRun) -> Receipt:
        total = sum(1 for _ in read_utterances(manifest))
        if not total:
            raise InputError(f"{manifest} holds no utterances", remedy="run 'wordprint prepare' on a corpus with transcripts")
        results = stage.map_shards(
            "validate",
            read_utterances(manifest),
            partial(examine, config=config),
            shard_size=SHARD_SIZE,
            total=total,
            unit="utterances",
        )
        with Table() as ids, Table() as recordings, atomic_write(stage.output / PROBLEMS) as problems:
            run = _Run(stage, config, chosen, ids, recordings)
            with atomic_write(stage.output / UTTERANCES) as kept:
                for utterance, result in zip(read_utterances(manifest), results, strict=True):
                    found = run.judge(utterance, result)
                    problems.writelines(to_line(finding.to_json()) for finding in found)
                    if all(finding.severity != "drop" for finding in found):
                        kept.write(to_line(utterance.to_json()))
            words, found = run.judge_corpus()
            problems.writelines(to_line(finding.to_json()) for finding in found)
        return run.finish(words)

    return run_stage("validate", work, output, config, inputs, **how)


class _Run:
    """One validation in progress: what was found so far."""

    def __init__(
        self, stage: StageRun, config: ValidateConfig, severity: dict[str, Severity], ids: Table, recordings: Table
    ) -> None:
        self.stage, self.config, self.ids = stage, config, ids
        self.recordings = recordings
        """Digest of the words and id of a kept utterance, by the digest of its samples."""
        self.tally, self.problems = Tally(), Problems(severity)

    def judge(self, utterance: Utterance, result: dict[str, Any]) -> list[Finding]:
        """Findings of one utterance; it is kept when none of them drops it."""
        found = [(reason, detail) for reason, detail in result["findings"]]
        words, digest = digest_value(result["words"]), result["digest"]
        if not self.ids.add(utterance.utterance_id):
            found.append(("duplicate_id", "an earlier utterance has the same id"))
        if digest is not None and (earlier := self.recordings.get(digest)):
            other_words, other = earlier.split(" ", 1)
            found.append(("duplicate_utterance" if words == other_words else "duplicate_audio", f"as in {other}"))
        findings = self.problems.add(found, utterance)
        dropping = next((finding for finding in findings if finding.severity == "drop"), None)
        if dropping:
            self.stage.drop(utterance.utterance_id, dropping.reason, dropping.detail)
        elif digest is not None:
            self.recordings.add(digest, f"{words} {utterance.utterance_id}")
        self.tally.add(utterance, result, kept=not dropping)
        return findings

    def judge_corpus(self) -> tuple[list[dict[str, Any]], list[Finding]]:
        """The table of words, and findings about the corpus as a whole."""
        lexicons, unchecked = _lexicons({language for language, _ in self.tally.words}, self.config.lexicon)
        words = self.tally.word_table(lexicons)
        return words, self.problems.add(_corpus_findings(self.tally, words, self.config, unchecked))

    def finish(self, words: list[dict[str, Any]]) -> Receipt:
        """Write the tables and reports, show the summary, and write the receipt."""
        output, tally, problems = self.stage.output, self.tally, self.problems
        write_jsonl(output / WORDS, words)
        report = build_report(tally, words, problems, self.stage.dropped.counts, self.config)
        write_json(output / REPORT_JSON, report)
        write_text(output / REPORT_HTML, render_report(report, tally, words, problems))
        for line in summary_lines(report):
            self.stage.progress.say(line)
        details = {
            "reported": {row["reason"]: row["count"] for row in report["problems"] if row["severity"] != "drop"},
            "hours": report["hours"],
            "speakers": tally.kept_speakers,
            "words": report["words"],
        }
        _require_language(words, self.config)
        files = [UTTERANCES, PROBLEMS, WORDS, REPORT_JSON, REPORT_HTML]
        return self.stage.finish(total=tally.seen, kept=tally.kept, outputs=files, details=details)


def _lexicons(languages: set[str], path: Path | None) -> tuple[dict[str, Lexicon | None], dict[str, str]]:
    """A lexicon for each language that has one, and why the others have none."""
    lexicons: dict[str, Lexicon | None] = dict.fromkeys(languages)
    if path is not None:
        return dict.fromkeys(languages, Lexicon.read(path)), {}
    unchecked = {language: "no lexicon comes with wordprint" for language in languages if base_language(language) != "en"}
    english = languages - unchecked.keys()
    if english:
        try:
            lexicons.update(dict.fromkeys(english, Lexicon.bundled()))
        except MissingExtraError as error:
            unchecked.update(dict.fromkeys(english, str(error)))
    return lexicons, unchecked


def _require_language(words: list[dict[str, Any]], config: ValidateConfig) -> None:
    """Raise InputError where so many words of a language are in no lexicon that it must be another language."""
    for language in sorted({word["language"] for word in words if word["in_lexicon"] is not None}):
        said = [word for word in words if word["language"] == language]
        oov = [word for word in said if not word["in_lexicon"]]
        tokens, missing = (sum(word["count"] for word in some) for some in (said, oov))
        if missing <= config.max_oov_share * tokens or len(oov) < FEW_OOV_WORDS:
            continue
        raise InputError(
            f"{100 * missing / tokens:.1f} % of the words in language '{language}' ({missing} of {tokens} tokens) are not in "
            f"{config.lexicon or 'the English lexicon'}, such as {', '.join(word['word'] for word in oov[:5])}",
            expected=f"at most {100 * config.max_oov_share:g} %: the corpus seems to be in another language than its lexicon",
            remedy="name its language with --language of 'prepare' and its dictionary with --lexicon, and align it with "
            "--aligner mfa; if language and lexicon are right, go on with --max-oov-share 1",
        )


def _corpus_findings(
    tally: Tally, words: list[dict[str, Any]], config: ValidateConfig, unchecked: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """(reason, detail) of what is wrong with the corpus as a whole."""
    if not tally.kept:
        yield "nothing_kept", f"all of the {tally.seen} utterances were dropped"
        return
    if tally.kept_speakers == 1:
        yield "one_speaker", f"all of the {tally.kept} utterances are by one speaker"
    if len(words) == 1:
        yield "one_word", f"“{words[0]['word']}” is the only word"
    count = tally.word_summary(words, config.min_speakers_per_word)
    if rare := count["few_speakers"]:
        yield "few_speakers", f"{rare} of {len(words)} words have fewer than {config.min_speakers_per_word} speakers"
    if types := count["oov_types"]:
        share = f"{count['oov_tokens']} of {tally.tokens} tokens ({100 * count['oov_tokens'] / tally.tokens:.1f} %)"
        yield "oov_words", f"{types} words, {share}"
    for language, why in sorted(unchecked.items()):
        yield "no_lexicon", f"language '{language}': {why}"
