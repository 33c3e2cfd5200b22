"""The recorded book in plain Python: who queues where, in order of time."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from depthscope.market import events as ev

if TYPE_CHECKING:
    from depthscope.research.recording import Recording

Queue = list[tuple[int, int]]  # (order id, size), first in line first


class QueueBook:
    """Orders of an order-by-order feed, or sizes of a level feed, as of one record.

    An order keeps its place in the queue when its size falls, and goes to the back when its size grows
    or its price changes.

    Parameters
    ----------
    recording : Recording
        What is followed.

    Attributes
    ----------
    at : int
        Index of the first record not yet applied.
    """

    def __init__(self, recording: Recording) -> None:
        events = recording.events
        names = ("action", "side", "order_id", "price", "size")
        self._columns = [events[name].tolist() for name in names]
        self._orders: dict[int, tuple[int, int, int]] = {}
        self._joined: dict[int, int] = {}  # record with which an order got its place in line
        # Price -> orders in line; a level feed has one entry, of id 0.
        self._levels: dict[int, dict[int, dict[int, int]]] = {ev.BID: {}, ev.ASK: {}}
        self._prices: dict[int, list[int]] = {ev.BID: [], ev.ASK: []}
        self.at = 0

    def advance(self, stop: int) -> None:
        """Apply the records before `stop`."""
        first, stop = self.at, max(stop, self.at)
        columns = (column[first:stop] for column in self._columns)
        for at, action, side, order, price, size in zip(range(first, stop), *columns, strict=True):
            self.at = at + 1
            if action == ev.LEVEL:
                self._remove(side, price, 0)
                if size:
                    self._put(side, price, 0, size)
            elif action == ev.ADD:
                self._drop(order)
                self._join(order, side, price, size)
            elif action == ev.CANCEL:
                self._reduce(order, size)
            elif action == ev.MODIFY:
                self._modify(order, side, price, size)
            elif action == ev.CLEAR:
                self._orders.clear()
                self._joined.clear()
                for s in (ev.BID, ev.ASK):
                    self._levels[s].clear()
                    self._prices[s].clear()

    def _join(self, order: int, side: int, price: int, size: int) -> None:
        self._orders[order] = (side, price, size)
        self._joined[order] = self.at - 1
        self._put(side, price, order, size)

    def _put(self, side: int, price: int, order: int, size: int) -> None:
        level = self._levels[side].get(price)
        if level is None:
            level = self._levels[side][price] = {}
            insort(self._prices[side], price)
        level[order] = size

    def _remove(self, side: int, price: int, order: int) -> None:
        level = self._levels[side].get(price)
        if level is None:
            return
        level.pop(order, None)
        if not level:
            del self._levels[side][price]
            prices = self._prices[side]
            del prices[bisect_left(prices, price)]

    def _drop(self, order: int) -> None:
        known = self._orders.pop(order, None)
        if known is not None:
            del self._joined[order]
            self._remove(known[0], known[1], order)

    def _reduce(self, order: int, size: int) -> None:
        known = self._orders.get(order)
        if known is None:
            return
        side, price, had = known
        if size >= had:
            self._drop(order)
        else:
            self._orders[order] = (side, price, had - size)
            self._levels[side][price][order] = had - size

    def _modify(self, order: int, side: int, price: int, size: int) -> None:
        known = self._orders.get(order)
        if known is not None:
            side = known[0] if side not in (ev.BID, ev.ASK) else side
            if known[:2] == (side, price) and 0 < size <= known[2]:
                self._orders[order] = (side, price, size)
                self._levels[side][price][order] = size
                return
            self._drop(order)
        if size:
            self._join(order, side, price, size)

    def prices(self, side: int, n: int) -> list[int]:
        """Best `n` prices of a side, best first."""
        prices = self._prices[side]
        return prices[: -n - 1 : -1] if side == ev.BID else prices[:n]

    def queue(self, side: int, price: int) -> Queue:
        """Orders in line at a price (a level feed: one of id 0)."""
        return list(self._levels[side].get(price, {}).items())

    def ahead(self, side: int, price: int, at: int) -> int:
        """How many orders at a price have been in line since before record `at`."""
        return sum(self._joined.get(order, at) < at for order, _ in self.queue(side, price))

    def size(self, side: int, price: int) -> int:
        """Size at a price."""
        return sum(self._levels[side].get(price, {}).values())
