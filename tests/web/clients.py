"""Clients of the server: HTTP with a cookie or a bearer, and the stream."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from depthscope.web.app import Address
from tests.web.frames import decode


def cookie_of(address: Address) -> str:
    """Exchange the token for the page's cookie."""
    answer = httpx.get(address.open_url)
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"].split(";")[0]


def api(address: Address) -> httpx.Client:
    """A program that holds the token."""
    return httpx.Client(
        base_url=address.url, headers={"Authorization": f"Bearer {address.token}"}, timeout=30
    )


def wait_open(address: Address) -> None:
    """Until the session has opened."""
    with api(address) as client:
        deadline = time.monotonic() + 120
        while (body := client.get("/api/v1/health").json())["status"] == "warming":
            assert time.monotonic() < deadline, body
            time.sleep(0.05)
        assert body["status"] == "ok", body


class Page:
    """One page's connection, with everything it was sent."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.texts: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.books: list[dict[str, Any]] = []
        self.order: list[dict[str, Any]] = []
        self.seq = self.col = 0

    async def send(self, **command: Any) -> None:
        await self.ws.send(json.dumps(command))

    async def ack(self) -> None:
        await self.send(cmd="ack", seq=self.seq, col=self.col)

    async def next(self, timeout: float = 10.0) -> dict[str, Any]:
        """Next message, decoded."""
        raw = await asyncio.wait_for(self.ws.recv(), timeout)
        if isinstance(raw, str):
            message: dict[str, Any] = json.loads(raw)
            self.texts.append(message)
        else:
            message = decode(raw) | {"t": {1: "HIST", 2: "TICK", 3: "BOOK"}[raw[0]], "bytes": len(raw)}
            (self.books if raw[0] == 3 else self.frames).append(message)
            self.seq = message["seq"]
            newest = message["col"] if raw[0] != 1 else message["first"] + message["nCols"] - 1
            self.col = max(self.col, newest)
        self.order.append(message)
        return message

    async def until(self, kind: str, timeout: float = 20.0, **fields: Any) -> dict[str, Any]:
        """Read on to a message of a kind whose fields are as given."""
        deadline = time.monotonic() + timeout
        while True:
            message = await self.next(max(0.05, deadline - time.monotonic()))
            if message["t"] == kind and all(message.get(k) == v for k, v in fields.items()):
                return message

    async def subscribed(self, symbol: int = 0, res: int = 0, **more: Any) -> list[dict[str, Any]]:
        """Subscribe and read the fill."""
        await self.send(cmd="sub", symbol=symbol, res=res, **more)
        chunks = []
        while True:
            message = await self.next()
            if message["t"] == "HIST" and message["symbol"] == symbol and (message["flags"] >> 8) == res:
                chunks.append(message)
                if message["flags"] & 1:
                    return chunks

    async def read_for(self, seconds: float, acks: bool = True) -> None:
        """Take what comes for a while, acknowledging as a page does."""
        deadline, due = time.monotonic() + seconds, time.monotonic() + 0.5
        while (left := deadline - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await self.next(min(left, 0.1))
            if acks and time.monotonic() >= due:
                due += 0.5
                await self.ack()


@asynccontextmanager
async def page(address: Address, **options: Any):
    """A page's stream, opened as a browser opens it."""
    url = address.url.replace("http", "ws", 1) + "stream"
    headers = {"Cookie": cookie_of(address)}
    options = {"max_size": None, "max_queue": None, "open_timeout": 20} | options
    async with websockets.connect(
        url, additional_headers=headers, origin=address.url.rstrip("/"), **options
    ) as ws:
        yield Page(ws)
