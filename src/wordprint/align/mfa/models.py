"""Which dictionary and which acoustic model: as asked for, or MFA's own for the language."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from wordprint.align.mfa.failures import known_failure
from wordprint.align.mfa.program import START_LIMIT_S, folder_beside_models, run_mfa
from wordprint.errors import ConfigError, InputError
from wordprint.speech.text import base_language

PRETRAINED = {
    "bg": ("bulgarian_mfa", "bulgarian_mfa"),
    "cs": ("czech_mfa", "czech_mfa"),
    "de": ("german_mfa", "german_mfa"),
    "en": ("english_us_arpa", "english_us_arpa"),
    "es": ("spanish_spain_mfa", "spanish_mfa"),
    "fr": ("french_mfa", "french_mfa"),
    "ha": ("hausa_mfa", "hausa_mfa"),
    "hr": ("croatian_mfa", "croatian_mfa"),
    "pl": ("polish_mfa", "polish_mfa"),
    "pt": ("portuguese_brazil_mfa", "portuguese_mfa"),
    "ru": ("russian_mfa", "russian_mfa"),
    "sv": ("swedish_mfa", "swedish_mfa"),
    "sw": ("swahili_mfa", "swahili_mfa"),
    "tr": ("turkish_mfa", "turkish_mfa"),
    "uk": ("ukrainian_mfa", "ukrainian_mfa"),
}
"""Dictionary and acoustic model by language (ISO 639-1), of those whose transcripts have a space between words."""


_OPTIONS = {
    "dictionary": "--lexicon FILE or --mfa-dictionary NAME",
    "acoustic": "--mfa-acoustic NAME, or --mfa-train to train one",
}


def find_model(command: Sequence[str], kind: str, languages: Collection[str], asked: str | None) -> str:
    """The model asked for, or that of the language: the absolute path of a file, or a name that MFA knows.

    `kind` is dictionary or acoustic. Raises ConfigError where none is known for the language, InputError for a file that is
    missing, MfaError, with the command that downloads it, for a name that MFA does not know.
    """
    name = asked or _pretrained(languages, kind)
    path = model_file(name)
    if path:
        return str(path)
    with folder_beside_models() as folder:
        outcome = run_mfa(command, ["model", "inspect", kind, name], folder, START_LIMIT_S)
    error = known_failure(outcome.text, command) if outcome.code else None
    if error and error.reason == "mfa_model_missing":  # of others, the run itself will tell
        raise error
    return name


def model_file(name: str) -> Path | None:
    """The file that `name` is, or None for a model that MFA knows by name; raises InputError for a file that is missing."""
    path = Path(name)
    if path.exists():
        return path.resolve()
    if path.suffix or "/" in name:
        raise InputError(f"{path} does not exist", expected="a model's file, or its name as MFA has it")
    return None


def _pretrained(languages: Collection[str], kind: str) -> str:
    bases = {base_language(language) for language in languages}
    if len(bases) != 1:
        raise ConfigError(
            f"the utterances are in {len(bases)} languages ({', '.join(sorted(bases))})",
            expected="one language in a run of MFA",
            remedy=f"align them one by one, or name what fits all: {_OPTIONS[kind]}",
        )
    (language,) = bases
    if language not in PRETRAINED:
        seen = f"no {kind} model of MFA is known here for language '{language}'"
        raise ConfigError(seen, remedy=f"give {_OPTIONS[kind]} (list: https://mfa-models.readthedocs.io)")
    return PRETRAINED[language][list(_OPTIONS).index(kind)]
