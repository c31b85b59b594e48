"""The statistics of a corpus against sets and lists that hold everything, and duplicates that lie far apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from wordprint.records import Utterance
from wordprint.stages.manifest import read_jsonl, write_jsonl
from wordprint.validate import stage as stage
from wordprint.validate.options import ValidateConfig
from wordprint.validate.report import _distribution
from wordprint.validate.stage import validate
from wordprint.validate.tally import Pairs


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**32 - 1) | st.integers(0, 3))), st.integers(1, 9))
def test_distinct_pairs_equal_sets(pairs, buffer):
    counted = Pairs()
    counted.BUFFER = buffer
    for pair in pairs:
        counted.add(*pair)
    for _ in range(2):  # counting changes nothing
        assert counted.counts(7).tolist() == [len({second for first, second in pairs if first == number}) for number in range(7)]


@given(st.lists(st.integers(0, 30_000).map(lambda ms: ms / 1000), min_size=1, max_size=50))
def test_the_figures_of_a_distribution_are_those_of_its_values(values):
    found = _distribution(Counter(values))
    expected = [np.min(values), *np.percentile(values, [5, 50, 95]), np.max(values), np.mean(values)]
    np.testing.assert_allclose([found[name] for name in ("min", "p05", "median", "p95", "max", "mean")], expected, atol=6e-5)
    assert sum(found["histogram"]["counts"]) == len(values)


@pytest.fixture
def manifest(tmp_path):
    """Nine utterances; the last has the id of the first, the one before its sound and words, the seventh its sound alone."""
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(9):
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, rng.normal(scale=0.05, size=16_000), 16_000)
        utterances.append(Utterance(f"u-{number}", f"s-{number % 2}", str(path), 0.0, 1.0, f"some words {'x' * (number + 1)}"))
    first = utterances[0]
    utterances[6] = Utterance("u-6", "s-0", first.audio, 0.0, 1.0, "other words")
    utterances[7] = Utterance("u-7", "s-1", first.audio, 0.0, 1.0, first.transcript)
    utterances[8] = Utterance("u-0", "s-1", utterances[8].audio, 0.0, 1.0, "more words")
    write_jsonl(tmp_path / "utterances.jsonl", (utterance.to_json() for utterance in utterances))
    return tmp_path / "utterances.jsonl"


def test_duplicates_are_found_across_shards_and_after_a_stop(manifest, tmp_path, monkeypatch):
    whole = validate(manifest, tmp_path / "whole", ValidateConfig())
    assert whole.counts["dropped"] == {"duplicate_id": 1, "duplicate_utterance": 1}
    found = [(row["utterance_id"], row["reason"], row["detail"]) for row in read_jsonl(tmp_path / "whole/problems.jsonl")]
    assert ("u-6", "duplicate_audio", "as in u-0") in found
    assert ("u-7", "duplicate_utterance", "as in u-0") in found
    assert ("u-0", "duplicate_id", "an earlier utterance has the same id") in found

    monkeypatch.setattr(stage, "SHARD_SIZE", 2)
    calls = []

    def examine(shard, config):
        calls.append(shard)
        if len(calls) == 5:
            raise RuntimeError("power cut")
        return original(shard, config)

    original = stage.examine
    monkeypatch.setattr(stage, "examine", examine)
    with pytest.raises(RuntimeError):
        validate(manifest, tmp_path / "out", ValidateConfig())
    monkeypatch.setattr(stage, "examine", original)
    assert validate(manifest, tmp_path / "out", ValidateConfig()).outputs == whole.outputs
