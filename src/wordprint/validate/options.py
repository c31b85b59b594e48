"""Options of `validate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wordprint.errors import ConfigError
from wordprint.stages.options import option, share
from wordprint.validate.reasons import severities


@dataclass(frozen=True)
class ValidateConfig:
    """Check recordings and transcripts before anything expensive."""

    min_duration_s: float = option(0.3, at_least=0)
    """Drop utterances shorter than this."""
    max_duration_s: float = option(60.0, above=0)
    """Drop utterances longer than this."""
    silence_db: float = option(-60.0, at_most=0)
    """Drop utterances whose level (RMS, dB of full scale) is below this."""
    clipping_share: float = share(0.001)
    """Report utterances with more than this share of samples at full scale."""
    max_chars_per_s: float = option(30.0, above=0)
    """Drop utterances whose transcript can't fit the duration."""
    min_chars_per_s: float = option(1.0, at_least=0)
    """Report utterances whose transcript is too short for the duration."""
    min_speakers_per_word: int = option(3, at_least=1)
    """Report words spoken by fewer speakers."""
    lexicon: Path | None = None
    """Pronunciation dictionary to look words up in (default for English: the one that comes with pocketsphinx)."""
    max_oov_share: float = share(0.2, changes_results=False)
    """Stop where a larger share of the words of a language is not in its lexicon: the corpus is in another language."""
    drop: tuple[str, ...] = ()
    """Further reasons that drop an utterance, such as clipped_audio or unknown_characters."""
    keep: tuple[str, ...] = ()
    """Reasons that are only reported instead of dropping the utterance, such as silent_audio."""

    def check(self) -> None:
        severities(self.drop, self.keep)
        if self.min_duration_s > self.max_duration_s:
            raise ConfigError(
                f"min_duration_s is {self.min_duration_s:g}", f"at most max_duration_s, which is {self.max_duration_s:g}"
            )
