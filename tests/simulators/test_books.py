"""The exchange's own books: against the sum of orders, and against the engine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_books import ASKS, BIDS, Book
from tests.simulators.market import event

PRICES = st.integers(95, 105)
SIDES = st.sampled_from([ev.BID, ev.ASK])
ORDER_ROWS = st.lists(
    st.one_of(
        st.tuples(st.just(ev.ADD), SIDES, PRICES, st.integers(1, 9), st.integers(1, 12)),
        st.tuples(st.just(ev.CANCEL), SIDES, PRICES, st.integers(0, 9), st.integers(1, 12)),
        st.tuples(st.just(ev.MODIFY), SIDES, PRICES, st.integers(0, 9), st.integers(1, 12)),
        st.tuples(st.just(ev.TRADE), SIDES, PRICES, st.integers(1, 9), st.integers(1, 12)),
        st.tuples(st.just(ev.FILL), SIDES, PRICES, st.integers(1, 9), st.integers(1, 12)),
        st.tuples(st.just(ev.CLEAR), st.just(ev.NO_SIDE), PRICES, st.just(0), st.just(0)),
    ),
    max_size=60,
)


def sums(orders: dict[int, list[int]]) -> tuple[dict[int, int], dict[int, int]]:
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for side, price, size in orders.values():
        sides[side][price] = sides[side].get(price, 0) + size
    return sides


@given(ORDER_ROWS)
def test_levels_are_the_sums_of_orders(rows: list[tuple[int, int, int, int, int]]) -> None:
    book, orders = Book(1), dict[int, list[int]]()
    for action, side, price, size, order in rows:
        book.apply(event(0, action, side, price, size, order=order))
        known = orders.get(order)
        wanted = [BIDS if side == ev.BID else ASKS, price, size]
        if action == ev.CLEAR:
            orders.clear()
        elif (
            action == ev.ADD
            or (action == ev.MODIFY and size and not known)
            or (action == ev.MODIFY and known)
        ):
            orders[order] = wanted
        elif action == ev.CANCEL and known and size:
            known[2] -= size
        orders = {k: v for k, v in orders.items() if v[2] > 0}
        assert book.sides == sums(orders)
        bids, asks = book.sides
        assert book.best(BIDS) == ((max(bids), bids[max(bids)]) if bids else None)
        assert book.best(ASKS) == ((min(asks), asks[min(asks)]) if asks else None)
        assert [p for p, _ in book.top(BIDS, 3)] == sorted(bids, reverse=True)[:3]


LEVEL_ROWS = st.lists(st.tuples(st.sampled_from([BIDS, ASKS]), PRICES, st.integers(0, 3)), max_size=40)


@given(LEVEL_ROWS, LEVEL_ROWS)
def test_a_window_knows_what_was_before(first: Any, second: Any) -> None:
    book = Book(2)
    for side, price, lots in first:
        book.set_level(side, price, lots)
    kept = (dict(book.sides[0]), dict(book.sides[1]))
    book.touched[0].clear()
    for side, price, lots in second:
        book.set_level(side, price, lots)
    assert book.before(0) == kept
    assert set(book.touched[0]) == {(side, price) for side, price, _ in second}
    assert book.before(1) == ({}, {})  # never cleared: the empty book it began as


@pytest.mark.parametrize(
    "row",
    [
        event(0, ev.ADD, ev.BID, ev.UNDEF_PRICE, 5, order=1),
        event(0, ev.ADD, ev.BID, 0, 5, order=1),
        event(0, ev.ADD, ev.BID, -100, 5, order=1),
        event(0, ev.ADD, ev.NO_SIDE, 100, 5, order=1),
        event(0, ev.ADD, ev.BID, 100, 0, order=1),
        event(0, ev.CANCEL, ev.BID, 100, 5, order=1),
        event(0, ev.LEVEL, ev.NO_SIDE, 100, 5),
        event(0, ev.LEVEL, ev.BID, 100, -5),
        event(0, ev.ADD, ev.NO_SIDE, 100, 5, flags=ev.TOB),
    ],
)
def test_rows_that_say_nothing_do_nothing(row: tuple[Any, ...]) -> None:
    book = Book(1)
    book.apply(row)
    assert book.sides == ({}, {})
    assert book.changes == 0


def test_a_quote_replaces_its_side() -> None:
    book = Book(1)
    book.set_level(BIDS, 99, 4)
    book.set_level(BIDS, 98, 4)
    book.apply(event(0, ev.ADD, ev.BID, 100, 5, flags=ev.TOB | ev.LAST))
    assert book.sides[BIDS] == {100: 5}


def test_what_is_there_by_hand_comes_on_top_and_goes_again() -> None:
    book = Book(1)
    book.add_by_hand(BIDS, 100, 1)
    book.add_by_hand(BIDS, 100, 1)
    book.set_level(BIDS, 100, 5)
    assert book.sides[BIDS] == {100: 7}
    book.apply(event(0, ev.CLEAR))
    assert book.sides[BIDS] == {100: 2}
    book.apply(event(0, ev.ADD, ev.BID, 100, 3, order=1))
    book.add_by_hand(BIDS, 100, -1)
    assert book.sides[BIDS] == {100: 4}
    book.add_by_hand(BIDS, 100, -1)
    assert book.best(BIDS) == (100, 3)
    book.apply(event(0, ev.CLEAR))
    assert book.best(BIDS) is None


def test_negative_prices_where_they_are_prices() -> None:
    book = Book(1, negative=True)
    book.apply(event(0, ev.LEVEL, ev.BID, -100, 5))
    assert book.best(BIDS) == (-100, 5)


def compare_with_engine(source: Any) -> int:
    """Levels compared, after every chunk, of books whose code has nothing in common."""
    engine = Engine(source.resolve, features=[])
    books: dict[tuple[int, int], Book] = {}
    compared = 0
    for chunk in source.chunks():
        for row in chunk.tolist():
            books.setdefault((row[8], row[6]), Book(1)).apply(row)
        engine.process(chunk)
        for (publisher, number), book in books.items():
            of = source.resolve(publisher, number)
            theirs = engine.book(of.symbol)
            for side, which in (("bid", BIDS), ("ask", ASKS)):
                prices, lots, _ = theirs.raw(side)
                assert dict(zip(prices.tolist(), lots.tolist(), strict=True)) == book.sides[which]
                compared += len(prices)
    return compared


def test_books_are_those_of_the_engine() -> None:
    # One chunk boundary falls inside no group: the engine shows groups, a plain book shows rows.
    source = open_source("synthetic:seed=5,minutes=2,symbols=3", chunk=1 << 20)
    assert compare_with_engine(source) > 1_000


@pytest.mark.real_data
def test_books_are_those_of_the_engine_on_es(data_dir: Path) -> None:
    path = data_dir / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    assert compare_with_engine(open_source(path, chunk=1 << 20)) == 922 + 565
