"""`info` recognises what wordprint writes, by content rather than by name, and refuses the rest in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toy_model import write_model
from wordprint.desk.info import as_text, info
from wordprint.errors import EnrollmentError, InputError, WordprintError
from wordprint.records import Utterance
from wordprint.stages.contract import open_stage
from wordprint.stages.manifest import write_json, write_jsonl
from wordprint.validate.options import ValidateConfig

UTTERANCES = [Utterance(f"u{i}", f"s{i % 2}", f"/audio/{i}.flac", 0.0, 1.8, "hello there").to_json() for i in range(4)]


def test_a_stage_folder_is_told_by_its_receipt(tmp_path):
    with open_stage("validate", tmp_path / "out", ValidateConfig(), {}) as stage:
        stage.drop("u1", "silent_audio")
        write_jsonl(tmp_path / "out" / "utterances.jsonl", UTTERANCES)
        stage.finish(total=5, kept=4, outputs=["utterances.jsonl"], details={"hours": 1.5})
    facts = info(tmp_path / "out")
    assert facts["what"] == "output of 'validate'"
    assert facts["counts"] == {"in": 5, "kept": 4, "dropped": {"silent_audio": 1}}
    assert facts["details"] == {"hours": 1.5}
    assert facts["files"] == ["dropped.jsonl", "utterances.jsonl"]
    assert info(tmp_path / "out" / "stage.json")["what"] == "receipt of a stage"


def test_an_unfinished_stage_says_how_to_go_on(tmp_path):
    with open_stage("align", tmp_path / "out", ValidateConfig(), {}):
        pass
    facts = info(tmp_path / "out")
    assert facts["what"] == "unfinished output of 'align'"
    assert "run the same command again" in facts["what_to_do"]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (UTTERANCES, {"what": "utterances", "lines": 4, "speakers": 2, "hours": 0.002, "by_language": {"en": 4}}),
        ([{**UTTERANCES[0], "textgrid": "a.TextGrid", "goodness": None}], {"what": "alignments", "lines": 1, "speakers": 1}),
        (
            [{"item": "a", "reason": "silent", "detail": ""}, {"item": "b", "reason": "silent", "detail": ""}],
            {"what": "dropped items", "lines": 2, "by_reason": {"silent": 2}},
        ),
        (
            [{"utterance_id": None, "reason": "one_word", "severity": "warning", "what_to_do": "x"}],
            {"what": "problems found by 'validate'", "by_reason": {"one_word": 1}, "by_severity": {"warning": 1}},
        ),
        (
            [{"word": "yes", "language": "en", "count": 3, "speakers": 2, "in_lexicon": None}],
            {"what": "word types of a corpus", "lines": 1, "tokens": 3},
        ),
        ([{"step": 1, "loss": 0.5}], {"what": "JSONL file", "lines": 1, "fields": ["step", "loss"]}),
        ([], {"what": "empty JSONL file", "lines": 0}),
    ],
)
def test_jsonl_is_told_by_its_fields(tmp_path, records, expected):
    write_jsonl(tmp_path / "any.jsonl", records)
    assert expected.items() <= info(tmp_path / "any.jsonl").items()


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ("wordprint.metrics/1", "evaluation metrics"),
        ("wordprint.validate/1", "corpus report"),
        ("wordprint.words/2", "word dataset"),
        ("wordprint.checkpoint/2", "checkpoint"),
    ],
)
def test_json_is_told_by_its_schema_and_long_lists_are_counted(tmp_path, schema, what):
    write_json(tmp_path / "x.json", {"schema": schema, "figure": 0.5, "many": list(range(50)), "few": [1, 2]})
    facts = info(tmp_path / "x.json")
    assert facts == {
        "what": what, "path": str(tmp_path / "x.json"), "schema": schema, "figure": 0.5, "many": "50 entries", "few": [1, 2],
    }  # fmt: skip


def test_folders_without_a_receipt_are_told_by_their_documents(tmp_path):
    write_json(tmp_path / "dataset.json", {"schema": "wordprint.words/2", "segments": 12})
    facts = info(tmp_path)
    assert (facts["what"], facts["path"], facts["segments"]) == ("word dataset", str(tmp_path), 12)


def test_weights_are_told_by_the_document_beside_them(tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"best\.json does not exist; expected the description"):
        info(tmp_path / "best.safetensors")
    write_json(tmp_path / "best.json", {"schema": "wordprint.checkpoint/2", "step": 500})
    assert info(tmp_path / "best.safetensors")["step"] == 500


def test_a_model_tells_its_metadata(tmp_path):
    path = write_model(tmp_path / "model.onnx")
    facts = info(path)
    assert facts["what"] == "model"
    assert facts["bytes"] == path.stat().st_size
    assert facts["sample_rate"] == 16_000


def test_an_enrollment_tells_its_keywords_and_their_shots(tmp_path):
    from wordprint.spot.enrollment import Enrollment, Keyword, Mistake, Shot

    shots = (
        Shot("a.wav", 0.1, 0.9, -20.0, 31.5, (1.0, 0.0), 0.8),
        Shot("b.wav", 0.2, 0.5, -31.0, None, (1.0, 0.0), None, ("clipped", "short")),
    )
    told = {"guessed": ("lights",), "rejected": ("c.wav is silent",), "mistakes": (Mistake("d.wav", 0.7, (0.0, 1.0)),), "voices": 8}
    keyword = Keyword("lights on", 0.6, 0.8, ((1.0, 0.0),), shots, ("L AY T S",), **told)
    Enrollment("bands", "ab12", (keyword,)).save(tmp_path / "keywords.json")
    facts = info(tmp_path / "keywords.json")
    assert facts["model"] == "bands"
    (word,) = facts["keywords"]
    assert (word["keyword"], word["threshold"], word["rejected"]) == ("lights on", 0.6, ["c.wav is silent"])
    assert word["phones"] == ["L AY T S"]
    assert (word["guessed"], word["voices"]) == (["lights"], 8)
    assert word["mistakes"] == [{"recording": "d.wav", "similarity": 0.7}]
    assert [shot["recording"] for shot in word["shots"]] == ["a.wav", "b.wav"]
    lines = [line.split() for line in as_text(facts).splitlines()]
    assert ["recording", "start_s", "end_s", "level_db", "snr_db", "agreement", "warnings", "take", "shortfall"] in lines
    assert ["b.wav", "0.2", "0.5", "-31.0", "–", "–", "clipped;", "short", "–", "0.0"] in lines
    for schema in ("wordprint.enrollment/2", "wordprint.enrollment/1"):
        (tmp_path / "keywords.json").write_text(json.dumps({"schema": schema}))
        with pytest.raises(EnrollmentError, match=r"keywords\.json .*enroll"):
            info(tmp_path / "keywords.json")


def test_a_work_folder_lists_its_stages_in_the_order_of_their_work(tmp_path):
    for name in ("validate", "align"):
        with open_stage(name, tmp_path / name, ValidateConfig(), {}) as stage:
            write_jsonl(tmp_path / name / "utterances.jsonl", UTTERANCES)
            stage.finish(total=5, kept=4, outputs=["utterances.jsonl"])
    with open_stage("words", tmp_path / "words", ValidateConfig(), {}):
        pass
    facts = info(tmp_path)
    assert facts["what"] == "work folder of 'run'"
    assert [tuple(stage.values())[:4] for stage in facts["stages"]] == [
        ("validate", "done", 5, 4), ("align", "done", 5, 4), ("words", "unfinished", None, None)
    ]  # fmt: skip
    assert "words     unfinished  –   –" in as_text(facts)


def test_without_a_path_the_usage_is_told():
    result = subprocess.run([sys.executable, "-m", "wordprint", "info"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "wordprint info PATH" in result.stderr


def test_textgrids_tell_their_words(tmp_path):
    from wordprint.records import Alignment, Interval
    from wordprint.speech.textgrid import write_textgrid

    words = (Interval("hello", 0.2, 0.6), Interval("there", 0.7, 1.1))
    write_textgrid(tmp_path / "ann" / "u1.TextGrid", Alignment("u1", words), 1.5)
    facts = info(tmp_path / "ann" / "u1.TextGrid")
    assert (facts["what"], facts["words"], facts["text"], facts["last_word_ends_s"]) == ("TextGrid", 2, "hello there", 1.1)
    folder = info(tmp_path)
    assert (folder["what"], folder["files"], folder["speakers"]) == ("TextGrids", 1, 1)


def test_a_textgrid_of_several_speakers(tmp_path):
    from praatio import textgrid

    for suffix, expected in (
        (" - words", {"words": 3, "text_by_speaker": {"anna": "hello there", "bob": "hi"}}),
        ("", {"tiers": [{"name": "anna", "intervals": 1}, {"name": "bob", "intervals": 1}]}),
    ):
        grid = textgrid.Textgrid()
        for name, labels in (("anna", ["hello", "there"] if suffix else ["hello there"]), ("bob", ["hi"])):
            entries = [(number, number + 0.5, label) for number, label in enumerate(labels)]
            grid.addTier(textgrid.IntervalTier(name + suffix, entries, 0, 2.0))
        grid.save(str(tmp_path / "u.textgrid"), format="short_textgrid", includeBlankSpaces=False)
        assert info(tmp_path / "u.textgrid") == {"what": "TextGrid", "path": str(tmp_path / "u.textgrid"), **expected}


def test_word_folders_tell_their_counts(tmp_path):
    for name in ("yes/a_1.flac", "yes/b_1.flac", "no/a_1.flac", "_background_noise_/hum.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(160, np.float32), 16_000)
    facts = info(tmp_path)
    assert facts["what"] == "word folders"
    assert facts["recordings_by_word"] == {"no": 1, "yes": 2}


def test_an_arrow_table_tells_its_columns(tmp_path):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"words": ["yes", "no"], "start_sample": [0, 5]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert info(tmp_path / "x.arrow")["columns"] == {"words": "string", "start_sample": "int64"}
    (tmp_path / "x.arrow").write_bytes(b"not a table at all, but some bytes")
    with pytest.raises(InputError, match="not an Arrow IPC file"):
        info(tmp_path / "x.arrow")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", '{"schema": "wordprint.words/9"}', r"has schema 'wordprint\.words/9'; expected wordprint\.words/2"),
        ("x.json", '{"a": 1}', "nothing that wordprint wrote"),
        ("x.json", '{"schema": ["a"]}', "nothing that wordprint wrote"),
        ("x.jsonl", '{"transcript": "x"}', "nothing that wordprint wrote"),
        ("x.json", "{", "is not JSON"),
        ("x.json", "[1]", "nothing that wordprint wrote"),
        ("x.txt", "hello", "nothing that wordprint wrote"),
        ("x.onnx", "hello", "not a valid ONNX file"),
        ("x.jsonl", "{}\nhello\n", "x.jsonl:2 is not a JSON object"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(WordprintError, match=message) as refusal:
        info(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_missing_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        info(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nothing that wordprint wrote"):
        info(tmp_path)


def test_facts_are_plain_json(tmp_path):
    path = Path(write_model(tmp_path / "model.onnx"))
    assert json.loads(json.dumps(info(path))) == info(path)


def test_the_text_for_people_is_aligned_and_complete():
    facts = {
        "what": "model",
        "path": "m.onnx",
        "threshold": None,
        "zero": 0,
        "words": ["a", "b"],
        "by": {"x": 1, "long": 2},
        "none": [],
    }
    assert as_text(facts).splitlines() == [
        "what       model",
        "path       m.onnx",
        "threshold  –",
        "zero       0",
        "words",
        "  a",
        "  b",
        "by",
        "  x     1",
        "  long  2",
        "none       –",
    ]
