"""Books of the simulated exchange: a dict a side, on purpose nothing like the engine's.

It is the yardstick of every live test, so it shares no code with what it measures: plain Python,
exact integers, the rules of EVENT applied as they are written in docs/ARCHITECTURE.md.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final

from depthscope.market import events as ev

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ASKS", "BIDS", "Best", "Book", "Row"]

BIDS: Final = 0
ASKS: Final = 1

Row = tuple[Any, ...]  # one EVENT as numpy's tolist gives it
Best = tuple[int, int] | None  # price (1e-9), lots

_SIDES: Final = {ev.BID: BIDS, ev.ASK: ASKS}


class Book:
    """Aggregated book of one instrument, fed by orders (A, C, M) or by levels (L).

    Parameters
    ----------
    windows : int
        How many independent accounts of what has changed are kept.
    negative : bool
        Whether zero and negative prices are prices.

    Attributes
    ----------
    sides : tuple of dict
        Price (1e-9) to lots, bids and asks; no entry is 0.
    touched : list of dict
        For each window, (side, price) of every level set since it was last cleared, in the order
        of first touch, with the lots it had before.
    changes : int
        Levels set so far.
    """

    __slots__ = ("_by_hand", "_heaps", "_negative", "changes", "orders", "sides", "touched")

    def __init__(self, windows: int, negative: bool = False) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.touched: list[dict[tuple[int, int], int]] = [{} for _ in range(windows)]
        self.orders: dict[int, tuple[int, int, int]] = {}  # id -> side, price, lots
        self.changes = 0
        self._by_hand: dict[tuple[int, int], int] = {}  # lots of a level that are not the market's
        self._negative = negative
        self._heaps: tuple[list[int], list[int]] = ([], [])  # every price of a side, and some gone ones

    def apply(self, row: Row) -> None:
        """Apply one EVENT row; those that say nothing a book can use do nothing."""
        _, _, order, price, size, _, _, _, _, _, action, side, flags, _ = row
        if action == ev.ADD and flags & ev.TOB:
            self._replace_side(side, price, size)
        elif action == ev.ADD:
            self._add(order, side, price, size)
        elif action == ev.CANCEL:
            self._cancel(order, size)
        elif action == ev.MODIFY:
            self._modify(order, side, price, size)
        elif action == ev.LEVEL:
            if side in _SIDES and size >= 0 and self._sound(price):
                self.set_level(_SIDES[side], price, size)
        elif action == ev.CLEAR:
            self.clear()

    def set_level(self, side: int, price: int, lots: int) -> None:
        """Set what the market has at a level; 0 removes it. What is there by hand comes on top."""
        self._show(side, price, lots + self._by_hand.get((side, price), 0))

    def add_by_hand(self, side: int, price: int, lots: int) -> None:
        """Add lots the market knows nothing of, or take them back with a negative number."""
        there = self._by_hand.pop((side, price), 0) + lots
        if there:
            self._by_hand[side, price] = there
        self._shift(side, price, lots)

    def _show(self, side: int, price: int, lots: int) -> None:
        levels = self.sides[side]
        before = levels.get(price, 0)
        self.changes += 1
        for window in self.touched:
            window.setdefault((side, price), before)
        if lots > 0:
            if not before:
                self._remember(side, price)
            levels[price] = lots
        elif before:
            del levels[price]

    def clear(self) -> None:
        """Remove every order and level of the market."""
        self.orders.clear()
        for side, levels in enumerate(self.sides):
            for price in list(levels):
                self.set_level(side, price, 0)

    def best(self, side: int) -> Best:
        """Best price of a side and its lots."""
        heap, levels = self._heaps[side], self.sides[side]
        while heap:
            price = heap[0] if side == ASKS else -heap[0]
            lots = levels.get(price)
            if lots is not None:
                return price, lots
            heapq.heappop(heap)
        return None

    def top(self, side: int, n: int) -> list[tuple[int, int]]:
        """The `n` best levels of a side, best first."""
        levels = self.sides[side]
        pick: Iterable[int] = heapq.nlargest(n, levels) if side == BIDS else heapq.nsmallest(n, levels)
        return [(price, levels[price]) for price in pick]

    def before(self, window: int) -> tuple[dict[int, int], dict[int, int]]:
        """The book as it was when a window was last cleared."""
        found = (dict(self.sides[BIDS]), dict(self.sides[ASKS]))
        for (side, price), lots in self.touched[window].items():
            if lots:
                found[side][price] = lots
            else:
                found[side].pop(price, None)
        return found

    def _remember(self, side: int, price: int) -> None:
        heap, levels = self._heaps[side], self.sides[side]
        heapq.heappush(heap, price if side == ASKS else -price)
        if len(heap) > 4 * len(levels) + 64:
            heap[:] = [p if side == ASKS else -p for p in {*levels, price}]
            heapq.heapify(heap)

    def _sound(self, price: int) -> bool:
        return price != ev.UNDEF_PRICE and (price > 0 or self._negative)

    def _replace_side(self, side: int, price: int, size: int) -> None:
        """Apply a quote: the record is all that is known of its side."""
        if side not in _SIDES:
            return
        for other in list(self.sides[_SIDES[side]]):
            if other != price:
                self.set_level(_SIDES[side], other, 0)
        if size >= 0 and self._sound(price):
            self.set_level(_SIDES[side], price, size)

    def _shift(self, side: int, price: int, lots: int) -> None:
        self._show(side, price, self.sides[side].get(price, 0) + lots)

    def _add(self, order: int, side: int, price: int, size: int) -> None:
        if side not in _SIDES or size <= 0 or not self._sound(price):
            return
        known = self.orders.get(order)
        if known is not None:
            self._shift(known[0], known[1], -known[2])
        self.orders[order] = (_SIDES[side], price, size)
        self._shift(_SIDES[side], price, size)

    def _cancel(self, order: int, size: int) -> None:
        known = self.orders.get(order)
        if known is None or size <= 0:
            return
        gone = min(size, known[2])
        if gone == known[2]:
            del self.orders[order]
        else:
            self.orders[order] = (known[0], known[1], known[2] - gone)
        self._shift(known[0], known[1], -gone)

    def _modify(self, order: int, side: int, price: int, size: int) -> None:
        known = self.orders.get(order)
        if known is None:
            self._add(order, side, price, size)
        elif size == 0:
            self._cancel(order, known[2])
        else:
            self._add(order, side if side in _SIDES else (ev.BID, ev.ASK)[known[0]], price, size)
