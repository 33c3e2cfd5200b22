"""The slow reference itself, against cases worked by hand and the facts of the ES recording."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import LIVE, STALE, SYNCING
from tests.reference.book import Event, SlowBook
from tests.reference.dbn import read_mbo
from tests.reference.engine import BOOK_ACTIONS, Desk, SlowEngine, as_events, depth_within, order_flow

TICK = 250_000_000
ES = Instrument("GLBX.MDP3", "ESH4", TICK, capabilities=Capability.MBO | Capability.AGGRESSOR)
BLANK = Event(0, 0, 0, ev.UNDEF_PRICE, 0, 0, 1, 0, 1, 0, ev.NONE, ev.NO_SIDE, ev.LAST, 0)


def event(
    letter: str, side: str = "N", oid: int = 0, price: int = ev.UNDEF_PRICE, size: int = 0, **more: int
) -> Event:
    return replace_event(
        BLANK, action=ord(letter), side=ord(side), order_id=oid, price=price, size=size, **more
    )


def replace_event(base: Event, **changes: int) -> Event:
    return base._replace(**changes)


def book(*events: Event, top_only: bool = False, negative: bool = False) -> SlowBook:
    made = SlowBook(TICK, allows_negative=negative, top_only=top_only)
    for one in events:
        made.apply(one)
    return made


def test_a_partial_cancel_reduces_an_order() -> None:
    made = book(
        event("A", "B", 0, 10 * TICK, 5), event("A", "B", 9, 10 * TICK, 2), event("C", "B", 0, size=3)
    )
    assert made.side(ev.BID) == [(10 * TICK, 4, 2)]
    made.apply(event("C", "B", 0, size=2))
    assert made.side(ev.BID) == [(10 * TICK, 2, 1)]
    made.apply(event("C", "B", 9, size=7))
    assert made.side(ev.BID) == []
    assert made.counters["over_cancel"] == 1
    assert not made.incomplete


def test_a_modify_moves_price_size_and_side() -> None:
    made = book(event("A", "B", 1, 10 * TICK, 5), event("M", "A", 1, 12 * TICK, 8))
    assert (made.side(ev.BID), made.side(ev.ASK)) == ([], [(12 * TICK, 8, 1)])
    made.apply(event("M", "N", 1, 13 * TICK, 2))
    assert made.side(ev.ASK) == [(13 * TICK, 2, 1)]
    made.apply(event("M", "A", 1, 13 * TICK, 0))
    assert made.side(ev.ASK) == []
    assert made.orders == {}


def test_unknown_orders_are_counted_and_make_the_book_incomplete_until_a_clear() -> None:
    made = book(event("C", "B", 4, size=1), event("M", "A", 5, 11 * TICK, 3))
    assert made.incomplete
    assert made.side(ev.ASK) == [(11 * TICK, 3, 1)]
    assert (made.counters["unknown_cancel"], made.counters["unknown_modify"]) == (1, 1)
    made.apply(event("R"))
    assert not made.incomplete
    assert made.side(ev.ASK) == []


def test_a_live_id_added_again_replaces_its_order() -> None:
    made = book(event("A", "B", 1, 10 * TICK, 5), event("A", "A", 1, 14 * TICK, 2))
    assert (made.side(ev.BID), made.side(ev.ASK)) == ([], [(14 * TICK, 2, 1)])
    assert made.counters["duplicate"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        event("A", "B", 1, 10 * TICK, 0),
        event("A", "B", 1, 10 * TICK, -1),
        event("A", "B", 1, ev.UNDEF_PRICE, 1),
        event("A", "N", 1, 10 * TICK, 1),
        event("A", "B", 1, -TICK, 1),
        event("M", "N", 1, 10 * TICK, 1),
        event("L", "N", 0, 10 * TICK, 1),
        event("L", "B", 0, -TICK, 1),
        event("?", "B", 1, 10 * TICK, 1),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_rejected(bad: Event) -> None:
    made = book(bad)
    assert made.counters == {"rejected": 1}
    assert made.side(ev.BID) == made.side(ev.ASK) == []


def test_negative_prices_rest_where_the_instrument_allows_them() -> None:
    made = book(event("A", "B", 1, -3 * TICK, 1), event("A", "B", 2, -TICK - 1, 2), negative=True)
    assert made.side(ev.BID) == [(-TICK - 1, 2, 1), (-3 * TICK, 1, 1)]
    assert made.counters == {"off_tick": 1}


def test_levels_are_absolute_and_top_of_book_adds_empty_their_side() -> None:
    made = book(
        event("L", "A", 0, 11 * TICK, 5, aux=3), event("L", "A", 0, 12 * TICK, 1), event("L", "A", 0, TICK, 0)
    )
    assert made.side(ev.ASK) == [(11 * TICK, 5, 3), (12 * TICK, 1, 0)]
    made.apply(event("L", "A", 0, 11 * TICK, 0))
    assert made.side(ev.ASK) == [(12 * TICK, 1, 0)]
    made.apply(event("A", "A", 0, 13 * TICK, 4, flags=ev.TOB))
    assert made.side(ev.ASK) == [(13 * TICK, 4, 0)]
    made.apply(event("A", "B", 0, 12 * TICK, 1, flags=ev.TOB))
    assert made.side(ev.ASK) == [(13 * TICK, 4, 0)], "both sides carry order id 0"
    made.apply(event("A", "A", 0, ev.UNDEF_PRICE, 0, flags=ev.TOB))
    assert made.side(ev.ASK) == []
    assert made.counters == {}


def test_quotes_make_an_l1_book_and_only_that() -> None:
    quotes = (event("Q", "B", 0, 10 * TICK, 5, aux=2), event("Q", "B", 0, 9 * TICK, 4))
    assert book(*quotes, top_only=True).side(ev.BID) == [(9 * TICK, 4, 0)]
    assert book(*quotes, event("Q", "B", 0, ev.UNDEF_PRICE, 9), top_only=True).side(ev.BID) == []
    assert book(*quotes).side(ev.BID) == []


def test_trades_and_fills_never_touch_the_book() -> None:
    made = book(event("A", "B", 1, 10 * TICK, 5))
    for letter in "TFNS":
        made.apply(event(letter, "B", 1, 10 * TICK, 5))
    assert made.side(ev.BID) == [(10 * TICK, 5, 1)]
    assert made.counters == {}
    made.apply(event("T", "B", 1, ev.UNDEF_PRICE, 5))
    made.apply(event("T", "B", 1, 10 * TICK, 0))
    assert made.counters == {"rejected": 2}


def test_order_flow_by_hand() -> None:
    before = ([(100, 5, 1), (99, 7, 1)], [(101, 4, 1)])
    assert order_flow(before, ([(100, 8, 1), (98, 1, 1)], [(101, 4, 1)]))[:2] == [3, 0]  # size joins the bid
    assert order_flow(before, ([(101, 2, 1)], [(102, 6, 1)]))[0] == 2 + 4  # both move up
    assert order_flow(before, ([(99, 7, 1)], [(101, 1, 1)]))[0] == -5 + 3  # bid steps down, ask thins
    assert order_flow(before, ([], [(101, 1, 1)]))[0] == 0  # a side is missing: nothing to compare


def test_depth_within_counts_the_edges() -> None:
    made = book(
        event("A", "B", 1, 9_999, 1), event("A", "B", 2, 9_995, 2), event("A", "B", 3, 9_994, 4),
        event("A", "A", 4, 10_001, 8), event("A", "A", 5, 10_006, 16),
    )  # fmt: skip
    assert depth_within(made, 5) == (1 + 2, 8)
    assert depth_within(made, 10) == (7, 24)
    assert depth_within(book(event("A", "B", 1, 9_999, 1)), 5) == (0, 0)


def test_states() -> None:
    desk = Desk(0, ES)
    desk.apply([event("T", "B", 0, TICK, 1)], 1)
    assert (desk.state, desk.started_at) == (SYNCING, 1)
    desk.apply([event("A", "B", 1, TICK, 1)], 2)
    assert desk.state == LIVE
    desk.apply([event("X")], 3)
    desk.apply([event("A", "B", 2, TICK, 1)], 4)
    assert desk.state == STALE
    desk.apply([event("R", flags=ev.SNAPSHOT), event("A", "B", 2, TICK, 1, flags=ev.SNAPSHOT | ev.LAST)], 5)
    assert desk.state == LIVE
    assert (desk.counters["gaps"], desk.counters["clears"], desk.counters["snapshots"]) == (1, 1, 1)


def test_rows_start_after_the_snapshot_and_end_with_the_stream() -> None:
    engine = SlowEngine(lambda *_: ES, 100)
    add = event("A", "B", 1, TICK, 1)
    engine.feed([replace_event(add, ts_recv=10, flags=ev.SNAPSHOT | ev.LAST)])
    engine.feed([replace_event(add, ts_recv=1_000, order_id=2)])  # exactly on a boundary: not in that row
    engine.feed([replace_event(add, ts_recv=1_250, order_id=3, flags=0)])  # never ends
    engine.finish()
    assert [row.ts for row in engine.rows] == [1_100, 1_200]
    assert [row.bids[0][2] for row in engine.rows] == [2, 2]
    assert [row.flow.groups for row in engine.rows] == [2, 0]
    assert engine.dropped == 1


def test_a_group_lands_whole_at_the_time_of_its_last_record() -> None:
    engine = SlowEngine(lambda *_: ES, 100)
    add = event("A", "B", 1, TICK, 1)
    engine.feed([replace_event(add, ts_recv=1_050)])
    engine.feed([replace_event(add, ts_recv=1_090, order_id=2, flags=0)])
    engine.feed([replace_event(add, ts_recv=1_110, order_id=3)])
    engine.feed([replace_event(add, ts_recv=900, order_id=4)])  # time going back is clamped
    engine.feed([replace_event(BLANK, ts_recv=1_200)])
    engine.finish()
    assert [(row.ts, row.bids[0][2], row.ts_recv) for row in engine.rows] == [
        (1_100, 1, 1_050),
        (1_200, 4, 1_110),
    ]


@pytest.mark.real_data
def test_facts_of_the_es_recording(data_dir: Path) -> None:
    crossed: list[Event] = []

    def look(desk: Desk, group: list[Event]) -> None:
        bids, asks = desk.top
        if bids and asks and bids[0][0] >= asks[0][0] and any(e.action in BOOK_ACTIONS for e in group):
            crossed.append(group[-1])

    engine = SlowEngine(lambda *_: ES, 10**9, on_group=look)
    engine.feed(as_events(read_mbo(data_dir / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")))
    engine.finish()
    (desk,) = engine.desks.values()
    desk.book.check()
    assert {name: n for name, n in desk.counters.items() if n} == {
        "groups": 47_022,
        "trades": 2_973,
        "crossed": 891,
    }
    assert len(desk.book.orders) == 11_217
    assert (len(desk.book.levels[ev.BID]), len(desk.book.levels[ev.ASK])) == (922, 565)
    times = [datetime.fromtimestamp(e.ts_event // 10**9, UTC).time().isoformat() for e in crossed]
    assert (len(crossed), times[0], times[-1]) == (891, "22:39:55", "22:59:59")
    assert engine.rows[0].ts == 1_703_541_601_000_000_000, (
        "rows start with trading, not at the midnight stamp"
    )
