"""The tape's pace against days before, from its definition: a day is read once it is over, as a whole."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from fractions import Fraction
from math import nan

from tests.reference.engine import Desk, Row
from tests.reference.rvol import day_of

Values = dict[str, float]
STEP = 5 * 10**9
HALF_HOUR = 1_800 * 10**9


def alike(trades: int) -> int:
    """Smallest number that is not told apart from one."""
    step = 1
    while trades // step >= 16:
        step *= 2
    return min(trades // step * step, 5_120)


def readings(steps: Counter[int]) -> dict[int, Counter[int]]:
    """Readings of a day by half hour, given its trades by step."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for step in range(min(steps) + 1, max(steps)):
        found[min(step * STEP // HALF_HOUR, 47)][alike(steps[step])] += 1
    return found


class SlowPace:
    """The feature of one desk, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool) -> None:
        self.desk, self.by_event = desk, by_event
        self.read = 0  # pasts that have been
        self.times: list[int] = []  # of all trades
        self.days: dict[int, Counter[int]] = defaultdict(Counter)  # trades by step, by the day's origin
        self.over: dict[int, dict[int, Counter[int]]] = {}

    def __call__(self, row: Row) -> Values:
        """Percentile of the last five seconds' trades."""
        calendar = self.desk.instrument.calendar
        for past in self.desk.history[self.read : row.seen]:
            day = day_of(calendar, past.ts)
            for trade in past.trades:
                if trade.counts_volume:
                    self.times.append(trade.ts)
                    if day is not None:
                        self.days[day[0]][(trade.ts - day[0]) // STEP] += 1
        self.read = row.seen
        moment = row.ts if self.by_event else row.ts - 1
        today = day_of(calendar, moment)
        if today is None:
            return {"tape_velocity_percentile": nan}
        half = min((moment - today[0]) // HALF_HOUR, 47)
        prior: Counter[int] = Counter()
        for origin, steps in self.days.items():
            if origin < today[0]:
                if origin not in self.over:
                    self.over[origin] = readings(steps)
                prior += self.over[origin][half]
        edge = row.ts - STEP + (1 if self.by_event else 0)
        now = alike(len(self.times) - bisect_left(self.times, edge))
        n = sum(prior.values())
        below = sum(count for trades, count in prior.items() if trades < now)
        value = float(Fraction(2 * below + prior[now], 2 * n)) if n else nan
        return {"tape_velocity_percentile": value}
