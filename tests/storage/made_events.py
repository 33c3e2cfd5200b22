"""Events for archives: of several instruments, with everything an EVENT may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import numpy as np

from depthscope.market.events import ACTIONS, EVENT, UNDEF_PRICE, Events
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.source import Key, SourceInfo

START = 1_700_000_000_000_000_000


def market_events(n: int, seed: int, symbols: int = 3, days: float = 0.01) -> Events:
    """Events such as a market gives."""
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    step = rng.exponential(days * 86_400e9 / max(n, 1), n).astype(np.int64)
    step[rng.random(n) < 0.5] = 0
    events["ts_recv"] = START + step.cumsum()
    events["ts_event"] = events["ts_recv"] - rng.integers(-1_000_000, 5_000_000, n)
    events["order_id"] = rng.integers(0, 1 << 40, n)
    events["price"] = 4_800_000_000_000 + rng.integers(-50, 50, n) * 250_000_000
    events["price"][rng.random(n) < 0.02] = UNDEF_PRICE
    events["size"] = rng.integers(0, 50, n)
    events["sequence"] = np.arange(n) * 3
    events["instrument_id"] = rng.integers(1, symbols + 1, n)
    events["publisher"] = 1
    events["action"] = rng.choice(np.frombuffer(ACTIONS.encode(), np.uint8), n)
    events["side"] = rng.choice(np.frombuffer(b"ABN", np.uint8), n)
    events["flags"] = rng.choice(np.array([0, 128, 130, 40], np.uint8), n)
    events["cond"] = rng.choice(np.array([0, 0, 0, 16], np.uint16), n)
    return events


def strange_events(n: int, seed: int) -> Events:
    """Any bytes at all, but for two instruments."""
    rng = np.random.default_rng(seed)
    events = np.frombuffer(rng.bytes(n * EVENT.itemsize), EVENT).copy()
    events["instrument_id"] = rng.integers(1, 3, n)
    events["publisher"] = 1
    return events


class MadeSource:
    """A source of given events, in chunks of given length."""

    def __init__(
        self, events: Events, chunk: int = 1_000, symbols: tuple[str, ...] = ("A", "B/C d", "ü=1")
    ) -> None:
        self.events, self._chunk = events, chunk
        self.info = SourceInfo("made", "made", "mbo", "TEST", bytes_total=events.nbytes)
        self._all = {
            (1, number): Instrument(
                "TEST.X", name, 250_000_000, 1_000_000 * number, multiplier=Decimal("12.5"), currency="EUR",
                calendar="24/7", capabilities=Capability.MBO | Capability.TRADES, allows_negative=number == 2,
            )
            for number, name in enumerate(symbols, 1)
        }  # fmt: skip
        self._met: dict[Key, Instrument] = {}

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        return self._met

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        self._met[publisher, instrument_id] = self._all[publisher, instrument_id]
        return self._met[publisher, instrument_id]

    def chunks(self) -> Iterator[Events]:
        for start in range(0, len(self.events), self._chunk):
            self.info.bytes_read = start * EVENT.itemsize
            self.info.records = start
            yield self.events[start : start + self._chunk]


def all_of(chunks: Iterator[Events]) -> Events:
    """Everything a source gives, as one array."""
    pieces = [piece.copy() for piece in chunks]
    return np.concatenate(pieces) if pieces else np.zeros(0, EVENT)
