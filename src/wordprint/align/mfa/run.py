"""One run of MFA: its corpus and dictionary in a folder that is gone when it ends, and its log, which stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from wordprint.align.base import transcript_words
from wordprint.align.mfa.corpus import Entry, Written, write_corpus
from wordprint.align.mfa.dictionary import Pronunciations
from wordprint.align.mfa.program import Outcome, run_mfa
from wordprint.align.options import AlignConfig
from wordprint.align.rows import require_length
from wordprint.errors import AudioError
from wordprint.records import Utterance
from wordprint.speech.g2p import load_g2p

WORK = ".mfa"
"""Folder of runs in progress, in the stage's output: a container that sees the output sees them too."""

LOGS = Path("mfa", "logs")
"""Beside a stage's results."""

_OWN_LOG_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Setup:
    """What all runs share; `dictionary` and `acoustic` are names, or absolute paths."""

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


def usable(utterance: Utterance, config: AlignConfig) -> Entry:
    """The utterance and its words; raises AlignmentError for one that is not for aligning."""
    require_length(utterance, config.max_duration_s)
    return Entry(utterance, tuple(transcript_words(utterance)))


class Run:
    """A corpus folder, in `work`, of what could be `written`; `log` is where what MFA prints is added."""

    def __init__(self, setup: Setup, work: Path, log: Path, entries: Iterable[Entry]) -> None:
        self.work, self.log, self._setup = work, log, setup
        self.written: list[Written] = []
        self.unreadable: list[tuple[Utterance, AudioError]] = []
        for item in write_corpus(work / "corpus", entries):
            if isinstance(item, Written):
                self.written.append(item)
            else:
                self.unreadable.append(item)
        self.words = {word for item in self.written for word in item.entry.words}

    def mfa(self, command: str, *arguments: str, options: Sequence[str] = (), jobs: int = 1, time_limit_s: float) -> Outcome:
        """Run `mfa COMMAND CORPUS DICTIONARY ARGUMENTS OPTIONS` to its end."""
        dictionary, lexicon = self._setup.dictionary, self._setup.pronunciations()
        if lexicon:
            dictionary = str(self.work / "dictionary.dict")
            lexicon.write(Path(dictionary), self.words, self.written[0].entry.utterance.language)
        # the temporary directory must be an absolute path: MFA links files in it by the path that it was given
        own = ["--temporary_directory", str(self.work / "temporary"), "--clean", "--num_jobs", str(jobs)]
        line = [command, str(self.work / "corpus"), dictionary, *arguments, *own, *options]
        outcome = run_mfa(self._setup.command, line, self.work, time_limit_s)
        self._keep_log(outcome)
        return outcome

    def _keep_log(self, outcome: Outcome) -> None:
        """Keep what the run printed and, if it failed, the end of the log that MFA itself wrote."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(outcome.text)
            ended = "stopped after the time limit" if outcome.timed_out else f"exit code {outcome.code}"
            file.write(f"--- {ended}\n")
            for own in sorted((self.work / "temporary").glob("*/*.log")) if outcome.code else ():
                file.write(f"--- {own.name}, written by MFA\n")
                file.write(own.read_bytes()[-_OWN_LOG_BYTES:].decode("utf-8", "replace"))


@contextmanager
def open_run(setup: Setup, log: str, entries: Iterable[Entry]) -> Iterator[Run]:
    """A run on `entries`, with a folder of its own until the block ends; `log` is the name of its log."""
    (setup.output / WORK).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{Path(log).stem}-", dir=setup.output / WORK))
    try:
        yield Run(setup, work, setup.output / LOGS / log, entries)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@lru_cache(maxsize=1)
def _pronunciations(path: Path, g2p: str, digest: str) -> Pronunciations:
    """One lexicon per process; `digest`: a file that changed is read again."""
    return Pronunciations(path, partial(load_g2p, g2p))
