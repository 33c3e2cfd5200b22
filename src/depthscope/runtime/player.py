"""Player: an engine, the place in its source, and the market clock between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from depthscope.errors import EmptyData
from depthscope.market.events import CLEAR, SNAPSHOT, empty_events
from depthscope.runtime.checkpoints import Checkpoint, Checkpoints, memory_of
from depthscope.runtime.pacer import COLUMN, SECOND
from depthscope.runtime.readahead import NEVER, Cursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.engine import Engine
    from depthscope.market.source import Source
    from depthscope.runtime.status import Spectator

__all__ = ["Player"]


class Player:
    """Applies events up to a market time, and goes back to an earlier one.

    Parameters
    ----------
    make_engine : callable
        Makes the engine, fed by this player alone.
    cursor : Cursor
        At the beginning of the source.
    open_source : callable
        Opens the source anew, to go back.
    checkpoint_bytes : int
        Memory for checkpoints. Where an engine is too large for it (thousands of instruments),
        going back means playing from the beginning.

    Attributes
    ----------
    clock : int
        Market time up to which everything has been applied (UTC ns, exclusive).
    finished : bool
        Whether the end of the data was reached.
    spectator : Spectator or None
        Told of everything once :meth:`begin` has run.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        cursor: Cursor,
        open_source: Callable[[], Source],
        checkpoint_bytes: int,
    ) -> None:
        self._make_engine = make_engine
        self.engine, self.cursor = make_engine(), cursor
        self.clock = 0
        self.finished = False
        self.spectator: Spectator | None = None
        self.checkpoints = Checkpoints(checkpoint_bytes)
        self._next_checkpoint = 0
        self._open_source = open_source

    def begin(self) -> int:
        """Apply the opening snapshot and put the clock at the first event after it; returns that time.

        Raises
        ------
        EmptyData
            When nothing follows the snapshot.
        """
        cursor = self.cursor
        while True:
            if cursor.next_time(wait=1.0) == NEVER:
                raise EmptyData(
                    "The source ended before its first book event after the snapshot: there is nothing "
                    "to play. `depthscope info` lists what it holds, `depthscope book` shows its book."
                )
            rest = cursor.rest
            opening = ((rest["flags"] & SNAPSHOT) != 0) | (rest["action"] == CLEAR)
            first = len(rest) if opening.all() else int(np.argmin(opening))
            if first:
                self.engine.process(cursor.take(first)[0])
            if first < len(rest):
                break
        self.clock = int(cursor.times[0]) // SECOND * SECOND
        return self.clock

    def run(self, target: int, grain: int, deadline: float) -> bool:
        """Apply all before `target`, telling the spectator every `grain` ns of market time.

        Returns
        -------
        bool
            Whether `target` (or the end) was reached; False when the budget or the data at hand ended.
        """
        while self.clock < target:
            upcoming = self.cursor.next_time(wait=0.005)
            if upcoming is None:
                return False
            if upcoming == NEVER:
                self._finish()
                return True
            if upcoming >= target:
                self.advance(target)
                return True
            held = upcoming // grain * grain
            if held > self.clock:
                self.advance(held)
            self._maybe_checkpoint(upcoming)
            if not self._feed(min(target, held + grain)) or time.perf_counter() >= deadline:
                return self.clock >= target
        return True

    def _feed(self, until: int) -> bool:
        """Apply every event before `until` and move the clock there; False when the reader is behind."""
        while True:
            upcoming = self.cursor.next_time(wait=0.005)
            if upcoming is None:
                return False
            if upcoming >= until:
                break
            events, times = self.cursor.take(int(np.searchsorted(self.cursor.times, until, "left")))
            batch = self.engine.process(events)
            if self.spectator is not None:
                self.spectator.fed(events, times, batch)
        self.advance(until)
        return True

    def advance(self, ts: int) -> None:
        """Move the clock over a stretch without events."""
        self.clock = ts
        if self.spectator is not None:
            self.spectator.advanced(ts)

    def _finish(self) -> None:
        """End of data: flush the engine; everything shown from here on is history."""
        batch = self.engine.finish()
        end = (self.cursor.last // COLUMN + 1) * COLUMN
        if end > self.clock:
            self.advance(end)
        if self.spectator is not None:
            self.spectator.fed(empty_events(0), np.empty(0, np.int64), batch)
        self.finished = True

    # -- going back ---------------------------------------------------------------------------

    def _maybe_checkpoint(self, upcoming: int) -> None:
        """Take a checkpoint where a whole second passes with nothing half-applied around it."""
        second = upcoming // SECOND * SECOND
        if second >= self.clock and second >= self._next_checkpoint and self.checkpoints.due(second):
            self._next_checkpoint = second + self.checkpoints.gap
            self.checkpoint(second)

    def checkpoint(self, ts: int) -> None:
        """Keep the present state as that of market time `ts`, a whole second.

        The first is kept in any case; a later one only when several of its size have room.
        """
        size = memory_of(self.engine)
        fits = self.checkpoints.room_for(size)
        if not fits and len(self.checkpoints):
            return
        engine = self.engine.snapshot() if fits else None
        spectator = self.spectator.snapshot() if self.spectator is not None else None
        size = (size if fits else 0) + memory_of(spectator)
        self.checkpoints.add(Checkpoint(ts, self.cursor.index, self.cursor.last, engine, spectator, size))

    def rewind(self, ts: int) -> Source:
        """Go back to the last checkpoint at or before `ts`; returns the source opened anew."""
        checkpoint = self.checkpoints.before(ts)
        self.cursor.close()
        source = self._open_source()
        if checkpoint.engine is None:
            self.engine, self.cursor = self._make_engine(), Cursor(source)
            self.begin()
        else:
            self.cursor = Cursor(source, checkpoint.index, checkpoint.clamp)
            self.engine.restore(checkpoint.engine)
        self.clock, self.finished = checkpoint.ts, False
        if self.spectator is not None:
            self.spectator.restore(checkpoint.spectator, checkpoint.ts)
        return source
