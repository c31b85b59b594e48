"""`inspect words`: the page holds the right audio and boundaries, and a real browser plays, draws, filters and orders it."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile

from browser import chromium, heard_s, ink, opened, page_data, titles  # noqa: F401 (chromium is a fixture)
from train.conftest import PHONE_S, build_words
from wordprint.cli import main
from wordprint.errors import ConfigError, InputError
from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.words.convert import from_folders
from wordprint.words.dataset import WordDataset
from wordprint.words.inspect import inspect_words
from wordprint.words.options import InspectWordsConfig, WordsConfig
from wordprint.words.stage import words

SENTENCE = [("alpha", 0.2, 0.5), ("of", 0.5, 0.6), ("beta", 0.6, 1.0), ("gamma", 1.05, 1.5), ("delta", 2.9, 3.2)]
PHONES = [("B", 0.6, 0.7), ("EY", 0.7, 0.85), ("T", 0.85, 0.9), ("AH", 0.9, 1.0)]
ALL = WordsConfig(min_tokens=1, min_speakers=1, validation_speakers=0, test_speakers=0, validation_words=0, test_words=0)


def clip_of(data, word):
    """The clip of the first row with that title."""
    return data["clips"][next(row for row in data["rows"] if row["title"] == word)["clips"][0][0]]


def samples_of(clip):
    return soundfile.read(io.BytesIO(base64.b64decode(clip["flac"])), dtype="int16")


@pytest.fixture
def sentence(corpus, tmp_path):
    """A sentence by each of two speakers; `of` is too short for a segment. The alignments and the dataset."""
    for number in range(2):
        goodness = [-10.0 - number, -1.0, -2.0 - number, -30.0, -4.0]
        corpus.add(f"utt-{number}", f"anna</script>{number}", SENTENCE, duration_s=4.0, phones=PHONES, goodness=goodness)
    words(corpus.write(), tmp_path / "words", ALL)
    return corpus, tmp_path / "words"


def test_a_clip_reaches_from_the_word_before_to_the_word_after(sentence, tmp_path):
    corpus, dataset = sentence
    inspect_words(dataset, tmp_path / "page.html")
    data = page_data(tmp_path / "page.html")
    row = next(row for row in data["rows"] if row["title"] == "beta")
    clip = data["clips"][row["clips"][0][0]]
    assert clip["words"] == [["alpha", 0.0, 0.3], ["beta", 0.4, 0.8], ["gamma", 0.85, 1.3], ["delta", 2.7, 3.0]][:3]
    assert clip["span"] == [0.4, 0.8]
    assert clip["phones"] == []  # their places are only in the alignments
    assert ["phones", "B EY T AH", ""] in row["facts"]
    audio, rate = samples_of(clip)
    assert rate == SAMPLE_RATE
    whole = corpus.audio[next(text for name, text, _ in row["facts"] if name == "from").partition(",")[0]]
    np.testing.assert_array_equal(audio, whole[round(0.2 * SAMPLE_RATE) : round(1.5 * SAMPLE_RATE)])


def test_a_far_neighbour_is_not_shown(sentence, tmp_path):
    inspect_words(sentence[1], tmp_path / "page.html", InspectWordsConfig(context_s=0.5))
    clip = clip_of(page_data(tmp_path / "page.html"), "delta")
    assert clip["words"] == [["delta", 0.3, 0.6]]  # 1.4 s after the word before it
    assert clip["seconds"] == pytest.approx(0.9)


def test_alignments_bring_all_words_and_the_phones(sentence, tmp_path):
    corpus, dataset = sentence
    inspect_words(dataset, tmp_path / "page.html", InspectWordsConfig(alignments=corpus.folder))
    clip = clip_of(page_data(tmp_path / "page.html"), "beta")
    assert [symbol for symbol, *_ in clip["words"]] == ["of", "beta", "gamma"]
    assert clip["span"] == pytest.approx([0.1, 0.5])
    assert clip["phones"] == [[symbol, pytest.approx(start - 0.5), pytest.approx(end - 0.5)] for symbol, start, end in PHONES]


def test_other_alignments_are_refused(sentence, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/alignments.jsonl").write_text(json.dumps({"utterance_id": "else", "textgrid": "else.TextGrid"}) + "\n")
    with pytest.raises(InputError, match="none of the utterances"):
        inspect_words(sentence[1], tmp_path / "page.html", InspectWordsConfig(alignments=tmp_path / "other"))
    assert not (tmp_path / "page.html").exists()


def test_phrases_are_shown_between_words(dataset, tmp_path):
    inspect_words(dataset.path, tmp_path / "page.html", InspectWordsConfig(segments=400))
    data = page_data(tmp_path / "page.html")
    row = next(row for row in data["rows"] if " " in row["title"])
    clip = data["clips"][row["clips"][0][0]]
    names = [symbol for symbol, *_ in clip["words"]]
    assert row["title"] in names
    assert all(" " not in name for name in names if name != row["title"])
    assert all(a[2] <= b[1] + 0.001 for a, b in zip(clip["words"], clip["words"][1:], strict=False))


def test_what_is_chosen(sentence, dataset, tmp_path):
    page = tmp_path / "page.html"
    inspect_words(sentence[1], page, InspectWordsConfig(segments=3, order="goodness"))
    data = page_data(page)
    assert [(row["title"], row["values"]["goodness"]) for row in data["rows"]] == [("gamma", -30), ("gamma", -30), ("alpha", -11)]
    inspect_words(sentence[1], page, InspectWordsConfig(words=("delta", "beta")))
    assert sorted(row["title"] for row in page_data(page)["rows"]) == ["beta", "beta", "delta", "delta"]
    chosen = []
    for count in (5, 20):  # by hash: fewer are among more
        inspect_words(dataset.path, page, InspectWordsConfig(segments=count))
        chosen.append({tuple(map(tuple, row["facts"])) for row in page_data(page)["rows"]})
    assert chosen[0] < chosen[1]
    with pytest.raises(InputError, match="no segments of nowhere"):
        inspect_words(sentence[1], page, InspectWordsConfig(words=("nowhere",)))
    with pytest.raises(ConfigError, match="segments is 0"):
        inspect_words(sentence[1], page, InspectWordsConfig(segments=0))


def test_the_same_bytes_twice(dataset, tmp_path):
    said = [inspect_words(dataset.path, tmp_path / name, InspectWordsConfig(segments=50)) for name in ("a.html", "b.html")]
    assert said[0].startswith(f"50 of {len(dataset)} segments")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_dataset_of_word_folders(tmp_path, chromium):  # noqa: F811
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        for speaker in ("anna", "ben"):
            path = tmp_path / f"folders/{word}/{speaker}_1.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, rng.normal(0, 0.1, 8000).astype(np.float32))
    from_folders(tmp_path / "folders", tmp_path / "words")
    inspect_words(tmp_path / "words", tmp_path / "page.html")
    data = page_data(tmp_path / "page.html")
    assert [clip["words"] for clip in data["clips"]] == [[[row["title"], 0.0, 0.5]] for row in data["rows"]]
    assert {row["values"]["goodness"] for row in data["rows"]} == {None}
    with opened(chromium, tmp_path / "page.html") as tab:
        assert titles(tab) == ["no", "no", "yes", "yes"]
        assert max(ink(tab)) > 0.1


# in the browser


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A page of words of tones (silence between them), with phones."""
    folder = tmp_path_factory.mktemp("tones")
    built = build_words(folder, speakers=("anna", "ben", "cleo", "dora"))
    page = folder / "page.html"
    inspect_words(built, page, InspectWordsConfig(segments=60, alignments=folder / "align"))
    return page, WordDataset(built)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_it_draws_the_word_between_its_boundaries(tones, chromium, color_scheme):  # noqa: F811
    page, _ = tones
    with opened(chromium, page, color_scheme) as tab:
        columns = np.array(ink(tab, 2))
        box = tab.locator(".picture").nth(2).bounding_box()
        start, end = [
            round((edge.bounding_box()["x"] + 1 - box["x"]) / box["width"] * len(columns))
            for edge in tab.locator(".picture").nth(2).locator(".boundary").all()
        ]
        assert end - start == pytest.approx(3 * PHONE_S * len(columns) / (box["width"] / 400), abs=3)
        loud = columns > columns[start:end].mean() / 2
        assert loud[start + 4 : end - 4].all()  # tones sound from one boundary to the other
        assert not loud[start - 24 : start - 6].any()  # and 60 ms before and after there is silence
        assert not loud[end + 6 : end + 24].any()
        phones = tab.locator(".picture").nth(2).locator(".phones .own").all_inner_texts()
        assert "".join(phones).lower() == titles(tab)[2]


