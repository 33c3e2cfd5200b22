"""Binance depth messages the usual way: a JSON parser and a SortedDict a side, floats as keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contestant import Contestant, Final, Job
from bench.data import depth_messages

if TYPE_CHECKING:
    from bench.data import Inputs


class JsonSortedDict(Contestant):
    """json.loads and SortedDict."""

    title = "json + SortedDict"
    work = "parse and apply each depth message"
    unit = "messages"
    package = "sortedcontainers"

    def load(self, inputs: Inputs, job: Job) -> int:
        self.frames = [body for _, body in depth_messages()]
        return len(self.frames)

    def parser(self) -> Any:
        import json

        return json.loads

    def setup(self) -> None:
        from sortedcontainers import SortedDict

        self.bids, self.asks = SortedDict(), SortedDict()
        self.parse = self.parser()

    def apply(self, update: Any) -> None:
        for book, levels in ((self.bids, update["b"]), (self.asks, update["a"])):
            for price, size in levels:
                quantity = float(size)
                if quantity:
                    book[float(price)] = quantity
                else:
                    book.pop(float(price), None)

    def run(self) -> None:
        parse, apply = self.parse, self.apply
        start: int | None = None
        early: list[Any] = []
        for frame in self.frames:
            message = parse(frame)
            if "lastUpdateId" in message:
                start = message["lastUpdateId"]
                for book, levels in ((self.bids, message["bids"]), (self.asks, message["asks"])):
                    book.clear()
                    book.update((float(price), float(size)) for price, size in levels)
                for update in early:
                    if update["u"] >= start:
                        apply(update)
            elif start is None:
                early.append(message["data"])
            elif message["data"]["u"] >= start:
                apply(message["data"])

    def final(self) -> Final:
        def lots(size: float) -> int:
            return round(size * 1000)

        (bid, bid_size), (ask, ask_size) = self.bids.peekitem(-1), self.asks.peekitem(0)
        return Final(
            round(bid * 1e9), round(ask * 1e9), lots(bid_size), lots(ask_size),
            sum(map(lots, self.bids.values())), sum(map(lots, self.asks.values())),
            len(self.bids), len(self.asks),
        )  # fmt: skip


class MsgspecSortedDict(JsonSortedDict):
    """msgspec's decoder in place of json."""

    title = "msgspec + SortedDict"

    def parser(self) -> Any:
        import msgspec

        return msgspec.json.Decoder().decode
