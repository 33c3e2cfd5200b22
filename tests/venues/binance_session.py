"""A live Binance machine in the hands of a test: inputs by name, and a book that follows its events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from depthscope.market import events as ev
from depthscope.market.inputs import Input, Kind, Notice
from depthscope.venues.binance_live import BinanceMachine
from depthscope.venues.binance_requests import (
    Close,
    FetchInstruments,
    FetchSnapshot,
    FetchTime,
    LiveConfig,
    Open,
    Request,
    Send,
)
from tests.venues.binance_feed import NS, depth, dump, message, snapshot
from tests.venues.dict_book import DictBook, as_dicts

SECOND = 1_000_000_000
GRIDS = {"BTCUSDT": ("0.10", "0.001"), "ETHUSDT": ("0.01", "0.001"), "NEWUSDT": ("0.0001", "1")}


def info(names: Iterable[str], status: str = "TRADING", **grids: tuple[str, str]) -> dict[str, Any]:
    """An exchangeInfo body."""
    entries = []
    for name in names:
        tick, lot = grids.get(name) or GRIDS.get(name, ("0.1", "0.001"))
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": tick},
            {"filterType": "LOT_SIZE", "stepSize": lot},
        ]
        entries.append({"symbol": name, "status": status, "filters": filters})
    return {"symbols": entries}


class Session:
    """Feeds a machine, keeps every input, and follows each book through the events."""

    def __init__(self, *symbols: str, fast: bool = True, **config: Any) -> None:
        self.machine = BinanceMachine(fast=fast)
        self.now = NS
        self.inputs: list[Input] = []
        self.events: list[np.ndarray] = []
        self.requests: list[Request] = []
        self.notices: list[Notice] = []
        self.books: dict[int, DictBook] = {}
        self.config = LiveConfig(list(symbols or ("BTCUSDT",)), **config)
        self.connection = 0
        self.open: dict[int, str] = {}

    def give(self, kind: Kind, payload: bytes | dict[str, Any], connection: int = 0) -> str:
        """Step the machine; actions of the events, a letter each."""
        raw = payload if isinstance(payload, bytes) else dump(payload)
        received = Input(kind, connection, self.now, raw)
        self.inputs.append(received)
        self.machine.step(received)
        events = self.machine.take().copy()
        self.events.append(events)
        self.requests += self.machine.take_requests()
        self.notices += self.machine.take_notices()
        for event in as_dicts(events):
            self.books.setdefault(event["instrument_id"], DictBook()).apply(event)
        return "".join(chr(a) for a in events["action"])

    def configure(self) -> str:
        return self.give(Kind.CONFIG, self.config.payload())

    def rest(self, path: str, body: bytes | dict[str, Any], status: int = 200, **more: Any) -> str:
        raw = body if isinstance(body, bytes) else dump(body)
        return self.give(Kind.REST, dump({"url": path, "status": status} | more) + b"\n" + raw)

    def instruments(self, names: Iterable[str] | None = None, **more: Any) -> str:
        return self.rest("/fapi/v1/exchangeInfo", info(names or self.config.symbols, **more))

    def reply(self, body: bytes, symbol: str = "BTCUSDT", status: int = 200) -> str:
        return self.rest(f"/fapi/v1/depth?symbol={symbol}", body, status, symbol=symbol)

    def link(self, name: str, event: str = "open", number: int | None = None, reason: str = "") -> int:
        if number is None:
            self.connection += 1
            number = self.connection
        if event == "open":
            self.open[number] = name
        else:
            self.open.pop(number, None)
        self.give(Kind.LINK, {"event": event, "name": name, "reason": reason}, number)
        return number

    def confirm(self) -> None:
        """Answer every control message not answered yet."""
        for request in self.taken(Send):
            answer = {"result": None, "id": json.loads(request.payload)["id"]}
            if request.connection in self.open:
                self.give(Kind.WS, answer, request.connection)

    def taken(self, kind: type) -> list[Any]:
        """Requests of a kind, which are then forgotten."""
        found = [r for r in self.requests if isinstance(r, kind)]
        self.requests = [r for r in self.requests if not isinstance(r, kind)]
        return found

    def begin(self) -> Session:
        """Configure, fix the instruments, open every connection asked for, confirm."""
        self.configure()
        self.instruments()
        for request in self.taken(Open):
            self.link(request.name)
        self.confirm()
        return self

    def clock(self, seconds: float, step: float = 0.1) -> str:
        """Let time pass with CLOCK inputs."""
        said = ""
        for _ in range(round(seconds / step)):
            self.now += int(step * SECOND)
            said += self.give(Kind.CLOCK, {"wall": self.now})
        return said

    def ws(self, payload: bytes | dict[str, Any], connection: int = 1) -> str:
        return self.give(Kind.WS, payload, connection)

    def state(self, symbol: str = "BTCUSDT") -> str:
        return self.machine.books[symbol].state

    def moves(self, about: str = "book", symbol: str = "BTCUSDT") -> list[str]:
        """States of a symbol's transitions."""
        return [n.state for n in self.notices if n.about == about and n.subject == symbol]

    def replay(self) -> BinanceMachine:
        """Step a fresh machine through the same inputs; everything it says must be the same bytes."""
        other = BinanceMachine()
        for received, events in zip(self.inputs, self.events, strict=True):
            other.step(received)
            assert other.take().tobytes() == events.tobytes()
        assert [n.line() for n in other.notices] == [n.line() for n in self.notices]
        return other


BIDS: Any = [["60000.0", "1.000"]]
ASKS: Any = [["60000.1", "1.000"]]


def live(*symbols: str, **config: Any) -> Session:
    """A session whose first book is LIVE at id 100."""
    s = Session(*symbols, **config).begin()
    s.ws(depth(90, 100, 89, BIDS, ASKS))
    assert s.reply(snapshot(95, BIDS, ASKS)) == "RLLLL"
    assert s.state() == "LIVE"
    s.requests.clear()
    return s


def beat(
    s: Session, seconds: float, last: int, connection: int = 1, *, step: float = 0.1, symbol: str = "BTCUSDT"
) -> int:
    """An empty depth update every `step`; the last id."""
    for _ in range(round(seconds / step)):
        s.now += int(step * SECOND)
        s.ws(depth(last + 1, last + 2, last, s=symbol, T=s.now // 1_000_000), connection)
        last += 2
    return last


def trade(number: int, **more: Any) -> bytes:
    return message("aggTrade", a=number, p="60000.0", q="1.000", nq="1.000", m=True, **more)


__all__ = [
    "ASKS", "BIDS", "SECOND", "Close", "FetchInstruments", "FetchSnapshot", "FetchTime", "Open", "Send",
    "Session", "beat", "depth", "dump", "ev", "info", "live", "message", "snapshot", "trade",
]  # fmt: skip
