"""Large traders: stories by hand, and equality with the slow ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from depthscope.runtime.sources import open_source
from tests.detectors.noise import noisy_market
from tests.detectors.order_stories import TICK, Story, Told
from tests.engine.harness import run
from tests.reference.engine import as_events
from tests.reference.sights import sights
from tests.reference.traders import Said, Traders
from tests.strategies.streams import CAPABILITIES, L1, MBO

Resolve = Callable[[int, int], Instrument]
BID = 1_000  # in ticks
ORDERS = CAPABILITIES[MBO]
QUOTES = CAPABILITIES[L1] | Capability.AGGRESSOR


def quoted(capabilities: Capability = QUOTES, bid: int = BID, bid_size: int = 100) -> Story:
    """A hundred lots bid, a hundred asked, a tick apart, and the first change of them."""
    story = Story(capabilities)
    both(story, bid, 1)
    both(story, bid, bid_size)
    return story


def both(story: Story, bid: int, bid_size: int = 100) -> None:
    """Quote both sides."""
    if story.capabilities & Capability.MBO:
        if story.rows:
            story.event("R", "N", 0, 0, last=False)
        story.add("B", bid, bid_size, last=False)
        story.add("A", bid + 1, 100)
    else:
        story.quote("B", bid, bid_size, last=False)
        story.quote("A", bid + 1, 100)


def test_a_large_sale_at_the_bid_is_a_large_seller() -> None:
    story = quoted()
    story.now = 10.0
    story.trade("A", BID, 9_999)
    story.now = 11.0
    story.trade("A", BID, 6_000)
    story.trade("A", BID - 1, 6_000)  # of the same venue time: one print
    story.now = 80.0
    story.quote("B", BID, 90)
    # The print is over 100 ms after its last fill, which the row of the next second tells.
    assert story.told("large_trader") == [
        (12.0, "open", "L1-inferred", "", 12_000.0),
        (71.0, "close", "L1-inferred", "flat", 12_000.0),
    ]
    said = story.said("large_trader")
    assert said["side"].tolist() == [ev.ASK, ev.ASK]
    assert said["price"].tolist() == [(BID - 1) * TICK] * 2
    assert said["strength"][0] == 1.2


@pytest.mark.parametrize(("side", "tick"), [("A", BID + 1), ("B", BID), ("N", BID)])
def test_a_print_inside_or_of_nobody_is_none(side: str, tick: int) -> None:
    story = quoted()
    story.now = 10.0
    story.trade(side, tick, 20_000)
    story.now = 20.0
    story.quote("B", BID, 90)
    assert story.told("large_trader") == []


def test_one_fill_inside_spoils_the_print() -> None:
    story = quoted()
    story.now = 10.0
    story.trade("A", BID, 20_000)
    story.trade("A", BID + 1, 1)
    story.now = 20.0
    story.quote("B", BID, 90)
    assert story.told("large_trader") == []


@pytest.mark.parametrize(("moves", "outcome"), [(2, "with"), (-2, "against"), (1, "flat")])
def test_what_became_of_mid(moves: int, outcome: str) -> None:
    story = quoted()
    story.now = 10.0
    story.trade("B", BID + 1, 10_000)
    story.now = 20.0
    both(story, BID + moves, 90)
    story.now = 90.0
    both(story, BID, 80)
    told = story.told("large_trader")
    assert told[1] == (70.0, "close", "L1-inferred", outcome, 10_000.0)
    assert story.said("large_trader")["evidence"][1][8] == moves


def test_large_size_that_stands_is_a_sign_of_its_own_side() -> None:
    story = quoted(ORDERS)
    story.now = 1.5
    order = story.add("B", BID, 10_000)
    story.now = 7.0
    story.add("B", BID - 5, 1)
    story.now = 8.0
    story.event("C", "B", BID, 10_000, order)
    story.now = 100.0
    story.add("A", BID + 1, 1)
    assert story.told("large_trader") == [
        (7.0, "open", "RESTING", "", 10_100.0),
        (68.0, "close", "RESTING", "flat", 10_100.0),
    ]
    assert story.said("large_trader")["side"].tolist() == [ev.BID, ev.BID]  # a buyer, never a seller
    assert story.told("large_trader", large_trader_hold=7.0) == []


def test_size_that_is_taken_and_comes_back_is_refreshed() -> None:
    story = quoted(ORDERS)
    for k in range(4):
        story.now = 2.0 + k
        story.trade("B", BID + 1, 4_000)
        story.now += 0.25
        story.add("A", BID + 1, 10 + k)
        story.add("A", BID + 1, 1)  # nothing was taken in between
    (first, *_) = story.told("large_trader", large_trader_size=9_000.0)
    assert first == (4.25, "open", "RESTING", "", 100.0 + 10 + 1 + 11 + 1 + 12)
    (said, *_) = story.said("large_trader", large_trader_size=9_000.0)
    assert (said["side"], said["evidence"][6], said["evidence"][7]) == (ev.ASK, 3.0, 12_000.0)
    assert story.told("large_trader", large_trader_size=9_000.0, large_trader_refreshes=5.0) == []
    assert story.told("large_trader", large_trader_size=17_000.0) == []


def test_both_signs_and_the_quantile() -> None:
    """A hundred prints of one lot make two lots large; ten readings of a hundred, five hundred displayed."""
    story = quoted(ORDERS)
    for k in range(100):
        story.now = 1.0 + k
        story.trade("B" if k % 2 else "A", BID + k % 2, 1)
    story.now = 110.0
    story.trade("A", BID, 2)
    story.now = 112.0
    story.add("A", BID + 1, 400)
    story.now = 120.5
    story.trade("A", BID, 3)
    story.now = 121.0
    story.add("B", BID - 1, 1)
    story.now = 122.0
    story.event("X", "N", 0, 0)
    assert story.told("large_trader") == [
        (111.0, "open", "PRINT", "", 2.0),
        (117.0, "update", "BOTH", "", 2.0),
        (121.0, "update", "BOTH", "", 5.0),
        (122.0, "close", "BOTH", "lost", 5.0),
    ]
    assert story.said("large_trader")["strength"].tolist() == [1.0, 1.0, 1.5, 1.0]
    assert story.told("large_trader", large_trader_least=101.0)[0][0] > 111.0


def test_nothing_is_opened_for_a_while_after() -> None:
    story = quoted()
    for at in (10.0, 71.5, 100.9, 110.0):
        story.now = at
        story.trade("A", BID, 10_000)
    story.now = 112.0
    story.quote("B", BID, 90)
    want: list[Told] = [
        (11.0, "open", "L1-inferred", "", 10_000.0),
        (70.0, "close", "L1-inferred", "flat", 10_000.0),
        (102.0, "open", "L1-inferred", "", 10_000.0),  # the second came too soon
        (111.0, "update", "L1-inferred", "", 20_000.0),
    ]
    assert story.told("large_trader") == want


SETTINGS: dict[str, float | str] = {
    "large_trader_quantile": 0.9,
    "large_trader_rest": 2.0,
    "large_trader_refreshes": 2.0,
    "large_trader_hold": 2.0,
    "large_trader_window": 5.0,
    "large_trader_cooldown": 3.0,
}


def slow(instrument: Instrument) -> Traders:
    """The slow ones with the same settings."""
    second = 10**9
    return Traders(
        instrument,
        quantile=Fraction(9, 10),
        rest=2,
        refreshes=2,
        hold=2 * second,
        window=5 * second,
        cooldown=3 * second,
        inferred=not instrument.capabilities & (Capability.L2 | Capability.MBO),
    )


def in_words(said: npt.NDArray[np.void]) -> list[Said]:
    """Messages as the slow one says them."""
    about = detector("large_trader")
    return [
        (
            PHASE_NAMES[d["phase"]],
            int(d["number"]),
            int(d["price"]),
            int(d["size"]),
            int(d["side"]),
            about.labels[d["label"]],
            about.outcomes[d["outcome"]],
            int(d["evidence"][0]),
        )
        for d in said
    ]


def said_by(resolve: Resolve, events: ev.Events, every: int, size: int | None = None) -> list[Said]:
    """What is said of the first instrument."""
    engine = Engine(resolve, every=every, features=[], detectors=["large_trader"], settings=SETTINGS)
    said = run(engine, events, size).detections
    return in_words(said[said["slot"] == 0])


def compare(resolve: Resolve, events: ev.Events, size: int | None) -> int:
    """Compare with the slow one, message by message; returns how many there are."""
    instrument, seen = next(iter(sights(resolve, as_events(events)).values()))
    one = slow(instrument)
    want = [message for sight in seen for message in one.see(sight)]
    assert said_by(resolve, events, 10**18, size) == want
    return len(want)


@pytest.mark.parametrize(("seed", "size"), [(1, None), (2, 1), (3, 7), (4, None)])
def test_noisy_markets(seed: int, size: int | None) -> None:
    stream = noisy_market(seed)
    if seed % 2:  # some fills of one venue time
        stream.events["ts_event"][1::2] = stream.events["ts_event"][:-1:2]
    assert compare(stream.resolve, stream.events, size) > 50


@pytest.mark.parametrize("size", [None, 1])
def test_a_late_fill_of_a_print_ends_what_waited_for_it(size: int | None) -> None:
    """Something open is not over while a print may be another sign of it; a fill may come after that."""
    story = quoted()
    venue = []
    for now, side, lots, of in [
        (10.0, "B", 10_000, 1), (11.0, "A", 1, 2),
        (14.95, "B", 10_000, 3), (15.02, "B", 1, 3), (15.03, "A", 1, 4),
    ]:  # fmt: skip
        story.now = now
        story.trade(side, BID + 1 if side == "B" else BID, lots)
        venue.append(of)
    story.now = 40.0
    story.quote("B", BID, 90)
    events = story.events()
    events["ts_event"][-len(venue) - 1 : -1] = venue
    assert compare(lambda *_: story.instrument, events, size) == 2


@pytest.mark.parametrize(("levels", "size"), [(False, None), (True, 7)])
def test_sides_that_are_inferred(levels: bool, size: int | None) -> None:
    """The slow engine infers them too, trade by trade."""
    stream = noisy_market(5, levels=levels)
    stream.events["side"][stream.events["action"] == ev.TRADE] = ev.NO_SIDE
    (key,) = stream.instruments
    quiet = replace(
        stream.instruments[key],
        capabilities=stream.instruments[key].capabilities & ~Capability.AGGRESSOR | Capability.TRADES,
    )
    assert quiet.infers
    assert compare(lambda *_: quiet, stream.events, size) > 50


def test_rows_only_tell_sooner() -> None:
    stream = noisy_market(9)
    coarse, fine = (said_by(stream.resolve, stream.events, every) for every in (10**18, 10**8))
    assert fine[: len(coarse)] == coarse


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "most"),
    [("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", 45_000), ("binance/btcusdt_20240808.gz", 60_000)],
    ids=("es", "btc"),
)
def test_the_recordings(file: str, most: int | None, data_dir: Path) -> None:
    source = open_source(data_dir / file)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])[:most]
    assert compare(source.resolve, events, None) > 4
