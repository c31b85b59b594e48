"""Train an acoustic model on the utterances that it will align, once, and keep it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from wordprint.align.mfa.corpus import Entry, Written, write_corpus
from wordprint.align.mfa.failures import known_failure, last_words
from wordprint.align.mfa.plan import Plan
from wordprint.align.mfa.program import MfaError, run_mfa
from wordprint.align.mfa.shard import MODEL, Setup, usable
from wordprint.align.mfa.work import LOGS, keep_log, work_folder
from wordprint.errors import AlignmentError, DatasetError
from wordprint.stages.manifest import atomic_path
from wordprint.stages.progress import Progress

TRAIN_LOG = "train.log"

_LONGER = 10
"""Times the limit of a shard that training may take."""


def trained_model(plan: Plan, setup: Setup, progress: Progress) -> Path:
    """The model in the output folder, trained first where there is none yet. Raises MfaError when that fails."""
    model = setup.output / MODEL
    if not model.is_file():
        hours = min(plan.seconds / 3600, setup.config.mfa_train_hours)
        progress.say(f"mfa: training an acoustic model on {hours:.1f} h of speech (log: {setup.output / LOGS / TRAIN_LOG})")
        _train(plan, setup, model)
        progress.say(f"mfa: trained → {model}")
    return model


def _train(plan: Plan, setup: Setup, model: Path) -> None:
    log = setup.output / LOGS / TRAIN_LOG
    log.unlink(missing_ok=True)
    with work_folder(setup.output, "train") as work:
        words, language, count = set[str](), "en", 0
        for item in write_corpus(work / "corpus", _usable(plan, setup)):
            if isinstance(item, Written):  # one that can't be read is dropped, and counted, when its shard is aligned
                words.update(item.entry.words)
                language, count = item.entry.utterance.language, count + 1
        if not count:
            raise DatasetError("there is no utterance to train an acoustic model on", remedy="run 'wordprint validate' to see why")
        dictionary, lexicon = setup.dictionary, setup.pronunciations()
        if lexicon:
            dictionary = str(work / "dictionary.dict")
            lexicon.write(Path(dictionary), words, language)
        arguments = ["train", str(work / "corpus"), dictionary, str(work / "trained" / "model.zip")]
        arguments += ["--temporary_directory", str(work / "temporary"), "--clean", "--num_jobs", str(setup.config.mfa_train_jobs)]
        outcome = run_mfa(setup.command, arguments, work, _LONGER * setup.time_limit_s)
        keep_log(work, outcome, log)
        trained = work / "trained" / "model.zip"
        if not zipfile.is_zipfile(trained):  # the exit code says nothing: it is also 1 for what happens after the export
            limit = f"training took longer than {_LONGER} × mfa_time_limit_h = {setup.config.mfa_time_limit_h:g}"
            known = known_failure(outcome.text, setup.command)
            raise known or MfaError(
                limit if outcome.timed_out else f"MFA could not train a model: {last_words(outcome.text) or outcome.code}",
                remedy=f"see {log}",
                reason="mfa_timed_out" if outcome.timed_out else "mfa_failed",
            )
        with atomic_path(model) as temporary:
            os.replace(trained, temporary)


def _usable(plan: Plan, setup: Setup) -> Iterator[Entry]:
    for utterance in plan.sample(3600 * setup.config.mfa_train_hours):
        try:
            yield usable(utterance, setup.config)
        except AlignmentError:  # counted when its shard is aligned
            continue
