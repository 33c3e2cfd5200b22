"""Session phases on days worked out by hand, and what happens where a calendar ends."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from depthscope.errors import InputError, UnknownName
from depthscope.market.instruments import Instrument
from depthscope.market.sessions import NO_DATE, NO_TIME, Phase, calendar_of, timetable
from depthscope.market.times import format_time, parse_time
from tests.rules.project import ROOT

HOUR = 3_600_000_000_000


def phases(calendar: str, start: str, end: str) -> list[str]:
    """``MM-DD HH:MM PHASE MM-DD`` of every stretch that begins in a span: start in UTC, then the session."""
    begin, stop = parse_time(start), parse_time(end)
    table = timetable(calendar, begin, stop)
    found = []
    for ts in table.starts.tolist():
        if begin <= ts < stop:
            s = table.at(ts)
            session = f"{s.date:%m-%d}" if s.date else "-"
            found.append(f"{format_time(ts)[5:16].replace('T', ' ')} {s.phase.name} {session}")
    return found


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


GOLDEN = {
    "NYSE, clocks go forward on Sunday": (
        "NYSE", "2024-03-08T06:00", "2024-03-12T06:00",
        """03-08 09:00 PRE_MARKET 03-08
           03-08 14:30 OPEN_DRIVE 03-08
           03-08 14:45 MORNING 03-08
           03-08 16:30 MIDDAY 03-08
           03-08 19:00 AFTERNOON 03-08
           03-08 20:30 CLOSE 03-08
           03-08 21:00 AFTER_HOURS 03-08
           03-09 01:00 CLOSED -
           03-11 08:00 PRE_MARKET 03-11
           03-11 13:30 OPEN_DRIVE 03-11
           03-11 13:45 MORNING 03-11
           03-11 15:30 MIDDAY 03-11
           03-11 18:00 AFTERNOON 03-11
           03-11 19:30 CLOSE 03-11
           03-11 20:00 AFTER_HOURS 03-11
           03-12 00:00 CLOSED -""",
    ),
    "NYSE, clocks go back on Sunday": (
        "NYSE", "2024-11-01T19:00", "2024-11-04T15:00",
        """11-01 19:30 CLOSE 11-01
           11-01 20:00 AFTER_HOURS 11-01
           11-02 00:00 CLOSED -
           11-04 09:00 PRE_MARKET 11-04
           11-04 14:30 OPEN_DRIVE 11-04
           11-04 14:45 MORNING 11-04""",
    ),
    "NYSE, Thanksgiving and the half day after it": (
        "NYSE", "2023-11-22T20:00", "2023-11-27T09:30",
        """11-22 20:30 CLOSE 11-22
           11-22 21:00 AFTER_HOURS 11-22
           11-23 01:00 CLOSED -
           11-24 09:00 PRE_MARKET 11-24
           11-24 14:30 OPEN_DRIVE 11-24
           11-24 14:45 MORNING 11-24
           11-24 16:30 MIDDAY 11-24
           11-24 17:30 CLOSE 11-24
           11-24 18:00 AFTER_HOURS 11-24
           11-24 22:00 CLOSED -
           11-27 09:00 PRE_MARKET 11-27""",
    ),
    "NYSE, half day in summer before Independence Day": (
        "NYSE", "2024-07-03T06:00", "2024-07-05T09:00",
        """07-03 08:00 PRE_MARKET 07-03
           07-03 13:30 OPEN_DRIVE 07-03
           07-03 13:45 MORNING 07-03
           07-03 15:30 MIDDAY 07-03
           07-03 16:30 CLOSE 07-03
           07-03 17:00 AFTER_HOURS 07-03
           07-03 21:00 CLOSED -
           07-05 08:00 PRE_MARKET 07-05""",
    ),
    "NYSE, Good Friday": (
        "NYSE", "2024-03-28T19:00", "2024-04-01T10:00",
        """03-28 19:30 CLOSE 03-28
           03-28 20:00 AFTER_HOURS 03-28
           03-29 00:00 CLOSED -
           04-01 08:00 PRE_MARKET 04-01""",
    ),
    "NYSE, September 2001: four days closed, then a late open after a silence": (
        "NYSE", "2001-09-10T19:00", "2001-09-17T16:00",
        """09-10 19:30 CLOSE 09-10
           09-10 20:00 AFTER_HOURS 09-10
           09-11 00:00 CLOSED -
           09-17 08:00 PRE_MARKET 09-17
           09-17 13:33 OPEN_DRIVE 09-17
           09-17 13:48 MORNING 09-17
           09-17 15:30 MIDDAY 09-17""",
    ),
    "NYSE, open at noon leaves no morning": (
        "NYSE", "2002-09-11T06:00", "2002-09-11T20:00",
        """09-11 08:00 PRE_MARKET 09-11
           09-11 16:00 OPEN_DRIVE 09-11
           09-11 16:15 MIDDAY 09-11
           09-11 18:00 AFTERNOON 09-11
           09-11 19:30 CLOSE 09-11""",
    ),
    "NYSE, the storm of October 2012": (
        "NYSE", "2012-10-26T20:00", "2012-10-31T09:00",
        """10-26 20:00 AFTER_HOURS 10-26
           10-27 00:00 CLOSED -
           10-31 08:00 PRE_MARKET 10-31""",
    ),
    "NYSE, day of mourning": (
        "NYSE", "2018-12-04T21:00", "2018-12-06T10:00",
        """12-04 21:00 AFTER_HOURS 12-04
           12-05 01:00 CLOSED -
           12-06 09:00 PRE_MARKET 12-06""",
    ),
    "CME, Christmas (the recorded ES day ends with the first hour of the 26th's session)": (
        "CME_Equity", "2023-12-22T20:00", "2023-12-27T00:00",
        """12-22 20:30 CLOSE 12-22
           12-22 21:00 AFTER_HOURS 12-22
           12-22 22:00 CLOSED -
           12-25 23:00 OVERNIGHT 12-26
           12-26 14:30 OPEN_DRIVE 12-26
           12-26 14:45 MORNING 12-26
           12-26 16:30 MIDDAY 12-26
           12-26 19:00 AFTERNOON 12-26
           12-26 20:30 CLOSE 12-26
           12-26 21:00 AFTER_HOURS 12-26
           12-26 22:00 CLOSED -
           12-26 23:00 OVERNIGHT 12-27""",
    ),
    "CME, clocks go forward on Sunday": (
        "CME_Equity", "2024-03-08T21:00", "2024-03-11T14:00",
        """03-08 21:00 AFTER_HOURS 03-08
           03-08 22:00 CLOSED -
           03-10 22:00 OVERNIGHT 03-11
           03-11 13:30 OPEN_DRIVE 03-11
           03-11 13:45 MORNING 03-11""",
    ),
    "CME, clocks go back on Sunday": (
        "CME_Equity", "2024-11-01T20:00", "2024-11-04T14:40",
        """11-01 20:00 AFTER_HOURS 11-01
           11-01 21:00 CLOSED -
           11-03 23:00 OVERNIGHT 11-04
           11-04 14:30 OPEN_DRIVE 11-04""",
    ),
    "CME, Thanksgiving and the half day after it are one trade date": (
        "CME_Equity", "2023-11-22T21:00", "2023-11-27T00:00",
        """11-22 21:00 AFTER_HOURS 11-22
           11-22 22:00 CLOSED -
           11-22 23:00 OVERNIGHT 11-24
           11-23 18:00 CLOSED 11-24
           11-23 23:00 OVERNIGHT 11-24
           11-24 14:30 OPEN_DRIVE 11-24
           11-24 14:45 MORNING 11-24
           11-24 16:30 MIDDAY 11-24
           11-24 17:30 CLOSE 11-24
           11-24 18:00 AFTER_HOURS 11-24
           11-24 18:15 CLOSED -
           11-26 23:00 OVERNIGHT 11-27""",
    ),
    "CME, Good Friday with a jobs report": (
        "CME_Equity", "2023-04-06T20:00", "2023-04-10T13:40",
        """04-06 20:00 AFTER_HOURS 04-06
           04-06 21:00 CLOSED -
           04-06 22:00 OVERNIGHT 04-10
           04-07 13:15 CLOSED 04-10
           04-09 22:00 OVERNIGHT 04-10
           04-10 13:30 OPEN_DRIVE 04-10""",
    ),
    "CME, Good Friday without": (
        "CME_Equity", "2024-03-28T20:00", "2024-04-01T13:40",
        """03-28 20:00 AFTER_HOURS 03-28
           03-28 21:00 CLOSED -
           03-31 22:00 OVERNIGHT 04-01
           04-01 13:30 OPEN_DRIVE 04-01""",
    ),
    "CME, day of mourning: closed after the overnight session": (
        "CME_Equity", "2018-12-04T22:00", "2018-12-06T14:40",
        """12-04 22:00 CLOSED -
           12-04 23:00 OVERNIGHT 12-06
           12-05 14:30 CLOSED 12-06
           12-05 23:00 OVERNIGHT 12-06
           12-06 14:30 OPEN_DRIVE 12-06""",
    ),
    "CME, the last day with a pause and the first without": (
        "CME_Equity", "2021-06-25T20:00", "2021-06-28T22:30",
        """06-25 20:00 AFTER_HOURS 06-25
           06-25 20:15 CLOSED 06-25
           06-25 20:30 AFTER_HOURS 06-25
           06-25 21:00 CLOSED -
           06-27 22:00 OVERNIGHT 06-28
           06-28 13:30 OPEN_DRIVE 06-28
           06-28 13:45 MORNING 06-28
           06-28 15:30 MIDDAY 06-28
           06-28 18:00 AFTERNOON 06-28
           06-28 19:30 CLOSE 06-28
           06-28 20:00 AFTER_HOURS 06-28
           06-28 21:00 CLOSED -
           06-28 22:00 OVERNIGHT 06-29""",
    ),
    "CME, before 2014 index futures halted at 10:30 on holidays": (
        "CME_Equity", "2013-07-03T16:00", "2013-07-05T13:40",
        """07-03 16:30 CLOSE 07-03
           07-03 17:00 AFTER_HOURS 07-03
           07-03 17:15 CLOSED -
           07-03 22:00 OVERNIGHT 07-05
           07-04 15:30 CLOSED 07-05
           07-04 22:00 OVERNIGHT 07-05
           07-05 13:30 OPEN_DRIVE 07-05""",
    ),
    "Other CME futures: an irregular day is not guessed": (
        "CME_Globex", "2024-01-12T21:00", "2024-01-16T14:40",
        """01-12 21:00 AFTER_HOURS 01-12
           01-12 22:00 CLOSED -
           01-14 23:00 UNKNOWN 01-14
           01-15 00:00 UNKNOWN 01-15
           01-15 23:00 OVERNIGHT 01-16
           01-16 14:30 OPEN_DRIVE 01-16""",
    ),
    "A market that never closes": (
        "24/7", "2024-02-28T12:00", "2024-03-01T12:00",
        """02-29 00:00 CONTINUOUS 02-29
           03-01 00:00 CONTINUOUS 03-01""",
    ),
    "A market nobody knows": (
        "unknown", "2024-02-28T12:00", "2024-03-01T12:00",
        """02-29 00:00 UNKNOWN 02-29
           03-01 00:00 UNKNOWN 03-01""",
    ),
    "NYSE, where knowledge begins": (
        "NYSE", "1999-12-31T00:00", "2000-01-03T10:00",
        """12-31 00:00 UNKNOWN 12-31
           01-01 00:00 UNKNOWN 01-01
           01-02 00:00 CLOSED -
           01-03 09:00 PRE_MARKET 01-03""",
    ),
    "NYSE, where knowledge ends": (
        "NYSE", "2027-12-31T20:00", "2028-01-04T00:00",
        """12-31 20:30 CLOSE 12-31
           12-31 21:00 AFTER_HOURS 12-31
           01-01 01:00 CLOSED -
           01-02 00:00 UNKNOWN 01-02
           01-03 00:00 UNKNOWN 01-03""",
    ),
    "CME, where knowledge ends": (
        "CME_Equity", "2027-12-31T21:00", "2028-01-03T00:00",
        """12-31 21:00 AFTER_HOURS 12-31
           12-31 22:00 CLOSED -
           01-02 00:00 UNKNOWN 01-02""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_days(name: str) -> None:
    calendar, start, end, expected = GOLDEN[name]
    assert phases(calendar, start, end) == lines(expected)


