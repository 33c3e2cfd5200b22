"""LiveFeed: a venue's feed in a thread of its own. What comes is recorded, decoded, and waits to be taken.

The thread does no more than that: who takes the events runs the engine, in a thread of its own,
at a pace of its own. A taker that falls behind is waited for by not reading the sockets, which
shows as silence and, if it lasts, as a gap: nothing is dropped without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from depthscope import jit
from depthscope.errors import DepthscopeError, FeedFailed, UnknownName
from depthscope.market.events import empty_events
from depthscope.market.inputs import Input, Kind
from depthscope.market.source import instrument_of
from depthscope.runtime.clock import SystemClock
from depthscope.runtime.compiling import compile_all
from depthscope.runtime.machines import feed_for
from depthscope.storage.capture import CaptureWriter
from depthscope.storage.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from depthscope.config import Settings
    from depthscope.errors import RecordingFailed
    from depthscope.market.events import Events
    from depthscope.market.inputs import Notice
    from depthscope.market.instruments import Instrument

__all__ = ["LiveFeed"]

MOST_BYTES: Final = 256 << 20  # of events that wait to be taken
SEGMENT_SECONDS: Final = 3_600.0
KEPT: Final = 1_000  # notices
UNLISTED: Final = "quarantined: the venue does not list"  # how a machine says that of a symbol
PATIENCE: Final = 10.0  # seconds the thread may take to end


class LiveFeed:
    """One live session's inputs, from the sockets to events.

    Parameters
    ----------
    venue : str
        One of `depthscope.runtime.machines.MACHINES`.
    symbols : sequence of str
        What to follow; empty for what the settings name.
    settings : Settings
        Addresses and the rest.
    record : Path, optional
        Folder of the capture log; without it nothing is written.
    on_notice : callable, optional
        Called with each notice, in the feed's thread.
    segment_seconds : float
        Length of a segment of the capture log; each can be read without those before it.
    most_bytes : int
        Of events that may wait to be taken before the sockets are left alone.

    Raises
    ------
    UnknownName, ConfigError
        When the venue or the settings cannot be used.
    OutputError
        When nothing can be recorded there.
    """

    def __init__(
        self,
        venue: str,
        symbols: Sequence[str],
        *,
        settings: Settings,
        record: Path | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        segment_seconds: float = SEGMENT_SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.venue = venue
        self.clock = SystemClock()
        self.feed, self.machine, self.symbols = feed_for(
            venue, symbols, settings, self._sink, self.clock, random.random
        )
        self.recorder = (
            None
            if record is None
            else CaptureWriter(
                record,
                segment_seconds=segment_seconds,
                opening=self._opening,
                on_failure=self._not_recorded,
            )
        )
        self.notices: deque[Notice] = deque(maxlen=KEPT)
        self.on_notice = on_notice
        self._most_bytes = most_bytes
        self._listed = set(self.symbols)  # those the venue has not said it does not list
        self._middle: list[Input] = []  # what lets a reader begin here
        self._due = False  # whether events will be handed over without more ado
        self._begun = False  # a segment other than the first has begun
        self._held: list[Events] = []
        self._bytes = 0
        self._change = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="depthscope-feed", daemon=True)
        self._ended = self._stopping = False
        self._over = threading.Event()  # the feed has given its last input
        self._lost = 0  # inputs not recorded, as far as they have been made up for
        self._failure: BaseException | None = None

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, in the thread; what decodes is compiled first."""
        compile_all(jit.pending())
        self._thread.start()

    def stop(self, timeout: float = PATIENCE) -> None:
        """Close every connection, write what is to be recorded, and wait for the thread. Does no harm twice.

        Raises
        ------
        RecordingFailed
            When not everything could be made durable.
        FeedFailed
            When the thread does not end in time.
        """
        self._stopping = True
        self._soon(self.feed.stop)
        self._soon(self.feed.room.set)
        ended = self._thread.ident is None or self._over.wait(timeout)
        if self.recorder is not None:
            self.recorder.close()
        if not ended:
            raise FeedFailed(f"The feed of {self.venue} has not ended within {timeout:g} s.")

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

    @property
    def instruments(self) -> Mapping[tuple[int, int], Instrument]:
        """Instruments met so far, by (publisher, instrument id)."""
        return self.machine.instruments

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When no event had that key.
        """
        return instrument_of(self.instruments, publisher, instrument_id, self.venue)

    def _run(self) -> None:
        try:
            asyncio.run(self._feeding())
        except BaseException as error:  # noqa: BLE001 - raised where the events are taken
            self._failure = error
        finally:
            self._over.set()
            with self._change:
                self._ended = True
                self._change.notify_all()

    async def _feeding(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            self.feed.stop()
        try:
            await self.feed.run()
        finally:  # nothing more comes; a look-up of a name may keep the loop itself much longer
            self._flush()
            self._over.set()

    # -- in the thread ------------------------------------------------------------------------

    def _sink(self, received: Input) -> None:
        received = redacted(received)
        if self.recorder is not None:
            self.recorder.append(received)
        machine = self.machine
        machine.step(received)
        if received.kind != Kind.WS and self.recorder is not None:
            self._middle = machine.opening(received.ts_recv)
        if self._begun:
            self._begun = False
            self.tell("refresh", "a new segment of the recording begins")
        recorder = self.recorder
        if recorder is not None and recorder.lost != self._lost and self._records(recorder):
            self._lost = recorder.lost
            self.tell("refresh", "inputs are missing in the recording")
        if not self._due and self._loop is not None:
            self._due = True
            self._loop.call_soon(self._flush)  # once for all that has come by then
        if machine.notices:
            for notice in machine.take_notices():
                self.notices.append(notice)
                if notice.about == "book" and notice.reason.startswith(UNLISTED):
                    self._listed.discard(notice.subject)
                if self.on_notice is not None:
                    self.on_notice(notice)

    def _flush(self) -> None:
        """Hand over the events made since the last time."""
        self._due = False
        events = self.machine.take()
        if len(events):
            self._hold(events.copy())

    def _records(self, recorder: CaptureWriter) -> bool:
        """Whether what is fetched now can be recorded."""
        return recorder.failure is None and recorder.waiting < recorder.most_waiting // 2

    def _hold(self, events: Events) -> None:
        with self._change:
            first = not self._held
            self._held.append(events)
            self._bytes += events.nbytes
            if self._bytes > self._most_bytes:
                self.feed.room.clear()
            if first:
                self._change.notify_all()

    def _opening(self) -> list[Input]:
        """What a segment begins with besides settings (called by whoever has it begun)."""
        self._begun = True
        return self._middle

    def _not_recorded(self, failure: RecordingFailed) -> None:
        """Have the session told that recording ended (called by a thread of the recorder)."""
        self.tell("recording", str(failure))

    # -- from other threads -------------------------------------------------------------------

    def _soon(self, do: Callable[..., object], *arguments: object) -> None:
        """Have something done in the feed's thread, if that still runs."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended: nobody is there any more
                self._loop.call_soon_threadsafe(do, *arguments)

    def tell(self, event: str, reason: str) -> None:
        """Tell the session something: it becomes a STATUS input (see the venue's machine)."""
        self._soon(self.feed.give, Kind.STATUS, msgspec.json.encode({"event": event, "reason": reason}))

    def take(self, timeout: float = 0.0) -> Events:
        """Events since the last call; waits up to `timeout` seconds for some.

        Raises
        ------
        FeedFailed
            When the feed has ended by itself.
        UnknownName
            When the venue lists none of the symbols.
        DepthscopeError
            What ended it, where that is one of ours.
        """
        with self._change:
            if not self._held and not self._ended and timeout > 0:
                self._change.wait(timeout)
            held, self._held = self._held, []
            full, self._bytes = self._bytes > self._most_bytes // 2, 0
        if full:
            self._soon(self.feed.room.set)
        if not self._listed:
            raise UnknownName(
                f"{self.venue} lists no {', '.join(self.symbols)}. Correct it; symbols look like BTCUSDT."
            )
        if held:
            return np.concatenate(held) if len(held) > 1 else held[0]
        failure = self._failure
        if isinstance(failure, DepthscopeError):
            raise failure
        if failure is not None:
            raise FeedFailed(
                f"The feed of {self.venue} broke off: {type(failure).__name__}: {failure}"
            ) from failure
        return empty_events(0)

    def health(self, timeout: float = 2.0) -> dict[str, Any]:
        """Figures of the machine (see its `health`); empty when its thread does not answer in time."""
        loop = self._loop
        if loop is None or self._ended:
            return {}

        async def ask() -> dict[str, Any]:
            return self.machine.health(self.clock.receive_time())

        try:
            return asyncio.run_coroutine_threadsafe(ask(), loop).result(timeout)
        except (TimeoutError, RuntimeError, CancelledError):
            return {}
