"""LibriPhrase: what is drawn, what is read from published lists, and figures against naive loops, with a planted embedder."""

from __future__ import annotations

import csv
import json
import re
import shutil
from itertools import pairwise, product

import numpy as np
import pytest

from evaluate.tones import Bands
from toy_model import stream_of, write_model
from wordprint.cli import main
from wordprint.embedding import SpanEmbedder
from wordprint.errors import ConfigError, DatasetError, InputError
from wordprint.evaluate import phrase_report, phrases
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.phrase_material import Said, Sayings, plain_phone
from wordprint.evaluate.phrase_material import phrases as phrases_of
from wordprint.evaluate.phrase_trials import EASY, HARD, POSITIVE, Trial, draw_trials, edit_distances, encode
from wordprint.evaluate.phrase_vectors import spell
from wordprint.evaluate.stage import evaluate
from wordprint.evaluate.stream_build import Item
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import write_audio
from wordprint.speech.textgrid import write_textgrid
from wordprint.stages.manifest import digest_file, read_jsonl, write_jsonl
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

RATE = 16_000
PHONES = {
    "red": "R EH D", "bed": "B EH D", "read": "R EH D", "blue": "B L UW", "green": "G R IY N", "seven": "S EH V AH N",
    "kitchen": "K IH CH AH N", "light": "L AY T", "night": "N AY T", "on": "AA N", "off": "AO F",
}  # fmt: skip
NAMES = list(PHONES)
WORD_S, SLIP = 0.3, 0.002


# what is drawn


