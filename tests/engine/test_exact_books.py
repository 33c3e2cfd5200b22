"""Fast book = slow book, after every group of every hostile stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from depthscope.book.state import COUNTERS
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.market.layouts import STATE_NAMES
from tests.reference.book import Level
from tests.reference.engine import Desk, SlowEngine, as_events
from tests.strategies.streams import L1, L2, MBO, TOB, Stream, examples, streams

TOP = 20
SIDES = (("bid", ev.BID), ("ask", ev.ASK))
NEVER = 10**18  # a grid step no test stream reaches


def levels(raw: tuple[Any, Any, Any]) -> list[Level]:
    """Raw arrays as (price, size, orders) tuples."""
    return list(zip(*(line.tolist() for line in raw), strict=True))


def same_book(engine: Engine, desk: Desk, *, whole: bool) -> None:
    """Compare one instrument: the levels its group touched, the top 20 (or everything), status."""
    book = engine.book(desk.slot)
    for name, side in SIDES:
        slow = desk.book.side(side, None if whole else TOP)
        assert levels(book.raw(name, None if whole else TOP)) == slow
        touched = {price for where, price in desk.book.touched if where == side}
        if touched and not whole:
            prices, sizes, orders = book.raw(name)
            wanted = np.array(sorted(touched, reverse=side == ev.BID), np.int64)
            sign = -1 if side == ev.BID else 1
            places = np.searchsorted(sign * prices, sign * wanted)
            for price, place in zip(wanted.tolist(), places.tolist(), strict=True):
                there = place < len(prices) and prices[place] == price
                found = [int(sizes[place]), int(orders[place])] if there else None
                assert found == desk.book.levels[side].get(price), f"{name} {price}"
        best = slow[0] if slow else None
        mul, div = desk.instrument.size_ratio
        assert getattr(book, f"best_{name}") == (best and best[0] / 1e9)
        assert getattr(book, f"{name}_size") == (best and best[1] * mul / div)
    desk.book.touched.clear()
    assert book.state == STATE_NAMES[desk.state]
    assert book.incomplete == desk.book.incomplete
    assert book.ts == desk.ts
    assert engine.counters(desk.slot) == {name: desk.counters.get(name, 0) for name in COUNTERS}
    if book.order_count is not None:
        assert book.order_count == len(desk.book.orders)


def follow(stream: Stream, kinds: tuple[str, ...] = (MBO, L2, L1)) -> None:
    """Feed both engines group by group and compare after each."""
    fast = Engine(stream.resolve, every=NEVER, features=[])
    done: list[Desk] = []
    slow = SlowEngine(stream.resolve, NEVER, on_group=lambda desk, _: done.append(desk))
    events, fed = stream.events, 0
    for last in np.flatnonzero(events["flags"] & ev.LAST).tolist():
        piece = events[fed : last + 1]
        fed = last + 1
        fast.process(piece)
        slow.feed(as_events(piece))
        assert fast.symbols == [desk.instrument.symbol for desk in slow.desks.values()]
        same_book(fast, done[-1], whole=False)
    fast.process(events[fed:])
    slow.feed(as_events(events[fed:]))
    fast.finish()
    slow.finish()
    assert fast.clock == slow.clock
    for desk in slow.desks.values():
        same_book(fast, desk, whole=True)
        if MBO in kinds and desk.instrument.capabilities & Capability.MBO:
            desk.book.check()


@examples(400)
@given(streams())
def test_any_stream(stream: Stream) -> None:
    follow(stream)


@examples(150)
@given(streams(kinds=(MBO,), instruments=(1, 1), events=(120, 400)))
def test_one_deep_order_by_order_book(stream: Stream) -> None:
    follow(stream)


@examples(100)
@given(streams(kinds=(L2, L1), instruments=(1, 3), events=(60, 300)))
def test_level_and_quote_feeds(stream: Stream) -> None:
    follow(stream)


@examples(60)
@given(streams(kinds=(TOB,), instruments=(1, 2), events=(0, 120)))
def test_top_of_book_adds_replace_their_side_and_are_no_orders(stream: Stream) -> None:
    """Databento's equities venues without depth: every add is the side's new best, ids are 0."""
    follow(stream, (TOB,))


@examples(60)
@given(streams(instruments=(6, 6), interleave=True, events=(60, 260)))
def test_interleaved_groups_of_many_instruments(stream: Stream) -> None:
    follow(stream)


@pytest.mark.slow
@examples(20_000)
@given(streams(instruments=(1, 6), events=(0, 400)))
def test_many_more_streams(stream: Stream) -> None:
    follow(stream)
