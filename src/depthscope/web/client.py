"""Client: one page's queue. Slow pages are paused and caught up; they never slow the feed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depthscope.web.encoder import Frame, Key

__all__ = ["MAX_BEHIND", "Client"]

MAX_BEHIND: Final = 60  # ticks sent but not acknowledged: kernel buffers hide a slow reader, acks do not
SILENT_SECONDS: Final = 120.0
_RATE: Final = 40.0  # commands a second, with a burst of twice that
_MAX_CONTROL: Final = 128


class Client:
    """What waits to be sent to one page, and how far that page has come.

    Frames and control messages go out in order. `info` and `session` have one slot each, the
    newest wins. Everything runs in the event loop's thread; only :meth:`next_item` and
    :meth:`told_to_close` wait.

    Parameters
    ----------
    seq : int
        Tick number at which the client came.
    now : float
        Monotonic seconds.

    Attributes
    ----------
    key : tuple of int or None
        Symbol and resolution followed.
    filling : bool
        A fill is being encoded; ticks wait for it.
    stalled : bool
        Too far behind: nothing is queued until the next acknowledgement.
    dropped, resyncs : int
        Ticks not sent to it, and times it was caught up.
    """

    def __init__(self, seq: int, now: float) -> None:
        self.key: Key | None = None
        self.cols = 2048
        self.filling = False
        self.stalled = False
        self.acked = seq
        self.generation = 0  # of fills: an older one arriving late is not used
        self._unheard: float | None = None  # since when ticks wait for an acknowledgement
        self.dropped = self.resyncs = 0
        self.closing: tuple[int, str] | None = None
        self._queue: deque[tuple[bool, str | bytes]] = deque()  # (is a frame that may be replaced, payload)
        self._waiting: list[tuple[int, list[Frame]]] = []
        self._slots: dict[str, str | bytes] = {}
        self._event = asyncio.Event()
        self._closing = asyncio.Event()
        self._tokens, self._token_time = 2 * _RATE, now

    # -- in -----------------------------------------------------------------------------------

    def allow(self, now: float) -> bool:
        """Whether another command is within the rate."""
        self._tokens = min(2 * _RATE, self._tokens + (now - self._token_time) * _RATE)
        self._token_time = now
        self._tokens -= 1
        return self._tokens >= 0

    def ack(self, seq: int, sent: int) -> bool:
        """Take an acknowledgement of tick `seq` (`sent` at most); whether the client must be caught up."""
        self.acked = max(self.acked, min(seq, sent))
        self._unheard = None
        return self.stalled and not self.filling

    def begin_fill(self) -> int:
        """Ticks wait from now on: a fill is on its way. Returns its generation."""
        self.filling = True
        self.generation += 1
        self._waiting.clear()
        self._drop_frames()
        return self.generation

    def end_fill(self, frames: Sequence[bytes], seq: int, now: float) -> None:
        """Queue a fill encoded at tick `seq`, then the ticks after it."""
        self.filling = self.stalled = False
        self.acked = seq
        self._queue.extend((False, f) for f in frames)
        for later, ticks in self._waiting:
            if later > seq:
                self.push(ticks, later, now)
        self._waiting.clear()
        self._event.set()

    # -- out ----------------------------------------------------------------------------------

    def push(self, frames: list[Frame], seq: int, now: float) -> None:
        """Queue a tick's frames, or drop them when the client is too far behind."""
        if self.filling:
            self._waiting.append((seq, frames))
            return
        if self._unheard is None:
            self._unheard = now
        if self.stalled or seq - self.acked > MAX_BEHIND:
            if not self.stalled:
                self.stalled = True
                self._drop_frames()
            self.dropped += 1
            return
        for keep, data in frames:
            if self._queue and self._queue[-1][0]:  # an open column not yet sent: the newer one says more
                self._queue.pop()
            self._queue.append((not keep, data))
        self._event.set()

    def control(self, text: str) -> None:
        """Queue a message that must arrive; a client that lets them pile up is closed."""
        if sum(1 for _, item in self._queue if isinstance(item, str)) >= _MAX_CONTROL:
            self.close(4408, "messages pile up unread")
            return
        self._queue.append((False, text))
        self._event.set()

    def latest(self, slot: str, payload: str | bytes) -> None:
        """Replace the message waiting in a slot."""
        self._slots[slot] = payload
        self._event.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what is being sent."""
        if self.closing is None:
            self.closing = (code, reason)
        self._event.set()
        self._closing.set()

    async def told_to_close(self) -> None:
        """Wait for :meth:`close`."""
        await self._closing.wait()

    def silent(self, now: float) -> bool:
        """Whether ticks went unacknowledged for two minutes."""
        return self._unheard is not None and now - self._unheard > SILENT_SECONDS

    def _drop_frames(self) -> None:
        kept = [item for item in self._queue if isinstance(item[1], str)]
        self._queue.clear()
        self._queue.extend(kept)

    async def next_item(self) -> str | bytes | None:
        """Next payload to send; None when the connection is to be closed."""
        while True:
            if self.closing is not None:
                return None
            if self._queue:
                return self._queue.popleft()[1]
            for slot in list(self._slots):
                return self._slots.pop(slot)
            self._event.clear()
            await self._event.wait()
