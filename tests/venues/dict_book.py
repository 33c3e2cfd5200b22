"""The plainest book there is: two dicts of price -> size, fed with events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depthscope.market import events as ev
from depthscope.market.source import Source


class DictBook:
    """One L2 book. `state` is what the events alone allow to say about it."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.state = "SYNCING"

    def apply(self, event: dict[str, int]) -> None:
        action = event["action"]
        if action == ev.CLEAR:
            self.bids.clear()
            self.asks.clear()
            self.state = "LIVE"
        elif action == ev.LOST:
            self.state = "STALE"
        elif action == ev.LEVEL:
            side = self.bids if event["side"] == ev.BID else self.asks
            if event["size"]:
                side[event["price"]] = event["size"]
            else:
                side.pop(event["price"], None)

    def best(self) -> tuple[int, int, int, int]:
        """Bid, its size, ask, its size."""
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def as_dicts(events: ev.Events) -> list[dict[str, int]]:
    """Events as dicts of plain integers."""
    names = ev.EVENT.names
    return [dict(zip(names, row, strict=True)) for row in events.tolist()]


def groups(events: Iterable[dict[str, int]]) -> Iterator[list[dict[str, int]]]:
    """Events up to each LAST, by instrument; what is left open at the end is an error."""
    open_groups: dict[int, list[dict[str, int]]] = {}
    for event in events:
        group = open_groups.setdefault(event["instrument_id"], [])
        group.append(event)
        if event["flags"] & ev.LAST:
            yield open_groups.pop(event["instrument_id"])
    assert not open_groups


def all_events(source: Source) -> list[dict[str, int]]:
    """Every event of a source."""
    return [event for chunk in source.chunks() for event in as_dicts(chunk)]
