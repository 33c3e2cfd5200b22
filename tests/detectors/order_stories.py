"""Small markets told event by event, and what a detector says of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from tests.engine.harness import run
from tests.strategies.streams import CAPABILITIES, MBO, START

SECOND = 10**9
TICK = 10**7
Told = tuple[float, str, str, str, float]  # seconds, phase, label, outcome, size


@dataclass
class Story:
    """A market of orders, at prices in ticks and times in seconds since the start."""

    capabilities: Capability = CAPABILITIES[MBO]
    rows: list[tuple[int, int, int, int, int, int, int]] = field(default_factory=list)
    now: float = 0.0
    ids: int = 0

    def event(
        self, action: str, side: str, tick: int, size: int, order: int = 0, *, last: bool = True
    ) -> None:
        """Any event."""
        ts = START + round(self.now * SECOND)
        flags = ev.LAST if last else 0
        self.rows.append((ts, ord(action), ord(side), tick * TICK, size, order, flags))

    def add(self, side: str, tick: int, size: int, *, last: bool = True) -> int:
        """Add an order; returns its id."""
        self.ids += 1
        self.event("A", side, tick, size, self.ids, last=last)
        return self.ids

    def trade(self, side: str, tick: int, size: int, *, last: bool = True) -> None:
        """Print a trade of an aggressor."""
        self.event("T", side, tick, size, last=last)

    def quote(self, side: str, tick: int, size: int, *, last: bool = True) -> None:
        """Quote one side of a book of best prices."""
        self.event("Q", side, tick, size, last=last)

    def events(self) -> ev.Events:
        """All of it."""
        events = ev.empty_events(len(self.rows))
        events["publisher"] = events["instrument_id"] = 1
        for k, name in enumerate(("ts_recv", "action", "side", "price", "size", "order_id", "flags")):
            events[name] = [row[k] for row in self.rows]
        events["ts_event"] = events["ts_recv"]
        return events

    @property
    def instrument(self) -> Instrument:
        return Instrument("test", "S", TICK, capabilities=self.capabilities)

    def said(self, name: str, **settings: float | str) -> npt.NDArray[np.void]:
        """Messages of a detector, with rows every second."""
        instrument = self.instrument
        engine = Engine(lambda *_: instrument, every="1s", features=[], detectors=[name], settings=settings)
        return run(engine, self.events()).detections

    def told(self, name: str, **settings: float | str) -> list[Told]:
        """The same in words."""
        about = detector(name)
        return [
            (
                round((int(d["ts"]) - START) / 1e9, 6),
                PHASE_NAMES[d["phase"]],
                about.labels[d["label"]],
                about.outcomes[d["outcome"]],
                float(d["size"]),
            )
            for d in self.said(name, **settings)
        ]
