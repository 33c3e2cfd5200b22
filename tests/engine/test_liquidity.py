"""Liquidity profiles: the definition on any stream and any cut of it, minutes by hand, recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthscope as ds
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.liquidity import LiquidityProfiles
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from tests.engine.harness import MS, cuts_of
from tests.engine.test_tape import stretched
from tests.reference.engine import SlowEngine, as_events
from tests.reference.liquidity import Profile, profiles
from tests.strategies.streams import L1, L2, MBO, START, TOB, Stream, examples, streams

SECOND = 1_000 * MS


def rows_of(batches: list[pa.RecordBatch | None]) -> list[Profile]:
    """Rows as the reference has them."""
    return [
        (r["ts"], r["symbol"], r["side"], r["price"], r["size"], r["share"])
        for batch in batches
        if batch is not None
        for r in batch.set_column(0, "ts", batch["ts"].cast(pa.int64())).to_pylist()
    ]


def made(
    stream: Stream, every: int | str, window: int | str, levels: int = 20, size: int | None = None
) -> list[Profile]:
    """Profiles of a stream in chunks."""
    engine = Engine(stream.resolve, every="event", features=(), keep_samples=True)
    maker = LiquidityProfiles(engine, every=every, window=window, levels=levels)
    out = [maker.process(piece) for piece in cuts_of(stream.events, size or max(len(stream), 1))]
    return rows_of([*out, maker.finish()])


@examples(80)
@given(
    streams(events=(0, 150), kinds=(MBO, L2, L1, TOB), instruments=(1, 2)),
    st.sampled_from(((SECOND, 3 * SECOND), (2 * SECOND, SECOND), (300 * MS, 700 * MS), (100 * MS, 100 * MS))),
    st.sampled_from((20, 3, 1)),
    st.sampled_from((None, 1, 7)),
)
def test_definition(stream: Stream, times: tuple[int, int], levels: int, size: int | None) -> None:
    every, window = times
    slow = SlowEngine(stream.resolve, "event")
    slow.feed(as_events(stream.events))
    slow.finish()
    assert made(stream, every, window, levels, size) == profiles(slow, every, window, levels)


@examples(15)
@given(streams(events=(20, 120), kinds=(MBO, L2)), st.sampled_from((60, 400)))
def test_minutes(stream: Stream, factor: int) -> None:
    slower = stretched(stream, factor)
    slow = SlowEngine(slower.resolve, "event")
    slow.feed(as_events(slower.events))
    slow.finish()
    whole = made(slower, "1m", "180s")
    assert whole == profiles(slow, 60 * SECOND, 180 * SECOND, 20)
    assert whole == made(slower, "1m", "180s", size=5)


Change = tuple[float, str, str, int, int]  # seconds, action, side, price, size


def book(changes: list[Change]) -> Stream:
    events = ev.empty_events(len(changes))
    events["publisher"] = events["instrument_id"] = 1
    events["flags"] = ev.LAST
    for k, (at, action, side, price, size) in enumerate(changes):
        events["ts_recv"][k] = START + round(at * SECOND)
        events["action"][k], events["side"][k] = ord(action), ord(side)
        events["price"][k], events["size"][k] = price * SECOND, size
    instrument = Instrument("test", "S", SECOND, SECOND // 2, capabilities=Capability.L2)
    return Stream(events, {(1, 1): instrument})


def at(found: list[Profile], seconds: float) -> dict[tuple[str, float], tuple[float, float]]:
    return {(r[2], r[3]): (r[4], r[5]) for r in found if r[0] == START + round(seconds * SECOND)}


def test_by_hand() -> None:
    """Lots of a half: 8 lots for 2.5 s, then 4 for 5 s; the ask comes at 5 s and goes at 7.5 s."""
    stream = book(
        [(0.0, "L", "B", 100, 8), (2.5, "L", "B", 100, 4), (5, "L", "A", 101, 10), (7.5, "L", "A", 101, 0),
         (7.5, "L", "B", 100, 0), (8, "L", "B", 99, 2), (22, "N", "N", 0, 0)]
    )  # fmt: skip
    found = made(stream, "10s", "10s")
    assert at(found, 10) == {
        ("bid", 100.0): ((4 * 2.5 + 2 * 5) / 10, 0.75), ("ask", 101.0): (5 * 0.25, 0.25),
        ("bid", 99.0): (0.2, 0.2),
    }  # fmt: skip
    assert at(found, 20) == {("bid", 99.0): (1.0, 1.0)}
    assert at(found, 30) == {("bid", 99.0): (1.0, 1.0)}  # two seconds, and then the stream ends
    assert {row[0] - START for row in found} == {10 * SECOND, 20 * SECOND, 30 * SECOND}


def test_a_book_that_is_not_live_counts_for_nothing() -> None:
    stream = book(
        [(0.0, "L", "B", 100, 8), (4, "X", "N", 0, 0), (5, "L", "B", 100, 90), (8, "R", "N", 0, 0),
         (8, "L", "B", 100, 2), (14, "X", "N", 0, 0), (25, "N", "N", 0, 0)]
    )  # fmt: skip
    found = made(stream, "5s", "10s")
    assert at(found, 5) == {("bid", 100.0): (4.0, 1.0)}  # of four LIVE seconds
    assert at(found, 10) == {("bid", 100.0): ((4 * 4 + 1 * 2) / 6, 1.0)}
    assert at(found, 15) == {("bid", 100.0): (1.0, 1.0)}
    assert at(found, 20) == {("bid", 100.0): (1.0, 1.0)}
    assert at(found, 25) == {}


def test_only_the_best_levels_are_looked_at() -> None:
    stream = book([(0, "L", "B", 100, 2), (0, "L", "B", 99, 2), (5, "L", "B", 101, 2), (10, "N", "N", 0, 0)])
    found = made(stream, "10s", "10s", levels=2)
    assert at(found, 10) == {
        ("bid", 99.0): (0.5, 0.5), ("bid", 100.0): (1.0, 1.0), ("bid", 101.0): (0.5, 0.5),
    }  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"every": "soon"},
        {"window": "0s"},
        {"levels": 0},
        {"levels": 21},
        {"every": "1m", "window": 180_000_000_001},
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ds.liquidity_profile("synthetic:seed=1,minutes=1,symbols=1", **options)


def test_the_public_table() -> None:
    market = "synthetic:seed=5,minutes=3,symbols=2"
    table = ds.liquidity_profile(market, "30s", window="60s", levels=5)
    assert set(table["symbol"].unique().to_pylist()) == {"SYNES", "SYNBTC"}
    assert {table.schema.field(name).metadata[b"unit"] for name in ("price", "size")} == {b"price", b"size"}
    one = ds.liquidity_profile(market, "30s", window="60s", levels=5, symbols="SYNES", threads=1)
    assert one.to_pylist() == [row for row in table.to_pylist() if row["symbol"] == "SYNES"]
    share = table["share"].to_numpy()
    assert share.min() > 0
    assert share.max() <= 1
    # A row of features every event tells the same of the best five, summed.
    rows = ds.features(market, "event", symbols="SYNES", features=["bid_depth_5"])
    ts = rows["ts_recv"].cast(pa.int64()).to_numpy()
    depth = rows["bid_depth_5"].to_numpy()
    end = int(one["ts"].cast(pa.int64()).to_numpy()[len(one) // 2])
    span = np.diff(np.clip(np.append(ts, ts[-1]), end - 60 * SECOND, end))
    mean = float((span * depth).sum() / span.sum())
    mine = [r[4] for r in rows_of(one.to_batches()) if r[0] == end and r[2] == "bid"]
    assert sum(mine) == pytest.approx(mean, rel=1e-9)


@pytest.mark.real_data
def test_the_recorded_hour(data_dir: Path) -> None:
    """Against numpy, over all rows at once."""
    source = ds.open_source(data_dir / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    engine = Engine(source.resolve, every="event", features=(), keep_samples=True)
    batches = [engine.process(events).samples for events in source.chunks()]
    samples = np.concatenate([b for b in [*batches, engine.finish().samples] if b is not None])
    found = ds.liquidity_profile(data_dir / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    end = int(found["ts"].cast(pa.int64()).to_numpy()[-1]) - 600 * SECOND
    ts = samples["ts"]
    span = np.diff(np.clip(np.append(ts, ts[-1]), end - 180 * SECOND, end))
    want = {}
    for side in ("bid", "ask"):
        shown = np.arange(20) < samples[f"n_{side}"][:, None]
        prices = samples[f"{side}_price"]
        for price in np.unique(prices[shown & (span > 0)[:, None]]):
            here = shown & (prices == price)
            area = int((samples[f"{side}_size"] * here * span[:, None]).sum())
            want[side, price / 1e9] = (
                area / int(span.sum()),
                int((here * span[:, None]).sum()) / int(span.sum()),
            )
    mine = found.filter(pa.compute.equal(found["ts"].cast(pa.int64()), end)).to_pylist()
    assert {(r["side"], r["price"]): (r["size"], r["share"]) for r in mine} == want
    assert len(want) > 40
