"""Relative volume straight from its definition: every prior day summed anew at every row."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from math import nan
from zoneinfo import ZoneInfo

from tests.reference.engine import Desk, Row, Trade
from tests.reference.sessions import QUARTER, phase_of, wall

Values = dict[str, float]
MINUTE = 60 * 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _ns(moment: datetime) -> int:
    return int((moment - EPOCH) / timedelta(seconds=1)) * 10**9


@cache
def _of_quarter(calendar: str, quarter: int) -> tuple[int, int] | None:
    ts = quarter * QUARTER
    if phase_of(calendar, ts) == "CLOSED":
        return None
    if calendar == "NYSE":
        zone = ZoneInfo("America/New_York")
        day = wall(ts, "America/New_York").date()
        four, nine = (_ns(datetime.combine(day, t, zone)) for t in (time(4), time(9, 30)))
        return four, nine
    if calendar == "CME_Equity":  # every open on this feature's test days is at 17:00
        now = wall(ts, "America/Chicago")
        evening = now.date() - timedelta(days=now.time() < time(17))
        opened = _ns(datetime.combine(evening, time(17), ZoneInfo("America/Chicago")))
        return opened, opened
    midnight = ts // (96 * QUARTER) * (96 * QUARTER)
    return midnight, midnight


def day_of(calendar: str, ts: int) -> tuple[int, int] | None:
    """When the clock of a moment's day began, and its open; None while closed."""
    return _of_quarter(calendar, ts // QUARTER)


def volume_by(trades: list[Trade], origin: int, elapsed: int) -> Fraction:
    """What traded by a time of day, part of the last minute in proportion."""
    minute, rest = divmod(elapsed, MINUTE)
    start = origin + minute * MINUTE
    before = sum(trade.size for trade in trades if trade.ts < start)
    within = sum(trade.size for trade in trades if start <= trade.ts < start + MINUTE)
    return before + Fraction(within * rest, MINUTE)


class SlowRvol:
    """The feature of one desk, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool) -> None:
        self.desk, self.by_event = desk, by_event
        self.read = 0  # pasts whose trades are in the following
        self.days: dict[tuple[int, int], list[Trade]] = defaultdict(list)

    def __call__(self, row: Row) -> Values:
        """Relative volume."""
        calendar = self.desk.instrument.calendar
        today = day_of(calendar, row.ts if self.by_event else row.ts - 1)
        for past in self.desk.history[self.read : row.seen]:
            day = day_of(calendar, past.ts)
            for trade in past.trades:
                if trade.counts_volume and day is not None:
                    self.days[day].append(trade)
        self.read = row.seen
        days = dict(self.days)
        if today is None or not days:
            return {"rvol": nan}
        (origin, opened), first = next(iter(days.items()))
        if first[0].ts >= opened + MINUTE:
            del days[origin, opened]
        prior = {day: trades for day, trades in days.items() if day < today}
        elapsed = row.ts - today[0]
        usual = sum((volume_by(trades, day[0], elapsed) for day, trades in prior.items()), Fraction(0))
        if not usual:
            return {"rvol": nan}
        so_far = sum(trade.size for trade in self.days.get(today, ()))
        return {"rvol": float(so_far * len(prior) / usual)}
