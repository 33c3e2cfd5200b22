"""Volume at price, straight from its definition: one row of the profile a tick, two rows a step."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import nan

from depthscope.market import events as ev
from tests.reference.engine import Desk, Row, Trade
from tests.reference.sessions import Key, totals_of

Values = dict[str, float]
SECOND = 10**9
FAR = 5_000  # empty ticks that are stepped over at once


def profile_of(trades: Iterable[Trade], tick: int) -> Counter[int]:
    """Lots by tick number, of what counts for volume."""
    rows: Counter[int] = Counter()
    for trade in trades:
        if trade.counts_volume:
            rows[trade.price // tick] += trade.size
    return rows


def point_of_control(rows: Counter[int], tick: int, mid2: int | None) -> int:
    """Tick with the most volume; `mid2` is bid + ask."""
    most = max(rows.values())
    tied = [row for row, volume in rows.items() if volume == most]
    return min(tied, key=lambda row: (0 if mid2 is None else abs(2 * row * tick - mid2), row))


def value_area(rows: Counter[int], tick: int, mid2: int | None) -> tuple[int, int, int]:
    """Point of control, upper and lower end of what holds 70 % of the volume."""
    poc = point_of_control(rows, tick, mid2)
    above_first = mid2 is not None and mid2 > 2 * poc * tick
    top, bottom, total = max(rows), min(rows), sum(rows.values())
    high = low = poc
    inside = rows[poc]
    while 10 * inside < 7 * total:
        up = rows[high + 1] + rows[high + 2]
        down = rows[low - 1] + rows[low - 2]
        if high == top or low == bottom:
            rises = low == bottom
        else:
            rises = up > down or (up == down and above_first)
        steps = 1
        if not up and not down:  # both empty: as many steps as lead to the same
            edge = (
                min((row for row in rows if row > high), default=0)
                if rises
                else max((row for row in rows if row < low), default=0)
            )
            gap = abs(edge - (high if rises else low)) - 1
            steps = gap // 2 if gap > FAR else 1
        inside += up if rises else down
        if rises:
            high = min(high + 2 * steps, top)
        else:
            low = max(low - 2 * steps, bottom)
    return poc, high, low


class SlowProfile:
    """Features of one desk, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool) -> None:
        self.desk, self.by_event = desk, by_event
        self.read = 0  # pasts whose trades are in the following
        self.trades: list[Trade] = []
        self.times: list[int] = []
        self.sessions: dict[Key, Counter[int]] = defaultdict(Counter)

    def __call__(self, row: Row) -> Values:
        """Value areas of the session and of the last 180 s."""
        calendar, now = self.desk.instrument.calendar, row.ts if self.by_event else row.ts - 1
        tick = self.desk.instrument.tick
        for past in self.desk.history[self.read : row.seen]:
            for trade in past.trades:
                self.trades.append(trade)
                self.times.append(trade.ts)
                self.sessions[totals_of(calendar, trade.ts)].update(profile_of([trade], tick))
        self.read = row.seen
        mid2 = row.bids[0][0] + row.asks[0][0] if row.bids and row.asks else None
        session = totals_of(calendar, now)
        edge = row.ts - 180 * SECOND + (1 if self.by_event else 0)
        latest = profile_of(self.trades[bisect_left(self.times, edge) :], tick)
        return self.area(self.sessions[session], mid2, "") | self.area(latest, mid2, "_3m")

    def area(self, rows: Counter[int], mid2: int | None, suffix: str) -> Values:
        """Columns of a profile."""
        names = [f"{name}{suffix}" for name in ("poc", "vah", "val")]
        tick = self.desk.instrument.tick
        if not rows:
            return dict.fromkeys(names, nan)
        found = value_area(rows, tick, mid2)
        return {name: row * tick / ev.PRICE_SCALE for name, row in zip(names, found, strict=True)}
