"""Refills: stories by hand, and equality with the slow ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from depthscope.runtime.sources import open_source
from tests.detectors.noise import noisy_market
from tests.detectors.order_stories import Story, Told
from tests.engine.harness import run
from tests.reference.detectors import by_close
from tests.reference.engine import as_events
from tests.reference.refills import Refills, Said
from tests.reference.sights import sights
from tests.strategies.streams import CAPABILITIES, L2, Stream, examples, streams

Resolve = Callable[[int, int], Instrument]
BID = 1_000
LEVELS = CAPABILITIES[L2] | Capability.AGGRESSOR


class Orders(Story):
    """A bid of ten lots that is filled and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.add("A", BID + 1, 50)
        self.order = self.add("B", BID, 10)

    def fill(self, *, size: int = 10, displayed: int = 10, last: bool = True) -> None:
        """Sell to the whole order."""
        self.trade("A", BID, size, last=False)
        self.event("F", "B", BID, size, self.order, last=False)
        self.event("C", "B", BID, displayed, self.order, last=last)

    def refill(self, times: int, delay: float = 0.1, size: int = 10, every: float = 5.0) -> None:
        """Fill it and bring a new one, so many times."""
        for _ in range(times):
            self.fill(size=self.size, displayed=self.size)
            self.now += delay
            self.order, self.size = self.add("B", BID, size), size
            self.now += every - delay

    size: int = 10


def test_the_third_refill_in_a_minute_opens() -> None:
    story = Orders()
    story.refill(4)
    story.now = 100.0
    story.add("A", BID + 9, 1)
    want: list[Told] = [
        (10.1, "open", "SYNTHETIC", "", 30.0),
        (15.1, "update", "SYNTHETIC", "", 40.0),
        (76.0, "close", "SYNTHETIC", "over", 40.0),
    ]
    assert story.told("refill") == want
    assert story.told("refill", refill_times=5.0) == []
    assert story.told("refill", refill_window=10.0) == []  # the first is ten seconds old at the third
    assert story.said("refill")["strength"].tolist() == [3.0, 4.0, 4.0]
    assert story.said("refill")["side"].tolist() == [ev.BID] * 3


@pytest.mark.parametrize(
    ("delay", "size", "opens"), [(0.1, 12, 1), (0.101, 10, 0), (0.1, 13, 0), (0.1, 8, 1)]
)
def test_what_is_soon_and_what_is_similar(delay: float, size: int, opens: int) -> None:
    story = Orders()
    for _ in range(3):
        story.refill(1, delay, size)
        story.event("C", "B", BID, size, story.order)
        story.order, story.size = story.add("B", BID, 10), 10
    assert len([m for m in story.told("refill") if m[1] == "open"]) == opens


def test_one_new_order_refills_one_filled() -> None:
    story = Orders()
    story.fill()
    for _ in range(3):
        story.add("B", BID, 10)
    assert story.told("refill", refill_times=2.0) == []
    assert len(story.told("refill", refill_times=1.0)) == 1


def test_a_cancelled_order_is_not_filled() -> None:
    story = Orders()
    for _ in range(4):
        story.event("C", "B", BID, 10, story.order)
        story.order = story.add("B", BID, 10)
    assert story.told("refill") == []


def test_native_icebergs_are_left_to_their_own_detector() -> None:
    story = Orders()
    for _ in range(4):
        story.now += 5.0
        story.trade("A", BID, 15, last=False)
        story.event("F", "B", BID, 15, story.order, last=False)  # of ten displayed
        story.event("C", "B", BID, 10, story.order)
        story.order = story.add("B", BID, 15)
        story.event("M", "B", BID, 10, story.order)
    assert story.told("refill") == []
    assert len(story.told("iceberg")) > 0


def test_a_trade_beyond_breaks_it_and_then_there_is_quiet() -> None:
    story = Orders()
    story.refill(3)
    story.trade("A", BID - 1, 1)
    story.now += 1
    story.refill(3)
    told = story.told("refill")
    assert [m[1] for m in told] == ["open", "close"]
    assert told[1] == (15.0, "close", "SYNTHETIC", "broken", 30.0)
    assert [m[1] for m in story.told("refill", refill_cooldown=1.0)] == [
        "open",
        "close",
        "open",
        "update",
        "update",
    ]


def levels(traded: int, left: int, *, times: int = 3, back: float = 1.0) -> Story:
    """Ten lots bid, of which some are sold; some are displayed again a second later."""
    story = Story(LEVELS)
    story.event("L", "A", BID + 1, 50)
    story.event("L", "B", BID, 9)
    for _ in range(times):
        story.event("L", "B", BID, 10)
        story.now += 5
        story.trade("A", BID, traded)
        story.event("L", "B", BID, 3)
        story.now += back
        story.event("L", "B", BID, left)
        story.now += 5 - back
    story.event("L", "B", BID - 5, 1)
    return story


