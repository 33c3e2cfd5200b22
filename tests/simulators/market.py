"""Small markets to play on the simulated exchange, and how its messages are read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np

from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.runtime.sources import open_source
from depthscope.simulators.binance_exchange import Exchange
from depthscope.simulators.binance_playback import EventSource
from depthscope.simulators.binance_wire import Out, Reply

SECOND = 10**9
MS = 10**6
START = 1_795_000_000 * SECOND  # on every grid there is
ME = "192.0.2.1"
DEPTH = "btcusdt@depth@100ms"
FULL = Capability.TRADES | Capability.L2 | Capability.AGGRESSOR


def instrument(symbol: str = "BTCUSDT", tick: str = "0.1", lot: str = "0.001") -> Instrument:
    scale = Decimal(10**9)
    return Instrument(
        "binance", symbol, int(Decimal(tick) * scale), int(Decimal(lot) * scale), capabilities=FULL
    )


def event(
    time: int, action: int, side: int = ev.NO_SIDE, price: int = ev.UNDEF_PRICE, size: int = 0, *,
    order: int = 0, symbol: int = 1, flags: int = ev.LAST, cond: int = 0,
) -> tuple[Any, ...]:  # fmt: skip
    """One event at START + `time`."""
    at = START + time
    return (at, at, order, price, size, 0, symbol, 0, 1, cond, action, side, flags, 0)


def events(rows: Iterable[tuple[Any, ...]]) -> ev.Events:
    return np.array(list(rows), ev.EVENT)


def dollars(text: str) -> int:
    return int(Decimal(text) * 10**9)


def quiet_book(symbol: int = 1, levels: int = 3) -> list[tuple[Any, ...]]:
    """Bids 100.0, 99.9, … and asks 100.1, 100.2, …, 1 to `levels` lots, a moment after the start."""
    rows = []
    for n in range(levels):
        rows.append(event(MS, ev.LEVEL, ev.BID, dollars("100") - n * 10**8, n + 1, symbol=symbol, flags=0))
        rows.append(event(MS, ev.LEVEL, ev.ASK, dollars("100.1") + n * 10**8, n + 1, symbol=symbol, flags=0))
    rows[-1] = (*rows[-1][:12], ev.LAST, 0)
    return rows


def pulse(seconds: int, every: int = 50 * MS, symbol: int = 1) -> list[tuple[Any, ...]]:
    """A bid at 99.5 that changes its size again and again."""
    return [
        event(n * every, ev.LEVEL, ev.BID, dollars("99.5"), 1 + n % 7, symbol=symbol)
        for n in range(1, seconds * SECOND // every)
    ]


def played(
    rows: Iterable[tuple[Any, ...]], names: tuple[str, ...] = ("BTCUSDT",), **settings: Any
) -> Exchange:
    """An exchange that plays rows from START on, when nothing happens yet."""
    ordered = sorted([event(0, ev.NONE), *rows], key=lambda row: int(row[1]))  # stable
    source = EventSource([events(ordered)], {(1, n): instrument(name) for n, name in enumerate(names, 1)})
    return Exchange(lambda: source, start=START, **settings)


def quiet(seconds: int = 60, **settings: Any) -> Exchange:
    """One symbol with a few levels, one of which changes every 50 ms."""
    return played([*quiet_book(), *pulse(seconds)], **settings)


def synthetic(symbols: int = 3, minutes: int = 1, seed: int = 7, **settings: Any) -> Exchange:
    spec = f"synthetic:seed={seed},minutes={minutes},symbols={symbols}"
    return Exchange(lambda: open_source(spec, chunk=4_096), start=START, **settings)


def connected(exchange: Exchange, route: str, *streams: str, address: str = ME) -> int:
    """A combined connection."""
    number = exchange.connect(f"/{route}/stream?streams={'/'.join(streams)}", address, exchange.now)
    assert isinstance(number, int), number
    return number


def get(exchange: Exchange, path: str, address: str = ME, **query: Any) -> Reply:
    return exchange.request("GET", path, urlencode(query), address, exchange.now)


def body(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def texts(outs: Iterable[Out]) -> list[tuple[str, Any]]:
    """(stream, data) of messages of combined connections."""
    found = []
    for out in outs:
        if out.kind == "text":
            message = msgspec.json.decode(out.payload)
            found.append((message["stream"], message["data"]))
    return found


def steps(exchange: Exchange, seconds: float, every: int = 100 * MS) -> Iterator[list[Out]]:
    """What the exchange sends, from one moment to the next."""
    end = exchange.now + int(seconds * SECOND)
    while exchange.now < end:
        yield exchange.advance(min(end, exchange.now + every))


def run(exchange: Exchange, seconds: float) -> list[Out]:
    return exchange.advance(exchange.now + int(seconds * SECOND))


def messages(exchange: Exchange, seconds: float) -> list[Any]:
    """Data of every message in so many seconds."""
    return [data for _, data in texts(run(exchange, seconds))]


def contiguous(depth: list[Any]) -> bool:
    """Whether each depth message follows the one before it."""
    return all(b["pu"] == a["u"] for a, b in pairwise(depth))


@dataclass
class LocalBook:
    """The venue's own recipe for a local book, followed to the letter.

    Buffer the stream; fetch a snapshot; drop updates with ``u < lastUpdateId``; the first must have
    ``U <= lastUpdateId <= u``; each next one ``pu`` equal to the ``u`` before; sizes are absolute.
    """

    bids: dict[int, int] = field(default_factory=dict)  # price to size, both in 1e-9
    asks: dict[int, int] = field(default_factory=dict)
    last: int = 0
    fresh: bool = True

    def start(self, snapshot: Any) -> None:
        self.bids = {dollars(p): dollars(q) for p, q in snapshot["bids"]}
        self.asks = {dollars(p): dollars(q) for p, q in snapshot["asks"]}
        self.last, self.fresh = snapshot["lastUpdateId"], True

    def update(self, message: Any) -> str:
        """Apply one update: "applied", "old" or "gap"."""
        if self.fresh:
            if message["u"] < self.last:
                return "old"
            # A snapshot taken when nothing had changed since the last update is followed by pu.
            if not message["U"] <= self.last <= message["u"] and message["pu"] != self.last:
                return "gap"
        elif message["pu"] != self.last:
            return "gap"
        for side, levels in ((self.bids, message["b"]), (self.asks, message["a"])):
            for price, size in levels:
                if Decimal(size) == 0:
                    side.pop(dollars(price), None)
                else:
                    side[dollars(price)] = dollars(size)
        self.last, self.fresh = message["u"], False
        return "applied"

    def as_lots(self, of: Instrument) -> tuple[dict[int, int], dict[int, int]]:
        def side(levels: dict[int, int]) -> dict[int, int]:
            return {price: size // of.lot for price, size in levels.items()}

        return side(self.bids), side(self.asks)


def two(seconds: int = 60, **settings: Any) -> Exchange:
    """Two symbols, both moving."""
    rows = [*quiet_book(), *quiet_book(2), *pulse(seconds), *pulse(seconds, symbol=2)]
    return played(rows, ("BTCUSDT", "ETHUSDT"), **settings)


def depth_of(exchange: Exchange, seconds: float) -> list[Any]:
    connected(exchange, "public", DEPTH)
    return messages(exchange, seconds)


def at(message: Any) -> float:
    """Seconds after the start at which a message was sent."""
    return (message["E"] - START // MS) / 1_000
