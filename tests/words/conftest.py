"""A small aligned corpus: noise for audio, so that every sample can be recognised, and hand-made TextGrids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

Word = tuple[str, float, float]


def write_textgrid(path: Path, duration_s: float, tiers: dict[str, Sequence[Word]]) -> None:
    """A TextGrid in Praat's long form with gaps as empty intervals."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {duration_s}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        filled: list[Word] = []
        end_s = 0.0
        for symbol, start_s, stop_s in intervals:
            filled += [("", end_s, start_s)] if start_s > end_s else []
            filled.append((symbol, start_s, stop_s))
            end_s = stop_s
        filled += [("", end_s, duration_s)] if duration_s > end_s else []
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
        lines += [f"        xmax = {duration_s}", f"        intervals: size = {len(filled)}"]
        for place, (symbol, start_s, stop_s) in enumerate(filled, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start_s}", f"            xmax = {stop_s}"]
            lines += [f'            text = "{symbol}"']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass
class Corpus:
    """Writes utterances of noise and their alignments; `audio` maps utterance ids to the samples that were written."""

    folder: Path
    lines: list[dict[str, object]] = field(default_factory=list)
    audio: dict[str, NDArray[np.int16]] = field(default_factory=dict)

    def add(
        self,
        utterance_id: str,
        speaker: str,
        intervals: Sequence[Word],
        *,
        duration_s: float = 3.0,
        goodness: Sequence[float | None] | None = None,
        phones: Sequence[Word] = (),
    ) -> None:
        rng = np.random.default_rng(len(self.lines))
        samples = rng.integers(-20_000, 20_000, round(duration_s * SAMPLE_RATE)).astype(np.int16)
        audio = self.folder / "recordings" / f"{utterance_id}.flac"
        audio.parent.mkdir(parents=True, exist_ok=True)
        write_audio(audio, samples)
        textgrid = f"textgrids/{speaker}/{utterance_id}.TextGrid"
        write_textgrid(self.folder / textgrid, duration_s, {"words": intervals, "phones": phones})
        self.audio[utterance_id] = samples
        self.lines.append(
            {
                "utterance_id": utterance_id,
                "speaker": speaker,
                "audio": str(audio),
                "start_s": 0.0,
                "end_s": duration_s,
                "transcript": " ".join(symbol for symbol, _, _ in intervals),
                "language": "en",
                "meta": {"corpus": "noise", "licence": "CC0"},
                "textgrid": textgrid,
                "goodness": None,
                "word_goodness": list(goodness) if goodness is not None else [-1.0 for _ in intervals],
            }
        )

    def write(self) -> Path:
        """Write alignments.jsonl; returns the folder, as `align` would have left it."""
        lines = "".join(json.dumps(line) + "\n" for line in self.lines)
        (self.folder / "alignments.jsonl").write_text(lines, encoding="utf-8")
        return self.folder


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    folder = tmp_path / "aligned"
    folder.mkdir()
    return Corpus(folder)


VOCABULARY = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]


def fill(corpus: Corpus, utterances: int = 60, speakers: int = 12, words_each: int = 6) -> Path:
    """Utterances of random words, 0.3 s each after a pause of 0.1 s."""
    rng = np.random.default_rng(7)
    for number in range(utterances):
        spoken = rng.choice(VOCABULARY, words_each)
        intervals = [(str(word), 0.1 + 0.4 * place, 0.4 + 0.4 * place) for place, word in enumerate(spoken)]
        corpus.add(f"utt-{number:03d}", f"speaker{number % speakers}", intervals, duration_s=0.4 * words_each + 0.2)
    return corpus.write()


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Alignments of 60 utterances by 12 speakers, for tests that only read them."""
    return fill(Corpus(tmp_path_factory.mktemp("aligned")))


@pytest.fixture(scope="session")
def dataset(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> WordDataset:
    """A word dataset with phrases of two words, in several shards; tests must not change its files."""
    output = tmp_path_factory.mktemp("words") / "dataset"
    words(corpus_folder, output, WordsConfig(max_phrase_words=2, shard_hours=0.01))
    return WordDataset(output)
