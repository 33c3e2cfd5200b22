"""Recorded markets trade when the timetable says that they are open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.api import open_source
from depthscope.market import events as ev
from depthscope.market.sessions import Phase, timetable
from depthscope.market.times import parse_time

pytestmark = pytest.mark.real_data


def phases_of(path: Path) -> tuple[str, np.ndarray]:
    """Calendar of the one instrument of a file, and the phase of each trade by the venue's clock."""
    source = open_source(path)
    found = np.concatenate([chunk[chunk["action"] == ev.TRADE].copy() for chunk in source.chunks()])
    (key,) = set(zip(found["publisher"].tolist(), found["instrument_id"].tolist(), strict=True))
    calendar, times = source.resolve(*key).calendar, found["ts_event"]
    table = timetable(calendar, int(times.min()), int(times.max()) + 1)
    return calendar, table.phases[table.locate(times)]


def test_the_es_trades_on_christmas_are_the_next_days_night(data_dir: Path) -> None:
    """Not one before 17:00 Chicago time, when the session of the 26th opens."""
    calendar, phases = phases_of(data_dir / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    assert (calendar, len(phases)) == ("CME_Equity", 2973)
    assert (phases == Phase.OVERNIGHT).all()


def test_the_es_orders_before_it_come_while_closed(data_dir: Path) -> None:
    source = open_source(data_dir / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    times = np.concatenate([chunk["ts_event"].copy() for chunk in source.chunks()])
    day = parse_time("2023-12-25")
    times = times[times >= day + 22 * 3600 * 10**9]
    table = timetable("CME_Equity", int(times.min()), int(times.max()) + 1)
    found = set(table.phases[table.locate(times)].tolist())
    assert found == {Phase.CLOSED, Phase.OVERNIGHT}


def test_a_few_minutes_of_es_in_summer(data_dir: Path) -> None:
    calendar, phases = phases_of(data_dir / "databento" / "esu4-trades-20240701.dbn.zst")
    assert calendar == "CME_Equity" and len(phases) == 120
    assert Phase.CLOSED not in phases and Phase.UNKNOWN not in phases


def test_a_day_of_nasdaq_trades_in_the_regular_session(data_dir: Path) -> None:
    calendar, phases = phases_of(data_dir / "lobster" / "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip")
    assert calendar == "NYSE"
    regular = [Phase.OPEN_DRIVE, Phase.MORNING, Phase.MIDDAY, Phase.AFTERNOON, Phase.CLOSE]
    assert sorted(set(phases.tolist())) == regular
