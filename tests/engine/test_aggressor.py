"""Sides that no venue told: worked cases, everything made of them, and how often they are right."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.detectors.messages import messages
from depthscope.detectors.registry import all_detectors
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import TRACE_TRADES
from depthscope.runtime.sources import open_source
from depthscope.tables import detections_batch
from tests.engine.harness import MS, cuts_of, run
from tests.engine.test_exact_rows import SLOPES, same_rows
from tests.strategies.streams import L1, L2, MBO, START, Stream, examples, streams

UNIT = 10**9
SECOND = 1_000 * MS
QUOTES = Capability.L1 | Capability.TRADES
BTC = "binance/btcusdt_20240808.gz"

Row = tuple[str, str, float, int]  # action, side, price, size
OPEN: list[Row] = [("Q", "B", 100, 5), ("Q", "A", 102, 5)]


def stream_of(
    rows: list[Row], capabilities: Capability = QUOTES, cond: dict[int, int] | None = None
) -> Stream:
    """Each row a group, a millisecond after the one before it."""
    events = ev.empty_events(len(rows))
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"] = events["ts_event"] = START + np.arange(len(rows)) * MS
    events["flags"] = ev.LAST
    for k, (action, side, price, size) in enumerate(rows):
        events["action"][k], events["side"][k] = ord(action), ord(side)
        events["price"][k], events["size"][k] = round(price * UNIT), size
    for k, code in (cond or {}).items():
        events["cond"][k] = code
    return Stream(events, {(1, 1): Instrument("test", "S", UNIT // 2, capabilities=capabilities)})


def sides(stream: Stream, size: int = 1_000) -> str:
    """Sides of the trades as features see them, small letters where they are inferred."""
    engine = Engine(stream.resolve, features=[])
    found = ""
    for piece in cuts_of(stream.events, size):
        for block, rows in engine.trace_blocks(piece, TRACE_TRADES):
            of_trades = rows[rows["action"] == ev.TRADE]
            told = block[of_trades["event"]]
            np.testing.assert_array_equal(of_trades["side"], told["side"])
            for side, flags in zip(told["side"].tolist(), told["flags"].tolist(), strict=True):
                found += chr(side).lower() if flags & ev.INFERRED_SIDE else chr(side)
    return found


def trades(*prices: float) -> list[Row]:
    return [("T", "N", price, 1) for price in prices]


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        (trades(100, 102), "NN"),  # before any quote
        ([OPEN[0], *trades(100)], "N"),  # a side is missing
        ([*OPEN, *trades(100)], "a"),  # at the bid
        ([*OPEN, *trades(102)], "b"),  # at the ask
        ([*OPEN, *trades(99, 103)], "ab"),  # beyond them
        ([*OPEN, *trades(100.5, 101.5)], "ab"),  # nearer to one of them
        ([*OPEN, *trades(101)], "N"),  # at mid, the first trade
        ([*OPEN, *trades(101, 101)], "NN"),
        ([*OPEN, *trades(100, 101)], "ab"),  # an uptick
        ([*OPEN, *trades(102, 101)], "ba"),  # a downtick
        ([*OPEN, *trades(100, 101, 101, 101)], "abbb"),  # zero ticks go on
        ([*OPEN, *trades(102, 101, 101)], "baa"),
        ([*OPEN, *trades(101), ("Q", "A", 104, 1), *trades(101, 102)], "Nab"),  # mid moved to 102
        ([*OPEN, ("Q", "A", 98, 1), *trades(99, 97)], "NN"),  # crossed
        ([*OPEN, ("Q", "A", 100, 1), *trades(99, 100, 101)], "abb"),  # locked: its price is mid, an uptick
        ([*trades(100), *OPEN, *trades(101)], "Nb"),  # a trade nobody could sign is a tick
        ([*OPEN, ("T", "B", 100, 1), ("T", "A", 102, 1), *trades(101)], "BAa"),  # what is told stays
        ([*OPEN, *trades(100), ("X", "N", 0, 0), *trades(101)], "aN"),  # STALE
        # After a gap the last price is not the one before: mid tells nothing.
        ([*OPEN, *trades(100), ("X", "N", 0, 0), ("R", "N", 0, 0), *OPEN, *trades(101, 102, 101)], "aNba"),
    ],
)  # fmt: skip
def test_worked_cases(rows: list[Row], want: str) -> None:
    stream = stream_of(rows)
    before = stream.events.copy()
    assert sides(stream) == want
    assert sides(stream, 1) == want
    np.testing.assert_array_equal(stream.events, before, "what the caller gave is not written to")


def test_the_quote_is_the_one_before_the_group() -> None:
    """What is quoted in the trade's own group came of it."""
    stream = stream_of([*OPEN, ("Q", "B", 102, 1), ("Q", "A", 104, 1), *trades(102)])
    assert sides(stream) == "a"
    stream.events["flags"][2:4] = 0  # one group with the trade
    assert sides(stream) == "b"


