"""One page's queue, the worker thread, and the hub's answers to trouble."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from base64 import b64encode
from contextlib import closing

import pytest

from depthscope.web import app
from depthscope.web.app import Address
from depthscope.web.client import MAX_BEHIND, Client
from depthscope.web.encoder import Frame
from depthscope.web.hub import Hub
from depthscope.web.worker import Worker
from tests.web.clients import api, cookie_of, page, wait_open
from tests.web.conftest import make_session, serving

pytestmark = pytest.mark.anyio


async def drained(client: Client) -> list[str | bytes]:
    out: list[str | bytes] = []
    while True:
        try:
            item = await asyncio.wait_for(client.next_item(), 0.01)
        except TimeoutError:
            return out
        if item is None:
            return out
        out.append(item)


async def test_an_open_column_is_replaced_by_a_newer_one_and_nothing_else_is() -> None:
    client = Client(0, 0.0)
    client.push([Frame(True, b"closed 1"), Frame(False, b"open 2")], 1, 0.0)
    client.push([Frame(False, b"open 2 again")], 2, 0.0)
    client.control('"hello"')
    client.push([Frame(False, b"open 3")], 3, 0.0)
    client.push([Frame(True, b"closed 3"), Frame(False, b"open 4")], 4, 0.0)
    client.latest("info", "old")
    client.latest("info", "new")
    assert await drained(client) == [b"closed 1", b"open 2 again", '"hello"', b"closed 3", b"open 4", "new"]


async def test_a_page_too_far_behind_is_paused_then_caught_up() -> None:
    client = Client(100, 0.0)
    for k in range(MAX_BEHIND):
        client.push([Frame(True, b"%d" % k)], 101 + k, 0.0)
    assert not client.stalled
    client.control("important")
    client.push([Frame(True, b"x")], 101 + MAX_BEHIND, 0.0)
    assert client.stalled
    assert await drained(client) == ["important"], "frames are dropped, messages are not"
    assert client.dropped == 1
    assert client.ack(10**6, 200) is True, "the acknowledgement says: catch me up"
    assert client.acked == 200, "nobody acknowledges what was not sent"
    generation = client.begin_fill()
    assert client.ack(150, 200) is False, "one fill at a time"
    client.push([Frame(True, b"before")], 201, 0.0)
    client.push([Frame(True, b"after")], 202, 0.0)
    client.end_fill([b"fill 1", b"fill 2"], 201, 0.0)
    assert generation == client.generation
    assert await drained(client) == [b"fill 1", b"fill 2", b"after"]


async def test_silence_is_noticed_only_while_something_was_sent() -> None:
    client = Client(0, 0.0)
    assert not client.silent(1e6)
    client.push([Frame(True, b"x")], 1, 1000.0)
    assert not client.silent(1119.0)
    assert client.silent(1121.0)
    client.ack(1, 1)
    assert not client.silent(1e6)


async def test_messages_that_pile_up_close_the_page() -> None:
    client = Client(0, 0.0)
    for k in range(200):
        client.control(str(k))
    assert client.closing is not None
    assert client.closing[0] == 4408
    assert await client.next_item() is None


async def test_a_burst_of_commands_is_fine_and_a_flood_is_not() -> None:
    client = Client(0, 0.0)
    assert all(client.allow(0.0) for _ in range(80))
    assert not client.allow(0.0)
    assert client.allow(10.0)


async def test_the_worker_keeps_order_returns_and_raises() -> None:
    worker, seen = Worker("test"), []

    def note(k: int) -> int:
        time.sleep(0.001)
        seen.append(k)
        return k

    assert await asyncio.gather(*(worker.call(note, k) for k in range(20))) == list(range(20))
    assert seen == list(range(20))
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 / 0)
    given_up = asyncio.create_task(worker.call(time.sleep, 0.05))
    await asyncio.sleep(0.01)
    given_up.cancel()
    assert await worker.call(note, 99) == 99
    assert await asyncio.to_thread(worker.stop, 2.0)


def test_a_worker_outlives_its_loop_without_noise() -> None:
    worker, go = Worker("test"), threading.Event()

    async def ask() -> None:
        task = asyncio.create_task(worker.call(go.wait))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(ask())
    go.set()
    assert worker.stop(2.0)
    stuck = Worker("stuck")
    forever = threading.Event()
    stuck.post(forever.wait)
    assert not stuck.stop(0.05), "it is waited for no longer than said"
    forever.set()


async def test_a_market_that_breaks_is_shown_and_the_server_stays(caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody foresaw: the pages are told, the log has the traceback, HTTP still answers."""
    session = make_session()
    with serving(session) as address:
        wait_open(address)
        async with page(address) as p:
            await p.until("hello")
            await p.subscribed()
            session.player.cursor.take = None  # type: ignore[assignment, method-assign]
            hello = await p.until("hello", state="failed")
            assert "The market stopped: TypeError" in hello["error"]
            assert (await p.until("session"))["state"] == "failed"
        with api(address) as client:
            assert client.get("/api/v1/health").json()["status"] == "failed"
    assert "the market stopped" in caplog.text


