"""Vectors of phrases in recordings and of their spellings, and how alike the two sides of trials are.

Of an embedder that pools spans `vector` and `spell` are used; any other is shown a window with the phrase in its middle.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import SpanEmbedder, WaveformEmbedder, as_spans
from wordprint.errors import AudioError, DatasetError, InputError, ModelError
from wordprint.evaluate.data import save_array, unit_embeddings
from wordprint.evaluate.phrase_material import Said, Sayings, cut
from wordprint.evaluate.phrase_trials import Trial
from wordprint.evaluate.stream_build import Samples
from wordprint.goodness import Codes, codes_of, shortfall_of
from wordprint.speech.lexicon import Pronunciation
from wordprint.speech.trim import Speech, centred
from wordprint.spot.pronounce import as_text, pronounce
from wordprint.spot.shots import joined
from wordprint.stages.contract import PARTS, StageRun

ITEMS_AT_ONCE = 16
"""Recordings whose phrases are embedded before they are written down: a run that was stopped goes on after them."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """Unit vectors (n, D) of things said, and their rows by number; their phones (wordprint.goodness), where these are read."""

    rows: dict[int, int]
    vectors: Floats
    scores: list[Floats]

    def has(self, number: int) -> bool:
        return number in self.rows

    def of(self, numbers: Sequence[int]) -> Floats:
        """(len(numbers), D)."""
        return np.asarray(self.vectors[[self.rows[number] for number in numbers]])

    def alike(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Similarity (n,) of the two sides."""
        sides = self.of([trial.anchor for trial in trials]), self.of([trial.comparison for trial in trials])
        return np.asarray((sides[0] * sides[1]).sum(axis=1), np.float64)


@dataclass(frozen=True)
class Spelled:
    """Unit vectors (P, D) of the pronunciations of each text that can be spelled, and their phones. `heard` are texts whose phones
    are the alignment's, since the lexicon doesn't hold them."""

    vectors: dict[str, Floats]
    codes: dict[str, Codes]
    heard: list[str]
    not_spelled: list[str]


def embed(stage: StageRun, embedder: WaveformEmbedder, sayings: Sayings, trials: Sequence[Trial], around_s: float = 0.0) -> Vectors:
    """Vectors of all sides of the trials, with so much of their recordings around them; names what can't be read as dropped."""
    by_item: dict[int, list[int]] = defaultdict(list)
    for number in sorted({side for trial in trials for side in (trial.anchor, trial.comparison)}):
        by_item[sayings.said[number].item].append(number)
    parts = count()

    def work(shard: list[int]) -> list[dict[str, Any]]:
        numbers, pieces, skipped = [], [], []
        for item in shard:
            try:
                samples = sayings.items[item].read()
                found = [_piece(samples, sayings.said[number], around_s) for number in by_item[item]]
            except (AudioError, DatasetError) as error:
                skipped.append([sayings.items[item].name, error.reason, str(error)])
                continue
            pieces += found
            numbers += by_item[item]
        save_array(stage.output / PARTS / f"vectors-{shard[0]:08d}.npy", vectors_of(embedder, pieces))
        scores = _scores_of(embedder, pieces)
        save_array(stage.output / PARTS / f"phones-{shard[0]:08d}.npy", np.concatenate(scores or [np.zeros((0, 1), np.float32)]))
        return [{"first": shard[0], "numbers": numbers, "frames": [len(one) for one in scores], "skipped": skipped}]

    rows: dict[int, int] = {}
    found: list[Floats] = []
    scores: list[Floats] = []
    for line in stage.map_shards(
        "embed phrases", sorted(by_item), work, shard_size=ITEMS_AT_ONCE, total=len(by_item), unit="recordings"
    ):
        rows |= {number: next(parts) for number in line["numbers"]}
        found.append(np.load(stage.output / PARTS / f"vectors-{line['first']:08d}.npy", allow_pickle=False))
        read = np.load(stage.output / PARTS / f"phones-{line['first']:08d}.npy", allow_pickle=False)
        scores += np.split(read, np.cumsum(line["frames"]))[:-1]
        for item in line["skipped"]:
            stage.drop(*item)
    filled = [part for part in found if len(part)]
    return Vectors(rows, np.concatenate(filled) if filled else np.zeros((0, 1), np.float32), scores)


