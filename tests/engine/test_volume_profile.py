"""Volume profile: its definition over days, value areas worked by hand, the recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.runtime.sources import open_source
from tests.engine.harness import MS, Table, run
from tests.engine.test_exact_rows import same_rows
from tests.engine.test_session_features import CALENDARS, GRIDS, spread
from tests.reference.profile import value_area
from tests.strategies.streams import CAPABILITIES, L2, START, Stream, examples, streams

FEATURES = ["volume_profile"]
NAMES = ("poc", "vah", "val", "poc_3m", "vah_3m", "val_3m")
SECOND = 10**9
UNIT = 10**9


@examples(60)
@given(
    streams(events=(10, 160), instruments=(1, 2)),
    st.permutations(CALENDARS),
    st.sampled_from((*GRIDS, 7 * SECOND)),
    st.sampled_from((1, 60, 30_000)),
    st.sampled_from((None, 1, 7)),
)
def test_definitions_over_days(
    stream: Stream, calendars: list[str], every: int | str, factor: int, size: int | None
) -> None:
    stretched = spread(stream, calendars, factor)
    same_rows(stretched, every, sparse=every != "event", features=FEATURES, size=size)


@examples(100)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), min_size=1, max_size=60),
    st.lists(st.integers(-4, 44), min_size=1, max_size=8),
)
def test_ties_at_every_mid(deals: list[tuple[int, int]], mids: list[int]) -> None:
    """Small volumes tie all the time; the answer is kept while mids come and go."""
    rows: list[Happening] = [(k * 0.001, "trade", price, size) for k, (price, size) in enumerate(deals)]
    rows += [(1 + 0.1 * k, "mid", mid, 0) for k, mid in enumerate(mids)]
    same_rows(market(rows), "event", features=FEATURES)


Happening = tuple[float, str, int, int]  # seconds, "trade", "mid" or "none", price in ticks, size


def market(rows: Sequence[Happening], *, tick: int = UNIT) -> Stream:
    """Trades, and quotes of one lot a tick below and above a mid; "none" takes the quotes away."""
    made: list[tuple[float, int, int, int, int]] = [(0.0, ev.LEVEL, ev.BID, -(10**6) * tick, 0)]
    quoted: int | None = None
    for at, what, price, size in rows:
        if what == "trade":
            made.append((at, ev.TRADE, ev.BID, price * tick, size))
            continue
        if quoted is not None:
            made += [(at, ev.LEVEL, side, (quoted + d) * tick, 0) for side, d in ((ev.BID, -1), (ev.ASK, 1))]
        quoted = price if what == "mid" else None
        made.append((at, ev.NONE, ev.NO_SIDE, 0, 0))
        if quoted is not None:
            made += [(at, ev.LEVEL, side, (quoted + d) * tick, 1) for side, d in ((ev.BID, -1), (ev.ASK, 1))]
    events = ev.empty_events(len(made))
    for event, (at, action, side, price, size) in zip(events, made, strict=True):
        event["ts_recv"], event["action"], event["side"] = START + round(at * SECOND), action, side
        event["price"], event["size"] = price, size
    events["publisher"] = events["instrument_id"] = 1
    events["flags"] = ev.LAST
    instrument = Instrument("test", "S", tick, capabilities=CAPABILITIES[L2], allows_negative=True)
    return Stream(events, {(1, 1): instrument})


def last(rows: Sequence[Happening], every: int | str = "event", *, tick: int = UNIT) -> tuple[float, ...]:
    """Session columns of the last row, every row of which agrees with the definition."""
    table = same_rows(market(rows, tick=tick), every, features=FEATURES)
    return tuple(float(table.columns[name][-1]) for name in NAMES[:3])


def deals(volumes: dict[int, int]) -> list[Happening]:
    """One trade a price."""
    return [(0.1, "trade", price, size) for price, size in volumes.items()]


@pytest.mark.parametrize(
    ("volumes", "mid", "area"),
    [
        ({100: 7}, 100, (100, 100, 100)),
        # 70 % of 10 is 7: the point of control alone is enough.
        ({99: 2, 100: 7, 101: 1}, 100, (100, 100, 100)),
        # 25 of 55; 8 + 7 above and 10 + 5 below are equal, either makes 40 of the 38.5 needed.
        ({100: 5, 101: 10, 102: 25, 103: 8, 104: 7}, 103, (102, 104, 102)),
        ({100: 5, 101: 10, 102: 25, 103: 8, 104: 7}, 102, (102, 102, 100)),
        ({100: 5, 101: 10, 102: 25, 103: 8, 104: 7}, None, (102, 102, 100)),
        # 20 of 60, 42 needed: 9 + 8 above against 7 + 6, then 7 + 6 against 5 + 5.
        ({99: 5, 100: 6, 101: 7, 102: 20, 103: 9, 104: 8, 105: 5}, 103, (102, 104, 100)),
        # 12 of 20, 14 needed; 3 + 0 and 3 + 2: the second tick decides, and both are taken.
        ({98: 2, 99: 3, 100: 12, 101: 3}, 101, (100, 100, 98)),
        # Nothing traded at 101 … 109: four empty pairs, then 109 and 110.
        ({90: 4, 100: 10, 110: 4}, 105, (100, 110, 100)),
        ({90: 4, 100: 10, 111: 4}, 105, (100, 111, 100)),
        ({90: 4, 100: 10, 110: 4}, 95, (100, 100, 90)),
        # Above is no tick left: only those below can be added.
        ({96: 2, 97: 3, 98: 3, 100: 5}, 200, (100, 100, 96)),
        # As much at two prices: the nearer to mid, of two as near the lower.
        ({100: 5, 104: 5}, 103, (104, 104, 100)),
        ({100: 5, 104: 5}, 102, (100, 104, 100)),
        ({100: 5, 104: 5}, None, (100, 104, 100)),
        # A price far away is one more row.
        ({100: 7, 101: 2, 90_000_000: 1}, 100, (100, 100, 100)),
        ({100: 5, 90_000_000: 5}, 89_000_000, (90_000_000, 90_000_000, 100)),
        # Below zero.
        ({-3: 1, -2: 8, -1: 1, 0: 5}, -2, (-2, 0, -2)),
    ],
)  # fmt: skip
def test_value_areas_by_hand(volumes: dict[int, int], mid: int | None, area: tuple[float, ...]) -> None:
    quotes: list[Happening] = [] if mid is None else [(0.2, "mid", mid, 0)]
    assert last([*deals(volumes), *quotes]) == area
    assert last([*quotes, *deals(volumes), (1.0, "none", 0, 0)], SECOND // 10) == area


def test_only_a_tie_asks_for_the_mid() -> None:
    tie = deals({100: 5, 104: 5})
    rows: list[Happening] = [(1.0 + k, "mid", mid, 0) for k, mid in enumerate((90, 102, 103, 110, 101))]
    table = same_rows(market([*tie, *rows, (9.0, "none", 0, 0)]), SECOND, features=FEATURES)
    assert table.columns["poc"].tolist() == [100, 100, 100, 104, 104, 100, 100, 100, 100]


def test_trades_off_the_grid_count_with_the_tick_below() -> None:
    stream = market([(0.1, "trade", 1, 5), (0.2, "trade", 2, 1)], tick=1)
    events = stream.events.copy()
    events["price"][1:] = (100 * UNIT - 1, 100 * UNIT)
    instrument = Instrument("test", "S", UNIT, capabilities=CAPABILITIES[L2])
    table = same_rows(Stream(events, {(1, 1): instrument}), "event", features=FEATURES)
    assert table.columns["poc"][-1] == 99


def test_the_window_forgets_and_the_session_does_not() -> None:
    rows: list[Happening] = [(0.5, "trade", 100, 9), (100.5, "trade", 120, 3), (400.0, "mid", 110, 0)]
    table = same_rows(market(rows), SECOND, features=FEATURES)
    poc, recent = table.columns["poc"], table.columns["poc_3m"]
    assert poc.tolist() == [100.0] * 400
    assert recent[:180].tolist() == [100.0] * 180  # [t − 180 s, t): the trade at 0.5 is seen up to 180
    assert recent[180:280].tolist() == [120.0] * 100
    assert np.isnan(recent[280:]).all()


def test_only_volume_counts() -> None:
    stream = market([(0.1, "trade", 100, 9), (0.2, "trade", 120, 3)])
    stream.events["cond"][1] = ev.COND_NOT_VOLUME
    table = same_rows(stream, "event", features=FEATURES)
    assert isnan(table.columns["poc"][1])
    assert table.columns["poc"][2] == 120


def test_many_prices_and_many_trades_in_one_block() -> None:
    """Rings grow while a block is being worked on, and what was done before stays done."""
    random = np.random.default_rng(4)
    rows: list[Happening] = [
        (0.01 * k, "trade", int(price), int(size))
        for k, (price, size) in enumerate(
            zip(random.integers(0, 400, 1_500), random.integers(1, 9, 1_500), strict=True)
        )
    ]
    stream = market([*rows, (16.0, "mid", 200, 0)])
    table = run(Engine(stream.resolve, every=SECOND, features=FEATURES), stream.events)
    counts: Counter[int] = Counter()
    for _, _, price, size in rows:
        counts[price] += size
    assert [table.columns[name][-1] for name in NAMES[:3]] == list(value_area(counts, UNIT, None))
    assert (
        run(Engine(stream.resolve, every=SECOND, features=FEATURES), stream.events, 7).digest()
        == table.digest()
    )


# ── recordings ────────────────────────────────────────────────────────────────────────────

ES, BTC = ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz")


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "step"), [(ES, 300), (BTC, 60)], ids=("es", "btc"))
def test_recordings(name: str, step: int, data_dir: Path) -> None:
    """Every so many rows of 100 ms, from the arrays of all trades."""
    source = open_source(data_dir / name)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    table: Table = run(Engine(source.resolve, every=100 * MS, features=FEATURES, keep_samples=True), events)
    (instrument,) = source.instruments.values()
    ends = np.flatnonzero(events["flags"] & ev.LAST)
    clock = np.maximum.accumulate(events["ts_recv"][ends])
    where = np.flatnonzero((events["action"] == ev.TRADE) & (events["cond"] & ev.COND_NOT_VOLUME == 0))
    ts = clock[np.searchsorted(ends, where)]
    ticks, sizes = events["price"][where] // instrument.tick, events["size"][where]
    seen = set()
    for k in range(0, len(table), step):
        sample = table.samples[k]
        both = sample["n_bid"] and sample["n_ask"]
        mid2 = int(sample["bid_price"][0]) + int(sample["ask_price"][0]) if both else None
        before = ts < sample["ts"]
        for names, mask in (
            (NAMES[:3], before),
            (NAMES[3:], before & (ts >= sample["ts"] - 180 * SECOND)),
        ):
            got = tuple(float(table.columns[column][k]) for column in names)
            rows: Counter[int] = Counter()
            for tick, size in zip(ticks[mask].tolist(), sizes[mask].tolist(), strict=True):
                rows[tick] += size
            want = (
                tuple(row * instrument.tick / 1e9 for row in value_area(rows, instrument.tick, mid2))
                if rows
                else (nan,) * 3
            )
            np.testing.assert_array_equal(got, want)
            seen.add(got)
    assert len(seen) > 50
