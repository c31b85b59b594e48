"""Whether the options of training make sense: before anything is read or written, and with the option's name in the message."""

from __future__ import annotations

import math
from dataclasses import asdict

from wordprint.config import TrainConfig
from wordprint.errors import ConfigError
from wordprint.train.losses import LOSSES_OF_PAIRS

LOWEST = {
    "seed": 0,
    "steps": 1,
    "words_per_batch": 2,
    "tokens_per_word": 1,
    "weight_decay": 0,
    "n_features": 1,
    "embedding_size": 2,
    "window_s": 0.1,
    "margin": 0,
    "phonetic_weight": 0,
    "phone_weight": 0,
    "other_words": 0,
    "max_margin_s": 0,
    "max_speed_change": 1,
    "masks": 0,
    "validate_every": 1,
    "max_validation_tokens": 2,
    "threads": 0,
}

SHARES = (
    "warmup_share",
    "noise_share",
    "white_noise_share",
    "filter_share",
    "silence_share",
    "shift_share",
    "max_time_mask",
    "max_band_mask",
)


def check(config: TrainConfig) -> None:
    """Raises ConfigError for the first option that is out of its range or contradicts another."""
    for name, value in asdict(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} is {value}", expected="a finite number")
        if name in LOWEST and value < LOWEST[name]:
            raise ConfigError(f"{name} is {value}", expected=f"at least {LOWEST[name]}")
        if name in SHARES and not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}", expected="a share from 0 to 1")
        if name in ("learning_rate", "temperature") and value <= 0:
            raise ConfigError(f"{name} is {value}", expected="more than 0")
    if config.tokens_per_word < 2 and config.loss in LOSSES_OF_PAIRS:
        seen = f"tokens_per_word is {config.tokens_per_word} with the loss '{config.loss}'"
        raise ConfigError(seen, expected="at least 2: it compares recordings of one word")
    if config.min_snr_db > config.max_snr_db:
        raise ConfigError(f"min_snr_db is {config.min_snr_db}", expected=f"at most max_snr_db, which is {config.max_snr_db}")
    if config.max_level_db > 0:
        raise ConfigError(f"max_level_db is {config.max_level_db}", expected="at most 0, full scale")
    if config.min_level_db > config.max_level_db:
        raise ConfigError(
            f"min_level_db is {config.min_level_db}", expected=f"at most max_level_db, which is {config.max_level_db}"
        )
