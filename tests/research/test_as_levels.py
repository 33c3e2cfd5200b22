"""A recording of orders told by levels has the same prices, sizes and trades."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.research.as_levels import as_levels
from depthscope.research.recording import Recording, record
from depthscope.runtime.sources import open_source
from tests.reference.book import SlowBook
from tests.reference.engine import as_events
from tests.research.streams import Quiet

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def check(orders: Recording) -> None:
    levels = as_levels(orders)
    assert not levels.instrument.capabilities & Capability.MBO
    assert not levels.events["order_id"].any()
    trades = [e[e["action"] == ev.TRADE] for e in (orders.events, levels.events)]
    for name in ("ts_recv", "ts_event", "price", "size", "side"):
        assert (trades[0][name] == trades[1][name]).all()
    books = [SlowBook(orders.instrument.tick, allows_negative=False, top_only=False) for _ in range(2)]
    left = as_events(levels.events)
    moments = np.unique(orders.times)
    for ts, events in zip(moments.tolist(), np.split(orders.events, _cuts(orders, moments)), strict=True):
        for e in as_events(events):
            books[0].apply(e)
        while left and left[0].ts_recv <= ts:
            books[1].apply(left.pop(0))
        for side in (ev.BID, ev.ASK):
            want = [(p, s) for p, s, _ in books[0].side(side, 10)]
            assert [(p, s) for p, s, _ in books[1].side(side, 10)] == want
    assert not left


def _cuts(orders: Recording, moments: np.ndarray) -> np.ndarray:
    lasts = np.searchsorted(orders.times, moments, "right") - 1
    return orders.ends[lasts][:-1] + 1


def test_a_quiet_market() -> None:
    check(record(Quiet(seconds=60)))


def test_levels_can_be_recorded_again() -> None:
    orders = record(Quiet(seconds=60))
    levels = record(as_levels(orders))
    assert not levels.by_order
    assert levels.traded(levels.begin - 1, levels.end) == orders.traded(orders.begin - 1, orders.end)


@pytest.mark.real_data
@pytest.mark.slow
def test_es(data_dir: Path) -> None:
    check(record(open_source(data_dir / ES)))
