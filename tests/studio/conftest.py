"""A studio in this process, with the small model of tests/toy_model.py, and a client that speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from studio_client import Client
from toy_model import write_model
from wordprint.model import Model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(write_model(tmp_path_factory.mktemp("model") / "bands.onnx"))


@pytest.fixture
def studio(model: Model, tmp_path: Path) -> Callable[..., Any]:
    """`studio(scenario)` runs `scenario(client)` beside a studio on a free port; it fails where that takes longer than 30 s."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'wordprint[studio]'")
    import aiohttp

    from wordprint.studio.options import StudioConfig
    from wordprint.studio.server import Server
    from wordprint.studio.session import Session

    def run(scenario: Callable[[Any], Awaitable[Any]], file: Path = tmp_path / "keywords.json") -> Any:
        async def both() -> Any:
            async with Server(Session(model, file), StudioConfig(port=0)) as server, aiohttp.ClientSession() as http:
                async with asyncio.timeout(30):
                    return await scenario(Client(server, http))

        return asyncio.run(both())

    return run
