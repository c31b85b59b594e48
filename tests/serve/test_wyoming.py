"""Wyoming, spoken by its own client with a server in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("wyoming", reason="wyoming is not installed: pip install 'wordprint[serve]'")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection

from toy_model import enroll_words, stream_of
from wordprint.cli import main
from wordprint.errors import ConfigError, EnrollmentError, InputError
from wordprint.model import Model
from wordprint.serve.options import ServeConfig
from wordprint.serve.wyoming import Server, is_loopback, parse_address
from wordprint.speech.audio import resample, to_float32, to_int16
from wordprint.spot.choose import choose
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

STREAM = to_float32(to_int16(stream_of(("red", 0.5), ("green", 1.6), ("blue", 2.7), ("red", 3.9), seconds=5.5)))


@pytest.fixture(scope="module")
def keywords(tmp_path_factory):
    model, enrollment = enroll_words(tmp_path_factory.mktemp("keywords"), "red", "blue")
    return Model(model), Enrollment.load(enrollment)


@pytest.fixture
def serving(keywords):
    """`serving(scenario)` runs `scenario(server)` beside a server on a free port; it fails where that takes longer than 60 s."""
    model, enrollment = keywords

    def run(scenario, say=print, **options):
        async def both():
            async with Server("tcp://127.0.0.1:0", enrollment, model, SpotConfig(), ServeConfig(**options), say) as server:
                async with asyncio.timeout(60):
                    await scenario(server)

        asyncio.run(both())

    return run


@contextlib.asynccontextmanager
async def connected(server):
    async with AsyncTcpClient("127.0.0.1", server.port, connect_timeout=10, read_timeout=30) as client:
        yield client


async def play(client, samples=STREAM, *, rate=16_000, channels=1, size=1600, timestamp=None) -> None:
    """Audio from start to stop in chunks of `size` samples."""
    frames = np.repeat(to_int16(resample(samples, 16_000, rate))[:, None], channels, axis=1)
    form = {"rate": rate, "width": 2, "channels": channels}
    await client.write_event(AudioStart(**form, timestamp=timestamp).event())
    for start in range(0, len(frames), size):
        await client.write_event(AudioChunk(**form, audio=frames[start : start + size].tobytes()).event())
    await client.write_event(AudioStop().event())


async def answers(client, count) -> list:
    """The next events as (name, timestamp) of detections, else their type."""
    events = [await client.read_event() for _ in range(count)]
    return [(e.data["name"], e.data["timestamp"]) if e is not None and Detection.is_type(e.type) else e and e.type for e in events]


def expected(keywords, names=(), start_ms=0, samples=STREAM) -> list[tuple[str, int]]:
    model, enrollment = keywords
    found = Spotter(model, choose(enrollment, names)).spot(samples)
    return [(detection.keyword, start_ms + round(detection.time_s * 1000)) for detection in found]


def test_describe(serving):
    async def scenario(server):
        async with connected(server) as client:
            await client.write_event(Describe().event())
            program = Info.from_event(await client.read_event()).wake[0]
            assert (program.name, program.installed) == ("wordprint", True)
            assert [(model.name, model.phrase, model.installed) for model in program.models] == [
                ("red", "red", True),
                ("blue", "blue", True),
            ]
            await client.write_event(Ping("here").event())
            assert Pong.from_event(await client.read_event()).text == "here"

    serving(scenario)


@pytest.mark.parametrize(("rate", "channels", "size"), [(16_000, 1, 1600), (16_000, 2, 37), (48_000, 1, 480_000), (8000, 2, 1001)])
def test_detections_are_those_of_the_spotter(serving, keywords, rate, channels, size):
    async def scenario(server):
        async with connected(server) as client:
            playing = asyncio.create_task(play(client, rate=rate, channels=channels, size=size))
            found = await answers(client, 3)
            await playing
            played = to_float32(to_int16(resample(STREAM, 16_000, rate)))
            assert found == expected(keywords, samples=resample(played, rate, 16_000))
            await client.write_event(Ping().event())  # nothing else was said
            assert await answers(client, 1) == ["pong"]

    serving(scenario)


def test_time_is_the_clients_and_names_stay(serving, keywords):
    async def scenario(server):
        async with connected(server) as client:
            await client.write_event(Detect(names=["BLUE"]).event())
            for start_ms in (0, 5_000_000):
                await play(client, timestamp=start_ms)
                assert await answers(client, 1) == expected(keywords, ["blue"], start_ms)
            await client.write_event(Detect(names=None).event())
            await play(client)
            assert await answers(client, 3) == expected(keywords)

    serving(scenario)


def test_names_that_change_in_the_middle_of_a_stream(serving, keywords):
    async def scenario(server):
        half = 35_200
        form = {"rate": 16_000, "width": 2, "channels": 1}
        samples = to_int16(STREAM)
        async with connected(server) as client:
            await client.write_event(Detect(names=["blue"]).event())
            await client.write_event(AudioChunk(**form, audio=samples[:half].tobytes(), timestamp=70_000).event())
            await client.write_event(Detect(names=["red"]).event())
            await client.write_event(AudioChunk(**form, audio=samples[half:].tobytes()).event())
            assert await answers(client, 1) == expected(keywords, ["red"], 72_200, STREAM[half:])

    serving(scenario)


def test_nothing_is_heard(serving):
    async def scenario(server):
        async with connected(server) as client:
            await play(client, STREAM[24_000:36_000])
            await client.write_event(AudioStop().event())
            assert await answers(client, 2) == ["not-detected", "not-detected"]
            await client.write_event(Detect(names=["red", "purple"]).event())
            error = Error.from_event(await client.read_event())
            assert error.code == "unknown_keyword"
            assert error.text.startswith("no keyword is called 'purple'; expected some of 'red', 'blue'")
            await play(client)
            assert await answers(client, 1) == ["not-detected"]

    serving(scenario)


def frame(header: object, *parts: bytes) -> bytes:
    return json.dumps(header).encode() + b"\n" + b"".join(parts)


CHUNK = {"rate": 16_000, "width": 2, "channels": 1}
MALFORMED = {
    "no JSON": b"hello\n",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "no text": b"\xff\xfe\x00\n",
    "no object": b"[1]\n",
    "nested": b"[" * 60_000 + b"\n",
    "no type": frame({"data": {}}),
    "type is no text": frame({"type": 5}),
    "data is no object": frame({"type": "describe", "data": [1]}),
    "data is no JSON": frame({"type": "describe", "data_length": 3}, b"abc"),
    "a line without end": b"a" * 200_000,
    "length is text": frame({"type": "audio-chunk", "payload_length": "5"}),
    "length is negative": frame({"type": "audio-chunk", "payload_length": -5}),
    "length is enormous": frame({"type": "audio-chunk", "payload_length": 10**12}),
    "chunk without form": frame({"type": "audio-chunk", "payload_length": 2}, b"ab"),
    "half a sample": frame({"type": "audio-chunk", "data": CHUNK, "payload_length": 3}, b"abc"),
    "rate of 0": frame({"type": "audio-chunk", "data": CHUNK | {"rate": 0}, "payload_length": 2}, b"ab"),
    "names are no list": frame({"type": "detect", "data": {"names": "red"}}),
    "names are numbers": frame({"type": "detect", "data": {"names": [1]}}),
}


def test_malformed_frames_end_their_client_only(serving, keywords):
    async def scenario(server):
        async with connected(server) as well_behaved:
            for name, content in MALFORMED.items():
                async with connected(server) as client:
                    client._writer.write(content)
                    error = Error.from_event(await client.read_event())
                    assert "expected" in error.text, name
                    assert await client.read_event() is None, name
            await play(well_behaved)
            assert await answers(well_behaved, 3) == expected(keywords)
        assert server.clients == len(MALFORMED) + 1

    said = []
    serving(scenario, said.append)
    assert len(said) == len(MALFORMED)
    assert all(line.startswith("a client was sent away: ") for line in said)


@pytest.mark.parametrize("timestamp", ["now", [], 1e300, float("nan"), True])
def test_times_that_are_none_count_from_zero(serving, keywords, timestamp):
    async def scenario(server):
        async with connected(server) as client:
            await play(client, timestamp=timestamp)
            assert await answers(client, 3) == expected(keywords, start_ms=int(timestamp is True))

    serving(scenario)


def test_clients_that_stall_flood_and_vanish_keep_nobody(serving, keywords):
    async def scenario(server):
        async with contextlib.AsyncExitStack() as stack:
            stalled = [await stack.enter_async_context(connected(server)) for _ in range(5)]
            for client in stalled:
                client._writer.write(frame({"type": "audio-chunk", "data": CHUNK, "payload_length": 1000}, b"a"))
            vanishing = [await stack.enter_async_context(connected(server)) for _ in range(5)]
            for client in vanishing:
                client._writer.write(frame({"type": "audio-chunk", "data": CHUNK, "payload_length": 1000}, b"a"))
                client._writer.transport.abort()
            flooding = [await stack.enter_async_context(connected(server)) for _ in range(4)]
            floods = [asyncio.create_task(play(client, np.tile(STREAM, 200), size=600_000)) for client in flooding]
            client = await stack.enter_async_context(connected(server))
            await play(client)
            assert await answers(client, 3) == expected(keywords)
            assert not all(flood.done() for flood in floods)  # they wait for their turn
            for flood in floods:
                flood.cancel()
            await asyncio.gather(*floods, return_exceptions=True)
            for client in flooding:
                client._writer.transport.abort()

    serving(scenario)


def test_fifty_clients_each_a_stream_of_its_own(serving, keywords):
    async def one(server, number):
        async with connected(server) as client:
            names = [["red"], ["blue"], None][number % 3]
            await client.write_event(Detect(names=names).event())
            await play(client, size=1600 + number, timestamp=number)
            wanted = expected(keywords, names or (), number)
            assert await answers(client, len(wanted)) == wanted

    async def scenario(server):
        await asyncio.gather(*(one(server, number) for number in range(50)))
        assert server.clients == 50

    serving(scenario)


def test_one_client_too_many(serving):
    async def scenario(server):
        async with connected(server) as first:
            await first.write_event(Ping().event())
            assert await answers(first, 1) == ["pong"]
            async with connected(server) as second:
                assert Error.from_event(await second.read_event()).text == "1 clients are served already; come again later"
                assert await second.read_event() is None
            await first.write_event(Ping().event())
            assert await answers(first, 1) == ["pong"]

    serving(scenario, clients=1)


def test_closing_waits_for_no_client(keywords):
    model, enrollment = keywords

    async def scenario():
        async with Server("tcp://127.0.0.1:0", enrollment, model) as server:
            client = AsyncTcpClient("127.0.0.1", server.port)
            await client.connect()
            await client.write_event(Ping().event())
            assert await answers(client, 1) == ["pong"]
        with contextlib.suppress(ConnectionResetError):
            assert await client.read_event() is None
        await client.disconnect()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_port_that_is_taken(serving, keywords):
    async def scenario(server):
        with pytest.raises(InputError, match=r"can't listen on tcp://127.0.0.1:\d+: .*choose another address"):
            async with Server(f"tcp://127.0.0.1:{server.port}", keywords[1], keywords[0]):
                pass

    serving(scenario)


def test_nothing_to_serve(keywords):
    model, enrollment = keywords
    with pytest.raises(EnrollmentError, match="no keyword is enrolled"):
        Server("tcp://127.0.0.1:0", Enrollment(model.name, model.digest), model)
    with pytest.raises(EnrollmentError, match="was made with model"):
        Server("tcp://127.0.0.1:0", enrollment, Model())
    with pytest.raises(ConfigError, match="clients is 0; expected at least 1"):
        Server("tcp://127.0.0.1:0", enrollment, model, options=ServeConfig(clients=0))


@pytest.mark.parametrize(
    "uri", ["", "tcp://", "tcp://127.0.0.1", "http://127.0.0.1:80", "tcp://a:99999", "127.0.0.1:10400", "tcp://[::1"]
)
def test_addresses_that_are_none(uri):
    with pytest.raises(ConfigError, match="expected tcp://HOST:PORT"):
        parse_address(uri)


def test_loopback():
    assert parse_address("tcp://[::1]:10400") == ("::1", 10400)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.2", "example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_the_command_says_what_it_cannot_use(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 2
    assert "keywords.json does not exist; expected an enrollment" in capsys.readouterr().err
    assert main(["serve", "keywords.toml"]) == 2
    assert "'keywords.toml' is neither a model nor an enrollment" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_command_serves_until_it_is_stopped(tmp_path, number, host):
    model, enrollment = enroll_words(tmp_path, "red")
    command = [sys.executable, "-m", "wordprint", "serve", model, enrollment, "--wyoming", f"tcp://{host}:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert line.startswith(f"listening for 'red' on tcp://{host}:"), process.stderr.read()

        async def ask():
            async with AsyncTcpClient("127.0.0.1", int(line.split(" (")[0].rpartition(":")[2])) as client:
                await play(client)
                return await answers(client, 2)

        assert [name for name, _ in asyncio.run(ask())] == ["red", "red"]
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "1 clients, 2 detections\n")
    assert err == ("" if host == "127.0.0.1" else "note: whoever reaches 0.0.0.0 can use it: Wyoming knows no passwords\n")
