"""Market: what a page or a terminal view follows, recorded or live.

It owns the engine and the symbols and tells a :class:`~depthscope.runtime.status.Spectator` what
was fed and how far time has come; nothing flows back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from depthscope.errors import BookUnavailable
from depthscope.market.sessions import calendar_of
from depthscope.runtime.symbols import Symbols

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from depthscope.book.view import OrderBook
    from depthscope.engine import Engine
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import SourceInfo
    from depthscope.runtime.status import Mode, Spectator, Status
    from depthscope.signals.model import Model

__all__ = ["Market"]


class Market(ABC):
    """A market whose books are being kept.

    Parameters
    ----------
    mode : {"live", "replay", "demo"}
        For labels, and what may be commanded.
    features : sequence of str, optional
        Features the engine computes; the page needs ``ofi`` and ``cvd`` among them. None takes all.
    model : Model, optional
        What signals are made with; without one there are none, and no detector runs.
    calendars : mapping of str to str
        Who follows another trading calendar than its own
        (see :func:`depthscope.market.sessions.calendar_of`).
    status : Status
        Where it stands at first.

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
        status: Status,
        *,
        features: Sequence[str] | None,
        model: Model | None,
        calendars: Mapping[str, str] | None,
    ) -> None:
        self.status = status
        self.symbols = Symbols()
        self.spectator: Spectator | None = None
        self.model = model
        self._features = features
        self._calendars = calendars
        self._resolved: dict[tuple[int, int], Instrument] = {}
        self._cancelled = False

    # -- what it knows ------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """Whether it is live, recorded or generated."""
        return self.status.mode

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine (BookUnavailable before :meth:`open`)."""

    @property
    @abstractmethod
    def info(self) -> SourceInfo:
        """What is being read (BookUnavailable before :meth:`open`)."""

    @property
    @abstractmethod
    def clock(self) -> int:
        """Market time up to which everything has been applied (UTC ns, exclusive)."""

    @abstractmethod
    def _found(self, publisher: int, instrument_id: int) -> Instrument:
        """Instrument of a key, as the source has it."""

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events, asking the source once.

        Raises
        ------
        UnknownInstrument
            When nothing names its tick.
        """
        key = (publisher, instrument_id)
        if key not in self._resolved:
            found = self._found(publisher, instrument_id)
            self._resolved[key] = replace(found, calendar=calendar_of(found, self._calendars))
        return self._resolved[key]

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

    def reason(self, symbol: str) -> str | None:
        """Why the book of a symbol is not LIVE, where the market itself was told."""
        return None

    # -- what is done to it -------------------------------------------------------------------

    @abstractmethod
    def open(self) -> None:
        """Begin. A failure is kept in `status` (state ``failed``, one paragraph)."""

    @abstractmethod
    def step(self, now: float, budget: float = 0.025) -> bool:
        """Bring the market up to wall time `now` (monotonic s), in about `budget` s; whether it moved."""

    @abstractmethod
    def close(self) -> None:
        """End. It cannot be used again."""

    def cancel(self) -> None:
        """Give up opening as soon as possible. May be called from any thread."""
        self._cancelled = True

    def break_off(self, error: Exception) -> None:  # noqa: B027 - recorded, it loses nothing by standing still
        """Hear that what drives it has failed and will not step it again."""

    # -- for those that are one ---------------------------------------------------------------

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)

    def _warm_engine(self) -> None:
        """Compile (or load) every kernel, telling how far it is."""
        self._set(state="warming", warm=("loading the compiler", 0, 1))
        import depthscope.engine  # noqa: F401 - numba: only once the page is being served
        from depthscope import jit
        from depthscope.features.registry import pending
        from depthscope.runtime.compiling import compile_all
        from depthscope.signals.members import members_of

        options = self._engine_options()
        members = members_of(options["features"], options["detectors"], "medium", options["signal"])
        todo = [*jit.pending(), *pending(members)]
        compile_all(todo, self._tell_warm)
        self._set(warm=("building the opening book", len(todo), len(todo)))

    def _tell_warm(self, done: int, total: int) -> None:
        self._set(warm=("preparing the engine", done, total))
        if self._cancelled:
            raise BookUnavailable("The session was closed before its engine was ready.")

    def _make_engine(self) -> Engine:
        from depthscope.engine import Engine

        return Engine(resolve=self.resolve, every="50ms", sparse=True, **self._engine_options())

    def _engine_options(self) -> dict[str, Any]:
        """What the engine runs: with a model, all detectors too."""
        model = self.model
        if model is None:
            return {"features": self._features, "detectors": (), "signal": None}
        return {"features": self._features, "detectors": None, "signal": lambda instrument: model}

    def _register(self) -> None:
        # Those that have had events: a file may name a hundred thousand others.
        if len(self.engine.slots) != len(self.symbols):
            self.symbols.register(self.engine.slots)
