"""Real sockets for the Binance feed: WebSocket by `websockets`, REST by `httpx`.

Only the two addresses it is given are contacted: proxies of the environment are not used and redirects
are not followed. Public data needs no key, and none is sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from depthscope.venues.binance_decoder import MOST_BYTES
from depthscope.venues.binance_feed import Lost, Reply

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = ["NetworkTransport"]

CONNECT_SECONDS: Final = 10.0
REPLY_SECONDS: Final = 15.0
PING_SECONDS: Final = 20.0  # a connection that is dead without a word is noticed by our own pings
MOST_WAITING: Final = 256  # messages read ahead; beyond it the socket is left to fill up


class _Connect(connect):
    """A connect that follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Give the refusal back, wherever it points."""
        return exc


class _Connection:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as error:
            raise Lost(_why(error)) from error

    async def send(self, payload: bytes) -> None:
        try:
            await self._socket.send(payload, text=True)
        except ConnectionClosed as error:
            raise Lost(_why(error)) from error

    async def close(self) -> None:
        await self._socket.close()


def _why(error: ConnectionClosed) -> str:
    frame = error.rcvd or error.sent
    if frame is None:
        return "connection broken"
    return f"closed with {frame.code} {frame.reason}".rstrip()


class NetworkTransport:
    """The venue at two addresses (see `binance_feed.Transport`).

    Parameters
    ----------
    rest_url, ws_url : str
        Without a path, such as ``https://fapi.binance.com`` and ``wss://fstream.binance.com``.
    """

    def __init__(self, rest_url: str, ws_url: str) -> None:
        self._ws_url = ws_url.rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=rest_url.rstrip("/"),
            timeout=httpx.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    async def connect(self, target: str) -> _Connection:
        """Open a WebSocket connection."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await _Connect(
                    self._ws_url + target, proxy=None, max_size=MOST_BYTES, max_queue=MOST_WAITING,
                    ping_interval=PING_SECONDS, ping_timeout=PING_SECONDS, close_timeout=1, compression=None,
                )  # fmt: skip
        except (OSError, WebSocketException, TimeoutError, EOFError) as error:
            raise Lost(f"{type(error).__name__}: {error}"[:200]) from error
        return _Connection(socket)

    async def get(self, target: str) -> Reply:
        """Fetch a path and query; a body beyond 4 MiB is given up."""
        try:
            async with asyncio.timeout(REPLY_SECONDS), self._client.stream("GET", target) as reply:
                body = bytearray()
                async for piece in reply.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise Lost("a reply longer than 4 MiB")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Lost(f"{type(error).__name__}: {error}"[:200]) from error
        return Reply(reply.status_code, {k.lower(): v for k, v in reply.headers.items()}, bytes(body))

    async def close(self) -> None:
        """Let go of the REST connections."""
        await self._client.aclose()
