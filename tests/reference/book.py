"""One instrument's order book, in a dict of orders and two sorted dicts of levels."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import islice
from math import floor
from typing import NamedTuple

from sortedcontainers import SortedDict

from depthscope.market import events as ev

EVENT_FIELDS = ev.EVENT.names
COARSE = 128  # ticks whose sizes are also known as one sum: deep books have thousands of levels near mid
Level = tuple[int, int, int]  # price (1e-9), size (lots), orders


class Event(NamedTuple):
    """EVENT as plain Python integers, in the order of the dtype."""

    ts_event: int
    ts_recv: int
    order_id: int
    price: int
    size: int
    sequence: int
    instrument_id: int
    aux: int
    publisher: int
    cond: int
    action: int
    side: int
    flags: int
    reserved: int

    def __str__(self) -> str:
        price = "-" if self.price == ev.UNDEF_PRICE else self.price
        flags = "|".join(
            name for name in ("LAST", "TOB", "SNAPSHOT", "INFERRED_SIDE") if self.flags & getattr(ev, name)
        )
        return (
            f"{chr(self.action)}{chr(self.side)} {self.publisher}/{self.instrument_id} id={self.order_id} "
            f"price={price} size={self.size} aux={self.aux} cond={self.cond} recv={self.ts_recv} "
            f"event={self.ts_event} seq={self.sequence} {flags}"
        )


assert Event._fields == EVENT_FIELDS


class Order:
    """A resting order."""

    __slots__ = ("price", "side", "size")

    def __init__(self, side: int, price: int, size: int) -> None:
        self.side, self.price, self.size = side, price, size


class SlowBook:
    """Orders and levels of one instrument, exactly as the contract words them.

    `top_only` says that the feed carries quotes alone: only then does Q change the book.
    """

    def __init__(self, tick: int, *, allows_negative: bool, top_only: bool) -> None:
        self.tick = tick
        self.allows_negative = allows_negative
        self.top_only = top_only
        self.orders: dict[int, Order] = {}
        # price -> [size, orders], and price // coarse -> size
        self.levels: dict[int, SortedDict] = {ev.BID: SortedDict(), ev.ASK: SortedDict()}
        self.coarse = COARSE * tick
        self.sums: dict[int, SortedDict] = {ev.BID: SortedDict(), ev.ASK: SortedDict()}
        self.incomplete = False
        self.counters: Counter[str] = Counter()
        self.touched: set[tuple[int, int]] = set()  # (side, price) since the caller cleared it
        self.changes = {ev.BID: 0, ev.ASK: 0}  # grow with every change of a level

    # ── levels ────────────────────────────────────────────────────────────────────────────

    def _move(self, side: int, price: int, size: int, orders: int) -> None:
        level = self.levels[side].setdefault(price, [0, 0])
        self._note_change(side, price, max(size, -level[0]))
        level[0] += size
        level[1] += orders
        if level[0] <= 0:
            del self.levels[side][price]

    def _note_change(self, side: int, price: int, size: int) -> None:
        """Note a level's change by a size."""
        self.touched.add((side, price))
        self.changes[side] += 1
        sums, where = self.sums[side], price // self.coarse
        sums[where] = sums.get(where, 0) + size

    def _put(self, oid: int, side: int, price: int, size: int) -> None:
        self.orders[oid] = Order(side, price, size)
        self._move(side, price, size, 1)

    def _drop(self, oid: int) -> None:
        order = self.orders.pop(oid)
        self._move(order.side, order.price, -order.size, -1)

    def _empty(self, side: int) -> None:
        for oid in [oid for oid, order in self.orders.items() if order.side == side]:
            del self.orders[oid]
        self.touched.update((side, price) for price in self.levels[side])
        self.levels[side].clear()
        self.sums[side].clear()
        self.changes[side] += 1

    def _bad_price(self, price: int) -> bool:
        return price == ev.UNDEF_PRICE or (price < 0 and not self.allows_negative)

    def _note_tick(self, price: int) -> None:
        if price % self.tick:
            self.counters["off_tick"] += 1

    # ── events ────────────────────────────────────────────────────────────────────────────

    def apply(self, e: Event) -> None:
        """Apply one event; anything but A, C, M, R, L, Q leaves the book alone."""
        if e.action == ev.ADD:
            self._add(e)
        elif e.action == ev.CANCEL:
            self._cancel(e)
        elif e.action == ev.MODIFY:
            self._modify(e)
        elif e.action == ev.CLEAR:
            self._empty(ev.BID)
            self._empty(ev.ASK)
            self.incomplete = False
        elif e.action == ev.LEVEL:
            self._level(e)
        elif e.action == ev.QUOTE and self.top_only:
            self._quote(e)
        elif (e.action == ev.TRADE and not self.counts(e)) or chr(e.action) not in ev.ACTIONS:
            self.counters["rejected"] += 1

    def counts(self, e: Event) -> bool:
        """Whether a trade has a usable price and size."""
        return e.size > 0 and not self._bad_price(e.price)

    def _add(self, e: Event) -> None:
        if e.side in (ev.BID, ev.ASK) and e.flags & ev.TOB and e.price == ev.UNDEF_PRICE:
            self._empty(e.side)  # the venue's way to say that nothing is quoted on this side
            return
        if e.side not in (ev.BID, ev.ASK) or e.size <= 0 or self._bad_price(e.price):
            self.counters["rejected"] += 1
            return
        if e.flags & ev.TOB:  # the new best quote of its side, no order: its id means nothing
            self._empty(e.side)
            self._note_tick(e.price)
            self._move(e.side, e.price, e.size, 0)
            return
        if e.order_id in self.orders:
            self.counters["duplicate"] += 1
            self._drop(e.order_id)
        self._note_tick(e.price)
        self._put(e.order_id, e.side, e.price, e.size)

    def _cancel(self, e: Event) -> None:
        order = self.orders.get(e.order_id)
        if order is None:
            self.counters["unknown_cancel"] += 1
            self.incomplete = True
        elif e.size <= 0:
            self.counters["rejected"] += 1
        elif e.size >= order.size:
            if e.size > order.size:
                self.counters["over_cancel"] += 1
            self._drop(e.order_id)
        else:
            order.size -= e.size
            self._move(order.side, order.price, -e.size, 0)

    def _modify(self, e: Event) -> None:
        order = self.orders.get(e.order_id)
        if order is None and e.size == 0:
            self.counters["unknown_modify"] += 1  # nothing is left of it, yet its start was missed
            self.incomplete = True
            return
        side = e.side
        if order is not None and side not in (ev.BID, ev.ASK):
            side = order.side
        if side not in (ev.BID, ev.ASK) or e.size < 0 or self._bad_price(e.price):
            self.counters["rejected"] += 1
            return
        if order is None:
            self.counters["unknown_modify"] += 1
            self.incomplete = True
        else:
            self._drop(e.order_id)
        self._note_tick(e.price)
        if e.size:
            self._put(e.order_id, side, e.price, e.size)

    def _level(self, e: Event) -> None:
        if e.side not in (ev.BID, ev.ASK) or e.size < 0 or self._bad_price(e.price):
            self.counters["rejected"] += 1
            return
        self._note_tick(e.price)
        if e.flags & ev.TOB:
            self._empty(e.side)
        self._note_change(e.side, e.price, e.size - self.levels[e.side].get(e.price, (0, 0))[0])
        if e.size == 0:
            self.levels[e.side].pop(e.price, None)
        else:
            self.levels[e.side][e.price] = [e.size, e.aux]

    def _quote(self, e: Event) -> None:
        if e.side not in (ev.BID, ev.ASK):
            self.counters["rejected"] += 1
            return
        empties = e.size == 0 or e.price == ev.UNDEF_PRICE
        if e.size < 0 or (not empties and self._bad_price(e.price)):
            self.counters["rejected"] += 1
            return
        self._empty(e.side)
        if not empties:
            self._note_tick(e.price)
            self._move(e.side, e.price, e.size, e.aux)

    # ── reading ───────────────────────────────────────────────────────────────────────────

    def side(self, side: int, n: int | None = None) -> list[Level]:
        """Return the best `n` levels of a side (all when None), best first."""
        levels = self.levels[side]
        prices = islice(reversed(levels) if side == ev.BID else iter(levels), n)
        return [(price, *levels[price]) for price in prices]

    def size_within(self, side: int, edge: float) -> int:
        """Size of a side's levels at or better than an edge: whole sums, and levels where it cuts one."""
        levels, sums = self.levels[side], self.sums[side]
        at = floor(edge) // self.coarse
        if side == ev.BID:
            cut, whole = levels.irange(edge, (at + 1) * self.coarse - 1), sums.irange(minimum=at + 1)
        else:
            cut, whole = levels.irange(at * self.coarse, edge), sums.irange(maximum=at - 1)
        return sum([levels[price][0] for price in cut]) + sum([sums[where] for where in whole])

    def order(self, oid: int) -> tuple[int, int, int] | None:
        """(side, price, size) of a live order."""
        order = self.orders.get(oid)
        return None if order is None else (order.side, order.price, order.size)

    def copy(self) -> SlowBook:
        """Return a book that can be changed without changing this one."""
        return deepcopy(self)

    def check(self) -> None:
        """Assert that the levels are the sum of the orders (order-by-order books only)."""
        summed: dict[int, dict[int, list[int]]] = {ev.BID: {}, ev.ASK: {}}
        for order in self.orders.values():
            level = summed[order.side].setdefault(order.price, [0, 0])
            level[0] += order.size
            level[1] += 1
        for side in (ev.BID, ev.ASK):
            assert dict(self.levels[side]) == summed[side]
