"""How complete the data were: the definition on any stream, and minutes by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.engine.harness import MS, Table, run
from tests.engine.test_exact_rows import same_rows
from tests.engine.test_tape import stretched
from tests.strategies.streams import L1, L2, MBO, START, Stream, examples, streams

FEATURES = ["data_quality"]
SECOND = 1_000 * MS
POOR, GOOD, EXCELLENT = 0.0, 1.0, 2.0


@examples(80)
@given(
    streams(events=(10, 200), kinds=(MBO, L2, L1), instruments=(1, 2)),
    st.sampled_from(("event", 100 * MS, SECOND, 90 * SECOND)),
    st.sampled_from((1, 20, 200)),
    st.sampled_from((None, 1, 7)),
    st.booleans(),
)
def test_definition(stream: Stream, every: int | str, factor: int, size: int | None, sparse: bool) -> None:
    same_rows(stretched(stream, factor), every, sparse=sparse, features=FEATURES, size=size)


def book(changes: Sequence[tuple[float, str, int]], *, end: float, levels: int = 10) -> ev.Events:
    """Some levels a side at the start, then (seconds, action, size at the best bid)."""
    rows = [(0.0, "R", "N", 0, 0)]
    rows += [(0.0, "L", "B", 100 - k, 5) for k in range(levels)]
    rows += [(0.0, "L", "A", 101 + k, 5) for k in range(levels)]
    for at, action, size in changes:
        rows.append((at, action, "B" if action == "L" else "N", 100, size))
    rows.append((end, "N", "N", 0, 0))
    events = ev.empty_events(len(rows))
    events["publisher"] = events["instrument_id"] = 1
    events["flags"] = ev.LAST
    for k, (at, action, side, price, size) in enumerate(rows):
        events["ts_recv"][k] = START + round(at * SECOND)
        events["action"][k], events["side"][k] = ord(action), ord(side)
        events["price"][k], events["size"][k] = price * SECOND, size
    return events


def rows_of(events: ev.Events, capabilities: Capability = Capability.L2, **settings: float) -> Table:
    instrument = Instrument("test", "S", SECOND, capabilities=capabilities)
    engine = Engine(lambda *_: instrument, every=SECOND, features=FEATURES, settings=settings)
    return run(engine, events)


def test_a_good_book_is_excellent_from_its_first_row_on() -> None:
    table = rows_of(book([], end=70.0))
    assert len(table) == 70
    assert set(table.columns["data_quality"]) == {EXCELLENT}
    assert set(table.columns["live_share_60s"]) == {1.0}
    assert set(table.columns["depth_rows_60s"]) == {10.0}
    assert set(table.columns["gaps_60s"]) == {0.0}


def test_a_gap_by_hand() -> None:
    """Lost for five seconds: what the rows at 10 … 14 show holds until the next; that at 15 is LIVE."""
    again = book([], end=0.0)[:-1]
    again["ts_recv"] += round(14.5 * SECOND)
    lost = book([(9.5, "X", 0)], end=100.0)
    events = np.concatenate([lost[:-1], again, lost[-1:]])
    table = rows_of(events)
    at = {s: s - 1 for s in (9, 10, 11, 15, 20, 60, 69, 70, 71, 75, 80)}
    word, share = table.columns["data_quality"], table.columns["live_share_60s"]
    assert word[at[9]] == EXCELLENT
    assert (share[at[10]], word[at[10]]) == (1.0, GOOD)  # the gap counts at once, time from here on
    assert share[at[11]] == 9 / 10
    assert share[at[15]] == 9 / 14
    assert word[at[15]] == POOR
    assert share[at[20]] == 14 / 19
    assert (share[at[60]], word[at[60]]) == (54 / 59, GOOD)
    assert table.columns["depth_rows_60s"][at[60]] == pytest.approx(10 * 54 / 59)
    assert table.columns["gaps_60s"][[at[69], at[70], at[71]]].tolist() == [1.0, 0.0, 0.0]
    assert (share[at[71]], share[at[75]]) == (56 / 60, 1.0)
    assert (word[at[71]], word[at[75]], word[at[80]]) == (GOOD, EXCELLENT, EXCELLENT)


@pytest.mark.parametrize(("levels", "word"), [(4, POOR), (5, GOOD), (9, GOOD), (10, EXCELLENT)])
def test_few_levels(levels: int, word: float) -> None:
    table = rows_of(book([], end=3.0, levels=levels))
    assert table.columns["depth_rows_60s"].tolist() == [levels] * 3
    assert table.columns["data_quality"].tolist() == [word] * 3


def test_thresholds_are_settings() -> None:
    thin = rows_of(book([], end=3.0, levels=3), data_quality_excellent_rows=3.0)
    assert set(thin.columns["data_quality"]) == {EXCELLENT}
    lost = book([(2.5, "X", 0)], end=3.0)
    assert rows_of(lost, data_quality_good_gaps=0.0).columns["data_quality"].tolist()[-1] == POOR


def test_no_depth_no_word() -> None:
    assert np.isnan(rows_of(book([], end=3.0), Capability.L1).columns["data_quality"]).all()
