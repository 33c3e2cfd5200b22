"""Detectors straight from their definitions, group by group, in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from depthscope.market import events as ev
from tests.reference.book import Event, SlowBook

Said = tuple[str, int, int, int, int]  # phase, number, price, size, side
Message = TypeVar("Message", bound=tuple[Any, ...])  # begins with phase and number


@dataclass
class Iceberg:
    """An order that showed more than once."""

    number: int
    side: int
    price: int
    displayed: int
    executed: int
    refills: int = 0
    oversize: int = 0

    def said(self, phase: str) -> Said:
        """A message of it."""
        return phase, self.number, self.price, self.executed, self.side


@dataclass
class Icebergs:
    """Native icebergs of one instrument."""

    book: SlowBook
    fills: dict[int, int] = field(default_factory=dict)
    open: dict[int, Iceberg] = field(default_factory=dict)
    count: int = 0

    def feed(self, event: Event) -> Iterator[Said]:
        """Take an event the book has not seen yet; the book is then given it."""
        order = self.book.order(event.order_id) if event.action in (ev.FILL, ev.MODIFY, ev.CANCEL) else None
        if event.action == ev.CLEAR:
            for berg in self.open.values():
                yield berg.said("close")
            self.open.clear()
            self.fills.clear()
        self.book.apply(event)
        if order is None:
            return
        _, price, size = order
        after = self.book.order(event.order_id)
        if event.action == ev.FILL:
            if event.size <= 0:
                return
            filled = self.fills[event.order_id] = self.fills.get(event.order_id, 0) + event.size
            if event.order_id in self.open:
                self.open[event.order_id].executed += event.size
            if event.size > size:
                yield self.sign(event.order_id, event.side, price, size, filled, refill=False)
            return
        filled = self.fills.pop(event.order_id, 0)
        if event.action == ev.MODIFY and after is not None:
            if filled >= size and event.price == price:
                yield self.sign(event.order_id, after[0], price, size, filled, refill=True)
            elif event.order_id in self.open:
                self.open[event.order_id].price = event.price
        elif after is None and event.order_id in self.open:
            yield self.open.pop(event.order_id).said("close")

    def sign(self, order_id: int, side: int, price: int, size: int, filled: int, *, refill: bool) -> Said:
        """Note a refill or an oversize fill."""
        phase = "update"
        if order_id not in self.open:
            phase = "open"
            self.count += 1
            self.open[order_id] = Iceberg(self.count, side, price, size, filled)
        berg = self.open[order_id]
        berg.refills += refill
        berg.oversize += not refill
        return berg.said(phase)


@dataclass
class Sweeps:
    """Aggressor events through several prices, told apart by trades alone."""

    now: tuple[int, int] | None = None  # venue time, side
    prices: list[int] = field(default_factory=list)
    volume: int = 0
    number: int = 0  # 0 until the present event is a sweep
    count: int = 0

    def feed(self, event: Event) -> Iterator[Said]:
        """Take a trade that counts for volume and has an aggressor."""
        if (event.ts_event, event.side) != self.now:
            if self.number:
                yield self.said("close")
            self.now, self.prices, self.volume, self.number = (event.ts_event, event.side), [], 0, 0
        self.volume += event.size
        if not self.prices or self.prices[-1] != event.price:
            self.prices.append(event.price)
            if len(self.prices) == 2:
                self.count += 1
                self.number = self.count
            if len(self.prices) > 1:
                yield self.said("open" if len(self.prices) == 2 else "update")

    def said(self, phase: str) -> Said:
        """A message of it."""
        assert self.now is not None
        return phase, self.number, self.prices[-1], self.volume, self.now[1]


def by_close(said: list[Message]) -> list[Message]:
    """Messages with the closes of one moment, which come in no order, in the order of their numbers."""
    out: list[Message] = []
    for message in said:
        out.append(message)
        k = len(out) - 1
        while message[0] == "close" and k and out[k - 1][0] == "close" and out[k - 1][1] > out[k][1]:
            out[k - 1], out[k] = out[k], out[k - 1]
            k -= 1
    return out
