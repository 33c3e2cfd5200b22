"""The stream over real sockets: greeting, fills, ticks, session commands, slow and hostile clients."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import websockets

from depthscope.runtime.live import LiveFeed
from depthscope.runtime.live_session import LiveSession
from depthscope.runtime.session import Session
from depthscope.web.app import Address
from tests.live.venue import Venue
from tests.web.clients import Page, api, page, wait_open
from tests.web.conftest import EVENTS, make_session, serving
from tests.web.market import COLUMN, SECOND, START, TapeSource, account

pytestmark = pytest.mark.anyio


def origin_of(hello: dict) -> int:
    return int(hello["origin"])


async def test_greeting_says_everything_a_page_needs(server: Address) -> None:
    wait_open(server)
    async with page(server) as p:
        hello = await p.until("hello")
        assert (hello["v"], hello["mode"], hello["levels"], hello["chunk"], hello["hz"]) == (
            1,
            "replay",
            200,
            300,
            20,
        )
        assert [r["ms"] for r in hello["res"]] == [50, 250, 1000]
        assert [s["name"] for s in hello["symbols"]] == ["APL", "COIN"]
        coin = hello["symbols"][1]
        assert (coin["tick"], coin["lot"], coin["decimals"], coin["sizeDecimals"]) == ("0.1", "0.001", 1, 3)
        assert coin["capabilities"] == ["TRADES", "L1", "L2", "AGGRESSOR"]
        assert int(hello["span"]["start"]) == START // SECOND * SECOND
        assert hello["source"] == {"name": "tape.test", "format": "test", "schema": "l2", "dataset": "TEST"}
        assert hello["speeds"][0] == 0.1
        assert hello["speeds"][-1] == "max"
        session = await p.until("session")
        assert session["state"] in ("playing", "ended")


async def test_a_past_comes_as_one_fill_and_not_again(folder: Path) -> None:
    """Who subscribes while the minutes before are played gets them once; what follows is news."""
    waiting = threading.Event()

    class Patient(TapeSource):
        def chunks(self) -> Iterator[np.ndarray]:
            for n, chunk in enumerate(super().chunks()):
                assert n != 4 or waiting.wait(60)
                yield chunk

    with serving(Session(lambda: Patient(EVENTS), history=60.0), folder=folder) as address:
        async with page(address) as p:
            hello = await p.until("hello", timeout=120)
            while hello["origin"] is None or not hello["symbols"]:
                hello = await p.until("hello", timeout=120)
            assert hello["state"] == "warming"
            # The page may be told of symbols a moment before the minutes begin to play.
            assert hello["warm"]["stage"] in ("building the opening book", "playing the minutes before")
            await p.send(cmd="sub", symbol=0, res=0, cols=3600)
            waiting.set()
            while not p.frames or not p.frames[-1]["flags"] & 1 or p.frames[-1]["t"] != "HIST":
                await p.next()
            fill = list(p.frames)
            assert sum(f["nCols"] for f in fill) == 60 * 20 + 1, "with the column before the beginning"
            head = fill[0]["first"] + fill[0]["nCols"] - 1
            await p.read_for(1.0)
            news = p.frames[len(fill) :]
            assert news
            assert min(f["first"] if f["t"] == "HIST" else f["col"] for f in news) >= head


async def test_a_page_gets_a_fill_then_ticks_at_20_hz(server: Address) -> None:
    wait_open(server)
    with api(server) as client:
        client.post(
            "/api/v1/session", json={"cmd": "seek", "ms": START / 1e6 + 5000}, headers={"X-Depthscope": "1"}
        )
    async with page(server) as p:
        hello = await p.until("hello")
        chunks = await p.subscribed()
        head = chunks[0]["first"] + chunks[0]["nCols"] - 1
        began = time.monotonic()
        await p.read_for(3.0)
        took = time.monotonic() - began
        ticks = [f for f in p.frames if f["t"] == "TICK"]
        assert 5 <= len(ticks) / took <= 25  # 20 where the machine is not busy with other things
        cols = [f["col"] for f in ticks]
        assert cols[0] in (head, head + 1)
        held = set(cols)
        for f in (
            f for f in p.frames[len(chunks) :] if f["t"] == "HIST"
        ):  # a late tick brings several at once
            held |= set(range(f["first"], f["first"] + f["nCols"]))
        assert set(range(cols[0], cols[-1] + 1)) <= held, "no column is missing"
        assert all(f["flags"] & 1 for f in ticks), "at speed 1 every frame is a finished column"
        assert max(f["bytes"] for f in ticks) < 2000
        infos = [t for t in p.texts if t["t"] == "info"]
        assert 2 <= len(infos) <= 8
        truth = account(EVENTS, 10, START // SECOND * SECOND, START + 25 * SECOND, origin_of(hello))
        newest = {f["seq"]: f["col"] for f in ticks}
        for f in ticks:
            assert (f["bid"], f["ask"]) == (truth.bid[f["col"]], truth.ask[f["col"]])
            exact = newest[f["seq"]] == f["col"]  # the others come as the history keeps them
            resting = [truth.levels[f["col"]].get(f["base_tick"] + k, 0.0) for k in range(200)]
            assert np.allclose(f["size"], resting, rtol=1e-6 if exact else 4.3e-4, atol=0)
        assert infos[-1]["bestBid"] == str(infos[-1]["bestBid"])
        assert infos[-1]["state"] == "LIVE"
        assert infos[-1]["spreadTicks"] >= 1
        assert infos[-1]["session"]["calendar"] == "CME_Equity"


async def test_two_resolutions_and_symbols_at_once(server: Address) -> None:
    wait_open(server)
    async with page(server) as a, page(server) as b:
        await a.until("hello")
        await b.until("hello")
        await a.subscribed(1, 1)
        await b.subscribed(0, 2)
        await a.read_for(1.5)
        await b.read_for(1.5)
        assert {f["symbol"] for f in a.frames} == {1}
        assert {f["res"] for f in a.frames if f["t"] == "TICK"} == {1}
        assert {f["res"] for f in b.frames if f["t"] == "TICK"} == {2}
        open_ones = [f for f in b.frames if f["t"] == "TICK" and not f["flags"] & 1]
        assert len(open_ones) > 10, "the open column is refreshed while it fills"
        await b.subscribed(1, 0)
        await b.read_for(0.5)
        assert b.frames[-1]["symbol"] == 1


async def test_a_gap_fill_needs_the_right_epoch(server: Address) -> None:
    wait_open(server)
    async with page(server) as p:
        hello = await p.until("hello")
        chunks = await p.subscribed()
        oldest = chunks[-1]["first"]
        while p.col < oldest + 4:  # a market that has just begun has nothing older to ask for
            await p.until("TICK")
        since = p.col - 3
        chunks = await p.subscribed(since=since, epoch=hello["epoch"])
        assert chunks[-1]["flags"] & 2
        assert chunks[-1]["first"] == since
        chunks = await p.subscribed(since=since, epoch=hello["epoch"] + 1)
        assert not chunks[-1]["flags"] & 2
        assert chunks[-1]["first"] == oldest < since
        few = await p.subscribed(cols=10)
        assert sum(c["nCols"] for c in few) <= 10


async def test_commands_move_the_one_clock_of_all_pages() -> None:
    with serving(make_session(speed=1.0)) as address:
        wait_open(address)
        async with page(address) as a, page(address) as b:
            hello = await a.until("hello")
            await b.until("hello")
            await a.subscribed()
            await b.subscribed()
            await a.send(cmd="pause")
            await b.until("session", state="paused")
            await asyncio.sleep(0.3)
            await b.read_for(0.3)
            quiet = len([f for f in b.frames if f["t"] == "TICK"])
            await b.read_for(1.0)
            assert len([f for f in b.frames if f["t"] == "TICK"]) == quiet
            assert b.texts[-1]["t"] in ("session", "info", "signal", "alerts"), "the heartbeat goes on"
            await b.send(cmd="speed", x=10)
            await b.send(cmd="resume")
            assert (await a.until("session", state="playing"))["speed"] == 10
            target = START // SECOND * SECOND + 40 * SECOND
            await b.send(cmd="seek", ts=str(target))
            reset = await a.until("reset")
            assert reset["epoch"] == hello["epoch"] + 1
            fill = await a.until("HIST")
            assert not fill["flags"] & 2, "everything is new"
            newest = origin_of(hello) + (fill["first"] + fill["nCols"]) * COLUMN
            assert target <= newest <= target + 5 * SECOND
            await a.send(cmd="seek", ms=(target - 35 * SECOND) / 1e6)
            assert (await b.until("reset"))["epoch"] == hello["epoch"] + 1
            assert (await b.until("reset"))["epoch"] == hello["epoch"] + 2
            fill = await b.until("HIST")
            newest = origin_of(hello) + (fill["first"] + fill["nCols"]) * COLUMN
            assert target - 35 * SECOND <= newest <= target - 30 * SECOND
            await a.send(cmd="speed", x="max")
            ended = await a.until("session", state="ended", timeout=30)
            assert ended["speed"] == "max"
            assert ended["progress"] == 1.0
            assert abs(int(ended["ts"]) - int(EVENTS["ts_recv"][-1])) < SECOND


async def test_pages_that_stall_are_caught_up_and_slow_nobody() -> None:
    """Five of twenty stop reading for five seconds; the others see every column in time."""
    with serving(make_session()) as address:
        wait_open(address)
        with api(address) as client:
            client.post(
                "/api/v1/session",
                json={"cmd": "seek", "ts": str(START + SECOND)},
                headers={"X-Depthscope": "1"},
            )
        async with asyncio.TaskGroup() as group, asyncio.timeout(60):

            async def visit(stall: bool) -> Page:
                async with page(address) as p:
                    await p.until("hello")
                    await p.subscribed()
                    await p.read_for(1.0)
                    if stall:
                        p.ws.transport.pause_reading()
                        await asyncio.sleep(5.0)
                        p.ws.transport.resume_reading()
                        await p.read_for(3.0)
                    else:
                        await p.read_for(8.0)
                    return p

            tasks = [group.create_task(visit(k < 5)) for k in range(20)]
        with api(address) as client:
            health = client.get("/api/v1/health").json()
        results = [t.result() for t in tasks]
        origin = origin_of(results[0].texts[0])
        truth = account(EVENTS, 10, START // SECOND * SECOND, START + 30 * SECOND, origin)
        for k, p in enumerate(results):
            held: set[int] = set()
            prints: dict[int, float] = defaultdict(float)
            for f in p.frames:
                if f["t"] == "TICK":
                    held.add(f["col"])
                else:
                    span = range(f["first"], f["first"] + f["nCols"])
                    held |= set(span)
                    for col in [c for c in prints if c in span]:
                        del prints[col]
                for t in f["trades"]:
                    prints[t["col"]] += t["size"]
            assert held == set(range(min(held), max(held) + 1)), f"page {k} has a hole"
            expected: dict[int, float] = defaultdict(float)
            for col, _, _, size, _ in truth.prints:
                if min(held) < col < max(held):
                    expected[col] += size
            found = {c: v for c, v in prints.items() if min(held) < c < max(held)}
            assert found == pytest.approx(dict(expected), rel=1e-5), f"page {k} lost or repeated prints"
            assert max(held) - min(held) > 8 * 20 / 2, f"page {k} did not keep up"
            if k < 5:
                fills = [f for f in p.frames if f["t"] == "HIST" and f["flags"] & 2]
                assert fills, "a stalled page is caught up by a gap-fill"
            else:
                ticks = [f for f in p.frames if f["t"] == "TICK"]
                assert len(ticks) > 8 * 5
        assert health["longestTickMs"] < 2000, "a page that stalls for five seconds held up the market"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "not a command"),
        ("nonsense", "not a command"),
        ("[]", "not a command"),
        ('{"cmd":"buy","qty":1}', "not a command"),
        ('{"cmd":"sub"}', "not a command"),
        ('{"cmd":"sub","symbol":-1}', "not a command"),
        ('{"cmd":"sub","symbol":0,"res":3}', "not a command"),
        ('{"cmd":"sub","symbol":"0"}', "not a command"),
        ('{"cmd":"ack","seq":1.5,"col":0}', "not a command"),
        ('{"cmd":"ack","seq":99999999999,"col":0}', "not a command"),
        ('{"cmd":"speed","x":0}', "not a command"),
        ('{"cmd":"speed","x":NaN}', "not a command"),
        ('{"cmd":"seek","ts":"-5"}', "not a command"),
        ('{"cmd":"pause","extra":1}', "not a command"),
        ('{"cmd":"ping","id":' + "[" * 2000 + "]" * 2000 + "}", "not a command"),
        (b"\x01\x02", "not bytes"),
    ],
)
async def test_malformed_messages_close_with_a_reason(
    server: Address, message: str | bytes, reason: str
) -> None:
    wait_open(server)
    async with page(server) as p:
        await p.until("hello")
        await p.ws.send(message)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await p.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400
        assert reason in closed.value.rcvd.reason
    with api(server) as client:
        assert client.get("/api/v1/health").json()["status"] == "ok"


async def test_large_messages_and_floods_are_cut_off(server: Address) -> None:
    wait_open(server)
    async with page(server) as p:
        await p.until("hello")
        await p.ws.send(json.dumps({"cmd": "ping", "id": 1, "pad": "x" * 5000}))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await p.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    async with page(server) as p:
        await p.until("hello")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            for k in range(400):
                await p.send(cmd="ping", id=k)
            while True:
                await p.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4429


async def test_what_cannot_be_done_is_answered_not_punished(server: Address) -> None:
    wait_open(server)
    async with page(server) as p:
        await p.until("hello")
        await p.send(cmd="sub", symbol=7)
        assert (await p.until("error"))["code"] == "unknown_symbol"
        await p.send(cmd="seek")
        assert "names one time" in (await p.until("error", code="refused"))["message"]
        await p.send(cmd="seek", ms=1e15)
        assert "2262" in (await p.until("error", code="refused"))["message"]
        await p.send(cmd="ping", id=42)
        assert (await p.until("pong"))["id"] == 42
        await p.send(cmd="ack", seq=2**32 - 1, col=2**32 - 1)
        assert await p.subscribed()


async def test_a_live_session_cannot_be_moved() -> None:
    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings)
        with serving(LiveSession(lambda: feed)) as address:
            await refuses_to_be_moved(address)


async def refuses_to_be_moved(address: Address) -> None:
    wait_open(address)
    async with page(address) as p:
        assert (await p.until("hello"))["mode"] == "live"
        for command in ({"cmd": "pause"}, {"cmd": "speed", "x": 2}, {"cmd": "seek", "ms": 1.0}):
            await p.send(**command)
            assert "live market" in (await p.until("error", code="refused"))["message"]
        fill = await p.subscribed()
        assert not fill[0]["flags"] & 4


async def test_a_session_that_fails_says_so_on_the_page() -> None:
    with serving(make_session(EVENTS[:0])) as address, api(address) as client:
        deadline = time.monotonic() + 60
        while client.get("/api/v1/health").json()["status"] == "warming":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("/api/v1/health").json()["status"] == "failed"
        assert client.get("/api/v1/book").status_code == 409
        async with page(address) as p:
            hello = await p.until("hello")
            assert hello["state"] == "failed"
            assert "nothing" in hello["error"]
            assert hello["origin"] is None
            await p.send(cmd="seek", ms=5.0)
            assert "nothing to seek" in (await p.until("error"))["message"]
            assert (await p.until("session"))["state"] == "failed"


async def test_too_many_pages_are_turned_away(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthscope.web.hub.MAX_CLIENTS", 1)
    wait_open(server)
    async with page(server) as first:
        await first.until("hello")
        async with page(server) as second:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await second.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4429


async def test_stopping_tells_the_pages() -> None:
    with serving(make_session()) as address:
        wait_open(address)
        async with page(address) as p:
            await p.until("hello")
            address.stop()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await p.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code in (1001, 1012)


async def test_a_client_that_vanishes_is_forgotten(server: Address) -> None:
    wait_open(server)
    async with page(server) as p:
        await p.until("hello")
        await p.subscribed()
        raw = p.ws.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        p.ws.transport.abort()
    with api(server) as client:
        deadline = time.monotonic() + 5
        while client.get("/api/v1/health").json()["clients"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def test_infinite_speed_is_max_in_json() -> None:
    from depthscope.runtime.status import Status
    from depthscope.web.messages import session_message

    assert session_message(Status("replay", speed=math.inf), 0)["speed"] == "max"
