"""Walls: golden stories by hand, and equality with the slow ones on random and recorded markets."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthscope.market import events as ev
from depthscope.runtime.sources import open_source
from tests.detectors.beside import both
from tests.detectors.stories import ASK, BID, SECOND, TICK, Story
from tests.reference.detectors import by_close
from tests.reference.walls import Walls


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


def test_a_buyer_that_is_only_inferred_may_have_been_a_seller() -> None:
    story = with_wall()
    story.trade(ev.BID, BID - 2 * TICK, 25, ev.INFERRED_SIDE)
    story.level(ev.BID, BID - 2 * TICK, 15)
    story.wait(3)
    assert story.told()[1:] == [(13.0, "close", "MINOR", "traded", 15.0)]


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
