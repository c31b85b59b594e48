"""Who may speak to the page's server: this page alone, told by a random token, and no other site.

Three things are looked at. The Host must be a name of this machine, so that no domain of somebody else's can be pointed here
(DNS rebinding). What the browser says of where a request comes from (Origin, Sec-Fetch-Site) must be this page. And whatever
reads or changes anything must bear the token, which the address in the terminal holds behind its #: browsers send that nowhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

PROTOCOL = "wordprint-studio"
"""Of the WebSocket; the token comes as a second one, for a page can't set headers there."""
HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws://{host}; object-src 'none'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(token: str) -> Any:
    """The middleware that lets nobody else in."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if why := refusal(request.method, request.path, request.headers, token):
            status, text = why
            return web.json_response({"error": text}, status=status)
        return await handler(request)

    return guard


def refusal(method: str, path: str, headers: Mapping[str, str], token: str) -> tuple[int, str] | None:
    """The HTTP status and the reason to refuse a request with, or None. `headers` are looked up without regard to case."""
    host, origin, site = headers.get("Host", ""), headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    if not _is_this_machine(host):
        return 403, f"this page is served to {' and '.join(HOSTS)} only"
    if (origin is not None and origin != f"http://{host}") or site not in ("same-origin", "none"):
        return 403, "another site may not use this page"
    if not path.startswith("/api/"):
        return None
    if origin is None and (method not in ("GET", "HEAD") or "Upgrade" in headers):
        return 403, "a request that changes something must say where it comes from"
    if not hmac.compare_digest(_token(headers).encode(errors="surrogateescape"), token.encode()):
        return 401, "the token is missing or wrong; open the address that the terminal shows"
    return None


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine; its port may be another's, forwarded to here."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.netloc == host and parts.username is None and parts.hostname in HOSTS and parts.port != 0
    except ValueError:
        return False


def _token(headers: Mapping[str, str]) -> str:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    if kind == "Bearer":
        return token
    offered = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return offered[1] if len(offered) == 2 and offered[0] == PROTOCOL else ""


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer says: where its parts may come from, and that no other page may hold it."""
    host = request.headers.get("Host", "")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value.format(host=host if _is_this_machine(host) else HOSTS[0]))
