"""Layering-like levels straight from their definition, from SAMPLE rows and trades, in plain Python."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from depthscope.market import events as ev
from depthscope.market.layouts import LIVE
from tests.reference.book import Event, SlowBook
from tests.reference.walls import SECOND, Said, Usual, sides_of

Levels = list[tuple[int, int]]


def longest(levels: Levels, least: float) -> Levels:
    """First longest run of neighbours of at least `least`."""
    best: Levels = []
    run: Levels = []
    for level in levels:
        run = [*run, level] if level[1] >= least else []
        best = run if len(run) > len(best) else best
    return best


@dataclass
class Layered:
    """What is open on a side."""

    number: int
    levels: Levels
    traded: int = 0
    removed: int = 0
    filled: int = 0

    @property
    def size(self) -> int:
        """Sum of the levels on opening."""
        return sum(size for _, size in self.levels)

    def holds(self, price: int) -> bool:
        """Whether a price is among the levels."""
        prices = [p for p, _ in self.levels]
        return min(prices) <= price <= max(prices)


def ratio(removed: int, filled: int) -> float:
    """Share of the size taken away that was not filled."""
    return max(removed - filled, 0) / removed if removed else -1.0


@dataclass
class Layerings:
    """Layering-like levels of one instrument."""

    usual: Usual = field(default_factory=Usual)
    looks: list[tuple[int, list[set[int]]]] = field(default_factory=list)
    open: list[Layered | None] = field(default_factory=lambda: [None, None])
    quiet: list[int] = field(default_factory=lambda: [0, 0])
    count: int = 0
    removed: int = 0
    filled: int = 0
    ratios: list[tuple[float, float]] = field(default_factory=list)  # with each message: its own, the usual

    def order(self, event: Event, book: SlowBook) -> None:
        """Take what an event does to an order; the book has not seen it yet, and is given it."""
        known = book.order(event.order_id) if event.action in (ev.FILL, ev.MODIFY, ev.CANCEL) else None
        book.apply(event)
        if known is None:
            return
        side, price, size = known
        after = book.order(event.order_id)
        left = after[2] if after is not None and after[1] == price else 0
        filled = min(event.size, size) if event.action == ev.FILL else 0
        removed = 0 if event.action == ev.FILL else max(size - left, 0)
        one = self.open[0 if side == ev.BID else 1] if event.side == side else None  # auctions tell none
        for each in [self] if one is None or not one.holds(price) else [self, one]:
            each.removed += removed
            each.filled += filled

    def trade(self, side: int, price: int, size: int) -> None:
        """Take a trade that counts for volume."""
        for hit, taker in ((0, ev.ASK), (1, ev.BID)):
            one = self.open[hit]
            if one is not None and side == taker and one.holds(price):
                one.traded += size

    def row(self, row: Any) -> Iterator[Said]:
        """Take a row."""
        ts, sides = int(row["ts"]), sides_of(row)
        quoted = bool(sides[0]) and bool(sides[1]) and row["state"] == LIVE
        due = quoted and self.usual.row(ts, sides)
        usual = [self.usual.of(k, ts) for k in (0, 1)]
        for k, levels in enumerate(sides):
            yield from self.side(k, levels, ts, usual[k] if quoted else 0.0)
        if due:
            large = [
                {price for price, size in levels if usual[k] > 0 and size >= 8 * usual[k]}
                for k, levels in enumerate(sides)
            ]
            self.looks.append((ts, large))

    def side(self, k: int, levels: Levels, ts: int, usual: float) -> Iterator[Said]:
        """Look at a side; `usual` is 0 where nothing can be known."""
        one = self.open[k]
        if one is not None:
            between = [level for level in levels if one.holds(level[0])]
            if usual <= 0 or len(longest(between, 0.7 * 8 * usual)) < 4:
                outcome = "lost" if usual <= 0 else "traded" if 2 * one.traded >= one.size else "pulled"
                self.open[k], self.quiet[k] = None, ts + 30 * SECOND
                self.ratios.append((ratio(one.removed, one.filled), ratio(self.removed, self.filled)))
                yield "close", one.number, one.size, "", outcome, one.traded
            return
        run = longest(levels, 8 * usual) if usual > 0 and ts >= self.quiet[k] else []
        past = bisect_right(self.looks, ts - 5 * SECOND, key=itemgetter(0))
        fresh = [price for price, _ in run if past and price not in self.looks[past - 1][1][k]]
        if len(run) >= 4 and len(fresh) >= 0.6 * len(run):
            self.count += 1
            self.open[k] = Layered(self.count, run)
            self.ratios.append((-1.0, ratio(self.removed, self.filled)))
            yield "open", self.count, sum(size for _, size in run), "", "", 0
