"""Groups of plain records in a dense book: many orders a level, long groups, now and then something odd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.book.state import COUNTERS, PENDING
from depthscope.engine import Engine
from depthscope.features.driver import TRACE_ROWS
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.market.layouts import FLOW_FIELDS, OFI_LEVELS, TRACE_EVERY, TRACE_GROUPS
from tests.engine.harness import cuts_of
from tests.engine.test_exact_rows import same_rows
from tests.engine.test_exact_traces import TOLD, Tracer
from tests.reference.engine import Near, as_events
from tests.strategies.streams import CAPABILITIES, MBO, MS, START, Stream, examples

TICK = 250_000_000
CENTRE = 20_000
DEEP = 14  # ticks a side that orders stand on: a few more than the cached top holds
KEY = (1, 17077)
PROGRAMS = st.integers(0, 300).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


class Market:
    """Writes records of a book that is two-sided and dense from its first group on."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.orders: dict[int, list[int]] = {}  # id -> side, tick, size
        self.ids = 0
        for k in range(2 * DEEP):
            self.add(k % 2, k // 2, 10 + k, last=True)

    def put(self, action: int, side: int, order: int, price: int, size: int, *, last: bool) -> None:
        """Write one record."""
        flags = ev.LAST if last else 0
        ts = START + MS * len(self.rows)
        place = (KEY[1], 0, KEY[0], 0, action, side, flags, 0)
        self.rows.append((ts, ts, order, price, size, len(self.rows), *place))

    @staticmethod
    def price(side: int, depth: int) -> int:
        """Price so many ticks into a side of the book."""
        return (CENTRE + 1 + depth if side else CENTRE - depth) * TICK

    def add(self, side: int, depth: int, size: int, *, last: bool) -> None:
        """Add an order."""
        self.ids += 1
        self.orders[self.ids] = [side, depth, size]
        letter = ev.ASK if side else ev.BID
        self.put(ev.ADD, letter, self.ids, self.price(side, depth), size, last=last)

    def step(self, op: int, pick: int, amount: int, *, last: bool) -> None:
        """One record, as a few bytes say."""
        if not self.orders or op < 80:
            self.add(pick & 1, (pick >> 1) % DEEP, 1 + amount % 9, last=last)
            return
        order = list(self.orders)[pick % len(self.orders)]
        side, depth, size = self.orders[order]
        letter = ev.ASK if side else ev.BID
        price = self.price(side, depth)
        if op < 150:  # cancel, often in part
            taken = size if amount % 3 == 0 else 1 + amount % size
            if taken == size:
                del self.orders[order]
            else:
                self.orders[order][2] -= taken
            self.put(ev.CANCEL, letter, order, price, taken, last=last)
        elif op < 215:  # modify, often to another level
            to = depth if amount % 3 == 0 else amount % DEEP
            self.orders[order][1:] = to, 1 + amount % 11
            self.put(ev.MODIFY, letter, order, self.price(side, to), 1 + amount % 11, last=last)
        elif op < 230:
            self.put(ev.FILL, letter, order, price, 1 + amount % size, last=last)
        elif op < 245:
            self.put(ev.TRADE, ev.BID if side else ev.ASK, 0, price, 1 + amount, last=last)
        elif op < 248:  # of an order nobody knows
            self.put(ev.CANCEL, letter, 10**9 + amount, price, 1, last=last)
        elif op < 250:  # more than there is
            del self.orders[order]
            self.put(ev.CANCEL, letter, order, price, size + 1, last=last)
        elif op < 252:  # off the grid, far away, larger than fits: all exact all the same
            self.ids += 1
            odd = (price + 1, 85 * 10**9, price)[amount % 3]
            self.put(ev.ADD, letter, self.ids, odd if side == 0 else price, 2**32 + amount, last=last)
        elif op < 254:
            self.put(ev.MODIFY, letter, order, price, 0, last=last)
            del self.orders[order]
        else:
            self.put(ev.NONE, ev.NO_SIDE, 0, ev.UNDEF_PRICE, 0, last=last)

    def stream(self) -> Stream:
        """What was written."""
        events = np.array(self.rows, ev.EVENT)
        return Stream(events, {KEY: Instrument("test", "S0", TICK, capabilities=CAPABILITIES[MBO])})


def decode(program: bytes) -> Stream:
    """A stream of one record for each four bytes."""
    market = Market()
    for k in range(0, len(program) - 3, 4):
        op, pick, amount, cut = program[k : k + 4]
        market.step(op, pick, amount, last=cut >= 60 or k + 8 > len(program))
    return market.stream()


def same(stream: Stream, size: int) -> None:
    """Every row of both engines, what groups add up to, and the book at the end."""
    slow = Tracer(stream)
    slow.follow(as_events(stream.events))
    (desk,) = slow.desks.values()
    levels, near = [0] * OFI_LEVELS, Near()
    sums: list[Any] = []
    for past in desk.history:
        levels = [a + b for a, b in zip(levels, past.levels, strict=True)]
        near.join(past.near)
        sums.append([levels, *near.values().values()])
    fast = Engine(stream.resolve, features=[])
    told: list[Any] = []
    groups: list[Any] = []
    for piece in cuts_of(stream.events, size):
        for _, rows in fast.trace_blocks(piece, TRACE_EVERY | TRACE_GROUPS):
            told += rows[[name for name in TOLD if name != "event"]].tolist()
            fields = ("levels", *(name for name, *_ in FLOW_FIELDS))
            groups += [[row[name].tolist() for name in fields] for row in rows[rows["last"] != 0]]
    names = [name for name in TOLD if name != "event"]
    assert told == [tuple(line[name] for name in names) for line in slow.lines]
    assert groups == sums
    assert fast.counters(0) == {name: desk.counters.get(name, 0) for name in COUNTERS}
    book = fast.book(0)
    assert (book.ts, book.order_count) == (desk.ts, len(desk.book.orders))
    for name, side in (("bid", ev.BID), ("ask", ev.ASK)):
        got = list(zip(*(line.tolist() for line in book.raw(name, None)), strict=True))
        assert got == desk.book.side(side, None)


@examples(120)
@given(PROGRAMS, st.sampled_from((1, 7, 1_000)))
def test_a_dense_book(program: bytes, size: int) -> None:
    same(decode(program), size)


@pytest.mark.parametrize("changes", [PENDING - 1, PENDING, PENDING + 1, 3 * PENDING])
@pytest.mark.parametrize("sides", [1, 2])
def test_groups_that_change_more_levels_than_are_listed(changes: int, sides: int) -> None:
    market = Market()
    for k in range(changes):
        market.add(k % sides, k % OFI_LEVELS, 1 + k, last=k == changes - 1)
    market.add(0, 0, 5, last=True)
    same(market.stream(), 1_000)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7])
def test_a_full_trace_loses_no_row(length: int) -> None:
    """However groups and the buffer of TRACE rows fit."""
    market = Market()
    for k in range(2 * TRACE_ROWS + 100):
        market.step(160, 3 * k, 7 * k, last=k % length == 0)
    stream = market.stream()
    rows = [r["event"].copy() for _, r in Engine(stream.resolve, features=[]).trace_blocks(stream.events)]
    whole = int(np.flatnonzero(stream.events["flags"] & ev.LAST)[-1]) + 1
    assert np.concatenate(rows).tolist() == list(range(whole))


def test_rows_of_the_grid_fall_between_plain_groups() -> None:
    """A boundary that a group's time meets exactly comes before it."""
    market = Market()
    rng = np.random.default_rng(5)
    for _ in range(3_000):
        op, pick, amount = (int(rng.integers(0, 246)), int(rng.integers(0, 256)), int(rng.integers(0, 256)))
        market.step(op, pick, amount, last=bool(rng.integers(0, 4)))
    stream = market.stream()
    for every in (MS, 7 * MS, 100 * MS):
        assert len(same_rows(stream, every, features=["mid", "ofi"])) > 10
