"""Session totals and phases, day after day: against clocks on the wall, by hand, on any grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthscope as ds
from depthscope.engine import Engine
from depthscope.errors import UnknownName
from depthscope.features.clock import stretches
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.market.phases import Phase
from depthscope.market.times import parse_time
from tests.engine.harness import Table, run
from tests.engine.test_exact_rows import same_rows
from tests.rules.test_imports import loaded_after
from tests.strategies.streams import CAPABILITIES, MBO, START, Stream, examples, seeded_stream, streams

FEATURES = ["session", "phase"]
SECOND = 10**9
MINUTE = 60 * SECOND
CALENDARS = ("NYSE", "CME_Equity", "24/7", "unknown")
# By event, on rows alone, and where a row straddles the minute at which a session begins.
GRIDS = ("event", MINUTE, 7 * MINUTE, 3_607 * SECOND)


def spread(stream: Stream, calendars: Sequence[str], factor: int) -> Stream:
    """The stream over days instead of seconds, its instruments of some calendars."""
    events = stream.events.copy()
    events["ts_recv"] = START + (events["ts_recv"] - START) * factor
    found = {
        key: replace(instrument, calendar=calendars[k % len(calendars)])
        for k, (key, instrument) in enumerate(stream.instruments.items())
    }
    return Stream(events, found)


@examples(60)
@given(
    streams(events=(10, 120), instruments=(1, 3)),
    st.permutations(CALENDARS),
    st.sampled_from(GRIDS),
    st.sampled_from((2_000, 30_000)),
    st.sampled_from((None, 1, 7)),
)
def test_definitions_over_days(
    stream: Stream, calendars: list[str], every: int | str, factor: int, size: int | None
) -> None:
    same_rows(spread(stream, calendars, factor), every, sparse=True, features=FEATURES, size=size)


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("every", [600 * SECOND, 3_607 * SECOND])
def test_every_row_of_a_fortnight(calendar: str, every: int) -> None:
    """Weekends, Christmas, New Year; the book and the trades go on through them."""
    table = same_rows(spread(seeded_stream(5, 600, 1), [calendar], 40_000), every, features=FEATURES)
    assert np.ptp(table.meta["ts"]) > 7 * 86_400 * SECOND
    words = {Phase(int(value)).name for value in table.columns["session_phase"]}
    assert len(words) >= {"NYSE": 7, "CME_Equity": 7}.get(calendar, 1)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_snapshot_and_any_cut_carry_the_timetable(calendar: str) -> None:
    stream = spread(seeded_stream(6, 400, 3), [calendar, "NYSE"], 40_000)

    def made() -> Engine:
        return Engine(stream.resolve, every=600 * SECOND, sparse=True, features=FEATURES)

    whole = run(made(), stream.events).digest()
    assert run(made(), stream.events, 3).digest() == whole
    one, at = made(), 150
    one.process(stream.events[:at])
    kept, rest = one.snapshot(), stream.events[at:]
    expected = run(one, rest).digest()
    fresh = made()
    fresh.restore(kept)
    assert run(fresh, rest, 11).digest() == expected


# ── worked cases ──────────────────────────────────────────────────────────────────────────


def trades(calendar: str, *deals: tuple[str, str, int, int], every: int | str) -> Table:
    """Rows of trades given as (time, side, price, size), and a last event a minute later."""
    events = ev.empty_events(len(deals) + 1)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"] = ev.LAST, ev.NONE
    for event, (at, side, price, size) in zip(events, deals, strict=False):
        event["ts_recv"], event["action"], event["side"] = parse_time(at), ev.TRADE, ord(side)
        event["price"], event["size"] = price * 10**9, size
    events["ts_recv"][-1] = events["ts_recv"][-2] + MINUTE
    instrument = Instrument("test", "S", 10**9, calendar=calendar, capabilities=CAPABILITIES[MBO])
    stream = Stream(events, {(1, 1): instrument})
    return same_rows(stream, every, sparse=every != "event", features=FEATURES)


def shown(table: Table) -> list[tuple[float, ...]]:
    """Delta, VWAP, high, low and last of each row."""
    names = ("cvd", "vwap", "hod", "lod", "last")
    return [tuple(float(table.columns[name][k]) for name in names) for k in range(len(table))]


@pytest.mark.parametrize("every", ["event", SECOND])
def test_us_equities_keep_extended_hours_apart(every: int | str) -> None:
    table = trades(
        "NYSE",
        ("2024-07-02T13:29:59.999999999", "B", 11, 1),  # pre-market
        ("2024-07-02T13:30:00", "A", 10, 2),  # the first of the regular session
        ("2024-07-02T19:59:00", "B", 14, 6),
        ("2024-07-02T20:00:00", "B", 20, 1),  # after the close
        ("2024-07-03T03:00:00", "B", 30, 1),  # nobody's time: still of the session before
        ("2024-07-03T08:00:00", "A", 12, 5),  # 04:00 of the next day
        every=every,
    )
    assert shown(table)[:6] == [
        (1, 11, 11, 11, 11),
        (-2, 10, 10, 10, 10),
        (4, 13, 14, 10, 14),
        (1, 20, 20, 20, 20),
        (2, 25, 30, 20, 30),
        (-5, 12, 12, 12, 12),
    ]
    words = [Phase(int(value)).name for value in table.columns["session_phase"][:6]]
    assert words == ["PRE_MARKET", "OPEN_DRIVE", "CLOSE", "AFTER_HOURS", "CLOSED", "PRE_MARKET"]


def test_a_trade_date_of_cme_begins_in_the_evening() -> None:
    table = trades(
        "CME_Equity",
        ("2024-07-02T20:59:00", "B", 10, 1),
        ("2024-07-02T21:30:00", "B", 10, 1),  # the daily halt: nothing begins
        ("2024-07-02T22:00:00", "A", 10, 3),  # 17:00 Chicago
        ("2024-07-03T13:30:00", "A", 10, 4),  # the cash open is no new session
        every="event",
    )
    assert [row[0] for row in shown(table)] == [1, 2, -3, -7, -7]


def test_a_market_that_never_closes_begins_at_midnight() -> None:
    """And an empty session shows that it has begun before its first trade."""
    table = trades("24/7", ("2024-07-02T23:59:30", "B", 10, 1), every="event")
    assert table.meta["ts"][-1] == parse_time("2024-07-03T00:00:30")
    assert shown(table)[0] == (1, 10, 10, 10, 10)
    last = shown(table)[1]
    assert last[0] == 0
    assert all(isnan(value) for value in last[1:4])
    assert last[4] == 10


@pytest.mark.parametrize("calendar", CALENDARS)
def test_outside_the_years_anything_is_known_of(calendar: str) -> None:
    """UTC days, from the first nanoseconds of time to the last."""
    times = [1, 86_400 * SECOND + 5, 2_000_000_000 * SECOND, (1 << 63) - 10 * SECOND]
    events = ev.empty_events(4)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"], events["side"] = ev.LAST, ev.TRADE, ev.BID
    events["ts_recv"], events["price"], events["size"] = times, 10**9, [1, 2, 4, 8]
    instrument = Instrument("test", "S", 10**9, calendar=calendar, capabilities=CAPABILITIES[MBO])
    table = run(Engine(lambda *_: instrument, every="event", features=FEATURES), events)
    assert table.columns["cvd"].tolist() == [1, 2, 4, 8]
    if calendar != "24/7":
        assert table.columns["session_phase"].tolist() == [float(Phase.UNKNOWN)] * 4


def test_a_calendar_that_is_none_is_told() -> None:
    instrument = Instrument("test", "S", 1, calendar="CME_Equty", capabilities=CAPABILITIES[MBO])
    events = seeded_stream(1, 10, 1).events
    with pytest.raises(UnknownName, match="CME_Equity"):
        Engine(lambda *_: instrument, features=[]).process(events)


def test_another_calendar_may_be_named() -> None:
    source = "synthetic:seed=1,minutes=2,symbols=1,start=2026-01-05T14:29:00Z"
    for calendars, words in (
        (None, {"CONTINUOUS"}),
        ({"SYNTH": "NYSE"}, {"PRE_MARKET", "OPEN_DRIVE"}),
        ({"SYNTH.MBO/SYNES": "CME_Equity", "SYNTH": "NYSE"}, {"OVERNIGHT", "OPEN_DRIVE"}),
    ):
        table = ds.features(source, "1s", features=["phase", "cvd"], calendars=calendars)
        assert set(table["session_phase"].to_pylist()) == words
        frames = list(ds.replay(source, "1s", features=["phase", "cvd"], calendars=calendars))
        assert [frame["cvd"] for frame in frames] == table["cvd"].to_pylist()


def test_blocks_of_a_timetable_join() -> None:
    """The stretch at the seam stands whole in both."""
    for calendar in ("NYSE", "CME_Equity"):
        for block in range(305, 309):
            before, after = stretches(calendar, block), stretches(calendar, block + 1)
            seam = (block + 1) * 64 * 86_400 * SECOND
            assert before[-1]["start"] <= seam <= before[-1]["end"]
            joined = [row for row in before if row["end"] > seam]
            assert all(row in after for row in joined)


def test_no_calendar_is_read_where_none_is_needed() -> None:
    code = """
import depthscope as ds
source = ds.open_source("synthetic:seed=1,minutes=1,symbols=1")
engine = ds.Engine(source.resolve, every="1s")
for events in source.chunks():
    engine.process(events)
instrument = ds.Instrument("test", "S", 10**7, calendar="NYSE")
engine = ds.Engine(lambda *_: instrument, features=["mid"])
source = ds.open_source("synthetic:seed=1,minutes=1,symbols=1")
engine.process(next(iter(source.chunks())))
"""
    assert loaded_after(code).isdisjoint({"pandas", "pandas_market_calendars"})
