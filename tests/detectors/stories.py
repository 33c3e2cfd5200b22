"""Markets told by hand, second by second, and what a detector says of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from tests.strategies.streams import START

SECOND = 10**9
TICK = 10**7
BID, ASK = 10_000 * TICK, 10_001 * TICK
INSTRUMENT = Instrument(
    "test", "S", TICK, capabilities=Capability.L2 | Capability.TRADES | Capability.AGGRESSOR
)


class Story:
    """A market of levels of ten lots a side, ten unless told otherwise, told second by second."""

    def __init__(self, levels: int = 10) -> None:
        self.rows: list[tuple[int, int, int, int, int, int]] = []
        self.now = START
        for k in range(levels):
            self.level(ev.BID, BID - k * TICK, 10)
            self.level(ev.ASK, ASK + k * TICK, 10)

    def level(self, side: int, price: int, size: int) -> None:
        """Set a level."""
        self.rows.append((self.now, ev.LEVEL, side, price, size, ev.LAST))

    def trade(self, side: int, price: int, size: int, flags: int = 0) -> None:
        """Print a trade of an aggressor."""
        self.rows.append((self.now, ev.TRADE, side, price, size, ev.LAST | flags))

    def wait(self, seconds: int) -> None:
        """Let time pass; a quote far away says so each second."""
        for _ in range(seconds):
            self.now += SECOND
            self.level(ev.BID, BID - 100 * TICK, 1 + self.now // SECOND % 2)

    def said(self, name: str, **settings: float) -> npt.NDArray[np.void]:
        """Messages of a detector, looking every second."""
        events = ev.empty_events(len(self.rows))
        events["publisher"] = events["instrument_id"] = 1
        for k, field in enumerate(("ts_recv", "action", "side", "price", "size", "flags")):
            events[field] = [row[k] for row in self.rows]
        events["ts_event"] = events["ts_recv"]
        engine = Engine(lambda *_: INSTRUMENT, every="1s", features=[], detectors=[name], settings=settings)
        return np.concatenate([engine.process(events).detections, engine.finish().detections])

    def told(self, name: str = "wall", **settings: float) -> list[tuple[float, str, str, str, float]]:
        """Seconds since the start, phase, label, outcome and size of all that is said."""
        about = detector(name)
        return [
            (
                (int(d["ts"]) - START) / 1e9,
                PHASE_NAMES[d["phase"]],
                about.labels[d["label"]],
                about.outcomes[d["outcome"]],
                float(d["size"]),
            )
            for d in self.said(name, **settings)
        ]
