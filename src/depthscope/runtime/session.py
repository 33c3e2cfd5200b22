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
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import BookUnavailable, DepthscopeError
from depthscope.runtime.market import Market
from depthscope.runtime.pacer import COLUMN, SECOND, Meter, Pacer, checked_speed, grain_of
from depthscope.runtime.player import Player
from depthscope.runtime.readahead import NEVER, Cursor
from depthscope.runtime.status import Mode, State, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from depthscope.engine import Engine
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Source, SourceInfo
    from depthscope.signals.model import Model

__all__ = ["Session"]

# How a stretch is played: until so long before its end in steps of that much, then column by column.
Legs = tuple[tuple[int, int], ...]
_SEEK_LEGS: Final[Legs] = ((180 * SECOND, SECOND),)
# The first view must not wait. It shows a minute, in which a quarter of a second is a few pixels.
_HISTORY_LEGS: Final[Legs] = ((60 * SECOND, SECOND), (10 * SECOND, 5 * COLUMN))
_OPENING = "The session is still opening its source. Ask again in a moment."


class Session(Market):
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
    history : float
        Seconds of market time to have played before the first view.
    features : sequence of str, optional
        Features the engine computes; the page needs ``ofi`` and ``cvd`` among them. None takes all.
    model : Model, optional
        What signals are made with; without one there are none, and no detector runs.
    paused : bool
        Wait at the beginning.
    calendars : mapping of str to str
        Who follows another trading calendar than its own
        (see :func:`depthscope.market.sessions.calendar_of`).
    max_idle : float
        Seconds of market time without any event that are skipped while playing.
    checkpoint_bytes : int
        Memory the checkpoints for backward seeks may take.
    epoch : int
        First epoch; a fresh process should not repeat an old one.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        mode: Mode = "replay",
        speed: float = 1.0,
        start: int | None = None,
        end: int | None = None,
        history: float = 0.0,
        features: Sequence[str] | None = ("ofi", "cvd"),
        model: Model | None = None,
        paused: bool = False,
        calendars: Mapping[str, str] | None = None,
        max_idle: float = 60.0,
        checkpoint_bytes: int = 128 << 20,
        epoch: int = 1,
    ) -> None:
        status = Status(mode, epoch=epoch, speed=checked_speed(speed), end=end)
        super().__init__(status, features=features, model=model, calendars=calendars)
        self.open_source = open_source
        self._open_at = start
        self._history = int(history * SECOND)
        self._first_state: State = "paused" if paused else "playing"
        self._max_idle = int(max_idle * SECOND)
        self._checkpoint_bytes = checkpoint_bytes
        self._source: Source | None = None
        self._player: Player | None = None
        self._after_seek: State = "playing"
        self._pacer, self._meter = Pacer(), Meter()

    @property
    def player(self) -> Player:
        """What applies the events (BookUnavailable before :meth:`open`)."""
        if self._player is None:
            raise BookUnavailable(_OPENING)
        return self._player

    @property
    def engine(self) -> Engine:
        """The engine (BookUnavailable before :meth:`open`)."""
        return self.player.engine

    @property
    def source(self) -> Source:
        """The source being read (BookUnavailable before :meth:`open`)."""
        if self._source is None:
            raise BookUnavailable(_OPENING)
        return self._source

    @property
    def info(self) -> SourceInfo:
        """What is being read (BookUnavailable before :meth:`open`)."""
        return self.source.info

    @property
    def clock(self) -> int:
        """Market time up to which everything has been applied (UTC ns, exclusive)."""
        return self.player.clock

    # -- opening ------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the source, compile what must be compiled and stand at the beginning.

        A failure is kept in `status` (state ``failed``, one paragraph): the page shows it.
        """
        try:
            self._set(state="connecting", warm=("opening the source", 0, 1))
            self._source = self.open_source()
            cursor = Cursor(self._source)
            self._warm_engine()
            self._player = Player(self._make_engine, cursor, self.open_source, self._checkpoint_bytes)
            self._begin()
        except DepthscopeError as error:
            self._set(state="failed", error=str(error), warm=None)

    def _found(self, publisher: int, instrument_id: int) -> Instrument:
        # A seek opens the source anew: ask whichever is being read, it knows what it has met.
        return self.source.resolve(publisher, instrument_id)

    def _begin(self) -> None:
        player = self.player
        start = player.begin()
        self._register()
        if self.spectator is not None:
            player.spectator = self.spectator
            self.spectator.begin(self, start)
            self.spectator.advanced(start)
        player.checkpoint(start)
        self._play_history(start)
        self._set(start=start, ts=self.clock, events=player.cursor.index, warm=None)
        if self.status.state != "ended":
            self._set(state=self._first_state)
        if self._open_at is not None and self._open_at > start:
            self.seek(self._open_at)

    def _play_history(self, start: int) -> None:
        """Play what the first view shows as the past."""
        if not self._history:
            return
        # Said once: a page that draws progress takes the time it reports on.
        self._set(warm=("playing the minutes before", 0, 1))
        done = False
        while not done and self.status.state != "ended":
            if self._cancelled:
                raise BookUnavailable("The session was closed before its first view was ready.")
            with self._ending():
                done = self._run_to(start + self._history, time.perf_counter() + 0.1, _HISTORY_LEGS)
        self._register()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End the session where the body meets damage or the end of the data."""
        try:
            yield
        except DepthscopeError as error:
            # The reader has handed over all that was readable: what was built stays on view.
            self._set(state="ended", error=str(error), end=self.clock)
        if self.player.finished:
            self._set(state="ended", end=self.clock)

    def _run_to(self, target: int, deadline: float, legs: Legs = _SEEK_LEGS) -> bool:
        """Play up to `target` by `legs`; whether it, or the end, was reached."""
        player = self.player
        while player.clock < target and not player.finished:
            stop, grain = target, COLUMN
            for before, step in legs:
                until = (target - before) // SECOND * SECOND
                if until > player.clock:
                    stop, grain = until, step
                    break
            if not player.run(stop, grain, deadline):
                return False
        return True

    def close(self) -> None:
        """Stop reading. The session cannot be used again."""
        if self._player is not None:
            self._player.cursor.close()

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
        if ts < self.clock:
            self._source = self.player.rewind(ts)
        self._repace()
        self._set(state="seeking", seek_to=ts, epoch=self.status.epoch + 1, ts=self.clock, lag_ms=0.0)

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
        before = self.clock
        with self._ending():
            if state == "seeking":
                self._step_seek(deadline)
            else:
                self._step_play(now, deadline)
        if self.status.state == "ended":
            self._set(seek_to=None, effective_speed=0.0, events_per_sec=0.0, lag_ms=0.0)
        self._register()
        self._measure(now)
        return self.clock != before

    def _step_seek(self, deadline: float) -> None:
        target = self.status.seek_to
        if target is not None and not self._run_to(target, deadline):
            return
        self._set(state=self._after_seek, seek_to=None)
        self._repace()

    def _step_play(self, now: float, deadline: float) -> None:
        player, speed = self.player, self.status.speed
        if math.isinf(speed):
            player.run(NEVER, SECOND, deadline)
            return
        target = self._pacer.target(now, player.clock, speed)
        upcoming = player.cursor.next_time()
        if (
            upcoming is not None
            and upcoming != NEVER
            and upcoming - max(player.clock, target) > self._max_idle
        ):
            # Nothing to see for a while (a night, a halt): go to just before something happens.
            skip_to = upcoming // SECOND * SECOND - SECOND
            self._set(skipped_ms=self.status.skipped_ms + (skip_to - player.clock) / 1e6)
            player.advance(skip_to)
            self._pacer.reset()
            return
        player.run(target, grain_of(speed), deadline)
        self._set(lag_ms=self._pacer.lag_ms(now, target, player.clock, speed))

    def _measure(self, now: float) -> None:
        status, events, changes = self.status, self.player.cursor.index, dict[str, Any]()
        if status.start is not None and status.end is not None and status.end > status.start:
            done = (self.clock - status.start) / (status.end - status.start)
            changes["progress"] = min(1.0, max(0.0, done))
        elif self.source.info.bytes_total:
            changes["progress"] = min(1.0, self.source.info.bytes_read / self.source.info.bytes_total)
        if status.state in ("playing", "seeking"):
            # Quiet time that was left out did not pass: it would read as a thousandfold pace.
            played = self.clock - int(status.skipped_ms * 1e6)
            rates = self._meter.read(now, played, events)
            if rates is not None:
                changes["effective_speed"], changes["events_per_sec"] = rates
        self._set(ts=self.clock, events=events, **changes)
