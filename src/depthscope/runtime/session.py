"""Session: a market replayed against the wall clock, with pause, speed and seek.

The composition root of a replay: it owns a source, the engine fed from it and the market
clock. A :class:`~depthscope.runtime.status.Spectator` (the page's recorder) is told what was fed
and how far time has come; nothing flows back. The wall clock enters only through the arguments
of :meth:`Session.step`.

A session is not thread-safe: whoever drives it calls it from one thread. `status` and `symbols`
alone may be read from any.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import BookUnavailable, DepthscopeError, EmptyData
from depthscope.market.events import CLEAR, SNAPSHOT, empty_events
from depthscope.runtime.checkpoints import Checkpoint, Checkpoints, memory_of
from depthscope.runtime.pacer import COLUMN, SECOND, Meter, Pacer, checked_speed, grain_of
from depthscope.runtime.readahead import NEVER, Cursor
from depthscope.runtime.status import Mode, Spectator, State, Status
from depthscope.runtime.symbols import Symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from depthscope.book.view import OrderBook
    from depthscope.engine import Engine
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Source

__all__ = ["Session"]

_FINE_SPAN: Final = 180 * SECOND  # a seek lands with this much history at the finest step
_OPENING = "The session is still opening its source. Ask again in a moment."


class Session:
    """A replay (or the demo market) paced by the wall clock.

    Parameters
    ----------
    open_source : callable
        Opens the source from its beginning; called again to seek backward.
    mode : {"replay", "demo"}
        For labels only.
    speed : float
        0.1 to 1000, or ``inf`` for as fast as possible.
    start : int, optional
        Market time to open at (UTC ns); the beginning by default.
    end : int, optional
        End of the data where the caller knows it (UTC ns); otherwise found when reached.
    features : sequence of str, optional
        Features the engine computes; the page needs ``ofi`` and ``cvd`` among them. None takes all.
    paused : bool
        Wait at the beginning.
    max_idle : float
        Seconds of market time without any event that are skipped while playing.
    checkpoint_bytes : int
        Memory the checkpoints for backward seeks may take.
    epoch : int
        First epoch; a fresh process should not repeat an old one.

    Attributes
    ----------
    status : Status
        Replaced, never changed.
    symbols : Symbols
        Instruments and their ids.
    spectator : Spectator or None
        Set before :meth:`open`.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        mode: Mode = "replay",
        speed: float = 1.0,
        start: int | None = None,
        end: int | None = None,
        features: Sequence[str] | None = ("ofi", "cvd"),
        paused: bool = False,
        max_idle: float = 60.0,
        checkpoint_bytes: int = 128 << 20,
        epoch: int = 1,
    ) -> None:
        self.open_source = open_source
        self.status = Status(mode, epoch=epoch, speed=checked_speed(speed), end=end)
        self.symbols = Symbols()
        self.spectator: Spectator | None = None
        self._features = features
        self._open_at = start
        self._first_state: State = "paused" if paused else "playing"
        self._max_idle = int(max_idle * SECOND)
        self._engine: Engine | None = None
        self._source: Source | None = None
        self._cursor: Cursor | None = None
        self._resolved: dict[tuple[int, int], Instrument] = {}
        self._checkpoints = Checkpoints(checkpoint_bytes)
        self._clock = 0
        self._finished = False
        self._after_seek: State = "playing"
        self._pacer, self._meter = Pacer(), Meter()

    @property
    def engine(self) -> Engine:
        """The engine (BookUnavailable before :meth:`open`)."""
        if self._engine is None:
            raise BookUnavailable(_OPENING)
        return self._engine

    @property
    def source(self) -> Source:
        """The source being read (BookUnavailable before :meth:`open`)."""
        if self._source is None:
            raise BookUnavailable(_OPENING)
        return self._source

    @property
    def cursor(self) -> Cursor:
        """Where in the source the session reads (BookUnavailable before :meth:`open`)."""
        if self._cursor is None:
            raise BookUnavailable(_OPENING)
        return self._cursor

    @property
    def clock(self) -> int:
        """Market time up to which everything has been applied (UTC ns, exclusive)."""
        return self._clock

    def book(self, symbol: str) -> OrderBook:
        """Read-only view of a symbol's book.

        Raises
        ------
        UnknownName
            When no instrument of the source has that name.
        BookUnavailable
            When it has none yet.
        """
        self.symbols.find(symbol)
        if not any(i.symbol == symbol for i in self.engine.slots):
            raise BookUnavailable(f"{symbol} has had no event yet: there is no book to show.")
        return self.engine.book(symbol)

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)

    # -- opening ------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the source, compile what must be compiled and stand at the beginning.

        A failure is kept in `status` (state ``failed``, one paragraph): the page shows it.
        """
        try:
            self._set(state="connecting", warm=("opening the source", 0, 1))
            self._restart(0)
            self._engine = self._warm_engine()
            self._begin()
        except DepthscopeError as error:
            self._set(state="failed", error=str(error), warm=None)

    def _warm_engine(self) -> Engine:
        """Compile (or load) every kernel, telling how far it is, and make the engine."""
        self._set(state="warming", warm=("loading the compiler", 0, 1))
        from depthscope import jit  # numba: only once the page is being served
        from depthscope.engine import Engine
        from depthscope.features import registry

        todo = [*jit.pending(), *registry.pending(registry.select(self._features))]
        for done, (_, build) in enumerate(todo):
            self._set(warm=("preparing the engine", done, len(todo)))
            build()
        self._set(warm=("building the opening book", len(todo), len(todo)))
        return Engine(resolve=self.resolve, every="50ms", features=self._features, sparse=True)

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events, asking the source once.

        Raises
        ------
        UnknownInstrument
            When nothing names its tick.
        """
        key = (publisher, instrument_id)
        if key not in self._resolved:
            # A seek opens the source anew: ask whichever is being read, it knows what it has met.
            self._resolved[key] = self.source.resolve(publisher, instrument_id)
        return self._resolved[key]

    def _begin(self) -> None:
        """Apply the opening snapshot and put the clock at the first event after it."""
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
                self._apply(first)
            if first < len(rest):
                break
        self._clock = int(cursor.times[0]) // SECOND * SECOND
        self._register()
        if self.spectator is not None:
            self.spectator.begin(self, self._clock)
            self.spectator.advanced(self._clock)
        self._set(start=self._clock, ts=self._clock, warm=None, state=self._first_state)
        self._checkpoint(self._clock)
        if self._open_at is not None and self._open_at > self._clock:
            self.seek(self._open_at)

    def _restart(self, skip: int, last: int = 0) -> None:
        if self._cursor is not None:
            self._cursor.close()
        self._source = self.open_source()
        self._cursor = Cursor(self._source, skip, last)
        self._finished = False

    def _register(self) -> None:
        # Those that have had events: a file may name a hundred thousand others.
        if len(self.engine.slots) != len(self.symbols):
            self.symbols.register(self.engine.slots)

    def close(self) -> None:
        """Stop reading. The session cannot be used again."""
        if self._cursor is not None:
            self._cursor.close()

    # -- commands -----------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop the market clock."""
        self._after_seek = "paused"
        if self.status.state == "playing":
            self._set(state="paused", effective_speed=0.0, lag_ms=0.0, events_per_sec=0.0)

    def resume(self) -> None:
        """Let the market clock run again."""
        self._after_seek = "playing"
        if self.status.state == "paused":
            self._set(state="playing")
        self._repace()

    def set_speed(self, speed: float) -> None:
        """Set market seconds per wall second: 0.1 to 1000, or ``inf``.

        Raises
        ------
        ConfigError
            When it is outside that range.
        """
        self._set(speed=checked_speed(speed))
        self._repace()

    def seek(self, ts: int) -> None:
        """Go to market time `ts` (UTC ns), clamped to the data; a new epoch begins.

        Forward, everything between is processed; backward, from the last checkpoint before `ts`.
        :meth:`step` does the work, so a long seek never blocks.

        Raises
        ------
        BookUnavailable
            When the session has not opened or has failed.
        """
        state, start = self.status.state, self.status.start
        if start is None or state == "failed":
            raise BookUnavailable("There is nothing to seek in: the session has no data (yet).")
        if state != "seeking":
            self._after_seek = "paused" if state == "paused" else "playing"
        ts = max(start, min(ts, self.status.end or ts))
        if ts < self._clock:
            self._rewind(self._checkpoints.before(ts))
        self._repace()
        self._set(state="seeking", seek_to=ts, epoch=self.status.epoch + 1, ts=self._clock, lag_ms=0.0)

    def _rewind(self, checkpoint: Checkpoint) -> None:
        self._restart(checkpoint.index, checkpoint.clamp)
        self.engine.restore(checkpoint.engine)
        if self.spectator is not None:
            self.spectator.restore(checkpoint.spectator, checkpoint.ts)
        self._clock = checkpoint.ts

    def found_end(self, end: int) -> None:
        """Hear from a scan of the data where it ends (UTC ns)."""
        if self.status.end is None:
            self._set(end=end)

    def _repace(self) -> None:
        self._pacer.reset()
        self._meter.reset()

    # -- the tick -----------------------------------------------------------------------------

    def step(self, now: float, budget: float = 0.025) -> bool:
        """Bring the market up to wall time `now`, spending at most about `budget` seconds.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        budget : float
            Seconds after which the rest is left to the next step (and reported as lag).

        Returns
        -------
        bool
            Whether the market clock moved.
        """
        state = self.status.state
        if state not in ("playing", "seeking"):
            return False
        deadline = time.perf_counter() + budget
        before = self._clock
        try:
            if state == "seeking":
                self._step_seek(deadline)
            else:
                self._step_play(now, deadline)
        except DepthscopeError as error:
            # The reader has handed over all that was readable: what was built stays on view.
            self._set(state="ended", error=str(error), seek_to=None, end=self._clock)
        self._register()
        self._measure(now)
        return self._clock != before

    def _step_seek(self, deadline: float) -> None:
        target = self.status.seek_to
        while target is not None and self._clock < target and not self._finished:
            coarse = target - self._clock > _FINE_SPAN + SECOND
            stop = (target - _FINE_SPAN) // SECOND * SECOND if coarse else target
            if not self._run(stop, SECOND if coarse else COLUMN, deadline):
                return
        self._set(state="ended" if self._finished else self._after_seek, seek_to=None)
        self._repace()

    def _step_play(self, now: float, deadline: float) -> None:
        speed = self.status.speed
        if math.isinf(speed):
            self._run(NEVER, SECOND, deadline)
            return
        target = self._pacer.target(now, self._clock, speed)
        upcoming = self.cursor.next_time()
        if (
            upcoming is not None
            and upcoming != NEVER
            and upcoming - max(self._clock, target) > self._max_idle
        ):
            # Nothing to see for a while (a night, a halt): go to just before something happens.
            skip_to = upcoming // SECOND * SECOND - SECOND
            self._set(skipped_ms=self.status.skipped_ms + (skip_to - self._clock) / 1e6)
            self._advance(skip_to)
            self._pacer.reset()
            return
        self._run(target, grain_of(speed), deadline)
        if not self._finished:
            self._set(lag_ms=self._pacer.lag_ms(now, target, self._clock, speed))

    def _run(self, target: int, grain: int, deadline: float) -> bool:
        """Apply all before `target` in steps of `grain`; False when the budget or the data at hand ended."""
        while self._clock < target:
            upcoming = self.cursor.next_time(wait=0.005)
            if upcoming is None:
                return False
            if upcoming == NEVER:
                self._finish()
                return True
            if upcoming >= target:
                self._advance(target)
                return True
            held = upcoming // grain * grain
            if held > self._clock:
                self._advance(held)
            self._maybe_checkpoint(upcoming)
            if not self._feed(min(target, held + grain)) or time.perf_counter() >= deadline:
                return self._clock >= target
        return True

    def _feed(self, until: int) -> bool:
        """Apply every event before `until` and move the clock there; False when the reader is behind."""
        while True:
            upcoming = self.cursor.next_time(wait=0.005)
            if upcoming is None:
                return False
            if upcoming >= until:
                break
            self._apply(int(np.searchsorted(self.cursor.times, until, "left")))
        self._advance(until)
        return True

    def _apply(self, n: int) -> None:
        events, times = self.cursor.take(n)
        batch = self.engine.process(events)
        if self.spectator is not None and self.status.start is not None:
            self.spectator.fed(events, times, batch)

    def _advance(self, ts: int) -> None:
        self._clock = ts
        if self.spectator is not None:
            self.spectator.advanced(ts)

    def _finish(self) -> None:
        """End of data: flush the engine; everything shown from here on is history."""
        batch = self.engine.finish()
        end = (self.cursor.last // COLUMN + 1) * COLUMN
        if end > self._clock:
            self._advance(end)
        if self.spectator is not None:
            self.spectator.fed(empty_events(0), np.empty(0, np.int64), batch)
        self._finished = True
        self._set(
            state="ended",
            end=self._clock,
            effective_speed=0.0,
            events_per_sec=0.0,
            lag_ms=0.0,
            seek_to=None,
        )

    # -- bookkeeping --------------------------------------------------------------------------

    def _maybe_checkpoint(self, upcoming: int) -> None:
        """Take a checkpoint where a whole second passes with nothing half-applied around it."""
        second = upcoming // SECOND * SECOND
        if second >= self._clock and self._checkpoints.due(second):
            self._checkpoint(second)

    def _checkpoint(self, ts: int) -> None:
        engine = self.engine.snapshot()
        spectator = self.spectator.snapshot() if self.spectator is not None else None
        size = memory_of(engine) + memory_of(spectator)
        self._checkpoints.add(Checkpoint(ts, self.cursor.index, self.cursor.last, engine, spectator, size))

    def _measure(self, now: float) -> None:
        status, changes = self.status, dict[str, Any]()
        if status.start is not None and status.end is not None and status.end > status.start:
            done = (self._clock - status.start) / (status.end - status.start)
            changes["progress"] = min(1.0, max(0.0, done))
        elif self.source.info.bytes_total:
            changes["progress"] = min(1.0, self.source.info.bytes_read / self.source.info.bytes_total)
        if status.state in ("playing", "seeking"):
            rates = self._meter.read(now, self._clock, self.cursor.index)
            if rates is not None:
                changes["effective_speed"], changes["events_per_sec"] = rates
        self._set(ts=self._clock, events=self.cursor.index, **changes)
