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


class _Buffer:
    """One EVENT buffer of a ring.

    Attributes
    ----------
    events, rows : EVENT[capacity], int64[capacity, 8]
        The same memory.
    place : int
        Address of three int64: where the rows begin, how many they are, and the ring's `context`.
    after : _Buffer
        The one that is written next.
    """

    __slots__ = ("_told", "after", "context", "events", "place", "rows")

    def __init__(self, capacity: int, context: int) -> None:
        self.context = context
        self.after = self
        self.renew(capacity)

    def renew(self, capacity: int) -> None:
        """Take new memory; what was returned of the old one stays."""
        self.events = np.zeros(capacity, EVENT)
        self.rows = _as_rows(self.events)
        self._told = np.array([self.rows.ctypes.data, capacity, self.context], np.int64)
        self.place: int = self._told.ctypes.data


class RowRing:
    """Four EVENT buffers in turn, seen as int64 rows while they are written.

    What :meth:`take` returns is overwritten only after three more buffers were taken, as
    `Source.chunks` promises.

    Parameters
    ----------
    capacity : int
        Rows a buffer holds at first; it doubles where one message needs more.
    context : int
        An address for compiled code that is given a buffer's `place`.

    Attributes
    ----------
    buffer : _Buffer
        The buffer being written.
    n : int
        How many rows of it are events.
    """

    def __init__(self, capacity: int, context: int = 0) -> None:
        self.buffer = last = _Buffer(capacity, context)
        for _ in range(3):  # linked, so that the next one is one attribute away
            last.after = _Buffer(capacity, context)
            last = last.after
        last.after = self.buffer
        self.n = 0

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The buffer being written, int64[:, 8]."""
        return self.buffer.rows

    def grow(self) -> None:
        """Double the buffer being written, keeping its rows."""
        old = self.buffer.rows
        self.buffer.renew(2 * len(old))
        self.buffer.rows[: self.n] = old[: self.n]

    def append(self, rows: npt.NDArray[np.int64]) -> None:
        """Copy `rows` behind what is written."""
        end = self.n + len(rows)
        while end > len(self.rows):
            self.grow()
        self.rows[self.n : end] = rows
        self.n = end

    def take(self) -> Events:
        """Return the events written since the last call and start the next buffer."""
        buffer = self.buffer
        events = buffer.events[: self.n]
        self.buffer = buffer.after
        self.n = 0
        return events

    def chunks(self, size: int) -> Iterator[Events]:
        """Take what is written as arrays of at most `size` events."""
        if self.n:
            events = self.take()
            for start in range(0, len(events), size):
                yield events[start : start + size]
