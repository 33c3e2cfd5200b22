"""The feed on real sockets: the simulated exchange on this machine, and (asked for) the real venue."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from depthscope.market.inputs import Kind
from depthscope.runtime.clock import SystemClock
from depthscope.simulators.binance_server import serve
from depthscope.venues.binance_decoder import MOST_BYTES
from depthscope.venues.binance_feed import Feed, Lost
from depthscope.venues.binance_live import BinanceMachine
from depthscope.venues.binance_requests import LiveConfig
from depthscope.venues.binance_transport import NetworkTransport
from tests.venues.binance_world import World

pytestmark = pytest.mark.xdist_group("loopback")


def run(symbols: Iterable[str], faults: Iterable[str], seconds: float, **config: Any) -> World:
    """Live on loopback for so long."""
    clock = SystemClock()
    names = list(symbols)
    warm = World(names)  # compiles what the exchange needs, so that its time does not stand still meanwhile
    warm.exchange.advance(warm.exchange.now + 1_000_000_000)
    world = World(names, faults, start=clock.receive_time(), **config)

    async def main() -> None:
        async with serve(world.exchange) as server:
            transport = NetworkTransport(server.url, server.ws_url)
            feed = world.feed = Feed(
                world.config, world.machine, world.sink, transport, clock, random.Random(1).random
            )
            task = asyncio.create_task(feed.run())
            await asyncio.sleep(seconds)
            world.final = world.states()
            feed.stop()
            await task

    asyncio.run(main())
    return world


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, Future[World]]]:
    """All at once: what they do is wait."""
    with ThreadPoolExecutor() as pool:
        yield {
            "twenty": pool.submit(run, [f"S{k}USDT" for k in range(20)], [], 8),
            "faults": pool.submit(run, ["BTCUSDT", "ETHUSDT", "SOLUSDT"], FAULTS, 20),
            "short lives": pool.submit(
                run, ["BTCUSDT", "ETHUSDT"], ["life=6s"], 15, handover_seconds=3.0, overlap_seconds=1.0
            ),
        }


def test_twenty_symbols_on_sockets(worlds: dict[str, Future[World]]) -> None:
    world = worlds["twenty"].result()
    assert set(world.final.values()) == {"LIVE"}
    assert world.compared > 300
    world.replay()


FAULTS = [
    "drop@~2s", "disconnect:public@3s", "close=1012:market@4s", "refuse:market@3900ms+2s", "429:depth@3s+1s",
    "418:depth@6s+1s", "malformed:BTCUSDT@~1s", "slow=1s@7s+1s", "duplicate@~1s", "503:depth@8s+1s",
    "garbled@9s+500ms",
]  # fmt: skip


def test_faults_on_sockets(worlds: dict[str, Future[World]]) -> None:
    world = worlds["faults"].result()
    assert world.compared > 50
    assert world.feed.budget.peak <= 1_200
    for name in world.final:
        assert sum(state == "LIVE" for _, state, _ in world.moves(name)) >= 2
    assert world.feed.figures["connections refused"] >= 1
    world.replay()


def test_connections_with_short_lives_on_sockets(worlds: dict[str, Future[World]]) -> None:
    world = worlds["short lives"].result()
    assert set(world.final.values()) == {"LIVE"}
    assert [state for _, state, _ in world.moves("BTCUSDT")] == ["SYNCING", "LIVE"]
    assert world.feed.figures["connections made"] >= 6
    for name, trades in world.trades.items():
        assert trades == list(range(trades[0], trades[0] + len(trades))), name
    world.replay()


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main() -> None:
        transport = NetworkTransport(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        with pytest.raises(Lost):
            await transport.connect("/public/stream")
        with pytest.raises(Lost):
            await transport.get("/fapi/v1/time")
        await transport.close()

    asyncio.run(main())


def answer_with(raw: bytes) -> tuple[type[Exception] | None, str]:
    """What a connect and a get make of a server that says `raw` to everything."""
    hosts: list[str] = []

    async def main() -> tuple[type[Exception] | None, str]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            hosts.append(
                next(line for line in head.decode().split("\r\n") if line.lower().startswith("host:"))
            )
            writer.write(raw)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = NetworkTransport(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        try:
            await transport.connect("/public/stream")
        except Lost as error:
            kind: type[Exception] | None = type(error)
        else:
            kind = None
        try:
            reply = await transport.get("/fapi/v1/time")
            said = f"{reply.status} {len(reply.body)}"
        except Lost as error:
            said = str(error)
        await transport.close()
        server.close()
        return kind, said

    result = asyncio.run(main())
    assert len(set(hosts)) == 1
    return result


def test_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/elsewhere\r\nContent-Length: 0\r\n\r\n"
    assert answer_with(moved) == (Lost, "302 0")


def test_garbage_is_a_loss() -> None:
    kind, said = answer_with(b"\x00\xff nonsense \r\n\r\n")
    assert kind is Lost
    assert "Error" in said


def test_a_reply_without_end_is_given_up() -> None:
    size = MOST_BYTES + 10
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    assert answer_with(raw) == (Lost, "a reply longer than 4 MiB")


@pytest.mark.integration
def test_a_minute_of_the_real_venue() -> None:
    """Read-only: public streams and three kinds of public requests. Never run until somebody does."""
    from depthscope.config import Settings

    settings, clock, machine = Settings(), SystemClock(), BinanceMachine()
    kinds: list[Kind] = []

    async def main() -> dict[str, Any]:
        def sink(received: Any) -> None:
            kinds.append(received.kind)
            machine.step(received)
            machine.take()

        transport = NetworkTransport(settings.binance_rest_url, settings.binance_ws_url)
        feed = Feed(LiveConfig(["BTCUSDT", "ETHUSDT"]), machine, sink, transport, clock, random.random)
        task = asyncio.create_task(feed.run())
        await asyncio.sleep(60)
        found = machine.health(clock.receive_time())
        feed.stop()
        await task
        assert feed.budget.peak <= 1_200
        return found

    health = asyncio.run(main())
    for name, figures in health["symbols"].items():
        assert figures["state"] == "LIVE", (name, figures)
        assert figures["tape"] == "LIVE"
        assert figures["gaps"] == 0
    assert health["rejected"] == {}
    assert kinds.count(Kind.WS) > 500
