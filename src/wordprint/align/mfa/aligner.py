"""The aligner `mfa`: a whole corpus at once, since MFA starts in seconds and adapts to speakers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wordprint.align.mfa.models import find_model, model_file
from wordprint.align.mfa.plan import Plan, in_order
from wordprint.align.mfa.program import START_LIMIT_S, MfaError, mfa_version, split_command
from wordprint.align.mfa.run import LOGS, WORK, Setup
from wordprint.align.mfa.shard import align_shards
from wordprint.align.mfa.training import MODEL, TRAIN_LOG, trained_model
from wordprint.align.options import AlignConfig
from wordprint.align.rows import TEXTGRIDS
from wordprint.stages.contract import PARTS, StageRun
from wordprint.stages.manifest import read_utterances


class MfaAligner:
    """Runs the user's MFA 3 on shards of speakers; see docs/mfa.md."""

    def __init__(self, config: AlignConfig) -> None:
        self._config = config
        self.details: dict[str, Any] = {}

    @property
    def inputs(self) -> dict[str, Path]:
        """Files whose contents the result depends on."""
        named = {"dictionary": self._config.mfa_dictionary, "acoustic": self._config.mfa_acoustic}
        files = {key: model_file(name) for key, name in named.items() if name}
        return {key: path for key, path in files.items() if path}

    def align_corpus(self, stage: StageRun, manifest: Path) -> Iterator[dict[str, Any]]:
        """Results in the manifest's order. Raises MfaError where no run could succeed: MFA or a model missing, …"""
        config, command = self._config, split_command(self._config.mfa_command)
        version = mfa_version(command, START_LIMIT_S)
        with Plan(read_utterances(manifest), 3600 * config.mfa_shard_hours) as plan:
            setup = self._setup(command, plan, stage)
            shutil.rmtree(setup.output / WORK, ignore_errors=True)  # of a run that was killed
            try:
                if config.mfa_train:
                    setup = replace(setup, acoustic=str(trained_model(plan, setup, stage.progress)))
                lexicon = setup.pronunciations()
                self.details = {
                    "g2p": lexicon.g2p_name if lexicon else None,
                    "mfa": {
                        "version": version,
                        "dictionary": Path(setup.dictionary).name,
                        "acoustic": Path(setup.acoustic).name,
                        "shards": plan.shard_count,
                    },
                }
                results = stage.map_shards(
                    "align", plan.shards(), partial(align_shards, setup=setup), shard_size=1,
                    total=plan.shard_count, unit="shards",
                )  # fmt: skip
                yield from in_order(results)
            except MfaError:
                _leave_nothing(stage.output)
                raise
            finally:
                shutil.rmtree(setup.output / WORK, ignore_errors=True)

    def _setup(self, command: tuple[str, ...], plan: Plan, stage: StageRun) -> Setup:
        """Choose dictionary and model, and make sure that MFA has them."""
        config = self._config
        dictionary, acoustic = str(config.lexicon), ""
        if config.lexicon is None:
            dictionary = find_model(command, "dictionary", plan.languages, config.mfa_dictionary)
        if not config.mfa_train:
            acoustic = find_model(command, "acoustic", plan.languages, config.mfa_acoustic)
        return Setup(
            command=command,
            dictionary=dictionary,
            acoustic=acoustic,
            output=stage.output.resolve(),
            config=replace(config, lexicon=config.lexicon and config.lexicon.resolve()),
            lexicon_digest=stage.inputs.get("lexicon", ""),
        )


def _leave_nothing(output: Path) -> None:
    """Remove what there is when no shard was finished: then the command can be mended and run again with other options.

    That of a training stays: it took hours.
    """
    if not (output / LOGS / TRAIN_LOG).exists() and not any((output / PARTS).glob("*.jsonl")):
        for folder in (output / MODEL.parent, output / TEXTGRIDS):
            shutil.rmtree(folder, ignore_errors=True)
