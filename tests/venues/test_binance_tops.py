"""Whether books are crossed, by heap and hash set, against two plain sets."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_tops as t
from depthscope.venues.rows import RowRing


def level(index: int, side: int, price: int, size: int, now: int) -> tuple[int, ...]:
    word7 = b.pack7(1, ev.LEVEL, side, ev.LAST)
    return (now, now, 0, price, size, now, b.pack6(index + 1), word7)


@pytest.mark.parametrize("seed", range(4))
def test_crossed_is_what_two_sets_say(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random levels of three symbols, thousands of prices, now and then cleared, saved and loaded."""
    monkeypatch.setattr(t, "LEAST_BITS", 6)  # small at first, so that it must grow
    rnd = random.Random(seed)
    tops, ring = t.Tops(), RowRing(64)
    tops.hold(3)
    plain: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in range(3)]
    since = [0, 0, 0]
    span = 6_000 if seed % 2 else 40
    for now in range(1, 30_001):
        index = rnd.randrange(3)
        bids, asks = plain[index]
        if rnd.random() < 0.0002:
            bids.clear()
            asks.clear()
            row = (now, now, 0, 0, 0, now, b.pack6(index + 1), b.pack7(1, ev.CLEAR, ev.NO_SIDE, ev.LAST))
            since[index] = 0
        else:
            is_bid = rnd.random() < 0.5
            # The sides overlap by a little, so that they cross now and then.
            price = (10_000 + (-1 if is_bid else 1) * rnd.randint(-2, span)) * 10**8
            held = bids if is_bid else asks
            size = rnd.choice((0, 5)) if abs(price - 10**12) < 5 * 10**8 or rnd.random() < 0.2 else 5
            held.discard(price)
            if size:
                held.add(price)
            row = level(index, ev.BID if is_bid else ev.ASK, price, size, now)
            crossed = bool(bids and asks and max(bids) >= min(asks))
            since[index] = (since[index] or now) if crossed else 0
        ring.n = 0
        ring.append(np.array([row], np.int64))
        tops.note(ring.buffer.place, 0, 1)
        assert tops.rows[:, t.T_CROSSED].tolist() == since, now
        if now % 5_000 == 0:
            state = copy.deepcopy(tops.save())
            tops = t.Tops()
            tops.load(state)
    assert tops.crossed(40_000, 0) == [k for k in range(3) if since[k]]
    assert max(len(part) for pair in tops.save()["kept"] for part in pair) >= 256


def test_forgetting_begins_to_count_anew() -> None:
    tops, ring = t.Tops(), RowRing(64)
    tops.hold(1)
    rows = [level(0, ev.BID, 2 * 10**9, 1, 10), level(0, ev.ASK, 10**9, 1, 11)]
    ring.append(np.array(rows, np.int64))
    tops.note(ring.buffer.place, 0, 2)
    assert (tops.crossed(20, 8), tops.crossed(20, 9)) == ([0], [])
    tops.forget(0)
    assert tops.crossed(20, 0) == []
    ring.append(np.array([level(0, ev.BID, 3 * 10**9, 1, 30)], np.int64))
    tops.note(ring.buffer.place, 2, 3)
    assert tops.crossed(40, 5) == [0]
