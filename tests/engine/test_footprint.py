"""Footprints: a bar worked by hand, the definition on streams and recordings, any cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthscope as ds
from depthscope.bars import Footprints
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from tests.engine.harness import cuts_of
from tests.engine.test_exact_rows import same_rows
from tests.engine.test_session_features import spread
from tests.reference.engine import SlowEngine, Trade, as_events
from tests.reference.footprint import Bar, footprint_of
from tests.strategies.streams import CAPABILITIES, MBO, START, Stream, examples, seeded_stream, streams

SECOND = 10**9
MINUTE = 60 * SECOND
UNIT = 10**9
Rows = list[dict[str, Any]]


def rows_of(batches: Iterable[pa.RecordBatch | None]) -> Rows:
    """Rows of batches, times as integers."""
    rows = [row for batch in batches if batch is not None for row in batch.to_pylist()]
    for row in rows:
        row["ts"] = row["ts"].value
    return rows


def made(stream: Stream, size: int | None = None, **options: Any) -> Rows:
    """Footprint of a stream, cut into chunks."""
    maker = Footprints(Engine(stream.resolve, features=()), **options)
    pieces = cuts_of(stream.events, size or max(len(stream), 1))
    return rows_of([*(maker.process(piece) for piece in pieces), maker.finish()])


@examples(80)
@given(
    streams(events=(0, 200), instruments=(1, 3)),
    st.sampled_from((1, 60, 2_000)),
    st.sampled_from((SECOND, MINUTE, 7 * MINUTE)),
    st.sampled_from((None, 1, 9)),
    st.sampled_from((3.0, 1.5, 0.4)),
    st.sampled_from((None, 3.0)),
    st.integers(1, 3),
)
def test_definition(
    stream: Stream,
    factor: int,
    bar: int,
    size: int | None,
    imbalance: float,
    min_volume: float | None,
    stacked: int,
) -> None:
    stretched = spread(stream, ["unknown"], factor)
    lots = {instrument.lot for instrument in stream.instruments.values()}
    if len(lots) > 1:  # the slow one knows one smallest size
        min_volume = None
    slow = SlowEngine(stretched.resolve, "event")
    slow.feed(as_events(stretched.events))
    slow.finish()
    least = 0 if min_volume is None else round(min_volume * UNIT / lots.pop())
    want = footprint_of(
        slow.desks.values(), bar, times=Fraction(str(imbalance)), least=least, stacked=stacked
    )
    got = made(stretched, size, bar=bar, imbalance=imbalance, min_volume=min_volume, stacked=stacked)
    assert got == want


@examples(40)
@given(
    streams(events=(10, 160), instruments=(1, 2)),
    st.sampled_from(("event", SECOND, 7 * SECOND, 90 * SECOND)),
    st.sampled_from((1, 60, 600)),
    st.sampled_from((None, 1, 7)),
)
def test_the_current_bar(stream: Stream, every: int | str, factor: int, size: int | None) -> None:
    stretched = spread(stream, ["unknown"], factor)
    same_rows(stretched, every, sparse=every != "event", features=["footprint"], size=size)


def test_the_last_row_of_a_bar_is_the_bar() -> None:
    stream = spread(seeded_stream(7, 2_000, 1), ["unknown"], 20)
    table = pa.Table.from_pylist(made(stream, bar="30s"))
    engine = Engine(stream.resolve, every="10s", features=["footprint"], settings={"footprint_bar": 30})
    batch = engine.process(stream.events)
    ends = {int(ts): k for k, ts in enumerate(batch.meta["ts"])}
    checked = 0
    for row in table.to_pylist():
        k = ends.get(row["ts"] + 30 * SECOND)
        if k is not None:
            for name in ("bar_delta", "bar_volume", "bar_poc"):
                assert batch[name][k] == row[name]
            checked += 1
    assert checked > 20


Deal = tuple[float, str, int, int]  # seconds, side of the aggressor, price, size


def tape(deals: Sequence[Deal], symbol: str = "S", venue: str = "test", lot: int = UNIT) -> Stream:
    """Trades of one instrument."""
    events = ev.empty_events(len(deals))
    for event, (at, side, price, size) in zip(events, deals, strict=True):
        event["ts_recv"], event["side"] = START + round(at * SECOND), ord(side)
        event["price"], event["size"] = price * UNIT, size
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"] = ev.LAST, ev.TRADE
    instrument = Instrument(venue, symbol, UNIT, lot, capabilities=CAPABILITIES[MBO])
    return Stream(events, {(1, 1): instrument})


#            bid × ask                 diagonals of the ask with the bid one tick below
LADDER = {
    106: (4, 5),  # unfinished: both sides at the high; 5 against 3 is no imbalance
    105: (3, 30),  # 30 ≥ 3 · 10
    104: (10, 27),  # 27 ≥ 3 · 9
    103: (9, 12),  # 12 ≥ 3 · 4: three in a row, stacked
    102: (4, 2),  # 2 < 3 · 20
    101: (20, 60),  # 60 against the 25 of 100
    100: (25, 0),  # finished: nobody bought at the low; sellers' 25 < 3 · 60
}
DEALS: list[Deal] = [
    (1.0 + 0.01 * k, side, price, size)
    for k, price in enumerate(LADDER)
    for side, size in zip("AB", LADDER[price], strict=True)
    if size
]


def test_a_bar_by_hand() -> None:
    rows = made(tape(DEALS))
    assert [row["price"] for row in rows] == [100, 101, 102, 103, 104, 105, 106]
    by_price = {int(row["price"]): row for row in rows}
    assert {p: (row["bid_volume"], row["ask_volume"]) for p, row in by_price.items()} == LADDER
    assert [p for p, row in by_price.items() if row["buy_imbalance"]] == [103, 104, 105]
    assert [p for p, row in by_price.items() if row["buy_stacked"]] == [103, 104, 105]
    # Sellers: 20 at 101 against the 2 bought at 102; 9 against 27, 10 against 30 and 3 against 5 are none.
    assert [p for p, row in by_price.items() if row["sell_imbalance"]] == [101]
    assert not any(row["sell_stacked"] for row in rows)
    assert by_price[104]["delta"] == 17
    whole = {name: rows[0][name] for name in rows[0] if name.startswith(("bar_", "unfinished_"))}
    assert whole == {
        "bar_high": 106, "bar_low": 100, "bar_volume": 211, "bar_delta": 61, "bar_poc": 101,
        "unfinished_high": True, "unfinished_low": False,
    }  # fmt: skip
    assert all({name: row[name] for name in whole} == whole for row in rows)
    assert {row["ts"] for row in rows} == {START}
    assert {row["symbol"] for row in rows} == {"S"}


def test_settings_move_the_limits() -> None:
    def buys(**options: Any) -> list[float]:
        return [row["price"] for row in made(tape(DEALS), **options) if row["buy_imbalance"]]

    assert buys(min_volume=12) == [103, 104, 105]
    assert buys(min_volume=12.5) == [104, 105]
    assert buys(imbalance=3.01) == []
    assert buys(imbalance=2.4) == [101, 103, 104, 105]
    stacked = [row["price"] for row in made(tape(DEALS), stacked=4) if row["buy_stacked"]]
    assert stacked == []
    # On ES ten contracts make the least by default.
    es = made(tape(DEALS, "ESH4", "GLBX.MDP3"), imbalance=0.1)
    assert [row["price"] for row in es if row["buy_imbalance"]] == [101, 103, 104, 105]


def test_a_price_between_at_which_nothing_traded() -> None:
    """It counts as nothing, as the bar passed it; beyond the bar's ends there is nothing to compare with."""
    rows = made(tape([(1, "B", 100, 5), (2, "B", 102, 6), (2, "A", 102, 7)]))
    assert [(row["buy_imbalance"], row["sell_imbalance"]) for row in rows] == [(False, False), (True, False)]
    assert [row["unfinished_high"] for row in rows] == [True, True]
    assert [row["unfinished_low"] for row in rows] == [False, False]


