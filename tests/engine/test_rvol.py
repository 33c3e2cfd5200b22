"""Relative volume: its definition over a fortnight, days worked by hand, a synthetic week."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

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

FEATURES = ["rvol"]
SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIDNIGHT = parse_time("2026-01-05")


@examples(25)
@given(
    streams(events=(20, 120), instruments=(1, 2)),
    st.permutations(CALENDARS),
    st.sampled_from(("event", MINUTE, HOUR + 7 * SECOND)),
    st.sampled_from((40_000, 200_000)),
    st.sampled_from((None, 1, 7)),
)
def test_definition(
    stream: Stream, calendars: list[str], every: int | str, factor: int, size: int | None
) -> None:
    same_rows(spread(stream, calendars, factor), every, sparse=True, features=FEATURES, size=size)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_fortnight(calendar: str) -> None:
    stream = spread(seeded_stream(9, 900, 1), [calendar], 25_000)
    table = same_rows(stream, 1_801 * SECOND, features=FEATURES)
    defined = table.columns["rvol"][np.isfinite(table.columns["rvol"])]
    assert len(defined) > 60
    # The days' minutes and rows of an hour, half a minute or an event tell the same.
    fine = run(Engine(stream.resolve, every=30 * SECOND, features=FEATURES), stream.events)
    coarse = run(Engine(stream.resolve, every=HOUR, features=FEATURES), stream.events)
    shared = fine.where(np.isin(fine.meta["ts"], coarse.meta["ts"]))
    np.testing.assert_array_equal(shared.columns["rvol"], coarse.columns["rvol"])


def test_a_snapshot_carries_the_days() -> None:
    stream = spread(seeded_stream(9, 900, 2), ["CME_Equity", "24/7"], 25_000)

    def made() -> Engine:
        return Engine(stream.resolve, every=HOUR, features=FEATURES)

    whole = run(made(), stream.events)
    one, at = made(), 2 * len(stream) // 3
    head = one.process(stream.events[:at])
    fresh = made()
    fresh.restore(one.snapshot())
    rest = run(fresh, stream.events[at:], 5)
    joined = np.concatenate([head["rvol"], rest.columns["rvol"]])
    np.testing.assert_array_equal(joined, whole.columns["rvol"])


# ── worked cases ──────────────────────────────────────────────────────────────────────────


def values(deals: Sequence[tuple[int, int]], rows: Sequence[int], calendar: str = "24/7") -> list[float]:
    """Relative volume at rows of a minute, given by their end; trades are (time, size)."""
    events = ev.empty_events(len(deals) + 1)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"], events["side"] = ev.LAST, ev.TRADE, ev.BID
    events["price"] = 100 * SECOND
    events["ts_recv"] = [*(at for at, _ in deals), max(*rows, deals[-1][0]) + 1]
    events["size"] = [*(size for _, size in deals), 1]
    events["action"][-1] = ev.NONE
    instrument = Instrument("test", "S", SECOND, calendar=calendar, capabilities=CAPABILITIES[MBO])
    table = run(Engine(lambda *_: instrument, every=MINUTE, features=FEATURES), events)
    line = dict(zip(table.meta["ts"].tolist(), table.columns["rvol"].tolist(), strict=True))
    return [line[ts] for ts in rows]


def test_days_by_hand() -> None:
    one, two, three = MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY
    noon = 12 * HOUR
    deals = [
        (one + 30 * SECOND, 10), (one + noon, 30),
        (two + HOUR, 20), (two + noon + 30 * SECOND, 40), (two + 20 * HOUR, 6),
        (three + HOUR, 8),
    ]  # fmt: skip
    asked = [
        one + noon,  # no day before
        one + DAY,
        two + 5 * MINUTE,  # nothing yet against the 10 of before
        two + noon,  # 20 against 10
        two + noon + MINUTE,  # 60 against 40
        two + DAY,  # 66 against 40
        three + HOUR,  # 0 against (10 + 0) / 2
        three + HOUR + MINUTE,  # 8 against (10 + 20) / 2
        three + noon + MINUTE,  # 8 against (40 + 60) / 2
    ]
    got = values(deals, asked)
    assert np.isnan(got[:2]).all()
    assert got[2:] == [0.0, 2.0, 1.5, 1.65, 0.0, 8 / 15, 0.16]


def test_within_a_minute_prior_volume_counts_in_proportion() -> None:
    events = ev.empty_events(3)
    events["publisher"] = events["instrument_id"] = 1
    events["flags"], events["action"], events["side"], events["price"] = ev.LAST, ev.TRADE, ev.BID, SECOND
    events["ts_recv"], events["size"] = MIDNIGHT + np.array([0, DAY, DAY + 15 * SECOND]), [40, 5, 5]
    instrument = Instrument("test", "S", SECOND, calendar="24/7", capabilities=CAPABILITIES[MBO])
    got = run(Engine(lambda *_: instrument, every="event", features=FEATURES), events).columns["rvol"]
    assert np.isnan(got[:2]).all()  # at midnight itself nothing had traded yet
    assert got[2] == 1.0  # 10 against a quarter of 40


def test_a_first_day_that_was_not_seen_from_its_open_is_none() -> None:
    late = [(MIDNIGHT + MINUTE, 10), (MIDNIGHT + DAY, 10), (MIDNIGHT + 2 * DAY, 10)]
    asked = [MIDNIGHT + DAY + HOUR, MIDNIGHT + 2 * DAY + HOUR]
    got = values(late, asked)
    assert isnan(got[0])
    assert got[1] == 1.0
    early = [(MIDNIGHT + MINUTE - 1, 10), *late[1:]]
    assert values(early, asked) == [1.0, 1.0]


def test_a_day_without_a_trade_does_not_count() -> None:
    deals = [(MIDNIGHT, 10), (MIDNIGHT + 3 * DAY, 5)]
    assert values(deals, [MIDNIGHT + 3 * DAY + HOUR]) == [0.5]


def test_us_equities_from_four_in_the_morning() -> None:
    """Before the open and after the close count with the day; closed hours are null."""
    day = {d: parse_time(f"2024-07-0{d}") for d in (8, 9)}
    pre, opened, after, night = 9 * HOUR, 13 * HOUR + 30 * MINUTE, 21 * HOUR, 26 * HOUR
    deals = [
        (day[8] + opened + 59 * SECOND, 10), (day[8] + after, 30),
        (day[9] + pre, 5), (day[9] + after, 15),
    ]  # fmt: skip
    asked = [day[9] + pre + MINUTE, day[9] + opened + MINUTE, day[9] + after + MINUTE, day[9] + night]
    got = values(deals, asked, "NYSE")
    assert isnan(got[0])  # nothing had traded by then the day before
    assert got[1:3] == [0.5, 0.5]
    assert isnan(got[3])


def test_a_synthetic_week() -> None:
    """Against numpy, day after day, at every hour."""
    source = open_source(
        "synthetic:universe,symbols=1,minutes=7200,rate=0.05,inject=0,start=2026-01-05T00:00:00Z"
    )
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    table = run(Engine(source.resolve, every=MINUTE, features=FEATURES), events)
    deals = events[events["action"] == ev.TRADE]
    minute = (deals["ts_recv"] - MIDNIGHT) // MINUTE
    volume = np.bincount(minute, deals["size"], 7_200).reshape(5, 1_440).cumsum(axis=1)
    line = dict(zip(table.meta["ts"].tolist(), table.columns["rvol"].tolist(), strict=True))
    first = 1 if deals["ts_recv"][0] >= MIDNIGHT + MINUTE else 0
    for day in range(5):
        for m in range(59, 1_439, 60):
            got = line[MIDNIGHT + day * DAY + (m + 1) * MINUTE]
            prior = volume[first:day, m]
            want = volume[day, m] / prior.mean() if len(prior) and prior.sum() else nan
            assert got == pytest.approx(want, rel=1e-12, nan_ok=True)
    assert np.isfinite(table.columns["rvol"][4 * 1_440 :]).mean() > 0.9