def test_a_narrow_window_scrolls_pictures_and_not_the_page(tones, chromium):  # noqa: F811
    with opened(chromium, tones[0]) as tab:
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_it_plays(tones, chromium):  # noqa: F811
    with opened(chromium, tones[0]) as tab:
        row = tab.locator(".row").nth(1)
        assert 0.1 < heard_s(tab, row.get_by_text("▶ word").click) < 3
        assert row.evaluate("row => row === document.activeElement")
        seconds = tab.evaluate("JSON.parse(document.getElementById('listen-data').textContent).clips[0].seconds")
        assert heard_s(tab, row.get_by_text("▶ in sentence").click) > seconds / 2
        assert heard_s(tab, row.locator(".phones .interval").first.click) > 0


def test_the_keyboard_walks_and_plays(tones, chromium):  # noqa: F811
    with opened(chromium, tones[0]) as tab:
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
            tab.keyboard.press(key)
        assert tab.evaluate("[...document.querySelectorAll('.row')].indexOf(document.activeElement)") == 1
        assert heard_s(tab, lambda: tab.keyboard.press(" ")) > 0.1
        tab.keyboard.press("Shift+ ")
        tab.wait_for_selector(".row.playing", state="attached")
        tab.keyboard.press("Escape")
        tab.wait_for_selector(".row.playing", state="detached", timeout=300)


