"""The synthetic market: the same bytes however it is read, an exchange's rules, a market's figures."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest

from depthscope.errors import ConfigError, UnknownInstrument, UnknownName
from depthscope.market.events import EVENT, LAST, SNAPSHOT, STATUS, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.source import Source, SourceOptions
from depthscope.runtime.sources import open_source
from depthscope.venues import synthetic as syn
from tests.venues.synthetic_exchange import SECOND, RuleBroken, records, replay

# Where a market is replayed slowly, little of it is ours: other tests of this module cover the generator.
slow_replay = pytest.mark.untraced

# One worker makes the market they share.
pytestmark = pytest.mark.xdist_group("synthetic")

PINNED = "ff94df8e11d1d8a6f76fac0bb61a53a57e5073da121f3a1ceb836bb213685a20"
SHORT = "seed=5,minutes=2,symbols=2,inject=4"


def events_of(spec: str, chunk: int = 16_384) -> Any:
    source = syn.open_spec(spec, SourceOptions(chunk=chunk))
    return np.concatenate([events.copy() for events in source.chunks()])


def digest(spec: str, chunk: int = 16_384) -> str:
    source = syn.open_spec(spec, SourceOptions(chunk=chunk))
    sha = hashlib.sha256()
    for events in source.chunks():
        sha.update(events.tobytes())
    sha.update(repr(source.truth()).encode())
    return sha.hexdigest()


# ── the same bytes ────────────────────────────────────────────────────────────────────


def test_bytes_are_pinned() -> None:
    """A seed means one market, on every platform and in every later version."""
    assert digest("seed=7,minutes=5,symbols=3,inject=4") == PINNED


@pytest.mark.parametrize("chunk", [7, 4_096, 65_536])
def test_chunk_size_does_not_change_a_byte(chunk: int) -> None:
    assert digest(SHORT, chunk) == digest(SHORT)


def test_chunks_of_one_event() -> None:
    spec = "seed=5,minutes=1,symbols=2,events=9000"
    assert digest(spec, 1) == digest(spec)


def test_another_process_with_another_hash_seed() -> None:
    code = (
        "import hashlib; from depthscope.venues import synthetic as s; x = s.open_spec('" + SHORT + "');"
        "h = hashlib.sha256(); [h.update(c.tobytes()) for c in x.chunks()];"
        "h.update(repr(x.truth()).encode()); print(h.hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "4711"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == digest(SHORT)


def test_another_seed_is_another_market() -> None:
    assert digest(SHORT) != digest(SHORT.replace("seed=5", "seed=6"))


def test_reading_again_starts_over() -> None:
    source = syn.open_spec("seed=5,minutes=10,symbols=1")
    first = [events.tobytes() for events in islice(source.chunks(), 2)]
    again = [events.tobytes() for events in islice(source.chunks(), 2)]
    assert first == again
    assert source.info.records == 2 * SourceOptions().chunk


def test_an_instrument_does_not_depend_on_the_others() -> None:
    alone = events_of("seed=9,minutes=2,symbols=1,inject=4")
    among = events_of("seed=9,minutes=2,symbols=3,inject=4")
    assert len(among) > len(alone) > 10_000
    assert np.array_equal(alone, among[among["instrument_id"] == 1])
    few = events_of("seed=9,minutes=1,preset=universe,symbols=5")
    many = events_of("seed=9,minutes=1,preset=universe,symbols=60")
    assert np.array_equal(few, many[many["instrument_id"] <= 5])


def test_length_only_cuts_the_end() -> None:
    long, short = events_of("seed=3,minutes=2,symbols=2"), events_of("seed=3,minutes=1,symbols=2")
    assert np.array_equal(long[: len(short) - 50], short[:-50])


@pytest.mark.parametrize("chunk", [1_000, 16_384])
def test_events_stop_after_a_whole_group(chunk: int) -> None:
    whole = events_of("seed=3,minutes=1,symbols=2")
    for n in (30_000, 30_001, 30_002, 30_003):
        cut = events_of(f"seed=3,minutes=1,symbols=2,events={n}", chunk)
        assert n <= len(cut) < n + 400
        assert cut["flags"][-1] & LAST
        assert np.array_equal(cut, whole[: len(cut)])


def test_chunks_stay_valid_until_three_more() -> None:
    source = syn.open_spec("seed=3,minutes=1,symbols=1", SourceOptions(chunk=1_000))
    kept: list[tuple[Any, bytes]] = []
    for events in islice(source.chunks(), 20):
        kept.append((events, events.tobytes()))
        assert all(array.tobytes() == was for array, was in kept[-4:])


# ── an exchange's rules ───────────────────────────────────────────────────────────────


@slow_replay
@pytest.mark.parametrize(
    "spec",
    [
        "seed=1,minutes=3,symbols=3,inject=8",
        "seed=2,minutes=4,symbols=3,inject=8,halts=1,rate=0.5",
        "seed=3,minutes=2,symbols=1,inject=0",
        "seed=4,minutes=1,preset=busy,symbols=2,rate=2",
        "seed=5,minutes=4,preset=universe,symbols=12,inject=20",
    ],
)
def test_every_group_keeps_the_rules(spec: str) -> None:
    source = syn.open_spec(spec)
    events = events_of(spec)
    assert (np.diff(events["ts_recv"]) >= 0).all()
    for (_, number), instrument in source.instruments.items():
        mine = events[events["instrument_id"] == number]
        tape = replay(mine, instrument.tick, source.spec.start_ns)
        assert tape.book.groups > 100
        end = source.spec.start_ns + int(source.spec.minutes or 0) * 60 * SECOND
        assert tape.book.recv < end + SECOND


def test_halts_are_silent() -> None:
    spec = "seed=2,minutes=15,symbols=1,inject=2,halts=1,rate=0.3"
    source = syn.open_spec(spec)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    status = np.flatnonzero(events["action"] == STATUS)
    assert len(status) >= 2
    assert events["aux"][status].tolist()[:2] == [1, 0]
    assert status[1] == status[0] + 1
    assert events["ts_recv"][status[1]] - events["ts_recv"][status[0]] >= 4.9 * SECOND
    told = [t for t in source.truth() if t.kind == "halt" and t.outcome == "done"]
    assert [(t.ts_start, t.ts_end) for t in told] == [
        (events["ts_recv"][a], events["ts_recv"][b]) for a, b in zip(status[::2], status[1::2], strict=False)
    ]


@slow_replay
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (
            "an order twice",
            lambda e: e.__setitem__("order_id", np.where(e["action"] == 65, 77, e["order_id"])),
        ),
        ("an order nobody knows", lambda e: e["order_id"].__iadd__((e["action"] == 67).astype("u8"))),
        ("more than rests", lambda e: e["size"].__iadd__((e["action"] == 67).astype("i8"))),
        ("a volume that is not the fills'", lambda e: e["size"].__iadd__((e["action"] == 84).astype("i8"))),
        ("a receive time that stands", lambda e: e.__setitem__("ts_recv", e["ts_recv"][0])),
        ("a sequence that stands", lambda e: e.__setitem__("sequence", 1)),
        ("a price between ticks", lambda e: e["price"].__iadd__((e["action"] == 77).astype("i8"))),
        ("a group without end", lambda e: e["flags"].__iand__(127)),
        ("a second snapshot", lambda e: e["flags"].__ior__(32)),
        ("a crossed book", lambda e: e["price"].__iadd__(np.where(e["side"] == 66, 40 * 250_000_000, 0))),
        ("an aggressor with an id", lambda e: e["order_id"].__iadd__((e["action"] == 84).astype("u8"))),
    ],
)
def test_the_exchange_objects_to(name: str, spoil: Any) -> None:
    spec = "seed=1,minutes=1,symbols=1,events=30000"
    events, start = events_of(spec), syn.open_spec(spec).spec.start_ns
    replay(events, 250_000_000, start)
    spoil(events)
    with pytest.raises(RuleBroken):
        replay(events, 250_000_000, start)


def test_opening_snapshot() -> None:
    events = events_of("seed=1,minutes=1,symbols=2")
    for number in (1, 2):
        mine = events[events["instrument_id"] == number]
        n = int(np.flatnonzero(mine["flags"] & LAST)[0]) + 1
        assert n > 1_000
        assert bytes(mine["action"][:n]) == b"R" + b"A" * (n - 1)
        assert (mine["flags"][: n - 1] == SNAPSHOT | 8).all()
        assert (mine["ts_recv"][:n] == syn.open_spec("").spec.start_ns).all()


# ── a market's figures ────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def hour() -> dict[str, Any]:
    """Figures of three instruments over forty minutes, once a second."""
    found: dict[str, Any] = {}
    spec = "seed=13,minutes=40,symbols=3"
    source = syn.open_spec(spec)
    events = events_of(spec)
    for (_, number), instrument in source.instruments.items():
        mine = events[(events["instrument_id"] == number) & ((events["flags"] & SNAPSHOT) == 0)]
        second = (mine["ts_recv"] - source.spec.start_ns) // SECOND
        trades = mine[mine["action"] == TRADE]
        found[instrument.symbol] = {
            "rate": np.bincount(second),
            "actions": {chr(a): float((mine["action"] == a).mean()) for a in np.unique(mine["action"])},
            "trades": trades,
            "trade_second": second[mine["action"] == TRADE],
            "tick": instrument.tick,
        }
    return found


@cache
def books() -> dict[str, Any]:
    """Best prices and top levels of three instruments, once a second for six minutes."""
    spec = "seed=13,minutes=6,symbols=3"
    source = syn.open_spec(spec)
    events = events_of(spec)
    found = {}
    for (_, number), instrument in source.instruments.items():
        mine = events[events["instrument_id"] == number]
        found[instrument.symbol] = replay(mine, instrument.tick, source.spec.start_ns).seconds
    return found


@pytest.mark.parametrize("symbol", ["SYNES", "SYNBTC", "SYN3"])
def test_rate_is_that_of_a_lively_market(hour: dict[str, Any], symbol: str) -> None:
    rate = hour[symbol]["rate"]
    assert 100 <= np.median(rate) <= 700
    assert 700 <= rate.max() <= 4_000
    # clustered: far more variable than a Poisson stream of the same rate
    assert rate.var() > 5 * rate.mean()


@pytest.mark.parametrize("symbol", ["SYNES", "SYNBTC", "SYN3"])
def test_actions_are_mixed_as_on_an_exchange(hour: dict[str, Any], symbol: str) -> None:
    share = hour[symbol]["actions"]
    removed_unfilled = share["C"] - share["F"]
    assert 0.6 <= removed_unfilled / share["A"] <= 1.0
    assert 0.02 <= share["M"] <= 0.15
    assert 0.03 <= share["T"] <= 0.15
    assert share["F"] >= share["T"]


@slow_replay
@pytest.mark.parametrize("symbol", ["SYNES", "SYNBTC", "SYN3"])
def test_spread_is_mostly_one_tick(symbol: str) -> None:
    spreads = np.array([spread for *_, spread in books()[symbol]])
    assert (spreads == 1).mean() >= 0.55
    assert (spreads <= 3).mean() >= 0.93
    assert (spreads > 1).mean() >= 0.02


@pytest.mark.parametrize("symbol", ["SYNES", "SYNBTC", "SYN3"])
def test_returns_cannot_be_foretold_from_the_last_one(hour: dict[str, Any], symbol: str) -> None:
    trades = hour[symbol]["trades"]
    price = np.full(len(hour[symbol]["rate"]), np.nan)
    price[hour[symbol]["trade_second"]] = trades["price"] / hour[symbol]["tick"]
    known = np.maximum.accumulate(np.where(np.isnan(price), 0, np.arange(len(price))))
    price = price[known][~np.isnan(price[known])]
    for step in (5, 10):
        moves = np.diff(price[::step])
        assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.25
        assert moves.std() > 0.5
    moves = np.diff(price)
    assert ((moves - moves.mean()) ** 4).mean() > 3.5 * moves.var() ** 2  # fat tails
    sizes = np.abs(np.diff(price[::10]))
    assert np.corrcoef(sizes[1:], sizes[:-1])[0, 1] > 0  # volatility clusters


def test_sizes_are_small_and_round(hour: dict[str, Any]) -> None:
    events = events_of("seed=13,minutes=1,symbols=3")
    adds = events[(events["action"] == ord("A")) & ((events["flags"] & SNAPSHOT) == 0)]
    future = adds["size"][adds["instrument_id"] == 1]
    share = adds["size"][adds["instrument_id"] == 3]
    assert 0.25 <= (future == 1).mean() <= 0.6
    assert np.median(future) <= 5
    assert (share == 100).mean() >= 0.2


@slow_replay
def test_round_prices_attract() -> None:
    spec = "seed=13,minutes=1,symbols=1,inject=0"
    tape = replay(events_of(spec), 250_000_000, syn.open_spec(spec).spec.start_ns)
    by_round: dict[bool, list[int]] = {True: [], False: []}
    for side in "BA":
        for price, size in tape.book.ladder(side, 120)[5:]:
            by_round[price % (20 * 250_000_000) == 0].append(size)
    assert np.mean(by_round[True]) > 1.3 * np.mean(by_round[False])


def test_busy_makes_ten_million_events_a_session() -> None:
    minutes = 40
    events = events_of(f"seed=2,minutes={minutes},preset=busy")
    assert 6e6 <= len(events) * 390 / minutes <= 16e6


# ── a source ──────────────────────────────────────────────────────────────────────────


def test_it_is_a_source() -> None:
    source = open_source("synthetic:seed=7,minutes=1,symbols=2")
    assert isinstance(source, Source)
    assert source.info.format == "synthetic"
    future, perpetual = source.resolve(0, 1), source.resolve(0, 2)
    assert (future.symbol, future.tick, future.lot) == ("SYNES", 250_000_000, 10**9)
    assert (perpetual.symbol, perpetual.tick, perpetual.lot) == ("SYNBTC", 100_000_000, 1_000_000)
    assert Capability.MBO | Capability.AGGRESSOR in future.capabilities
    assert future.multiplier == 50
    with pytest.raises(UnknownInstrument):
        source.resolve(0, 3)
    chunk = next(source.chunks())
    assert chunk.dtype == EVENT
    assert source.info.records == len(chunk)


def test_two_thousand_symbols_differ_by_name_and_price() -> None:
    source = syn.open_spec("preset=universe")
    names = {x.symbol for x in source.instruments.values()}
    assert len(names) == len(source.instruments) == 2_000
    assert "SYN2000" in names


def test_endless_market_in_bounded_memory() -> None:
    source = syn.open_spec("minutes=inf,symbols=1,inject=5", SourceOptions(chunk=65_536))
    chunks = source.chunks()
    for _ in islice(chunks, 3):
        pass
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in islice(chunks, 60):
            pass
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert source.info.records == 63 * 65_536
    assert grown < 4_000_000


def test_truth_is_known_no_earlier_than_it_ended() -> None:
    source = syn.open_spec("seed=7,minutes=5,symbols=2,inject=4", SourceOptions(chunk=5_000))
    before: list[Any] = []
    for events in source.chunks():
        now = source.truth()
        assert all(t.ts_end <= events["ts_recv"][-1] for t in now)
        assert now[: len(before)] == before
        before = now
    everything = source.truth()
    assert len(everything) > len(before)
    assert {t.outcome for t in everything if t not in before} == {"open"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sed=7", "seed"),
        ("seed=x", "number"),
        ("seed=1.5", "whole"),
        ("seed=1,seed=2", "twice"),
        ("preset=demos", "demo, busy, universe"),
        ("symbols=0", "symbols"),
        ("symbols=65", "64"),
        ("minutes=0", "minutes"),
        ("minutes=-1", "minutes"),
        ("minutes=nan", "finite"),
        ("events=0", "events"),
        ("rate=0", "rate"),
        ("inject=-1", "inject"),
        ("halts=yes", "halts"),
        ("start=yesterday", "ISO 8601"),
        ("start=1234-01-01", "1970"),
    ],
)
def test_bad_specifications_say_why(spec: str, message: str) -> None:
    with pytest.raises((ConfigError, UnknownName), match=message):
        syn.open_spec(spec)


def test_specifications_read_back() -> None:
    spec = syn.parse_spec("synthetic:universe, symbols=4, minutes=2.5, seed=-3, inject=0.5, halts=1,events=9")
    assert spec.preset == "universe"
    assert (spec.symbols, spec.minutes, spec.seed, spec.events) == (4, Decimal("2.5"), -3, 9)
    assert syn.parse_spec(str(spec)) == spec
    endless = syn.parse_spec("minutes=inf,start=2025-06-01T12:00:00+02:00,rate=2")
    assert endless.minutes is None
    assert endless.start_ns == 1_748_772_000 * SECOND
    assert syn.parse_spec(str(endless)) == endless


def test_options_of_the_source() -> None:
    source = syn.open_spec("seed=1", SourceOptions(extra={"seed": "9", "symbols": "1"}))
    assert (source.spec.seed, source.spec.symbols) == (9, 1)
    with pytest.raises(ConfigError, match="--tick"):
        syn.open_spec("seed=1", SourceOptions(tick=5))
    with pytest.raises(UnknownName, match="NOSUCH"):
        syn.open_spec("seed=1", SourceOptions(symbols=frozenset({"NOSUCH"})))
    syn.open_spec("seed=1", SourceOptions(symbols=frozenset({"SYNES"})))


def test_records_helper_reads_events() -> None:
    first = next(records(events_of("seed=1,minutes=1,symbols=1,events=10")))
    assert first[6] == "R"
