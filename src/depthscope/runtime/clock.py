"""The clock of a live session: UTC at the start, and monotonic time since."""

from __future__ import annotations

import asyncio
import time

__all__ = ["SystemClock"]


class SystemClock:
    """Receive time that never goes back: a step of the wall clock is seen beside it, never in it."""

    def __init__(self) -> None:
        self._start = time.time_ns()
        self._zero = time.monotonic_ns()

    def receive_time(self) -> int:
        """Receive time, UTC ns."""
        return self._start + time.monotonic_ns() - self._zero

    def wall(self) -> int:
        """Wall time, UTC ns."""
        return time.time_ns()

    async def wait(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
