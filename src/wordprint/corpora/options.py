"""Options of `corpora`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.errors import ConfigError
from wordprint.stages.options import option

COMMON_VOICE_LISTS = ("validated", "train", "dev", "test", "invalidated", "other")


@dataclass(frozen=True)
class PrepareConfig:
    """Find utterances and their transcripts."""

    language: str = "en"
    """Language of the transcripts (ISO 639-1), where the corpus doesn't say."""
    common_voice_lists: tuple[str, ...] = option(("validated",), one_of=COMMON_VOICE_LISTS)
    """Lists of Common Voice to take: validated, train, dev, test, invalidated, other."""
    common_voice_max_per_speaker: int | None = option(None, at_least=1)
    """Take at most this many utterances of a Common Voice speaker (chosen by hash)."""
    seed: int = option(0, at_least=0)
    """Seed of the synthetic corpus."""
    synthetic_utterances: int = option(400, at_least=1, at_most=1_000_000)
    """Utterances to synthesise when a source is 'synthetic'."""
    synthetic_speakers: int = option(24, at_least=1)
    """Synthetic voices (variant × accent) that speak them."""

    def check(self) -> None:
        if self.synthetic_speakers > self.synthetic_utterances:
            raise ConfigError(
                f"synthetic_speakers is {self.synthetic_speakers}, synthetic_utterances {self.synthetic_utterances}",
                expected="at least one utterance each",
            )
