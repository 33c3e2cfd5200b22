"""Layering-like levels on feeds with order ids: what is cancelled, beside what usually is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.runtime.sources import open_source
from tests.reference.book import SlowBook
from tests.reference.engine import as_events
from tests.reference.layering import Layerings
from tests.strategies.streams import CAPABILITIES, MBO, START

SECOND = 10**9
TICK = 10**7
BID, ASK = 10_000 * TICK, 10_001 * TICK
NAMES = detector("layering").evidence
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


class Orders:
    """A market of orders, told one by one; ten orders of ten lots a side to begin with."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, int, int, int]] = []
        self.now = START
        for k in range(10):
            self.order(ev.ADD, 100 + k, ev.BID, BID - k * TICK, 10)
            self.order(ev.ADD, 200 + k, ev.ASK, ASK + k * TICK, 10)

    def order(self, action: int, order_id: int, side: int, price: int, size: int) -> None:
        """Add an event."""
        self.rows.append((self.now, action, order_id, side, price, size))

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now += SECOND
            self.order(ev.NONE, 0, ev.NO_SIDE, 0, 0)

    def told(self, capabilities: Capability = CAPABILITIES[MBO]) -> list[dict[str, float]]:
        """Evidence of what is said of the bids."""
        events = ev.empty_events(len(self.rows))
        for k, name in enumerate(("ts_recv", "action", "order_id", "side", "price", "size")):
            events[name] = [row[k] for row in self.rows]
        events["publisher"] = events["instrument_id"] = 1
        events["ts_event"], events["flags"] = events["ts_recv"], ev.LAST
        instrument = Instrument("test", "S", TICK, capabilities=capabilities)
        engine = Engine(lambda *_: instrument, every="1s", features=[], detectors=["layering"])
        said = np.concatenate([engine.process(events).detections, engine.finish().detections])
        return [dict(zip(NAMES, d["evidence"].tolist(), strict=False)) for d in said if d["side"] == ev.BID]


def layered() -> Orders:
    """Tell of four orders of 100 that join the third to sixth bid after twelve seconds."""
    story = Orders()
    story.wait(12)
    for k in range(4):
        story.order(ev.ADD, 300 + k, ev.BID, BID - (2 + k) * TICK, 100)
    story.wait(2)
    return story


def test_nothing_taken_away_has_no_ratio() -> None:
    (opened,) = layered().told()
    assert (opened["levels"], opened["cancel_ratio"], opened["usual_cancel_ratio"]) == (4.0, -1.0, -1.0)


def test_cancels_beside_what_usually_is_cancelled() -> None:
    story = layered()
    story.order(ev.CANCEL, 100, ev.BID, BID, 10)  # elsewhere
    story.order(ev.FILL, 101, ev.BID, BID - TICK, 10)
    story.order(ev.CANCEL, 101, ev.BID, BID - TICK, 10)
    story.order(ev.FILL, 300, ev.BID, BID - 2 * TICK, 30)
    story.order(ev.CANCEL, 300, ev.BID, BID - 2 * TICK, 30)  # what the fill took
    story.order(ev.CANCEL, 300, ev.BID, BID - 2 * TICK, 70)
    story.order(ev.MODIFY, 301, ev.BID, BID - 3 * TICK, 80)  # smaller
    story.order(ev.MODIFY, 302, ev.BID, BID - 20 * TICK, 100)  # moved away
    story.order(ev.MODIFY, 303, ev.BID, BID - 5 * TICK, 120)  # larger
    story.wait(2)
    _, closed = story.told()
    assert closed["cancel_ratio"] == (100 + 20 + 100 - 30) / (100 + 20 + 100)
    assert closed["usual_cancel_ratio"] == (10 + 10 + 220 - 40) / (10 + 10 + 220)


def test_orders_of_the_other_side_and_unknown_ones_do_not_count() -> None:
    story = layered()
    story.order(ev.CANCEL, 203, ev.ASK, ASK + 3 * TICK, 10)
    story.order(ev.CANCEL, 999, ev.BID, BID - 3 * TICK, 10)
    for k in range(4):
        story.order(ev.FILL, 300 + k, ev.BID, BID - (2 + k) * TICK, 100)
        story.order(ev.CANCEL, 300 + k, ev.BID, BID - (2 + k) * TICK, 100)
    story.wait(2)
    _, closed = story.told()
    assert (closed["cancel_ratio"], closed["usual_cancel_ratio"]) == (0.0, 10 / 410)


def compare(name: str | Path, every: int) -> int:
    """Compare the ratios of a source's first instrument with the slow ones; how many there are."""
    source = open_source(name)
    engine = Engine(source.resolve, every=every, features=[], detectors=["layering"], keep_samples=True)
    events = np.concatenate([events.copy() for events in source.chunks()])
    batch, rest = engine.process(events), engine.finish()
    said = np.concatenate([batch.detections, rest.detections])
    got = said[said["slot"] == 0]["evidence"][:, NAMES.index("cancel_ratio") :][:, :2]
    slow, book = Layerings(), SlowBook(engine.slots[0].tick, allows_negative=False, top_only=False)
    mine = as_events(events[(events["instrument_id"] == engine._keys[0][1])])
    k = 0
    for samples in (batch.samples, rest.samples):
        for row in samples[samples["slot"] == 0] if samples is not None else ():
            while k < len(mine) and mine[k].ts_recv < row["ts"]:
                slow.order(mine[k], book)
                k += 1
            list(slow.row(row))
    assert [tuple(pair) for pair in got.tolist()] == slow.ratios
    return len(got)


def test_a_synthetic_market() -> None:
    assert compare("synthetic:seed=5,minutes=12,symbols=1", SECOND // 4) > 1


@pytest.mark.real_data
def test_the_es_recording(data_dir: Path) -> None:
    compare(data_dir / ES, SECOND)


def test_feeds_without_order_ids_have_no_ratios() -> None:
    story = Orders()
    story.rows = [
        (at, ev.LEVEL if action == ev.ADD else action, 0, side, price, size)
        for at, action, _, side, price, size in layered().rows
    ]
    story.now += 14 * SECOND
    for k in range(4):
        story.order(ev.LEVEL, 0, ev.BID, BID - (2 + k) * TICK, 10)
    story.wait(2)
    opened, closed = story.told(Capability.L2 | Capability.TRADES | Capability.AGGRESSOR)
    assert opened["cancel_ratio"] == closed["cancel_ratio"] == closed["usual_cancel_ratio"] == -1.0
