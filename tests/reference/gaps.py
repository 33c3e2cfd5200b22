"""Liquidity gaps straight from their definition, from SAMPLE rows, in plain Python, tick by tick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from depthscope.market.layouts import LIVE
from tests.reference.walls import SECOND, Said, Usual, sides_of

Levels = list[tuple[int, int]]  # (ticks behind the best price, size)


@dataclass
class Found:
    """A gap that is open: number, size, prices, and what it was measured with."""

    number: int
    size: int
    first: int
    last: int
    spacing: float


def empty_runs(filled: set[int], first: int, last: int) -> list[tuple[int, int]]:
    """(first, last) of each run of positions from `first` to `last` that are not filled."""
    runs: list[tuple[int, int]] = []
    for at in range(first, last + 1):
        if at in filled:
            continue
        if runs and runs[-1][1] == at - 1:
            runs[-1] = runs[-1][0], at
        else:
            runs.append((at, at))
    return runs


@dataclass
class Gaps:
    """Liquidity gaps of one instrument."""

    tick: int
    levels: int = 3
    share: float = 0.2
    reach: int = 20
    hold: int = SECOND
    usual: Usual = field(default_factory=Usual)
    spacings: list[tuple[int, list[float | None]]] = field(default_factory=list)
    waiting: list[tuple[int, int] | None] = field(default_factory=lambda: [None, None])
    open: list[Found | None] = field(default_factory=lambda: [None, None])
    count: int = 0

    def trade(self, side: int, price: int, size: int) -> None:
        """Rows tell all there is to know."""

    def spacing(self, k: int, ts: int) -> float:
        """Usual distance between levels that hold something, in ticks; 0 while it is not known."""
        recent = [r[k] for at, r in self.spacings[-30:] if at > ts - 30 * SECOND and r[k] is not None]
        return float(median(recent)) if len(recent) >= 5 else 0.0  # type: ignore[type-var]

    def row(self, row: Any) -> Iterator[Said]:
        """Take a row."""
        ts, sides = int(row["ts"]), sides_of(row)
        quoted = bool(sides[0]) and bool(sides[1]) and row["state"] == LIVE
        due = quoted and self.usual.row(ts, sides)
        usual = [self.usual.of(k, ts) if quoted else 0.0 for k in (0, 1)]
        behind = [[(abs(p - side[0][0]) // self.tick, size) for p, size in side] for side in sides]
        if due:
            self.spacings.append((ts, [self.reading(behind[k], usual[k]) for k in (0, 1)]))
        for k in (0, 1):
            best = sides[k][0][0] if sides[k] else 0
            yield from self.side(k, best, behind[k], ts, usual[k])

    def reading(self, levels: Levels, usual: float) -> float | None:
        """Third quartile of the distances between levels that hold something."""
        held = [at for at, size in levels if usual > 0 and size >= self.share * usual]
        apart = sorted(b - a for a, b in pairwise(held) if b > a)
        return float(apart[3 * (len(apart) - 1) // 4]) if apart else None

    def side(self, k: int, best: int, levels: Levels, ts: int, usual: float) -> Iterator[Said]:
        """Look at a side; `usual` is 0 where nothing can be known."""
        sign = -1 if k == 0 else 1
        one = self.open[k]
        if one is not None:
            outcome = self.outcome(one, levels, usual, sign * (one.first - best), sign * (one.last - best))
            if outcome:
                self.open[k] = None
                yield "close", one.number, self.held(one, levels, best, sign), "", outcome, 0
            return
        spacing = self.spacing(k, ts)
        found = self.nearest(levels, usual, spacing) if usual > 0 and spacing > 0 else None
        if found is None:
            self.waiting[k] = None
            return
        first, last = found
        price = best + sign * first * self.tick
        waiting = self.waiting[k]
        if waiting is None or waiting[0] != price:
            waiting = self.waiting[k] = price, ts
        if ts - waiting[1] >= self.hold:
            self.count += 1
            size = sum(held for at, held in levels if first <= at <= last)
            self.open[k] = Found(self.count, size, price, best + sign * last * self.tick, spacing)
            self.waiting[k] = None
            yield "open", self.count, size, "", "", 0

    def nearest(self, levels: Levels, usual: float, spacing: float) -> tuple[int, int] | None:
        """First and last tick behind the best price of the nearest gap."""
        filled = {at for at, size in levels if size >= self.share * usual}
        last = min(levels[-1][0], int(self.reach * spacing))
        for first, end in empty_runs(filled, 1, last):
            if end - first + 2 >= (self.levels + 1) * spacing:
                return first, end
        return None

    def held(self, one: Found, levels: Levels, best: int, sign: int) -> int:
        """Size of the levels between the prices of a gap."""
        low, high = sorted((one.first, one.last))
        return sum(size for at, size in levels if low <= best + sign * at * self.tick <= high)

    def outcome(self, one: Found, levels: Levels, usual: float, first: int, last: int) -> str:
        """What became of a gap from `first` to `last` (1e-9) behind the best; "" while it is there."""
        first, last = first // self.tick, last // self.tick
        if usual <= 0:
            return "lost"
        if first <= 0:
            return "reached"
        seen = levels[-1][0]
        if first > self.reach * one.spacing:
            return "lost"
        filled = {at for at, size in levels if size >= self.share / 0.7 * usual}
        runs = empty_runs(filled, first, min(last, seen))
        if any(b - a + 2 >= (self.levels + 1) * one.spacing for a, b in runs):
            return ""
        return "lost" if last > seen else "filled"
