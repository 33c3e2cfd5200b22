"""Metrics: a snapshot and its verdict as Prometheus reads them, in a registry of our own.

Every series comes from one snapshot taken when it is scraped, so the figures fit one another.
Label values are bounded: fixed words, and at most `MAX_SYMBOLS` symbols; the rest is summed up
under the symbol ``other``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from depthscope.config import LOG_LEVELS
from depthscope.ops.audit import Kind
from depthscope.ops.health import Health, Level, Limits, assess
from depthscope.ops.redact import redact_text
from depthscope.ops.snapshot import OCTAVES, BookState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from depthscope.ops.snapshot import (
        AuditPart,
        EnginePart,
        FeedPart,
        LogPart,
        PagePart,
        ProcessPart,
        RecorderPart,
        Snapshot,
    )

__all__ = ["MAX_SYMBOLS", "Metrics"]

MAX_SYMBOLS: Final = 64
_SECOND: Final = 1e9
_STATES: Final[tuple[BookState, ...]] = get_args(BookState)
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_AUDIT_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Metrics(Collector):
    """Registry of one session.

    Parameters
    ----------
    snapshot : callable
        Gives the session's snapshot as of now; called once a scrape, in the thread that serves it.
    limits : Limits
        For the verdict.

    Attributes
    ----------
    registry : CollectorRegistry
        Others may register metrics of their own here.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], limits: Limits | None = None) -> None:
        self._snapshot = snapshot
        self._limits = limits or Limits()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing beforehand: what there is depends on what runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every series, from one snapshot."""
        return families(assess(self._snapshot(), self._limits))

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Body and content type of an answer to a scraper, in the format its Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def families(health: Health) -> Iterator[Metric]:
    """Metric families of a verdict."""
    snapshot = health.snapshot
    build = InfoMetricFamily("depthscope_build", "Version of the package, mode and hash of the settings.")
    build.add_metric(
        [],
        {
            "version": snapshot.version,
            "mode": snapshot.mode,
            "config": redact_text(snapshot.config)[:64],
        },
    )
    yield build
    status = GaugeMetricFamily(
        "depthscope_health_status", "1 for the verdict that holds, 0 for the others.", labels=["status"]
    )
    reasons = GaugeMetricFamily(
        "depthscope_health_reasons", "Reasons for the verdict, by how bad they are.", labels=["level"]
    )
    for level in _LEVELS:
        status.add_metric([level], float(health.status == level))
        if level != "ok":
            reasons.add_metric([level], sum(reason.level == level for reason in health.reasons))
    yield status
    yield reasons
    yield _gauge("depthscope_uptime_seconds", "Since the session started.", snapshot.uptime_ns / _SECOND)
    yield _gauge(
        "depthscope_snapshot_age_seconds", "Since the session was looked at.", snapshot.age_ns / _SECOND
    )
    skew = snapshot.clock_skew_ns
    yield _gauge(
        "depthscope_clock_skew_seconds",
        "The venue's clock less this machine's.",
        None if skew is None else skew / _SECOND,
    )
    if snapshot.feeds:
        yield from _feeds(snapshot.feeds, snapshot.ts_ns)
    if snapshot.recorder is not None:
        yield from _recorder(snapshot.recorder)
    if snapshot.engine is not None:
        yield from _engine(snapshot.engine)
    if snapshot.process is not None:
        yield from _process(snapshot.process)
    if snapshot.page is not None:
        yield from _page(snapshot.page)
    if snapshot.logs is not None:
        yield from _logs(snapshot.logs)
    if snapshot.audit is not None:
        yield from _audit(snapshot.audit)


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Build a family of one series; of none where the value is unknown."""
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    family = CounterMetricFamily(name, text)
    family.add_metric([], value)
    return family


def _feeds(feeds: tuple[FeedPart, ...], now: int) -> Iterator[Metric]:
    labels = ["feed", "symbol"]
    state = GaugeMetricFamily(
        "depthscope_feed_books", "Books in a state; 0 or 1 for a symbol.", labels=[*labels, "state"]
    )
    age = GaugeMetricFamily("depthscope_feed_message_age_seconds", "Since the last message.", labels=labels)
    rate = GaugeMetricFamily("depthscope_feed_messages_per_second", "Of late.", labels=labels)
    usual = GaugeMetricFamily("depthscope_feed_expected_messages_per_second", "What is usual.", labels=labels)
    lag = GaugeMetricFamily(
        "depthscope_feed_lag_seconds",
        "Receive time less venue time since the start, older hours counting less.",
        labels=[*labels, "quantile"],
    )
    counters = {
        name: CounterMetricFamily(f"depthscope_feed_{name}", text, labels=labels)
        for name, text in (
            ("messages", "Messages received."),
            ("gaps", "Gaps in the sequence."),
            ("resyncs", "Times the book was rebuilt."),
            ("reconnects", "Times the connection was opened again."),
            ("rejected", "Messages that could not be decoded."),
        )
    }
    for feed in feeds[:MAX_SYMBOLS]:
        names = _names(feed.feed, feed.symbol)
        for word in _STATES:
            state.add_metric([*names, word], float(feed.state == word))
        for family, value in (
            (age, None if feed.last_message_ns is None else (now - feed.last_message_ns) / _SECOND),
            (rate, feed.rate),
            (usual, feed.expected_rate),
        ):
            if value is not None:
                family.add_metric(names, value)
        for quantile, ns in (("0.5", feed.lag_p50_ns), ("0.99", feed.lag_p99_ns)):
            if ns is not None:
                lag.add_metric([*names, quantile], ns / _SECOND)
        for name, counter in counters.items():
            counter.add_metric(names, getattr(feed, name))
    rest: dict[str, list[FeedPart]] = {}
    for feed in feeds[MAX_SYMBOLS:]:
        rest.setdefault(_names(feed.feed, "other")[0], []).append(feed)
    for name, others in rest.items():
        for word in _STATES:
            state.add_metric([name, "other", word], sum(feed.state == word for feed in others))
        for what, counter in counters.items():
            counter.add_metric([name, "other"], sum(getattr(feed, what) for feed in others))
    yield from (state, age, rate, usual, lag, *counters.values())


