"""LiveWatch: looks after a live session once a second: health, room on the disk, recording, audit, log."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec

from depthscope.errors import OutputError, RecordingFailed
from depthscope.ops.audit import AuditWriter, config_hash
from depthscope.ops.health import Limits, assess, changes
from depthscope.ops.logs import STATE_OF, log_part
from depthscope.ops.meters import BacklogAge, LatencyHistogram, MemoryWatch, RateWatch
from depthscope.ops.process import release_memory, resident_bytes, settle_memory
from depthscope.ops.snapshot import EnginePart, FeedPart, LatencyPart, ProcessPart, RecorderPart, Snapshot
from depthscope.runtime.status import Status
from depthscope.storage.space import SpaceLevel, SpaceLimits, SpaceWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from depthscope.config import Settings
    from depthscope.market.inputs import Notice
    from depthscope.ops.health import Health, Reason
    from depthscope.runtime.live import LiveFeed
    from depthscope.storage.capture import CaptureWriter
    from depthscope.storage.space import SpaceStatus

__all__ = ["LiveWatch"]

EVERY: Final = 1.0  # seconds between two looks
AGAIN_NS: Final = 30_000_000_000  # between attempts to record again after a failure
RELEASE_NS: Final = 30_000_000_000  # between gifts of freed memory to the system
SHOWN: Final = ("depth", "aggTrade", "bookTicker", "markPrice")

_log = logging.getLogger("depthscope.live")


class LiveWatch:
    """Looks after one live session, in a thread of its own.

    Parameters
    ----------
    feed : LiveFeed
    settings : Settings
        Those in force; their hash stands in the audit log.
    status : callable, optional
        Where the session stands; by default that of a feed nobody computes from.
    audit : Path, optional
        Folder of the audit log: a record a transition, alarm, and reason of health that comes or goes.
    space : SpaceLimits, optional
        Free bytes on the disk of the recording below which it warns, and stops recording.
    filling : callable
        Bytes of bounded histories in use so far: memory that grows as it should is no leak.

    Attributes
    ----------
    latency : LatencyHistogram
        From receiving the newest of some events to having applied them, for whoever applies to fill.
    """

    def __init__(
        self,
        feed: LiveFeed,
        settings: Settings,
        *,
        status: Callable[[], Status] | None = None,
        audit: Path | None = None,
        space: SpaceLimits | None = None,
        filling: Callable[[], int] = lambda: 0,
    ) -> None:
        self.feed = feed
        self.latency = LatencyHistogram()
        self._status = status or (lambda: Status("live", state="playing"))
        self._config = config_hash(settings)
        self._filling = filling
        self._began = time.monotonic_ns()
        self._memory, self._backlog, self._bytes = MemoryWatch(), BacklogAge(), RateWatch()
        self._rates: dict[str, RateWatch] = {}
        self._notices: deque[Notice] = deque()
        self._tried = 0
        self._released = time.monotonic_ns()
        self._settled = False
        self._failure: RecordingFailed | None = None  # the last one of the recorder
        self._failures = 0
        self._segment: Path | None = None
        self._written = self._size = 0  # bytes of the segments before, and of the present one
        recorder, space = feed.recorder, space or SpaceLimits()
        self._limits = Limits(disk_degraded_bytes=space.low, disk_failing_bytes=space.critical)
        self._space = (
            None
            if recorder is None
            else SpaceWatch(recorder.folder, space, writer=recorder, on_change=self._room)
        )
        self._audit = None if audit is None else AuditWriter(audit, self._config, time.time_ns())
        self._health: Health | None = None
        self.snapshot = self._empty()
        self._looked = time.monotonic_ns()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="depthscope-watch", daemon=True)

    def __enter__(self) -> LiveWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        if self._audit is not None:
            self._audit_notices()
            self._write("session", {"event": "ended", "reason": "" if error is None else str(error)})
            self._audit.close()

    def hear(self, notice: Notice) -> None:
        """Take a notice of the feed, in its thread: it is logged at once and audited by the watch."""
        self._notices.append(notice)
        bad = notice.state in ("STALE", "alarm")
        usual = logging.INFO if notice.state or notice.about == "link" else logging.DEBUG
        said = " ".join(word for word in (notice.about, notice.state) if word)
        # As it is, not as an argument of "%s": what is said too often is held back, each for itself.
        extra = {"symbol": notice.subject, "reason": notice.reason}
        if notice.about in ("book", "tape"):
            extra[STATE_OF] = f"{notice.about} {notice.subject}"
        _log.log(logging.WARNING if bad else usual, said, extra=extra)

    def told(self) -> Snapshot:
        """The latest snapshot, with its age: a watch that hangs must not look as if all were well."""
        age = time.monotonic_ns() - self._looked
        return msgspec.structs.replace(self.snapshot, age_ns=age if age > 2e9 * EVERY else 0)

    # -- once a second ------------------------------------------------------------------------

    def _run(self) -> None:
        self._write(
            "session", {"event": "started", "venue": self.feed.venue, "symbols": list(self.feed.symbols)}
        )
        while not self._stop.wait(EVERY):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - it must go on looking, whatever it stumbles over
                _log.warning(
                    "the watch could not look: %s", type(error).__name__, extra={"reason": str(error)}
                )

    def _look(self) -> None:
        self._keep_recording()
        if not self._settled and self._status().state == "playing":
            self._settled = True
            settle_memory()
        if time.monotonic_ns() - self._released >= RELEASE_NS:
            self._released = time.monotonic_ns()
            release_memory()
        snapshot = self.snapshot = self._picture()
        self._looked = time.monotonic_ns()
        health = assess(snapshot, self._limits)
        come, gone = changes(self._health, health)
        self._health = health
        for reason in gone:  # first: one that has become worse goes and comes
            _log.info(
                "health: no longer: %s", reason.text, extra={"symbol": reason.about, "code": reason.code}
            )
            self._alert(reason, over=True)
        for reason in come:
            _log.warning("health: %s", reason.text, extra={"symbol": reason.about, "code": reason.code})
            self._alert(reason, over=False)
        self._audit_notices()
        if self._audit is not None:
            with contextlib.suppress(OutputError):  # said where it is written; tried again at the next look
                self._audit.tick(time.time_ns())

    def _alert(self, reason: Reason, *, over: bool) -> None:
        self._write("alert", {
            "code": reason.code, "level": reason.level, "about": reason.about, "over": over,
            "text": reason.text,
        })  # fmt: skip

    def _audit_notices(self) -> None:
        while self._notices:
            notice = self._notices.popleft()
            if notice.state:
                self._write("transition", {
                    "about": notice.about, "subject": notice.subject, "state": notice.state,
                    "reason": notice.reason, "at": notice.ts,
                })  # fmt: skip

    def _keep_recording(self) -> None:
        """Stop recording before the disk is full; after a failure, try again now and then."""
        recorder, space = self.feed.recorder, self._space
        if recorder is None or space is None:
            return
        try:
            critical = space.poll().level == SpaceLevel.CRITICAL
        except OSError as error:
            _log.warning("the disk of the recording cannot be looked at", extra={"reason": str(error)})
            critical = False
        self._count_failure(recorder)  # before it is tried again
        now = time.monotonic_ns()
        if recorder.failure is not None and not critical and now - self._tried >= AGAIN_NS:
            self._tried = now
            with contextlib.suppress(RecordingFailed):  # it was closed meanwhile
                recorder.resume()
                _log.info("recording is tried again")

    def _room(self, status: SpaceStatus) -> None:
        """Log that another level of room on the disk was reached."""
        level = logging.INFO if status.level == SpaceLevel.ENOUGH else logging.WARNING
        _log.log(level, "the disk of the recording: %s", status)

    def _count_failure(self, recorder: CaptureWriter) -> None:
        failure = recorder.failure
        if failure is not None and failure is not self._failure:
            self._failure = failure
            self._failures += 1

    def _write(self, kind: Any, data: dict[str, Any]) -> None:
        if self._audit is None:
            return
        try:
            self._audit.write(kind, data, time.time_ns())
        except OutputError as error:
            _log.warning("the audit log cannot be written", extra={"reason": str(error)})

    # -- the snapshot -------------------------------------------------------------------------

    def _empty(self) -> Snapshot:
        return Snapshot(
            ts_ns=time.time_ns(), uptime_ns=0, mode="live", state="connecting", version=version("depthscope"),
            config=self._config,
        )  # fmt: skip

    def _picture(self) -> Snapshot:
        now, mono, status = self.feed.clock.receive_time(), time.monotonic_ns(), self._status()
        self._memory.observe(mono, resident_bytes(), self._filling())
        told = self.feed.health()
        # While its thread is busy, what was known last still stands, and ages.
        busy = not told and not self.feed.ended
        return Snapshot(
            ts_ns=now,
            uptime_ns=mono - self._began,
            mode="live",
            state=status.state,
            error=status.error or "",
            version=version("depthscope"),
            config=self._config,
            clock_skew_ns=told.get("skew", self.snapshot.clock_skew_ns),
            feeds=self.snapshot.feeds if busy else self._feeds(told, now, mono),
            recorder=self._recorder(mono),
            engine=EnginePart(
                events=status.events,
                events_per_second=status.events_per_sec,
                lag_ns=int(status.lag_ms * 1e6),
                latency=LatencyPart.of(self.latency),
            ),
            process=ProcessPart.of(self._memory),
            logs=log_part(),
            audit=None if self._audit is None else self._audit.part(),
        )

    def _feeds(self, told: dict[str, Any], now: int, mono: int) -> tuple[FeedPart, ...]:
        reconnects = self.feed.feed.figures.get("connections lost", 0)
        rejected = sum(told.get("rejected", {}).values())
        parts = []
        for name, one in told.get("symbols", {}).items():
            streams = [one["streams"][kind] for kind in SHOWN if kind in one["streams"]]
            depth = one["streams"].get("depth", {})
            ages = [stream["age"] for stream in streams if stream["age"] is not None]
            messages = sum(stream["messages"] for stream in streams)
            rate = self._rates.setdefault(name, RateWatch())
            rate.observe(mono, messages)
            parts.append(
                FeedPart(
                    feed=self.feed.venue,
                    symbol=name,
                    state=one["state"],
                    reason="" if one["state"] == "LIVE" else one["reason"],
                    state_since_ns=one["since"],
                    last_message_ns=now - min(ages) if ages else None,
                    median_interval_ns=depth.get("median"),
                    rate=rate.rate,
                    expected_rate=rate.expected,
                    messages=messages,
                    gaps=one["gaps"],
                    resyncs=one["resyncs"],
                    reconnects=reconnects,
                    rejected=rejected,
                    lag_p50_ns=depth.get("lag_p50"),
                    lag_p99_ns=depth.get("lag_p99"),
                )
            )
        return tuple(parts)

    def _recorder(self, mono: int) -> RecorderPart | None:
        recorder = self.feed.recorder
        if recorder is None:
            return None
        path = recorder.path
        with contextlib.suppress(OSError):  # a segment that is just being begun
            size = 0 if path is None else path.stat().st_size
            if path != self._segment:
                self._written += self._size
                self._segment = path
            self._size = size
            self._bytes.observe(mono, self._written + size)
        self._count_failure(recorder)
        space = None if self._space is None else self._space.status
        return RecorderPart(
            queue_bytes=recorder.waiting,
            queue_limit_bytes=recorder.most_waiting,
            written=recorder.sequence - recorder.lost,
            durable=recorder.acknowledged,
            durable_age_ns=self._backlog.observe(mono, recorder.sequence, recorder.acknowledged),
            lost=recorder.lost,
            stopped=recorder.failure is not None,
            failures=self._failures,
            last_failure="" if self._failure is None else str(self._failure),
            disk_free_bytes=None if space is None else space.free,
            bytes_per_second=self._bytes.rate,
        )