def naive_distance(one, other):
    """Levenshtein's distance, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        naive_distance(one[1:], other) + 1,
        naive_distance(one, other[1:]) + 1,
        naive_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


def test_edit_distances_are_those_of_the_definition():
    generator = np.random.default_rng(0)
    strings = [tuple(generator.choice(list("ABC"), size)) for size in generator.integers(0, 7, 40)]
    codes, lengths = encode(strings)
    for string, row, length in zip(strings[:12], codes, lengths, strict=False):
        expected = [naive_distance(string, other) for other in strings]
        assert edit_distances(row[:length], codes, lengths).tolist() == expected


def said_by(people):
    """One token of each text by each speaker, with the phones of its words."""
    found = []
    for item, (speaker, text) in enumerate(sorted((who, text) for who, texts in people.items() for text in texts)):
        string = tuple(" ".join(PHONES[name] for name in text.split()).split())
        found.append(Said(item, speaker, text, 0.0, 1.0, string))
    return found


PEOPLE = {
    "ann": ["red", "blue", "light on", "green"],
    "bob": ["red", "bed", "read", "light off", "seven"],
    "cy": ["red", "kitchen", "light on", "night on", "blue"],
}


def test_an_anchor_has_as_many_of_each_kind_all_by_others():
    said = said_by(PEOPLE)
    trials, not_run = draw_trials(said, anchors=100, pairs=3, seed=0)
    assert sorted(not_run) == ["3", "4"]
    assert not_run["3"].startswith("0 phrases of three words, none of which two speakers say")
    for episode in {trial.episode for trial in trials}:
        mine = [trial for trial in trials if trial.episode == episode]
        assert len({trial.anchor for trial in mine}) == 1
        counts = [sum(trial.kind == kind for trial in mine) for kind in (POSITIVE, EASY, HARD)]
        assert counts[0] == counts[1] == counts[2] > 0
    for trial in trials:
        anchor, other = said[trial.anchor], said[trial.comparison]
        assert anchor.speaker != other.speaker
        assert anchor.item != other.item
        assert trial.words == anchor.words == other.words
        assert (anchor.text == other.text) == (trial.kind == POSITIVE)
        assert {anchor.text, other.text} != {"red", "read"}  # which sound the same
        assert trial.distance == naive_distance(anchor.phones, other.phones)


def test_hard_negatives_are_the_nearest_that_somebody_else_says():
    said = said_by(PEOPLE)
    trials, _ = draw_trials(said, anchors=100, pairs=1, seed=3)
    anchors = {said[trial.anchor].text + "/" + said[trial.anchor].speaker for trial in trials}
    assert anchors == {"red/ann", "red/bob", "red/cy", "blue/ann", "blue/cy", "light on/ann", "light on/cy"}
    for trial in (trial for trial in trials if trial.kind == HARD):
        anchor = said[trial.anchor]
        others = [
            one for one in said if one.speaker != anchor.speaker and one.words == anchor.words and one.phones != anchor.phones
        ]
        assert trial.distance == min(naive_distance(anchor.phones, one.phones) for one in others)


def test_a_text_has_the_phones_of_most_of_its_tokens():
    said = [
        *(Said(n, f"s{n}", "the", 0, 1, ("DH", "IY") if n == 3 else ("DH", "AH")) for n in range(4)),
        Said(4, "s4", "thee", 0, 1, ("DH", "IY")),
        Said(5, "s5", "bah", 0, 1, ("B", "AH")),
        Said(6, "s6", "hummus", 0, 1, ("HH", "AH", "M", "AH", "S")),
    ]
    trials, _ = draw_trials(said, anchors=9, pairs=1, seed=0)
    # "thee" is said as one of them says "the": it is no other text to the ear
    assert {said[trial.comparison].text for trial in trials if trial.kind == HARD} == {"bah"}
    assert "thee" not in {said[trial.comparison].text for trial in trials}


def test_texts_that_a_lexicon_lets_sound_the_same_are_no_negatives():
    said = [Said(n, f"s{n}", "way to", 0, 1, ("W", "EY", "T", "AH")) for n in range(2)]
    said += [Said(2, "s2", "way too", 0, 1, ("W", "EY", "T", "UW")), Said(3, "s3", "why not", 0, 1, ("W", "AY", "N", "AA", "T"))]

    def compared(spelled=None):
        return {said[trial.comparison].text for trial in draw_trials(said, anchors=9, pairs=1, seed=0, spelled=spelled)[0]}

    assert "way too" in compared()
    ways = [("W", "EY", "T", "UW"), ("W", "EY", "T", "AH")]
    assert compared({"way to": ways, "way too": ways[:1]}) == {"way to", "why not"}


def test_texts_without_phones_are_as_the_lexicon_has_them_or_no_anchors():
    said = [Said(0, "a", "ja", 0, 1), Said(1, "b", "ja", 0, 1), Said(2, "c", "nein", 0, 1)]
    with pytest.raises(DatasetError, match="3 phrases by 3 speakers give no trial"):
        draw_trials(said, anchors=9, pairs=1, seed=0)
    trials, _ = draw_trials(said, anchors=9, pairs=1, seed=0, spelled={"ja": [("Y", "AH")], "nein": [("N", "AY", "N")]})
    assert {(trial.kind, trial.distance) for trial in trials} == {(POSITIVE, 0), (EASY, 3), (HARD, 3)}
    trials, _ = draw_trials([*said, Said(3, "c", "da", 0, 1)], anchors=9, pairs=1, seed=1, spelled={"ja": [("Y",)], "da": [("D",)]})
    assert {said[trial.comparison].text if trial.comparison < 3 else "da" for trial in trials if trial.kind == HARD} == {"da"}
    assert {trial.distance for trial in trials if trial.kind == EASY} <= {None, 1}


def test_the_seed_alone_decides():
    said = said_by({f"s{n}": NAMES for n in range(8)})
    first, again, other = (draw_trials(said, anchors=6, pairs=2, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again != other
    assert len({trial.anchor for trial in first}) == 6


def test_phrases_end_at_pauses_unknown_words_and_whatever_else_is_said():
    times = [("the", 0.0, 0.2), ("red", 0.2, 0.5), ("<unk>", 0.5, 0.8), ("light", 0.8, 1.2), ("Off", 1.55, 1.9), ("on", 2.0, 2.2)]
    intervals = [Interval(*time) for time in times]
    assert [text for text, _, _ in phrases_of(intervals)] == ["the", "the red", "red", "light", "off", "off on", "on"]
    between = [Interval("AH0", 1.91, 1.99)]  # of a word that was left out
    assert [text for text, _, _ in phrases_of(intervals, between)][-2:] == ["off", "on"]
    assert list(phrases_of([Interval(name, n, n + 1.0) for n, name in enumerate("abcde")]))[3] == ("a b c d", 0, 4.0)
    assert [plain_phone(name) for name in ("AH0", "T", "AA1", "a1", "t2")] == ["AH", "T", "AA", "a1", "t2"]


def test_short_and_long_phrases_are_counted_and_left_out():
    sayings = Sayings()
    marks = [Interval("a", 0, 0.2), Interval("b", 0.2, 0.44), Interval("c", 0.6, 3.0)]
    heard = [Interval("AH0", 0, 0.2), Interval("B", 0.2, 0.43), Interval("K", 2.99, 3.0)]
    sayings.add(Item("u", "s", "u.wav", 0, 4), marks, heard, "en-GB")
    assert {said.text: said.phones for said in sayings.said} == {"a b": ("AH", "B"), "c": ("K",)}
    assert sayings.counts[1] == {"too_short": 2, "said": 1}
    assert sayings.counts[2] == {"said": 1, "too_long": 1}
    assert not sayings.foreign


# figures


def naive_auc(positive, negative):
    return float(np.mean([(p > n) + 0.5 * (p == n) for p, n in product(positive, negative)]))


def naive_eer(positive, negative):
    """Every observed threshold in turn, and the line between the two points around the crossing."""
    points = []
    for bar in [*sorted({*positive, *negative}), np.inf]:
        points.append((np.mean([score >= bar for score in negative]), np.mean([score < bar for score in positive])))
    for (far, frr), (next_far, next_frr) in pairwise(points):
        if next_frr >= next_far:
            step = (far - frr) / ((far - frr) + (next_frr - next_far))
            return float(frr + step * (next_frr - frr))
    raise AssertionError


def test_figures_are_those_of_naive_loops_over_all_trials():
    generator = np.random.default_rng(0)
    positive = generator.random(300) < 0.4
    scores = np.round(generator.normal(positive, 1.0), 1)  # with ties
    found = phrases.figures(scores, positive, np.arange(300) // 6, generator)
    assert found["eer"]["value"] == pytest.approx(naive_eer(scores[positive], scores[~positive]))
    assert found["auroc"]["value"] == pytest.approx(naive_auc(scores[positive], scores[~positive]))
    assert (found["positives"], found["negatives"], found["anchors"]) == (positive.sum(), (~positive).sum(), 50)
    for name in ("eer", "auroc"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]


def test_intervals_do_not_depend_on_how_many_replicates_fit_in_memory_and_know_that_few_anchors_tell_little(monkeypatch):
    scores, positive = np.arange(12.0), np.arange(12) % 3 == 0
    whole = phrases.figures(scores, positive, np.arange(12) // 2, np.random.default_rng(0))
    monkeypatch.setattr(phrases, "CELLS", 1)
    assert phrases.figures(scores, positive, np.arange(12) // 2, np.random.default_rng(0)) == whole
    lone = phrases.figures(scores, positive, np.zeros(12, int), np.random.default_rng(0))
    assert (lone["eer"]["low"], lone["eer"]["high"]) == (0.0, 1.0)
    perfect = phrases.figures(scores, scores > 6, np.arange(12) // 2, np.random.default_rng(0))
    assert perfect["eer"]["value"] == perfect["eer"]["low"] == 0.0
    assert perfect["auroc"]["low"] < 0.7 < perfect["auroc"]["high"] == 1.0
    assert perfect["eer"]["high"] > 0.3  # six anchors without an error don't say that there is none


# the whole, with planted vectors: a word is a level, a phrase the words in it with their places, and a speaker a slip of the level


class Planted(SpanEmbedder):
    """Reads the levels of the words at the place that it is told; spells what it knows the phones of."""

    name, digest, window_samples, frame_samples, embedding_size = "planted", "1" * 64, RATE, 320, 4 * len(NAMES)
    training_words = frozenset({"red", "light", "on"})
    training_speakers = ("p0", "elsewhere")
    unknown_phones = frozenset({"IY"})

    def __init__(self):
        self.heard = []

    def frames(self, samples):
        raise AssertionError

    def pool(self, frames, spans_s):
        raise AssertionError

    def vector(self, samples, speech):
        self.heard.append((len(samples), speech.end_sample - speech.start_sample))
        said = samples[speech.start_sample + 800 : speech.end_sample : round(WORD_S * RATE)]
        levels = np.rint(said * 50).astype(int)
        return planted([NAMES[level - 1] for level in levels], round(float(said[0] - levels[0] / 50) / SLIP))

    def spell(self, strings):
        if self.unknown_phones & {phone for string in strings for phone in string}:
            raise InputError("a phone isn't known")
        return np.stack([planted(parsed(string)) for string in strings])


def planted(names, speaker=None):
    """The unit vector of a text, or of how somebody says it: so unlike that there are errors."""
    vector = np.zeros(4 * len(NAMES), np.float32)
    for place, name in enumerate(names):
        vector[NAMES.index(name)] += 1  # said anywhere
        vector[len(NAMES) * min(place, 3) + NAMES.index(name)] += 0.7
    vector /= np.linalg.norm(vector)
    if speaker is not None:
        own = np.random.default_rng([speaker, *map(NAMES.index, names)]).normal(size=len(vector))
        vector += 0.8 * own / np.linalg.norm(own)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def number_of(speaker):
    return ord(speaker[-1]) % 4


def sound(names, speaker):
    """Each word as its level for WORD_S, as a speaker says it."""
    levels = [(NAMES.index(name) + 1) / 50 + SLIP * number_of(speaker) for name in names]
    return np.repeat(np.array(levels, np.float32), round(WORD_S * RATE))


def parsed(string):
    """Words of a phone string, the first that fits each time."""
    names, rest = [], " ".join(string)
    while rest:
        names.append(next((name for name in NAMES if rest.startswith(PHONES[name])), ""))
        if not names[-1]:
            raise InputError("no words are said like that")
        rest = rest[len(PHONES[names[-1]]) :].strip()
    return names


def write_aligned(folder, utterances, language="en", levels=True):
    """A folder as 'align' writes it; utterances are (speaker, text)."""
    lines = []
    (folder / "textgrids").mkdir(parents=True)
    for number, (speaker, text) in enumerate(utterances):
        names, name = text.split(), f"u{number:03}"
        write_audio(folder / f"{name}.wav", sound(names, speaker))
        marks = tuple(Interval(one, WORD_S * n, WORD_S * (n + 1)) for n, one in enumerate(names))
        heard = []
        for mark in marks:
            string = PHONES[mark.symbol].split()
            step = WORD_S / len(string)
            heard += [Interval(phone, mark.start_s + step * n, mark.start_s + step * (n + 1)) for n, phone in enumerate(string)]
        utterance = Utterance(name, speaker, str(folder / f"{name}.wav"), 0.0, WORD_S * len(names), text.upper(), language)
        write_textgrid(folder / "textgrids" / f"{name}.TextGrid", Alignment(name, marks, tuple(heard)), utterance.end_s)
        lines.append(
            utterance.to_json() | {"textgrid": f"textgrids/{name}.TextGrid", "goodness": None, "word_goodness": [], "oov": []}
        )
    write_jsonl(folder / "alignments.jsonl", lines)
    return folder


TEXTS = (
    "red light on", "bed light off kitchen", "night on seven", "kitchen light on", "blue green night", "kitchen light off",
    "green on", "seven red night", "light on blue kitchen off",
)  # fmt: skip


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """Six speakers, each of whom says two thirds of TEXTS."""
    utterances = [(f"p{n}", text) for n in range(6) for place, text in enumerate(TEXTS) if (place + n) % 3]
    return write_aligned(tmp_path_factory.mktemp("align") / "align", utterances)


@pytest.fixture(scope="module")
def measured(aligned, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "phrases"
    receipt = evaluate(Planted(), [], output, EvaluateConfig(phrases=aligned, phrase_anchors=40, players=3))
    return output, json.loads((output / "metrics.json").read_text(encoding="utf-8")), receipt


def scores_of(task, line):
    anchor, other = (planted(line[side]["text"].split(), number_of(line[side]["speaker"])) for side in ("anchor", "comparison"))
    if task == "audio_audio":
        return float(anchor @ other)
    spelled = planted(line["anchor"]["text"].split())  # the planted speller knows but this way
    mean = 2 * spelled + anchor
    return float((spelled if task == "text_audio" else mean / np.linalg.norm(mean)) @ other)


@pytest.mark.parametrize("task", ["audio_audio", "text_audio", "text_and_audio"])
def test_every_figure_is_that_of_the_published_list(measured, task):
    output, metrics, _ = measured
    lines = list(read_jsonl(output / metrics["trials"]["file"]))
    assert len(lines) == metrics["trials"]["count"]
    if task != "audio_audio":  # of "green" a phone isn't known, neither in the lexicon nor in the alignment
        lines = [line for line in lines if "green" not in line["anchor"]["text"]]
    for name, kind in (("easy", EASY), ("hard", HARD)):
        for group in ("all", "1", "2", "3", "unseen"):
            mine = [line for line in lines if group == "all" or line["words"] == int(group if group.isdigit() else line["words"])]
            if group == "unseen":
                mine = [line for line in mine if not set(line["anchor"]["text"].split()) <= Planted.training_words]
            positive, negative = ([scores_of(task, line) for line in mine if line["kind"] == one] for one in (POSITIVE, kind))
            found = metrics["tasks"][task][name][group]
            assert (found["positives"], found["negatives"]) == (len(positive), len(negative))
            assert found["auroc"]["value"] == pytest.approx(naive_auc(positive, negative), abs=1e-6)
            assert found["eer"]["value"] == pytest.approx(naive_eer(positive, negative), abs=1e-6)


def test_the_list_says_who_says_what_where(measured, aligned):
    output, metrics, receipt = measured
    assert digest_file(output / metrics["trials"]["file"]) == metrics["trials"]["sha256"]
    utterances = {line["utterance_id"]: line for line in read_jsonl(aligned / "alignments.jsonl")}
    for line in read_jsonl(output / metrics["trials"]["file"]):
        assert line["anchor"]["speaker"] != line["comparison"]["speaker"]
        for side in (line["anchor"], line["comparison"]):
            said = utterances[side["name"]]
            assert said["speaker"] == side["speaker"]
            first, last = (round(side[end] / WORD_S) for end in ("start_s", "end_s"))
            assert said["transcript"].lower().split()[first:last] == side["text"].split()
    assert receipt.counts["in"] == receipt.counts["kept"] == metrics["trials"]["count"]
    assert set(receipt.details["text_audio"]) == {"eer_easy", "eer_hard"}


def test_what_was_trained_on_is_told(measured):
    _, metrics, _ = measured
    seen = metrics["seen_in_training"]
    assert seen["words"] == ["light", "on", "red"]
    assert (seen["of_words"], seen["speakers"], seen["of_speakers"]) == (len(NAMES) - 1, ["p0"], 6)
    assert 0 < seen["phrases"] < seen["of_phrases"]
    assert metrics["warnings"] == ["the model was trained on 3 words (light, on, red) and 1 speakers (p0) that are scored here"]
    assert metrics["material"]["spelled"]["not_spelled"] > 0
    assert metrics["material"]["phrases"]["1"] == {"said": 116, "too_short": 0, "too_long": 0}


def test_again_does_nothing_and_elsewhere_gives_the_same_bytes(measured, aligned, tmp_path):
    output, metrics, _ = measured
    config = EvaluateConfig(phrases=aligned, phrase_anchors=40, players=3)
    assert not evaluate(Planted(), [], output, config).fresh
    evaluate(Planted(), [], tmp_path / "out", config)
    assert (tmp_path / "out/trials/phrases.jsonl").read_bytes() == (output / "trials/phrases.jsonl").read_bytes()
    there = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert there | {"command": ""} == metrics | {"command": ""}


def test_the_page_is_one_file_with_figures_and_the_worst_to_listen_to(measured):
    output, metrics, _ = measured
    page = (output / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "Equal error rate by number of words" in page
    assert "Seen in training." in page
    listening = json.loads(re.search(r'id="listen-data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(listening["rows"]) == 9
    assert len(listening["clips"]) == 18
    assert {row["values"]["kind"] for row in listening["rows"]} == set(phrase_report.ERRORS.values())
    assert len(phrase_report.table_rows(metrics)) == sum(len(kinds["hard"]) for kinds in metrics["tasks"].values())


def test_the_worst_are_the_most_alike_of_other_text_and_the_least_alike_of_the_same():
    kinds = [POSITIVE, POSITIVE, POSITIVE, HARD, HARD, HARD, EASY]
    trials = [Trial(n % 2, n, kind, 1, n % 2) for n, kind in enumerate(kinds)]
    found = phrase_report.worst(trials, np.array([0.1, 0.3, 0.2, 0.5, 0.9, 0.7, 0.4]), 2)
    assert [score for _, score in found] == [0.9, 0.7, 0.4, 0.1, 0.3]  # hard ones of two anchors, an easy one, positives of two


def test_a_phrase_is_cut_out_unless_its_context_is_asked_for(aligned, tmp_path):
    for context in (False, True):
        embedder = Planted()
        evaluate(
            embedder, [], tmp_path / str(context), EvaluateConfig(phrases=aligned, phrase_anchors=5, players=0, context=context)
        )
        assert any(whole > span for whole, span in embedder.heard) == context
        assert all(whole - span <= RATE for whole, span in embedder.heard)


def test_only_chosen_speakers_are_heard(aligned, tmp_path):
    config = EvaluateConfig(phrases=aligned, phrase_speakers=("p1", "p4"), phrase_anchors=9, players=0)
    evaluate(Planted(), [], tmp_path / "out", config)
    lines = list(read_jsonl(tmp_path / "out/trials/phrases.jsonl"))
    assert {line[side]["speaker"] for line in lines for side in ("anchor", "comparison")} == {"p1", "p4"}
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["seen_in_training"]["speakers"] == []
    with pytest.raises(InputError, match="has no speaker p9; expected names as in it, such as p0, p1, p2"):
        evaluate(Planted(), [], tmp_path / "no", EvaluateConfig(phrases=aligned, phrase_speakers=("p1", "p9")))


def test_a_run_that_was_stopped_goes_on(aligned, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    config = EvaluateConfig(phrases=aligned, phrase_anchors=9, players=0)
    monkeypatch.setattr(phrases, "write_report", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Planted(), [], tmp_path / "out", config)
    monkeypatch.undo()
    again = Planted()
    assert evaluate(again, [], tmp_path / "out", config).fresh
    assert again.heard == []


def test_recordings_that_are_gone_are_named_and_the_rest_is_measured(aligned, tmp_path):
    folder = tmp_path / "align"
    shutil.copytree(aligned, folder)
    lines = [line | {"audio": str(folder / f"{line['utterance_id']}.wav")} for line in read_jsonl(folder / "alignments.jsonl")]
    write_jsonl(folder / "alignments.jsonl", lines)
    (folder / "u000.wav").unlink()
    write_audio(folder / "u001.wav", np.zeros(800, np.float32))  # shorter than its words
    (folder / lines[2]["textgrid"]).write_text("nothing", encoding="utf-8")
    receipt = evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=folder, players=2))
    dropped = {line["item"]: line["reason"] for line in read_jsonl(tmp_path / "out" / "dropped.jsonl")}
    assert dropped == {"u000": "missing_audio", "u001": "dataset", "u002": "unreadable_textgrid"}
    names = {line[side]["name"] for line in read_jsonl(tmp_path / "out/trials/phrases.jsonl") for side in ("anchor", "comparison")}
    assert names.isdisjoint(dropped)
    assert receipt.counts["in"] == receipt.counts["kept"] + sum(receipt.counts["dropped"].values())


def test_an_embedder_of_windows_is_measured_on_recordings_alone(aligned, tmp_path):
    evaluate(Bands(), [], tmp_path / "out", EvaluateConfig(phrases=aligned, phrase_anchors=5, players=1))
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["tasks"]) == {"audio_audio"}
    assert metrics["not_run"]["text_audio"].startswith("bands takes recordings alone")
    assert "Not measured (the spelling)" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_text_is_spelled_by_the_lexicon_then_by_the_alignment():
    pytest.importorskip("pocketsphinx")
    known = Planted()
    known.unknown_phones = frozenset({"G"})
    said = [
        Said(0, "a", "red on", 0, 1, ("B", "EH", "D")),
        Said(0, "a", "qxqzt", 0, 1, ("L", "AY", "T")),
        Said(0, "a", "green", 0, 1),
    ]
    found = spell(known, Sayings([Item("u", "a", "u.wav", 0, 1)], said), [0, 1, 2])
    assert found.heard == ["qxqzt"]
    assert found.not_spelled == ["green"]
    assert np.allclose(found.vectors["red on"][0], planted(["red", "on"]))
    assert np.allclose(found.vectors["qxqzt"], [planted(["light"])])
    foreign = spell(known, Sayings([Item("u", "a", "u.wav", 0, 1)], said, {0}), [0])
    assert np.allclose(foreign.vectors["red on"], [planted(["bed"])])


def test_words_of_a_dataset_are_phrases_too(aligned, tmp_path):
    sides = dict.fromkeys(("validation_speakers", "test_words", "validation_words"), 0.0)
    gates = {"min_goodness": "none", "min_tokens": 1, "min_speakers": 1, "min_letters": 1, "exclude_words": ("seven",)}
    words(aligned, tmp_path / "words", WordsConfig(test_speakers=0.0, **sides, **gates))
    config = EvaluateConfig(phrases=tmp_path / "words", split="train", phrase_anchors=60, players=1)
    evaluate(Planted(), [], tmp_path / "out", config)
    lines = list(read_jsonl(tmp_path / "out/trials/phrases.jsonl"))
    texts = {line[side]["text"] for line in lines for side in ("anchor", "comparison")}
    assert {"light on", "red light on"} <= texts
    assert not any("seven" in text for text in texts)
    assert {line["words"] for line in lines} >= {1, 2, 3}
    with pytest.raises(DatasetError, match=r"the test split of .* is empty"):
        evaluate(Planted(), [], tmp_path / "no", EvaluateConfig(phrases=tmp_path / "words"))


def test_a_word_that_was_left_out_joins_nothing(tmp_path):
    utterances = [(f"p{n}", text) for n in range(3) for text in ("red seven night", "blue light")]
    words(
        write_aligned(tmp_path / "align", utterances),
        tmp_path / "words",
        WordsConfig(min_goodness="none", min_tokens=1, min_speakers=1, min_letters=1, exclude_words=("seven",), test_speakers=0.0,
                    validation_speakers=0.0, test_words=0.0, validation_words=0.0),
    )  # fmt: skip
    evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=tmp_path / "words", split="train", players=0))
    lines = list(read_jsonl(tmp_path / "out/trials/phrases.jsonl"))
    texts = {line[side]["text"] for line in lines for side in ("anchor", "comparison")}
    assert texts <= {"red", "night", "blue", "light"}
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["not_run"]["2_words"].startswith("3 phrases of two words, none of which")


def test_the_command_line_with_a_model_file(tmp_path, capsys):
    lines = []
    (tmp_path / "align").mkdir()
    for number in range(12):
        names = (*("red", "blue", "green")[number % 3 :], "red", "blue")
        utterance = Utterance(f"u{number:02}", f"p{number // 3}", str(tmp_path / f"{number}.wav"), 0, 4, " ".join(names))
        write_audio(utterance.audio, stream_of(*((name, 0.5 * n) for n, name in enumerate(names)), seconds=4, seed=number))
        marks = tuple(Interval(name, 0.5 * n, 0.5 * n + 0.5) for n, name in enumerate(names))
        heard = tuple(Interval(mark.symbol[0].upper(), mark.start_s, mark.end_s) for mark in marks)
        write_textgrid(tmp_path / f"align/{utterance.utterance_id}.TextGrid", Alignment(utterance.utterance_id, marks, heard), 4)
        lines.append(utterance.to_json() | {"textgrid": f"{utterance.utterance_id}.TextGrid"})
    write_jsonl(tmp_path / "align/alignments.jsonl", lines)
    model = write_model(tmp_path / "bands.onnx")
    output = tmp_path / "out"
    command = ["evaluate", str(model), "--phrases", str(tmp_path / "align"), "--phrase-pairs", "2", "-o", str(output)]
    assert main(command) == 0
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    assert "--phrases" in metrics["command"]
    assert "--phrase-pairs 2" in metrics["command"]
    one = {task: kinds["hard"]["1"]["eer"]["value"] for task, kinds in metrics["tasks"].items()}
    assert one == {"audio_audio": 0.0, "text_audio": 0.0, "text_and_audio": 0.0}  # the bands tell three tones apart
    assert metrics["material"]["spelled"]["by_the_alignment"] > 0  # this model's phones are none of the lexicon's
    assert main([*command[:-1], str(tmp_path / "no"), "--shots", "3"]) == 2
    assert "shots is set, but so is phrases, which makes no use of it" in capsys.readouterr().err


# published lists


def write_lists(folder, root, speakers=("1", "2", "3")):
    """Two lists as the recipe writes them, and a recording for each side of each pair."""
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    for size, texts in ((1, ["red", "bed", "blue"]), (2, ["light on", "night on", "kitchen off"])):
        rows = []
        for anchor, other in [(a, b) for a in speakers for b in speakers if a != b]:
            for text, kind in zip((texts[0], texts[1], texts[2]), ("positive", "hardneg", "easyneg"), strict=True):
                row = {"type": f"diffspk_{kind}", "target": int(kind == "positive"), "class": size}
                for side, who, said in (
                    ("anchor", anchor, texts[0]),
                    ("comparison", other, texts[0] if kind == "positive" else text),
                ):
                    name = f"train-other-500/{who}/7/{who}-7-0001_{size}word_{count}.wav"
                    count += 1
                    path = root / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_audio(path, sound(said.split(), who))
                    row |= {side: name, f"{side}_spk": who, f"{side}_text": said, f"{side}_dur": WORD_S * size}
                rows.append(row)
        write_csv(folder / f"libriphrase_diffspk_all_{size}word.csv", rows)
    return folder


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def lists(tmp_path):
    """As the test set is laid out: lists in a folder beside the recordings."""
    return write_lists(tmp_path / "eval/evaluation_set", tmp_path / "eval")


@pytest.mark.parametrize("where", ["", "evaluation_set", "evaluation_set/libriphrase_diffspk_all_2word.csv"])
def test_published_lists_are_scored_pair_by_pair(lists, tmp_path, where):
    (lists / "librispeech_all_utt.csv").write_text("audio_filename,start,end,text\na.wav,0,1,red\n", encoding="utf-8")
    evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=lists.parent / where, players=2))
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    sizes = [2] if where.endswith("csv") else [1, 2]
    assert metrics["material"]["lists"] == [f"libriphrase_diffspk_all_{size}word.csv" for size in sizes]
    assert metrics["trials"]["count"] == 18 * len(sizes)
    lines = list(read_jsonl(tmp_path / "out/trials/phrases.jsonl"))
    for kind, name in ((EASY, "easy"), (HARD, "hard")):
        positive, negative = ([scores_of("audio_audio", line) for line in lines if line["kind"] == one] for one in (POSITIVE, kind))
        found = metrics["tasks"]["audio_audio"][name]["all"]
        assert found["eer"]["value"] == pytest.approx(naive_eer(positive, negative))
        assert (found["positives"], found["negatives"]) == (6 * len(sizes), 6 * len(sizes))
        assert found["anchors"] == 3 * len(sizes)  # copies of one anchor are one
    assert metrics["material"]["trials_of_one_speaker"] == 0


def test_recordings_of_published_lists_may_lie_elsewhere(tmp_path):
    lists = write_lists(tmp_path / "lists", tmp_path / "phrases")
    config = EvaluateConfig(phrases=lists, players=0, phrase_speakers=("1", "2"))
    with pytest.raises(InputError, match=r"1word.csv:2 names train-other-500/.*, which is not in .*name their folder: wordprint"):
        evaluate(Planted(), [], tmp_path / "no", config)
    assert not (tmp_path / "no").exists()
    evaluate(Planted(), [tmp_path / "phrases"], tmp_path / "out", config)
    lines = list(read_jsonl(tmp_path / "out/trials/phrases.jsonl"))
    assert {line[side]["speaker"] for line in lines for side in ("anchor", "comparison")} == {"1", "2"}
    inputs = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))["inputs"]
    assert set(inputs) == {"phrases", "phrases-2"}  # the lists, and a folder of that name
    with pytest.raises(ConfigError, match="phrase_anchors or phrase_pairs is set, but published lists say"):
        evaluate(Planted(), [tmp_path / "phrases"], tmp_path / "no", EvaluateConfig(phrases=lists, phrase_pairs=9))
    with pytest.raises(InputError, match="2 folders of recordings"):
        evaluate(Planted(), [tmp_path / "phrases", lists], tmp_path / "no", config)


def test_lists_with_times_cut_phrases_out_of_utterances_in_any_format(tmp_path):
    rows, texts = [], {"1": "red light on", "2": "bed light on"}
    (tmp_path / "clean").mkdir()
    for who, text in texts.items():
        write_audio(tmp_path / f"clean/{who}.flac", sound(text.split(), who))
    for kind, other, first in (("positive", "light on", 1), ("hardneg", "bed light", 0), ("easyneg", "bed light", 0)):
        row = {"type": f"diffspk_{kind}", "class": 2}
        for side, who, text, start in (("anchor", "1", "light on", 1), ("comparison", "2", other, first)):
            row |= {side: f"clean/{who}.wav", f"{side}_spk": who, f"{side}_text": text.upper()}
            row |= {f"{side}_start": WORD_S * start, f"{side}_end": WORD_S * (start + 2)}
        rows.append(row)
    write_csv(tmp_path / "pairs.csv", rows)
    embedder = Planted()
    evaluate(embedder, [], tmp_path / "out", EvaluateConfig(phrases=tmp_path / "pairs.csv", players=0))
    assert embedder.heard == [(2 * round(WORD_S * RATE),) * 2] * 3
    metrics = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert metrics["tasks"]["audio_audio"]["hard"]["2"]["auroc"]["value"] == 1.0


def damaged_rows(lists):
    file = lists / "libriphrase_diffspk_all_1word.csv"
    return file, read_csv(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "samespk_other"}, r"1word.csv:2 has the type 'samespk_other'; expected one that ends in _positive"),
        ({"target": "0"}, r"1word.csv:2 has target 0 of a diffspk_positive; expected 1 of positives, 0 of negatives; get the list"),
        ({"comparison_text": " "}, r"1word.csv:2 has nothing in comparison_text; expected a value in each column"),
        ({"anchor_text": "a b c d e"}, r"1word.csv:2 has the phrase 'a b c d e'; expected 1 to 4 words"),
        ({"anchor_start": "x", "anchor_end": "y"}, r"1word.csv:2 has could not convert .*; expected times in seconds"),
        ({"anchor_start": "2", "anchor_end": "1"}, r"1word.csv:2 has a phrase from 2 to 1 s; expected an end after its start"),
    ],
)
def test_a_damaged_line_is_named(lists, tmp_path, change, said):
    file, rows = damaged_rows(lists)
    empty = dict.fromkeys(set(change) - set(rows[0]), "")
    write_csv(file, [rows[0] | change, *(row | empty for row in rows[1:])])
    with pytest.raises(InputError, match=said):
        evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=lists))


def test_damaged_files_are_named(lists, tmp_path):
    file, rows = damaged_rows(lists)
    config = EvaluateConfig(phrases=file)

    def fails(content, said):
        file.write_bytes(content)
        with pytest.raises(InputError, match=said):
            evaluate(Planted(), [], tmp_path / "out", config)

    head = ",".join(rows[0])
    fails(b"", r"1word.csv has no columns anchor, comparison, .*\(it has: none\); expected a list of LibriPhrase")
    fails(b"anchor,comparison,type\n", r"no columns anchor_spk, anchor_text, .* \(it has: anchor, comparison, type\)")
    fails(f"{head}\n".encode(), "holds no pairs; expected a line for each pair")
    fails(f"{head}\na,b\n".encode(), r"csv:2 has nothing in .*; expected a value in each column")
    fails(f"{head}\n{','.join(rows[0].values())},1\n".encode(), "csv:2 has more values than columns")
    fails(b"\xff\xfe\x00\xd8anchor", "is no text")
    fails(f'{head}\n"{"x" * 200_000}",'.encode(), "csv:.* has field larger")


def test_recordings_that_lists_name_and_nobody_has_are_dropped_with_their_pairs(lists, tmp_path):
    rows = read_csv(lists / "libriphrase_diffspk_all_2word.csv")
    (lists.parent / rows[-1]["comparison"]).unlink()
    (lists.parent / rows[-2]["anchor"]).write_bytes(b"no audio")
    receipt = evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=lists, players=0))
    assert receipt.counts == {"in": 36, "kept": 34, "dropped": {"missing_audio": 1, "unreadable_audio": 1}}


# what can't be measured


def test_other_folders_and_too_little_speech_are_told(aligned, tmp_path):
    def fails(error, said, folder, data=(), **options):
        with pytest.raises(error, match=said):
            evaluate(Planted(), data, tmp_path / "out", EvaluateConfig(phrases=folder, **options))
        assert not (tmp_path / "out").exists()

    (tmp_path / "empty").mkdir()
    fails(
        InputError,
        "empty holds no alignments; expected a folder that 'align' or 'words' wrote .* run 'wordprint align'",
        tmp_path / "empty",
    )
    fails(InputError, "does not exist; expected a file or folder", tmp_path / "nowhere")
    fails(InputError, "alignments.jsonl is a file; expected a folder that 'align'", aligned / "alignments.jsonl")
    said = r"phrases by 1 speaker \(p2\); expected two speakers or more: .* name more with --phrase-speakers"
    fails(DatasetError, said, aligned, phrase_speakers=("p2",))
    fails(InputError, "empty is given beside phrases of", aligned, [tmp_path / "empty"])
    few = write_aligned(tmp_path / "few", [("a", "red"), ("b", "blue"), ("c", "green light")])
    fails(DatasetError, r"5 phrases by 3 speakers give no trial: 4 phrases of one word, none of which .* expected the same", few)
    lone = write_aligned(tmp_path / "lone", [("a", "red"), ("b", "red")])  # and no other text to tell it from
    fails(DatasetError, "2 phrases by 2 speakers give no trial", lone)
    fails(ConfigError, "stream is .*, but so is phrases", aligned, stream=aligned)
    fails(ConfigError, "targets is set, but so is phrases", aligned, targets=("red", "blue"))
    with pytest.raises(ConfigError, match="phrase_anchors is 3, but phrases is not set"):
        evaluate(Planted(), [aligned], tmp_path / "out", EvaluateConfig(phrase_anchors=3))


def test_a_line_that_lacks_fields_is_told(aligned, tmp_path):
    folder = tmp_path / "align"
    shutil.copytree(aligned, folder)
    write_jsonl(folder / "alignments.jsonl", [{"utterance_id": "u"}])
    with pytest.raises(InputError, match="has a line with missing fields"):
        evaluate(Planted(), [], tmp_path / "out", EvaluateConfig(phrases=folder))
