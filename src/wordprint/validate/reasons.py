"""What can be wrong with an utterance or a corpus: default severity, name for people, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wordprint.errors import ConfigError

Severity = Literal["drop", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A kind of finding. A `fixed` severity can't be changed by the configuration."""

    severity: Severity
    title: str
    remedy: str
    fixed: bool = False


REASONS: dict[str, Reason] = {
    "duplicate_id": Reason("drop", "Utterance id used before", "give each utterance an id of its own", True),
    "missing_audio": Reason("drop", "Recording missing", "restore the file or correct its path in the manifest", True),
    "unreadable_audio": Reason("drop", "Not readable as audio", "replace the file by a FLAC, WAV, MP3 or Ogg recording", True),
    "empty_audio": Reason("drop", "No samples", "replace the file, or remove the utterance", True),
    "truncated_audio": Reason("drop", "Recording ends early", "copy or download the file again"),
    "non_finite_audio": Reason("drop", "NaN or infinite samples", "export the file again as 16-bit audio", True),
    "not_full_scale": Reason("drop", "Not at full scale ±1", "export the file again as 16-bit audio", True),
    "silent_audio": Reason("drop", "Silent", "check the microphone and the channel; lower silence_db if it is speech"),
    "clipped_audio": Reason("warning", "Clipped", "record or export again with less gain"),
    "too_short": Reason("drop", "Too short", "remove it, or lower min_duration_s"),
    "too_long": Reason(
        "drop", "Too long", "cut it into utterances with their transcripts (Kaldi segments), or raise max_duration_s"
    ),
    "missing_transcript": Reason("drop", "Transcript missing or empty", "write the transcript, or remove the recording", True),
    "no_words": Reason("drop", "No word in the transcript", "spell out numbers and symbols, or set the right language", True),
    "transcript_too_long": Reason(
        "drop", "Transcript too long for its audio", "check that recording and transcript belong together"
    ),
    "transcript_too_short": Reason("warning", "Little transcript for its audio", "check for untranscribed speech or long silence"),
    "unknown_characters": Reason(
        "warning", "Characters outside the alphabet", "spell out numbers and symbols, or set the right language"
    ),
    "noise_marks": Reason("note", "Noise marks in the transcript", "nothing: what stands in [], (), {} or <> is taken for no word"),
    "duplicate_utterance": Reason("drop", "Same recording and transcript as another", "remove one of the two"),
    "duplicate_audio": Reason("warning", "Same recording, another transcript", "find out which of the two transcripts is right"),
    "nothing_kept": Reason("warning", "Nothing left", "mend the problems above; later stages stop at an empty corpus", True),
    "one_speaker": Reason(
        "warning", "Only one speaker", "add speakers: a word must be recognised whoever says it: two at least", True
    ),
    "one_word": Reason("warning", "Only one word", "add transcripts with other words: training contrasts words", True),
    "few_speakers": Reason("note", "Words with too few speakers", "add speakers, or let 'words' leave these words out", True),
    "oov_words": Reason("note", "Words outside the lexicon", "correct misspellings; pronunciations of the rest are guessed", True),
    "no_lexicon": Reason(
        "note",
        "Lexicon not checked",
        "name a pronunciation dictionary with the option lexicon; the default aligner knows English only",
        True,
    ),
}
"""By slug, in the order in which an utterance's findings are reported; the first that drops it is the one it is counted under."""


def severities(drop: Sequence[str], keep: Sequence[str]) -> dict[str, Severity]:
    """Severity by reason, `drop` and `keep` being moved; raises ConfigError for an unknown or a fixed reason."""
    free = {slug for slug, reason in REASONS.items() if not reason.fixed}
    for option, slugs in (("drop", drop), ("keep", keep)):
        for slug in slugs:
            if slug not in free:
                raise ConfigError(f"{option} names {slug!r}", expected="one of " + ", ".join(sorted(free)))
    both = sorted({*drop} & {*keep})
    if both:
        raise ConfigError(f"drop and keep both name {', '.join(both)}", expected="one of them")
    chosen: dict[str, Severity] = {slug: reason.severity for slug, reason in REASONS.items()}
    chosen.update(dict.fromkeys(drop, "drop"))
    chosen.update(dict.fromkeys(keep, "warning"))
    return chosen
