"""× real time of `wordprint serve` with one client and with many at once, all together, and the memory of the server.

The server runs in a process of its own, the clients in this one; each sends its audio as fast as it is taken. With
`--hours` one client more sends that much audio, and the server's memory before and after is said.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spotter import loud_pieces, make_stream
from timing import in_turns, parser, peak_mb, print_ratio, print_table, spread
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.ping import Ping, Pong

from wordprint.model import bundled_model
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.spot.enroll import enroll

FORM = {"rate": SAMPLE_RATE, "width": 2, "channels": 1}
CHUNK_SAMPLES = 1024


@contextmanager
def serving(*files: Path) -> Iterator[tuple[int, int]]:
    """Port and process of a server of a model and its keywords."""
    command = [sys.executable, "-m", "wordprint", "serve", *map(str, files), "--wyoming", "tcp://127.0.0.1:0", "--clients", "10000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline().split(" (")[0].rpartition(":")[2]), server.pid
        server.send_signal(signal.SIGINT)


async def send(port: int, samples: NDArray[np.int16], times: int = 1) -> None:
    """One client: the samples so many times, until the server has answered that it heard all."""
    chunks = [
        AudioChunk(**FORM, audio=samples[start : start + CHUNK_SAMPLES].tobytes()).event()
        for start in range(0, len(samples), CHUNK_SAMPLES)
    ]
    async with AsyncTcpClient("127.0.0.1", port) as client:

        async def drain() -> None:
            while (event := await client.read_event()) is not None and not Pong.is_type(event.type):
                pass

        reading = asyncio.create_task(drain())
        for _ in range(times):
            for chunk in chunks:
                await client.write_event(chunk)
        await client.write_event(AudioStop().event())
        await client.write_event(Ping().event())  # answered when all before it was heard
        await reading


def speed(port: int, samples: NDArray[np.int16], clients: int) -> float:
    """Seconds of audio, all clients together, in a second."""

    async def all_of_them() -> None:
        await asyncio.gather(*(send(port, samples) for _ in range(clients)))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    return clients * len(samples) / SAMPLE_RATE / (time.perf_counter() - started)


def main() -> None:
    options = parser(__doc__, "a corpus, for its speech", utterances=20)
    options.add_argument("--model", type=Path, default=None, help="model file (default: the one that ships)")
    options.add_argument("--clients", type=int, default=50, help="clients at once (default: %(default)s)")
    options.add_argument("--seconds", type=float, default=10, help="audio of a client in a turn (default: %(default)s)")
    options.add_argument("--hours", type=float, default=0, help="audio to watch the memory over (default: none)")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, samples = make_stream(given.source, given.utterances, given.seconds, folder)
        model, keywords = given.model or bundled_model(), folder / "keywords.json"
        enroll(model, "loudest", loud_pieces(samples, 1), keywords)
        audio = to_int16(samples)
        with serving(model, keywords) as (port, process):
            systems = {
                "one client": lambda: speed(port, audio, 1),
                f"{given.clients} clients": lambda: speed(port, audio, given.clients),
            }
            rates = in_turns(systems, given.rounds)
            if given.hours:
                before = peak_mb(process)
                asyncio.run(send(port, audio, round(given.hours * 3600 * SAMPLE_RATE / len(audio))))
                print(f"peak memory of the server before and after {given.hours:g} h: {before:.1f} MB, {peak_mb(process):.1f} MB")
    print_table(("", "× real time, all together"), *((label, spread(each, 1)) for label, each in rates.items()))
    print_ratio(rates, f"{given.clients} clients", "one client")


if __name__ == "__main__":
    main()
