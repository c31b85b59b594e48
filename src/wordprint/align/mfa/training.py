"""Train an acoustic model on the utterances that it will align, once, and keep it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from wordprint.align.mfa.corpus import Entry
from wordprint.align.mfa.failures import known_failure, last_words
from wordprint.align.mfa.plan import Plan
from wordprint.align.mfa.program import MfaError
from wordprint.align.mfa.run import LOGS, Setup, open_run, usable
from wordprint.errors import AlignmentError, DatasetError
from wordprint.stages.manifest import atomic_path
from wordprint.stages.progress import Progress

MODEL = Path("mfa", "model.zip")
TRAIN_LOG = "train.log"

_LONGER = 10
"""Times the limit of a shard that training may take."""


def trained_model(plan: Plan, setup: Setup, progress: Progress) -> Path:
    """The model in the output folder, trained first where there is none yet. Raises MfaError when that fails."""
    model = setup.output / MODEL
    if not model.is_file():
        hours, log = min(plan.seconds / 3600, setup.config.mfa_train_hours), setup.output / LOGS / TRAIN_LOG
        progress.say(f"mfa: training an acoustic model on {hours:.1f} h of speech (log: {log})")
        log.unlink(missing_ok=True)
        _train(plan, setup, model)
        progress.say(f"mfa: trained → {model}")
    return model


def _train(plan: Plan, setup: Setup, model: Path) -> None:
    with open_run(setup, TRAIN_LOG, _usable(plan, setup)) as run:  # what can't be read is counted when its shard is aligned
        if not run.written:
            raise DatasetError("there is no utterance to train an acoustic model on", remedy="run 'wordprint validate' to see why")
        trained, limit_s = run.work / "trained" / "model.zip", _LONGER * setup.time_limit_s
        outcome = run.mfa("train", str(trained), jobs=setup.config.mfa_train_jobs, time_limit_s=limit_s)
        if not zipfile.is_zipfile(trained):  # the exit code says nothing: it is also 1 for what happens after the export
            limit = f"training took longer than {_LONGER} × mfa_time_limit_h = {setup.config.mfa_time_limit_h:g}"
            raise known_failure(outcome.text, setup.command) or MfaError(
                limit if outcome.timed_out else f"MFA could not train a model: {last_words(outcome.text) or outcome.code}",
                remedy=f"see {run.log}",
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
