"""Operations: what the page's server knows of the session's health, for programs and scrapers."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from depthscope.ops.health import assess, document
from depthscope.ops.logs import log_part
from depthscope.ops.meters import MemoryWatch, RateWatch
from depthscope.ops.metrics import Metrics
from depthscope.ops.process import resident_bytes
from depthscope.ops.snapshot import EnginePart, PagePart, ProcessPart, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.web.hub import Hub

__all__ = ["Operations"]


class Operations:
    """Snapshots of one server's session.

    Parameters
    ----------
    hub : Hub
    snapshot : callable, optional
        What a live session says of itself; its page part is filled in here. Without it, a
        snapshot says what the hub of a replay knows.

    Attributes
    ----------
    metrics : Metrics
        Their registry.
    """

    def __init__(self, hub: Hub, snapshot: Callable[[], Snapshot] | None = None) -> None:
        self._hub, self._given = hub, snapshot
        self._ticks = RateWatch(expected=hub.hz)
        self._memory = MemoryWatch()
        self.metrics = Metrics(self.snapshot)

    def snapshot(self) -> Snapshot:
        """The session as of now."""
        now = time.monotonic_ns()
        self._ticks.observe(now, self._hub.seq)
        page = self._page()
        if self._given is not None:
            return msgspec.structs.replace(self._given(), page=page)
        self._memory.observe(now, resident_bytes(), self._hub.recorder.held_bytes)
        status = self._hub.session.status
        return Snapshot(
            ts_ns=time.time_ns(),
            uptime_ns=now - int(self._hub.started * 1e9),
            mode=status.mode,
            state=status.state,
            error=status.error or "",
            version=version("depthscope"),
            engine=EnginePart(
                events=status.events,
                events_per_second=status.events_per_sec,
                lag_ns=int(status.lag_ms * 1e6),
            ),
            process=ProcessPart.of(self._memory),
            page=page,
            logs=log_part(),
        )

    def health(self) -> dict[str, Any]:
        """The verdict on it, as docs/health.schema.json describes."""
        return document(assess(self.snapshot()))

    def _page(self) -> PagePart:
        clients = self._hub.clients
        return PagePart(
            clients=len(clients),
            stalled=sum(client.stalled for client in clients),
            dropped_ticks=sum(client.dropped for client in clients),
            resyncs=sum(client.resyncs for client in clients),
            rate=self._ticks.rate,
            expected_rate=self._hub.hz if self._ticks.rate is not None else None,
        )
