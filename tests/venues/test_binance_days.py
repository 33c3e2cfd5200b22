"""Seven days in one session: the venue cuts every connection at 24 hours, and nothing is missed."""

from __future__ import annotations

import json

import pytest

from depthscope.market import events as ev
from depthscope.market.inputs import Input, Kind
from depthscope.venues.binance_live import BinanceMachine
from depthscope.venues.binance_requests import Close, FetchInstruments, FetchSnapshot, LiveConfig, Open, Send
from tests.venues.binance_feed import NS, Exchange, dump
from tests.venues.binance_session import SECOND, info

pytestmark = pytest.mark.untraced  # 600,000 steps; what they call is covered elsewhere

DAY = 86_400 * SECOND


class Venue:
    """Connections that live a day, a book that changes twice a minute, a trade each ten minutes."""

    def __init__(self) -> None:
        self.machine = BinanceMachine()
        self.exchange = Exchange(11)
        self.now = NS
        self.open: dict[int, tuple[str, int]] = {}
        self.carried: dict[int, bool] = {}
        self.numbers = self.cuts = self.trades = 0
        self.updates: list[int] = []
        self.depth_ids: list[int] = []
        self.trade_ids: list[int] = []
        self.lost = 0

    def give(self, kind: Kind, payload: bytes, connection: int = 0) -> None:
        self.machine.step(Input(kind, connection, self.now, payload))
        for row in self.machine.take().tolist():
            if row[10] == ev.LOST:
                self.lost += 1
            elif row[10] == ev.TRADE:
                self.trade_ids.append(row[5])
            elif row[12] & ev.LAST and row[5] and row[10] != ev.CLEAR:
                self.depth_ids.append(row[5])
        for request in self.machine.take_requests():
            self.serve(request)

    def serve(self, request: object) -> None:
        if isinstance(request, Open):
            self.numbers += 1
            self.open[self.numbers] = request.name, self.now
            self.give(Kind.LINK, dump({"event": "open", "name": request.name}), self.numbers)
        elif isinstance(request, Close):
            self.end(request.connection, "closed")
        elif isinstance(request, Send):
            self.carried[request.connection] = True
            self.give(
                Kind.WS, dump({"result": None, "id": json.loads(request.payload)["id"]}), request.connection
            )
        elif isinstance(request, FetchSnapshot):
            self.reply("/fapi/v1/depth", self.exchange.snapshot(), symbol="BTCUSDT")
        elif isinstance(request, FetchInstruments):
            self.reply("/fapi/v1/exchangeInfo", info(["BTCUSDT"]))

    def reply(self, url: str, body: dict[str, object], **more: str) -> None:
        self.give(Kind.REST, dump({"url": url, "status": 200} | more) + b"\n" + dump(body))

    def end(self, number: int, event: str) -> None:
        name, _ = self.open.pop(number)
        self.give(Kind.LINK, dump({"event": event, "name": name}), number)

    def send(self, route: str, body: bytes) -> None:
        for number, (name, _) in list(self.open.items()):
            if name.startswith(route) and number in self.carried and number in self.open:
                self.give(Kind.WS, body, number)

    def second(self, k: int) -> None:
        self.now += SECOND
        self.give(Kind.CLOCK, b'{"wall":%d}' % self.now)
        if k % 30 == 7:
            body, _ = self.exchange.update()
            body |= {"T": self.now // 1_000_000, "E": self.now // 1_000_000}
            self.updates.append(body["u"])
            self.send("public", dump(body))
        if k % 600 == 9:
            self.trades += 1
            ms = self.now // 10**6
            size = {"p": "60000.0", "q": "1.000", "nq": "1.000", "m": True}
            trade = {"e": "aggTrade", "E": ms, "s": "BTCUSDT", "a": self.trades, "T": ms} | size
            self.send("market", dump(trade))
        for number, (_, opened) in list(self.open.items()):
            if self.now - opened >= DAY:
                self.cuts += 1
                self.end(number, "lost")


def test_seven_days_miss_nothing() -> None:
    venue = Venue()
    venue.give(Kind.CONFIG, LiveConfig(["BTCUSDT"]).payload())
    for k in range(7 * 86_400):
        venue.second(k)
    assert venue.cuts == 0  # each was replaced at 23 h
    assert venue.numbers == 2 * 8
    assert venue.lost == 0
    start = venue.updates.index(venue.depth_ids[1])  # the first is the snapshot
    assert venue.depth_ids[1:] == venue.updates[start:]
    assert venue.trade_ids == list(range(1, venue.trades + 1))
    assert [n.state for n in venue.machine.notices if n.about == "book"] == ["SYNCING", "LIVE"]
