"""Local book of Binance USD-M futures: when a depth update may be applied, and when not.

The venue's rule ("How to manage a local order book correctly", USD-M futures):

1. buffer the difference stream, 2. fetch a snapshot, 3. drop updates with ``u < lastUpdateId``,
4. the first applied one has ``U <= lastUpdateId <= u``, 5. every later one has ``pu`` equal to the
   ``u`` before it, otherwise start again, 6. sizes are absolute.

An update whose ``pu`` *is* the snapshot's ``lastUpdateId`` is also taken as the first: by the
meaning of ``pu`` in step 5 nothing lies between the two. Spot's rule (``lastUpdateId + 1``) is not
used: futures ids jump.

A snapshot is applied at once unless a buffered update proves it too old. While a book is LIVE a
newer snapshot is kept aside: after a reconnect it may stand in the recording before the update
that reveals the gap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from depthscope.market.events import CLEAR, LAST, LOST, NO_SIDE, NONE, SNAPSHOT, UNDEF_PRICE
from depthscope.venues import binance_layout as b

if TYPE_CHECKING:
    from depthscope.venues.binance_json import Rows
    from depthscope.venues.rows import RowRing

UNUSED: Final = "depth update without a snapshot that fits"
MOST_AHEAD: Final = 4_096  # updates of one connection that wait for another one's
MOST_BUFFERED: Final = 262_144  # rows and updates (16 MiB) a symbol holds while it waits for a snapshot


@dataclass(frozen=True, slots=True)
class Request:
    """What the decoder needs from its feed.

    Parameters
    ----------
    kind : {"snapshot", "instrument"}
        A new REST snapshot, or a tick and lot.
    symbol : str
        Of what.
    reason : str
        Why.
    """

    kind: Literal["snapshot", "instrument"]
    symbol: str
    reason: str


@dataclass(slots=True)
class Update:
    """One depth update; `rows` are its levels, none where it has none."""

    first: int
    final: int
    previous: int
    ts_event: int
    rows: Rows


@dataclass(slots=True)
class Snapshot:
    """One REST snapshot."""

    last_id: int
    ts_event: int
    rows: Rows


@dataclass(slots=True)
class BookSync:
    """Sync state of one symbol; id, state and time live in its row of the scanner's table.

    Parameters
    ----------
    state : int64[SYMBOL_COLUMNS]
        The symbol's row, shared with the scanner.
    publisher : int
        Publisher written into the events.
    skipped : dict of str to int
        Where messages that are not used are counted, by reason.
    pending : deque of Update
        What came since the last gap while no snapshot fits; `buffered` is its size.
    held : Snapshot, optional
        A snapshot newer than a LIVE book.
    asked : bool
        Whether a snapshot was asked for and has not come.
    joined : bool
        Whether two connections carry the symbol just now (a hand-over). An update is then taken
        from whichever brings it first: sizes are absolute, so one that begins at or before the
        book's id and ends after it leaves exactly the book of its end.
    ahead : list of Update
        Updates of the faster connection that follow one which is still on its way, in order.
    """

    state: Rows
    publisher: int
    skipped: dict[str, int]
    pending: deque[Update] = field(default_factory=deque)
    held: Snapshot | None = None
    asked: bool = False
    buffered: int = 0
    joined: bool = False
    ahead: list[Update] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether updates are being applied."""
        return bool(self.state[b.S_STATE] == b.LIVE)

    def update(self, update: Update, ts_recv: int, out: RowRing) -> bool:
        """Take one depth update and write what it allows; True when it revealed a gap."""
        state = self.state
        if not self.live:
            self._buffer(update)
            return False
        last = int(state[b.S_LAST])
        if update.previous == last or (state[b.S_FRESH] and update.first <= last <= update.final):
            self._apply(update, ts_recv, out)
        elif state[b.S_FRESH] and update.final < last:
            self._skip("depth update older than its snapshot")
        elif self.joined and len(self.ahead) < MOST_AHEAD:
            self._beside(update, ts_recv, out)
        elif not state[b.S_FRESH] and update.final <= last and update.ts_event <= state[b.S_TIME]:
            self._skip("repeated or late depth update")
        else:
            self.lost(ts_recv, out, update.ts_event, update.final)
            self._buffer(update)
            if self.held is not None:
                self._start(self.held, ts_recv, out)
            return True
        return False

    def snapshot(self, snapshot: Snapshot, ts_recv: int, out: RowRing) -> bool:
        """Take a snapshot; True when it was written, with the buffered updates that follow it."""
        if not self.live:
            return self._start(snapshot, ts_recv, out)
        if snapshot.last_id <= self.state[b.S_LAST]:
            self._skip("snapshot not newer than the book")
            return False
        if self.state[b.S_FRESH]:  # nothing followed the last one, so this one simply replaces it
            return self._start(snapshot, ts_recv, out)
        if self.held is None:
            self._skip("snapshot not needed")
        self.held = snapshot
        return False

    def lost(self, ts_recv: int, out: RowRing, ts_event: int, sequence: int) -> None:
        """Write `X` if the book was LIVE and wait for a snapshot from here on."""
        if self.state[b.S_STATE] == b.LIVE:
            self.state[b.S_STATE] = b.SYNCING
            self.asked = False
            self.ahead = []
            self._single(LOST, LAST, ts_event, ts_recv, sequence, out)

    def _beside(self, update: Update, ts_recv: int, out: RowRing) -> None:
        """Take an update while two connections carry the symbol."""
        last = int(self.state[b.S_LAST])
        if update.final <= last:
            self._skip("repeated or late depth update")
        elif update.previous <= last:
            self._apply(update, ts_recv, out)
            self.catch_up(ts_recv, out)
        elif all(update.final != other.final for other in self.ahead):
            self.ahead.append(update)
            self.ahead.sort(key=lambda other: other.final)

    def catch_up(self, ts_recv: int, out: RowRing) -> None:
        """Apply what was ahead and follows by now."""
        while self.live and self.ahead and self.ahead[0].previous <= self.state[b.S_LAST]:
            update = self.ahead.pop(0)
            if update.final > self.state[b.S_LAST]:
                self._apply(update, ts_recv, out)

    def give_up(self, ts_recv: int, out: RowRing) -> bool:
        """Stop waiting for what was to come before the updates ahead; True when that is a gap."""
        ahead, self.ahead = self.ahead, []
        lost = bool(ahead) and self.live
        if lost:
            self.lost(ts_recv, out, ahead[0].ts_event, ahead[0].final)
            for update in ahead:
                self._buffer(update)
        return lost

    def _skip(self, reason: str, count: int = 1) -> None:
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def _buffer(self, update: Update) -> None:
        if self.pending:
            newest = self.pending[-1]
            if update.final <= newest.final and update.ts_event <= newest.ts_event:
                self._skip("repeated or late depth update")
                return
            if update.previous != newest.final:
                self.forget()  # no update before the gap can be used any more
        self.pending.append(update)
        self.buffered += len(update.rows) + 1
        while self.buffered > MOST_BUFFERED and len(self.pending) > 1:
            self.buffered -= len(self.pending.popleft().rows) + 1
            self._skip(UNUSED)

    def forget(self) -> None:
        """Drop the buffered updates."""
        self._skip(UNUSED, len(self.pending))
        self.pending.clear()
        self.buffered = 0

    def _start(self, snapshot: Snapshot, ts_recv: int, out: RowRing) -> bool:
        """Apply a snapshot and the buffered updates that follow it; False when it is too old."""
        self.held = None
        self.asked = False
        usable = [u for u in self.pending if u.final >= snapshot.last_id]
        if usable and not usable[0].first <= snapshot.last_id and usable[0].previous != snapshot.last_id:
            self._skip("snapshot older than the depth updates")
            return False
        self._skip("depth update older than its snapshot", len(self.pending) - len(usable))
        self.pending.clear()
        self.buffered = 0
        state = self.state
        state[b.S_STATE], state[b.S_LAST], state[b.S_TIME], state[b.S_FRESH] = (
            b.LIVE, snapshot.last_id, snapshot.ts_event, 1,
        )  # fmt: skip
        flags = SNAPSHOT if len(snapshot.rows) else SNAPSHOT | LAST
        self._single(CLEAR, flags, snapshot.ts_event, ts_recv, snapshot.last_id, out)
        self._group(snapshot.rows, snapshot.ts_event, ts_recv, snapshot.last_id, out)
        for update in usable:
            self._apply(update, ts_recv, out)
        return True

    def _apply(self, update: Update, ts_recv: int, out: RowRing) -> None:
        state = self.state
        state[b.S_LAST], state[b.S_TIME], state[b.S_FRESH] = update.final, update.ts_event, 0
        if len(update.rows):
            self._group(update.rows, update.ts_event, ts_recv, update.final, out)
        else:
            self._single(NONE, LAST, update.ts_event, ts_recv, update.final, out)

    def _group(self, rows: Rows, ts_event: int, ts_recv: int, sequence: int, out: RowRing) -> None:
        """Write level rows as one group, known at `ts_recv` whenever they were received."""
        start = out.n
        out.append(rows)
        written = out.rows[start : out.n]
        written[:, 0], written[:, 1], written[:, 5] = ts_event, ts_recv, sequence
        if len(written):
            written[-1, 7] |= b.LAST_BITS

    def _single(
        self, action: int, flags: int, ts_event: int, ts_recv: int, sequence: int, out: RowRing
    ) -> None:
        word7 = b.pack7(self.publisher, action, NO_SIDE, flags)
        row = (ts_event, ts_recv, 0, UNDEF_PRICE, 0, sequence, self.state[b.S_ID], word7)
        out.append(np.array([row], np.int64))