def _names(feed: str, symbol: str) -> list[str]:
    """Label values: what a venue calls its symbols is not ours to trust."""
    return [redact_text(feed)[:32], redact_text(symbol)[:32]]


def _recorder(part: RecorderPart) -> Iterator[Metric]:
    yield _gauge("depthscope_recorder_queue_bytes", "Inputs waiting to be written.", part.queue_bytes)
    yield _gauge("depthscope_recorder_queue_limit_bytes", "How much may wait.", part.queue_limit_bytes)
    yield _counter("depthscope_recorder_written_inputs", "Inputs that were or will be written.", part.written)
    yield _counter(
        "depthscope_recorder_durable_inputs", "Inputs safe on the disk, or told there as lost.", part.durable
    )
    yield _gauge(
        "depthscope_recorder_durable_age_seconds",
        "How long the oldest input not yet safe has waited.",
        (part.durable_age_ns or 0) / _SECOND,
    )
    yield _counter("depthscope_recorder_lost_inputs", "Inputs that were not recorded.", part.lost)
    yield _gauge("depthscope_recorder_stopped", "1 while nothing is recorded.", float(part.stopped))
    yield _counter("depthscope_recorder_failures", "Times recording has stopped.", part.failures)
    yield _gauge("depthscope_recorder_disk_free_bytes", "Room left.", part.disk_free_bytes)
    yield _gauge("depthscope_recorder_bytes_per_second", "How fast it fills.", part.bytes_per_second)


def _engine(part: EnginePart) -> Iterator[Metric]:
    yield _counter("depthscope_engine_events", "Events processed.", part.events)
    yield _gauge("depthscope_engine_events_per_second", "Of late.", part.events_per_second)
    yield _gauge("depthscope_engine_lag_seconds", "Behind the newest input.", part.lag_ns / _SECOND)
    latency = HistogramMetricFamily(
        "depthscope_engine_latency_seconds", "From receiving events to having applied them."
    )
    told = part.latency
    buckets = [
        (repr((1 << octave) / _SECOND), count) for octave, count in zip(OCTAVES, told.at_most, strict=True)
    ]
    latency.add_metric([], [*buckets, ("+Inf", told.count)], told.total_ns / _SECOND)
    yield latency


def _process(part: ProcessPart) -> Iterator[Metric]:
    yield _gauge("depthscope_process_resident_memory_bytes", "Memory held now.", part.rss_bytes)
    yield _gauge(
        "depthscope_process_baseline_memory_bytes",
        "Memory once all had started, apart from histories.",
        part.baseline_bytes,
    )
    yield _gauge(
        "depthscope_process_memory_growth_ratio",
        "Growth over the baseline, apart from histories.",
        part.growth,
    )


def _page(part: PagePart) -> Iterator[Metric]:
    yield _gauge("depthscope_page_clients", "Pages open.", part.clients)
    yield _gauge("depthscope_page_stalled_clients", "Pages too slow to follow.", part.stalled)
    yield _counter("depthscope_page_dropped_ticks", "Ticks not sent to slow pages.", part.dropped_ticks)
    yield _counter("depthscope_page_resyncs", "Times a page was caught up.", part.resyncs)
    yield _gauge("depthscope_page_updates_per_second", "Now.", part.rate)
    yield _gauge("depthscope_page_expected_updates_per_second", "As set.", part.expected_rate)


def _logs(part: LogPart) -> Iterator[Metric]:
    records = CounterMetricFamily("depthscope_log_records", "Log records by level.", labels=["level"])
    for level in LOG_LEVELS:
        records.add_metric([level], part.records.get(level, 0))
    yield records
    yield _counter("depthscope_log_suppressed_records", "Repeats not shown.", part.suppressed)
    yield _counter("depthscope_log_failures", "Log records that could not be written.", part.failures)


def _audit(part: AuditPart) -> Iterator[Metric]:
    records = CounterMetricFamily("depthscope_audit_records", "Audit records by kind.", labels=["kind"])
    for kind in _AUDIT_KINDS:
        records.add_metric([kind], part.records.get(kind, 0))
    yield records
    yield _counter("depthscope_audit_failures", "Audit records that could not be written.", part.failures)
