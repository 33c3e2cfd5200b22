"""KeySet: which instruments an event stream has shown so far, at a few nanoseconds an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.jit import kernel
from depthscope.market.events import LAST, NO_SIDE, UNDEF_PRICE, empty_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depthscope.market.events import Events
    from depthscope.market.source import Key

__all__ = ["KeySet", "mark"]

FIRST_CAPACITY: Final = 1_024
_GOLD = np.uint64(0x9E3779B97F4A7C15)
_U1 = np.uint64(1)
_U16 = np.uint64(16)
_U32 = np.uint64(32)
_LOW16 = np.uint64(0xFFFF)
_LOW32 = np.uint64(0xFFFF_FFFF)


@kernel("int64(uint64[:, ::1], int64, uint64[::1], uint64[::1])")
def add_keys(rows: Any, start: np.int64, table: Any, count: Any) -> Any:
    """Enter the keys of EVENT rows from `start` on; returns the row that found the table full."""
    mask = np.uint64(table.shape[0] - 1)
    before = np.uint64(0)
    for i in range(start, rows.shape[0]):
        # Publisher above, instrument below, plus one: 0 marks an empty place.
        key = ((rows[i, 7] & _LOW16) << _U32 | (rows[i, 6] & _LOW32)) + _U1
        if key == before:
            continue
        before = key
        at = ((key * _GOLD) >> _U16) & mask
        while table[at] != 0 and table[at] != key:
            at = (at + _U1) & mask
        if table[at] == key:
            continue
        if 2 * (count[0] + _U1) > table.shape[0]:
            return i
        table[at] = key
        count[0] += _U1
    return np.int64(rows.shape[0])


def mark(action: int, keys: Sequence[Key], now: int) -> Events:
    """One event for each key, each a group of its own, at a time between two records.

    Parameters
    ----------
    action : int
        CLEAR for books that begin anew, LOST for books that missed something.
    keys : sequence of (publisher, instrument_id)
        Whose.
    now : int
        Venue and receive time, UTC nanoseconds.
    """
    events = empty_events(len(keys))
    events["ts_event"] = events["ts_recv"] = now
    if keys:
        events["publisher"], events["instrument_id"] = np.array(keys, np.int64).T
    events["price"] = UNDEF_PRICE
    events["action"], events["side"], events["flags"] = action, NO_SIDE, LAST
    return events


class KeySet:
    """The (publisher, instrument) keys met so far, in order of appearance."""

    def __init__(self) -> None:
        self._table = np.zeros(FIRST_CAPACITY, np.uint64)
        self._count = np.zeros(1, np.uint64)
        self._order: dict[Key, None] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def add(self, events: Events) -> list[Key]:
        """Enter the keys of a chunk.

        Parameters
        ----------
        events : Events
            Contiguous EVENT array.

        Returns
        -------
        list of (publisher, instrument_id)
            Those never met before, in order of first appearance in the chunk.
        """
        rows = events.view(np.uint64).reshape(len(events), 8)
        start = 0
        known = len(self._order)
        before = int(self._count[0])
        while (start := int(add_keys(rows, start, self._table, self._count))) < len(events):
            self._grow()
        if int(self._count[0]) != before:
            self._enter(events)
        return list(self._order)[known:]

    def _enter(self, events: Events) -> None:
        both = events["publisher"].astype(np.uint64) << _U32 | events["instrument_id"]
        keys, first = np.unique(both, return_index=True)
        for key in keys[np.argsort(first)].tolist():
            self._order.setdefault((key >> 32, key & 0xFFFF_FFFF))

    def _grow(self) -> None:
        old = self._table[self._table != 0]
        self._table = np.zeros(2 * len(self._table), np.uint64)
        mask = len(self._table) - 1
        for key in old.tolist():
            at = (key * int(_GOLD) & 2**64 - 1) >> 16 & mask
            while self._table[at]:
                at = at + 1 & mask
            self._table[at] = key
