"""An order-by-order recording as a feed of levels would tell it: what a detector loses with the order ids."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.market.source import SourceInfo
from depthscope.research.queue_book import QueueBook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key
    from depthscope.research.recording import Recording

__all__ = ["AsLevels", "as_levels"]


@dataclass(frozen=True, slots=True)
class AsLevels:
    """A Source of levels and trades.

    Attributes
    ----------
    info : SourceInfo
    instrument : Instrument
    key : tuple of int
    events : structured array of EVENT
    """

    info: SourceInfo
    instrument: Instrument
    key: Key
    events: Events

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """The one instrument."""
        return {self.key: self.instrument}

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the one instrument."""
        return self.instruments[publisher, instrument_id]

    def chunks(self) -> Iterator[Events]:
        """Yield the stream."""
        yield self.events


def as_levels(recording: Recording) -> AsLevels:
    """Tell a recording of orders by levels.

    Trades come first, one by one, then in one group the new sizes of the levels their group changed, as
    feeds of levels tell them. Times stay, order ids and fills are gone.
    """
    clean, before = recording.events, recording.before.tolist()
    book = QueueBook(recording)
    rows: list[Any] = []
    shown: dict[tuple[int, int], int] = {}
    first = 0
    for end in recording.ends.tolist():
        touched: dict[tuple[int, int], None] = {}
        group = clean[first : end + 1]
        for k, row in enumerate(group):
            action = int(row["action"])
            if action in (ev.ADD, ev.CANCEL, ev.MODIFY):
                sides = (int(row["side"]),) if row["side"] in (ev.BID, ev.ASK) else (ev.BID, ev.ASK)
                for price in (before[first + k], int(row["price"])):
                    touched.update({(s, price): None for s in sides if price != ev.UNDEF_PRICE})
            elif action not in (ev.FILL, ev.QUOTE):
                told = row.copy()
                told["order_id"], told["flags"] = 0, int(row["flags"]) | ev.LAST
                rows.append(told)
                if action == ev.CLEAR:
                    shown.clear()
        book.advance(end + 1)
        changed = []
        for side, price in touched:
            size = book.size(side, price)
            if size != shown.get((side, price), 0):
                shown[side, price] = size
                told = group[-1].copy()
                told["action"], told["side"], told["order_id"] = ev.LEVEL, side, 0
                told["price"], told["size"] = price, size
                told["flags"] = int(told["flags"]) & ~ev.LAST
                changed.append(told)
        if changed:
            changed[-1]["flags"] = int(changed[-1]["flags"]) | ev.LAST
            rows += changed
        first = end + 1
    instrument = replace(
        recording.instrument, capabilities=Capability.L2 | Capability.AGGRESSOR | Capability.TRADES
    )
    info = recording.source.info
    key = int(clean[0]["publisher"]), int(clean[0]["instrument_id"])
    return AsLevels(SourceInfo(info.path, info.format), instrument, key, np.array(rows, ev.EVENT))
