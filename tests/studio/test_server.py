"""The page's server: who may ask, what it refuses, and the live stream."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
import soundfile

pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'wordprint[studio]'")

import aiohttp

from studio_client import RATE, recording
from toy_model import padded, stream_of, word
from wordprint.cli import main
from wordprint.errors import AudioError, EnrollmentError, InputError
from wordprint.speech.audio import resample, to_float32, to_int16
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.stream import Spotter
from wordprint.studio import conversation
from wordprint.studio.guard import refusal
from wordprint.studio.live import latest_speech
from wordprint.studio.options import StudioConfig
from wordprint.studio.server import MAX_UPLOAD_BYTES, Server
from wordprint.studio.session import Session

STREAM = to_float32(to_int16(stream_of(("red", 0.5), ("green", 1.6), ("blue", 2.7), ("red", 3.9), seconds=5.5)))

OWN = {"Host": "127.0.0.1:8337", "Authorization": "Bearer right", "Origin": "http://127.0.0.1:8337"}
REFUSED = {
    "no token": ({"Authorization": ""}, 401),
    "another token": ({"Authorization": "Bearer wrong"}, 401),
    "a token of no known kind": ({"Authorization": "Basic right"}, 401),
    "a token that is no ASCII": ({"Authorization": "Bearer rïght"}, 401),
    "another host": ({"Host": "example.org", "Origin": "http://example.org"}, 403),
    "another host that begins alike": ({"Host": "127.0.0.1.example.org:8337"}, 403),
    "a host behind a name": ({"Host": "127.0.0.1@example.org"}, 403),
    "a host with a path": ({"Host": "127.0.0.1:8337/x"}, 403),
    "no host": ({"Host": ""}, 403),
    "a port that is none": ({"Host": "127.0.0.1:http"}, 403),
    "another site": ({"Origin": "http://example.org"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:8338"}, 403),
    "another scheme": ({"Origin": "https://127.0.0.1:8337"}, 403),
    "a sandbox": ({"Origin": "null"}, 403),
    "no origin": ({"Origin": None}, 403),
    "another site's link": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another port's link": ({"Sec-Fetch-Site": "same-site"}, 403),
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_may_not_ask(name):
    changes, status = REFUSED[name]
    headers = {key: value for key, value in (OWN | changes).items() if value is not None}
    assert refusal("POST", "/api/recording", headers, "right")[0] == status


def test_who_may_ask():
    assert refusal("POST", "/api/recording", OWN, "right") is None
    forwarded = {"Host": "localhost:9000", "Origin": "http://localhost:9000"}  # ssh -L 9000:127.0.0.1:8337
    assert refusal("POST", "/api/recording", OWN | forwarded, "right") is None
    reading = {key: value for key, value in OWN.items() if key != "Origin"}
    assert refusal("GET", "/api/state", reading | {"Sec-Fetch-Site": "same-origin"}, "right") is None
    assert refusal("GET", "/", {"Host": "127.0.0.1:8337"}, "right") is None  # the page itself holds no secret
    line = {"Host": OWN["Host"], "Origin": OWN["Origin"], "Upgrade": "websocket"}
    assert refusal("GET", "/api/live", line | {"Sec-WebSocket-Protocol": "wordprint-studio, right"}, "right") is None
    assert refusal("GET", "/api/live", line | {"Sec-WebSocket-Protocol": "wordprint-studio"}, "right")[0] == 401
    assert refusal("GET", "/api/live", line | {"Sec-WebSocket-Protocol": "right"}, "right")[0] == 401
    del line["Origin"]
    assert refusal("GET", "/api/live", line | {"Sec-WebSocket-Protocol": "wordprint-studio, right"}, "right")[0] == 403


def test_the_guard_stands_before_everything(studio):
    async def scenario(client):
        host = f"127.0.0.1:{client.server.port}"
        for headers, status in (({}, 401), ({"Authorization": "Bearer x"}, 401), (client.own | {"Host": "evil.test"}, 403)):
            assert (await client.ask("GET", "/api/state", headers))[0] == status
            assert (await client.ask("GET", "/api/nothing", headers))[0] == status
        assert (await client.ask("GET", "/", {"Host": "evil.test"}))[0] == 403
        assert (await client.ask("GET", "/studio.js", {"Sec-Fetch-Site": "cross-site"}))[0] == 403
        for how in ({"protocols": ("wordprint-studio", "x")}, {"origin": "http://evil.test"}, {"headers": {"Host": "evil.test"}}):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.live(**how)
        async with client.http.get(f"http://{host}/") as page:
            policy = page.headers["Content-Security-Policy"]
            assert policy.startswith(f"default-src 'self'; connect-src 'self' ws://{host};")
            assert "unsafe" not in policy
            assert page.headers["X-Content-Type-Options"] == "nosniff"
            text = await page.text()
        assert client.server.token not in text
        assert not re.search(r"https?://|<script>|style=|\son\w+=", text)

    studio(scenario)


def test_requests_that_are_no_text(studio):
    async def ask(port, request) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request + b"\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.split(b" ")[1]

    async def scenario(client):
        port, token = client.server.port, client.server.token.encode()
        head = b"Host: 127.0.0.1:%d\r\nAuthorization: Bearer " % port
        assert await ask(port, b"GET /api/state HTTP/1.1\r\n" + head + token) == b"200"
        assert await ask(port, b"GET /api/state HTTP/1.1\r\n" + head + b"\xff\xfe") == b"401"
        assert await ask(port, b"GET /api/state HTTP/1.1\r\nHost: \xff") == b"403"
        assert await ask(port, b"GET /api/recording?keyword=%FF&recording=%00 HTTP/1.1\r\n" + head + token) == b"422"

    studio(scenario)


def test_the_page_is_there_and_nothing_else(studio):
    async def scenario(client):
        for name in ("/", "/index.html", "/studio.js", "/studio.css", "/icon.svg", "/capture.js"):
            assert (await client.ask("GET", name, {}))[0] == 200, name
        for name in ("/server.py", "/..%2fserver.py", "/static/", "/%2e%2e/guard.py", "/api/", "/api/none"):
            assert (await client.ask("GET", name))[0] == 404, name
        assert (await client.ask("POST", "/api/state"))[0] == 405

    studio(scenario)


def test_a_keyword_from_its_first_recording_to_its_removal(studio, tmp_path):
    async def scenario(client):
        status, state = await client.ask("GET", "/api/state")
        assert (status, state["keywords"], state["detections"]) == (200, [], [])
        assert (await client.ask("GET", "/api/enrollment"))[0] == 422
        status, state = await client.ask("POST", "/api/recording", keyword=" red  ", name="a.wav", data=recording())
        assert (status, state["warnings"]) == (200, ["one recording: three or more are better"])
        status, refused = await client.ask("POST", "/api/recording", keyword="red", data=recording())
        assert (status, "another take is better" in refused["error"]) == (422, True)
        state = await client.enroll("red", 3, first=1)
        (keyword,) = state["keywords"]
        assert (keyword["keyword"], len(keyword["shots"]), keyword["threshold"]) == ("red", 4, 0.9)
        shot = keyword["shots"][1]
        assert shot["here"]
        status, content = await client.ask("GET", "/api/recording", keyword="red", recording=shot["recording"])
        samples, rate = soundfile.read(BytesIO(content))
        assert (status, rate, len(samples)) == (200, RATE, round(1.3 * RATE))
        status, state = await client.ask("PUT", "/api/threshold", keyword="red", threshold="0.62")
        assert (status, state["keywords"][0]["threshold"]) == (200, 0.62)
        status, state = await client.ask("DELETE", "/api/recording", keyword="red", recording=shot["recording"])
        assert (status, len(state["keywords"][0]["shots"]), state["keywords"][0]["threshold"]) == (200, 3, 0.62)
        status, content = await client.ask("GET", "/api/enrollment")
        assert json.dumps(content) == json.dumps(json.loads((tmp_path / "keywords.json").read_text()))
        assert len(list((tmp_path / "keywords_recordings").iterdir())) == 3
        status, state = await client.ask("DELETE", "/api/keyword", keyword="red")
        assert (status, state["keywords"]) == (200, [])
        assert list((tmp_path / "keywords_recordings").iterdir()) == []

    studio(scenario)
    assert Enrollment.load(tmp_path / "keywords.json").keywords == ()


def test_what_was_made_is_there_again(studio, tmp_path):
    async def first(client):
        return await client.enroll("red", 2)

    async def again(client):
        return (await client.ask("GET", "/api/state"))[1]

    made = studio(first)
    assert studio(again)["keywords"] == made["keywords"]
    assert len(list(tmp_path.glob(".*"))) == 0  # no temporary file is left


BAD_UPLOADS = {
    "nothing": (b"", "x.wav can't be read as audio"),
    "text": (b"hello" * 100, "x.wav can't be read as audio"),
    "a header alone": (recording()[:44], "x.wav holds no audio"),
    "silence": (recording(level=0.0)[:44] + bytes(40_000), "x.wav is silent"),
}


@pytest.mark.parametrize("name", BAD_UPLOADS)
def test_a_file_that_holds_no_keyword_changes_nothing(studio, tmp_path, name):
    content, why = BAD_UPLOADS[name]

    async def scenario(client):
        before = await client.enroll("red", 1)
        for keyword in ("red", "new"):
            status, answer = await client.ask("POST", "/api/recording", keyword=keyword, name="x.wav", data=content)
            assert status == 422
            assert why in answer["error"]
        after = (await client.ask("GET", "/api/state"))[1]
        assert after["keywords"] == before["keywords"]
        assert len(list((tmp_path / "keywords_recordings").iterdir())) == 1

    studio(scenario)


def test_recordings_that_are_too_long_or_too_large(studio):
    def sound(seconds, quiet):
        file = BytesIO()
        samples = np.random.default_rng(0).normal(0, 0.1, RATE * seconds).astype(np.float32)
        soundfile.write(file, samples * (0 if quiet else 1), RATE, format="FLAC")
        return file.getvalue()

    async def scenario(client):
        for seconds, quiet, why in ((40, True, "is longer than 30 s"), (5, False, "s of speech, more than 3 s")):
            status, answer = await client.ask("POST", "/api/recording", keyword="red", data=sound(seconds, quiet))
            assert status == 422
            assert why in answer["error"]
        status, answer = await client.ask("POST", "/api/recording", keyword="red", data=BytesIO(bytes(MAX_UPLOAD_BYTES + 1)))
        assert (status, answer["error"][:35]) == (413, "the file is larger than 16 MB; a re")
        assert (await client.ask("GET", "/api/state"))[1]["keywords"] == []

    studio(scenario)


def test_questions_that_cannot_be_answered(studio):
    async def scenario(client):
        await client.enroll("red", 1)
        for method, path, query, why in (
            ("POST", "/api/recording", {}, "the request lacks 'keyword'"),
            ("GET", "/api/recording", {"keyword": "red"}, "the request lacks 'recording'"),
            ("GET", "/api/recording", {"keyword": "red", "recording": "/etc/passwd"}, "'red' has no recording '/etc/passwd'"),
            ("GET", "/api/recording", {"keyword": "blue", "recording": "x"}, "no keyword is called 'blue'"),
            ("DELETE", "/api/recording", {"keyword": "red", "recording": "x"}, "'red' has no recording 'x'"),
            ("DELETE", "/api/keyword", {"keyword": "blue"}, "no keyword is called 'blue'"),
            ("PUT", "/api/threshold", {"keyword": "red", "threshold": "high"}, "expected a threshold from -1 to 1"),
            ("PUT", "/api/threshold", {"keyword": "red", "threshold": "nan"}, "threshold nan"),
            ("PUT", "/api/threshold", {"keyword": "red", "threshold": "1e999"}, "threshold inf"),
            ("PUT", "/api/threshold", {"keyword": "blue", "threshold": "0.5"}, "no keyword is called 'blue'"),
            ("POST", "/api/phones", {}, "the request lacks 'keyword'"),
            ("POST", "/api/phones", {"keyword": "red", "phones": ","}, "',' holds no phones"),
            ("POST", "/api/phones", {"keyword": "red", "phones": "R X"}, "the model doesn't know the phones X"),
            ("POST", "/api/phones", {"keyword": "blue"}, "the model doesn't know the phones L UW"),
            ("GET", "/api/verdict", {"keyword": "blue"}, "no keyword is called 'blue'"),
            ("POST", "/api/mistake", {"number": "1"}, "detection 1 is no longer kept"),
            ("DELETE", "/api/mistakes", {"keyword": "blue"}, "no keyword is called 'blue'"),
            ("GET", "/api/detection", {"number": "1"}, "detection 1 is no longer kept"),
            ("GET", "/api/detection", {"number": "-1"}, "expected its number"),
            ("GET", "/api/live", {}, "rate ''"),
            ("GET", "/api/live", {"rate": "0"}, "rate 0 Hz"),
            ("GET", "/api/live", {"rate": "999999999"}, "rate 999999999 Hz"),
            ("GET", "/api/live", {"rate": "１６０００"}, "expected a whole number"),
        ):
            status, answer = await client.ask(method, path, **query)
            assert status == 422, (path, query)
            assert why in answer["error"]
        only = (await client.ask("GET", "/api/state"))[1]["keywords"][0]["shots"][0]["recording"]
        status, answer = await client.ask("DELETE", "/api/recording", keyword="red", recording=only)
        assert (status, "the only recording" in answer["error"]) == (422, True)

    studio(scenario)


def test_another_program_may_change_the_file(studio, tmp_path, model):
    async def scenario(client):
        await client.enroll("red", 2)
        spotter = Spotter(model, tmp_path / "keywords.json")
        spotter.enroll("blue", [recording_samples("blue", seed) for seed in range(2)])
        spotter.enrollment.save(tmp_path / "keywords.json")
        state = (await client.ask("GET", "/api/state"))[1]
        assert [keyword["keyword"] for keyword in state["keywords"]] == ["red", "blue"]
        assert not state["keywords"][1]["shots"][0]["here"]
        status, answer = await client.ask("POST", "/api/recording", keyword="blue", data=recording("blue", 5))
        assert status == 422
        assert "'blue' was enrolled from recordings that are not on this machine (recording 1, recording 2)" in answer["error"]
        status, state = await client.ask("DELETE", "/api/keyword", keyword="red")
        assert [keyword["keyword"] for keyword in state["keywords"]] == ["blue"]
        (tmp_path / "keywords.json").write_text("{}")
        status, answer = await client.ask("PUT", "/api/threshold", keyword="blue", threshold="0.5")
        assert (status, "has schema None" in answer["error"]) == (422, True)
        assert (tmp_path / "keywords.json").read_text() == "{}"

    def recording_samples(name, seed):
        return soundfile.read(BytesIO(recording(name, seed)), dtype="float32")[0]

    studio(scenario)


def test_a_keyword_is_typed_and_recorded_later(studio):
    async def scenario(client):
        status, state = await client.ask("POST", "/api/phones", keyword=" my  word ", phones="r")
        (typed,) = state["keywords"]
        assert (status, typed["keyword"], typed["phones"], typed["shots"]) == (200, "my word", ["R"], [])
        found = [event["keyword"] for event in await play(client) if event["type"] == "detection"]
        assert found == ["my word", "my word"]
        status, state = await client.ask("POST", "/api/phones", keyword="My_Word", phones="R, G")
        assert [(word["keyword"], word["phones"]) for word in state["keywords"]] == [("my word", ["R", "G"])]
        status, state = await client.ask("POST", "/api/recording", keyword="MY WORD", data=recording("red"))
        (both,) = state["keywords"]
        assert (both["keyword"], both["phones"], len(both["shots"])) == ("my word", ["R", "G"], 1)
        (shot,) = both["shots"]
        status, state = await client.ask("DELETE", "/api/recording", keyword="my word", recording=shot["recording"])
        assert (status, state["keywords"]) == (200, [{**typed, "phones": ["R", "G"]}])

    studio(scenario)


def test_a_keyword_that_is_recorded_gets_phones(studio):
    async def scenario(client):
        await client.enroll("red", 2)
        status, state = await client.ask("POST", "/api/phones", keyword="red", phones="R")
        (keyword,) = state["keywords"]
        assert (status, keyword["phones"], len(keyword["shots"])) == (200, ["R"], 2)

    studio(scenario)


def test_what_there_is_to_say_about_a_keyword(studio):
    async def scenario(client):
        async def said(name="red"):
            return (await client.ask("GET", "/api/verdict", keyword=name))[1]

        await client.ask("POST", "/api/phones", keyword="red", phones="R")
        typed = await said("RED")
        assert typed["problems"] == []
        assert [fact[:18] for fact in typed["facts"]] == ["1 phones (R): shor"]
        await client.enroll("red", 1)
        assert (await said())["problems"] == ["one recording: three or more are better"]
        await client.ask("PUT", "/api/threshold", keyword="red", threshold="1")
        await client.enroll("red", 1, first=1)
        assert (await said())["problems"] == []

    studio(scenario)


def test_a_threshold_that_was_set_stays(studio):
    async def scenario(client):
        found = []
        for seed in range(4):
            if seed == 2:
                await client.ask("PUT", "/api/threshold", keyword="red", threshold="0.7")
            _, state = await client.ask("POST", "/api/recording", keyword="red", data=recording("red", seed))
            found.append(state["keywords"][0]["threshold"])
        assert found == [0.9, 0.9, 0.7, 0.7]

    studio(scenario)


def test_a_file_in_which_the_keyword_is_said_twice(studio, tmp_path):
    file = BytesIO()
    soundfile.write(file, np.concatenate([padded(word("red", seed=seed)) for seed in range(2)]), RATE, format="FLAC")

    async def scenario(client):
        await client.enroll("red", 1, first=2)
        _, state = await client.ask("POST", "/api/recording", keyword="red", data=file.getvalue())
        shots = state["keywords"][0]["shots"]
        assert [shot["take"] for shot in shots] == ["", "1 of 2", "2 of 2"]
        assert shots[1]["recording"] == shots[2]["recording"]
        await client.enroll("red", 1, first=3)  # enrolled again: each file once
        _, state = await client.ask("DELETE", "/api/recording", keyword="red", recording=shots[1]["recording"])
        assert [shot["take"] for shot in state["keywords"][0]["shots"]] == ["", ""]
        assert len(list((tmp_path / "keywords_recordings").iterdir())) == 2

    studio(scenario)


async def heard(line) -> list[dict]:
    """All events until the server ends the connection."""
    return [message.json() async for message in line if message.type == aiohttp.WSMsgType.TEXT]


async def play(client, samples=STREAM, rate=RATE, size=2048) -> list[dict]:
    """The events of a whole stream."""
    content = to_int16(resample(samples, RATE, rate)).astype("<i2").tobytes()
    async with client.live(rate) as line:
        for start in range(0, len(content), 2 * size):
            await line.send_bytes(content[start : start + 2 * size])
        await line.send_json({"type": "end"})
        return await heard(line)


@pytest.mark.parametrize(("rate", "size"), [(16_000, 2048), (16_000, 37), (48_000, 100_000), (44_100, 1001)])
def test_the_live_stream_gives_what_the_spotter_gives(studio, model, tmp_path, monkeypatch, rate, size):
    monkeypatch.setattr(conversation, "WAITING_S", 60)  # it comes faster than it was said

    async def scenario(client):
        await client.enroll("red")
        await client.enroll("blue")
        return await play(client, rate=rate, size=size), (await client.ask("GET", "/api/state"))[1]["detections"]

    events, kept = studio(scenario)
    played = resample(to_float32(to_int16(resample(STREAM, RATE, rate))), rate, RATE)
    expected = list(Spotter(model, tmp_path / "keywords.json").spot(played))
    found = [event for event in events if event["type"] == "detection"]
    names = ("keyword", "onset_s", "offset_s", "time_s", "similarity")
    assert [[event[name] for name in names] for event in found] == [[getattr(each, name) for name in names] for each in expected]
    assert [event["keyword"] for event in found] == ["red", "blue", "red"]
    assert [{"type": "detection", **each} for each in kept] == found
    looks = [look for event in events if event["type"] == "looks" for look in event["looks"]]
    assert [time_s for time_s, _ in looks] == [round(0.08 * (index + 1), 3) for index in range(len(looks))]
    assert len(looks) >= 68
    assert looks[0][1] == [None, None]
    assert {event["type"] for event in events} == {"looks", "detection"}


def test_the_audio_of_a_detection_is_kept_with_half_a_second_around_it(studio):
    async def scenario(client):
        await client.enroll("red")
        found = next(event for event in await play(client) if event["type"] == "detection")
        status, content = await client.ask("GET", "/api/detection", number=str(found["number"]))
        assert status == 200
        return found, soundfile.read(BytesIO(content), dtype="int16")[0]

    found, samples = studio(scenario)
    first = max(0, round((found["onset_s"] - 0.5) * RATE))
    last = round((found["offset_s"] + 0.5) * RATE)
    np.testing.assert_array_equal(samples, to_int16(STREAM)[first:last])


def test_keywords_and_thresholds_may_change_while_it_listens(studio):
    content = to_int16(STREAM).astype("<i2").tobytes()
    half = 2 * round(2.4 * RATE)

    async def until_look(line, time_s) -> list[dict]:
        events = []
        while not (events and events[-1]["type"] == "looks" and events[-1]["looks"][-1][0] >= time_s):
            events.append(json.loads((await line.receive()).data))
        return events

    async def scenario(client):
        async with client.live() as line:
            await line.send_bytes(content[: RATE // 2 * 2])  # nothing is enrolled: nothing is said
            await client.enroll("red")
            await line.send_bytes(content[RATE // 2 * 2 : half])
            before = await until_look(line, 2.3)
            await client.enroll("blue")
            await client.ask("PUT", "/api/threshold", keyword="red", threshold="1")
            await line.send_bytes(content[half:])
            await line.send_json({"type": "end"})
            return before, await heard(line)

    before, after = studio(scenario)
    first, *others = [event for event in before + after if event["type"] == "detection"]
    assert (first["keyword"], first["threshold"]) == ("red", 0.9)
    assert 0 < first["onset_s"] < 0.75 < first["offset_s"] < 1.5  # time is that of the stream
    assert "blue" in [event["keyword"] for event in others]
    assert {event["threshold"] for event in others if event["keyword"] == "red"} <= {1.0}
    assert next(event for event in before if event["type"] == "looks")["keywords"] == ["red"]
    assert [event for event in after if event["type"] == "looks"][-1]["keywords"] == ["red", "blue"]


def test_what_was_wrong_is_not_taken_for_the_keyword_again(studio):
    between = padded(0.5 * (word("red", seed=1) + word("green", seed=2)))
    samples = np.concatenate([between, between * 0, padded(word("red", seed=3)), between * 0])

    async def found(client):
        return [event for event in await play(client, samples) if event["type"] == "detection"]

    async def scenario(client):
        await client.enroll("red")
        await client.ask("PUT", "/api/threshold", keyword="red", threshold="0.87")
        wrong, right = await found(client)
        assert not wrong["corrected"]
        for _ in range(2):  # the second time changes nothing
            status, state = await client.ask("POST", "/api/mistake", number=str(wrong["number"]))
            assert (status, state["keywords"][0]["mistakes"]) == (200, 1)
            assert [each["corrected"] for each in state["detections"]] == [True, False]
        (again,) = await found(client)
        assert (again["onset_s"], again["similarity"]) == (right["onset_s"], right["similarity"])
        status, state = await client.ask("POST", "/api/recording", keyword="red", data=recording("red", 7))
        (keyword,) = state["keywords"]
        assert (len(keyword["shots"]), keyword["mistakes"], keyword["threshold"]) == (3, 1, 0.87)
        assert len(await found(client)) == 1
        status, state = await client.ask("DELETE", "/api/mistakes", keyword="red")
        assert (state["keywords"][0]["mistakes"], any(each["corrected"] for each in state["detections"])) == (0, False)
        assert len(await found(client)) == 2
        await client.ask("DELETE", "/api/keyword", keyword="red")
        status, answer = await client.ask("POST", "/api/mistake", number=str(right["number"]))
        assert (status, "no keyword is called 'red'" in answer["error"]) == (422, True)

    studio(scenario)


def test_a_correction_while_it_listens(studio):
    content = to_int16(STREAM).astype("<i2").tobytes()

    async def scenario(client):
        await client.enroll("red")
        async with client.live() as line:
            await line.send_bytes(content)
            event = {}
            while event.get("type") != "detection":
                event = json.loads((await line.receive()).data)
            await client.ask("POST", "/api/mistake", number=str(event["number"]))
            await line.send_bytes(content)
            await line.send_json({"type": "end"})
            times = [time for event in await heard(line) if event["type"] == "looks" for time, _ in event["looks"]]
        assert times == sorted(times)
        assert times[-1] > 10.5

    studio(scenario)


def test_a_keyword_that_was_missed_is_learnt_from_the_last_seconds(studio, tmp_path):
    async def answer(line) -> dict:
        while (event := json.loads((await line.receive()).data))["type"] != "missed":
            pass
        return event

    async def scenario(client):
        await client.enroll("red", 1)
        async with client.live() as line:
            await line.send_json({"type": "missed", "keyword": "red"})
            assert "no speech was found in the last 6 s" in (await answer(line))["error"]
            await line.send_bytes(to_int16(stream_of(("red", 0.5), seconds=2)).tobytes())
            await line.send_json({"type": "missed", "keyword": "Red"})
            assert await answer(line) == {"type": "missed", "keyword": "Red"}
            (keyword,) = (await client.ask("GET", "/api/state"))[1]["keywords"]
            assert len(keyword["shots"]) == 2
            assert (keyword["shots"][1]["end_s"] - keyword["shots"][1]["start_s"]) == pytest.approx(0.6, abs=0.1)
            assert keyword["shots"][1]["agreement"] > 0.99
            assert keyword["shots"][1]["warnings"] == []
            await line.send_json({"type": "missed", "keyword": "blue"})
            assert "no keyword is called 'blue'" in (await answer(line))["error"]
            for _ in range(2):  # as much as may wait at once
                await line.send_bytes(to_int16(stream_of(seconds=3.2)).tobytes())
                await asyncio.sleep(0.2)
            await line.send_json({"type": "missed", "keyword": "red"})
            assert "no speech was found" in (await answer(line))["error"]
            await line.send_bytes(to_int16(stream_of(("red", 0.2), seconds=2)).tobytes())
            await line.send_json({"type": "end"})
            assert [event["keyword"] for event in await heard(line) if event["type"] == "detection"] == ["red"]
        assert len(list((tmp_path / "keywords_recordings").iterdir())) == 2

    studio(scenario)


def test_the_latest_speech():
    loud, quiet = word("red", level=0.5), word("blue", level=0.05)
    kept = latest_speech(np.concatenate([padded(quiet), padded(loud), padded(quiet)]))
    assert 0.9 < len(kept) / RATE < 1.2
    assert np.abs(kept).max() > 0.4
    time_s = np.arange(6 * RATE) / RATE
    for nothing in (
        np.zeros(0),
        np.zeros(6 * RATE),
        np.random.default_rng(0).normal(0, 0.1, 6 * RATE),
        0.2 * np.sin(2 * np.pi * 50 * time_s),
        padded(word("red", seconds=4.0)),
        padded(word("red", level=1e-4)),
    ):
        with pytest.raises(AudioError, match=r"no speech was found in the last 6 s; say the keyword"):
            latest_speech(nothing.astype(np.float32))


MALFORMED = {
    "half a sample": b"abc",
    "text": "hello",
    "a list": "[1]",
    "nested": "[" * 50_000,
    "no type": "{}",
    "an unknown type": '{"type": "stop"}',
    "missed without a keyword": '{"type": "missed"}',
    "missed with an empty keyword": '{"type": "missed", "keyword": " "}',
    "missed with a number": '{"type": "missed", "keyword": 1}',
    "a gap without length": '{"type": "gap"}',
    "a gap of -1": '{"type": "gap", "samples": -1}',
    "a gap that is endless": '{"type": "gap", "samples": 1e12}',
    "a gap of a day": '{"type": "gap", "samples": 4147200000}',
}


def test_malformed_frames_end_their_stream_only(studio):
    async def scenario(client):
        await client.enroll("red")
        async with client.live() as well_behaved:
            for name, content in MALFORMED.items():
                async with client.live() as line:
                    await (line.send_bytes(content) if isinstance(content, bytes) else line.send_str(content))
                    (event,) = await heard(line)
                    assert event["type"] == "error", name
                    assert "expected" in event["error"], name
                    assert line.close_code == 1003
            async with client.live() as line:
                for _ in range(3):
                    await line.send_json({"type": "gap", "samples": 1 << 23})
                assert [event["error"][:7] for event in await heard(line)] == ["gaps of"]
            async with client.live() as line:  # far more than a page sends at once
                await line.send_bytes(bytes(2 << 20))
                assert await heard(line) == []
                assert line.close_code == 1009
            await well_behaved.send_json({"type": "end"})
            await heard(well_behaved)
        async with client.live() as line:
            for content in (b"", bytes(2)):
                await line.send_bytes(content)
            await line.send_json({"type": "gap", "samples": 100})
            await line.send_json({"type": "end"})
            assert {event["type"] for event in await heard(line)} <= {"looks", "dropped"}
        while client.server.sockets:  # until the time of the scenario is over
            await asyncio.sleep(0.01)

    studio(scenario)


def test_what_is_too_much_is_dropped_counted_and_told(studio, monkeypatch):
    async def scenario(client):
        await client.enroll("red")
        gate = asyncio.Event()
        in_thread = client.server.in_thread

        async def slow(work, *arguments):
            await gate.wait()
            return await in_thread(work, *arguments)

        monkeypatch.setattr(client.server, "in_thread", slow)
        async with client.live() as line:
            for _ in range(8):  # seconds, of which five may wait
                await line.send_bytes(bytes(2 * RATE))
            await line.send_json({"type": "gap", "samples": RATE})
            await line.send_bytes(to_int16(STREAM[:RATE]).tobytes())
            await line.send_json({"type": "end"})
            gate.set()
            return await heard(line)

    events = studio(scenario)
    dropped = [event["dropped_s"] for event in events if event["type"] == "dropped"]
    assert dropped[-1] >= 3.0
    times = [look[0] for event in events if event["type"] == "looks" for look in event["looks"]]
    assert times == sorted(times)


def test_pages_that_listen_at_once_are_limited(studio):
    async def scenario(client):
        lines = [await client.live() for _ in range(conversation.MAX_SOCKETS)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.live()
        assert refused.value.status == 422
        for line in lines:
            await line.close()
        async with client.live() as line:
            await line.send_json({"type": "end"})
            await heard(line)

    studio(scenario)


def test_closing_waits_for_no_page(studio):
    async def scenario(client):
        line = await client.live()
        return asyncio.create_task(line.receive()), line

    async def both(client):
        task, line = await scenario(client)
        await client.server.__aexit__()
        assert (await asyncio.wait_for(task, 5)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)
        assert line.close_code == 1001

    studio(both)


def test_what_cannot_be_opened(model, tmp_path, studio):
    with pytest.raises(InputError, match="is a folder; expected an enrollment"):
        Session(model, tmp_path)
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(EnrollmentError, match="is damaged"):
        Session(model, tmp_path / "other.json")

    async def scenario(client):
        with pytest.raises(InputError, match=r"can't listen on port \d+: .*choose another with --port"):
            async with Server(client.server.session, StudioConfig(port=client.server.port)):
                pass

    studio(scenario)


def test_the_command_says_what_it_cannot_use(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["studio", "keywords.toml"]) == 2
    assert "'keywords.toml' is neither a model nor an enrollment" in capsys.readouterr().err
    assert main(["studio", "--port", "70000"]) == 2
    assert "port is 70000; expected from 0 to 65535" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(tmp_path, model, number):
    command = [sys.executable, "-m", "wordprint", "studio", str(model.path), "mine.json", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert re.fullmatch(r"the studio for mine\.json is at http://127\.0\.0\.1:\d+/#[\w-]{32} \(Ctrl-C ends\)\n", line)
        process.send_signal(number)
        out, errors = process.communicate(timeout=20)
        assert (process.returncode, out, errors) == (0, "", "")
    assert list(tmp_path.iterdir()) == []  # nothing was made, nothing is written
