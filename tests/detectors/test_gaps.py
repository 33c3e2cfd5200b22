"""Liquidity gaps: golden stories by hand, and equality with the slow ones on markets."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthscope.detectors.registry import detector
from depthscope.market import events as ev
from depthscope.runtime.sources import open_source
from tests.detectors.beside import both
from tests.detectors.stories import ASK, BID, SECOND, TICK, Story
from tests.reference.gaps import Gaps

GAP = "liquidity_gap"
BTC = "binance/btcusdt_20240808.gz"
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def with_gap(first: int = 5, levels: int = 3, left: int = 0) -> Story:
    """Tell of bids that are thinned out at 7 s, when all readings there need be are taken."""
    story = Story(levels=20)
    story.wait(6)
    for k in range(first, first + levels):
        story.level(ev.BID, BID - k * TICK, left)
    story.wait(3)
    return story


def test_three_empty_levels_for_a_second_are_a_gap() -> None:
    # What changes at 6 s is in the row of 7 s; the fifth reading of spacing is of 9 s, as sizes come first.
    assert with_gap().told(GAP) == []
    story = with_gap()
    story.wait(3)
    assert story.told(GAP) == [(10.0, "open", "", "", 0.0)]
    assert story.told(GAP, liquidity_gap_hold=0.0) == [(9.0, "open", "", "", 0.0)]
    assert story.told(GAP, liquidity_gap_hold=3.0) == [(12.0, "open", "", "", 0.0)]
    assert story.told(GAP, liquidity_gap_levels=4.0) == []


def test_what_it_says() -> None:
    story = with_gap(levels=4, left=1)
    story.wait(3)
    said = story.said(GAP)[0]
    evidence = dict(zip(detector(GAP).evidence, said["evidence"].tolist(), strict=False))
    assert evidence == {"width_ticks": 4.0, "distance_ticks": 5.0, "usual": 10.0, "spacing_ticks": 1.0}
    assert (said["price"], chr(said["side"]), said["size"]) == (BID - 5 * TICK, "B", 4)
    assert said["strength"] == 4.0


def test_thin_levels_are_as_good_as_empty_ones() -> None:
    for left, found in ((1, 1), (2, 0)):  # a thin one holds less than 0.2 × 10
        story = with_gap(left=left)
        story.wait(3)
        assert [row[4] for row in story.told(GAP)] == [3.0] * found


def test_two_levels_are_no_gap_and_the_best_is_no_part_of_one() -> None:
    for first, levels in ((5, 2), (0, 1)):
        story = with_gap(first, levels)
        story.wait(5)
        assert story.told(GAP) == []


def test_a_gap_right_behind_the_best() -> None:
    story = with_gap(1, 3)
    story.wait(3)
    assert story.told(GAP) == [(10.0, "open", "", "", 0.0)]


def test_size_put_into_a_gap_fills_it() -> None:
    story = with_gap()
    story.wait(3)
    story.level(ev.BID, BID - 6 * TICK, 2)  # less than 2.86, a thin one's ten sevenths
    story.wait(2)
    story.level(ev.BID, BID - 6 * TICK, 3)
    story.wait(2)
    assert story.told(GAP)[1:] == [(15.0, "close", "", "filled", 3.0)]


def test_a_market_that_falls_to_a_gap_has_reached_it() -> None:
    story = with_gap()
    story.wait(3)
    for k in range(5):
        story.level(ev.BID, BID - k * TICK, 0)
    story.wait(2)
    assert story.told(GAP)[1:2] == [(13.0, "close", "", "reached", 0.0)]


def test_a_market_that_leaves_has_lost_it() -> None:
    story = with_gap()
    story.wait(3)
    for k in range(20):
        story.level(ev.ASK, ASK + k * TICK, 0)
        story.level(ev.ASK, ASK + (k + 20) * TICK, 10)
        story.level(ev.BID, BID + (k + 1) * TICK, 10)
    story.wait(2)
    assert [m for m in story.told(GAP)[1:] if m[1] == "close"] == [(13.0, "close", "", "lost", 0.0)]


def test_a_book_without_two_sides_has_lost_it() -> None:
    story = with_gap()
    story.wait(3)
    for k in range(20):
        story.level(ev.ASK, ASK + k * TICK, 0)
    story.wait(2)
    assert story.told(GAP)[1:] == [(13.0, "close", "", "lost", 0.0)]
    for k in range(20):
        story.level(ev.BID, BID - k * TICK, 0)
    assert story.told(GAP)[1:] == [(13.0, "close", "", "lost", 0.0)]


def test_prices_beyond_what_is_shown_are_no_gap() -> None:
    short, bounded = Story(levels=8), Story(levels=8)
    bounded.level(ev.BID, BID - 12 * TICK, 10)
    for story in (short, bounded):
        for _ in range(12):
            story.now += SECOND
            story.level(ev.ASK, ASK, 10 + story.now // SECOND % 2)
    assert short.told(GAP) == []
    assert bounded.told(GAP) == [(10.0, "open", "", "", 0.0)]  # 8 to 11 ticks behind the best


def test_where_most_prices_are_empty_a_gap_is_as_much_wider() -> None:
    def every_fourth(apart: int) -> Story:
        story = Story(levels=0)
        for k in range(20):
            story.level(ev.BID, BID - (4 * k + (apart if k > 2 else 0)) * TICK, 10)
            story.level(ev.ASK, ASK + 4 * k * TICK, 10)
        for _ in range(14):
            story.now += SECOND
            story.level(ev.ASK, ASK, 10 + story.now // SECOND % 2)
        return story

    assert every_fourth(11).told(GAP) == []  # 15 ticks apart, where four are usual
    assert every_fourth(12).told(GAP) == [(10.0, "open", "", "", 0.0)]
    evidence = every_fourth(12).said(GAP)["evidence"][0].tolist()
    assert evidence[:4] == [15.0, 9.0, 10.0, 4.0]


@pytest.mark.parametrize("seed", [5, 9])
def test_gaps_of_a_synthetic_market(seed: int) -> None:
    source = open_source(f"synthetic:seed={seed},minutes=12,symbols=1")
    got, want = both(source, GAP, Gaps(250_000_000), SECOND // 4)
    assert got == want
    assert got


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "tick", "every"), [(BTC, 10**8, SECOND // 10), (ES, 250_000_000, SECOND)])
def test_gaps_of_the_recordings(name: str, tick: int, every: int, data_dir: Path) -> None:
    got, want = both(open_source(data_dir / name), GAP, Gaps(tick), every)
    assert got == want
    assert len(got) > 3
