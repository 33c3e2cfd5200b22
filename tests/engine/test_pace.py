"""The tape's pace against days before: its definition over days, days worked by hand, a synthetic week."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.market.times import parse_time
from depthscope.runtime.sources import open_source
from tests.engine.harness import run
from tests.engine.test_exact_rows import same_rows
from tests.engine.test_session_features import CALENDARS, spread
from tests.strategies.streams import CAPABILITIES, MBO, Stream, examples, seeded_stream, streams

FEATURES = ["tape_percentile"]
SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIDNIGHT = parse_time("2026-01-05")


@examples(20)
@given(
    streams(events=(20, 120), instruments=(1, 2)),
    st.permutations(CALENDARS),
    st.sampled_from(("event", 5 * SECOND, 7 * MINUTE)),
    st.sampled_from((2_000, 60_000)),
    st.sampled_from((None, 1, 7)),
)
def test_definition(
    stream: Stream, calendars: list[str], every: int | str, factor: int, size: int | None
) -> None:
    same_rows(spread(stream, calendars, factor), every, sparse=True, features=FEATURES, size=size)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_some_days(calendar: str) -> None:
    stream = spread(seeded_stream(9, 500, 1), [calendar], 10_000)
    table = same_rows(stream, "event", features=FEATURES)
    assert np.isfinite(table.columns["tape_velocity_percentile"]).sum() > 20
    # Rows made of rows and rows made of events tell the same.
    fine = run(Engine(stream.resolve, every=5 * SECOND, sparse=True, features=FEATURES), stream.events)
    coarse = run(Engine(stream.resolve, every=21 * SECOND, sparse=True, features=FEATURES), stream.events)
    shared = np.intersect1d(fine.meta["ts"], coarse.meta["ts"])
    lines = [
        t.where(np.isin(t.meta["ts"], shared)).columns["tape_velocity_percentile"] for t in (fine, coarse)
    ]
    np.testing.assert_array_equal(*lines)


def test_a_snapshot_carries_the_days() -> None:
    stream = spread(seeded_stream(9, 600, 2), ["CME_Equity", "24/7"], 10_000)

    def made() -> Engine:
        return Engine(stream.resolve, every="event", features=FEATURES)

    whole = run(made(), stream.events)
    one, at = made(), 2 * len(stream) // 3
    head = one.process(stream.events[:at])
    fresh = made()
    fresh.restore(one.snapshot())
    rest = run(fresh, stream.events[at:], 5)
    joined = np.concatenate([head["tape_velocity_percentile"], rest.columns["tape_velocity_percentile"]])
    np.testing.assert_array_equal(joined, whole.columns["tape_velocity_percentile"])


def percentiles(deals: Sequence[tuple[int, int]], rows: Sequence[int], calendar: str = "24/7") -> list[float]:
    """Values at rows of 5 s, given by their end; deals are (time, how many trades)."""
    times = [at for at, n in deals for _ in range(n)]
    events = ev.empty_events(len(times) + 1)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"], events["side"] = ev.LAST, ev.TRADE, ev.BID
    events["price"], events["size"] = 100 * SECOND, 1
    events["ts_recv"] = [*times, max(*rows, times[-1]) + 1]
    events["action"][-1] = ev.NONE
    instrument = Instrument("test", "S", SECOND, calendar=calendar, capabilities=CAPABILITIES[MBO])
    table = run(Engine(lambda *_: instrument, every=5 * SECOND, features=FEATURES), events)
    column = table.columns["tape_velocity_percentile"]
    line = dict(zip(table.meta["ts"].tolist(), column.tolist(), strict=True))
    return [line[ts] for ts in rows]


def test_days_by_hand() -> None:
    """Day one: steps of 5 s at noon with 9, 1, 0, 3, 5 and 2 trades; the first and last are not readings."""
    noon = MIDNIGHT + 12 * HOUR
    steps = (9, 1, 0, 3, 5, 2)
    deals = [(noon + 5 * k * SECOND, n) for k, n in enumerate(steps)]
    today = noon + DAY
    deals += [(today + 5 * k * SECOND, n) for k, n in enumerate((4, 3, 0, 40))]
    asked = [noon + 30 * SECOND, *(today + 5 * k * SECOND for k in range(1, 6)), today + HOUR]
    got = percentiles(deals, asked)
    assert isnan(got[0])  # no day before
    # Readings 0, 1, 3, 5: four trades are more than three of them, three tie with one …
    assert got[1:6] == [3 / 4, 2.5 / 4, 0.5 / 4, 1.0, 0.5 / 4]
    assert isnan(got[6])  # of another half hour there is none


def test_quiet_steps_between_trades_are_readings_and_days_add_up() -> None:
    ten = 10 * HOUR + 5 * MINUTE
    deals = [(MIDNIGHT + ten, 1), (MIDNIGHT + ten + 100 * SECOND, 1)]
    deals += [(MIDNIGHT + DAY + ten + 5 * k * SECOND, 2) for k in range(12)]
    third = MIDNIGHT + 2 * DAY + ten
    deals.append((third, 1))
    got = percentiles(deals, [MIDNIGHT + DAY + ten + 5 * SECOND, third, third + 5 * SECOND])
    assert got[0] == 1.0  # 19 quiet steps the day before
    assert got[1] == pytest.approx(19 / 2 / 29)  # then ten steps of two
    assert got[2] == pytest.approx(19 / 29)


@pytest.mark.parametrize(("now", "want"), [(31, 0.0), (32, 0.5), (35, 0.5), (36, 1.0)])
def test_large_numbers_are_told_apart_by_eighths_of_an_octave(now: int, want: float) -> None:
    noon = MIDNIGHT + 12 * HOUR
    deals = [(noon, 1), (noon + 5 * SECOND, 33), (noon + 10 * SECOND, 1), (noon + DAY, now)]
    assert percentiles(deals, [noon + DAY + 5 * SECOND]) == [want]


def test_closed_hours_have_none() -> None:
    day = {d: parse_time(f"2024-07-0{d}") for d in (8, 9)}
    opened, night = 14 * HOUR, 26 * HOUR
    deals = [(day[d] + opened + 5 * k * SECOND, 1 + k) for d in (8, 9) for k in range(4)]
    got = percentiles(deals, [day[9] + opened + 10 * SECOND, day[9] + night], "NYSE")
    assert got[0] == 0.25  # two trades; readings of two and three
    assert isnan(got[1])


def test_a_synthetic_week() -> None:
    """Against numpy, each half hour of the last day."""
    source = open_source(
        "synthetic:universe,symbols=1,minutes=7200,rate=0.05,inject=0,start=2026-01-05T00:00:00Z"
    )
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    (key,) = source.instruments
    found = source.instruments[key]
    always = Instrument(found.venue, found.symbol, found.tick, found.lot, capabilities=found.capabilities)
    table = run(Engine(lambda *_: always, every=5 * SECOND, features=FEATURES), events)
    step = (events["ts_recv"][events["action"] == ev.TRADE] - MIDNIGHT) // (5 * SECOND)
    counts = np.bincount(step, minlength=5 * 17_280).reshape(5, 17_280)
    assert counts.max() < 16  # all told apart
    line = dict(
        zip(table.meta["ts"].tolist(), table.columns["tape_velocity_percentile"].tolist(), strict=True)
    )
    checked = 0
    for half in range(48):
        prior: list[int] = []
        for day in range(4):
            ends = np.flatnonzero(counts[day])
            inside = np.arange(max(360 * half, ends[0] + 1), min(360 * (half + 1), ends[-1]))
            prior += counts[day, inside].tolist()
        readings = np.array(prior)
        for k in (1, 100, 359):
            at = 360 * half + k
            if 5 * SECOND * (4 * 17_280 + at + 1) + MIDNIGHT not in line or not len(readings):
                continue
            now = counts[4, at]
            want = ((readings < now).sum() + (readings == now).sum() / 2) / len(readings)
            assert line[5 * SECOND * (4 * 17_280 + at + 1) + MIDNIGHT] == pytest.approx(want, rel=1e-12)
            checked += 1
    assert checked > 100
