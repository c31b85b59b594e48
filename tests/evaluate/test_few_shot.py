"""Few-shot protocols against hand-worked cases, naive loops and planted answers."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.errors import DatasetError
from wordprint.evaluate import few_shot
from wordprint.evaluate.episodes import draw_episodes

WORDS = ("yes", "no", "up", "bed", "cat")


def _tokens(speakers=12, takes=2, seed=0, spread=0.5, dimensions=8):
    """Embeddings around one centre per word, with the words and speakers that go with them."""
    generator = np.random.default_rng(seed)
    words = np.repeat(WORDS, speakers * takes)
    people = np.tile(np.repeat([f"s{i:02d}" for i in range(speakers)], takes), len(WORDS))
    centres = dict(zip(WORDS, generator.normal(size=(len(WORDS), dimensions)), strict=True))
    vectors = np.stack([centres[word] for word in words]) + spread * generator.normal(size=(len(words), dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), words, people


def _open_set(data, seed=0, **options):
    embeddings, words, people = data
    options = {"targets": ["yes", "no", "up"], "shots": (1, 3), "draws": 6} | options
    return few_shot.open_set(embeddings, words, people, generator=np.random.default_rng(seed), **options)


@pytest.mark.parametrize("enroll_share", [0.05, 0.25, 0.6])
def test_supports_come_from_speakers_that_are_not_asked(enroll_share):
    _, words, people = _tokens()
    draws = draw_episodes(
        words, people, ["yes", "no"], ["bed"], shots=3, draws=20, generator=np.random.default_rng(1), enroll_share=enroll_share
    )
    for draw in draws:
        enrolled = set(people[draw.supports].ravel())
        asked = np.concatenate([draw.queries, draw.unknown])
        assert not enrolled & set(people[asked])
        assert [set(words[row]) for row in draw.supports] == [{"yes"}, {"no"}]
        assert all(len(set(row.tolist())) == 3 for row in draw.supports)
        assert set(words[draw.queries]) == {"yes", "no"}
        assert set(words[draw.unknown]) == {"bed"}
    assert len({tuple(draw.supports.ravel()) for draw in draws}) == 20  # every keyword is drawn anew, every time


def test_the_best_span_of_a_query_counts_and_all_spans_of_a_support():
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(7, 3, 4)).astype(np.float32)
    keywords = few_shot.prototypes(tokens, np.array([[0, 1], [2, 3]]))
    for row, supports in zip(keywords, ([0, 1], [2, 3]), strict=True):
        total = sum(tokens[token, span].astype(float) for token in supports for span in range(3))
        np.testing.assert_allclose(row, total / np.linalg.norm(total))
    found = few_shot.nearest(tokens[4:], keywords)
    for query, row in zip(tokens[4:], found, strict=True):
        for keyword, similarity in zip(keywords, row, strict=True):
            assert similarity == pytest.approx(max(float(vector @ keyword) for vector in query))
    np.testing.assert_allclose(few_shot.nearest(tokens[:, 0], keywords), tokens[:, 0] @ keywords.T, atol=1e-6)


def test_without_speakers_no_recording_is_both_support_and_query():
    _, words, _ = _tokens()
    for draw in draw_episodes(words, None, ["yes", "no"], [], shots=5, draws=10, generator=np.random.default_rng(0)):
        assert not set(draw.supports.ravel()) & set(draw.queries)
        assert len(draw.queries) == 2 * (24 - 5)
        assert not len(draw.unknown)


def test_a_recording_of_nobody_is_always_asked():
    words = np.array(["yes"] * 6 + ["no"] * 6 + ["_silence_"] * 3)
    people = np.array(["a", "a", "b", "b", "c", "c"] * 2 + [""] * 3)
    for draw in draw_episodes(words, people, ["yes", "no"], ["_silence_"], shots=2, draws=5, generator=np.random.default_rng(0)):
        assert draw.unknown.tolist() == [12, 13, 14]


@pytest.mark.parametrize(
    ("words", "people", "match"),
    [
        (["yes"] * 3 + ["no"] * 9, list("abc") + list("abcabcabc"), "'yes' has 3 recordings"),
        (["yes"] * 9 + ["no"] * 9, list("aaaaaaaaa") + list("abcabcabc"), "no choice of speakers to enroll"),
    ],
)
def test_too_little_data_is_an_error(words, people, match):
    with pytest.raises(DatasetError, match=match):
        draw_episodes(words, people, ["yes", "no"], [], shots=3, draws=2, generator=np.random.default_rng(0))


def test_prototype_is_the_unit_mean():
    embeddings = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    assert few_shot.prototypes(embeddings, np.array([[0, 1], [1, 2]])) == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0, 1]]))


def test_open_set_agrees_with_a_loop(monkeypatch):
    data = _tokens(spread=0.9)
    embeddings, words, _ = data
    monkeypatch.setattr(few_shot, "OPEN_SET_FARS", (0.05, 0.2))
    result = _open_set(data)
    for entry in result.results:
        closed, accuracy = [], {0.05: [], 0.2: []}
        for draw in result.draws:
            models = []
            for row in draw.supports:
                mean = sum(embeddings[i].astype(float) for i in row[: entry.shots]) / entry.shots
                models.append(mean / np.sqrt(mean @ mean))
            best = {
                int(i): max((float(embeddings[i] @ model), t) for t, model in enumerate(models))
                for i in (*draw.queries, *draw.unknown)
            }
            right = {i: result.targets[best[i][1]] == words[i] for i in draw.queries.tolist()}
            closed.append(sum(right.values()) / len(right))
            for far, found in accuracy.items():
                # the lowest similarity, of those observed, that lets at most this share of the unknown in
                allowed = [
                    value
                    for value in sorted(v for v, _ in best.values())
                    if sum(best[i][0] >= value for i in draw.unknown.tolist()) <= far * len(draw.unknown)
                ]
                threshold = min(allowed, default=np.inf)
                found.append(sum(right[i] and best[i][0] >= threshold for i in right) / len(right))
        assert entry.estimates["closed"].mean == pytest.approx(np.mean(closed))
        assert entry.estimates["closed"].std == pytest.approx(np.std(closed, ddof=1))
        assert entry.estimates["accuracy_at_5_far"].mean == pytest.approx(np.mean(accuracy[0.05]))
        assert entry.estimates["accuracy_at_20_far"].mean == pytest.approx(np.mean(accuracy[0.2]))


def test_perfect_embeddings_score_perfectly():
    _, words, people = _tokens()
    exact = np.eye(len(WORDS), dtype=np.float32)[[WORDS.index(word) for word in words]]
    result = _open_set((exact, words, people))
    for entry in result.results:
        assert entry.estimates["closed"].mean == 1
        assert entry.estimates["accuracy_at_1_far"].mean == 1
        assert entry.estimates["eer"].mean == 0
        assert entry.estimates["auroc"].mean == 1
        assert entry.estimates["auroc"].high == 1
        assert entry.estimates["auroc"].low == pytest.approx(0.7575, abs=1e-4)  # twelve speakers are asked, as if once each


def test_embeddings_without_information_score_at_chance():
    _, words, people = _tokens(speakers=30)
    noise = np.random.default_rng(3).normal(size=(len(words), 16)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    estimates = _open_set((noise, words, people), draws=40).best.estimates
    assert estimates["closed"].mean == pytest.approx(1 / 3, abs=0.05)
    assert estimates["auroc"].mean == pytest.approx(0.5, abs=0.05)


def test_every_target_is_scored_and_more_shots_help():
    """A loop that returned after its first keyword would leave the others without counts."""
    data = _tokens(spread=1.0, speakers=20)
    result = _open_set(data, draws=20)
    _, words, _ = data
    asked = result.best.counts.sum(axis=1)
    assert all(asked[words == word].sum() > 0 for word in WORDS)
    assert result.results[1].estimates["closed"].mean > result.results[0].estimates["closed"].mean


def test_same_seed_same_result_other_seed_other_draws():
    data = _tokens()
    one, two, other = _open_set(data), _open_set(data), _open_set(data, seed=1)
    assert all((a.supports == b.supports).all() for a, b in zip(one.draws, two.draws, strict=True))
    assert one.results[0].estimates == two.results[0].estimates
    assert any((a.supports != b.supports).any() for a, b in zip(one.draws, other.draws, strict=True))


def test_intervals_hold_the_mean_and_shrink_with_more_speakers():
    few, many = (_open_set(_tokens(speakers=count, spread=0.9), draws=20).best.estimates["closed"] for count in (10, 60))
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low


def test_closed_set_only_without_unknown_words():
    embeddings, words, people = _tokens()
    result = few_shot.open_set(
        embeddings, words, people, generator=np.random.default_rng(0), targets=list(WORDS), shots=(1,), draws=2
    )
    assert set(result.best.estimates) == {"closed"}
    assert result.best.det is None
    assert result.best.accepted is None


def test_draws_without_unknown_queries_count_for_the_closed_set_only():
    embeddings, words, people = _tokens()
    kept = np.isin(words, ["yes", "no", "up"]) | (people == "s00")
    result = _open_set((embeddings[kept], words[kept], people[kept]), draws=30)
    assert {bool(len(draw.unknown)) for draw in result.draws} == {True, False}
    for entry in result.results:
        assert set(entry.estimates) > {"closed", "eer", "auroc", "accuracy_at_5_far"}
        assert all(0 <= estimate.mean <= 1 for estimate in entry.estimates.values())


def test_user_defined_agrees_with_a_loop():
    embeddings, words, people = _tokens(spread=0.9)
    result = few_shot.user_defined(
        embeddings, words, people, generator=np.random.default_rng(0), targets=["yes", "no", "up"], unknown=["bed"],
        shots=(2,), draws=3,
    )  # fmt: skip
    frr, f1 = [], []
    for draw in result.draws:
        models = few_shot.prototypes(embeddings, draw.supports[:, :2])
        positive, negative = [], []
        predicted = {}
        for i in (*draw.queries.tolist(), *draw.unknown.tolist()):
            similarities = [float(embeddings[i].astype(float) @ model) for model in models]
            predicted[i] = result.targets[int(np.argmax(similarities))]
            for target, similarity in zip(result.targets, similarities, strict=True):
                (positive if words[i] == target else negative).append(similarity)
        allowed = [v for v in sorted(positive + negative) if sum(n >= v for n in negative) <= 0.1 * len(negative)]
        frr.append(sum(p < min(allowed, default=np.inf) for p in positive) / len(positive))
        scores = []
        for target in result.targets:
            hits = sum(words[i] == target == predicted[i] for i in draw.queries.tolist())
            wrong = sum((words[i] == target) != (predicted[i] == target) for i in draw.queries.tolist())
            scores.append(2 * hits / (2 * hits + wrong))
        f1.append(np.mean(scores))
    assert result.best.estimates["frr_at_10_far"].mean == pytest.approx(np.mean(frr))
    assert result.best.estimates["macro_f1"].mean == pytest.approx(np.mean(f1))


def test_select_kaist_caps_the_recordings(monkeypatch):
    words = np.array(["zero"] * 5 + ["one"] * 2 + ["bed"] * 4 + ["cat"] * 3 + ["dog"] * 1 + ["_silence_"] * 6)
    for name, count in {"PER_KEYWORD": 3, "UNKNOWN_WORDS": 2, "PER_UNKNOWN": 3, "SILENCES": 4}.items():
        monkeypatch.setattr(few_shot, name, count)
    chosen = few_shot.select_kaist(words, np.random.default_rng(0), few_shot.DIGITS)
    kinds, counts = np.unique(words[chosen], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {"zero": 3, "one": 2, "bed": 3, "cat": 3, "_silence_": 4}


def test_enrollable_needs_recordings_and_speakers():
    words = ["a"] * 3 + ["b"] * 2 + ["c"] * 3
    people = list("xyz") + list("xy") + list("xxx")
    assert few_shot.enrollable(words, people, 2) == ["a"]
    assert few_shot.enrollable(words, None, 2) == ["a", "c"]
    assert few_shot.enrollable(words, people, 1) == ["a", "b"]