# Calendar, moment, then phase, session, anchor, open, close (day/time, UTC) and minute of the day.
MOMENTS = """
    # Extended hours stand apart: each of the three parts counts its own totals.
    NYSE       2024-07-01T08:00:00  PRE_MARKET 2024-07-01 01/08:00 01/13:30 01/20:00 0
    NYSE       2024-07-01T13:30:00  OPEN_DRIVE 2024-07-01 01/13:30 01/13:30 01/20:00 330
    NYSE       2024-07-01T19:59:59  CLOSE 2024-07-01 01/13:30 01/13:30 01/20:00 719
    NYSE       2024-07-01T20:00:00  AFTER_HOURS 2024-07-01 01/20:00 01/13:30 01/20:00 720
    # The same time of day has the same key in winter.
    NYSE       2024-01-02T14:30:00  OPEN_DRIVE 2024-01-02 02/14:30 02/14:30 02/21:00 330
    NYSE       2024-07-06T12:00:00  CLOSED - - - - -
    # A future's trade date counts from its first open, through the halt of a holiday.
    CME_Equity 2024-01-15T12:00:00  OVERNIGHT 2024-01-16 14/23:00 14/23:00 16/22:00 780
    CME_Equity 2024-01-15T20:00:00  CLOSED 2024-01-16 14/23:00 14/23:00 16/22:00 1260
    CME_Equity 2024-01-16T12:00:00  OVERNIGHT 2024-01-16 14/23:00 14/23:00 16/22:00 780
    CME_Equity 2024-07-16T11:00:00  OVERNIGHT 2024-07-16 15/22:00 15/22:00 16/21:00 780
    24/7       2024-08-08T13:05:59  CONTINUOUS 2024-08-08 08/00:00 08/00:00 09/00:00 785
    unknown    2024-08-08T13:05:59  UNKNOWN 2024-08-08 08/00:00 08/00:00 09/00:00 785
    CME_Globex 2024-01-15T12:00:00  UNKNOWN 2024-01-15 15/00:00 15/00:00 16/00:00 720
    CME_Crypto 2026-01-05T12:00:00  UNKNOWN 2026-01-05 05/00:00 05/00:00 06/00:00 720
    CME_Crypto 2025-06-04T14:00:00  MORNING 2025-06-04 03/22:00 03/22:00 04/21:00 960
    NYSE       1970-01-01T00:00:00  UNKNOWN 1970-01-01 01/00:00 01/00:00 02/00:00 0
    NYSE       1969-12-31T12:00:00  UNKNOWN 1969-12-31 31/00:00 31/00:00 01/00:00 720
"""


