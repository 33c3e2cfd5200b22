"""The exchange on a real port: handshakes, pace, cuts, and hostile clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from depthscope.errors import PortInUse
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_rules import Rules
from depthscope.simulators.binance_server import Server, serve
from tests.simulators.market import SECOND, LocalBook, quiet, synthetic

DEPTH = "/public/stream?streams=btcusdt@depth@100ms"
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: x\r\nupgrade:  WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PATIENCE = 20.0  # seconds; a machine that runs other tests beside this one is slow


def on_server(
    body: Callable[[Server], Awaitable[None]], exchange: Exchange | None = None, **settings: Any
) -> None:
    """Run a coroutine against a served exchange."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), serve(exchange or quiet(600), **settings) as server:
            await body(server)

    asyncio.run(main())


async def fetch(server: Server, path: str, **query: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return await client.get(path, params=query)


def test_a_local_book_over_real_sockets() -> None:
    async def body(server: Server) -> None:
        reader = LocalBook()
        async with connect(server.ws_url + "/public/stream?streams=synbtc@depth@100ms") as link:
            buffered = [json.loads(await link.recv())["data"] for _ in range(3)]
            reader.start((await fetch(server, "/fapi/v1/depth", symbol="SYNBTC", limit=1000)).json())
            for _ in range(15):
                buffered.append(json.loads(await link.recv())["data"])
                for data in buffered:
                    assert reader.update(data) in ("applied", "old")
                buffered.clear()
            listing = server.exchange.listings["SYNBTC"]
            theirs = server.exchange.book("SYNBTC", "100ms")
            assert reader.last == theirs.last_id
            assert reader.as_lots(listing.instrument) == (theirs.bids, theirs.asks)

    on_server(body, synthetic(symbols=2, minutes=5))


def test_requests_share_a_connection() -> None:
    async def body(server: Server) -> None:
        async with httpx.AsyncClient(base_url=server.url) as client:
            first = await client.get("/fapi/v1/time")
            second = await client.get("/fapi/v1/depth", params={"symbol": "BTCUSDT", "limit": 5})
            error = await client.get("/fapi/v1/depth", params={"symbol": "NOSUCH"})
            assert len(server.links) == 1
        assert first.json()["serverTime"] == pytest.approx(server.now() / 1e6, abs=5_000)
        assert second.headers["X-MBX-USED-WEIGHT-1M"] == "3"
        assert (error.status_code, error.json()["code"]) == (400, -1121)

    on_server(body)


def test_pipelined_requests_and_a_body() -> None:
    async def body(server: Server) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(
            b"POST /sim/fault HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\ndrop:BTCUSDT"
            b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 200") == 2
        assert b'{"faults":["drop"]}' in answers

    on_server(body)


def test_a_web_page_can_make_nothing_fail() -> None:
    async def body(server: Server) -> None:
        async with httpx.AsyncClient(base_url=server.url) as client:
            headers = {"Origin": "http://example.invalid"}
            reply = await client.post("/sim/fault", content="disconnect", headers=headers)
            assert reply.status_code == 403
            assert (await client.get("/fapi/v1/ping", headers=headers)).status_code == 200

    on_server(body)


def test_time_follows_the_wall_clock() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + DEPTH) as link:
            stamps = [json.loads(await link.recv())["data"]["E"] for _ in range(11)]
            assert stamps[-1] - stamps[0] == 1_000
            assert 0 <= server.now() / 1e6 - stamps[-1] < 2_000

    on_server(body)


@pytest.mark.parametrize(("target", "status"), [("/ws/btcusdt@depth", 404), ("/stream", 404), ("/x", 404)])
def test_refused_handshakes(target: str, status: int) -> None:
    async def body(server: Server) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws_url + target)
        assert refused.value.response.status_code == status

    on_server(body)


def test_refusal_tells_how_long() -> None:
    async def body(server: Server) -> None:
        await (await connect(server.ws_url + "/public/ws")).close()
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws_url + "/public/ws")
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "300"

    on_server(body, quiet(600, rules=Rules(connects_per_5_minutes=1)))


def test_control_messages_and_pings() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + "/public/ws") as link:
            await link.send('{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":"a"}')
            assert json.loads(await link.recv()) == {"result": None, "id": "a"}
            assert json.loads(await link.recv())["e"] == "depthUpdate"
            await (await link.ping(b"mine"))

    on_server(body)


