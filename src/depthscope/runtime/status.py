"""What a session tells those who follow it: its status, and the spectator's protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from depthscope.engine import Batch
    from depthscope.market.events import Events
    from depthscope.runtime.market import Market

__all__ = ["Mode", "Spectator", "State", "Status"]

State = Literal["connecting", "warming", "playing", "paused", "seeking", "ended", "failed"]
Mode = Literal["live", "replay", "demo"]


class Spectator(Protocol):
    """What follows a session. Called from the session's thread, in market-time order."""

    def begin(self, session: Market, start: int) -> None:
        """Hear that the engine stands and the market clock starts at `start` (UTC ns)."""

    def fed(self, events: Events, times: npt.NDArray[np.int64], batch: Batch) -> None:
        """Hear of events just applied, their clamped receive times and the rows they gave."""

    def advanced(self, ts: int) -> None:
        """Hear that the book has been as it is now from the last event until `ts` (exclusive)."""

    @property
    def held_bytes(self) -> int:
        """Memory of bounded histories that fills as a session goes on."""
        ...

    def snapshot(self) -> Any:
        """Return what must be put back when the session goes back to this moment."""

    def restore(self, state: Any, ts: int) -> None:
        """Go back to `ts`, a whole second, where `state` was taken."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a session stands. Times are UTC ns of the market clock, None while unknown.

    Attributes
    ----------
    speed : float
        Market seconds per wall second asked for; ``inf`` means as fast as possible.
    effective_speed : float
        What was achieved over the last second or so.
    lag_ms : float
        Wall milliseconds the engine is behind the market clock.
    warm : tuple of (str, int, int) or None
        Stage, done, of: while the source opens and kernels compile.
    """

    mode: Mode
    state: State = "connecting"
    epoch: int = 0
    ts: int | None = None
    speed: float = 1.0
    effective_speed: float = 0.0
    start: int | None = None
    end: int | None = None
    lag_ms: float = 0.0
    events_per_sec: float = 0.0
    events: int = 0
    seek_to: int | None = None
    progress: float | None = None
    skipped_ms: float = 0.0
    error: str | None = None
    warm: tuple[str, int, int] | None = None
