"""Every row of the fast engine = the slow engine's: samples, flow since the previous row, features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.features.registry import all_features
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import OFI_LEVELS, SAMPLE_LEVELS
from tests.engine.harness import MS, Table, close, run
from tests.reference.book import Event, Level
from tests.reference.engine import Desk, Row, SlowEngine, as_events
from tests.reference.features import SlowFeatures
from tests.strategies.streams import CAPABILITIES, L2, MBO, START, Stream, examples, seeded_stream, streams

GRIDS = ("event", 100 * MS, 1_000 * MS)
# Sums of many terms: last-digit differences are rounding. Everything else is one division.
ROUNDED = {
    "weighted_mid", "microprice", "spread_bps", "weighted_imbalance", "book_pressure",
    "depth_weighted_price", "ofi_norm",
    "slope_bid", "slope_ask", "vwap", "cvd_slope_5m", "cvd_r2_5m",
    "realised_volatility_60s", "realised_volatility_300s",
    "ofi_1s_norm", "ofi_10s_norm", "integrated_ofi_1s", "integrated_ofi_10s",
    *(f"ofi_norm_l{k + 1}_10s" for k in range(OFI_LEVELS)),
}  # fmt: skip
SLOPES = ("slope_bid", "slope_ask")
LEVELS = [f"{side}_{what}" for side in ("bid", "ask") for what in ("price", "size", "orders")]
LEVELS += ["n_bid", "n_ask"]


def flat(row: Row) -> dict[str, Any]:
    """A slow row under the names of SAMPLE, but for its levels."""
    flow, (high, low) = row.flow, row.flow.extremes
    return {
        "ts": row.ts, "ts_event": row.ts_event, "ts_recv": row.ts_recv,
        "sequence": row.sequence, "slot": row.slot,
        "state": row.state, "incomplete": row.incomplete, "action": row.action, "changed": flow.groups > 0,
        "bid_depth": row.bid_depth, "ask_depth": row.ask_depth,
        "ofi": flow.ofi, "groups": flow.groups, "high": high, "low": low,
        "buy_volume": flow.volume(1), "sell_volume": flow.volume(-1), "unknown_volume": flow.volume(0),
        "inferred_volume": flow.inferred_volume,
        "buy_trades": flow.count(1), "sell_trades": flow.count(-1), "unknown_trades": flow.count(0),
        "last_price": row.last[0], "last_size": row.last[1], **flow.near.values(),
    }  # fmt: skip


def unpack(samples: Any) -> Iterator[dict[str, Any]]:
    """SAMPLE records under the same names, but for their levels."""
    names = [name for name in samples.dtype.names if name not in (*LEVELS, "at", "twin")]
    for record in zip(*(samples[name].tolist() for name in names), strict=True):
        yield dict(zip(names, record, strict=True))


def same_levels(samples: Any, sides: Sequence[list[Level]], name: str) -> None:
    """Compare one side's levels of every record; rows between two changes share one list."""
    lists = {id(levels): levels for levels in sides}
    places = {key: k for k, key in enumerate(lists)}
    n = np.array([len(levels) for levels in lists.values()])
    there = np.arange(SAMPLE_LEVELS) < n[:, None]
    table = np.zeros((len(lists), SAMPLE_LEVELS, 3), np.int64)
    table[there] = np.array([level for levels in lists.values() for level in levels]).reshape(-1, 3)
    of = [places[id(levels)] for levels in sides]
    differ = samples[f"n_{name}"] != n[of]
    for k, what in enumerate(("price", "size", "orders")):
        differ |= ((samples[f"{name}_{what}"] != table[of, :, k]) & there[of]).any(axis=1)
    for row in np.flatnonzero(differ)[:1].tolist():
        lines = [samples[f"{name}_{what}"][row].tolist() for what in ("price", "size", "orders")]
        got = list(zip(*lines, strict=True))[: samples[f"n_{name}"][row]]
        assert got == sides[row], f"row {row} {name}"
        raise AssertionError(f"row {row} {name}")


def same_samples(samples: Any, rows: Sequence[Row]) -> None:
    """Compare SAMPLE records with the slow engine's rows."""
    assert len(samples) == len(rows)
    if not rows:
        return
    same_levels(samples, [row.bids for row in rows], "bid")
    same_levels(samples, [row.asks for row in rows], "ask")
    for k, (got, row) in enumerate(zip(unpack(samples), rows, strict=True)):
        want, notional = flat(row), float(row.flow.notional)
        assert close(got.pop("notional"), notional, 1e-12, 1e-12), f"row {k} notional"
        assert got == want, f"row {k}: {[name for name in want if got[name] != want[name]]}"