def test_the_venue_pings_and_takes_the_pong() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + "/public/ws", ping_interval=None):
            await asyncio.sleep(1.2)
            (link,) = server.exchange.connections.open.values()
            assert link.answered > link.opened
            assert link.recent

    on_server(body, quiet(600, rules=Rules(ping_every=SECOND // 5, pong_within=SECOND)))


def test_too_many_messages_close_with_1008() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + "/public/ws") as link:
            for _ in range(20):
                await link.send("{}")
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await link.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    on_server(body)


def test_a_broken_connection_has_no_closing_frame() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + DEPTH) as link:
            await link.recv()
            server.exchange.inject("disconnect", server.now())
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await link.recv()
            assert closed.value.rcvd is None

    on_server(body)


@pytest.mark.parametrize(("variant", "code"), [("huge", 1009), ("utf8", 1007)])
def test_damage_that_ends_a_careful_client_does_not_end_the_server(variant: str, code: int) -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + DEPTH, max_size=4 << 20) as link:
            await link.recv()
            server.exchange.inject(f"malformed={variant}", server.now())
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await link.recv()
            assert closed.value.sent is not None
            assert closed.value.sent.code == code
        async with connect(server.ws_url + DEPTH) as link:
            assert json.loads(await link.recv())["data"]["e"] == "depthUpdate"

    on_server(body)


def test_a_frozen_venue_answers_no_ping() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + DEPTH, ping_interval=None) as link:
            await link.recv()
            server.exchange.inject("freeze+1m", server.now())
            await asyncio.sleep(0.3)
            waiter = await link.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiter), 0.5)
            link.transport.abort()

    on_server(body)


def test_slow_and_stalled_replies() -> None:
    async def body(server: Server) -> None:
        server.exchange.inject("slow=700ms:time x1", server.now())
        server.exchange.inject("stall:ping x1", server.now())
        began = asyncio.get_running_loop().time()
        assert (await fetch(server, "/fapi/v1/time")).status_code == 200
        assert asyncio.get_running_loop().time() - began > 0.6
        async with httpx.AsyncClient(base_url=server.url, timeout=0.4) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/fapi/v1/ping")
        assert (await fetch(server, "/fapi/v1/ping")).status_code == 200

    on_server(body)


def test_a_slow_client_is_cut_and_others_are_not() -> None:
    async def body(server: Server) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1_024)
        writer.write(HANDSHAKE % DEPTH.encode())
        await reader.readuntil(b"\r\n\r\n")  # and then reads nothing more
        async with connect(server.ws_url + DEPTH, max_size=None) as quick:
            server.exchange.inject("malformed=huge x20", server.now())
            while len(server.exchange.connections.open) == 2:
                await quick.recv()
            assert len(server.exchange.connections.open) == 1
            await quick.recv()
        writer.close()

    on_server(body, most_waiting=24 << 20)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 100 + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /sim/fault HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200_000,
        b"GET /" + b"a" * 200_000,
        b"GET /public/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        HANDSHAKE % b"/public/ws" + b"\xff" * 64,
    ],
)  # fmt: skip
def test_hostile_bytes_end_their_own_connection_only(sent: bytes) -> None:
    async def body(server: Server) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(sent)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # what it had sent was not all read
            answer = await reader.read()
        assert b" 200 " not in answer.split(b"\r\n", maxsplit=1)[0]
        writer.close()
        assert (await fetch(server, "/fapi/v1/ping")).status_code == 200
        assert server.exchange.connections.open == {}

    on_server(body)


def test_a_market_too_dense_runs_late_and_blocks_nobody() -> None:
    async def body(server: Server) -> None:
        while not server.late:
            began = asyncio.get_running_loop().time()
            assert (await fetch(server, "/fapi/v1/time")).status_code == 200
            assert asyncio.get_running_loop().time() - began < 5
            await asyncio.sleep(0.1)

    on_server(body, synthetic(symbols=20, minutes=60, speed=1_000))


def test_a_handshake_in_small_pieces() -> None:
    async def body(server: Server) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        request = HANDSHAKE % b"/public/ws/btcusdt@depth@100ms"
        for n in range(len(request)):
            writer.write(request[n : n + 1])
            await writer.drain()
            await asyncio.sleep(0)
        assert b" 101 " in await reader.readline()
        await reader.readuntil(b"depthUpdate")
        writer.close()

    on_server(body)


def test_a_message_in_fragments() -> None:
    async def body(server: Server) -> None:
        async with connect(server.ws_url + "/public/ws") as link:
            await link.send(iter(['{"method":"LIST_', 'SUBSCRIPTIONS",', '"id":7}']))
            assert json.loads(await link.recv()) == {"result": [], "id": 7}

    on_server(body)


def test_a_server_that_ends_says_goodbye() -> None:
    async def main() -> None:
        async with serve(quiet(600)) as server:
            link = await connect(server.ws_url + DEPTH)
            await link.recv()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await link.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001

    asyncio.run(main())


def test_a_taken_port() -> None:
    async def body(server: Server) -> None:
        with pytest.raises(PortInUse, match="--port"):
            async with serve(quiet(), port=server.port):
                pytest.fail("it was served")

    on_server(body)