@pytest.mark.parametrize("line", [line for line in lines(MOMENTS) if not line.startswith("#")])
def test_what_a_moment_is_told(line: str) -> None:
    calendar, moment, *expected = line.split()
    ts = parse_time(moment)
    s = timetable(calendar, ts, ts + 1).at(ts)
    times = [
        "-" if t is None else format_time(t)[8:16].replace("T", "/") for t in (s.anchor, s.open, s.close)
    ]
    session, minute = s.date.isoformat() if s.date else "-", "-" if s.minute is None else str(s.minute)
    assert [s.phase.name, session, *times, minute] == expected


def test_a_session_says_how_long_it_lasts() -> None:
    ts = parse_time("2024-07-01T13:37:30.5")
    session = timetable("NYSE", ts, ts + 1).at(ts)
    assert format_time(session.phase_start)[11:19] == "13:30:00"
    assert format_time(session.phase_end)[11:19] == "13:45:00"
    assert session.seconds == 5 * 3600 + 37 * 60 + 30.5
    assert session.date == date(2024, 7, 1)
    closed = timetable("NYSE", ts + 24 * 5 * HOUR, ts + 24 * 5 * HOUR + 1).at(ts + 24 * 5 * HOUR)
    assert (closed.phase, closed.seconds, closed.since_start) == (Phase.CLOSED, None, None)


