"""`inspect triplets`: the page shows what the miner picks in the batches of training, the hardest first."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json
import re

import numpy as np
import pytest
import soundfile
import torch

from browser import chromium, heard_s, ink, opened, page_data, titles  # noqa: F401 (chromium is a fixture)
from wordprint.errors import ConfigError, DatasetError, InputError
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.train.augment import Sounds, mask_features
from wordprint.train.data import TrainingWords
from wordprint.train.inspect import inspect_triplets, mine, read_trained
from wordprint.train.options import InspectTripletsConfig
from wordprint.train.stage import train
from wordprint.words.dataset import WordDataset

from .conftest import build_words


@pytest.fixture(scope="module")
def trained(tone_words, tmp_path_factory):
    """A network that was trained with triplets for four steps."""
    from wordprint.train.options import TrainConfig

    config = TrainConfig(
        steps=4, words_per_batch=4, tokens_per_word=3, validate_every=2, window_s=1.0, precision="32-true", threads=1,
        loss="triplet", phone_weight=0, accelerator="cpu", channels=16, runs=2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("trained") / "train"
    train(tone_words, folder, config)
    return folder


def spans_of(batch):
    """Recording and place of each span that there is."""
    crops, places = batch.strings.shape
    return [(crop, place) for crop in range(crops) for place in range(places) if batch.strings[crop, place] >= 0]


def labels_of(batch):
    return [int(batch.strings[span]) for span in spans_of(batch)]


def name(training, batch, crop, place):
    if place == 0:
        return training.words[int(batch.labels[crop])]
    return " ".join(training.phones[code - 1] for code in batch.codes[batch.strings[crop, place]].tolist() if code)


def batches(trained, words, count):
    """The batches with which training goes on, and the distances (S, S) of their spans that its loss sees."""
    found = read_trained(trained)
    training = TrainingWords(WordDataset(words), found.config, Sounds.read(None, None, 16_000))
    for step in range(found.step, found.step + count):
        batch = training.batch(step)
        with torch.no_grad():
            features = mask_features(found.network.features(batch.waveforms), batch.time_masks, batch.band_masks)
            vectors = found.network.pool(found.network.encoder(features), batch.spans).numpy()
            vectors = np.stack([vectors[span] for span in spans_of(batch)])
        yield training, batch, 1 - vectors @ vectors.T


def naive(miner, labels, apart, margin):
    """Places of anchor, positive, negative in `labels` that a miner picks, by its definition."""
    picked = set()
    for anchor in range(len(labels)):
        same = [row for row in range(len(labels)) if labels[row] == labels[anchor] and row != anchor]
        other = [row for row in range(len(labels)) if labels[row] != labels[anchor]]
        if miner == "batch-hard" and same:
            picked.add((anchor, max(same, key=lambda row: apart[anchor, row]), min(other, key=lambda row: apart[anchor, row])))
        for positive, negative in itertools.product(same, other):
            further = apart[anchor, negative] - apart[anchor, positive]
            if miner == "all" or (miner == "hard" and further <= 0) or (miner == "semi-hard" and 0 < further <= margin):
                picked.add((anchor, positive, negative))
    return picked


@pytest.mark.parametrize("miner", ["all", "hard", "semi-hard", "batch-hard"])
def test_each_miner_picks_what_it_is_defined_to(trained, tone_words, miner):
    options = dataclasses.replace(read_trained(trained).config, miner=miner)
    _, batch, apart = next(batches(trained, tone_words, 1))
    spans, positive, negative = mine(read_trained(trained).network, batch, options, miner)
    order = {span: place for place, span in enumerate(spans_of(batch))}
    rows = np.array([[order[tuple(span)] for span in triplet] for triplet in spans.tolist()])
    assert set(map(tuple, rows.tolist())) == naive(miner, labels_of(batch), apart, options.margin)
    np.testing.assert_allclose(positive, apart[rows[:, 0], rows[:, 1]], atol=1e-5)
    np.testing.assert_allclose(negative, apart[rows[:, 0], rows[:, 2]], atol=1e-5)


def test_the_hardest_of_all_batches_come_first_with_what_the_network_heard(trained, tone_words, tmp_path):
    inspect_triplets(trained, tone_words, tmp_path / "page.html", InspectTripletsConfig(triplets=40, batches=3))
    data = page_data(tmp_path / "page.html")
    expected, heard = [], {}
    for training, batch, apart in batches(trained, tone_words, 3):
        spans = spans_of(batch)
        for anchor, positive, negative in naive("batch-hard", labels_of(batch), apart, 0.2):
            names = f"{name(training, batch, *spans[anchor])} / {name(training, batch, *spans[negative])}"
            expected.append((apart[anchor, positive] - apart[anchor, negative] + 0.2, names))
        for crop, place in spans:
            edges = (batch.spans[crop, place] / SAMPLE_RATE).clamp(0, 1).tolist()
            sound = to_int16(batch.waveforms[crop].numpy()).tobytes()
            heard.setdefault(sound, []).append((name(training, batch, crop, place), [round(edge, 4) for edge in edges]))
    expected.sort(reverse=True)
    assert [row["title"] for row in data["rows"]] == [names for _, names in expected[:40]]
    assert any(" " in row["title"].split(" / ")[0] for row in data["rows"])  # a run
    violations = [row["values"]["violation"] for row in data["rows"]]
    np.testing.assert_allclose(violations, [violation for violation, _ in expected[:40]], atol=1e-5)
    for clip in data["clips"]:
        samples, _ = soundfile.read(io.BytesIO(base64.b64decode(clip["flac"])), dtype="int16")
        [[symbol, *edges]] = clip["words"]
        assert clip["span"] == edges
        assert (symbol, clip["span"]) in heard[samples.tobytes()]  # augmented as in training, bit for bit
        assert len(clip["hidden_times"]) == len(clip["hidden_bands"]) == 1
    dataset = WordDataset(tone_words)
    for row in data["rows"]:
        assert [label for _, label, _ in row["clips"]] == ["anchor", "positive", "negative"]
        assert {note for *_, note in row["clips"]} <= set(dataset.speakers)
        by = [note for *_, note in row["clips"]]
        assert row["values"]["speakers"] == ("same speaker" if by[0] == by[2] else "two speakers")
    page = (tmp_path / "page.html").read_text()
    assert f">{len(expected)}<" in page  # every span that has another of its string is an anchor of batch-hard
    assert "has no miner" not in page


def test_the_same_bytes_twice_and_the_last_checkpoint(trained, tone_words, tmp_path):
    config = InspectTripletsConfig(triplets=4, batches=1)
    paths = [trained, trained / "best.safetensors", trained / "last.safetensors"]
    pages = []
    for number, path in enumerate(paths):
        inspect_triplets(path, tone_words, tmp_path / f"{number}.html", config)
        pages.append((tmp_path / f"{number}.html").read_bytes())
    assert pages[0] == pages[1]
    assert read_trained(paths[2]).step == 4
    assert b"at step 4" in pages[2]


def test_training_that_still_runs_can_be_looked_at(trained, tone_words, tmp_path):
    running = tmp_path / "train"
    running.mkdir()
    for name in ("best.json", "best.safetensors", "last.safetensors"):
        (running / name).write_bytes((trained / name).read_bytes())
    receipt = json.loads((trained / "stage.json").read_text())
    (running / "stage.partial.json").write_text(
        json.dumps({name: receipt[name] for name in ("schema", "stage", "config", "inputs")})
    )
    said = inspect_triplets(running, tone_words, tmp_path / "page.html", InspectTripletsConfig(triplets=3, batches=1))
    assert re.match(r"3 of \d\d triplets → |3 of \d\d triplets, ", said)


def test_a_loss_without_a_miner_and_other_words_are_said_so(tone_words, tmp_path, small):
    train(tone_words, tmp_path / "train", dataclasses.replace(small, steps=1))
    other = build_words(tmp_path / "other", speakers=("anna", "ben", "cleo", "dora"))
    inspect_triplets(tmp_path / "train", other, tmp_path / "page.html", InspectTripletsConfig(triplets=3, batches=1))
    page = (tmp_path / "page.html").read_text()
    assert "<code>supervised_contrastive</code>, which has no miner" in page
    assert "not the word dataset that it was trained on" in page
    assert "Violate the margin" not in page


@pytest.mark.parametrize("loss", ["proxy_anchor", "arcface"])
def test_losses_of_types_are_shown_words_alone(tone_words, tmp_path, small, loss):
    config = dataclasses.replace(small, steps=1, loss=loss, window_s=1.0)
    train(tone_words, tmp_path / "train", config)
    inspect_triplets(tmp_path / "train", tone_words, tmp_path / "page.html", InspectTripletsConfig(triplets=50, batches=2))
    rows = page_data(tmp_path / "page.html")["rows"]
    words = set(WordDataset(tone_words).words)
    assert len(rows) == 2 * 8  # batch-hard: each word is an anchor
    assert all(set(row["values"]["word"]) <= words for row in rows)


def test_what_is_refused(trained, tone_words, tmp_path):
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match="does not exist"):
        inspect_triplets(tmp_path / "none", tone_words, page)
    with pytest.raises(InputError, match="was written by 'words'"):
        inspect_triplets(tone_words, tone_words, page)
    with pytest.raises(ConfigError, match="batches is 0"):
        inspect_triplets(trained, tone_words, page, InspectTripletsConfig(batches=0))
    (tmp_path / "best.safetensors").touch()
    (tmp_path / "stage.json").write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        inspect_triplets(tmp_path / "best.safetensors", tone_words, page)
    copy = tmp_path / "train"
    copy.mkdir()
    for path in trained.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    receipt = json.loads((copy / "stage.json").read_text())
    receipt["config"] |= {"miner": "semi-hard", "margin": 0.0}
    (copy / "stage.json").write_text(json.dumps(receipt))
    with pytest.raises(DatasetError, match="'semi-hard' picks no triplet"):
        inspect_triplets(copy, tone_words, page, InspectTripletsConfig(batches=1))
    assert not page.exists()


def test_in_the_browser(trained, tone_words, tmp_path, chromium):  # noqa: F811
    page = tmp_path / "page.html"
    inspect_triplets(trained, tone_words, page, InspectTripletsConfig(triplets=12, batches=2))
    rows = page_data(page)["rows"]
    with opened(chromium, page) as tab:
        assert titles(tab) == [row["title"] for row in rows]
        assert all(max(ink(tab, number)) > 0.1 for number in range(3))
        assert tab.locator(".row").first.locator(".hidden").count() > 0
        tab.locator(".row").first.focus()
        assert 0.1 < heard_s(tab, lambda: tab.keyboard.press("2")) < 3  # the positive
        assert heard_s(tab, lambda: tab.keyboard.press("Shift+ ")) > 1.2  # all three
        speaker = rows[0]["values"]["negative"]
        tab.select_option("[name=negative]", speaker)
        assert titles(tab) == [row["title"] for row in rows if row["values"]["negative"] == speaker]
        tab.select_option("[name=negative]", "")
        tab.select_option("[name=order]", label="nearest negative first")
        nearest = sorted(rows, key=lambda row: row["values"]["negative_distance"])
        assert titles(tab) == [row["title"] for row in nearest]
        tab.fill("[name=word]", rows[0]["values"]["word"][1])  # the negative's word, too
        assert rows[0]["title"] in titles(tab)
