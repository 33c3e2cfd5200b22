"""Absorption and hidden orders: stories by hand, and equality with the slow ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
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
from tests.reference.absorbing import Absorbing
from tests.reference.engine import as_events
from tests.reference.sights import Sight, sights

Resolve = Callable[[int, int], Instrument]
BID = 1_000  # where the story begins, in ticks


class Usual(Story):
    """Twenty trades of 1 and of 3 lots, each of which moves mid by three ticks.

    Volumes of stays deviate by 1 lot, and a lot moves mid by (1 · 3 + 3 · 3) ÷ (1 + 9) = 1.2 ticks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[tuple[str, int, int]] = []
        self.best(BID)
        self.best(BID, 11)  # the first change of best prices
        for k in range(20):
            self.now = 10.0 * (k + 1) + 1
            size, up = (1 if k % 4 < 2 else 3), k % 2 == 0
            self.trade("B" if up else "A", BID + 1 if up else BID + 3, size)
            self.now += 1
            self.best(BID + 3 if up else BID)
        self.now = 211.0

    def best(self, bid: int, size: int = 10) -> None:
        """Quote a bid, and ten at an ask a tick above it."""
        for side, tick, order in self.orders:
            self.event("C", side, tick, 1 << 20, order, last=False)
        self.orders = []
        for side, tick in (("B", bid), ("A", bid + 1)):
            shown = size if side == "B" else 10
            self.orders.append((side, tick, self.add(side, tick, shown, last=side == "A")))

    def sells(self, tick: int, *sizes: int) -> None:
        """Sell, a trade a second."""
        for size in sizes:
            self.trade("A", tick, size)
            self.now += 1


OPEN: Told = (214.0, "open", "", "", 3.0)


def absorbed() -> Usual:
    """Three lots sold at a bid that is still there."""
    story = Usual()
    story.sells(BID, 1, 1, 1)
    story.best(BID, 12)
    return story


def test_a_price_that_takes_more_than_usual_and_holds() -> None:
    assert absorbed().told("absorption") == [OPEN]
    (said,) = absorbed().said("absorption")
    assert (said["side"], said["price"], said["strength"]) == (ev.BID, BID * TICK, 3.0)
    names = detector("absorption").evidence
    assert dict(zip(names, said["evidence"].tolist(), strict=False)) == pytest.approx(
        {
            "multiple": 3.0,
            "volume": 3.0,
            "deviation": 1.0,
            "seconds": 3.0,
            "moved_ticks": 0.0,
            "expected_ticks": 3.6,
            "displayed": 12.0,
        }
    )


def test_twice_the_deviation_is_not_more_than_twice() -> None:
    story = Usual()
    story.sells(BID, 1, 1)
    story.best(BID, 12)
    assert story.told("absorption") == []
    assert story.told("absorption", absorption_times=1.5) == [(213.0, "open", "", "", 2.0)]


def test_volume_older_than_a_minute_is_none() -> None:
    story = Usual()
    story.sells(BID, 1)
    story.now += 59  # exactly a minute after it
    story.sells(BID, 1, 1)
    story.best(BID, 12)
    assert story.told("absorption") == []


def test_a_trade_that_moves_the_price_is_not_absorbed() -> None:
    story = Usual()
    story.sells(BID, 1, 1)
    story.trade("A", BID, 1, last=False)
    story.best(BID - 2)
    story.now += 1
    story.best(BID)
    assert story.told("absorption") == []


def test_a_price_that_moves_as_usual_absorbs_nothing() -> None:
    story = Usual()
    story.sells(BID, 1, 1)
    story.trade("B", BID + 1, 2)
    story.trade("B", BID + 3, 1)
    story.sells(BID, 1)
    story.best(BID, 12)  # three bought, three sold
    assert story.told("absorption") == []


def test_outcomes() -> None:
    story = absorbed()
    story.now = 216.5
    story.best(BID + 1)
    story.now = 217.5
    story.best(BID + 2)
    assert story.told("absorption") == [OPEN, (217.5, "close", "", "held", 3.0)]
    story = absorbed()
    story.now = 216.5
    story.trade("A", BID - 1, 1)
    story.trade("A", BID - 2, 1)
    assert story.told("absorption") == [OPEN, (216.5, "close", "", "broken", 3.0)]
    story = absorbed()
    story.now = 300.0
    story.best(BID)
    assert story.told("absorption") == [OPEN, (273.0, "close", "", "over", 3.0)]
    story = absorbed()
    story.now = 216.5
    story.event("R", "N", 0, 0)
    assert story.told("absorption") == [OPEN, (216.5, "close", "", "over", 3.0)]


def test_updates_and_the_cooldown() -> None:
    story = absorbed()
    story.sells(BID, 2, 1, 2)  # 214, 215, 216
    story.now = 220.5
    story.best(BID + 2)
    story.best(BID)
    story.now = 225.0
    story.sells(BID, 5)
    story.best(BID, 11)
    assert story.told("absorption") == [
        OPEN,
        (215.0, "update", "", "", 6.0),
        (220.5, "close", "", "held", 8.0),
    ]
    again = story.told("absorption", absorption_cooldown=4.0)
    assert again[3:] == [(226.0, "open", "", "", 5.0)]


