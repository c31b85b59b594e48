"""The server in the local network."""

from __future__ import annotations

import asyncio
import sys

import pytest

pytest.importorskip("wyoming", reason="wyoming is not installed: pip install 'wordprint[serve]'")

from wordprint.errors import ConfigError, InputError, MissingExtraError
from wordprint.serve.announce import SERVICE, announced


async def announce(host: str, port: int = 10400) -> None:
    async with announced(host, port):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_is_not_announced(host):
    with pytest.raises(ConfigError, match=f"announce {host}, which no other machine reaches; --wyoming tcp://0.0.0.0:10400"):
        asyncio.run(announce(host))


def test_the_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(MissingExtraError, match="needs the Python package 'zeroconf'; pip install zeroconf"):
        asyncio.run(announce("0.0.0.0"))


def test_a_host_that_is_none():
    pytest.importorskip("zeroconf", reason="zeroconf is not installed")
    with pytest.raises(InputError, match=r"can't announce no-such-host\.invalid"):
        asyncio.run(announce("no-such-host.invalid"))


def test_it_is_found_while_it_serves():
    pytest.importorskip("zeroconf", reason="zeroconf is not installed")
    from zeroconf.asyncio import AsyncZeroconf

    async def scenario():
        async with announced("0.0.0.0", 10_477):
            seeker = AsyncZeroconf()
            try:
                found = await seeker.async_get_service_info(SERVICE, f"wordprint.{SERVICE}", timeout=3000)
            finally:
                await seeker.async_close()
        return found and found.port

    found = asyncio.run(scenario())
    if found is None:
        pytest.skip("this machine's network carries no multicast")
    assert found == 10_477
