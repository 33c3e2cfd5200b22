"""From hours to phases: the rules that cut an exchange's day into parts that compare with each other."""

from __future__ import annotations

from bisect import bisect_left
from datetime import time
from enum import IntEnum
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from depthscope.market.hours import CHICAGO, DAY_NS, NEW_YORK, Hours, local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "NO_DATE",
    "NO_TIME",
    "Phase",
    "Piece",
    "always",
    "between",
    "equities",
    "globex",
    "regular",
    "unknown",
]

NO_DATE: Final = -1
NO_TIME: Final = -(2**63)
_MINUTE: Final = 60_000_000_000


class Phase(IntEnum):
    """Part of a trading day. The numbers are stored and never change."""

    UNKNOWN = 0  # nobody knows whether the market is open
    CLOSED = 1
    PRE_MARKET = 2
    OPEN_DRIVE = 3
    MORNING = 4
    MIDDAY = 5
    AFTERNOON = 6
    CLOSE = 7
    AFTER_HOURS = 8
    OVERNIGHT = 9  # futures: open before the US cash session, or on a day without one
    CONTINUOUS = 10  # never closes, so no part of the day is special


class Piece(NamedTuple):
    """A stretch of one phase; times are UTC nanoseconds, days count from 1970-01-01.

    Attributes
    ----------
    start, end : int
        First moment, and the first moment after it.
    phase : Phase
        What it is.
    day : int
        Date of the session it belongs to; NO_DATE when closed between sessions.
    anchor : int
        Moment from which totals of the session count (VWAP, delta, high and low).
    origin : int
        Moment at which that day's clock begins: equal distances from it are equal times of day.
    opened, closes : int
        Open and close of the session.
    """

    start: int
    end: int
    phase: Phase
    day: int
    anchor: int
    origin: int
    opened: int
    closes: int


def _cash_parts(hours: Hours) -> Iterator[tuple[int, int, Phase]]:
    """Cut a US cash session: what a half day or a late open leaves no room for is empty and left out."""
    last = max(hours.open, hours.close - 30 * _MINUTE)
    ends = (
        (hours.open + 15 * _MINUTE, Phase.OPEN_DRIVE),
        (local(hours.day, time(11, 30), NEW_YORK), Phase.MORNING),
        (local(hours.day, time(14), NEW_YORK), Phase.MIDDAY),
        (last, Phase.AFTERNOON),
    )
    start = hours.open
    for wanted, phase in ends:
        end = min(wanted, last)
        if end > start:
            yield start, end, phase
            start = end
    yield start, hours.close, Phase.CLOSE


def equities(hours: Iterable[Hours]) -> Iterator[Piece]:
    """Phases of US equities.

    Totals begin anew at the start of extended trading, at the open and at the close, so that extended
    hours stay apart. The day's clock begins with the pre-market.
    """
    for h in hours:
        begin = local(h.day, time(4), NEW_YORK)
        half = h.close <= local(h.day, time(13), NEW_YORK)
        end = local(h.day, time(17 if half else 20), NEW_YORK)
        yield Piece(begin, h.open, Phase.PRE_MARKET, h.day, begin, begin, h.open, h.close)
        for start, stop, phase in _cash_parts(h):
            yield Piece(start, stop, phase, h.day, h.open, begin, h.open, h.close)
        yield Piece(h.close, end, Phase.AFTER_HOURS, h.day, h.close, begin, h.open, h.close)


def _leg_parts(leg: Hours, cash: Hours | None) -> Iterator[tuple[int, int, Phase]]:
    """Cut one open stretch of a future, its pause still inside."""
    if cash is None:
        yield leg.open, leg.close, Phase.OVERNIGHT
        return
    yield leg.open, cash.open, Phase.OVERNIGHT
    yield from _cash_parts(cash)
    yield cash.close, leg.close, Phase.AFTER_HOURS


def globex(legs: Iterable[Hours], cash: Mapping[int, Hours], trade_days: Sequence[int]) -> Iterator[Piece]:
    """Phases of CME Globex futures.

    Parameters
    ----------
    legs : iterable of Hours
        Open stretches, ascending.
    cash : mapping of int to Hours
        US cash sessions by day; they tell where regular hours begin and end.
    trade_days : sequence of int
        Trade dates, ascending. A stretch belongs to the first that is not before its own day, so a
        holiday's short session and the next day's are one session, closed in between; totals count
        from its first open.

    Yields
    ------
    Piece
        Nothing for stretches after the last trade date, whose own is not known.
    """

    def trade_day(leg: Hours) -> int:
        at = bisect_left(trade_days, leg.day)
        return trade_days[at] if at < len(trade_days) else NO_DATE

    for day, group in groupby(legs, trade_day):
        if day == NO_DATE:
            return
        session = list(group)
        opened, closes = session[0].open, session[-1].close
        for leg in session:
            for begin, stop, phase in _leg_parts(leg, cash.get(leg.day)):
                for start, end in (
                    (begin, min(stop, leg.pause)),
                    (max(begin, leg.resume), min(stop, leg.close)),
                ):
                    if end > start:
                        yield Piece(start, end, phase, day, opened, leg.open, opened, closes)


def regular(legs: Iterable[Hours], first: int, last: int) -> tuple[list[Hours], list[tuple[int, int]]]:
    """Part regular weekdays of Globex from irregular ones.

    Parameters
    ----------
    legs : iterable of Hours
        Open stretches of the equity-index calendar.
    first, last : int
        Days, both included.

    Returns
    -------
    list of Hours
        Stretches that close at 16:00 Chicago time, as they do on every regular weekday.
    list of (int, int)
        Start and end of what is not known, UTC ns: each other weekday from 17:00 the evening before.
    """
    by_day = {leg.day: leg for leg in legs}
    known, open_questions = [], []
    for day in range(first, last + 1):
        if (day + 3) % 7 >= 5:  # a weekend: 1970-01-01 was a Thursday
            continue
        leg = by_day.get(day)
        if leg is not None and leg.close == local(day, time(16), CHICAGO):
            known.append(leg)
        else:
            open_questions.append((local(day - 1, time(17), CHICAGO), local(day, time(17), CHICAGO)))
    return known, open_questions


def _utc_days(start: int, end: int, phase: Phase) -> Iterator[Piece]:
    while start < end:
        day = start // DAY_NS
        midnight, next_midnight = day * DAY_NS, (day + 1) * DAY_NS
        stop = min(end, next_midnight)
        yield Piece(start, stop, phase, day, start, midnight, midnight, next_midnight)
        start = stop


def always(start: int, end: int) -> Iterator[Piece]:
    """A market that never closes: sessions are UTC days."""
    return _utc_days(start, end, Phase.CONTINUOUS)


def unknown(start: int, end: int) -> Iterator[Piece]:
    """A stretch of which nobody knows anything: counted in UTC days, and every phase says so."""
    return _utc_days(start, end, Phase.UNKNOWN)


def between(before: Piece, after: Piece) -> Piece:
    """Fill the closed stretch between two pieces; a halt inside a session still belongs to it."""
    if before.day == after.day:
        return before._replace(start=before.end, end=after.start, phase=Phase.CLOSED)
    return Piece(before.end, after.start, Phase.CLOSED, NO_DATE, NO_TIME, NO_TIME, NO_TIME, NO_TIME)
