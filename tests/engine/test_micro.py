"""Features of flow at several levels: their definitions on all kinds of grids, golden cases."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.features.kit import Setting
from depthscope.features.microprice import Microprice, MicropriceTable
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.engine.harness import MS, Table, close, run
from tests.engine.test_tape import stretched
from tests.reference.engine import SlowEngine, as_events
from tests.reference.micro import SlowMicro
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

FEATURES = ["ofi_scaled", "pulled_stacked", "liquidity_score", "microprice"]
SECOND = 1_000 * MS
GRIDS = ("event", 100 * MS, SECOND, 300 * MS, 7 * SECOND)


def same_micro(
    stream: Stream,
    every: int | str,
    size: int | None = None,
    *,
    sparse: bool = False,
    settings: dict[str, Setting] | None = None,
) -> Table:
    """Run the features over a stream and compare each row with the definitions."""
    engine = Engine(stream.resolve, every=every, sparse=sparse, features=FEATURES, settings=settings)
    table = run(engine, stream.events, size)
    slow = SlowEngine(stream.resolve, every, sparse=sparse)
    slow.feed(as_events(stream.events))
    slow.finish()
    makers = [SlowMicro(d, by_event=every == "event", settings=settings) for d in slow.desks.values()]
    assert len(table) == len(slow.rows)
    for k, row in enumerate(slow.rows):
        want = makers[row.slot](row)
        assert set(table.columns) <= set(want)
        for name, line in table.columns.items():
            got, value = float(line[k]), want[name]
            assert close(got, value, 1e-9, 1e-12), f"row {k} {name}: {got!r} != {value!r}"
    return table


def model(symbol: str) -> Microprice:
    """Adjustments without any order, one state unknown."""
    lines = ((-0.4, -0.1, 0.0, 0.15, 0.5), (-1.0, None, 0.25, 0.5, 1.0))
    return Microprice((MicropriceTable(symbol, lines, 10, 5, 0, 1, 6),))


@examples(80)
@given(
    streams(events=(20, 160), kinds=(MBO, L2, L1), instruments=(1, 2)),
    st.sampled_from(GRIDS),
    st.sampled_from((1, 10, 60)),
    st.sampled_from((None, 1, 7)),
    st.booleans(),
)
def test_definitions(stream: Stream, every: int | str, factor: int, size: int | None, sparse: bool) -> None:
    settings: dict[str, Setting] = {f"integrated_ofi_w{k}": 0.3 - 0.05 * k for k in range(1, 11)}
    settings |= {"liquidity_least": 2.0, "microprice": model("S0")}
    same_micro(stretched(stream, factor), every, size, sparse=sparse, settings=settings)


@pytest.mark.parametrize("seed", [1, 2])
def test_values_do_not_depend_on_the_grid(seed: int) -> None:
    """At the times that grids share, those that divide the windows and those that do not."""
    stream = stretched(seeded_stream(seed, 3_000, 1), 10)
    tables = {
        every: run(Engine(stream.resolve, every=every, features=FEATURES[:2]), stream.events)
        for every in (100 * MS, 700 * MS, SECOND, 7 * SECOND)  # the score is read at rows
    }
    coarse = tables.pop(7 * SECOND)
    assert len(coarse) > 60
    for table in tables.values():
        shared = table.where(np.isin(table.meta["ts"], coarse.meta["ts"]))
        for name, line in coarse.columns.items():
            np.testing.assert_array_equal(shared.columns[name], line, name)
            assert np.isfinite(line).mean() > 0.3, name


Change = tuple[float, str, str, int, int]  # seconds, action, side, price, size


def book(changes: list[Change], *, end: float, kind: str = L2) -> Stream:
    """Level settings and trades at some times, each a group; size in lots of a half."""
    events = ev.empty_events(len(changes) + 1)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"] = ev.LAST
    seconds = [change[0] for change in changes] + [end]
    events["ts_recv"] = [START + int(t * 1e9) for t in seconds]
    events["ts_event"] = events["ts_recv"]
    for k, (_, action, side, price, size) in enumerate(changes):
        events["action"][k], events["side"][k] = ord(action), ord(side)
        events["price"][k], events["size"][k] = price * 10**9, size
    events["action"][-1] = ev.NONE
    able = CAPABILITIES[kind] | Capability.AGGRESSOR
    instrument = Instrument("test", "S", 10**9, 10**9 // 2, capabilities=able)
    return Stream(events, {(1, 1): instrument})


def values(stream: Stream, every: int | str = SECOND, **settings: Setting) -> dict[str, list[float]]:
    """Columns of a run, compared with the definitions on the way."""
    table = same_micro(stream, every, settings=settings or None)
    return {name: line.tolist() for name, line in table.columns.items()}


def test_flow_in_units_of_depth_by_hand() -> None:
    opening: list[Change] = [(0.1, "L", "B", 100, 8), (0.2, "L", "A", 101, 4)]
    got = values(
        book(
            [*opening, (0.5, "L", "B", 100, 12), (0.6, "L", "B", 99, 6), (0.7, "L", "A", 102, 2),
             (0.8, "L", "A", 102, 1), (3.5, "L", "B", 100, 0), (3.6, "L", "B", 99, 0)], end=12.0),
        integrated_ofi_w1=0.5, integrated_ofi_w2=0.25,
        **{f"integrated_ofi_w{k}": 0.0 for k in range(3, 11)},
    )  # fmt: skip
    # Groups with both sides: sizes (8, 4), (12, 4), and three more alike: a mean of (12 + 4 · 16) / 10.
    # Level 1 gained 4 bid; level 2 lost 1 ask once both sides had one.
    assert got["ofi_1s_norm"][0] == got["ofi_norm_l1_10s"][0] == pytest.approx(4 / 7.6)
    assert got["ofi_norm_l2_10s"][0] == pytest.approx(1 / 7.6)
    assert got["integrated_ofi_1s"][0] == pytest.approx((0.5 * 4 + 0.25) / 7.6)
    assert got["ofi_1s_norm"][1:3] == [0.0, 0.0]  # nothing happened
    assert got["ofi_10s_norm"][1:3] == pytest.approx([4 / 7.6] * 2)
    assert np.isnan(got["ofi_1s_norm"][3:]).all()
    assert np.isnan(got["integrated_ofi_10s"][3:]).all()


def test_a_stale_book_is_no_depth() -> None:
    stream = book([(0.1, "L", "B", 100, 8), (0.2, "L", "A", 101, 4), (0.3, "X", "N", 0, 0),
                   (0.4, "L", "B", 100, 90)], end=2.0)  # fmt: skip
    got = values(stream)
    assert got["ofi_1s_norm"][0] == pytest.approx(82 / 6)


def test_what_was_put_to_and_taken_from_a_side_by_hand() -> None:
    """Levels of a half lot: sizes below are lots, columns half as large."""
    asks: list[Change] = [(0.05, "L", "A", 101 + k, 10) for k in range(6)]
    got = values(
        book(
            [
                (0.01, "L", "B", 100, 8), *asks,  # all but the first, which made the book LIVE: 60 stacked
                (1.1, "L", "A", 101, 4), (1.2, "T", "B", 101, 4),  # 6 gone, of which 4 traded
                (1.3, "L", "A", 106, 1),  # 9 pulled at the sixth level
                (1.4, "L", "B", 99, 6), (1.5, "T", "N", 100, 3), (1.6, "L", "B", 100, 5),
                (2.1, "L", "A", 100, 7),  # better than any: 7 stacked
                (3.1, "X", "N", 0, 0), (3.2, "L", "A", 100, 1),  # a lost feed: nobody did that
            ],
            end=15.0,
        )
    )  # fmt: skip
    half = {name: [2 * value for value in line] for name, line in got.items()}
    assert half["stacked_ask_1s"][:4] == [50.0, 0.0, 7.0, 0.0]
    assert half["stacked_ask_top10_1s"][:4] == [60.0, 0.0, 7.0, 0.0]
    assert half["pulled_ask_1s"][:4] == [0.0, 2.0, 0.0, 0.0]
    assert half["pulled_ask_top10_1s"][:4] == [0.0, 11.0, 0.0, 0.0]
    assert half["stacked_bid_10s"][:3] == [0.0, 6.0, 6.0]
    assert half["pulled_bid_10s"][:3] == [0.0, 3.0, 3.0]  # nobody says who sold
    assert half["pulled_ask_top10_10s"][1:12] == [11.0] * 10 + [0.0]


def test_an_order_that_moves_is_pulled_and_stacked() -> None:
    changes: list[Change] = [
        (0.1, "A", "B", 100, 8), (0.2, "A", "A", 101, 5), (0.3, "M", "A", 102, 7),
        (0.4, "C", "A", 102, 3), (0.5, "R", "N", 0, 0), (0.6, "A", "B", 90, 4),
    ]  # fmt: skip
    stream = book(changes, end=2.0, kind=MBO)
    stream.events["order_id"] = [1, 2, 2, 2, 0, 3, 0]
    got = values(stream)
    assert (got["stacked_ask_1s"][0], got["pulled_ask_1s"][0]) == (6.0, 4.0)  # 5 + 7 lots; 5 + 3
    assert (got["stacked_bid_1s"][0], got["pulled_bid_1s"][0]) == (2.0, 0.0)  # the clear pulls nothing


def test_without_aggressors_nothing_is_known_to_be_pulled() -> None:
    stream = book([(0.1, "L", "B", 100, 8), (0.2, "L", "B", 100, 4)], end=2.0)
    (key,) = stream.instruments
    quiet = replace(stream.instruments[key], capabilities=Capability.L2 | Capability.TRADES)
    table = run(Engine(lambda *_: quiet, every=SECOND, features=["pulled_stacked"]), stream.events)
    assert [np.isnan(line).all() for line in table.columns.values()] == [
        name.startswith("pulled") for name in table.columns
    ]


def test_liquidity_by_hand() -> None:
    """Ties share the middle of their ranks; a reading is the latest of the hour it is ranked in."""
    sizes = (10, 20, 20, 5, 30)
    changes: list[Change] = [(0.1, "L", "A", 1_001, 10)]
    changes += [(k + 0.2, "L", "B", 1_000, size) for k, size in enumerate(sizes)]
    got = values(book([*changes, (3_602.5, "L", "B", 1_000, 0)], end=3_610.0), liquidity_least=2.0)
    score = got["liquidity_score"]
    assert isnan(score[0])
    assert score[1:5] == [1.5 / 2, 2 / 3, 0.5 / 4, 4.5 / 5]
    assert score[3_598] == pytest.approx((4 + 3_595 / 2) / 3_599)
    # Second 3,600 has the first reading still, the ones after it do not.
    assert score[3_600] == pytest.approx((3 + 3_597 / 2) / 3_600)
    assert score[3_601] == pytest.approx((2 + 3_598 / 2) / 3_600)
    assert np.isnan(score[3_602:]).all()


@pytest.mark.parametrize(
    ("bid", "ask", "spread", "ticks"),
    [
        (1, 9, 1, -0.4), (2, 8, 1, -0.1), (5, 5, 1, 0.0), (8, 2, 1, 0.15), (9, 1, 1, 0.5),
        (1, 9, 2, -1.0), (9, 1, 7, 1.0), (3, 7, 2, None), (3, 7, 0, None), (3, 7, -1, None),
    ],
)  # fmt: skip
def test_a_state_has_its_adjustment(bid: int, ask: int, spread: int, ticks: float | None) -> None:
    stream = book([(0.1, "L", "B", 100, bid), (0.2, "L", "A", 100 + spread, ask)], end=2.0)
    got = values(stream, microprice=model("S"))
    weighted = (100 * ask + (100 + spread) * bid) / (bid + ask)
    want = weighted if ticks is None else 100 + spread / 2 + ticks
    assert got["microprice"][0] == pytest.approx(want, rel=1e-15)
    assert got["microprice_fitted"][0] == float(ticks is not None)


def test_a_table_is_for_its_instrument_alone() -> None:
    stream = book([(0.1, "L", "B", 100, 1), (0.2, "L", "A", 101, 9)], end=2.0)
    for given_model in (model("T"), Microprice(())):
        got = values(stream, microprice=given_model)
        assert (got["microprice"][0], got["microprice_fitted"][0]) == (pytest.approx(100.1), 0.0)


@pytest.mark.parametrize("value", [0.5, "table.json"])
def test_a_model_is_no_number_and_no_word(value: float | str) -> None:
    with pytest.raises(InputError, match="is a fitted Microprice"):
        Engine(lambda *_: Instrument("test", "S", 1), settings={"microprice": value})


def test_a_number_is_no_model() -> None:
    with pytest.raises(InputError, match="decay is a number"):
        Engine(lambda *_: Instrument("test", "S", 1), settings={"decay": model("S")})