def test_two_prices_a_tick_apart_hide_a_buyer() -> None:
    story = Usual()
    story.sells(BID, 1, 1)
    story.best(BID - 1)
    story.sells(BID - 1, 2)
    story.best(BID - 1, 12)
    assert story.told("absorption") == []
    assert story.told("hidden") == [(214.0, "open", "BUYER", "", 4.0)]
    (said,) = story.said("hidden")
    assert (said["price"], said["side"]) == (BID * TICK, ev.BID)
    assert said["evidence"][4:6].tolist() == pytest.approx([1.0, 4.8])


def test_a_market_of_one_price_has_no_measure() -> None:
    story = Story()
    story.add("B", BID, 10)
    story.add("A", BID + 1, 10)
    for k in range(600):
        story.now = k
        story.trade("A", BID, 5)
    assert story.told("absorption") == []


def test_a_feed_that_does_not_tell_the_aggressor_is_told_nothing() -> None:
    story = absorbed()
    story.capabilities = Capability.MBO | Capability.TRADES
    assert story.told("absorption") == []


def said_by(
    resolve: Resolve, events: ev.Events, name: str, every: int, size: int | None, **settings: float | str
) -> npt.NDArray[np.void]:
    """Messages about the first instrument."""
    engine = Engine(resolve, every=every, features=[], detectors=[name], settings=settings)
    said = run(engine, events, size).detections
    return said[said["slot"] == 0]


def in_words(name: str, said: npt.NDArray[np.void]) -> list[tuple[str, int, int, int, int, str]]:
    """Messages as the slow one says them."""
    return [
        (
            PHASE_NAMES[d["phase"]],
            int(d["number"]),
            int(d["price"]),
            int(d["size"]),
            int(d["side"]),
            detector(name).outcomes[d["outcome"]],
        )
        for d in said
    ]


Seen = tuple[Instrument, list[Sight]]


def seen_of(resolve: Resolve, events: ev.Events) -> Seen:
    """The first instrument, and what is to be seen of it."""
    return next(iter(sights(resolve, as_events(events)).values()))


def compare(
    resolve: Resolve,
    events: ev.Events,
    name: str,
    size: int | None,
    *,
    times: str,
    flow: str,
    seen: Seen | None = None,
) -> int:
    """Compare with the slow one, message by message; returns how many there are."""
    settings: dict[str, float | str] = {f"{name}_times": float(times), f"{name}_flow": flow}
    said = said_by(resolve, events, name, 10**18, size, **settings)
    instrument, sighted = seen or seen_of(resolve, events)
    slow = Absorbing(instrument, int(name == "hidden"), Fraction(times), by_ofi=flow == "ofi")
    want = [message for sight in sighted for message in slow.see(sight)]
    assert in_words(name, said) == want
    assert said["evidence"][:, 4:6] == pytest.approx(np.array(slow.shown).reshape(-1, 2), rel=1e-9, abs=1e-9)
    return len(want)


@pytest.mark.parametrize("name", ["absorption", "hidden"])
@pytest.mark.parametrize("flow", ["trades", "ofi"])
@pytest.mark.parametrize(
    ("seed", "size", "times"), [(1, None, "2"), (2, 1, "1.5"), (3, 7, "1"), (4, None, "0.5")]
)
def test_noisy_markets(name: str, flow: str, seed: int, size: int | None, times: str) -> None:
    stream = noisy_market(seed)
    assert compare(stream.resolve, stream.events, name, size, times=times, flow=flow) > 5


@pytest.mark.parametrize("name", ["absorption", "hidden"])
def test_rows_only_tell_sooner_what_is_over(name: str) -> None:
    stream = noisy_market(9)
    coarse, fine = (
        in_words(name, said_by(stream.resolve, stream.events, name, every, None)) for every in (10**18, 10**8)
    )
    assert fine[: len(coarse)] == coarse


@pytest.fixture(
    scope="module",
    params=[
        ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", None),
        ("binance/btcusdt_20240808.gz", 280_000),
    ],
    ids=("es", "btc"),
)
def recording(
    request: pytest.FixtureRequest, data_dir: Path
) -> Callable[[], tuple[Resolve, ev.Events, Seen]]:
    """A recording and what is to be seen of it, once asked for: a fixture itself would slow down coverage."""
    file, most = request.param

    @cache
    def read() -> tuple[Resolve, ev.Events, Seen]:
        source = open_source(data_dir / file)
        events = np.concatenate([chunk.copy() for chunk in source.chunks()])[:most]
        return source.resolve, events, seen_of(source.resolve, events)

    return read


@pytest.mark.real_data
@pytest.mark.xdist_group("absorbing")
@pytest.mark.parametrize("name", ["absorption", "hidden"])
def test_the_recordings(name: str, recording: Callable[[], tuple[Resolve, ev.Events, Seen]]) -> None:
    resolve, events, seen = recording()
    assert compare(resolve, events, name, None, times="1.5", flow="trades", seen=seen) >= 4
