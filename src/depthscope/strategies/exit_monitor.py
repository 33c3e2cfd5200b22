"""Exit monitor: tells who holds a position that large traders are against it.

For a long position the alerts are those of sellers, for a short one those of buyers:

* a **large trader**: a detection called ``large_trader`` is opened, whose label says SELLER or BUYER
  (its side, A or B, where the label says neither);
* a **critical burst**: a detection called ``burst`` is opened as CRITICAL, or becomes so, on that side.

An exit is recommended by `alerts` (3) large traders within `window` (120) seconds, or, with `exit_on_burst`,
by one critical burst and one large trader within them. Both ends count: alerts exactly 120 seconds
apart are within. Then nothing more is recommended for that symbol and side for `cooldown` (300) seconds;
alerts go on being counted meanwhile.

It is a recommendation and never an order. Time is that of the detections, which must come in
order; how they are cut into calls makes no difference.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from depthscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Alert", "ExitMonitor", "ExitRecommendation", "Position"]

SECOND: Final = 1_000_000_000
Side = Literal["long", "short"]
SIDES: Final[tuple[Side, Side]] = ("long", "short")
AGAINST: Final = {"A": "long", "B": "short"}  # sellers are against a long position


class Message(Protocol):
    """What the monitor reads of a detection (`depthscope.Detection` has it)."""

    @property
    def ts(self) -> int:
        """When it was known, UTC ns."""

    @property
    def id(self) -> str:
        """Common to all messages of one matter."""

    @property
    def detector(self) -> str:
        """Name of the detector."""

    @property
    def symbol(self) -> str:
        """Symbol of the instrument."""

    @property
    def phase(self) -> str:
        """``open``, ``update`` or ``close``."""

    @property
    def side(self) -> str:
        """``B``, ``A`` or none."""

    @property
    def price(self) -> float | None:
        """Price, None where it is of none."""

    @property
    def size(self) -> float:
        """Size in the instrument's own units."""

    @property
    def label(self) -> str | None:
        """The detector's word, None where it has none."""


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of a symbol.

    Attributes
    ----------
    symbol : str
    side : {"long", "short"}
    quantity : float
        More than 0, for either side.
    entry : float or None
        Price it was entered at, where known.
    """

    symbol: str
    side: Side
    quantity: float
    entry: float | None = None

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise InputError(f"The position in {self.symbol} is {self.side!r}; it must be long or short.")
        if not self.quantity > 0:
            raise InputError(
                f"The position in {self.symbol} has a quantity of {self.quantity}; it must be more than 0. "
                "A short one is told by its side."
            )


@dataclass(frozen=True, slots=True)
class Alert:
    """A detection that was counted.

    Attributes
    ----------
    ts : int
        UTC ns.
    id, detector : str
        Of the detection.
    label : str or None
    price : float or None
    size : float
    """

    ts: int
    id: str
    detector: str
    label: str | None
    price: float | None
    size: float


@dataclass(frozen=True, slots=True)
class ExitRecommendation:
    """Advice to leave a position. Not an order.

    Attributes
    ----------
    ts : int
        Time of the last alert counted, UTC ns.
    symbol : str
    side : {"long", "short"}
        Of the position to leave.
    quantity : float
        All that is held; 0 for a symbol that is only watched.
    entry : float or None
        Price the position was entered at, where known.
    gain : float or None
        What the last alert's price is above the entry (below it for a short position), a unit; None
        where either price is not known.
    rule : {"large_traders", "burst"}
        Which rule recommends it.
    reasons : tuple of Alert
        The alerts counted, in order of time.
    """

    ts: int
    symbol: str
    side: Side
    quantity: float
    entry: float | None
    gain: float | None
    rule: Literal["large_traders", "burst"]
    reasons: tuple[Alert, ...]


@dataclass(slots=True)
class Watched:
    """Alerts against one side of a symbol."""

    alerts: deque[Alert] = field(default_factory=deque)
    quiet: int | None = None  # nothing is recommended before


class ExitMonitor:
    """Recommends exits out of alerts.

    Parameters
    ----------
    positions : iterable of Position
        What is held, at most one a symbol and side.
    mode : {"positions", "watchlist"}
        ``positions`` watches what is held, on its side. ``watchlist`` also watches the symbols of
        `watchlist`, on both sides; recommendations for what is not held have a quantity of 0.
    watchlist : iterable of str
        Symbols, in mode ``watchlist``.
    alerts : int
        Large traders that make an exit.
    window : float
        Seconds within which alerts count together.
    exit_on_burst : bool
        Whether a critical burst and one large trader make an exit.
    cooldown : float
        Seconds between recommendations for a symbol and side.

    Examples
    --------
    >>> monitor = ExitMonitor([Position("ESH4", "long", 2, entry=4808.25)])   # doctest: +SKIP
    >>> for frame in ds.replay("day.mbo.dbn.zst", detectors=None):             # doctest: +SKIP
    ...     for advice in monitor.update(frame.detections):
    ...         print(advice.symbol, advice.rule, [alert.id for alert in advice.reasons])
    """

    def __init__(
        self,
        positions: Iterable[Position] = (),
        *,
        mode: Literal["positions", "watchlist"] = "positions",
        watchlist: Iterable[str] = (),
        alerts: int = 3,
        window: float = 120.0,
        exit_on_burst: bool = True,
        cooldown: float = 300.0,
    ) -> None:
        if mode not in ("positions", "watchlist"):
            raise InputError(f"The mode of an exit monitor is positions or watchlist, not {mode!r}.")
        self._listed = (watchlist,) if isinstance(watchlist, str) else tuple(watchlist)
        if (mode == "watchlist") != bool(self._listed):
            raise InputError(
                "An exit monitor in mode watchlist needs the symbols to watch, in mode positions it has none."
            )
        if not (alerts >= 1 and window >= 0 and cooldown >= 0):
            raise InputError(
                "An exit monitor needs one alert or more, and a window and a cooldown that are not negative; "
                f"got alerts={alerts}, window={window}, cooldown={cooldown}."
            )
        self._fewest, self._exit_on_burst = alerts, exit_on_burst
        self._window, self._cooldown = round(window * SECOND), round(cooldown * SECOND)
        self._positions: dict[tuple[str, str], Position] = {}
        self._watched: dict[tuple[str, str], Watched] = {}
        self._critical: set[str] = set()
        self.hold(positions)

    @property
    def positions(self) -> tuple[Position, ...]:
        """What is held."""
        return tuple(self._positions.values())

    def hold(self, positions: Iterable[Position]) -> None:
        """Replace what is held by `positions`; alerts so far stay counted for what is still watched."""
        held: dict[tuple[str, str], Position] = {}
        for position in positions:
            key = position.symbol, position.side
            if key in held:
                raise InputError(
                    f"There are two {position.side} positions in {position.symbol}; add them up."
                )
            held[key] = position
        self._positions = held
        keys = [*held, *((symbol, side) for symbol in self._listed for side in SIDES)]
        self._watched = {key: self._watched.get(key, Watched()) for key in keys}

    def update(self, detections: Iterable[Message]) -> tuple[ExitRecommendation, ...]:
        """Take detections in order of time; returns what they recommend.

        Parameters
        ----------
        detections : iterable of Detection
            Of any detectors and symbols.

        Returns
        -------
        tuple of ExitRecommendation
        """
        return tuple(advice for message in detections for advice in self._take(message))

    def _take(self, message: Message) -> Iterable[ExitRecommendation]:
        against = self._against(message)
        watched = self._watched.get((message.symbol, against))
        if watched is None:
            return
        label, price = message.label, message.price
        alerts = watched.alerts
        alerts.append(Alert(message.ts, message.id, message.detector, label, price, message.size))
        while alerts[0].ts < message.ts - self._window:
            alerts.popleft()
        if watched.quiet is not None and message.ts < watched.quiet:
            return
        traders = [alert for alert in alerts if alert.detector == "large_trader"]
        if len(traders) >= self._fewest:
            rule, reasons = "large_traders", tuple(traders)
        elif self._exit_on_burst and 0 < len(traders) < len(alerts):
            rule, reasons = "burst", tuple(alerts)
        else:
            return
        watched.quiet = message.ts + self._cooldown
        yield self._advice(message, against, rule, reasons)

    def _against(self, message: Message) -> str:
        """Which side of a position a message is an alert for, "" where it is none."""
        label = (message.label or "").upper()
        if message.detector == "large_trader" and message.phase == "open":
            side = "A" if "SELLER" in label else "B" if "BUYER" in label else message.side
        elif message.detector == "burst" and self._turns_critical(message, label):
            side = message.side
        else:
            side = ""
        return AGAINST.get(side, "")

    def _turns_critical(self, message: Message, label: str) -> bool:
        """Whether a burst is critical now and was not before."""
        if message.phase == "close":
            self._critical.discard(message.id)
            return False
        if label != "CRITICAL" or message.id in self._critical:
            return False
        self._critical.add(message.id)
        return True

    def _advice(
        self, message: Message, side: str, rule: str, reasons: tuple[Alert, ...]
    ) -> ExitRecommendation:
        position = self._positions.get((message.symbol, side))
        entry = position.entry if position is not None else None
        gain = None
        if entry is not None and message.price is not None:
            gain = message.price - entry if side == "long" else entry - message.price
        return ExitRecommendation(
            ts=message.ts,
            symbol=message.symbol,
            side="long" if side == "long" else "short",
            quantity=position.quantity if position is not None else 0.0,
            entry=entry,
            gain=gain,
            rule="burst" if rule == "burst" else "large_traders",
            reasons=reasons,
        )
