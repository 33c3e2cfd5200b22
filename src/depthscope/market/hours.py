"""Opens and closes as plain integers: the only place that asks pandas_market_calendars.

The library (with pandas, about half a second) is imported when hours are first asked for. Answers are kept,
so that a calendar and span costs its tens of milliseconds once.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from depthscope.market.calendars import Calendar

__all__ = [
    "CHICAGO",
    "DAY_NS",
    "NEW_YORK",
    "Hours",
    "date_of",
    "day_of",
    "local",
    "trade_days",
    "trading_hours",
]

DAY_NS: Final = 86_400_000_000_000
NEW_YORK: Final = "America/New_York"
CHICAGO: Final = "America/Chicago"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()


class Hours(NamedTuple):
    """One session of an exchange; times are UTC nanoseconds.

    Attributes
    ----------
    day : int
        The date it is listed under, in days since 1970-01-01: that of its close.
    open, close : int
        First moment, and the first moment after it.
    pause, resume : int
        The pause inside it; equal where there is none.
    """

    day: int
    open: int
    close: int
    pause: int
    resume: int


def date_of(day: int) -> date:
    """Date of a number of days since 1970-01-01."""
    return date.fromordinal(_EPOCH_ORDINAL + day)


def day_of(when: date) -> int:
    """Days from 1970-01-01 to a date."""
    return when.toordinal() - _EPOCH_ORDINAL


def local(day: int, at: time, zone: str) -> int:
    """UTC nanoseconds of a time of day in a zone.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.
    at : time
        Time of day by that zone's clocks, without zone of its own.
    zone : str
        Zone of the tz database. Where clocks go back, the first of two moments is meant.
    """
    moment = datetime.combine(date_of(day), at, ZoneInfo(zone))
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


@cache
def _library(name: str) -> Any:
    from pandas_market_calendars import get_calendar

    return get_calendar(name)


def _schedule(name: str, first: int, last: int) -> dict[str, list[int]]:
    """Columns of the library's schedule as UTC ns, and `day`, the dates it lists them under."""
    frame = _library(name).schedule(date_of(first).isoformat(), date_of(last).isoformat())
    table = {column: frame[column].to_numpy("datetime64[ns]").astype(np.int64).tolist() for column in frame}
    table["day"] = frame.index.to_numpy("datetime64[D]").astype(np.int64).tolist()
    return table


@lru_cache(maxsize=128)
def trading_hours(calendar: Calendar, first: int, last: int) -> tuple[Hours, ...]:
    """Sessions listed under the dates of a span, corrected where the library is known to be wrong.

    Parameters
    ----------
    calendar : Calendar
        One that names a calendar of the library.
    first, last : int
        Days since 1970-01-01, both included.

    Returns
    -------
    tuple of Hours
        Ascending; nothing for days without a session.
    """
    listed = _schedule(calendar.library, first, last)
    pauses: dict[int, tuple[int, int]] = {}
    if calendar.pauses:
        breaks = _schedule(calendar.pauses, first, last)
        pauses = dict(
            zip(breaks["day"], zip(breaks["break_start"], breaks["break_end"], strict=True), strict=True)
        )
    wrong = {day_of(when): true for when, true in calendar.corrections.items()}
    found = []
    for day, begin, end in zip(listed["day"], listed["market_open"], listed["market_close"], strict=True):
        close = end
        if day in wrong:
            true = wrong[day]
            if true is None:
                continue
            close = local(day, true, CHICAGO)
        pause, resume = pauses.get(day, (close, close))
        # The library writes "no pause" as one of no length, and keeps it on days that close before it.
        if not begin < pause < resume < close:
            pause = resume = close
        found.append(Hours(day, begin, close, pause, resume))
    return tuple(found)


@lru_cache(maxsize=128)
def trade_days(first: int, last: int) -> tuple[int, ...]:
    """Trade dates of CME Globex, in days since 1970-01-01, between two days (both included)."""
    return tuple(_schedule("CME_TradeDate", first, last)["day"])
