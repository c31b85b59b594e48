"""Options of `train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint.errors import ConfigError
from wordprint.stages.options import option, share

LOSSES = ("triplet", "ancestor", "supervised_contrastive", "proxy_anchor", "arcface")
LOSSES_OF_PAIRS = ("triplet", "ancestor", "supervised_contrastive")
"""Those that compare recordings of one word with each other."""


@dataclass(frozen=True)
class TrainConfig:
    """Train an encoder so that recordings of one word land close together."""

    seed: int = option(0, at_least=0)
    """Seed of initial weights, batches and augmentation."""
    steps: int = option(2000, at_least=1, may_grow=True)
    """Batches to train on; the learning rate is zero after the last."""
    words_per_batch: int = option(64, at_least=2)
    """Word types in a batch (P)."""
    tokens_per_word: int = option(3, at_least=1)
    """Recordings of each in a batch (K), by as many speakers as there are."""
    learning_rate: float = option(0.003, above=0)
    """Highest learning rate (AdamW, one cycle)."""
    weight_decay: float = option(0.01, at_least=0)
    """Decay of the weights."""
    warmup_share: float = share(0.15)
    """Share of the steps in which the learning rate rises."""
    front_end: str = option("log_mel", one_of=("log_mel", "mfcc"), own=True)
    """Features by name: log_mel, mfcc, or your own ('package.module:Class')."""
    n_features: int = option(40, at_least=1)
    """Mel bands or cepstral coefficients."""
    encoder: str = option("compact", one_of=("compact", "ancestor"), own=True)
    """Encoder by name: compact, ancestor, or your own ('package.module:Class')."""
    embedding_size: int = option(128, at_least=2)
    """Numbers in an embedding."""
    window_s: float = option(1.0, at_least=0.1)
    """Audio that the encoder hears at once."""
    loss: str = option("supervised_contrastive", one_of=LOSSES, own=True)
    """Loss by name: triplet, ancestor, supervised_contrastive, proxy_anchor, arcface, or your own ('package.module:function')."""
    miner: Literal["all", "hard", "semi-hard", "batch-hard"] = option("batch-hard", used_by={"loss": ("triplet",)})
    """Which triplets of the batch the triplet loss takes."""
    distance: Literal["cosine", "euclidean"] = option("cosine", used_by={"loss": ("triplet",)})
    """Distance of the triplet loss."""
    margin: float = option(0.2, at_least=0, used_by={"loss": ("triplet", "proxy_anchor", "arcface")})
    """Margin of the triplet and proxy losses (for arcface an angle in radians)."""
    soft_margin: bool = option(False, used_by={"loss": ("triplet",)})
    """Use ln(1 + exp(x)) instead of the margin in the triplet loss."""
    temperature: float = option(0.1, above=0)
    """What similarities are divided by in the contrastive, phonetic and proxy losses."""
    phonetic_weight: float = option(1.0, at_least=0)
    """Weight of the loss that pulls a recording to a vector computed from its word's phones (0: none)."""
    phone_weight: float = option(0.3, at_least=0)
    """Weight of the loss that tells the phone of each frame (0: none)."""
    other_words: int = option(512, at_least=0)
    """Word types outside the batch that the phonetic loss tells each recording apart from."""
    noise: Path | None = None
    """Folder of noise recordings to mix in; without it, white noise."""
    rir: Path | None = None
    """Folder of room impulse responses to play words in."""
    noise_share: float = share(0.7)
    """Share of recordings that get noise."""
    white_noise_share: float = share(0.25, used_by={"noise": True})
    """Share of those that get white noise although there are noise recordings."""
    min_snr_db: float = 0.0
    """Lowest signal-to-noise ratio."""
    max_snr_db: float = 35.0
    """Highest signal-to-noise ratio."""
    filter_share: float = share(0.3)
    """Share of recordings that another microphone, a telephone line or a room colours."""
    silence_share: float = share(0.5)
    """Share of recordings with silence instead of real context around the word."""
    max_margin_s: float = option(0.06, at_least=0)
    """Most real audio left on either side of a word in silence."""
    shift_share: float = share(0.2)
    """Spread (standard deviation) of the word's place in the window, as a share of the room it has."""
    max_speed_change: float = option(1.16, at_least=1)
    """Play words up to this much slower or faster; pitch changes with it."""
    min_level_db: float = -35.0
    """Lowest level (RMS, dB of full scale)."""
    max_level_db: float = option(-12.0, at_most=0)
    """Highest level."""
    masks: int = option(2, at_least=0)
    """Stretches of time, and of bands, that SpecAugment hides."""
    max_time_mask: float = share(0.11)
    """Longest hidden stretch, as a share of the window."""
    max_band_mask: float = share(0.13)
    """Widest hidden stretch, as a share of the bands."""
    validate_every: int = option(500, at_least=1)
    """Steps between validations; a killed run goes on from the last one."""
    max_validation_tokens: int = option(3000, at_least=2)
    """Validate on at most this many segments."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic of the encoder; auto takes bfloat16 where the processor has it."""
    threads: int = option(0, at_least=0)
    """CPU threads (0: this process's share of the cores it may run on)."""

    def check(self) -> None:
        if self.tokens_per_word < 2 and self.loss in LOSSES_OF_PAIRS:
            raise ConfigError(
                f"tokens_per_word is {self.tokens_per_word} with the loss '{self.loss}'",
                expected="at least 2: it compares recordings of one word",
            )
        for low, high in (("min_snr_db", "max_snr_db"), ("min_level_db", "max_level_db")):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(f"{low} is {getattr(self, low):g}", f"at most {high}, which is {getattr(self, high):g}")
        if self.front_end == "mfcc" and self.n_features > 64:
            raise ConfigError(
                f"n_features is {self.n_features} with the front end 'mfcc'", expected="at most 64: it has 64 mel bands"
            )
        if self.encoder == "ancestor" and self.n_features < 16:
            raise ConfigError(
                f"n_features is {self.n_features} with the encoder 'ancestor'", expected="at least 16, which it pools"
            )
        for name in ("noise", "rir"):
            if (folder := getattr(self, name)) is not None:
                _require_audio(name, folder)
        if self.accelerator in ("cuda", "mps"):
            import torch

            there = torch.cuda.is_available() if self.accelerator == "cuda" else torch.backends.mps.is_available()
            if not there:
                raise ConfigError(
                    f"accelerator is '{self.accelerator}', which is not available here", remedy="use accelerator = 'auto'"
                )


def _require_audio(name: str, folder: Path) -> None:
    from wordprint.speech.formats import AUDIO_SUFFIXES
    from wordprint.stages.walk import walk

    if not any(Path(name).suffix.lower() in AUDIO_SUFFIXES for _, files in walk(folder, hidden=True) for name in files):
        raise ConfigError(f"{name} is {folder}, which holds no recordings", expected="a folder of recordings")


@dataclass(frozen=True)
class InspectTripletsConfig:
    """Show the triplets that a miner picks."""

    triplets: int = option(100, at_least=1)
    """(triplets) How many triplets to show, the hardest first."""
    batches: int = option(8, at_least=1)
    """(triplets) Batches of training that the miner picks from."""