def test_levels_that_come_back_are_candidates() -> None:
    # Two seconds after the trade, told by the row of that second.
    assert levels(7, 8).told("refill") == [(27.0, "open", "CANDIDATE", "", 21.0)]
    assert levels(7, 7).told("refill") == []  # too little is displayed again
    assert levels(4, 10).told("refill") == []  # too little was traded
    assert levels(7, 8, back=2.5).told("refill") == []  # too late
    assert len(levels(7, 8, back=2.5).told("refill", refill_delay_l2=3.0)) == 1
    assert levels(7, 8, times=2).told("refill") == []


def test_a_level_that_is_not_the_best_any_more_is_none() -> None:
    story = levels(7, 8, times=2)
    story.event("L", "B", BID, 10)
    story.now += 5
    story.trade("A", BID, 7)
    story.event("L", "A", BID + 1, 0)
    story.event("L", "A", BID + 3, 50)
    story.event("L", "B", BID + 2, 5)
    story.now += 5
    story.event("L", "B", BID + 2, 6)
    assert story.told("refill") == []


def test_a_lost_book_ends_everything() -> None:
    story = Orders()
    story.refill(3)
    story.event("X", "N", 0, 0)
    assert story.told("refill")[1:] == [(15.0, "close", "SYNTHETIC", "lost", 30.0)]


def in_words(said: npt.NDArray[np.void], instrument: Instrument) -> list[Said]:
    """Messages as the slow one says them."""
    times, over = instrument.size_ratio
    outcomes = detector("refill").outcomes
    return [
        (
            PHASE_NAMES[d["phase"]],
            int(d["number"]),
            int(d["price"]),
            int(d["size"]),
            int(d["side"]),
            outcomes[d["outcome"]],
            int(d["evidence"][0]),
            round(d["evidence"][2] / times * over),
        )
        for d in said
    ]


def said_by(
    resolve: Resolve, events: ev.Events, every: int, size: int | None, **settings: float | str
) -> npt.NDArray[np.void]:
    """Messages about the first instrument."""
    engine = Engine(resolve, every=every, features=[], detectors=["refill"], settings=settings)
    said = run(engine, events, size).detections
    return said[said["slot"] == 0]


def compare(resolve: Resolve, events: ev.Events, size: int | None, times: int) -> int:
    """Compare with the slow one, message by message; returns how many there are."""
    seen = sights(resolve, as_events(events))
    if not seen:
        return 0
    instrument, mine = next(iter(seen.values()))
    slow = Refills(instrument, times)
    want = [message for sight in mine for message in slow.see(sight)]
    if not instrument.capabilities & Capability.AGGRESSOR:
        want = []
    got = in_words(said_by(resolve, events, 10**18, size, refill_times=float(times)), instrument)
    assert by_close(got) == by_close(want)
    return len(want)


@examples(60)
@given(streams(events=(0, 250), kinds=("mbo", "l2")), st.sampled_from((1, 7, None)), st.sampled_from((1, 2)))
def test_any_stream(stream: Stream, size: int | None, times: int) -> None:
    compare(stream.resolve, stream.events, size, times)


@pytest.mark.parametrize(("seed", "size"), [(1, None), (2, 1), (3, 7)])
def test_noisy_levels(seed: int, size: int | None) -> None:
    stream = noisy_market(seed, levels=True)
    assert compare(stream.resolve, stream.events, size, 1) > 20


def test_rows_only_tell_sooner() -> None:
    stream = noisy_market(9, levels=True)
    instrument = stream.instruments[1, 1]
    coarse, fine = (
        by_close(in_words(said_by(stream.resolve, stream.events, every, None, refill_times=1.0), instrument))
        for every in (10**18, 10**8)
    )
    assert fine[: len(coarse)] == coarse


def test_a_synthetic_market() -> None:
    source = open_source("synthetic:seed=5,minutes=2,symbols=1")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    assert compare(source.resolve, events, None, 3) > 20


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "most", "times"),
    [
        ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", 45_000, 3),
        ("binance/btcusdt_20240808.gz", 60_000, 1),
    ],
    ids=("es", "btc"),
)
def test_the_recordings(file: str, most: int | None, times: int, data_dir: Path) -> None:
    source = open_source(data_dir / file)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])[:most]
    assert compare(source.resolve, events, None, times) > 3
