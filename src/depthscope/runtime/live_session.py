"""LiveSession: a live market as the page and the terminal follow it.

The feed's thread records and decodes; whoever drives the session runs the engine, tick by tick, up
to a boundary of the page's columns: what is shown of a boundary is what a replay of the recording
shows of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import BookUnavailable, DepthscopeError, FeedFailed
from depthscope.market.events import empty_events
from depthscope.market.source import SourceInfo
from depthscope.runtime.market import Market
from depthscope.runtime.pacer import COLUMN, SECOND, Meter
from depthscope.runtime.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from depthscope.engine import Engine
    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.runtime.live import LiveFeed
    from depthscope.signals.model import Model

__all__ = ["LiveSession"]

_CONNECTING: Final = "The session is still connecting. Ask again in a moment."


class LiveSession(Market):
    """A live market, driven tick by tick.

    Parameters
    ----------
    make_feed : callable
        Makes the feed, not started yet.
    features : sequence of str, optional
        Features the engine computes; None takes all.
    model : Model, optional
        What signals are made with; without one there are none, and no detector runs.
    calendars : mapping of str to str
        Who follows another trading calendar than its own.
    epoch : int
        A fresh process should not repeat an old one.

    Attributes
    ----------
    on_failure : callable
        Called, in the thread that drives the session, when it has failed for good.
    failure : DepthscopeError or None
        Why.
    on_applied : callable
        Called with the ns between receiving the newest of some events and having applied them.
    """

    def __init__(
        self,
        make_feed: Callable[[], LiveFeed],
        *,
        features: Sequence[str] | None = ("ofi", "cvd"),
        model: Model | None = None,
        calendars: Mapping[str, str] | None = None,
        epoch: int = 1,
    ) -> None:
        super().__init__(Status("live", epoch=epoch), features=features, model=model, calendars=calendars)
        self._make_feed = make_feed
        self.on_failure: Callable[[], object] = lambda: None
        self.on_applied: Callable[[int], object] = lambda ns: None
        self.failure: DepthscopeError | None = None
        self._feed: LiveFeed | None = None
        self._engine: Engine | None = None
        self._info: SourceInfo | None = None
        self._clock = 0
        self._held = empty_events(0)  # taken, and of a column that is not over
        self._last = 0
        self._events = 0
        self._meter = Meter()

    # -- what it knows ------------------------------------------------------------------------

    @property
    def feed(self) -> LiveFeed:
        """The feed (BookUnavailable before :meth:`open`)."""
        if self._feed is None:
            raise BookUnavailable(_CONNECTING)
        return self._feed

    @property
    def engine(self) -> Engine:
        """The engine (BookUnavailable before :meth:`open`)."""
        if self._engine is None:
            raise BookUnavailable(_CONNECTING)
        return self._engine

    @property
    def info(self) -> SourceInfo:
        """What is followed (BookUnavailable before :meth:`open`)."""
        if self._info is None:
            raise BookUnavailable(_CONNECTING)
        return self._info

    @property
    def clock(self) -> int:
        """Market time up to which everything has been applied (UTC ns, exclusive)."""
        return self._clock

    def reason(self, symbol: str) -> str | None:
        """Why a book is not LIVE, as the feed told last."""
        if self._feed is None:
            return None
        return next(
            (
                n.reason
                for n in reversed(self._feed.notices.copy())
                if n.about == "book" and n.subject == symbol
            ),
            None,
        )

    def _found(self, publisher: int, instrument_id: int) -> Instrument:
        return self.feed.resolve(publisher, instrument_id)

    # -- opening and closing ------------------------------------------------------------------

    def open(self) -> None:
        """Compile what must be compiled, connect, and stand at the first event.

        Trouble with the network is waited out for as long as it lasts, and told in `status`. Other
        failures are kept there (state ``failed``, one paragraph).
        """
        try:
            self._set(state="connecting", warm=("connecting", 0, 1))
            feed = self._feed = self._make_feed()
            names = ", ".join(feed.symbols)
            self._info = SourceInfo(f"{names} on {feed.venue}", "live", dataset=feed.venue)
            self._warm_engine()  # before anything is received: compiling would hold that up
            self._engine = self._make_engine()
            self._engine.reserve(len(feed.symbols))
            self._set(state="connecting", warm=("connecting", 0, 1))
            feed.start()
            self._await_events()
            self._begin()
        except DepthscopeError as error:
            self._set(state="failed", error=str(error), warm=None)
            if not self._cancelled:  # else it was meant to end
                self.failure = error
            try:
                self.close()
            finally:
                self.on_failure()

    def _await_events(self) -> None:
        feed = self.feed
        while not len(self._held):
            if self._cancelled:
                raise BookUnavailable("The session was closed before the venue answered.")
            said = feed.notices[-1].reason if feed.notices else f"waiting for {feed.venue}"
            self._set(state="connecting", warm=(said, 0, 1))
            self._held = feed.take(timeout=0.1)

    def _begin(self) -> None:
        known = {i.symbol: i for i in self.feed.instruments.values()}
        self.symbols.register(known[name] for name in self.feed.symbols if name in known)
        start = self._clock = int(self._held["ts_recv"][0]) // SECOND * SECOND
        if self.spectator is not None:
            self.spectator.begin(self, start)
            self.spectator.advanced(start)
        self._set(start=start, ts=start, warm=None, state="playing", effective_speed=1.0)

    def close(self) -> None:
        """End the feed; everything received is recorded first. It cannot be used again."""
        if self._feed is not None:
            self._feed.stop()

    # -- the tick -----------------------------------------------------------------------------

    def step(self, now: float, budget: float = 0.025) -> bool:
        """Apply what has come, up to the last boundary of a column; returns whether the clock moved.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        budget : float
            Not looked at: what has come is applied.
        """
        if self.status.state != "playing":
            return False
        before = self._clock
        ended = self.feed.ended  # asked first: what came before the end is taken then
        try:
            come = self.feed.take()
            if not len(come) and ended:
                self._finish()
                return True
            self._apply(come)
            self._register()
        except DepthscopeError as error:
            self._fail(error)
            return False
        except Exception as error:
            self.break_off(error)
            raise
        self._measure(now)
        return self._clock != before

    def break_off(self, error: Exception) -> None:
        """End with an error: nobody would take the events any more, and the recording would starve."""
        if self.failure is None:
            said = f"The live session broke off: {type(error).__name__}: {error}"
            self._fail(error if isinstance(error, DepthscopeError) else FeedFailed(said))

    def _fail(self, error: DepthscopeError) -> None:
        self._set(state="ended", error=str(error), end=self._clock or None, events_per_sec=0.0)
        self.failure = error
        self.on_failure()

    def _apply(self, come: Events) -> None:
        held = np.concatenate([self._held, come]) if len(self._held) else come
        if not len(held):
            return
        times = np.maximum(np.maximum.accumulate(held["ts_recv"]), self._last)
        until = int(times[-1]) // COLUMN * COLUMN
        n = int(np.searchsorted(times, until, "left"))
        self._held = held[n:]
        if n:
            self._feed_engine(held[:n], times[:n])
        if until > self._clock:
            self._clock = until
            if self.spectator is not None:
                self.spectator.advanced(until)

    def _feed_engine(self, events: Events, times: npt.NDArray[np.int64]) -> None:
        self._last = int(times[-1])
        self._events += len(events)
        batch = self.engine.process(events)
        self.on_applied(self.feed.clock.receive_time() - self._last)
        if self.spectator is not None:
            self.spectator.fed(events, times, batch)

    def _finish(self) -> None:
        """The feed has ended as it was told to: what is held belongs to the last column."""
        held = self._held
        if len(held):
            times = np.maximum(np.maximum.accumulate(held["ts_recv"]), self._last)
            self._held = empty_events(0)
            self._feed_engine(held, times)
        self._clock = max(self._clock, (self._last // COLUMN + 1) * COLUMN)
        if self.spectator is not None:
            self.spectator.advanced(self._clock)
            self.spectator.fed(empty_events(0), np.empty(0, np.int64), self.engine.finish())
        self._set(state="ended", end=self._clock, ts=self._clock, events=self._events, events_per_sec=0.0)

    def _measure(self, now: float) -> None:
        changes: dict[str, Any] = {"ts": self._clock, "events": self._events}
        rates = self._meter.read(now, self._clock, self._events)
        if rates is not None:
            changes["effective_speed"], changes["events_per_sec"] = rates
        changes["lag_ms"] = max(0.0, (self.feed.clock.receive_time() - self._clock - 2 * COLUMN) / 1e6)
        self._set(**changes)
