"""What a detector of events may see of one instrument, event by event, from the slow engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.market.layouts import LIVE
from tests.reference.book import Event
from tests.reference.engine import Desk, SlowEngine

Best = tuple[int, int]  # price, size


class Sight(NamedTuple):
    """An event at the time of its group, with the best prices it may know.

    Those after the group with its last event, those before it with the others.
    """

    ts: int
    event: Event
    last: bool
    ofi: int  # of the group, with its last event
    bid: Best | None
    ask: Best | None
    live: bool
    trade: bool  # a trade the engine accepts

    @property
    def quoted(self) -> bool:
        """Whether both sides are there, in order, and the book is LIVE."""
        return self.live and self.bid is not None and self.ask is not None and self.bid[0] <= self.ask[0]

    @property
    def middle(self) -> int:
        """Bid + ask of a quoted sight."""
        assert self.bid is not None
        assert self.ask is not None
        return self.bid[0] + self.ask[0]


def tops(desk: Desk) -> tuple[Best | None, Best | None]:
    """Best prices of a desk as they are."""
    bid, ask = ((side[0][0], side[0][1]) if side else None for side in desk.top)
    return bid, ask


def sights(
    resolve: Callable[[int, int], Instrument], events: Iterable[Event]
) -> dict[str, tuple[Instrument, list[Sight]]]:
    """Everything there is to see, by symbol."""
    seen: dict[str, tuple[Instrument, list[Sight]]] = {}
    before: dict[str, tuple[Best | None, Best | None, bool]] = {}

    def of_group(desk: Desk, group: list[Event]) -> Iterator[Sight]:
        after, past = (*tops(desk), desk.state == LIVE), desk.history[-1]
        old = before.get(desk.instrument.symbol, (None, None, False))
        before[desk.instrument.symbol] = after
        for k, event in enumerate(group):
            last = k == len(group) - 1
            trade = event.action == ev.TRADE and bool(past.trades) and desk.book.counts(event)
            ofi = past.ofi if last else 0
            yield Sight(desk.ts, event, last, ofi, *(after if last else old), trade)

    def on_group(desk: Desk, group: list[Event]) -> None:
        _, mine = seen.setdefault(desk.instrument.symbol, (desk.instrument, []))
        mine += of_group(desk, group)

    SlowEngine(resolve, 10**18, on_group=on_group).feed(events)
    return seen
