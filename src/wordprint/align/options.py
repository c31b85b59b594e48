"""Options of `align`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint.errors import ConfigError
from wordprint.stages.options import option

ALIGNERS = ("pocketsphinx", "textgrid", "lhotse", "mfa")
_MFA = {"aligner": ("mfa",)}


@dataclass(frozen=True)
class AlignConfig:
    """Find where each word and phone lies."""

    aligner: str = option("pocketsphinx", one_of=ALIGNERS, own=True)
    """Aligner by name: pocketsphinx, mfa, textgrid, lhotse, or one of your own ('package.module:Class')."""
    textgrids: Path | None = option(None, used_by={"aligner": ("textgrid",)})
    """Folder of TextGrids (Montreal Forced Aligner output, say) for the aligner 'textgrid'."""
    lexicon: Path | None = option(None, used_by={"aligner": ("pocketsphinx", "mfa")})
    """Pronunciation dictionary (word, then phones) that overrides the aligner's own entries (of mfa, all of them)."""
    g2p: Literal["auto", "espeak", "rules"] = option("auto", used_by={"aligner": ("pocketsphinx", "mfa")})
    """Guesses the pronunciation of OOV words: espeak-ng, built-in rules, or espeak-ng where it is installed (auto)."""
    phones: bool = True
    """Also align phones."""
    max_duration_s: float = option(120.0, above=0, at_most=1200)
    """Drop utterances longer than this (memory grows with length, and pocketsphinx counts states in 16 bits)."""
    mfa_command: str = option("mfa", changes_results=False, used_by=_MFA)
    """(mfa) Command that runs the Montreal Forced Aligner, such as 'conda run --no-capture-output -n aligner mfa'."""
    mfa_time_limit_h: float = option(6.0, above=0, changes_results=False, used_by=_MFA)
    """(mfa) Stop a run of MFA that takes longer, and leave its shard out; training may take ten times as long."""
    mfa_dictionary: str | None = option(None, used_by=_MFA)
    """(mfa) MFA's dictionary by name, where no lexicon is given; without either, the one for the language."""
    mfa_acoustic: str | None = option(None, used_by=_MFA)
    """(mfa) Acoustic model: a name as MFA has it, or a zip; without it, the one for the language."""
    mfa_train: bool = option(False, used_by=_MFA)
    """(mfa) Train the acoustic model on the utterances themselves; it stays in the output folder, as mfa/model.zip."""
    mfa_train_hours: float = option(100.0, above=0, used_by=_MFA)
    """(mfa) Train on at most this much speech (taken evenly from all)."""
    mfa_train_jobs: int = option(3, at_least=1, used_by=_MFA)
    """(mfa) Processes that train; their number changes the model in its last digits."""
    mfa_shard_hours: float = option(4.0, above=0, used_by=_MFA)
    """(mfa) Speech in one run of MFA: what a crash costs at most. Speakers stay whole, unless they are more than twice that."""
    mfa_beam: int | None = option(None, at_least=1, used_by=_MFA)
    """(mfa) Width of the search; MFA's own is 10."""
    mfa_retry_beam: int | None = option(None, at_least=1, used_by=_MFA)
    """(mfa) Width of the second search for utterances that the first one lost; MFA's own is 40."""

    def check(self) -> None:
        from wordprint.align.mfa.program import split_command

        if self.aligner == "textgrid" and self.textgrids is None:
            raise ConfigError(
                "aligner is 'textgrid', which has no folder", remedy="name the folder of TextGrids with --textgrids FOLDER"
            )
        if self.lexicon and self.mfa_dictionary:
            raise ConfigError("lexicon and mfa_dictionary are both set", expected="one of them")
        if self.mfa_train and self.mfa_acoustic:
            raise ConfigError("mfa_train and mfa_acoustic are both set", expected="one of them")
        split_command(self.mfa_command)
