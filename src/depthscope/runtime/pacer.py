"""Pacer: the market clock's relation to the wall clock, and how well it is kept."""

from __future__ import annotations

import math
from typing import Final

from depthscope.errors import ConfigError

__all__ = ["COLUMN", "SECOND", "SPEED_MAX", "SPEED_MIN", "Meter", "Pacer", "checked_speed", "grain_of"]

SECOND: Final = 1_000_000_000
COLUMN: Final = 50_000_000  # the finest step of market time, one tick at speed 1
SPEED_MIN: Final = 0.1
SPEED_MAX: Final = 1000.0
_SLIP_MS: Final = 500.0  # a clock this far ahead of the engine waits for it


def checked_speed(speed: float) -> float:
    """Return `speed` when it is 0.1 to 1000 or ``inf``.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    if math.isinf(speed) and speed > 0:
        return speed
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise ConfigError(f"Speed {speed:g} is out of range: give {SPEED_MIN:g} to {SPEED_MAX:g}, or max.")
    return float(speed)


def grain_of(speed: float) -> int:
    """Step of market time (ns) that keeps a tick at about 20 columns or fewer."""
    if speed <= 20:
        return COLUMN
    return COLUMN * 5 if speed <= 100 else SECOND


class Pacer:
    """Where the market clock should be at a wall time."""

    def __init__(self) -> None:
        self._anchor: tuple[float, int] | None = None  # (wall s, market ns)

    def reset(self) -> None:
        """Start anew from wherever the market is at the next tick."""
        self._anchor = None

    def target(self, now: float, clock: int, speed: float) -> int:
        """Market time (UTC ns) due at wall time `now` (s); whole columns from speed 1 on."""
        if self._anchor is None:
            self._anchor = (now, clock)
        wall, market = self._anchor
        due = market + int((now - wall) * speed * SECOND)
        return due // COLUMN * COLUMN if speed >= 1 else due

    def lag_ms(self, now: float, target: int, clock: int, speed: float) -> float:
        """Wall milliseconds the engine is behind; the clock waits where it is too far behind."""
        lag = max(0.0, (target - clock) / speed / 1e6)
        if lag > _SLIP_MS:
            self._anchor = (now, clock)
        return lag


class Meter:
    """Speed and event rate achieved, over about a second of wall time."""

    def __init__(self) -> None:
        self._mark: tuple[float, int, int] | None = None  # (wall s, market ns, events)

    def reset(self) -> None:
        """Forget what was measured."""
        self._mark = None

    def read(self, now: float, clock: int, events: int) -> tuple[float, float] | None:
        """(market seconds per second, events per second) once a second, otherwise None."""
        if self._mark is None:
            self._mark = (now, clock, events)
            return None
        wall, market, count = self._mark
        if now - wall < 1.0:
            return None
        self._mark = (now, clock, events)
        return (clock - market) / SECOND / (now - wall), (events - count) / (now - wall)
