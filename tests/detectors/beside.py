"""A detector and its slow one over the same market, message by message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.layouts import PHASE_NAMES
from depthscope.market.source import Source

Message = tuple[Any, ...]  # phase, number, size, label, outcome, lots traded as the evidence has them


class Slow(Protocol):
    """What looks at rows and trades in plain Python."""

    def row(self, row: Any) -> Iterator[Message]:
        """Take a SAMPLE row."""

    def trade(self, side: int, price: int, size: int) -> None:
        """Take a trade that counts for volume."""


def both(source: Source, name: str, slow: Slow, every: int) -> tuple[list[Message], list[Message]]:
    """(said by the detector, said by the slow one) of the first instrument of a source."""
    engine = Engine(source.resolve, every=every, features=[], detectors=[name], keep_samples=True)
    found, rows, trades = [], [], []
    for events in source.chunks():
        batch = engine.process(events)
        found.append(batch.detections)
        rows.append(batch.samples)
        counted = (events["action"] == ev.TRADE) & (events["cond"] & ev.COND_NOT_VOLUME == 0)
        trades.append(events[counted].copy())
    batch, about = engine.finish(), detector(name)
    said = np.concatenate([*found, batch.detections])
    times, over = engine.slots[0].size_ratio
    at = about.evidence.index("traded") if "traded" in about.evidence else None
    got = [
        (
            PHASE_NAMES[d["phase"]],
            int(d["number"]),
            int(d["size"]),
            about.labels[d["label"]],
            about.outcomes[d["outcome"]],
            0 if at is None else round(d["evidence"][at] / times * over),
        )
        for d in said[said["slot"] == 0]
    ]

    def told() -> Iterator[Message]:
        prints = np.concatenate(trades)
        publisher, instrument = engine._keys[0]
        prints = prints[(prints["publisher"] == publisher) & (prints["instrument_id"] == instrument)]
        k = 0
        for samples in (*rows, batch.samples):
            for row in samples[samples["slot"] == 0] if samples is not None else ():
                while k < len(prints) and prints["ts_recv"][k] < row["ts"]:
                    slow.trade(int(prints["side"][k]), int(prints["price"][k]), int(prints["size"][k]))
                    k += 1
                yield from slow.row(row)

    return got, list(told())
