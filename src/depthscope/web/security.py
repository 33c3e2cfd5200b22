"""Guard: nobody but the page this server gave out, and programs that hold its token, get in.

Pure ASGI, in front of everything, because a WebSocket handshake passes by HTTP middleware and by
CORS. Checked on every request, in this order: Host, Origin, Fetch metadata, token, and for
anything that may change state a custom header and a JSON body, which no foreign page can send.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from depthscope.web.secret import cookie_for

__all__ = ["MAX_BODY", "Gate", "Guard", "Refusal"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 4096
_BODY_SECONDS: Final = 5.0
_SAFE: Final = frozenset({"GET", "HEAD"})
_PAGE: Final = (
    "<!doctype html><meta charset=utf-8><title>depthscope</title><h1>Not open here</h1>"
    "<p>This page needs the address that the terminal printed when the server started (it holds a "
    "one-time token). If you just came from there, <a href='/'>open the page</a>.</p>"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Secrets and names of one server.

    Parameters
    ----------
    hosts : iterable of str
        Values of the Host header that are ours, with port.
    secure : bool
        Whether the page is served with TLS.
    token : str
        What the address printed at start carries; programs send it as a bearer.
    cookie : str
        Value of the page's cookie, another secret: reading one does not give the other. It is
        the same when the server is started again, so open pages stay let in.
    cookie_name : str
        Differs by port, because cookies do not.
    """

    hosts: frozenset[str]
    secure: bool
    token: str
    cookie_name: str
    cookie: str

    @classmethod
    def make(
        cls, names: Iterable[str], port: int, *, secure: bool, key: bytes, token: str | None = None
    ) -> Gate:
        """Gate of a server that is reached by `names` at `port`; its cookie comes from `key`."""
        default = 443 if secure else 80
        hosts = {f"{name.lower()}:{port}" for name in names}
        if port == default:
            hosts |= {name.lower() for name in names}
        cookie = cookie_for(key, port, token)
        return cls(frozenset(hosts), secure, token or secrets.token_urlsafe(32), f"depthscope_{port}", cookie)

    @property
    def origins(self) -> frozenset[str]:
        """Values of the Origin header that are ours."""
        scheme = "https" if self.secure else "http"
        return frozenset(f"{scheme}://{host}" for host in self.hosts)