def same_rows(
    stream: Stream,
    every: int | str,
    *,
    sparse: bool = False,
    features: list[str] | None = None,
    skip: tuple[str, ...] = (),
    size: int | None = None,
) -> Table:
    """Run both engines over a stream and compare all they say."""
    fast = Engine(stream.resolve, every=every, sparse=sparse, features=features, keep_samples=True)
    table = run(fast, stream.events, size)
    slow = SlowEngine(stream.resolve, every, sparse=sparse)
    slow.feed(as_events(stream.events))
    slow.finish()
    assert len(table) == len(slow.rows)
    same_samples(table.samples, slow.rows)
    wanted = set(table.columns) - set(skip)
    makers = [SlowFeatures(d, by_event=every == "event", wanted=wanted) for d in slow.desks.values()]
    if table.columns:
        for k, row in enumerate(slow.rows):
            maker = makers[row.slot]
            same_features(table, k, maker(row), skip, slack(row, maker), farthest_price(row))
    return table


def farthest_price(row: Row) -> float:
    """Largest price of a row's levels, in units, sign apart."""
    return max((abs(price) / ev.PRICE_SCALE for price, _, _ in [*row.bids, *row.asks]), default=0.0)


def slack(row: Row, maker: SlowFeatures) -> float:
    """What double precision leaves of a slope: distances of any size, told apart by one lot."""
    if not row.bids or not row.asks:
        return 0.0
    middle = (row.bids[0][0] + row.asks[0][0]) / 2
    farthest = max(abs(price - middle) for price, _, _ in [*row.bids, *row.asks])
    return 1e-14 * farthest / maker.desk.instrument.tick / float(maker.lot)


def same_features(
    table: Table, k: int, values: dict[str, float], skip: tuple[str, ...] = (), slopes: float = 0.0,
    largest: float = 0.0,
) -> None:  # fmt: skip
    """Compare one row of feature columns."""
    names = set(table.columns) - set(skip)
    assert names <= set(values)
    for name in names:
        want = values[name]
        got = float(table.columns[name][k])
        rel, loose = 1e-15, 0.0
        if name in ROUNDED:
            # A mean of prices is as exact as the prices are large, even where they cancel out.
            rel, loose = 1e-9, slopes if name in SLOPES else max(1e-12, 1e-14 * largest)
        assert close(got, want, rel, loose), f"row {k} {name}: {got!r} != {want!r}"


@examples(200)
@given(streams(events=(0, 200)), st.sampled_from(GRIDS), st.booleans())
def test_samples(stream: Stream, every: int | str, sparse: bool) -> None:
    same_rows(stream, every, sparse=sparse, features=[])


@examples(120)
@given(streams(events=(0, 120)), st.sampled_from(GRIDS), st.sampled_from((None, 1, 5)))
def test_features(stream: Stream, every: int | str, size: int | None) -> None:
    same_rows(stream, every, skip=SLOPES, size=size)


@pytest.mark.parametrize("size", [None, 1, 3])
def test_windows_that_outgrow_their_memory_between_two_rows(size: int | None) -> None:
    """The growing entry comes when rows before it have been written and older ones have expired."""
    times = [5, *[990] * 15, 1_250, 1_260]
    events = ev.empty_events(2 * len(times) + 2)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"] = ev.LAST
    events["ts_recv"] = START + np.repeat([1, *times], 2) * MS
    events["action"], events["side"], events["price"], events["size"] = ev.LEVEL, ev.BID, 100, 1
    events["side"][0], events["price"][0] = ev.ASK, 101
    events["size"][2::2] = np.arange(2, len(times) + 2)  # one lot joins the bid, one trades
    events["action"][3::2] = ev.TRADE
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[L2])
    table = same_rows(Stream(events, {(1, 1): instrument}), 100 * MS, size=size)
    assert table.columns["ofi_1s"].tolist()[:12] == [1.0] * 9 + [16.0, 15.0, 15.0]
    assert table.columns["trades_5s"].tolist()[:12] == [1.0] * 9 + [16.0, 16.0, 16.0]


@examples(60)
@given(streams(events=(0, 120)), st.sampled_from(GRIDS))
def test_slopes_at_any_sizes(stream: Stream, every: int | str) -> None:
    same_rows(stream, every, features=list(SLOPES))


