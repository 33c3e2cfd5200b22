"""Signs of support and resistance that rows show: swing extremes and clusters of volume."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from depthscope.detectors.follow import Moves, Row
from depthscope.features.kit import SECOND

__all__ = ["RESISTANCE", "SUPPORT", "Clusters", "Swings"]

SUPPORT: Final = 1
RESISTANCE: Final = -1
MINUTE: Final = 60 * SECOND
FEWEST_BINS: Final = 5

Sign = tuple[int, int]  # SUPPORT or RESISTANCE, price


@dataclass(slots=True)
class Extreme:
    """The candidate for a swing extreme of one direction: 1 for highs, -1 for lows.

    Values are direction × twice the mid, so that a low is a high of them.
    """

    direction: int
    recent: deque[tuple[int, int]] = field(default_factory=deque)  # (ts, value), the highest first
    found: tuple[int, int, int] | None = None  # ts, value, price

    def expire(self, edge: int) -> None:
        """Forget what is older than `edge`."""
        while self.recent and self.recent[0][0] < edge:
            self.recent.popleft()
        if self.found is not None and self.found[0] < edge:
            self.found = None

    def push(self, ts: int, value: int) -> bool:
        """Take a value; whether it is higher than all others of the window."""
        highest = not self.recent or self.recent[0][1] < value
        while self.recent and self.recent[-1][1] <= value:
            self.recent.pop()
        self.recent.append((ts, value))
        return highest


@dataclass(slots=True)
class Swings:
    """Swing highs and lows of mid.

    A swing high is a mid higher than all others of the window before it, to which mid rose by at
    least r from the window's lowest, once mid has fallen by r from it within a window's time without
    rising above it. r is the larger of `ticks` ticks and `sds` standard deviations of a minute's change
    of mid, measured by the second over the window. Its price is the best ask of that row; a swing
    low is the mirror image, at the best bid.

    Attributes
    ----------
    tick : int
        1e-9 fixed.
    window : int
        Seconds.
    ticks, sds : float
        How far a reversal goes.
    """

    tick: int
    window: int
    ticks: float
    sds: float
    _moves: Moves = field(init=False)
    _high: Extreme = field(default_factory=lambda: Extreme(1))
    _low: Extreme = field(default_factory=lambda: Extreme(-1))

    def __post_init__(self) -> None:
        self._moves = Moves(self.window)

    def reversal(self) -> float:
        """r, of twice the mid."""
        moves = self._moves
        minute = sqrt(60.0 * moves.squares / moves.seconds) if moves.seconds else 0.0
        return max(2.0 * self.ticks * self.tick, self.sds * minute)

    def row(self, row: Row) -> list[Sign]:
        """Take a quoted row; returns the extremes it confirms."""
        self._moves.row(row)
        wide = self.reversal()
        found: list[Sign] = []
        for one in (self._high, self._low):
            one.expire(row.ts - self.window * SECOND)
        highest = [one.push(row.ts, one.direction * (row.bid + row.ask)) for one in (self._high, self._low)]
        for one, other, new in ((self._high, self._low, highest[0]), (self._low, self._high, highest[1])):
            value = one.direction * (row.bid + row.ask)
            if new:
                price = row.ask if one.direction > 0 else row.bid
                one.found = (row.ts, value, price) if value + other.recent[0][1] >= wide else None
            elif one.found is not None and one.found[1] - value >= wide:
                found.append((RESISTANCE if one.direction > 0 else SUPPORT, one.found[2]))
                one.found = None
        return found


@dataclass(slots=True)
class Clusters:
    """Prices at which much more was traded than at others.

    Volume is summed by bins of `width` over the last `window` minutes. At each whole minute a bin that
    holds at least `multiple` times the mean of the bins with any, and no less than either
    neighbour, is a cluster; nothing is one before five bins have volume. What a row traded counts
    at the tick nearest its mean price.

    Attributes
    ----------
    tick, width : int
        1e-9 fixed.
    window : int
        Minutes.
    multiple : float
    """

    tick: int
    width: int
    window: int
    multiple: float
    _minute: int = -1
    _minutes: deque[tuple[int, dict[int, int]]] = field(default_factory=deque)
    _bins: dict[int, int] = field(default_factory=dict)
    _known: set[int] = field(default_factory=set)

    def row(self, row: Row) -> list[int]:
        """Take a row; returns the prices of clusters a new minute shows that the one before did not."""
        minute = (row.ts - 1) // MINUTE
        found: list[int] = []
        if minute != self._minute:
            found = self._look() if self._minute >= 0 else []
            self._turn(minute)
        if row.volume:
            price = (row.traded + self.tick // 2) // self.tick * self.tick
            at, last = price // self.width, self._minutes[-1][1]
            last[at] = last.get(at, 0) + row.volume
            self._bins[at] = self._bins.get(at, 0) + row.volume
        return found

    def _turn(self, minute: int) -> None:
        """Begin a minute; what is a window old leaves the sums."""
        self._minute = minute
        while self._minutes and self._minutes[0][0] <= minute - self.window:
            for at, volume in self._minutes.popleft()[1].items():
                self._bins[at] -= volume
                if not self._bins[at]:
                    del self._bins[at]
        self._minutes.append((minute, {}))

    def _look(self) -> list[int]:
        """Find the clusters there are; returns the new ones' prices."""
        bins = self._bins
        least = self.multiple * sum(bins.values()) / len(bins) if len(bins) >= FEWEST_BINS else 0.0
        now = {
            at
            for at, volume in bins.items()
            if least and volume >= least and volume >= max(bins.get(at - 1, 0), bins.get(at + 1, 0))
        }
        new = sorted(now - self._known)
        self._known = now
        middle = (self.width // self.tick - 1) // 2 * self.tick
        return [at * self.width + middle for at in new]
