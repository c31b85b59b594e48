"""The server's address in the local network (mDNS), where Home Assistant looks for Wyoming services."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wordprint.errors import ConfigError, InputError, MissingExtraError
from wordprint.serve.wyoming import is_loopback

SERVICE = "_wyoming._tcp.local."


@asynccontextmanager
async def announced(host: str, port: int) -> AsyncIterator[None]:
    """Announce `host` (all addresses of this machine for 0.0.0.0) until the context ends, which takes it back.

    Raises ConfigError for a loopback address, MissingExtraError without zeroconf, InputError without a network.
    """
    if is_loopback(host):
        raise ConfigError(f"zeroconf would announce {host}, which no other machine reaches", remedy="--wyoming tcp://0.0.0.0:10400")
    try:
        import ifaddr  # zeroconf's own
        from zeroconf import Error as ZeroconfError
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
    except ImportError as error:
        raise MissingExtraError("--zeroconf needs the Python package 'zeroconf'", remedy="pip install zeroconf") from error
    try:
        mine = [str(address.ip) for adapter in ifaddr.get_adapters() for address in adapter.ips if address.is_IPv4]
        addresses = [ip for ip in mine if not is_loopback(ip)] if host == "0.0.0.0" else [socket.gethostbyname(host)]
        if not addresses:
            raise InputError("this machine has no address in a network", remedy="leave --zeroconf out")
        service = AsyncServiceInfo(SERVICE, f"wordprint.{SERVICE}", port=port, parsed_addresses=addresses)
        network = AsyncZeroconf()
        try:
            await network.async_register_service(service, allow_name_change=True)
        except BaseException:
            await network.async_close()
            raise
    except (OSError, ZeroconfError) as error:
        raise InputError(f"can't announce {host}: {error or type(error).__name__}", remedy="leave --zeroconf out") from error
    try:
        yield
    finally:
        await network.async_close()