def test_the_codes_are_frozen() -> None:
    assert {p.name: p.value for p in Phase} == {
        "UNKNOWN": 0, "CLOSED": 1, "PRE_MARKET": 2, "OPEN_DRIVE": 3, "MORNING": 4, "MIDDAY": 5,
        "AFTERNOON": 6, "CLOSE": 7, "AFTER_HOURS": 8, "OVERNIGHT": 9, "CONTINUOUS": 10,
    }  # fmt: skip


def test_layout_of_the_arrays() -> None:
    table = timetable("NYSE", parse_time("2024-01-01"), parse_time("2024-02-01"))
    kinds = [(name, getattr(table, name).dtype.str) for name in ("starts", "phases", "dates", "anchors")]
    assert kinds == [("starts", "<i8"), ("phases", "|u1"), ("dates", "<i4"), ("anchors", "<i8")]
    for name in ("starts", "phases", "dates", "anchors", "origins", "opens", "closes"):
        column = getattr(table, name)
        assert column.shape == (len(table),) and column.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0
    between = table.dates == NO_DATE
    assert between.any() and (table.phases[between] == Phase.CLOSED).all()
    assert (table.anchors[between] == NO_TIME).all() and (table.anchors[~between] != NO_TIME).all()


def test_a_moment_outside_is_refused_by_name() -> None:
    start, end = parse_time("2024-07-01T14:00"), parse_time("2024-07-02T14:00")
    table = timetable("NYSE", start, end)
    for ts in (int(table.starts[0]) - 1, table.end):
        assert table.locate(ts) == -1
        with pytest.raises(
            InputError, match=r"outside this timetable of NYSE, which reaches from 2024-07-01T"
        ):
            table.at(ts)
    assert table.at(start).phase is Phase.MORNING
    assert table.at(table.end - 1).phase is table.at(end - 1).phase


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4), (-(2**63), 0), (0, 2**63 - 1)])
def test_a_span_that_is_none_is_refused(start: int, end: int) -> None:
    with pytest.raises(InputError, match="No timetable from"):
        timetable("NYSE", start, end)