def test_bars_by_the_clock_and_unknown_aggressors() -> None:
    rows = made(tape([(59.999999999, "B", 100, 5), (60, "N", 100, 6), (190, "A", 101, 1)], lot=UNIT // 2))
    assert [row["ts"] - START for row in rows] == [0, MINUTE, 3 * MINUTE]
    assert [row["bar_volume"] for row in rows] == [2.5, 3.0, 0.5]
    assert [row["bar_delta"] for row in rows] == [2.5, 0.0, -0.5]
    assert [(row["bid_volume"], row["ask_volume"], row["volume"]) for row in rows][1] == (0, 0, 3)


def test_a_bar_is_told_when_the_clock_has_passed_it() -> None:
    stream = tape([(1, "B", 100, 5), (59, "B", 100, 5), (61, "B", 100, 5)])
    maker = Footprints(Engine(stream.resolve, features=()))
    assert maker.process(stream.events[:2]) is None
    assert rows_of([maker.process(stream.events[2:])])[0]["bar_volume"] == 10
    assert rows_of([maker.finish()])[0]["bar_volume"] == 5
    assert maker.finish() is None


@pytest.mark.parametrize(
    "options",
    [
        {"imbalance": 0},
        {"imbalance": nan},
        {"min_volume": -1},
        {"min_volume": inf},
        {"stacked": 0},
        {"bar": "soon"},
    ],
)
def test_settings_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ds.footprint("synthetic:seed=1,minutes=1,symbols=1", **options)


def test_the_public_table() -> None:
    table = ds.footprint("synthetic:seed=5,minutes=3,symbols=2")
    assert set(table["symbol"].unique().to_pylist()) == {"SYNES", "SYNBTC"}
    assert len(table["ts"].unique()) == 3
    assert {table.schema.field(name).metadata[b"unit"] for name in ("price", "delta")} == {b"price", b"size"}
    one = ds.footprint("synthetic:seed=5,minutes=3,symbols=2", symbols="SYNES", threads=1)
    assert one.to_pylist() == [row for row in table.to_pylist() if row["symbol"] == "SYNES"]
    volume = ds.features("synthetic:seed=5,minutes=3,symbols=1", "1s", features=["volume"])["volume"]
    total = {row["ts"]: row["bar_volume"] for row in one.to_pylist()}
    assert sum(total.values()) >= sum(volume.to_pylist())


FILES = ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz")


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "least"), [(FILES[0], 10), (FILES[1], 0)], ids=("es", "btc"))
def test_recordings(name: str, least: int, data_dir: Path) -> None:
    source = ds.open_source(data_dir / name)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    instrument = source.resolve(int(events["publisher"][-1]), int(events["instrument_id"][-1]))
    ends = np.flatnonzero(events["flags"] & ev.LAST)
    clock = np.maximum.accumulate(events["ts_recv"][ends])
    where = np.flatnonzero(events["action"] == ev.TRADE)
    bars: dict[int, list[Trade]] = defaultdict(list)
    for ts, event in zip(clock[np.searchsorted(ends, where)].tolist(), events[where], strict=True):
        price, size, side, cond = (int(event[field]) for field in ("price", "size", "side", "cond"))
        bars[ts // MINUTE].append(Trade(ts, int(event["ts_event"]), price, size, side, cond))
    want = []
    for bar, trades in bars.items():
        head = {"ts": bar * MINUTE, "symbol": instrument.symbol}
        table = Bar(trades, instrument.tick).table(Fraction(instrument.lot, UNIT), Fraction(3), least, 3)
        want += [head | row for row in table]
    got = rows_of(ds.footprint(data_dir / name).to_batches())
    assert got == want
    assert len(want) > 200
    assert any(row["buy_imbalance"] for row in got)
