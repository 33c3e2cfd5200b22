"""Feed and machine against the simulated exchange, in virtual time: every fault, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from depthscope.engine import Engine
from depthscope.market.events import EVENT
from depthscope.market.inputs import Input, Kind
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_rules import Rules
from depthscope.venues.binance_feed import Lost
from tests.venues.binance_world import SECOND, START, World

TWO = ["BTCUSDT", "ETHUSDT"]


def all_live(world: World) -> bool:
    return set(world.final.values()) == {"LIVE"}


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_twenty_symbols_are_the_exchanges_own_books() -> None:
    world = World([f"S{k}USDT" for k in range(20)]).run(40)
    assert all_live(world)
    assert world.compared > 4_000
    assert world.feed.budget.peak <= 1_200
    assert [move[1] for move in world.moves("S7USDT")] == ["SYNCING", "LIVE"]
    world.replay()


# What strikes BTCUSDT, for how long the world runs, and how often its book must leave LIVE.
FAULTS = {
    "drop:BTCUSDT@10s/15s": (80, 5),
    "reorder:BTCUSDT@10s/15s": (80, 5),
    "duplicate:BTCUSDT@10s/1s": (60, 0),
    "malformed:BTCUSDT@10s/5s": (60, None),
    "unknown-level:BTCUSDT@10s/1s": (60, 0),
    "lag=2s:BTCUSDT@0s+20s": (60, 0),
    "snapshot-behind:BTCUSDT@5s+20s": (60, 0),
    "crossed=5:BTCUSDT@10s+1s": (40, 0),
    "crossed=5:BTCUSDT@10s+10s": (40, None),
    "disconnect@10s/20s": (90, 4),
    "close=1001@10s/20s": (90, 4),
    "disconnect:public@10s/20s": (90, 4),
    "disconnect:market@10s/20s": (90, 0),
    "storm=500ms@10s+20s": (90, None),
    "refuse@0s+20s": (90, 0),
    "429:depth@0s+20s": (60, 0),
    "418:depth@0s+20s": (60, 0),
    "503:depth@0s+20s": (90, 0),
    "slow=5s:depth@0s+20s": (60, 0),
    "stall:depth@0s+20s": (90, 0),
    "garbled@0s+20s": (90, 0),
    "mute:BTCUSDT@50s+20s": (90, 1),
    "freeze:public@50s+20s": (100, 1),
    "freeze@50s+60s": (150, 1),
    "skew=-5s@10s": (40, 0),
    "skew=1h@10s": (40, 0),
    "skew=-1h@10s": (40, 0),
    "halt:BTCUSDT@45s+30s": (100, 0),
    "life=40s": (150, None),
    "drop-trade:BTCUSDT@10s/5s": (40, 0),
    "beyond:BTCUSDT@5s+10s": (40, 0),
}

# These run the same code as others of the table: one trace of it is enough.
ALIKE = {
    "crossed=5:BTCUSDT@10s+1s", "disconnect@10s/20s", "disconnect:public@10s/20s",
    "disconnect:market@10s/20s", "429:depth@0s+20s", "freeze:public@50s+20s", "skew=-5s@10s", "skew=-1h@10s",
    "beyond:BTCUSDT@5s+10s",
}  # fmt: skip


@pytest.mark.parametrize(
    "fault", [pytest.param(f, marks=pytest.mark.untraced if f in ALIKE else ()) for f in FAULTS]
)
def test_a_fault_never_gives_a_wrong_live_book_and_ends(fault: str) -> None:
    seconds, stales = FAULTS[fault]
    world = World(TWO, [fault]).run(seconds)
    assert all_live(world), world.notices[-10:]
    assert world.compared > 300
    states = [state for _, state, _ in world.moves("BTCUSDT")]
    if stales is not None:
        assert states.count("STALE") == stales
    if ":BTCUSDT" in fault:
        assert [state for _, state, _ in world.moves("ETHUSDT")] == ["SYNCING", "LIVE"]
    assert world.feed.budget.peak <= 1_200
    world.replay()


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("fault", FAULTS)
def test_twenty_symbols_through_every_fault(
    fault: str, record_property: Callable[[str, object], None]
) -> None:
    """The same beside eighteen more, of which none may notice what strikes one."""
    names = [*TWO, *(f"S{k}USDT" for k in range(18))]
    seconds, stales = FAULTS[fault]
    world = World(names, [fault]).run(seconds)
    assert all_live(world), world.notices[-10:]
    moves = {name: world.moves(name) for name in names}
    states = {name: [state for _, state, _ in moves[name]] for name in names}
    if stales is not None:
        assert states["BTCUSDT"].count("STALE") == stales
    if ":BTCUSDT" in fault:
        assert all(states[name] == ["SYNCING", "LIVE"] for name in names[1:])
    assert world.feed.budget.peak <= 1_200
    world.replay()
    away = [
        after - at
        for name in names
        for (at, state, _), (after, _, _) in pairwise(moves[name])
        if state == "STALE"
    ]
    gone = f"{len(away)} times STALE, for {max(away):.1f} s at most" if away else "never STALE"
    record_property("proof", f"{fault}, 20 symbols: {world.compared:,} books compared, 0 wrong; {gone}")


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_faults_together() -> None:
    faults = [
        "drop@~4s", "lag=1s@~15s+5s", "503:depth@~20s+4s", "disconnect@~25s", "malformed@~9s",
        "duplicate@~1s", "snapshot-behind@~20s+3s", "mute:BTCUSDT@~60s+12s", "slow=2s@~15s+5s",
    ]  # fmt: skip
    for seed in range(3):
        world = World([*TWO, "SOLUSDT"], faults, seed=seed).run(240)
        assert world.compared > 500
        for name in world.final:
            assert sum(state == "LIVE" for _, state, _ in world.moves(name)) > 6
        assert world.feed.budget.peak <= 1_200
        world.replay()


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_a_muted_symbol_is_noticed_within_five_seconds_and_nobody_else() -> None:
    names = [f"S{k}USDT" for k in range(6)]
    world = World(names, ["mute:S0USDT@60s+30s"]).run(120)
    (noticed,) = [
        at for at, state, reason in world.moves("S0USDT") if state == "STALE" and "silent" in reason
    ]
    last = max(i.ts_recv for i in world.inputs if i.kind is Kind.WS and b"s0usdt@depth" in i.payload[:40]
               and i.ts_recv < START + 61 * SECOND)  # fmt: skip
    assert noticed - (last - START) / 1e9 <= 5.0
    for name in names[1:]:
        assert [state for _, state, _ in world.moves(name)] == ["SYNCING", "LIVE"]


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_a_hundred_drops_keep_the_budget() -> None:
    """Every connection of 30 symbols breaks 100 times; REST weight stays at most half of what is allowed."""
    names = [f"S{k}USDT" for k in range(30)]
    quiet = "synthetic:universe,symbols=30,rate=0.1,inject=0,minutes=60"
    rules = Rules(connects_per_5_minutes=100_000)
    world = World(names, ["disconnect:public@5s/8s"], rules=rules, source=lambda: open_source(quiet))
    peaks: list[int] = []

    async def weigh(world: World) -> None:
        while True:
            await asyncio.sleep(0.25)
            report = world.exchange.limits.report().get("10.0.0.1", {"used": 0})
            peaks.append(report["used"])

    world.run(2_300, weigh)
    drops = sum(n.about == "link" and n.subject == "public-1" and "lost" in n.reason for n in world.notices)
    assert drops >= 100
    assert max(peaks) <= 1_200
    assert 600 < world.feed.budget.peak <= 1_200
    assert world.exchange.limits.report()["10.0.0.1"]["banned_until"] == 0


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_hand_overs_miss_no_event() -> None:
    """Connections live 60 s; replaced at 40 s, ten times: no gap, no snapshot, every trade once."""
    world = World(TWO, ["life=60s"], handover_seconds=40.0, overlap_seconds=5.0).run(500)
    assert [state for _, state, _ in world.moves("BTCUSDT")] == ["SYNCING", "LIVE"]
    assert world.feed.figures["connections made"] >= 22
    assert world.feed.figures["replies 2xx"] == 4  # time, instruments and one snapshot of each
    for name in TWO:
        trades = world.trades[name]
        assert trades == list(range(trades[0], trades[0] + len(trades)))
        assert len(trades) > 100
    world.replay()


def test_a_changed_tick_and_a_delisting_touch_only_their_symbol() -> None:
    world = World([*TWO, "SOLUSDT"], ["tick=0.05:BTCUSDT@10s", "delist:SOLUSDT@10s"], info_seconds=15.0).run(
        60
    )
    assert world.final["ETHUSDT"] == "LIVE"
    assert world.machine.books["BTCUSDT"].quarantined
    assert world.machine.health(START)["symbols"]["SOLUSDT"]["status"] == "CLOSED"
    world.replay()


def test_the_wall_clock_may_step() -> None:
    async def step(world: World) -> None:
        for skew in (3600, -3600, -5):
            await asyncio.sleep(10)
            world.clock.skew = skew * SECOND

    world = World(TWO).run(45, step)
    assert all_live(world)
    assert len([s for _, s, _ in world.moves("BTCUSDT")]) == 2
    assert sum(n.about == "clock" and n.state == "alarm" for n in world.notices) >= 3


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_control_messages_keep_the_venues_pace() -> None:
    names = [f"S{k}USDT" for k in range(120)]
    world = World(names).run(20)  # four connections; more than ten messages a second would cut one
    assert world.feed.figures["connections made"] == 4
    assert "connections refused" not in world.feed.figures
    assert (
        sum(state == "LIVE" for state in world.final.values()) >= 59
    )  # 20 each; the budget lets 60 in a minute
    assert world.feed.budget.peak <= 1_200


def test_no_room_stops_the_reading_and_is_counted() -> None:
    async def hold(world: World) -> None:
        await asyncio.sleep(10)
        world.feed.room.clear()
        await asyncio.sleep(1.1)  # each connection is read once more, and mark prices come every second
        world.held = len([i for i in world.inputs if i.kind is Kind.WS])  # type: ignore[attr-defined]
        await asyncio.sleep(1.5)
        world.later = len([i for i in world.inputs if i.kind is Kind.WS])  # type: ignore[attr-defined]
        world.feed.room.set()

    world: Any = World(TWO).run(30, hold)
    assert world.later <= world.held
    assert world.feed.figures["ns without room"] > 1.5e9
    assert all_live(world)
    assert [s for _, s, _ in world.moves("BTCUSDT")] == ["SYNCING", "LIVE"]


def test_what_the_sink_raises_ends_the_feed() -> None:
    world = World(TWO)
    good = world.sink

    def bad(received: Input) -> None:
        if received.kind is Kind.WS and received.ts_recv > START + 5 * SECOND:
            raise RuntimeError("disk full")
        good(received)

    world.sink = bad  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="disk full"):
        world.run(10)


def test_receive_time_never_goes_back_and_numbers_are_not_used_twice() -> None:
    world = World(TWO, ["disconnect@5s/5s"]).run(60)
    times = [i.ts_recv for i in world.inputs]
    assert times == sorted(times)
    opened = [i.connection for i in world.inputs if i.kind is Kind.LINK and b'"open"' in i.payload]
    assert len(opened) == len(set(opened)) > 6


def test_every_end_is_told() -> None:
    world = World(TWO).run(5)
    assert [i.kind for i in world.inputs[-2:]] == [Kind.LINK, Kind.LINK]
    assert all(b'"ended"' in i.payload for i in world.inputs[-2:])
    assert world.states() == dict.fromkeys(TWO, "LIVE")  # nothing was missed up to there


def test_lost_says_why() -> None:
    assert str(Lost("HTTP 503")) == "HTTP 503"


@pytest.mark.untraced  # what it calls is covered by the tests beside it
def test_the_engines_books_follow_in_state_and_content() -> None:
    """After every input the engine's book is in the machine's state; LIVE, its best prices are right."""
    faults = ["drop:BTCUSDT@5s/7s", "disconnect@20s", "mute:BTCUSDT@50s+10s", "halt:ETHUSDT@65s+5s"]
    world = World(TWO, faults, info_seconds=3.0)
    engine = Engine(lambda *key: world.machine.instruments[key], features=["mid"])
    follow, compared = world.sink, 0

    def sink(received: Input) -> None:
        nonlocal compared
        follow(received)
        events = np.frombuffer(world.said[-1], EVENT)
        if not len(events):
            return
        engine.process(events)
        for name in engine.symbols:
            book = engine.book(name)
            assert book.state == world.machine.books[name].state
            bids, asks = world.books[name]
            if book.state == "LIVE" and bids and asks and max(bids) < min(asks):
                compared += 1
                assert (book.best_bid, book.best_ask) == (max(bids) / 1e9, min(asks) / 1e9)

    world.sink = sink  # type: ignore[method-assign]
    world.run(80)
    assert compared > 3_000
