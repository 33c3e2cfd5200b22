"""Features of trades and of mids by the second: their definitions over minutes, golden cases, grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.errors import InputError, UnknownName
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from tests.engine.harness import MS, Table, close, run
from tests.engine.test_exact_rows import ROUNDED
from tests.reference.engine import SlowEngine, as_events
from tests.reference.tape import SlowTape
from tests.strategies.streams import (
    CAPABILITIES,
    L1,
    L2,
    MBO,
    START,
    Stream,
    examples,
    seeded_stream,
    streams,
)

FEATURES = ["tape", "large_prints", "cvd_trend", "vpin", "realised_volatility"]
SECOND = 1_000 * MS
GRIDS = ("event", SECOND, 7 * SECOND)
SETTINGS = {
    "tape_normal": 0.5, "tape_fast": 1, "tape_extreme": 2, "tape_sentiment_trades": 2,
    "large_print_quantile": 0.75, "large_print_least": 3, "large_print_notional": 0.01, "cvd_trend_t": 12,
}  # fmt: skip


def stretched(stream: Stream, factor: int) -> Stream:
    """The stream with its receive times farther apart: minutes instead of seconds."""
    events = stream.events.copy()
    events["ts_recv"] = START + (events["ts_recv"] - START) * factor
    return replace(stream, events=events)


def same_tape(
    stream: Stream,
    every: int | str,
    settings: dict[str, float | str],
    size: int | None = None,
    *,
    sparse: bool = False,
) -> Table:
    """Run the features over a stream and compare each row with the definitions."""
    engine = Engine(stream.resolve, every=every, sparse=sparse, features=FEATURES, settings=settings)
    table = run(engine, stream.events, size)
    slow = SlowEngine(stream.resolve, every, sparse=sparse)
    slow.feed(as_events(stream.events))
    slow.finish()
    makers = [SlowTape(d, by_event=every == "event", settings=settings) for d in slow.desks.values()]
    assert len(table) == len(slow.rows)
    for k, row in enumerate(slow.rows):
        want = makers[row.slot](row)
        assert set(want) == set(table.columns)
        for name, value in want.items():
            got = float(table.columns[name][k])
            same = close(got, value, 1e-9 if name in ROUNDED else 1e-15, 1e-12)
            assert same, f"row {k} {name}: {got!r} != {value!r}"
    return table


@examples(40)
@given(
    streams(events=(20, 160), kinds=(MBO, L2, L1), instruments=(1, 2)),
    st.sampled_from(GRIDS),
    st.sampled_from((10, 60, 200)),
    st.sampled_from((None, 1, 7)),
    st.booleans(),
    st.booleans(),
    st.sampled_from((nan, 3.0)),
)
def test_definitions_over_minutes(
    stream: Stream,
    every: int | str,
    factor: int,
    size: int | None,
    sparse: bool,
    classic: bool,
    bucket: float,
) -> None:
    mode = "notional" if classic else "quantile"
    settings = SETTINGS | {"large_print_mode": mode, "vpin_bucket_volume": bucket}
    same_tape(stretched(stream, factor), every, settings, size, sparse=sparse)


@pytest.mark.parametrize("seed", [1, 2])
def test_values_do_not_depend_on_the_grid(seed: int) -> None:
    """At the times that grids share, with rows, without and with one a group."""
    stream = stretched(seeded_stream(seed, 3_000, 1), 10)
    settings = SETTINGS | {"tape_sentiment_trades": 1}
    tables = {
        every: run(Engine(stream.resolve, every=every, features=FEATURES, settings=settings), stream.events)
        for every in (100 * MS, SECOND, 7 * SECOND)
    }
    coarse = tables.pop(7 * SECOND)
    assert len(coarse) > 60
    for table in tables.values():
        shared = table.where(np.isin(table.meta["ts"], coarse.meta["ts"]))
        for name, line in coarse.columns.items():
            np.testing.assert_array_equal(shared.columns[name], line, name)
    defined = {name for name, line in coarse.columns.items() if np.isfinite(line).mean() > 0.3}
    assert defined == set(coarse.columns)


Deal = tuple[float, str, int]  # seconds, side, size


def market(
    deals: Sequence[Deal], *, end: float, mids: Sequence[tuple[float, int]] = ((0.0, 100),), lot: int = 10**9
) -> Stream:
    """A book two units wide whose mid moves at some times, and trades at 100."""
    rows = []
    for at, mid in mids:
        rows += [(at, "R", "N", 0, 0), (at, "A", "B", mid - 1, 1), (at, "A", "A", mid + 1, 1)]
    rows += [(at, "T", side, 100, size) for at, side, size in deals]
    rows.append((end, "N", "N", 0, 0))
    events = ev.empty_events(len(rows))
    for k, (record, row) in enumerate(zip(events, sorted(rows, key=lambda r: r[0]), strict=True)):
        at, action, side, price, size = row
        record["ts_recv"] = record["ts_event"] = START + round(at * SECOND)
        record["action"], record["side"], record["flags"] = ord(action), ord(side), ev.LAST
        record["price"], record["size"], record["order_id"] = price * 10**9, size, k
    events["publisher"] = events["instrument_id"] = 1
    instrument = Instrument("test", "S", 10**9, lot, capabilities=CAPABILITIES[MBO])
    return Stream(events, {(1, 1): instrument})


def values(stream: Stream, every: int | str = SECOND, **settings: float | str) -> dict[str, list[float]]:
    """Columns of a run whose every row is also compared with the definitions."""
    return {name: line.tolist() for name, line in same_tape(stream, every, settings).columns.items()}


def test_tape_by_hand() -> None:
    deals = [(0.1, "B", 6), (0.2, "B", 3), (0.3, "A", 4), (0.4, "N", 50), (0.5, "A", 1)]
    got = values(market([*deals, (1.5, "B", 2)], end=70.0))
    assert got["tape_velocity"][:7] == [1.0, 1.2, 1.2, 1.2, 1.2, 0.2, 0.0]  # the unknown one is counted
    assert got["trades_5s"][:7] == [4.0, 5.0, 5.0, 5.0, 5.0, 1.0, 0.0]
    assert got["delta_5s"][:7] == [4.0, 6.0, 6.0, 6.0, 6.0, 2.0, 0.0]
    assert got["buy_pressure_10s"][:11] == [9 / 14, *[11 / 16] * 9, 1.0]
    assert isnan(got["buy_pressure_10s"][11])
    assert got["buy_pressure_60s"][59] == 11 / 16
    assert got["buy_pressure_60s"][60] == 1.0
    assert isnan(got["buy_pressure_60s"][61])
    assert isnan(got["tape_sentiment"][0])  # four trades whose side is known
    assert got["tape_sentiment"][1:10] == [2.0] * 9  # 11 bought, 5 sold
    assert isnan(got["tape_sentiment"][10])


@pytest.mark.parametrize(
    ("trades", "word"), [(0, 0.0), (49, 0.0), (50, 1.0), (149, 1.0), (150, 2.0), (299, 2.0), (300, 3.0)]
)
def test_words_for_the_speed(trades: int, word: float) -> None:
    got = values(market([(0.1 + 0.001 * k, "NBA"[k % 3], 1) for k in range(trades)], end=1.0))
    assert got["tape_velocity"] == [trades / 5]
    assert got["tape_velocity_label"] == [word]


@pytest.mark.parametrize(
    ("bought", "sold", "word"), [(4, 2, 1.0), (5, 2, 2.0), (2, 4, 1.0), (2, 5, 0.0), (5, 0, 2.0), (0, 5, 0.0)]
)
def test_words_for_the_mood(bought: int, sold: int, word: float) -> None:
    deals = [(0.1, "B", 1)] * bought + [(0.2, "A", 1)] * sold
    assert values(market(deals, end=1.0), tape_sentiment_trades=5.0)["tape_sentiment"] == [word]


def test_a_steady_buyer_makes_a_straight_line() -> None:
    """Two lots a second: r² is 1 and its t-statistic infinite, which is nowhere shown."""
    got = values(market([(k + 0.5, "B", 4) for k in range(400)], end=700.0, lot=10**9 // 2))
    # The first point follows the first trade: the row of second 60 is the first with 60 of them.
    assert np.isnan(got["cvd_slope_5m"][:59]).all()
    assert got["cvd_slope_5m"][59:400] == pytest.approx([2.0] * 341, rel=1e-12)
    assert got["cvd_r2_5m"][59:400] == pytest.approx([1.0] * 341, rel=1e-12)
    assert np.nanmax(got["cvd_r2_5m"]) <= 1.0
    assert got["cvd_trend"][59:400] == [2.0] * 341
    assert (got["cvd_slope_5m"][-1], got["cvd_r2_5m"][-1], got["cvd_trend"][-1]) == (0.0, 0.0, 1.0)


def test_a_wandering_tape_is_no_trend() -> None:
    """Buys and sells in turn: the line is nearly flat."""
    deals = [(k + 0.5, "BA"[k % 2], 3) for k in range(300)]
    assert set(values(market(deals, end=300.0))["cvd_trend"][60:]) == {1.0}


def test_volatility_by_hand() -> None:
    mids = [(0.2, 100), (3.5, 110), (3.6, 105), (5.5, 100)]
    got = values(market([], end=70.0, mids=mids))
    up, down = log(105 / 100) ** 2, log(100 / 105) ** 2  # 110 was gone before the second ended
    assert np.isnan(got["realised_volatility_60s"][:60]).all()
    assert got["realised_volatility_60s"][60] == pytest.approx(1e4 * sqrt(up + down))
    assert got["realised_volatility_60s"][62] == pytest.approx(1e4 * sqrt(up + down))
    assert got["realised_volatility_60s"][63] == pytest.approx(1e4 * sqrt(down))
    assert got["realised_volatility_60s"][65] == 0.0
    assert np.isnan(got["realised_volatility_300s"]).all()


def test_no_mid_leaves_the_last_one_standing() -> None:
    stream = market([], end=400.0, mids=[(0.2, 100), (10.5, 120)])
    events = stream.events.copy()
    later = START + 20 * SECOND
    gap = ev.empty_events(3)
    gap["publisher"] = gap["instrument_id"] = 1
    gap["ts_recv"], gap["flags"] = later + np.array([0, 1, 30]) * SECOND, ev.LAST
    gap["action"] = ev.LOST, ev.ADD, ev.CLEAR
    gap["side"], gap["price"], gap["size"], gap["order_id"] = (
        ev.BID,
        120 * 10**9,
        1,
        99,
    )  # a better bid, but STALE
    both = np.concatenate([events[:-1], gap, events[-1:]])
    got = values(replace(stream, events=both))
    assert got["realised_volatility_300s"][300] == pytest.approx(1e4 * log(120 / 100))
    assert got["realised_volatility_60s"][300] == 0.0


@pytest.mark.parametrize(("end", "inside"), [(600.2, True), (601.2, False)])
def test_a_return_leaves_the_window_after_300_seconds(end: float, inside: bool) -> None:
    """Though nothing is heard for as long: the move falls into second 301."""
    got = values(market([], end=end, mids=[(0.2, 100), (300.5, 120)]), "event")
    assert got["realised_volatility_300s"][-1] == pytest.approx(1e4 * log(120 / 100) if inside else 0.0)


def test_fills_of_one_parent_are_one_print() -> None:
    stream = market([(1.0, "B", 3), (1.001, "B", 4), (2.0, "B", 5), (3.0, "A", 9), (4.0, "N", 8)], end=70.0)
    events = stream.events.copy()
    trades = np.flatnonzero(events["action"] == ev.TRADE)
    events["ts_event"][trades[1]] = events["ts_event"][trades[0]]
    got = values(
        replace(stream, events=events), 500 * MS, large_print_mode="notional", large_print_notional=700.0
    )
    at = {seconds: round(seconds * 2) - 1 for seconds in (1.0, 1.5, 3.5, 4.5, 61.0, 61.5, 64.0, 64.5)}
    assert got["large_prints_1m"][at[1.0]] == 0.0
    assert got["large_buy_volume_1m"][at[1.5]] == 7.0
    assert (got["large_print_size"][at[1.5]], got["large_print_side"][at[1.5]]) == (7.0, 1.0)
    assert (got["large_print_size"][at[3.5]], got["large_print_side"][at[3.5]]) == (9.0, 0.0)
    assert got["large_print_size"][at[4.5]] == 8.0
    assert isnan(got["large_print_side"][at[4.5]])  # counted, of no side
    assert (got["large_buy_volume_1m"][at[4.5]], got["large_sell_volume_1m"][at[4.5]]) == (7.0, 9.0)
    assert got["large_prints_1m"][at[4.5]] == 3.0
    assert got["large_prints_1m"][at[64.5]] == 0.0


def test_a_print_is_judged_when_it_closes() -> None:
    """For 100 ms more of it may come; the next trade of another time or side ends the wait."""
    named = {"large_print_mode": "notional", "large_print_notional": 0.0}
    assert (
        values(market([(1.0, "B", 3)], end=1.3), 10 * MS, **named)["large_prints_1m"][-30:]
        == [0.0] * 10 + [1.0] * 20
    )
    got = values(market([(1.0, "B", 3), (1.02, "B", 3)], end=1.3), 10 * MS, **named)["large_prints_1m"]
    assert got[-30:] == [0.0] * 2 + [1.0] * 10 + [2.0] * 18


@pytest.mark.parametrize(("size", "large"), [(99, 0.0), (100, 1.0)])
def test_a_print_of_just_the_notional_is_large(size: int, large: float) -> None:
    """0.01 means a hundredth, not the number of base two next to it."""
    stream = market([(1.0, "B", size)], end=2.5, lot=1_000)
    got = values(stream, 500 * MS, large_print_mode="notional", large_print_notional=0.01)
    assert got["large_prints_1m"][-1] == large


def test_only_what_few_past_prints_match_is_large() -> None:
    """A hundred prints of 1 to 100 lots; then the quantile forgets them by half hours."""
    deals = [(1.0 + k, "B", 1 + k) for k in range(100)]
    got = values(
        market([*deals, (110.0, "A", 90), (120.0, "A", 104), (3_700.0, "B", 90)], end=3_710.0),
        10 * SECOND,
        large_print_notional=1.0,
    )
    assert np.isnan(got["large_prints_1m"][:10]).all()  # 99 prints are too few to judge by
    assert got["large_prints_1m"][10] == 0.0
    assert got["large_print_side"][:12] == pytest.approx([nan] * 12, nan_ok=True)  # 90: a dozen were as large
    # 104 shares its step (104 to 111) with none of the hundred.
    assert (got["large_print_size"][12], got["large_print_side"][12]) == (104.0, 0.0)
    assert got["large_sell_volume_1m"][12:19] == [104.0] * 6 + [0.0]
    assert np.isnan(got["large_prints_1m"][-1])  # two half hours later a quarter of their weight is left


@pytest.mark.parametrize(("least", "known"), [(26.0, True), (27.0, False)])
def test_half_hours_halve_the_weight_of_past_prints(least: float, known: bool) -> None:
    deals = [(1.0 + k, "B", 1 + k % 9) for k in range(102)]
    stream = market([*deals, (3_700.0, "B", 5)], end=3_710.0)  # 102 / 4 + 1
    got = values(stream, 10 * SECOND, large_print_least=least)["large_prints_1m"]
    assert np.isfinite(got[-1]) == known


def test_buckets_by_hand() -> None:
    """Buckets of four lots, alternately +2, then a sale that fills three and leaves one lot."""
    deals = [(0.1 * k, "BBAB"[k % 4], 1) for k in range(1, 1 + 36)]
    got = values(market([*deals, (5.0, "A", 13)], end=7.0), vpin_bucket_volume=4.0)
    assert isnan(got["vpin"][4])  # nine buckets
    assert got["vpin"][5] == (9 * 2 + 3 * 4) / (12 * 4)
    assert got["vpin_bucket"] == [4.0] * 7


def test_a_bucket_is_a_minute_of_the_instruments_own_volume() -> None:
    got = values(market([(0.5 + k, "B", 2) for k in range(90)], end=90.0))
    assert np.isnan(got["vpin_bucket"][:60]).all()
    assert got["vpin_bucket"][60:] == [120.0] * 30  # 60 trades in the first 60 s


def test_a_trade_larger_than_the_window_is_poured_at_once() -> None:
    """Nothing of what it pushes out is left: not the bucket that was bought and sold by halves."""
    stream = market([(0.1, "B", 1), (0.2, "A", 1), (0.5, "B", 2**50)], end=1.0)
    engine = Engine(stream.resolve, every=SECOND, features=["vpin"], settings={"vpin_bucket_volume": 2.0})
    table = run(engine, stream.events)
    assert (table.columns["vpin"].tolist(), table.columns["vpin_bucket"].tolist()) == ([1.0], [2.0])


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"large_print_mode": "classic"}, InputError, "one of quantile, notional"),
        ({"large_print_mode": 1.0}, InputError, "one of quantile, notional"),
        ({"cvd_trend_t": "high"}, InputError, "is a number"),
        ({"cvd_trend": 2.0}, UnknownName, "cvd_trend_t"),
    ],
)
def test_settings_that_are_none(settings: dict[str, float | str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Engine(lambda *_: Instrument("test", "S", 1), settings=settings)
