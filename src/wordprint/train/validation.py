"""Validation during training: same-different average precision on words, and where there are enough on speakers, not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wordprint.speech.audio import to_float32
from wordprint.train.network import Embedder
from wordprint.train.options import TrainConfig
from wordprint.train.ranking import same_different_average_precision
from wordprint.words.dataset import WordDataset
from wordprint.words.split import common_side, side

EMBED_BATCH = 256

ENOUGH = 500
"""Tokens from which average precision is steady to about ±0.02."""

TOKENS_PER_WORD = 20
"""Of a frequent word no more are compared: its pairs would drown those of all others."""


@dataclass(frozen=True)
class ValidationWords:
    """Tokens of validation words: bare, in the middle of a silent window.

    Where at least ENOUGH segments have both word and speaker on the validation side, all tokens are of these. Where there
    are fewer, speakers of the training side, who are trained on with other words, also say the validation words: the choice
    of a checkpoint must not hang on a handful of tokens. `counts` tells how many tokens are by speakers not trained on.
    Test words and test speakers are never among them.
    """

    dataset: WordDataset
    indices: NDArray[np.int64]
    words: NDArray[np.str_]

    @classmethod
    def of(cls, dataset: WordDataset, config: TrainConfig) -> ValidationWords | None:
        """Tokens of types that have a pair to compare, or None where there is no such type."""
        indices = dataset.select("validation")
        if len(indices) < ENOUGH:
            indices = np.union1d(indices, _unseen_words(dataset))
        codes, types = dataset.codes("words")
        indices = np.random.default_rng(config.seed).permutation(indices)
        indices = indices[_place_among_equals(codes[indices]) < TOKENS_PER_WORD]
        indices = np.sort(indices[: config.max_validation_tokens])
        counts = np.bincount(codes[indices], minlength=len(types))
        indices = indices[counts[codes[indices]] > 1]
        if not len(indices):
            return None
        return cls(dataset, indices, np.array(types)[codes[indices]])

    def counts(self) -> dict[str, int]:
        """All tokens, and those whose speaker is not trained on."""
        unseen = np.isin(self.indices, self.dataset.select("validation"))
        return {"tokens": len(self.indices), "tokens_of_unseen_speakers": int(unseen.sum())}

    def average_precision(self, network: Embedder, device: torch.device) -> float:
        """AP over all pairs of tokens, with the network in evaluation mode and float32."""
        return same_different_average_precision(self.embed(network, device), self.words)

    def embed(self, network: Embedder, device: torch.device) -> NDArray[np.float32]:
        """Embeddings (tokens, D)."""
        window, embeddings = network.config.window_samples, []
        was_training = network.training
        network.eval()
        with torch.inference_mode():
            for start in range(0, len(self.indices), EMBED_BATCH):
                indices = self.indices[start : start + EMBED_BATCH]
                starts = self.dataset.centred_starts(indices, window)
                crops = self.dataset.crops(indices, starts, window, context_samples=0)
                ends = [self.dataset.at(name, indices) - starts for name in ("start_sample", "end_sample")]
                spans = torch.from_numpy(np.stack(ends, axis=1).astype(np.float32)).to(device)
                embeddings.append(network(torch.from_numpy(to_float32(crops)).to(device), spans).cpu().numpy())
        network.train(was_training)
        return np.concatenate(embeddings)


def _place_among_equals(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many equal codes stand before each one (n,)."""
    order = np.argsort(codes, kind="stable")
    places = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    return places[np.argsort(order)]


def _unseen_words(dataset: WordDataset) -> NDArray[np.int64]:
    """Segments of validation words by speakers who are on the training or the validation side."""
    shares = dataset.metadata["config"]
    (words, types), (speakers, names) = dataset.codes("words"), dataset.codes("speaker")
    wanted = np.array([_side(text.split(" "), "word", shares) == "validation" for text in types])
    heard = np.array([_side([name], "speaker", shares) in ("train", "validation") for name in names])
    return np.flatnonzero(wanted[words] & heard[speakers])


def _side(names: list[str], kind: str, shares: dict[str, float]) -> str:
    return common_side([side(name, kind, shares[f"validation_{kind}s"], shares[f"test_{kind}s"]) for name in names])
