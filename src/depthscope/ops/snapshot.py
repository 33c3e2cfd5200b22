"""Snapshot: what the parts of a session say of themselves at one moment, as plain values.

Who owns a part fills its piece in; a part that does not run is None. Times are UTC nanoseconds,
durations nanoseconds, sizes bytes, rates a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from depthscope.runtime.status import Mode, State  # noqa: TC001 - the schema is made of them at run time

if TYPE_CHECKING:
    from depthscope.ops.meters import LatencyHistogram, MemoryWatch

__all__ = [
    "OCTAVES",
    "AuditPart",
    "BookState",
    "EnginePart",
    "FeedPart",
    "LatencyPart",
    "LogPart",
    "PagePart",
    "ProcessPart",
    "RecorderPart",
    "Snapshot",
]

BookState = Literal["LIVE", "SYNCING", "STALE"]
OCTAVES: Final = range(10, 36)  # 1 µs to 34 s: the bounds of what is counted for Prometheus


class FeedPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One symbol of one feed.

    Attributes
    ----------
    feed, symbol : str
        Names of the venue's feed and of the instrument.
    state : str
        LIVE, SYNCING or STALE.
    reason : str
        Why it is not LIVE, in plain words; empty when it is.
    state_since_ns : int
        When it came to be so.
    last_message_ns : int or None
        When its last message came.
    median_interval_ns : int or None
        Usual time between two messages.
    rate, expected_rate : float or None
        Messages a second, now and usually.
    messages, gaps, resyncs, reconnects, rejected : int
        Counted since the start. `rejected` messages could not be decoded.
    lag_p50_ns, lag_p99_ns : int or None
        Receive time less venue time of its depth messages since the start, those of earlier hours
        counting half as much with each hour; 0 where the venue's clock is ahead of ours.
    """

    feed: str
    symbol: str
    state: BookState
    reason: str = ""
    state_since_ns: int
    last_message_ns: int | None = None
    median_interval_ns: int | None = None
    rate: float | None = None
    expected_rate: float | None = None
    messages: int = 0
    gaps: int = 0
    resyncs: int = 0
    reconnects: int = 0
    rejected: int = 0
    lag_p50_ns: int | None = None
    lag_p99_ns: int | None = None


class RecorderPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The capture log.

    Attributes
    ----------
    queue_bytes, queue_limit_bytes : int
        Inputs waiting to be written, and how much may.
    written : int
        Inputs that were or will be written: all that came but the lost.
    durable : int
        How many of all that came are safe on the disk, or told there as lost.
    durable_age_ns : int or None
        How long the oldest input not yet safe has waited; None when there is none.
    lost : int
        Inputs that were not recorded.
    stopped : bool
        Whether nothing is recorded at present.
    failures : int
        Times recording has stopped: a write or sync failed, or there was no room.
    last_failure : str
        Why it did the last time.
    disk_free_bytes : int or None
        Room left where it records.
    bytes_per_second : float or None
        How fast it fills.
    """

    queue_bytes: int = 0
    queue_limit_bytes: int = 1
    written: int = 0
    durable: int = 0
    durable_age_ns: int | None = None
    lost: int = 0
    stopped: bool = False
    failures: int = 0
    last_failure: str = ""
    disk_free_bytes: int | None = None
    bytes_per_second: float | None = None


class LatencyPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Durations counted since the start.

    Attributes
    ----------
    count, total_ns : int
        How many, and their exact sum.
    p50_ns, p99_ns, p999_ns, max_ns : int or None
        Percentiles, at most 1/32 above the exact ones; the largest is exact.
    at_most : tuple of int
        How many were at most 2 to the power k ns, for k from 10 (1 µs) to 35 (34 s); exact.
    """

    count: int = 0
    total_ns: int = 0
    p50_ns: int | None = None
    p99_ns: int | None = None
    p999_ns: int | None = None
    max_ns: int | None = None
    at_most: tuple[int, ...] = (0,) * len(OCTAVES)

    @classmethod
    def of(cls, histogram: LatencyHistogram) -> LatencyPart:
        """Read a histogram."""
        return cls(
            count=histogram.count,
            total_ns=histogram.total,
            p50_ns=histogram.percentile(0.50),
            p99_ns=histogram.percentile(0.99),
            p999_ns=histogram.percentile(0.999),
            max_ns=histogram.high,
            at_most=tuple(histogram.at_most(octave) for octave in OCTAVES),
        )


class EnginePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The engine.

    Attributes
    ----------
    events : int
        Processed since the start.
    events_per_second : float
        Of late.
    lag_ns : int
        How far it is behind the newest input.
    latency : LatencyPart
        From receiving the newest of the events applied together to having applied them.
    """

    events: int = 0
    events_per_second: float = 0.0
    lag_ns: int = 0
    latency: LatencyPart = LatencyPart()


class ProcessPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory of the process.

    Attributes
    ----------
    rss_bytes : int or None
        Now; None where the platform does not tell.
    baseline_bytes : int or None
        Once everything had started, apart from histories of a bounded size, which fill for up to a
        day; None until it has settled.
    growth : float or None
        Share by which it has grown since, apart from those histories.
    """

    rss_bytes: int | None = None
    baseline_bytes: int | None = None
    growth: float | None = None

    @classmethod
    def of(cls, watch: MemoryWatch) -> ProcessPart:
        """Read a memory watch."""
        return cls(rss_bytes=watch.rss, baseline_bytes=watch.baseline, growth=watch.growth)


class PagePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page.

    Attributes
    ----------
    clients, stalled : int
        Pages open, and how many of them are too slow to follow.
    dropped_ticks, resyncs : int
        Ticks not sent to slow pages, and times one was caught up.
    rate, expected_rate : float or None
        Updates a second, now and as set.
    """

    clients: int = 0
    stalled: int = 0
    dropped_ticks: int = 0
    resyncs: int = 0
    rate: float | None = None
    expected_rate: float | None = None


class LogPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The logs: records by level, repeats not shown, writes that failed."""

    records: dict[str, int] = {}
    suppressed: int = 0
    failures: int = 0


class AuditPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The audit log: records by kind, the last sequence, writes that failed."""

    records: dict[str, int] = {}
    sequence: int = 0
    failures: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session at one moment.

    Attributes
    ----------
    ts_ns : int
        When, UTC.
    uptime_ns : int
        Since it started.
    mode : str
        live, replay or demo.
    state, error : str
        Of the session, and why it failed where it did.
    version, config : str
        Of the package, and the hash of the settings in force.
    clock_skew_ns : int or None
        The venue's clock less this machine's, as of the last time it was asked; None before it was,
        and where no venue is followed.
    age_ns : int
        How long ago it was taken: 0 unless what takes it hangs, as a disk may.
    feeds : tuple of FeedPart
    recorder, engine, process, page, logs, audit
        Its parts; None for what does not run.
    """

    ts_ns: int
    uptime_ns: int
    mode: Mode
    state: State = "playing"
    error: str = ""
    version: str
    config: str = ""
    clock_skew_ns: int | None = None
    age_ns: int = 0
    feeds: tuple[FeedPart, ...] = ()
    recorder: RecorderPart | None = None
    engine: EnginePart | None = None
    process: ProcessPart | None = None
    page: PagePart | None = None
    logs: LogPart | None = None
    audit: AuditPart | None = None