class Refusal(Exception):
    """Why a request is turned away.

    Parameters
    ----------
    status : int
        HTTP status.
    code, message : str
        For the answer.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Guard:
    """ASGI middleware that lets pass only what belongs to this server's page.

    Parameters
    ----------
    app : ASGI application
    gate : Gate
    """

    def __init__(self, app: App, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one connection, then hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            host = self._check_host(headers)
            if scope["type"] == "http" and self._exchange(scope):
                await self._send(send, host, 303, b"", [(b"location", b"/"), (b"set-cookie", self._cookie())])
                return
            self._check(scope, headers)
        except Refusal as refusal:
            if scope["type"] == "http" and scope["method"] not in _SAFE:
                # An answer given before the body was read may be lost with the connection.
                with contextlib.suppress(Refusal, TimeoutError):
                    await asyncio.wait_for(_body(receive), _BODY_SECONDS)
            await self._refuse(scope, receive, send, refusal)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = self._response_headers(host)
                names = {name for name, _ in own}
                kept = [(k, v) for k, v in message.get("headers", []) if k.lower() not in names]
                message = {**message, "headers": [*kept, *own]}
            await send(message)

        if scope["method"] not in _SAFE:
            try:
                receive = _replayed(await asyncio.wait_for(_body(receive), _BODY_SECONDS))
            except (Refusal, TimeoutError) as error:
                late = Refusal(408, "too_slow", "The request's body did not come in time.")
                await self._refuse(scope, receive, send, error if isinstance(error, Refusal) else late)
                return
        await self.app(scope, receive, guarded_send)

    # -- checks -------------------------------------------------------------------------------

    def _check_host(self, headers: dict[bytes, list[str]]) -> str:
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.gate.hosts:
            raise Refusal(421, "foreign_host", "This server does not answer to that host name.")
        return hosts[0].lower()

    def _exchange(self, scope: Scope) -> bool:
        """Whether this is the address printed at start: its token becomes a cookie and leaves the address."""
        if scope["method"] != "GET" or scope["path"] != "/" or not scope.get("query_string"):
            return False
        try:
            given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("token", [])
        except ValueError:  # more fields than that: not the address we printed
            return False
        return len(given) == 1 and _same(given[0], self.gate.token)

    def _check(self, scope: Scope, headers: dict[bytes, list[str]]) -> None:
        origins = headers.get(b"origin", [])
        if len(origins) > 1 or (origins and origins[0] not in self.gate.origins):
            raise Refusal(403, "foreign_origin", "Requests from another page are not taken.")
        socket = scope["type"] == "websocket"
        safe = not socket and scope["method"] in _SAFE
        self._check_fetch(scope, headers, safe=safe)
        by_cookie = self._has_cookie(headers)
        if not by_cookie and not self._has_bearer(headers):
            raise Refusal(
                403, "no_token", "Open the address the terminal printed, or send its token as a bearer."
            )
        if by_cookie and not safe and not origins:
            # Browsers always name the origin here: what does not is not the page.
            raise Refusal(403, "no_origin", "A request by cookie must name its origin.")
        if not socket and not safe:
            if headers.get(b"x-depthscope") != ["1"]:
                raise Refusal(403, "no_header", "A request that changes state must carry X-Depthscope: 1.")
            kinds = headers.get(b"content-type", [])
            if len(kinds) != 1 or kinds[0].split(";")[0].strip().lower() != "application/json":
                raise Refusal(415, "not_json", "A request that changes state must be application/json.")

    def _check_fetch(self, scope: Scope, headers: dict[bytes, list[str]], *, safe: bool) -> None:
        """Fetch metadata: a page of another port on this machine shares our cookies, not our origin."""
        for site in headers.get(b"sec-fetch-site", []):
            if site in ("same-origin", "none"):
                continue
            opening = safe and scope["path"] == "/" and headers.get(b"sec-fetch-mode") == ["navigate"]
            if not opening:
                raise Refusal(403, "foreign_site", "Requests from another page are not taken.")

    def _has_cookie(self, headers: dict[bytes, list[str]]) -> bool:
        found = [
            value
            for line in headers.get(b"cookie", [])
            for name, _, value in (part.strip().partition("=") for part in line.split(";"))
            if name == self.gate.cookie_name
        ]
        return len(found) == 1 and _same(found[0], self.gate.cookie)

    def _has_bearer(self, headers: dict[bytes, list[str]]) -> bool:
        lines = headers.get(b"authorization", [])
        scheme, _, given = lines[0].partition(" ") if len(lines) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and _same(given.strip(), self.gate.token)

    # -- answers ------------------------------------------------------------------------------

    def _cookie(self) -> bytes:
        secure = "; Secure" if self.gate.secure else ""
        return (
            f"{self.gate.cookie_name}={self.gate.cookie}; Path=/; HttpOnly; SameSite=Strict{secure}".encode()
        )

    def _response_headers(self, host: str) -> list[tuple[bytes, bytes]]:
        scheme = "wss" if self.gate.secure else "ws"
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"connect-src 'self' {scheme}://{host}; worker-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        return [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def _send(
        self, send: Send, host: str, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
    ) -> None:
        head = [
            *headers,
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *self._response_headers(host),
        ]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008, "reason": refusal.code}
            )  # before accept: HTTP 403
            return
        program = scope["path"].startswith("/api/") or scope["path"] == "/metrics"
        page = scope["method"] in _SAFE and not program and refusal.code == "no_token"
        kind = b"text/html; charset=utf-8" if page else b"application/json"
        answer = {"error": {"code": refusal.code, "message": refusal.message}}
        body = (_PAGE if page else json.dumps(answer)).encode()
        await self._send(send, "127.0.0.1", refusal.status, body, [(b"content-type", kind)])


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _headers(scope: Scope) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))
    return found


async def _body(receive: Receive) -> bytes:
    """Body of a request.

    Raises
    ------
    Refusal
        When it is longer than MAX_BODY, whatever was announced, or breaks off.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "broken_off", "The request broke off.")
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            raise Refusal(413, "too_large", f"A request body may have at most {MAX_BODY} bytes.")
        if not message.get("more_body"):
            return body


def _replayed(body: bytes) -> Receive:
    """Give the application a body already read."""
    waiting = [body]

    async def receive() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    return receive
