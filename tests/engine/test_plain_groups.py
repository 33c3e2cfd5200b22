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
    names = [name for name in TOLD if name != "event"]
    fields = ("levels", *(name for name, *_ in FLOW_FIELDS))
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
            told += rows[names].tolist()
            groups += [[row[name].tolist() for name in fields] for row in rows[rows["last"] != 0]]
    assert told == [tuple(line[name] for name in names) for line in slow.lines]
    assert groups == sums
    assert fast.counters(0) == {name: desk.counters.get(name, 0) for name in COUNTERS}
    book = fast.book(0)
    assert (book.ts, book.order_count) == (desk.ts, len(desk.book.orders))
    for name, side in (("bid", ev.BID), ("ask", ev.ASK)):
        got = list(zip(*(line.tolist() for line in book.raw(name, None)), strict=True))
        assert got == desk.book.side(side, None)


@examples(60)
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


def both_ways(stream: Stream) -> list[Any]:
    """What is left of a stream whose groups are taken one by one, which none is as plain, and in runs."""
    left = []
    for every in ("event", 10**18):
        engine = Engine(stream.resolve, every=every, features=[])
        engine.process(stream.events)
        book = engine.book(0)
        levels = [[line.tolist() for line in book.raw(side, None)] for side in ("bid", "ask")]
        tops = [engine._books.books[0][name].tolist() for name in ("top_n", "top_price", "top_size", "best")]
        left.append([levels, tops, engine.counters(0), book.ts, book.order_count])
    return left


def test_an_order_of_a_level_that_was_set_to_nothing() -> None:
    """Orders and levels of one instrument contradict each other: told the same way all the same."""
    market = Market()
    market.add(0, 3, 5, last=True)
    order = market.ids
    market.put(ev.LEVEL, ev.BID, 0, market.price(0, 3), 0, last=True)
    market.put(ev.MODIFY, ev.BID, order, market.price(0, 5), 5, last=True)
    market.put(ev.LEVEL, ev.BID, 0, market.price(0, 3), 3, last=True)
    one, other = both_ways(market.stream())
    assert one == other


@pytest.mark.parametrize("action", [ev.ADD, ev.MODIFY])
def test_no_price_is_no_price_whatever_the_tick(action: int) -> None:
    """2**63 - 1 is a multiple of this tick, and the ladder stands there."""
    tick = 92_737
    market = Market()
    market.rows.clear()
    for k in range(4):
        market.put(ev.ADD, ev.ASK, 1 + k, ev.UNDEF_PRICE - (10 + k) * tick, 5, last=True)
    market.put(action, ev.ASK, 1 if action == ev.MODIFY else 9, ev.UNDEF_PRICE, 5, last=True)
    events = market.stream().events
    found = Instrument("test", "S0", tick, capabilities=CAPABILITIES[MBO])
    one, other = both_ways(Stream(events, {KEY: found}))
    assert one == other
    assert one[2]["rejected"] == 1


@examples(40)
@given(st.integers(0, 2**32), st.sampled_from((1, 7, 1_000)))
def test_books_in_turn(seed: int, size: int) -> None:
    """Each of several instruments has the rows it has alone."""
    rng = np.random.default_rng(seed)
    streams = [decode(rng.bytes(4 * 120)) for _ in range(3)]
    keys = [(1, 17077 + k) for k in range(3)]
    pieces = []
    for key, stream in zip(keys, streams, strict=True):
        stream.events["instrument_id"] = key[1]
        ends = np.flatnonzero(stream.events["flags"] & ev.LAST) + 1
        pieces += [piece for piece in np.split(stream.events, ends) if len(piece)]
    pieces.sort(key=lambda piece: int(piece["ts_recv"][-1]))
    found = streams[0].instruments[KEY]
    engine = Engine(lambda publisher, number: found, features=[])
    told: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    names = [name for name in TOLD if name not in ("event", "slot", "ts")]
    for piece in cuts_of(np.concatenate(pieces), size):
        for block, rows in engine.trace_blocks(piece):
            for slot, row in zip(rows["slot"].tolist(), rows[names].tolist(), strict=True):
                told[slot].append(row)
            assert (block["instrument_id"][rows["event"]] >= keys[0][1]).all()
    for slot, stream in enumerate(streams):
        alone = Engine(lambda publisher, number: found, features=[])
        want = [row for _, rows in alone.trace_blocks(stream.events) for row in rows[names].tolist()]
        which = engine._keys.index((1, int(stream.events["instrument_id"][0])))
        assert told[which] == want, slot


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
