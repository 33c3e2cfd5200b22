"""Markouts: cases by hand, no look ahead, and equality with the slow ones."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from depthscope.detectors.registry import detector
from depthscope.errors import InputError, UnknownName
from depthscope.market.layouts import LIVE, STALE
from depthscope.research.markouts import Markout, Markouts, each_markout, markouts
from depthscope.runtime.sources import open_source
from tests.detectors.batches import INSTRUMENT, SECOND, Tale, batches_of
from tests.reference.markouts import told
from tests.strategies.streams import START

SOURCE = "synthetic:seed=5,minutes=6,symbols=2"


def known(tale: Tale, *horizons: str) -> list[Markout]:
    """Markouts of a tale."""
    return Markouts(horizons).update(tale.batch(), [INSTRUMENT])


def test_the_move_from_the_row_after_the_message() -> None:
    tale = Tale()
    tale.quote(1000)
    tale.say("sweep", 1001, "B")
    for bid in (1002, 1003, 1004, 1004, 1004):  # the base is the row of 2 s: 1002.5 ticks
        tale.quote(bid)
    one, two = known(tale, "1s", "2s")
    assert (one.ts - START, one.known - START, one.horizon) == (SECOND, 3 * SECOND, SECOND)
    assert (one.id, one.detector, one.symbol, one.side) == ("sweep-S-1", "sweep", "S", "B")
    assert (one.ticks, one.bps) == (1.0, pytest.approx(1e4 / 1002.5))
    assert (two.ticks, two.known - START) == (2.0, 4 * SECOND)


def test_a_fall_is_in_favour_of_sellers_and_no_side_is_told_as_it_is() -> None:
    for side, ticks in (("A", 3.0), ("B", -3.0), ("", -3.0)):
        tale = Tale()
        tale.quote(1000)
        tale.say("sweep", 1000, side)
        tale.quote(1000)
        tale.quote(997)
        assert [one.ticks for one in known(tale, "1s")] == [ticks]


def test_only_openings_count() -> None:
    tale = Tale()
    tale.quote(1000)
    number = tale.say("sweep", 1000)
    tale.say("sweep", 1000, phase="update", number=number)
    tale.say("sweep", 1000, phase="close", number=number)
    tale.hold(1001, 5)
    made = Markouts(["1s"])
    assert len(made.update(tale.batch(), [INSTRUMENT])) == 1
    assert made.openings == {("S", "sweep", "B"): 1}


def test_rows_without_mid_measure_nothing() -> None:
    for stale in (0, 1):  # the base row, and the one that ends the horizon
        tale = Tale()
        tale.quote(1000)
        tale.say("sweep", 1000)
        for k in range(3):
            tale.quote(1001, state=STALE if k == stale else LIVE)
        assert known(tale, "1s") == []


def test_a_horizon_the_data_do_not_reach_is_missing() -> None:
    tale = Tale()
    tale.quote(1000)
    tale.say("sweep", 1000)
    tale.hold(1000, 3)
    assert [one.horizon for one in known(tale, "1s", "2s", "3s")] == [SECOND, 2 * SECOND]


def test_horizons() -> None:
    assert Markouts(["10s", 10**9, "1s"]).horizons == (10**9, 10**10)
    assert Markouts("2s").horizons == (2 * 10**9,)
    with pytest.raises(InputError, match="one horizon"):
        Markouts([])
    with pytest.raises(InputError, match="duration"):
        Markouts(["soon"])
    with pytest.raises(UnknownName, match="iceberg"):
        markouts(SOURCE, detectors=["icebreg"])


def test_nothing_is_known_before_its_row_however_the_stream_is_cut() -> None:
    found = set()
    for size in (None, 7, 1_000):
        batches, engine = batches_of(open_source(SOURCE), SECOND // 4, ["sweep", "wall"], size)
        made, all_known = Markouts(), []
        for batch in batches:
            new = made.update(batch, engine.slots)
            if new:
                assert batch.samples is not None
                assert max(one.known for one in new) <= batch.samples["ts"][-1]
            all_known += new
        assert all(one.known - one.ts > one.horizon for one in all_known)
        assert [one.known for one in all_known] == sorted(one.known for one in all_known)
        found.add((tuple(all_known), tuple(sorted(made.openings.items()))))
    assert len(found) == 1


def test_the_table_is_that_of_each_one() -> None:
    options = {"every": "250ms", "detectors": ["sweep", "wall", "exhaustion"]}
    table, each = markouts(SOURCE, **options).to_pylist(), each_markout(SOURCE, **options).to_pylist()
    assert sum(row["count"] for row in table) == len(each) > 100
    for row in table:
        key = ("symbol", "detector", "side", "horizon")
        mine = [one for one in each if all(one[name] == row[name] for name in key)]
        assert row["count"] == len(mine) <= row["opened"]
        for unit in ("ticks", "bps"):
            values = [one[unit] for one in mine]
            if values:
                assert row[f"mean_{unit}"] == pytest.approx(np.mean(values), abs=1e-12)
            if len(values) > 1:
                error = np.std(values, ddof=1) / sqrt(len(values))
                assert row[f"se_{unit}"] == pytest.approx(error, abs=1e-12)
            assert (row[f"mean_{unit}"] is None, row[f"se_{unit}"] is None) == (not values, len(values) < 2)


def test_a_source_in_which_nothing_is_found_has_an_empty_table() -> None:
    for table in (markouts(SOURCE, detectors=[]), each_markout(SOURCE, detectors=[])):
        assert table.num_rows == 0
        assert "detector" in table.column_names


def compare(source: str | Path, name: str, every: int) -> int:
    """Compare with the slow ones over the first instrument of a source; how many there are."""
    batches, engine = batches_of(open_source(source), every, [name])
    made = Markouts()
    symbol = engine.slots[0].symbol
    got = [one for batch in batches for one in made.update(batch, engine.slots) if one.symbol == symbol]
    samples = np.concatenate([b.samples for b in batches if b.samples is not None and len(b)])
    said = np.concatenate([b.detections for b in batches])
    want = told(
        samples[samples["slot"] == 0],
        said[(said["slot"] == 0) & (said["detector"] == detector(name).number)],
        [SECOND, 10 * SECOND, 60 * SECOND],
        engine.slots[0].tick,
    )
    assert [(int(one.id.rpartition("-")[2]), one.horizon, one.known, one.ticks) for one in got] == want
    return len(got)


@pytest.mark.parametrize("name", ["sweep", "wall", "iceberg"])
def test_a_synthetic_market(name: str) -> None:
    assert compare(SOURCE, name, SECOND) > 5


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("sweep", "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"),
        ("wall", "binance/btcusdt_20240808.gz"),
    ],
)
def test_the_recordings(name: str, source: str, data_dir: Path) -> None:
    assert compare(data_dir / source, name, SECOND) > 20
