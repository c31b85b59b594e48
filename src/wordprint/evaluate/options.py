"""Options of `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wordprint.errors import ConfigError
from wordprint.stages.options import option
from wordprint.words.folders import folder_word


@dataclass(frozen=True)
class EvaluateConfig:
    """Score a model on words and speakers it never heard."""

    seed: int = option(0, at_least=0)
    """Seed of the support draws, samples and bootstraps."""
    split: str = option("test", one_of=("train", "validation", "test"))
    """Part of a word dataset to score (word folders have no parts); of one for streams or phrases, the speakers of that part."""
    targets: tuple[str, ...] = option((), used_by={"phrases": False})
    """Keywords to enroll; without any, the ten Speech Commands where the data has them all, else the words of most speakers.
    In streams: all that the folders hold."""
    shots: tuple[int, ...] = option((1, 3, 5, 10), at_least=1, used_by={"stream": False, "phrases": False})
    """Recordings that enroll a keyword."""
    draws: int = option(100, at_least=1, used_by={"stream": False, "phrases": False})
    """Random choices of the enrolled recordings that figures are averaged over."""
    enroll_share: float = option(0.25, above=0, below=1, used_by={"stream": False, "phrases": False})
    """Share of the speakers that supports are drawn from; all others are asked."""
    context: bool = option(False, used_by={"stream": False})
    """Show the model the real audio around the words of a word dataset, or around phrases, instead of silence."""
    max_tokens: int = option(10_000, at_least=2, used_by={"stream": False, "phrases": False})
    """Tokens compared in same-different discrimination; of more, a random sample."""
    dtw_tokens: int = option(400, at_least=0, used_by={"stream": False, "phrases": False})
    """Tokens on which MFCC + DTW is scored for reference, a random sample; 0 leaves it out."""
    allow_seen: bool = option(False, used_by={"stream": False, "phrases": False})
    """Score words and speakers that the model was trained on instead of stopping; the figures are marked."""
    players: int = option(12, at_least=0)
    """Recordings per list that the report can play."""
    stream: Path | None = option(None, used_by={"phrases": False})
    """Look for the keywords in hours of other speech instead: a folder that 'align' or 'words' wrote (its own words are keywords,
    too), one that 'prepare' or 'validate' wrote, or one of recordings."""
    stream_speakers: tuple[str, ...] = option((), used_by={"stream": True})
    """(stream) Only these speakers of it, such as those held out of training."""
    stream_keywords: int = option(20, at_least=1, used_by={"stream": True})
    """(stream) Keywords of running speech that are chosen, of one, two and three words, where no targets are named."""
    stream_shots: int = option(3, at_least=0, used_by={"stream": True})
    """(stream) Recordings that enroll a keyword; with none its spelling does."""
    stream_recordings_alone: bool = option(False, used_by={"stream": True})
    """(stream) The spelling of a keyword doesn't count beside its shots."""
    stream_synthetic_voices: bool = option(False, used_by={"stream": True})
    """(stream) Synthetic voices say keywords that are typed, beside their spelling."""
    stream_draws: int = option(5, at_least=1, used_by={"stream": True})
    """(stream) Random choices of the enrolled recordings."""
    stream_snr_db: float = option(10.0, at_least=-20, at_most=60, used_by={"stream": True})
    """(stream) Level of the speech above the babble, where there is babble."""
    phrases: Path | None = None
    """Tell phrases of one to four words by different speakers alike or not (LibriPhrase) instead: those of a folder that 'align' or
    'words' wrote, or pairs of published lists (a CSV file, or a folder of such)."""
    phrase_speakers: tuple[str, ...] = option((), used_by={"phrases": True})
    """(phrases) Only what these speakers say, such as those held out of training."""
    phrase_anchors: int = option(500, at_least=1, used_by={"phrases": True})
    """(phrases) Phrases of each number of words that are enrolled, chosen at random."""
    phrase_pairs: int = option(3, at_least=1, used_by={"phrases": True})
    """(phrases) Comparisons of each kind (same text, random text, nearest text) for a phrase, or as many as there are."""

    def check(self) -> None:
        if not self.shots or len(set(self.shots)) < len(self.shots):
            raise ConfigError(f"shots are {list(self.shots)}", expected="different numbers of recordings, at least 1 each")
        if len(self.targets) == 1 and self.stream is None:
            raise ConfigError(f"targets are {list(self.targets)}", expected="two keywords or more, or none at all")
        if len({folder_word(target) for target in self.targets}) < len(self.targets):
            raise ConfigError(f"targets are {list(self.targets)}", expected="different keywords")
        if self.stream_synthetic_voices and self.stream_shots:
            raise ConfigError(
                f"stream_synthetic_voices is set, and stream_shots is {self.stream_shots}", expected="typed keywords: 0"
            )


@dataclass(frozen=True)
class OutliersConfig:
    """List segments that lie nearer to another word than to their own."""

    threshold: float = option(0.4, at_least=-2, at_most=2)
    """List a segment when its similarity to the nearest other word exceeds that to its own by more."""
    min_tokens: int = option(5, at_least=2)
    """Segments that a word needs to have a centre; those of rarer words are not judged."""
