"""What MFA says when it fails, and what to do about it.

It prints rich boxes, tracebacks and messages wrapped at 80 columns; only the words count here. A failure known here would
come back in every run, and so ends the command; any other is taken to be one shard's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wordprint.align.mfa.program import MfaError
from wordprint.errors import DiskFullError, WordprintError

_Match = re.Match[str]

_OTHER_PHONES = (
    "a lexicon in the model's phones (English ARPAbet models have stress marks, AH0)",
    "use the model's own dictionary (--mfa-dictionary NAME), or train a model with this lexicon (--mfa-train)",
)


def known_failure(text: str, command: Sequence[str]) -> WordprintError | None:
    """The error to raise for what a failed run of `command` printed; None for a failure that may be of this run alone."""
    words = plain(text)
    for pattern, error in _KNOWN:
        if found := pattern.search(words):
            return error(found, " ".join(command))
    return None


def check_phones(text: str, words: int, known: int) -> None:
    """Raise MfaError where a run ended well, yet MFA ignored pronunciations whose phones the model lacks, and so knew, or
    aligned, less than half of the `words` that were said."""
    ignored = re.search(r"There were (\d+) pronunciations in the dictionary that were ignored", plain(text))
    if ignored and known < words / 2:
        seen = f"MFA ignored {ignored[1]} pronunciations in phones that the acoustic model does not know"
        raise MfaError(f"{seen}, and knew {known} of {words} words", *_OTHER_PHONES, reason="mfa_phones")


def plain(text: str) -> str:
    """The words alone: no boxes, no line ends."""
    return " ".join(re.sub(r"[─-╿]", " ", text).split())


def last_words(text: str, limit: int = 300) -> str:
    """The end of what a run printed, where a traceback has its message, from the line that names the error on."""
    lines = [line for line in text.splitlines() if plain(line)]
    names = [index for index, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    said = plain(" ".join(lines[names[-1] if names else -1 :]))
    return said if len(said) <= limit else said[: limit - 1] + "…"


def _model_missing(found: _Match, command: str) -> WordprintError:
    name, kind = found[1], found[2]
    what = "acoustic model" if kind == "acoustic" else kind
    return MfaError(
        f"MFA has no {what} named '{name}' on this machine",
        remedy=f"download it: {command} model download {kind} {name}",
        reason="mfa_model_missing",
    )


def _folder_unseen(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"MFA does not see what lies in the output folder ({found[0]})",
        remedy="in a container, mount that folder under its own path, as in: docker run -v /data:/data …",
        reason="mfa_folder_unseen",
    )


def _models_unseen(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"MFA does not see your downloaded models ({found[0]})",
        remedy="in a container, mount the folder that holds them under its own path (see docs/mfa.md)",
        reason="mfa_folder_unseen",
    )


def _environment(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"'{command}' runs without its environment ({found[0]})",
        remedy="activate it, or let conda do so: --mfa-command 'conda run --no-capture-output -n aligner mfa'",
        reason="mfa_broken",
    )


def _phones(found: _Match, command: str) -> WordprintError:
    phones = re.split(r",\s+|\s+and\s+|\s+", found[1].strip())
    return MfaError(
        f"the lexicon has phones that the acoustic model does not know: {', '.join(phones[:8])}{', …' * (len(phones) > 8)}",
        *_OTHER_PHONES,
        reason="mfa_phones",
    )


def _lexicon(found: _Match, command: str) -> WordprintError:
    return MfaError(f"MFA can't read the dictionary: {found[0][:200]}", remedy="mend that line", reason="mfa_dictionary")


def _database(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"MFA's SQLite database failed ({found[0]}): it collected no word",
        remedy="put the output on a local disk; if it fails there too, run MFA by hand with its other database "
        f"({command} server init; … --use_postgres) and pass the model on with --mfa-acoustic MODEL.zip",
        reason="mfa_database",
    )


def _server(found: _Match, command: str) -> WordprintError:
    return MfaError(
        "MFA can't reach its PostgreSQL server",
        remedy=f"let it use SQLite: {command} configure --disable_use_postgres",
        reason="mfa_database",
    )


def _broken_model(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"MFA can't read the acoustic model ({found[0][:150]})", remedy="download or train it again", reason="mfa_model_broken"
    )


def _broken(found: _Match, command: str) -> WordprintError:
    return MfaError(
        f"'{command}' does not start ({found[0][:150]})",
        remedy="repair the installation: conda install -n aligner -c conda-forge montreal-forced-aligner",
        reason="mfa_broken",
    )


def _usage(found: _Match, command: str) -> WordprintError:
    return MfaError(f"'{command}' refused its arguments: {found[1][:200]}", expected="version 3.x", reason="mfa_usage")


def _disk(found: _Match, command: str) -> WordprintError:
    return DiskFullError(
        "no space left on the disk while MFA ran", remedy="free some space and run the same command again to go on"
    )


_KNOWN: list[tuple[re.Pattern[str], Callable[[_Match, str], WordprintError]]] = [
    (re.compile(r"no space left on device|database or disk is full", re.I), _disk),
    (re.compile(r'Could not find a model named "([^"]+)" for (\w+)'), _model_missing),
    (re.compile(r"Corpus directory does not exist|Could not find \"[^\"]+\"|Directory '[^']+' does not exist"), _folder_unseen),
    (re.compile(r"File exists: '[^']*pretrained_models'"), _models_unseen),  # a link that leads nowhere
    (re.compile(r"phones in the dictionary that do not have acoustic models: (.+)"), _phones),
    (re.compile(r"Error parsing line \d+ of .{,100}?did not have a pronunciation"), _lexicon),
    (re.compile(r"no such table: (word|phone)_interval_temp"), _database),
    (re.compile(r"error connecting to the \S+ MFA database server|Database server has not been initialized"), _server),
    (re.compile(r"Could not find '[\w-]+'|There was an error when invoking '[\w-]+'"), _environment),
    (re.compile(r"No such file or directory: '(sqlite3|fstcompile)'"), _environment),
    (re.compile(r"The archive \S+ could not be parsed as an MFA model|BadZipFile: .{,60}"), _broken_model),
    (re.compile(r"(ModuleNotFoundError|ImportError): .{,120}"), _broken),
    (re.compile(r"command not found|EnvironmentLocationNotFound: .{,100}|Cannot connect to the Docker daemon"), _broken),
    (re.compile(r"Usage:.*?((No such option|Missing argument|Invalid value|Got unexpected).{,200})"), _usage),
]
"""The first that matches counts."""
