"""RowRing: where a decoder writes EVENT rows, in buffers that stay valid for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.market.events import EVENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from depthscope.market.events import Events

COLUMNS: Final = EVENT.itemsize // 8


def _as_rows(events: Events) -> npt.NDArray[np.int64]:
    return events.view(np.int64).reshape(-1, COLUMNS)


class RowRing:
    """Four EVENT buffers in turn, seen as int64 rows while they are written.

    What :meth:`take` returns is overwritten only after three more buffers were taken, as
    `Source.chunks` promises.

    Parameters
    ----------
    capacity : int
        Rows a buffer holds at first; it doubles where one message needs more.

    Attributes
    ----------
    rows : int64[:, 8]
        The buffer being written.
    address : int
        Where that buffer begins in memory.
    n : int
        How many rows of it are events.
    """

    def __init__(self, capacity: int) -> None:
        self._events = [np.zeros(capacity, EVENT) for _ in range(4)]
        self._buffers = [_as_rows(events) for events in self._events]
        self._addresses = [rows.ctypes.data for rows in self._buffers]
        self._turn = 0
        self.rows = self._buffers[0]
        self.address = self._addresses[0]
        self.n = 0

    def grow(self) -> None:
        """Double the buffer being written, keeping its rows."""
        old = self.rows
        self._events[self._turn] = np.zeros(2 * len(old), EVENT)
        self.rows = self._buffers[self._turn] = _as_rows(self._events[self._turn])
        self.address = self._addresses[self._turn] = self.rows.ctypes.data
        self.rows[: self.n] = old[: self.n]

    def append(self, rows: npt.NDArray[np.int64]) -> None:
        """Copy `rows` behind what is written."""
        end = self.n + len(rows)
        while end > len(self.rows):
            self.grow()
        self.rows[self.n : end] = rows
        self.n = end

    def take(self) -> Events:
        """Return the events written since the last call and start the next buffer."""
        events = self._events[self._turn][: self.n]
        self._turn = (self._turn + 1) % len(self._buffers)
        self.rows = self._buffers[self._turn]
        self.address = self._addresses[self._turn]
        self.n = 0
        return events

    def chunks(self, size: int) -> Iterator[Events]:
        """Take what is written as arrays of at most `size` events."""
        if self.n:
            events = self.take()
            for start in range(0, len(events), size):
                yield events[start : start + size]