@pytest.mark.parametrize("letter", "LMNSTFC")
@pytest.mark.parametrize("last", [0, ev.LAST])
def test_any_snapshot_record_in_a_group_starts_order_flow_anew(letter: str, last: int) -> None:
    events = ev.empty_events(5)
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"] = START + np.arange(5)
    events["flags"] = (ev.LAST, ev.LAST, 0, last | ev.SNAPSHOT, ev.LAST)
    events["action"], events["size"], events["order_id"] = ev.ADD, (1, 2, 4, 8, 16), np.arange(5)
    events["side"] = (ev.ASK, ev.BID, ev.BID, ev.BID, ev.BID)
    events["price"] = (101, 100, 100, 99, 100)
    events["action"][3] = ord(letter)
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[MBO])
    table = same_rows(Stream(events, {(1, 1): instrument}), "event")
    assert table.columns["ofi"].tolist()[2:] == ([0.0, 16.0] if last else [0.0])


@pytest.mark.parametrize(("price", "size"), [(ev.UNDEF_PRICE, 5), (-100, 5), (100, -5), (100, 0)])
def test_a_trade_without_a_usable_price_or_size_counts_for_nothing(price: int, size: int) -> None:
    events = ev.empty_events(2)
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"], events["flags"], events["action"] = START, ev.LAST, ev.TRADE
    events["side"], events["price"], events["size"] = ev.BID, (100, price), (3, size)
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[MBO])
    engine = Engine(lambda *_: instrument, every="event")
    table = run(engine, events)
    assert engine.counters("S")["rejected"] == 1
    columns = ("cvd", "vwap", "hod", "lod", "last")
    good, bad = ([table.columns[name][k] for name in columns] for k in (0, 1))
    assert bad == good == [3.0, 1e-7, 1e-7, 1e-7, 1e-7]
    assert [table.columns[name][1] for name in ("trades", "volume", "delta", "delta_1s")] == [0, 0, 0, 3]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_wider_band_holds_no_less_below_zero_either(sign: int) -> None:
    best = 1_000_000 * sign
    distances = (0, 400, 600, 900, 1_100, 2_400, 2_600)  # millionths of mid; bands end at 500, 1,000, 2,500
    events = ev.empty_events(2 * len(distances))
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"], events["flags"], events["action"] = START, ev.LAST, ev.ADD
    events["order_id"], events["size"] = np.arange(len(events)), 1
    events["side"] = np.repeat([ev.BID, ev.ASK], len(distances))
    events["price"] = [best - 1 - d for d in distances] + [best + 1 + d for d in distances]
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[MBO], allows_negative=True)
    stream = Stream(events, {(1, 1): instrument})
    table = same_rows(stream, "event")
    engine = Engine(stream.resolve, features=[])
    engine.process(events)
    for bps, held in ((5, 2.0), (10, 4.0), (25, 6.0)):
        assert [table.columns[f"{side}_depth_{bps}bps"][-1] for side in ("bid", "ask")] == [held, held]
        assert engine.book("S").depth(bps) == (held, held)


def test_features_a_feed_cannot_support_are_undefined() -> None:
    stream = seeded_stream(3, 200, 1)
    (key,) = stream.instruments
    quiet = Instrument("test", "S", stream.instruments[key].tick, capabilities=Capability.MBO)
    with_trades = run(Engine(stream.resolve, every=100 * MS), stream.events)
    without = run(Engine(lambda *_: quiet, every=100 * MS), stream.events)
    lacking = {c.name for f in all_features() if f.requires == Capability.TRADES for c in f.columns}
    assert {"cvd", "vwap", "volume", "delta_1s"} <= lacking
    lacking |= {name for name in without.columns if name.startswith("pulled")}  # they need the aggressor too
    for name, line in without.columns.items():
        if name in lacking:
            assert np.isnan(line).all(), name
        else:
            assert line.tobytes() == with_trades.columns[name].tobytes(), name


def test_the_reference_knows_every_shipped_feature() -> None:
    names = {column.name for feature in all_features() for column in feature.columns}
    desk = Desk(0, Instrument("test", "S", 1))
    desk.apply([Event(1, 1, 0, 1, 1, 1, 1, 0, 1, 0, ev.LEVEL, ev.BID, ev.LAST, 0)], 1)
    assert set(SlowFeatures(desk, by_event=True)(desk.row(1))) == names


@pytest.mark.slow
@examples(10_000)
@given(streams(events=(0, 300)), st.sampled_from(GRIDS), st.booleans())
def test_many_more_rows(stream: Stream, every: int | str, sparse: bool) -> None:
    same_rows(stream, every, sparse=sparse)
