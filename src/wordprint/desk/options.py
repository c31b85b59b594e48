"""Options of `desk`."""

from __future__ import annotations

from dataclasses import dataclass

from wordprint.errors import ConfigError
from wordprint.stages.options import option


@dataclass(frozen=True)
class DemoConfig:
    """Enroll keywords with synthetic voices and spot them in a synthetic utterance."""

    keywords: tuple[str, ...] = ()
    """Keywords to enroll; none: no demo."""
    sentence: str = ""
    """What another synthetic voice says."""
    shots: int = option(3, at_least=1)
    """Recordings to enroll each keyword with."""

    def check(self) -> None:
        words = self.sentence.split()
        for keyword in self.keywords:
            wanted = keyword.split()
            if not any(words[start : start + len(wanted)] == wanted for start in range(len(words))):
                raise ConfigError(f"keywords has '{keyword}'", expected=f"words of the demo's sentence '{self.sentence}'")