def test_filters_and_order(tones, chromium):  # noqa: F811
    page, _ = tones
    rows = page_data(page)["rows"]
    with opened(chromium, page) as tab:
        assert titles(tab) == sorted(row["title"] for row in rows)
        word = rows[0]["title"]
        tab.fill("[name=word]", word)
        assert set(titles(tab)) == {word}
        assert tab.inner_text("#count") == f"{len(titles(tab))} of {len(rows)} shown"
        tab.fill("[name=word]", word[:2])
        assert set(titles(tab)) == {row["title"] for row in rows if word[:2] in row["title"]}
        tab.get_by_text("Reset").click()
        tab.wait_for_function("count => document.querySelectorAll('.row').length === count", arg=len(rows))
        for key in ("speaker", "split"):
            value = rows[0]["values"][key]
            tab.select_option(f"[name={key}]", value)
            assert len(titles(tab)) == sum(row["values"][key] == value for row in rows)
            tab.select_option(f"[name={key}]", "")
        tab.select_option("[name=order]", label="longest first")
        assert len(titles(tab)) == len(rows)


def test_goodness_filters_and_orders(sentence, tmp_path, chromium):  # noqa: F811
    inspect_words(sentence[1], tmp_path / "page.html")
    with opened(chromium, tmp_path / "page.html") as tab:
        tab.select_option("[name=order]", label="goodness, lowest first")
        assert titles(tab) == ["gamma", "gamma", "alpha", "alpha", "delta", "delta", "beta", "beta"]
        tab.fill("[name=goodness-max]", "-3.5")
        tab.fill("[name=goodness-min]", "-11")
        assert titles(tab) == ["alpha", "alpha", "delta", "delta"]
        assert "anna</script>0" in tab.locator("[name=speaker]").inner_text()


def test_the_command_line(dataset, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["inspect", "words", str(dataset.path), "-o", str(page), "--segments", "4"]) == 0
    assert capsys.readouterr().out.startswith("4 of ")
    assert len(page_data(page)["rows"]) == 4
    assert main(["inspect", "words", str(dataset.path), "--batches", "4"]) == 2
    assert " is no option of 'inspect words'" in capsys.readouterr().err
    assert main(["inspect", "triplets", str(dataset.path)]) == 2
    assert "wordprint inspect triplets CHECKPOINT WORDS" in capsys.readouterr().err
