"""`mfa validate`: what MFA finds in a corpus before it aligns it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from wordprint.align.mfa.corpus import Entry, Written, write_corpus
from wordprint.align.mfa.dictionary import Pronunciations
from wordprint.align.mfa.failures import known_failure, last_words
from wordprint.align.mfa.models import dictionary_name, model_file, require_model
from wordprint.align.mfa.program import START_LIMIT_S, Outcome, mfa_version, run_mfa, split_command
from wordprint.align.mfa.work import LOGS, WORK, keep_log, work_folder
from wordprint.errors import ConfigError
from wordprint.records import Utterance
from wordprint.speech.g2p import RuleG2P
from wordprint.speech.text import normalise
from wordprint.stages.manifest import write_text
from wordprint.validate.options import ValidateConfig

OOVS = Path("mfa", "oov_counts.txt")

_NAMED = 10
_FILES = (
    ("sound_file_errors.csv", "mfa_unreadable"),
    ("missing_features.csv", "mfa_unreadable"),
    ("missing_transcriptions.csv", "mfa_untranscribed"),
)


class MfaCheck:
    """`mfa validate` on the kept utterances. Raises WordprintError, when it is made, where MFA or the dictionary is missing."""

    def __init__(self, config: ValidateConfig, languages: Collection[str], output: Path) -> None:
        if config.lexicon and config.mfa_dictionary:
            raise ConfigError("both lexicon and mfa_dictionary are set", expected="one of them")
        if config.mfa_time_limit_h <= 0:
            raise ConfigError(f"mfa_time_limit_h is {config.mfa_time_limit_h:g}", expected="a number above 0")
        self._config, self._output = config, output.resolve()
        self._command = split_command(config.mfa_command)
        mfa_version(self._command, START_LIMIT_S)
        self._dictionary = None if config.lexicon else dictionary_name(languages, config.mfa_dictionary)
        if self._dictionary is not None:
            path = model_file(self._dictionary)
            self._dictionary = str(path) if path else self._dictionary
            if not path:
                require_model(self._command, "dictionary", self._dictionary, START_LIMIT_S)

    def findings(self, utterances: Iterable[Utterance]) -> list[tuple[str, str]]:
        """(reason, detail) of what MFA reports; the words that it has no pronunciation for are in OOVS."""
        log = self._output / LOGS / "validate.log"
        log.unlink(missing_ok=True)
        shutil.rmtree(self._output / WORK, ignore_errors=True)  # of a run that was killed
        try:
            return self._run(utterances, log)
        finally:
            shutil.rmtree(self._output / WORK, ignore_errors=True)

    def _run(self, utterances: Iterable[Utterance], log: Path) -> list[tuple[str, str]]:
        with work_folder(self._output, "validate") as work:
            entries = (Entry(utterance, tuple(normalise(utterance.transcript, utterance.language))) for utterance in utterances)
            # what can't be read was dropped before: nothing is left to say about it
            if not sum(isinstance(item, Written) for item in write_corpus(work / "corpus", entries)):
                return []
            dictionary = self._dictionary
            if self._config.lexicon:
                dictionary = str(work / "dictionary.dict")
                Pronunciations(self._config.lexicon, RuleG2P).write(Path(dictionary))
            arguments = ["validate", str(work / "corpus"), str(dictionary), "--ignore_acoustics", "--clean", "--num_jobs", "1"]
            arguments += ["--temporary_directory", str(work / "temporary"), "--output_directory", str(work / "found")]
            outcome = run_mfa(self._command, arguments, work, 3600 * self._config.mfa_time_limit_h)
            keep_log(work, outcome, log)
            if outcome.code and (known := known_failure(outcome.text, self._command)):
                raise known
            return [*self._failure(outcome, work), *self._oovs(work / "found"), *_listed(work / "found")]

    def _failure(self, outcome: Outcome, work: Path) -> list[tuple[str, str]]:
        if outcome.timed_out:
            return [("mfa_failed", f"'mfa validate' took longer than mfa_time_limit_h = {self._config.mfa_time_limit_h:g}")]
        said = last_words(outcome.text).replace(str(work), "")
        return [("mfa_failed", f"{said or outcome.code} (log: {(LOGS / 'validate.log').as_posix()})")] if outcome.code else []

    def _oovs(self, folder: Path) -> list[tuple[str, str]]:
        """From the lists that MFA wrote: the counts on its terminal are of letters in 3.4.3."""
        counts = read_oov_counts(folder)
        if not counts:
            return []
        write_text(self._output / OOVS, "".join(f"{word}\t{count}\n" for word, count in counts.items()))
        words = ", ".join(f"{word} ({count})" for word, count in list(counts.items())[:_NAMED])
        more = f", … (all in {OOVS.as_posix()})" if len(counts) > _NAMED else ""
        return [("mfa_oov_words", f"{len(counts)} words, {sum(counts.values())} tokens: {words}{more}")]


def read_oov_counts(folder: Path) -> dict[str, int]:
    """Words without a pronunciation and how often each was said, the commonest first."""
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("oov_counts_*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            word, _, count = line.partition("\t")
            if word and count.strip().isdigit():
                counts[word] += int(count)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _listed(folder: Path) -> Iterable[tuple[str, str]]:
    """Files that MFA listed as unreadable or without a transcript."""
    for name, reason in _FILES:
        path = folder / name
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        names = [Path(line.split(",")[0]).name for line in lines if line.strip()]
        if names:
            more = ", …" if len(names) > _NAMED else ""
            yield reason, f"{len(names)} recordings: {', '.join(names[:_NAMED])}{more}"
