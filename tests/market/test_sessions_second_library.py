"""Every open and close of the years we claim to know, against a second calendar library.

All differences stand below by name and date with who is right; one that appears or goes away fails a test.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import exchange_calendars
import pandas as pd
import pandas_market_calendars
import pytest

from depthscope.market.calendars import CALENDARS
from depthscope.market.hours import date_of, day_of, trade_days, trading_hours
from depthscope.market.sessions import Phase, timetable

# The second library says so of itself under the newest pandas.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")

DAY = 86_400_000_000_000
FIRST, LAST = date(2000, 1, 1), date(2027, 12, 31)
CME_FIRST = date(2013, 1, 1)
TEN_YEARS = (date(2015, 1, 1), date(2024, 12, 31))


def theirs(name: str, first: date, last: date) -> dict[date, tuple[int, int]]:
    """Open and close by date, UTC ns, as the second library has them."""
    frame = exchange_calendars.get_calendar(name, start=str(first), end=str(last)).schedule
    columns = [
        frame[column].to_numpy("datetime64[ns]").astype("int64").tolist() for column in ("open", "close")
    ]
    return {when.date(): pair for when, pair in zip(frame.index, zip(*columns, strict=True), strict=True)}


def ours(name: str, first: date, last: date) -> dict[date, tuple[int, int]]:
    hours = trading_hours(CALENDARS[name], day_of(first), day_of(last))
    return {date_of(h.day): (h.open, h.close) for h in hours}


def wall(ts: int, zone: str) -> str:
    return f"{pd.Timestamp(ts, tz='UTC').tz_convert(zone):%H:%M}"


def differences(name: str, second: str, zone: str, first: date, last: date) -> dict[date, tuple[str, str]]:
    """(ours, theirs) where the two differ, each as ``open-close`` on the wall or ``closed``."""
    a, b = ours(name, first, last), theirs(second, first, last)
    assert len(a) > 200 * (last.year - first.year)

    def told(hours: tuple[int, int] | None) -> str:
        return "closed" if hours is None else "-".join(wall(ts, zone) for ts in hours)

    days = sorted(a.keys() | b.keys())
    return {day: (told(a.get(day)), told(b.get(day))) for day in days if a.get(day) != b.get(day)}


# -- New York ---------------------------------------------------------------------------------

# The second library leaves out what lasted minutes; the first has them from the exchange's own list.
NYSE_MINUTES = {
    date(2001, 9, 17): ("09:33-16:00", "09:30-16:00"),  # silence for the dead of 11 September
    date(2001, 10, 8): ("09:31-16:00", "09:30-16:00"),  # silence as the war in Afghanistan began
    date(2002, 9, 11): ("12:00-16:00", "09:30-16:00"),  # late open on the anniversary
    date(2003, 3, 20): ("09:32-16:00", "09:30-16:00"),  # silence as the war in Iraq began
    date(2004, 6, 7): ("09:32-16:00", "09:30-16:00"),  # silence for President Reagan
    date(2005, 6, 1): ("09:30-15:56", "09:30-16:00"),  # systems failed four minutes before the close
    date(2006, 12, 27): ("09:32-16:00", "09:30-16:00"),  # silence for President Ford
}


def test_nyse_in_the_ten_years_without_any_difference() -> None:
    assert differences("NYSE", "XNYS", "America/New_York", *TEN_YEARS) == {}


def test_nyse_in_all_years_we_claim_to_know() -> None:
    assert differences("NYSE", "XNYS", "America/New_York", FIRST, LAST) == NYSE_MINUTES


def test_extended_hours_are_those_of_the_first_library() -> None:
    """04:00 to 20:00, on half days to 17:00; it knows no pre-market on days of late opens, we do."""
    frame = pandas_market_calendars.get_calendar("NYSE").schedule(
        str(FIRST), str(LAST), start="pre", end="post"
    )
    spans: dict[date, list[int]] = {}
    table = timetable("NYSE", day_of(FIRST) * DAY, (day_of(LAST) + 1) * DAY)
    ends = [*table.starts[1:].tolist(), table.end]
    for start, end, phase, day in zip(table.starts.tolist(), ends, table.phases, table.dates, strict=True):
        if phase in (Phase.PRE_MARKET, Phase.AFTER_HOURS):
            spans.setdefault(date_of(int(day)), []).append(start if phase == Phase.PRE_MARKET else end)
    told = {
        when.date(): [pre, post]
        for when, pre, post in zip(
            frame.index,
            frame["pre"].to_numpy("datetime64[ns]").astype("int64").tolist(),
            frame["post"].to_numpy("datetime64[ns]").astype("int64").tolist(),
            strict=True,
        )
    }
    assert {day for day in told if spans[day] != told[day]} == set(NYSE_MINUTES)
    assert spans.keys() == told.keys()


# -- Chicago ----------------------------------------------------------------------------------


def cme_differences(first: date, last: date) -> dict[date, tuple[str, str]]:
    """Apart from the daily halt from 16:00 to 17:00, which the second library counts as open."""
    found = differences("CME_Equity", "CMES", "America/Chicago", first, last)
    regular = {day for day, pair in found.items() if pair == ("17:00-16:00", "17:00-17:00")}
    assert len(regular) > 200 * (last.year - first.year)
    return {day: pair for day, pair in found.items() if day not in regular}


# It has one calendar for all of CME, with noon as the only early close.
HALF_DAY = ("17:00-12:15", "17:00-12:00")  # index futures close a quarter of an hour after New York
DAY_BEFORE_FOURTH = ("17:00-12:15", "17:00-17:00")  # a half day in New York, not known to it
JUNETEENTH = ("17:00-12:00", "17:00-17:00")  # a holiday since 2022, not known to it
JOBS_REPORT = ("17:00-08:15", "closed")  # Good Fridays with a jobs report: open until 08:15
MOURNING = ("17:00-08:30", "closed")  # index futures closed after the overnight session
HOLIDAY_2013 = ("17:00-10:30", "17:00-12:00")  # holidays up to February 2014: halt at 10:30

CME_TEN_YEARS: dict[date, tuple[str, str]] = {
    date(2015, 4, 3): JOBS_REPORT,
    date(2015, 11, 27): HALF_DAY, date(2015, 12, 24): HALF_DAY,
    date(2016, 11, 25): HALF_DAY,
    date(2017, 7, 3): DAY_BEFORE_FOURTH, date(2017, 11, 24): HALF_DAY,
    date(2018, 7, 3): DAY_BEFORE_FOURTH, date(2018, 11, 23): HALF_DAY, date(2018, 12, 5): MOURNING,
    date(2018, 12, 24): HALF_DAY,
    date(2019, 7, 3): DAY_BEFORE_FOURTH, date(2019, 11, 29): HALF_DAY, date(2019, 12, 24): HALF_DAY,
    date(2020, 11, 27): HALF_DAY, date(2020, 12, 24): HALF_DAY,
    date(2021, 4, 2): JOBS_REPORT, date(2021, 11, 26): HALF_DAY,
    date(2022, 6, 20): JUNETEENTH, date(2022, 11, 25): HALF_DAY,
    date(2023, 4, 7): JOBS_REPORT, date(2023, 6, 19): JUNETEENTH, date(2023, 7, 3): DAY_BEFORE_FOURTH,
    date(2023, 11, 24): HALF_DAY,
    date(2024, 6, 19): JUNETEENTH, date(2024, 7, 3): DAY_BEFORE_FOURTH, date(2024, 11, 29): HALF_DAY,
    date(2024, 12, 24): HALF_DAY,
}  # fmt: skip
CME_BEFORE_AND_AFTER: dict[date, tuple[str, str]] = {
    date(2013, 1, 21): HOLIDAY_2013, date(2013, 2, 18): HOLIDAY_2013, date(2013, 5, 27): HOLIDAY_2013,
    date(2013, 7, 3): DAY_BEFORE_FOURTH, date(2013, 7, 4): HOLIDAY_2013, date(2013, 9, 2): HOLIDAY_2013,
    date(2013, 11, 28): HOLIDAY_2013, date(2013, 11, 29): HALF_DAY, date(2013, 12, 24): HALF_DAY,
    date(2014, 1, 20): HOLIDAY_2013, date(2014, 2, 17): HOLIDAY_2013, date(2014, 7, 3): DAY_BEFORE_FOURTH,
    date(2014, 11, 28): HALF_DAY, date(2014, 12, 24): HALF_DAY,
    date(2025, 1, 9): MOURNING, date(2025, 6, 19): JUNETEENTH, date(2025, 7, 3): DAY_BEFORE_FOURTH,
    date(2025, 11, 28): HALF_DAY, date(2025, 12, 24): HALF_DAY,
    date(2026, 4, 3): JOBS_REPORT, date(2026, 6, 19): JUNETEENTH, date(2026, 11, 27): HALF_DAY,
    date(2026, 12, 24): HALF_DAY,
    date(2027, 6, 18): JUNETEENTH, date(2027, 11, 26): HALF_DAY,
}  # fmt: skip


def test_cme_index_futures_in_the_ten_years() -> None:
    assert cme_differences(*TEN_YEARS) == CME_TEN_YEARS


def test_cme_index_futures_in_all_years_we_claim_to_know() -> None:
    assert cme_differences(CME_FIRST, LAST) == CME_TEN_YEARS | CME_BEFORE_AND_AFTER


def test_trade_dates_are_the_days_new_york_trades() -> None:
    """CME settles no holiday of New York; there the second library has every date."""
    assert {date_of(day) for day in trade_days(day_of(CME_FIRST), day_of(LAST))} == set(
        theirs("XNYS", CME_FIRST, LAST)
    )


@pytest.mark.parametrize("day", CALENDARS["CME_Equity"].corrections, ids=str)
def test_every_correction_still_corrects_something(day: date) -> None:
    calendar = CALENDARS["CME_Equity"]
    listed = pandas_market_calendars.get_calendar(calendar.library).schedule(str(day), str(day))
    theirs_close = listed["market_close"].iloc[0].tz_convert("America/Chicago").time()
    assert theirs_close != calendar.corrections[day], "the library has learnt it: take the line out"


def test_good_fridays_follow_the_bond_calendar() -> None:
    """Where interest-rate futures trade on Good Friday (a jobs report), index futures do, and only there."""
    bonds = pandas_market_calendars.get_calendar("CME_Bond").schedule("2015-01-01", str(LAST))
    open_days = {when.date() for when in bonds.index}
    index = ours("CME_Equity", date(2015, 1, 1), LAST)
    easter = [
        "2015-04-05", "2016-03-27", "2017-04-16", "2018-04-01", "2019-04-21", "2020-04-12", "2021-04-04",
        "2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28",
    ]  # fmt: skip
    fridays = [date.fromisoformat(sunday) - timedelta(days=2) for sunday in easter]
    assert [day in index for day in fridays] == [day in open_days for day in fridays]


# -- all timetables ---------------------------------------------------------------------------


def stretches(table: Any) -> list[tuple[int, int]]:
    """Open stretches, adjoining phases joined."""
    ends = [*table.starts[1:].tolist(), table.end]
    found: list[tuple[int, int]] = []
    for start, end, phase in zip(table.starts.tolist(), ends, table.phases, strict=True):
        if phase == Phase.CLOSED:
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def test_a_future_is_open_exactly_when_its_hours_say_so() -> None:
    first, last = date(2013, 1, 2), date(2027, 12, 30)
    hours = trading_hours(CALENDARS["CME_Equity"], day_of(first), day_of(last))
    expected = []
    for h in hours:
        expected += [(h.open, h.pause), (h.resume, h.close)] if h.pause < h.resume else [(h.open, h.close)]
    assert sum(h.pause < h.resume for h in hours) > 2000
    table = timetable("CME_Equity", hours[0].open, hours[-1].close)
    assert stretches(table) == expected


def test_a_market_that_never_closes() -> None:
    table = timetable("24/7", day_of(TEN_YEARS[0]) * DAY, (day_of(TEN_YEARS[1]) + 1) * DAY)
    found = {
        date_of(day): pair for day, *pair in zip(table.dates.tolist(), table.opens, table.closes, strict=True)
    }
    assert {day: tuple(pair) for day, pair in found.items()} == theirs("24/7", *TEN_YEARS)
