"""Opens and closes as plain integers: the only place that asks pandas_market_calendars.

The library (with pandas, two thirds of a second and 40 MB) is imported only for a year that nobody on this
machine has asked for: its answers are kept in the cache folder, a year of a calendar in a file.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from depthscope.kept import Columns, kept

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


def _asked(name: str, year: int) -> Columns:
    """What the library says of a year: its columns as UTC ns, and `day`, the dates it lists them under."""
    frame = _library(name).schedule(f"{year}-01-01", f"{year}-12-31")
    table = {column: frame[column].to_numpy("datetime64[ns]").astype(np.int64).tolist() for column in frame}
    table["day"] = frame.index.to_numpy("datetime64[D]").astype(np.int64).tolist()
    return table


@cache
def _edition(year: int) -> str:
    """Everything a year depends on: the libraries, and what clocks show (governments change that)."""
    noon = datetime(year, 1, 1, 12, tzinfo=UTC)
    noons = [noon + timedelta(days=day) for day in range(366)]
    clocks = [when.astimezone(ZoneInfo(zone)).utcoffset() for zone in (NEW_YORK, CHICAGO) for when in noons]
    libraries = [version(name) for name in ("pandas-market-calendars", "exchange-calendars")]
    return sha256(repr((libraries, clocks)).encode()).hexdigest()[:12]


@lru_cache(maxsize=128)
def _year(name: str, year: int) -> Columns:
    file = f"{name.replace(' ', '_')}-{year}-{_edition(year)}"
    return kept("calendars", file, lambda: _asked(name, year))


def _schedule(name: str, first: int, last: int) -> Columns:
    """Rows of the library's schedule listed under the days of a span, both included."""
    years = [_year(name, year) for year in range(date_of(first).year, date_of(last).year + 1)]
    days = [day for year in years for day in year["day"]]
    rows = slice(bisect_left(days, first), bisect_right(days, last))
    return {column: [value for year in years for value in year[column]][rows] for column in years[0]}


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
