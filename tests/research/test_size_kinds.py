"""Injections of executed volume, thin levels and refills are what they say they are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.research.inject import Injected, inject, usable
from depthscope.research.measure import measure
from depthscope.research.recording import SECOND, Recording, other, record
from depthscope.research.size_kinds import KINDS
from tests.reference.book import SlowBook
from tests.reference.engine import as_events
from tests.research.streams import Quiet

MILLI = 1_000_000


@pytest.fixture(scope="module")
def orders() -> Recording:
    return record(Quiet(seconds=420))


@pytest.fixture(scope="module")
def levels() -> Recording:
    return record(Quiet(by_order=False, seconds=420))


def injected(stream: Injected, action: int) -> np.ndarray:
    events = stream.events[stream.inserted]
    return events[events["action"] == action]


@pytest.mark.untraced  # each kind is covered by test_inject.py
@pytest.mark.parametrize("name", [k.name for k in KINDS])
@pytest.mark.parametrize("feed", ["orders", "levels"])
def test_the_same_seed_gives_the_same_bytes(name: str, feed: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(feed)
    one, two = (inject(recording, [name], seed=(6, 1), part="all") for _ in range(2))
    assert one.events.tobytes() == two.events.tobytes()
    assert one.truth == two.truth
    assert bool(one.truth) == bool(usable(recording, [name]))


def test_every_detector_has_a_decoy_on_either_feed(orders: Recording, levels: Recording) -> None:
    for recording in (orders, levels):
        kinds = [k for k in usable(recording, None) if k in KINDS]
        for detector in {k.detector for k in kinds}:
            own = [k for k in kinds if k.detector == detector]
            assert any(not k.decoy for k in own)
            assert len(own) >= 2


@pytest.mark.parametrize(("name", "waits"), [("refill", (1, 90)), ("late_refill", (150, 400))])
def test_refills_come_when_they_say(orders: Recording, name: str, waits: tuple[int, int]) -> None:
    """Each own order is filled whole; the next one of about its size comes so many ms later."""
    known = set(orders.events["order_id"].tolist())
    stream = inject(orders, [name], seed=4, part="all")
    assert stream.truth
    for truth in stream.truth:
        own = [
            e
            for e in stream.events[stream.inserted]
            if truth.start <= e["ts_recv"] <= truth.end and int(e["order_id"]) not in known
        ]
        entered = [e for e in own if e["action"] == ev.ADD]
        filled = [e for e in own if e["action"] == ev.FILL]
        assert len(entered) == len(filled) == truth.numbers["refills"] + 1
        assert sum(int(e["size"]) for e in filled) == truth.size
        for fill, new in zip(filled, entered[1:], strict=False):
            wait = (int(new["ts_recv"]) - int(fill["ts_recv"])) / MILLI
            assert waits[0] <= wait <= waits[1] + 0.1
            assert int(new["order_id"]) != int(fill["order_id"])
            shown = truth.numbers["displayed"]
            assert abs(int(new["size"]) - shown) <= 0.1 * shown + 0.51


def test_orders_of_other_sizes_grow(orders: Recording) -> None:
    known = set(orders.events["order_id"].tolist())
    stream = inject(orders, ["other_size"], seed=4, part="all", n=1)
    entered = [int(e["size"]) for e in injected(stream, ev.ADD) if int(e["order_id"]) not in known]
    assert len(entered) >= 4
    assert all(b > 1.2 * a for a, b in pairwise(entered))


@pytest.mark.parametrize("name", ["liquidity_gap", "short_gap", "narrow_gap"])
@pytest.mark.parametrize("feed", ["orders", "levels"])
def test_nothing_rests_in_a_gap(name: str, feed: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(feed)
    stream = inject(recording, [name], seed=3, part="all")
    tick = recording.instrument.tick
    book = SlowBook(tick, allows_negative=False, top_only=False)
    left = list(stream.truth)
    seen = 0
    for e in as_events(stream.events):
        while left and e.ts_recv > left[0].end:
            left.pop(0)
        if left and left[0].start + MILLI < e.ts_recv < left[0].end:
            t = left[0]
            assert not [p for p, _, _ in book.side(t.side) if t.low <= p <= t.high]
            assert (t.high - t.low) // tick + 1 >= t.numbers["levels"]
            seen += 1
        book.apply(e)
    assert seen


@pytest.mark.parametrize("feed", ["orders", "levels"])
def test_absorbed_volume_is_at_one_price_that_holds(feed: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(feed)
    stream = inject(recording, ["absorption"], seed=3, part="all")
    assert stream.truth
    trades = injected(stream, ev.TRADE)
    for t in stream.truth:
        assert t.low == t.high
        here = trades[(trades["ts_recv"] >= t.start) & (trades["ts_recv"] <= t.end)]
        assert (here["price"] == t.low).all()
        assert (here["side"] == other(t.side)).all()
        assert int(here["size"].sum()) == t.size
        best = recording.bid if t.side == ev.BID else recording.ask
        held = (recording.times >= t.start) & (recording.times <= t.end)
        assert (best[held] == t.low).all()
        assert 0.0 < t.numbers["band"] <= t.numbers["multiple"] * 1.01


@pytest.mark.parametrize("feed", ["orders", "levels"])
def test_a_large_print_is_larger_than_those_before(feed: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(feed)
    stream = inject(recording, ["large_trader"], seed=3, part="all")
    trades = injected(stream, ev.TRADE)
    for t in stream.truth:
        (one,) = trades[(trades["ts_recv"] >= t.start) & (trades["ts_recv"] <= t.end)]
        assert (int(one["price"]), int(one["size"]), int(one["side"])) == (t.low, t.size, t.side)
        # Recorded prints are single trades of one lot here.
        assert t.numbers["quantile"] == 1.0


def test_a_level_is_shown_less_and_back(levels: Recording) -> None:
    stream = inject(levels, ["candidate_refill"], seed=3, part="all")
    assert stream.truth
    t = stream.truth[0]
    new = stream.events[stream.inserted]
    new = new[(new["ts_recv"] >= t.start) & (new["ts_recv"] <= t.end)]
    assert new["action"].tolist() == [ev.TRADE, ev.LEVEL, ev.LEVEL] * int(t.numbers["refills"])
    for k in range(0, len(new), 3):
        trade, less, back = new[k : k + 3]
        assert int(less["size"]) < int(back["size"])
        assert (trade["price"], less["price"], back["price"]) == (t.low,) * 3
        assert MILLI / 2 <= int(less["ts_recv"]) - int(trade["ts_recv"]) <= 2 * MILLI
        assert 0.1 * SECOND <= int(back["ts_recv"]) - int(trade["ts_recv"]) <= 1.51 * SECOND


def test_a_quiet_market_hides_no_gap_and_no_refill(orders: Recording) -> None:
    found = measure(orders, ["liquidity_gap", "refill"], n=5, runs=6)
    for name in ("liquidity_gap", "refill"):
        assert found[name].n >= 3
        assert found[name].found > 0