def test_an_unknown_calendar_is_named() -> None:
    with pytest.raises(UnknownName, match=r"'NYES' is no trading calendar. The nearest is 'NYSE'"):
        timetable("NYES", 0, 1)


def test_whose_calendar_an_instrument_follows() -> None:
    oil = Instrument("GLBX.MDP3", "CLH4", 10**7, calendar="CME_Globex")
    assert calendar_of(oil) == calendar_of(oil, {"GLBX.MDP3/NG": "24/7"}) == "CME_Globex"
    assert calendar_of(oil, {"GLBX": "unknown"}) == "unknown"
    assert calendar_of(oil, {"GLBX": "unknown", "GLBX.MDP3": "NYSE"}) == "NYSE"
    assert calendar_of(oil, {"GLBX.MDP3": "NYSE", "GLBX.MDP3/CL": "24/7"}) == "24/7"
    assert calendar_of(oil, {"GLBX.MDP3/CL": "24/7", "GLBX.MDP3/CLH4": "CME_Equity"}) == "CME_Equity"


SCRIPT = """
import hashlib, sys
from depthscope.market.sessions import timetable
always = timetable("24/7", 0, 10**18)
assert "pandas" not in sys.modules, "a calendar that needs no library asked for it"
digest = hashlib.sha256()
for name in ("NYSE", "CME_Equity", "CME_Globex", "CME_Crypto"):
    table = timetable(name, 1_300_000_000 * 10**9, 1_800_000_000 * 10**9)
    for column in (table.starts, table.phases, table.dates, table.anchors, table.origins, table.opens):
        digest.update(column.tobytes())
print(digest.hexdigest())
"""


def test_every_process_gets_the_same_whatever_its_zone_and_hash_seed() -> None:
    found = set()
    for zone, seed in (("UTC", "0"), ("Asia/Tokyo", "1")):
        environ = {"TZ": zone, "PYTHONHASHSEED": seed, "PATH": ""}
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environ)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_the_example_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "SESSIONS.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    exec(compile(code, "SESSIONS.md", "exec"), {})
    assert capsys.readouterr().out.strip() == code.rpartition("# ")[2].strip()


def test_seconds_are_exact_where_floats_would_not_be() -> None:
    ts = parse_time("2024-07-01T08:00:00.000000001")
    table = timetable("NYSE", ts, ts + 1)
    assert table.at(ts).since_start == 1
    assert np.array_equal(table.locate([ts - 2, ts - 1, ts]), [-1, 0, 0])
