"""Batches told by hand, and those of an engine, for what consumes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.features.batch import Batch, heads_of, meta_of
from depthscope.market.instruments import Instrument
from depthscope.market.layouts import DETECTION, LIVE, PHASE_NAMES, SAMPLE
from depthscope.market.source import Source
from tests.strategies.streams import START

SECOND = 10**9
TICK = 25 * 10**7
INSTRUMENT = Instrument("test", "S", TICK)


class Tale:
    """A market of one instrument, told row by row; prices in ticks, times in seconds since the start."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[Any]] = []
        self.said: list[npt.NDArray[Any]] = []
        self.numbers: dict[str, int] = {}

    @property
    def now(self) -> int:
        """Time of the last row."""
        return int(self.rows[-1]["ts"][0]) if self.rows else START

    def quote(
        self, bid: int, spread: int = 1, *, seconds: float = 1.0, state: int = LIVE, lots: int = 0
    ) -> None:
        """Add a row with these best prices, in which so many lots were bought at the ask."""
        row = np.zeros(1, SAMPLE)
        row["ts"], row["state"], row["n_bid"], row["n_ask"] = self.now + int(seconds * SECOND), state, 1, 1
        row["bid_price"][:, 0], row["ask_price"][:, 0] = bid * TICK, (bid + spread) * TICK
        row["buy_volume"], row["notional"] = lots, lots * ((bid + spread) * TICK / 1e9)
        self.rows.append(row)

    def hold(self, bid: int, seconds: int) -> None:
        """Add a row a second in which nothing moves."""
        for _ in range(seconds):
            self.quote(bid)

    def say(
        self, name: str, price: int, side: str = "B", *, phase: str = "open", number: int = 0, **words: str
    ) -> int:
        """Add a message at the time of the last row; returns its number."""
        about, record = detector(name), np.zeros(1, DETECTION)
        if not number:
            number = self.numbers[name] = self.numbers.get(name, 0) + 1
        record["ts"], record["opened"], record["number"] = self.now, self.now, number
        record["price"], record["side"], record["size"] = price * TICK, ord(side) if side else 0, 10
        record["phase"], record["detector"] = PHASE_NAMES.index(phase), about.number
        record["label"] = about.labels.index(words.get("label", ""))
        record["outcome"] = about.outcomes.index(words.get("outcome", ""))
        self.said.append(record)
        return number

    def batch(self) -> Batch:
        """Everything so far."""
        samples = np.concatenate(self.rows) if self.rows else np.zeros(0, SAMPLE)
        said = np.concatenate(self.said) if self.said else np.zeros(0, DETECTION)
        return Batch(meta_of(heads_of(samples)), np.zeros((0, len(samples))), (), samples, said)

    def told(self) -> Batch:
        """Everything, with a last row half a minute later, so that all that was said counts."""
        self.quote(int(self.rows[-1]["bid_price"][0, 0]) // TICK, seconds=30.0)
        whole = self.batch()
        self.rows.pop()
        return whole


def batches_of(
    source: Source, every: int | str, names: list[str], size: int | None = None
) -> tuple[list[Batch], Engine]:
    """Batches of an engine over a source, in chunks of `size`, and the engine."""
    engine = Engine(source.resolve, every=every, features=[], detectors=names, keep_samples=True)
    found = []
    for events in source.chunks():
        step = size or max(len(events), 1)
        found += [engine.process(events[at : at + step]) for at in range(0, len(events), step)]
    return [*found, engine.finish()], engine