def test_a_quote_received_before_the_trade_that_made_it() -> None:
    """Its venue time tells: the quote before the trade's counts, within 64 changes."""
    made: list[Row] = [("Q", "B", 101.5, 1), ("Q", "A", 104, 1)]
    stream = stream_of([*OPEN, *made, *trades(102)])
    assert sides(stream) == "a"
    stream.events["ts_event"][2:4] = stream.events["ts_event"][4]
    assert sides(stream) == "b"
    many: list[Row] = [("Q", "A", 104 + k % 2, 1) for k in range(63)]
    stream = stream_of([*OPEN, *many, *trades(102)])
    stream.events["ts_event"][2:] = stream.events["ts_event"][-1]
    assert sides(stream) == "b"
    stream = stream_of([*OPEN, *many, ("Q", "A", 110, 1), *trades(102)])
    stream.events["ts_event"][2:] = stream.events["ts_event"][-1]
    assert sides(stream) == "N"


def test_late_trades_and_those_that_cannot_be_the_last_price() -> None:
    rows = [*OPEN, *trades(100, 103, 101)]
    assert sides(stream_of(rows)) == "aba"
    assert sides(stream_of(rows, cond={3: ev.COND_LATE})) == "aNa"
    assert sides(stream_of(rows, cond={3: ev.COND_NOT_LAST})) == "abb"  # an uptick from 100


@pytest.mark.parametrize(
    ("capabilities", "inferred"),
    [
        (QUOTES, True),
        (Capability.L2 | Capability.TRADES, True),
        (Capability.L1, False),
        (Capability.TRADES, False),
        (QUOTES | Capability.AGGRESSOR, False),
    ],
)
def test_only_where_the_feed_tells_no_side_but_quotes(capabilities: Capability, inferred: bool) -> None:
    stream = stream_of([*OPEN, *trades(100)], capabilities)
    (instrument,) = stream.instruments.values()
    assert instrument.infers == inferred
    if not capabilities & Capability.L2:  # quotes make no book of levels
        assert sides(stream) == ("a" if inferred else "N")


def test_two_instruments_of_which_one_is_told() -> None:
    """The second is met in the middle of a chunk the first was read from."""
    one = stream_of([*OPEN, *trades(100, 102, 101)])
    two = one.events.copy()
    two["instrument_id"] = 2
    events = np.stack([two, one.events], axis=1).reshape(-1)
    (instrument,) = one.instruments.values()
    told = replace(instrument, symbol="T", capabilities=QUOTES | Capability.AGGRESSOR)
    both = Stream(events, {(1, 1): instrument, (1, 2): told})
    before = events.copy()
    for size in (1, 3, 100):
        assert sides(both, size) == "NaNbNa"
        table = run(Engine(both.resolve, every="event", features=["flow"]), events, size)
        assert table.columns["delta"][-6:].tolist() == [0, -1, 0, 1, 0, -1]
    np.testing.assert_array_equal(events, before)


@examples(60)
@given(
    streams(events=(20, 200), kinds=(L2, L1, MBO), instruments=(1, 2)),
    st.sampled_from(("event", 100 * MS, SECOND)),
    st.sampled_from((None, 1, 5)),
)
def test_definition(stream: Stream, every: int | str, size: int | None) -> None:
    """All features, of streams of which half of the sides are erased."""
    events = stream.events.copy()
    events["side"][(events["action"] == ev.TRADE) & (np.arange(len(events)) % 2 == 0)] = ev.NO_SIDE
    quiet = {
        key: replace(one, capabilities=one.capabilities & ~Capability.AGGRESSOR)
        for key, one in stream.instruments.items()
    }
    same_rows(Stream(events, quiet), every, skip=SLOPES, size=size)


def test_the_share_that_is_inferred() -> None:
    rows = [*OPEN, ("T", "B", 100, 3), ("T", "N", 100, 1), ("T", "N", 101, 7)]
    table = run(Engine(stream_of(rows).resolve, every="event"), stream_of(rows).events)
    np.testing.assert_array_equal(table.columns["aggressor_inferred"], [nan, nan, 0.0, 1.0, 1.0])
    table = run(Engine(stream_of(rows).resolve, every=SECOND), stream_of([*rows, *trades(100) * 999]).events)
    assert table.columns["aggressor_inferred"][0] > 0.9


