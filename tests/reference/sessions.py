"""Session phases the slow way: one moment at a time, by the clocks on the wall and lists typed by hand.

The lists hold what NYSE and CME announced for 2021 to 2025; nothing here asks a calendar library.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

FIRST, LAST = date(2021, 1, 4), date(2025, 12, 30)  # the years the lists cover


def _dates(text: str) -> frozenset[date]:
    found = set()
    for line in text.strip().splitlines():
        year, *days = line.split()
        found |= {date.fromisoformat(f"{year}-{day}") for day in days}
    return frozenset(found)


NYSE_CLOSED = _dates("""
    2021 01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24
    2022 01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26
    2023 01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25
    2024 01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25
    2025 01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25
""")
NYSE_HALF = _dates("""
    2021 11-26
    2022 11-25
    2023 07-03 11-24
    2024 07-03 11-29 12-24
    2025 07-03 11-28 12-24
""")
CME_CLOSED = _dates("""
    2021 01-01 12-24
    2022 04-15 12-26
    2023 01-02 12-25
    2024 01-01 03-29 12-25
    2025 01-01 04-18 12-25
""")
CME_EARLY = (
    dict.fromkeys(NYSE_CLOSED - CME_CLOSED, time(12))
    | dict.fromkeys(NYSE_HALF, time(12, 15))
    | {date(2021, 4, 2): time(8, 15), date(2023, 4, 7): time(8, 15), date(2025, 1, 9): time(8, 30)}
)
PAUSED_UNTIL = date(2021, 6, 25)  # the last day with a pause from 15:15 to 15:30 Chicago time


def wall(ts: int, zone: str) -> datetime:
    """Wall time, to the microsecond below: no rule here is finer."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts // 1000)).astimezone(ZoneInfo(zone))


def _cash_phase(at: time, half: bool) -> str:
    if at < time(9, 45):
        return "OPEN_DRIVE"
    if at < time(11, 30):
        return "MORNING"
    if at < (time(12, 30) if half else time(14)):
        return "MIDDAY"
    return "CLOSE" if half or at >= time(15, 30) else "AFTERNOON"


def _traded(day: date) -> bool:
    return day.weekday() < 5 and day not in NYSE_CLOSED


def nyse(ts: int) -> tuple[str, date | None]:
    """Phase and session of a moment."""
    now = wall(ts, "America/New_York")
    day, at = now.date(), now.time()
    half = day in NYSE_HALF
    if not _traded(day) or not time(4) <= at < (time(17) if half else time(20)):
        return "CLOSED", None
    if at < time(9, 30):
        return "PRE_MARKET", day
    if at >= (time(13) if half else time(16)):
        return "AFTER_HOURS", day
    return _cash_phase(at, half), day


def _cme_label(now: datetime) -> date:
    return now.date() + timedelta(days=now.time() >= time(17))


@cache
def _cme_open(now: datetime) -> bool:
    """Whether index futures trade in a quarter of an hour, pauses apart."""
    label = _cme_label(now)
    if label.weekday() >= 5 or label in CME_CLOSED:
        return False
    return label != now.date() or now.time() < CME_EARLY.get(label, time(16))


def _trade_date(label: date) -> date:
    while not _traded(label):
        label += timedelta(days=1)
    return label


def cme_equity(ts: int) -> tuple[str, date | None]:
    """Phase and trade date of a moment."""
    now = wall(ts, "America/Chicago")
    label, at = _cme_label(now), now.time()
    quarter = now.replace(minute=at.minute // 15 * 15, second=0, microsecond=0, tzinfo=None)
    if not _cme_open(quarter):
        # A halt belongs to a trade date when the market traded for it before and will again.
        back = forth = quarter
        while not _cme_open(back):
            back -= timedelta(minutes=15)
        while not _cme_open(forth):
            forth += timedelta(minutes=15)
        same = _trade_date(_cme_label(back)) == _trade_date(_cme_label(forth))
        return "CLOSED", _trade_date(_cme_label(back)) if same else None
    trade = _trade_date(label)
    if now.date() <= PAUSED_UNTIL and time(15, 15) <= at < time(15, 30):
        return "CLOSED", trade
    if not _traded(label):
        return "OVERNIGHT", trade
    new_york = wall(ts, "America/New_York")
    half = label in NYSE_HALF
    if new_york.date() < label or new_york.time() < time(9, 30):
        return "OVERNIGHT", trade
    if new_york.time() >= (time(13) if half else time(16)):
        return "AFTER_HOURS", trade
    return _cash_phase(new_york.time(), half), trade


QUARTER = 900 * 10**9  # phases begin and end at quarters of an hour
Key = tuple[str, str] | None


@cache
def _quarter(calendar: str, quarter: int) -> tuple[str, Key]:
    if calendar in ("unknown", "24/7"):
        day = str(wall(quarter * QUARTER, "UTC").date())
        return ("UNKNOWN" if calendar == "unknown" else "CONTINUOUS"), (day, "")
    phase, day = (nyse if calendar == "NYSE" else cme_equity)(quarter * QUARTER)
    extended = phase if calendar == "NYSE" and phase in ("PRE_MARKET", "AFTER_HOURS") else ""
    return phase, None if day is None else (str(day), extended)


def phase_of(calendar: str, ts: int) -> str:
    """Phase of a moment."""
    return _quarter(calendar, ts // QUARTER)[0]


def totals_of(calendar: str, ts: int) -> Key:
    """Session whose totals a moment counts for: the latest one that had begun."""
    quarter = ts // QUARTER
    while (found := _quarter(calendar, quarter)[1]) is None:
        quarter -= 1
    return found