async def test_a_page_that_neither_reads_nor_speaks_loses_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stopped browser: its socket is full, so nothing can be told it, and its place goes to another."""
    listen = app._listen

    def narrow(host: str, port: int) -> socket.socket:
        sock = listen(host, port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections have it from here
        return sock

    monkeypatch.setattr(app, "_listen", narrow)
    monkeypatch.setattr("depthscope.web.hub.MAX_CLIENTS", 1)
    monkeypatch.setattr("depthscope.web.client.SILENT_SECONDS", 1.0)
    with serving(make_session(history=60.0)) as address:
        wait_open(address)
        with closing(knock(address)) as sock, api(address) as client:
            sock.sendall(masked(json.dumps({"cmd": "sub", "symbol": 0, "cols": 3600})))
            await asyncio.sleep(0.5)
            assert client.get("/api/v1/health").json()["clients"] == 1
            deadline = time.monotonic() + 20
            while client.get("/api/v1/health").json()["clients"]:
                assert time.monotonic() < deadline, "its place is not given up"
                await asyncio.sleep(0.1)
            async with page(address) as other:
                await other.until("hello")
                await other.subscribed()
            await asyncio.sleep(3.0)
            assert len(all_of(sock)) < 100_000, "what the page had not read was still kept for it"
    assert "Traceback" not in caplog.text


def knock(address: Address) -> socket.socket:
    """A page's stream as a bare socket that reads nothing by itself and takes in little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", address.port))
    key = b64encode(b"0123456789abcdef").decode()
    sock.sendall(
        (
            f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nCookie: {cookie_of(address)}\r\n"
            f"Origin: {address.url.rstrip('/')}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    return sock


def all_of(sock: socket.socket) -> bytes:
    """Everything that comes until the connection ends."""
    sock.settimeout(10)
    found = b""
    try:
        while part := sock.recv(65536):
            found += part
    except ConnectionError:
        return found  # that ends it as well
    return found


async def test_pages_that_never_read_cost_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Five sockets ask for fill after fill and never read a byte; a page beside them sees 20 a second."""
    with serving(make_session()) as address:
        wait_open(address)
        sockets = [knock(address) for _ in range(5)]
        try:
            async with page(address) as p:
                await p.until("hello")
                await p.subscribed()
                began, count = time.monotonic(), len(p.frames)
                with api(address) as client:
                    for _ in range(3):
                        for sock in sockets:
                            sock.sendall(masked(json.dumps({"cmd": "sub", "symbol": 0, "cols": 3600})))
                        await p.read_for(0.5)
                    health = client.get("/api/v1/health").json()
                    while not health["droppedTicks"]:
                        assert time.monotonic() < began + 60
                        await p.read_for(1.0)
                        health = client.get("/api/v1/health").json()
                rate = (len(p.frames) - count) / (time.monotonic() - began)
                assert 5 <= rate <= 25
                assert health["clients"] == 6
                assert health["longestTickMs"] < 2000
        finally:
            for sock in sockets:
                sock.close()
    assert "Traceback" not in caplog.text


def masked(text: str) -> bytes:
    """A client's text frame."""
    data = text.encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data


async def test_an_unwatched_symbol_is_recorded_from_when_it_is_asked_for() -> None:
    hub = Hub(make_session())
    try:
        await hub.call(hub.session.open)
        recorder = hub.recorder
        assert set(recorder.tracks) == {0, 1}, "the first few are recorded before anyone looks"
        del recorder.tracks[1]
        hub.session.step(0.0)
        hub.session.step(5.0, 10.0)
        filled = hub._encode_fill((1, 0), (1,), 2048, None)
        assert filled is not None
        assert len(filled[0]) == 1
        level = recorder.tracks[1].history.levels[0]
        assert level.head == level.tail
    finally:
        await hub.stop()