def test_detectors_that_run_on_inferred_sides() -> None:
    instrument = Instrument("test", "S", UNIT, capabilities=Capability.L2 | Capability.TRADES)
    told = replace(instrument, capabilities=instrument.capabilities | Capability.AGGRESSOR)
    needing = [about for about in all_detectors() if about.requires & Capability.AGGRESSOR]
    assert {about.name for about in needing if about.able(instrument)} == {"burst", "large_trader"}
    assert len(needing) > 4
    for about in all_detectors():
        assert about.infers(instrument) == (about in needing and about.able(instrument))
        assert not about.infers(told)


def test_messages_say_that_sides_were_inferred() -> None:
    """A large sale at the bid, of a feed that does not call it a sale."""
    rows = [*OPEN, ("Q", "B", 100, 6), ("T", "N", 100, 20_000), ("Q", "B", 100, 5)]
    for capabilities, side in ((QUOTES, "N"), (QUOTES | Capability.AGGRESSOR, "A")):
        stream = stream_of([(a, side if a == "T" else s, p, n) for a, s, p, n in rows], capabilities)
        stream.events["ts_recv"][-1] += SECOND
        engine = Engine(stream.resolve, features=[], detectors=["large_trader", "sweep"])
        said = run(engine, stream.events).detections
        assert ("sweep" in engine.unavailable("S")) == (side == "N")
        (message,) = messages(said, engine.slots)
        assert (message.phase, message.side, message.label) == ("open", "A", "L1-inferred")
        assert message.inferred == (side == "N")
        table = detections_batch(said, engine.slots)
        assert table["inferred"].to_pylist() == [side == "N"]


@pytest.fixture(scope="module")
def recorded(data_dir: Path) -> Stream:
    """Trades and best quotes of the BTCUSDT recording, each a group, as a feed that tells no sides would."""
    source = open_source(data_dir / BTC)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    (key,) = source.instruments
    quiet = replace(source.instruments[key], capabilities=QUOTES)
    return Stream(events[np.isin(events["action"], (ev.TRADE, ev.QUOTE))], {key: quiet})


def right(stream: Stream) -> tuple[float, int, float, float]:
    """Percent of sides that are right, of how many, and the sum of signed volume, inferred and told."""
    told = stream.events["side"][stream.events["action"] == ev.TRADE]
    events = stream.events.copy()
    events["side"][events["action"] == ev.TRADE] = ev.NO_SIDE
    engine = Engine(stream.resolve, features=[])
    found = np.concatenate(
        [block[rows["event"]].copy() for block, rows in engine.trace_blocks(events, TRACE_TRADES)]
    )
    found = found[found["action"] == ev.TRADE]
    assert len(found) == len(told) == 21_313
    known = found["side"] != ev.NO_SIDE
    assert ((found["flags"] & ev.INFERRED_SIDE != 0) == known).all()
    size = found["size"][known].astype(float) / 1_000

    def cvd(side: np.ndarray) -> float:
        return float((size * np.where(side == ev.BID, 1, -1)).sum())

    share = 100 * float((found["side"][known] == told[known]).mean())
    return share, int(known.sum()), cvd(found["side"][known]), cvd(told[known])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("delay", "percent", "n"),
    [(0, 99.8, 21_313), (50, 95.5, 21_311), (100, 92.7, 21_311), (1_000, 79.0, 21_272)],
)
def test_how_many_are_right_with_quotes_of_some_age(
    recorded: Stream, delay: int, percent: float, n: int
) -> None:
    """In the order of the venue's clock, every quote so many milliseconds late."""
    events = recorded.events.copy()
    events["ts_event"] += np.where(events["action"] == ev.QUOTE, delay * MS, 0)
    events["ts_recv"] = events["ts_event"]
    # A group keeps together: both sides of a quote have one time.
    events = events[np.argsort(events["ts_event"], kind="stable")]
    share, signed, cvd, told = right(replace(recorded, events=events))
    assert signed == n
    assert share == pytest.approx(percent, abs=0.05)
    assert (np.sign(cvd) == np.sign(told)) == (delay < 1_000)


@pytest.mark.real_data
def test_how_many_are_right_as_received(recorded: Stream) -> None:
    """Quotes that a trade has already changed arrive before it: by arrival alone it would be 86.6 %."""
    share, signed, *_ = right(recorded)
    assert signed == 21_313
    assert share == pytest.approx(98.9, abs=0.1)
