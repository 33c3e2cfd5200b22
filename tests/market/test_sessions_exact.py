"""Timetables against a slow definition by wall clocks and hand-typed lists, and what holds for any."""

from __future__ import annotations

from datetime import date
from functools import cache
from itertools import pairwise

import numpy as np
import pandas_market_calendars
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from depthscope.market import hours as hours_module
from depthscope.market.calendars import CALENDARS
from depthscope.market.hours import date_of, day_of, trading_hours
from depthscope.market.lookup import stretch_at
from depthscope.market.phases import equities, globex
from depthscope.market.sessions import NO_DATE, NO_TIME, Phase, Timetable, timetable
from depthscope.market.times import parse_time
from tests.reference import sessions as slow

# The definitions, and the calendar library, are slow; tests/market/test_sessions.py covers timetables.
pytestmark = pytest.mark.untraced

DAY = 86_400_000_000_000
MINUTE = 60_000_000_000
FIRST, LAST = parse_time(f"{slow.FIRST}"), parse_time(f"{slow.LAST}")
SLOW = {"NYSE": slow.nyse, "CME_Equity": slow.cme_equity}
NAMES = sorted(CALENDARS)
MOMENTS = st.integers(parse_time("1990-01-01"), parse_time("2035-01-01"))


@cache
def whole(name: str) -> Timetable:
    return timetable(name, FIRST, LAST)


def fast(table: Timetable, ts: int) -> tuple[str, date | None]:
    session = table.at(ts)
    return session.phase.name, session.date