def _piece(samples: Samples, said: Said, around_s: float) -> tuple[Samples, Speech]:
    piece, start, end = cut(samples, said, around_s)
    return piece, Speech(start, end, 0.0)


def vectors_of(embedder: WaveformEmbedder, pieces: Sequence[tuple[Samples, Speech]]) -> Floats:
    """Unit vectors (n, D) of what is said at places of recordings."""
    if not pieces:
        return np.zeros((0, 1), np.float32)
    if (spans := as_spans(embedder)) is not None:
        return np.stack([spans.vector(samples, speech) for samples, speech in pieces])
    window = embedder.window_samples
    return unit_embeddings(embedder, np.stack([centred(samples, speech, window) for samples, speech in pieces]))


def _scores_of(embedder: WaveformEmbedder, pieces: Sequence[tuple[Samples, Speech]]) -> list[Floats]:
    """Their phones; of none where they can't be read."""
    spans = as_spans(embedder)
    found = [] if spans is None else [spans.phones_in(samples, speech) for samples, speech in pieces]
    return [one for one in found if one is not None]


def spell(embedder: WaveformEmbedder, sayings: Sayings, numbers: Sequence[int]) -> Spelled:
    """The texts of things said, as the lexicon has their words; where it lacks one, where the model doesn't know its phones, and
    where the language isn't English, as the alignment has most of their tokens.

    Raises ModelError for an embedder that takes recordings alone.
    """
    speller = as_spans(embedder)
    if speller is None:
        raise ModelError(f"{embedder.name} takes recordings alone", expected="a model that knows phones, where phrases are typed")
    phones: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
    for said in sayings.said:
        phones[said.text][said.phones] += bool(said.phones)
    vectors: dict[str, Floats] = {}
    codes: dict[str, Codes] = {}
    heard, not_spelled = [], []
    texts = {sayings.said[number].text: sayings.said[number].item not in sayings.foreign for number in numbers}
    for text, english in sorted(texts.items()):
        aligned = [max(phones[text], key=lambda way: (phones[text][way], way))] if phones[text].total() else []
        ways, guessed = _pronounced(text) if english else ([], [])
        tried = [(aligned, True), (ways, False)] if guessed else [(ways, False), (aligned, True)]
        for strings, is_aligned in tried:
            found = _spelled(speller, strings)
            if found is not None:
                vectors[text] = found
                codes[text] = codes_of(as_text(strings), speller.phones) if speller.reads_phones else []
                heard += [text] if is_aligned else []
                break
        else:
            not_spelled.append(text)
    if not vectors:
        raise ModelError(f"{embedder.name} can spell none of the {len(texts)} phrases", expected="a model that knows their phones")
    return Spelled(vectors, codes, heard, not_spelled)


def _pronounced(text: str) -> tuple[list[Pronunciation], list[str]]:
    try:
        return pronounce(text)
    except InputError:  # no letters
        return [], []


def _spelled(embedder: SpanEmbedder, strings: Sequence[Pronunciation]) -> Floats | None:
    """Vectors of those pronunciations whose phones the model knows; None where there are none."""
    found = []
    for string in strings:
        try:
            found.append(embedder.spell([string])[0])
        except InputError:
            continue
    return np.stack(found) if found else None


def typed_alike(
    sayings: Sayings, trials: Sequence[Trial], vectors: Vectors, spelled: Spelled
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarities (n,) of the comparison to the anchor's text, and to text and recording of the anchor together; NaN where the
    text can't be spelled.

    Text alone is as alike as the nearest of its pronunciations. Together they are joined as in `wordprint.spot.enroll`. From both
    is taken what the comparison's phones are unlike the text's, where they can be read, as in a stream.
    """
    alone, together = (np.full(len(trials), np.nan) for _ in range(2))
    for place, trial in enumerate(trials):
        ways = spelled.vectors.get(sayings.said[trial.anchor].text)
        if ways is None:
            continue
        anchor, comparison = vectors.of([trial.anchor, trial.comparison])
        short = 0.0
        if vectors.scores:
            strings = spelled.codes[sayings.said[trial.anchor].text]
            short = shortfall_of(vectors.scores[vectors.rows[trial.comparison]], strings)
        alone[place] = float((ways @ comparison).max()) - short
        together[place] = float(joined(anchor[None], ways) @ comparison) - short
    return alone, together
