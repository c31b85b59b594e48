"""What MFA says when it fails, and what to do about it.

It prints rich boxes, tracebacks and messages wrapped at 80 columns; only the words count here. A failure known here would
come back in every run, and so ends the command; any other is taken to be one shard's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wordprint.align.mfa.program import MfaError
from wordprint.errors import DiskFullError, WordprintError

_OTHER_PHONES = (
    "a lexicon in the model's phones (English ARPAbet models have stress marks, AH0)",
    "use the model's own dictionary (--mfa-dictionary NAME), or train a model with this lexicon (--mfa-train)",
)


def known_failure(text: str, command: Sequence[str]) -> WordprintError | None:
    """The error to raise for what a failed run of `command` printed; None for a failure that may be of this run alone."""
    words = plain(text)
    if re.search("no space left on device|database or disk is full", words, re.IGNORECASE):
        remedy = "free some space and run the same command again to go on"
        return DiskFullError("no space left on the disk while MFA ran", remedy=remedy)
    for pattern, reason, *parts in _KNOWN:
        if found := re.search(pattern, words):
            values = [(value or "")[:200] for value in (found[0], *found.groups())]
            seen, expected, remedy = (part.format(*values, command=" ".join(command)) for part in parts)
            return MfaError(seen, expected, remedy, reason)
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


_KNOWN: tuple[tuple[str, str, str, str, str], ...] = (
    (
        r'Could not find a model named "([^"]+)" for (\w+)',
        "mfa_model_missing",
        "MFA has no {2} model named '{1}' on this machine",
        "",
        "download it: {command} model download {2} {1}",
    ),
    (
        r"Corpus directory does not exist|Could not find \"[^\"]+\"|Directory '[^']+' does not exist",
        "mfa_folder_unseen",
        "MFA does not see what lies in the output folder ({0})",
        "",
        "in a container, mount that folder under its own path, as in: docker run -v /data:/data …",
    ),
    (
        r"File exists: '[^']*pretrained_models'",  # a link that leads nowhere
        "mfa_folder_unseen",
        "MFA does not see your downloaded models ({0})",
        "",
        "in a container, mount the folder that holds them under its own path (see docs/mfa.md)",
    ),
    (
        r"phones in the dictionary that do not have acoustic models: (.+)",
        "mfa_phones",
        "the lexicon has phones that the acoustic model does not know: {1}",
        *_OTHER_PHONES,
    ),
    (
        r"Error parsing line \d+ of .{,100}?did not have a pronunciation",
        "mfa_dictionary",
        "MFA can't read the dictionary: {0}",
        "",
        "mend that line",
    ),
    (
        r"no such table: (word|phone)_interval_temp",
        "mfa_database",
        "MFA's SQLite database failed ({0}): it collected no word",
        "",
        "put the output on a local disk; if it fails there too, run MFA by hand with its other database "
        "({command} server init; … --use_postgres) and pass the model on with --mfa-acoustic MODEL.zip",
    ),
    (
        r"error connecting to the \S+ MFA database server|Database server has not been initialized",
        "mfa_database",
        "MFA can't reach its PostgreSQL server",
        "",
        "let it use SQLite: {command} configure --disable_use_postgres",
    ),
    (
        r"Could not find '[\w-]+'|There was an error when invoking '[\w-]+'|No such file or directory: '(sqlite3|fstcompile)'",
        "mfa_broken",
        "'{command}' runs without its environment ({0})",
        "",
        "activate it, or let conda do so: --mfa-command 'conda run --no-capture-output -n aligner mfa'",
    ),
    (
        r"The archive \S+ could not be parsed as an MFA model|BadZipFile: .{,60}",
        "mfa_model_broken",
        "MFA can't read the acoustic model ({0})",
        "",
        "download or train it again",
    ),
    (
        r"(ModuleNotFoundError|ImportError): .{,120}|command not found|EnvironmentLocationNotFound: .{,100}"
        r"|Cannot connect to the Docker daemon",
        "mfa_broken",
        "'{command}' does not start ({0})",
        "",
        "repair the installation: conda install -n aligner -c conda-forge montreal-forced-aligner",
    ),
    (
        r"Usage:.*?((No such option|Missing argument|Invalid value|Got unexpected).{,200})",
        "mfa_usage",
        "'{command}' refused its arguments: {1}",
        "version 3.x",
        "",
    ),
)
"""Patterns of what MFA prints, of which the first that matches counts; then the error's reason, and its three parts, in which
`{0}` is all that was found and `{1}` its first group."""