@pytest.mark.parametrize("name", SLOW)
def test_every_boundary_of_five_years(name: str) -> None:
    """A phase begins exactly where the slow definition says so, and nowhere else in between."""
    table = whole(name)
    starts = table.starts[1:].tolist()
    for start, end in zip(starts, [*starts[1:], table.end], strict=True):
        here = SLOW[name](start)
        assert fast(table, start) == here
        assert fast(table, start - 1) == SLOW[name](start - 1)
        assert SLOW[name](start - 1) != here, "a boundary where nothing changes"
        assert fast(table, (start + end) // 2) == SLOW[name]((start + end) // 2)


@pytest.mark.parametrize("name", SLOW)
@given(st.integers(FIRST, LAST - 1))
def test_any_moment_of_five_years(name: str, ts: int) -> None:
    assert fast(whole(name), ts) == SLOW[name](ts)


@pytest.mark.parametrize("name", SLOW)
def test_every_quarter_of_an_hour_of_a_year(name: str) -> None:
    table = whole(name)
    for ts in range(parse_time("2024-01-01"), parse_time("2025-01-01"), 15 * MINUTE):
        assert fast(table, ts) == SLOW[name](ts)


@settings(max_examples=60)
@given(st.sampled_from(NAMES), MOMENTS, st.integers(1, 60 * DAY))
@example("NYSE", parse_time("1999-12-20"), 30 * DAY)
@example("CME_Globex", parse_time("2027-12-20"), 30 * DAY)
@example("CME_Crypto", parse_time("2017-12-10"), 30 * DAY)
def test_phases_partition_time(name: str, start: int, length: int) -> None:
    table = timetable(name, start, start + length)
    assert table.starts[0] <= start and table.end >= start + length
    assert (np.diff(table.starts) > 0).all() and table.end > table.starts[-1]
    assert np.isin(table.phases, list(Phase)).all()
    # Nothing is cut needlessly: two stretches in a row differ.
    rows = list(zip(table.phases, table.dates, table.anchors, table.origins, strict=True))
    assert all(a != b for a, b in pairwise(rows))
    session = table.dates != NO_DATE
    assert (table.phases[~session] == Phase.CLOSED).all()
    for column in (table.anchors, table.origins, table.opens, table.closes):
        assert ((column == NO_TIME) == ~session).all()
    assert (table.anchors[session] <= table.starts[session]).all()
    assert (table.origins[session] <= table.starts[session]).all()
    assert (table.opens[session] < table.closes[session]).all()
    # Sessions and what they count from never go back.
    for column in (table.dates, table.anchors):
        known = column[session & (table.phases != Phase.UNKNOWN)]
        assert (np.diff(known) >= 0).all()


@settings(max_examples=60)
@given(
    st.sampled_from(NAMES), MOMENTS, st.integers(1, 20 * DAY), st.integers(-20 * DAY, 20 * DAY),
    st.integers(1, 20 * DAY),
)  # fmt: skip
def test_it_does_not_matter_which_span_was_asked_for(
    name: str, start: int, length: int, shift: int, other: int
) -> None:
    one, two = timetable(name, start, start + length), timetable(name, start + shift, start + shift + other)
    shared = np.union1d(one.starts, two.starts)
    low, high = max(one.starts[0], two.starts[0]), min(one.end, two.end)
    shared = shared[(shared >= low) & (shared < high)]
    i, j = one.locate(shared), two.locate(shared)
    for column in ("starts", "phases", "dates", "anchors", "origins", "opens", "closes"):
        np.testing.assert_array_equal(getattr(one, column)[i], getattr(two, column)[j], column)


@pytest.mark.parametrize("name", ["NYSE", "CME_Equity", "CME_Globex", "CME_Crypto"])
def test_the_clock_of_a_day_is_the_wall_clock(name: str) -> None:
    """Equal minutes are equal local times, winter and summer: no session spans a change of clocks."""
    zone, begin = ("America/New_York", 4 * 60) if name == "NYSE" else ("America/Chicago", 17 * 60)
    table = whole(name)
    of_session = np.flatnonzero((table.dates != NO_DATE) & (table.phases != Phase.UNKNOWN))
    for i in of_session.tolist():
        for ts in (
            int(table.starts[i]),
            int(table.starts[i + 1]) - 1 if i + 1 < len(table) else table.end - 1,
        ):
            # A halt of a holiday weekend may last over the change; nothing trades in it.
            if table.phases[i] != Phase.CLOSED:
                wall = slow.wall(ts, zone)
                minute = table.at(ts).minute
                assert minute is not None and (minute + begin) % 1440 == wall.hour * 60 + wall.minute


@pytest.mark.parametrize("name", [name for name in NAMES if CALENDARS[name].library])
def test_no_session_is_cut_where_knowledge_begins_or_ends(name: str) -> None:
    calendar = CALENDARS[name]
    for day in (day_of(calendar.first), day_of(calendar.last) + 1):
        midnight = day * DAY
        hours = trading_hours(calendar, day - 20, day + 20)
        pieces = equities(hours) if name == "NYSE" else globex(hours, {}, range(day - 20, day + 25))
        assert [p for p in pieces if p.start < midnight < p.end] == []


@settings(max_examples=300)
@given(
    st.sets(st.integers(-(2**62), 2**62), min_size=1, max_size=9),
    st.integers(1, 2**40),
    st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-3, 12)), max_size=9),
)
def test_compiled_lookup_on_any_array(cuts: set[int], length: int, asked: list[tuple[int, int]]) -> None:
    starts = np.array(sorted(cuts), np.int64)
    end = int(starts[-1]) + length
    nothing = np.empty(0, np.int64)
    table = Timetable("x", starts, end, nothing, nothing, nothing, nothing, nothing, nothing)
    near = [(cut + d, hint) for cut in [*cuts, end] for d in (-1, 0, 1) for hint in (0, len(cuts) - 1)]
    for ts, hint in [*asked, *near]:
        wanted = max((i for i, cut in enumerate(starts.tolist()) if cut <= ts < end), default=-1)
        assert stretch_at(starts, end, ts, hint) == wanted
        assert table.locate(ts) == wanted


def test_compiled_lookup_follows_a_stream() -> None:
    table = whole("CME_Equity")
    rng = np.random.default_rng(20231225)
    times = np.sort(rng.integers(FIRST - DAY, LAST + DAY, 20_000))
    expected, hint = table.locate(times), 0
    for ts, wanted in zip(times.tolist(), expected.tolist(), strict=True):
        hint = stretch_at(table.starts, table.end, ts, hint)
        assert hint == wanted
    assert stretch_at(np.empty(0, np.int64), 10, 5, 0) == -1


@settings(max_examples=60)
@given(
    st.sampled_from(["NYSE", "CME Globex Equity", "CME_Equity", "CME_TradeDate"]),
    st.integers(12_000, 21_000),
    st.integers(0, 500),
)
def test_years_that_are_kept_are_what_the_library_says_of_any_span(
    name: str, first: int, length: int
) -> None:
    table = hours_module._schedule(name, first, first + length)
    span = date_of(first).isoformat(), date_of(first + length).isoformat()
    frame = pandas_market_calendars.get_calendar(name).schedule(*span)
    assert table["day"] == frame.index.to_numpy("datetime64[D]").astype(np.int64).tolist()
    for column in frame:
        assert table[column] == frame[column].to_numpy("datetime64[ns]").astype(np.int64).tolist()
