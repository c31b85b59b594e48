"""The sampler against a plain one, with lists of tokens by type and speaker: the same draws from the same generator."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wordprint.train.sampler import FREQUENT, WordSampler


class PlainSampler:
    """What WordSampler says it does, written down without a thought for size."""

    def __init__(self, words, speakers, words_per_batch, tokens_per_word):
        self.tokens = {word: {} for word in sorted(set(words))}
        for token, (word, speaker) in enumerate(zip(words, speakers, strict=True)):
            self.tokens[word].setdefault(speaker, []).append(token)
        self.words_per_batch, self.tokens_per_word = min(words_per_batch, len(self.tokens)), tokens_per_word

    def draw(self, rng):
        weights = np.sqrt([min(sum(map(len, said.values())), FREQUENT) for said in self.tokens.values()])
        types = rng.choice(len(weights), self.words_per_batch, replace=False, p=weights / weights.sum())
        return [token for word in types for token in self.draw_tokens(self.tokens[word], rng)]

    def draw_tokens(self, said, rng):
        groups = [said[speaker] for speaker in sorted(said)]
        turns, picked = rng.permutation(len(groups)), []
        for place in range(self.tokens_per_word):
            group = groups[turns[place % len(groups)]]
            taken = set(picked) & set(group)
            choices = [token for token in group if token not in taken] or group
            picked.append(choices[rng.integers(len(choices))])
        return picked


CORPORA = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(CORPORA, st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_the_same_draws_as_a_plain_sampler(corpus, words_per_batch, tokens_per_word, seed):
    corpus = [*corpus, (0, 0), (1, 1)]
    names = sorted({word for word, _ in corpus})
    words, speakers = (np.array(column, np.int32) for column in zip(*((names.index(w), s) for w, s in corpus), strict=True))
    sampler = WordSampler(words, speakers, words_per_batch, tokens_per_word)
    plain = PlainSampler(words.tolist(), speakers.tolist(), words_per_batch, tokens_per_word)
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    for _ in range(3):
        assert sampler.draw(ours).tolist() == plain.draw(theirs)


def test_more_types_and_speakers_than_two_bytes_can_tell_apart():
    words = np.repeat(np.arange(70_000), 2)
    speakers = np.tile(np.array([69_999, 3]), 70_000) + np.repeat(np.arange(70_000), 2)
    picked = WordSampler(words, speakers, 50, 2).draw(np.random.default_rng(0)).reshape(50, 2)
    assert (words[picked[:, 0]] == words[picked[:, 1]]).all()
    assert (picked[:, 0] != picked[:, 1]).all()


def test_types_are_drawn_by_the_root_of_their_tokens():
    words = np.repeat(np.arange(3), (1, 16, 900))
    speakers = np.arange(len(words)) % 2
    sampler, rng = WordSampler(words, speakers, 1, 1), np.random.default_rng(0)
    drawn = np.bincount([words[sampler.draw(rng)[0]] for _ in range(4000)], minlength=3) / 4000
    expected = np.sqrt([1, 16, FREQUENT])
    np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.03)
