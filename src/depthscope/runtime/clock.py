"""The clock of a live session: wall time where it starts, monotonic from there on."""

from __future__ import annotations

import asyncio
import time

__all__ = ["SessionClock"]


class SessionClock:
    """Receive time: UTC at the start plus monotonic elapsed time.

    A wall clock that is set moves nothing here: what it says is recorded beside, never applied.
    """

    def __init__(self) -> None:
        self._start = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Receive time, UTC ns. It never goes back."""
        return self._start + time.monotonic_ns()

    def wall(self) -> int:
        """Wall time, UTC ns."""
        return time.time_ns()

    async def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(seconds)
