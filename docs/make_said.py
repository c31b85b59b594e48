"""Write src/wordprint/models/said.zip: what is said in English, and how often.

    python docs/make_said.py                     # 15 s; needs the extra `align`, and no network

Words, their pronunciations and how often they are said come from what pocketsphinx's wheel brings: its dictionary (CMU) and its
language model, of whose two-word sequences the commonest are taken. Both are under the BSD licence in that wheel. The
model tells the share of each word among all, P(w), and of each word after another, P(v | w); a phrase is said P(w) · P(v | w).
"""

from __future__ import annotations

import argparse
import hashlib
import struct
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.lexicon import ARPABET, Lexicon
from wordprint.spot.said import FILE, PHONES, pack

OUTPUT = Path(__file__).resolve().parents[1] / "src/wordprint" / FILE
PHRASES = 100_000
"""Phrases kept, the commonest."""
LOG = np.log(1.0001)
"""The model's logarithms have this base."""
_HEAD, _QUANTISED = b"Trie Language Model", 1 << 16
_UNIGRAM = np.dtype([("log", "<f4"), ("backoff", "<f4"), ("next", "<u4")])
_ORDER = 3


class Counted(NamedTuple):
    """A language model: its words, P(w) (W,), and for its pairs (B, 2), places in `words`, P(second | first) (B,)."""

    words: list[str]
    share: NDArray[np.float64]
    pairs: NDArray[np.int64]
    share_after: NDArray[np.float64]


def read_language_model(content: bytes) -> Counted:
    """Unigrams and bigrams of a trigram model in the binary form of CMU Sphinx: a trie from the last word back to the first."""
    start = len(_HEAD) + 1
    if content[:start] != _HEAD + bytes([_ORDER]):
        raise SystemExit("this is no trigram model in CMU Sphinx's binary form")
    counts = struct.unpack_from(f"<{_ORDER}I", content, start)
    start += 4 * _ORDER + 4
    logs = np.frombuffer(content, "<f4", _QUANTISED, start)  # then those of back-off weights and of trigrams
    start += 3 * 4 * _QUANTISED
    unigrams = np.frombuffer(content, _UNIGRAM, counts[0] + 1, start)
    start += unigrams.nbytes
    # a pair: the number of its first word, that of its logarithm, that of its back-off weight, where its trigrams begin
    width = counts[0].bit_length()
    bits, trigram_bits = width + 16 + 16 + counts[2].bit_length(), width + 16
    sizes = [((1 + count) * bit + 7) // 8 + 8 for count, bit in ((counts[1], bits), (counts[2], trigram_bits))]
    packed = np.frombuffer(content, np.uint8, sizes[0], start)
    begins = unigrams["next"].astype(np.int64)
    following = begins[1:] - begins[:-1]
    place = np.arange(following.sum()) * bits
    first, log = _bits(packed, place, width), _bits(packed, place + width + 16, 16)
    words = content[start + sum(sizes) + 4 :].decode("latin-1").split("\0")[: counts[0]]
    pairs = np.stack([first, np.repeat(np.arange(counts[0]), following)], axis=1)
    return Counted(words, np.exp(unigrams["log"][:-1].astype(float) * LOG), pairs, np.exp(logs[log].astype(float) * LOG))


def _bits(packed: NDArray[np.uint8], place: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Numbers of up to 32 bits that begin at these bits."""
    whole = np.zeros(len(place), np.uint64)
    for byte in range(5):
        whole |= packed[(place >> 3) + byte].astype(np.uint64) << np.uint64(8 * byte)
    return ((whole >> (place & 7).astype(np.uint64)) & np.uint64((1 << width) - 1)).astype(np.int64)


def build(lexicon: Lexicon, counted: Counted, phrases: int, about: dict[str, Any]) -> bytes:
    """The list: words that model and lexicon know, and the commonest phrases of two of them."""
    words, (first, second) = counted.words, counted.pairs.T
    known = np.array([word in lexicon and ARPABET.issuperset(chain(*lexicon.lookup(word))) for word in words])
    share = np.where(known, counted.share, 0)
    share /= share.sum()  # among words; the model counts the ends of sentences too
    after = share[first] * counted.share_after
    pair_share = np.where(known[second], after, 0) / (1 - after[~known[second]].sum())
    names = np.array(words)
    order = np.lexsort((names[second], names[first], -pair_share))[:phrases]
    return pack(
        {words[place]: (lexicon.lookup(words[place]), 1e6 * share[place]) for place in np.flatnonzero(known)},
        {(words[first[row]], words[second[row]]): 1e6 * pair_share[row] for row in order if pair_share[row]},
        about,
    )


def describe(*sources: Path) -> dict[str, Any]:
    """What the list is made from."""
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}
    return {
        "made_by": "docs/make_said.py",
        "licence": "BSD-2-Clause",
        "notice": "SAID.md",
        "phones": PHONES,
        "sources_sha256": digests,
    }


def main() -> None:
    from pocketsphinx import get_model_path

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lexicon", type=Path, default=get_model_path("en-us/cmudict-en-us.dict"), help="pronunciations")
    parser.add_argument(
        "--model", type=Path, default=get_model_path("en-us/en-us.lm.bin"), help="language model, a trie of trigrams"
    )
    parser.add_argument("--phrases", type=int, default=PHRASES, help="phrases kept (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    counted = read_language_model(given.model.read_bytes())
    content = build(Lexicon.read(given.lexicon), counted, given.phrases, describe(given.lexicon, given.model))
    given.output.write_bytes(content)
    print(f"{len(content) / 1000:.0f} kB → {given.output}")


if __name__ == "__main__":
    main()
