"""Walls: golden stories by hand, and equality with the slow ones on random and recorded markets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from depthscope.runtime.sources import open_source
from tests.detectors.beside import both
from tests.reference.detectors import by_close
from tests.reference.walls import Walls
from tests.strategies.streams import START

SECOND = 10**9
TICK = 10**7
BID, ASK = 10_000 * TICK, 10_001 * TICK
INSTRUMENT = Instrument(
    "test", "S", TICK, capabilities=Capability.L2 | Capability.TRADES | Capability.AGGRESSOR
)


class Story:
    """A market of ten levels of ten lots a side, told second by second."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.now = START
        for k in range(10):
            self.level(ev.BID, BID - k * TICK, 10)
            self.level(ev.ASK, ASK + k * TICK, 10)

    def level(self, side: int, price: int, size: int) -> None:
        """Set a level."""
        self.rows.append((self.now, ev.LEVEL, side, price, size))

    def trade(self, side: int, price: int, size: int) -> None:
        """Print a trade of an aggressor."""
        self.rows.append((self.now, ev.TRADE, side, price, size))

    def wait(self, seconds: int) -> None:
        """Let time pass; a quote far away says so each second."""
        for _ in range(seconds):
            self.now += SECOND
            self.level(ev.BID, BID - 100 * TICK, 1 + self.now // SECOND % 2)

    def told(self, **settings: float) -> list[tuple[float, str, str, str, float]]:
        """Seconds since the start, phase, tier, outcome and size of all that is said."""
        events = ev.empty_events(len(self.rows))
        events["publisher"] = events["instrument_id"] = 1
        for k, name in enumerate(("ts_recv", "action", "side", "price", "size")):
            events[name] = [row[k] for row in self.rows]
        events["ts_event"] = events["ts_recv"]
        events["flags"] = ev.LAST
        engine = Engine(lambda *_: INSTRUMENT, every="1s", features=[], detectors=["wall"], settings=settings)
        found = np.concatenate([engine.process(events).detections, engine.finish().detections])
        wall = detector("wall")
        return [
            (
                (int(d["ts"]) - START) / 1e9,
                PHASE_NAMES[d["phase"]],
                wall.labels[d["label"]],
                wall.outcomes[d["outcome"]],
                float(d["size"]),
            )
            for d in found
        ]


def with_wall(size: int = 40) -> Story:
    """Tell of a wall at the third bid that stands since the start."""
    story = Story()
    story.level(ev.BID, BID - 2 * TICK, size)
    story.wait(12)
    return story


def test_a_level_that_stands_out_for_five_seconds_is_a_wall() -> None:
    # Readings at 1, 2, 3, 4 and 5 s make the usual size; the level is followed from then on.
    assert with_wall().told() == [(10.0, "open", "MINOR", "", 40.0)]
    assert with_wall(29).told() == []
    assert with_wall(50).told() == [(10.0, "open", "MAJOR", "", 50.0)]
    assert with_wall(29).told(wall_minor=2.5) == [(10.0, "open", "MINOR", "", 29.0)]
    assert with_wall().told(wall_hold=2.0) == [(7.0, "open", "MINOR", "", 40.0)]


def test_a_wall_taken_away_is_pulled() -> None:
    story = with_wall()
    story.level(ev.BID, BID - 2 * TICK, 0)
    story.wait(3)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "pulled", 0.0)]


def test_a_wall_eaten_up_is_traded() -> None:
    story = with_wall()
    for k in range(2):
        story.level(ev.BID, BID - k * TICK, 0)
    story.trade(ev.ASK, BID - 2 * TICK, 25)
    story.level(ev.BID, BID - 2 * TICK, 15)
    story.wait(3)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "traded", 15.0)]


def test_buyers_do_not_eat_bids() -> None:
    story = with_wall()
    story.trade(ev.BID, BID - 2 * TICK, 25)
    story.level(ev.BID, BID - 2 * TICK, 15)
    story.wait(3)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "pulled", 15.0)]


def test_a_market_that_moves_away_leaves_the_wall_held() -> None:
    story = with_wall()
    for k in range(10):
        story.level(ev.ASK, ASK + k * TICK, 0)
        story.level(ev.ASK, ASK + (k + 60) * TICK, 10)
        story.level(ev.BID, BID + (k + 40) * TICK, 10)
    story.wait(2)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "held", 40.0)]


def test_a_wall_that_grows_is_upgraded_once() -> None:
    story = with_wall()
    story.level(ev.BID, BID - 2 * TICK, 60)
    story.wait(3)
    story.level(ev.BID, BID - 2 * TICK, 25)  # over seven tenths of what makes a wall
    story.wait(3)
    assert story.told()[1:] == [(13.0, "update", "MAJOR", "", 60.0)]


def test_one_sided_and_lost_books_say_nothing() -> None:
    story = with_wall()
    for k in range(10):
        story.level(ev.ASK, ASK + k * TICK, 0)
    story.wait(40)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "held", 40.0)]


def test_walls_of_a_synthetic_market() -> None:
    got, want = both(open_source("synthetic:seed=11,minutes=3,symbols=1"), "wall", Walls(), SECOND // 4)
    assert len(got) > 10
    assert by_close(got) == by_close(want)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz"]
)
def test_walls_of_the_recordings(name: str, data_dir: Path) -> None:
    got, want = both(open_source(data_dir / name), "wall", Walls(), SECOND)
    assert len(got) > 2
    assert by_close(got) == by_close(want)
