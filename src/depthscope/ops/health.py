"""Health: a verdict on a snapshot, with reasons that say what to do. Pure: nothing is read here.

A verdict is the worst of its reasons: `failing` means that what the session is for does not happen
(no book is LIVE, nothing is recorded); `degraded` means that it happens worse than it should.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from depthscope.ops.redact import redact, redact_text
from depthscope.ops.snapshot import Snapshot  # noqa: TC001 - the schema is made of it at run time
from depthscope.storage.space import SpaceLimits, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depthscope.ops.snapshot import EnginePart, FeedPart, PagePart, ProcessPart, RecorderPart

__all__ = ["SCHEMA", "Health", "Level", "Limits", "Reason", "assess", "changes", "document", "json_schema"]

SCHEMA: Final = 2
SECOND: Final = 1_000_000_000
MiB: Final = 1 << 20
GiB: Final = 1 << 30

Level = Literal["ok", "degraded", "failing"]
_RANK: Final = {"ok": 0, "degraded": 1, "failing": 2}
_SPACE: Final = SpaceLimits()

Code = Literal[
    "session_failed", "stale", "syncing", "silent", "slow_feed", "lag", "clock_skew", "no_live_book",
    "record_failed", "record_queue", "not_durable", "disk_low", "disk_full", "disk_fills", "engine_behind",
    "engine_slow", "memory_growth", "page_slow", "page_stalled", "log_failed", "audit_failed",
    "watch_stalled",
]  # fmt: skip


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a figure becomes a reason. Durations in ns, sizes in bytes, rates as shares.

    Attributes
    ----------
    syncing_ns : int
        How long a book may take to be built.
    silent_floor_ns, silent_times : int
        A LIVE symbol is silent after the larger of the floor and so many of its usual intervals.
    rate_share : float
        Less than this share of the usual rate is too slow.
    lag_ns, clock_skew_ns : int
        99th percentile of lag; and how far the venue's clock and ours may be apart.
    queue_share_degraded, queue_share_failing : float
        Of the recorder's queue.
    durable_degraded_ns, durable_failing_ns : int
        How long an input may wait to be safe on the disk; the recorder means to need 200 ms.
    disk_degraded_bytes, disk_failing_bytes : int
        Room left; those below which recording warns and stops (`storage.space.SpaceLimits`).
    disk_degraded_seconds, disk_failing_seconds : float
        Time until recording stops for lack of room, at the present pace.
    engine_lag_ns, engine_latency_ns : int
        How far behind the engine may be, and 99th percentile from receiving events to having applied them.
    memory_growth : float
        Over the baseline, apart from histories of a bounded size.
    watch_ns : int
        How old a snapshot may be: the watch of a live session takes one a second.
    """

    syncing_ns: int = 30 * SECOND
    silent_floor_ns: int = 5 * SECOND
    silent_times: int = 20
    rate_share: float = 0.5
    lag_ns: int = 2 * SECOND
    clock_skew_ns: int = 5 * SECOND
    queue_share_degraded: float = 0.5
    queue_share_failing: float = 0.9
    durable_degraded_ns: int = SECOND
    durable_failing_ns: int = 5 * SECOND
    disk_degraded_bytes: int = _SPACE.low
    disk_failing_bytes: int = _SPACE.critical
    disk_degraded_seconds: float = 6 * 3600.0
    disk_failing_seconds: float = 600.0
    engine_lag_ns: int = SECOND
    engine_latency_ns: int = SECOND // 4
    memory_growth: float = 0.5
    watch_ns: int = 10 * SECOND


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is not as it should be.

    Attributes
    ----------
    level : str
        How bad it is: degraded or failing.
    code : str
        A fixed word for programs.
    about : str
        What it concerns: a symbol, or a part.
    text : str
        A sentence or two for people: what is wrong, and what to do.
    """

    level: Level
    code: Code
    about: str
    text: str


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verdict.

    Attributes
    ----------
    schema : int
        Version of this form.
    status : str
        The worst level of its reasons; ok without any.
    reasons : tuple of Reason
        The worst first.
    snapshot : Snapshot
        What it was judged from.
    """

    schema: int = SCHEMA
    status: Level
    reasons: tuple[Reason, ...]
    snapshot: Snapshot


_USUAL: Final = Limits()


def assess(snapshot: Snapshot, limits: Limits = _USUAL) -> Health:
    """Judge a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        Its `ts_ns` is the present.
    limits : Limits
        Where a figure becomes a reason.

    Returns
    -------
    Health
    """
    found: list[Reason] = []
    if snapshot.state == "failed" or snapshot.error:
        found.append(_reason("failing", "session_failed", "session", (
            f"The session has ended with an error: {snapshot.error or 'it is in the log'}. Correct what it "
            "says and start the session again."
        )))  # fmt: skip
    if snapshot.age_ns > limits.watch_ns:
        found.append(_reason("failing", "watch_stalled", "session", (
            f"Nobody has looked after the session for {_seconds(snapshot.age_ns)}: the rest of this was true "
            "then. Check the disk of the recording and of the audit log: a write to it may not return."
        )))  # fmt: skip
    for feed in snapshot.feeds:
        found += _feed(feed, snapshot.ts_ns, limits)
    found += _clock(snapshot.clock_skew_ns, limits)
    found += _no_live_book(snapshot, limits)
    if snapshot.recorder is not None:
        found += _recorder(snapshot.recorder, limits)
    if snapshot.engine is not None:
        found += _engine(snapshot.engine, limits)
    if snapshot.process is not None:
        found += _process(snapshot.process, limits)
    if snapshot.page is not None:
        found += _page(snapshot.page, limits)
    if snapshot.logs is not None and snapshot.logs.failures:
        found.append(_reason("degraded", "log_failed", "logs", (
            f"{snapshot.logs.failures:,} log records could not be written. Make room where the log file is, "
            "or name another one with the setting log_file."
        )))  # fmt: skip
    if snapshot.audit is not None and snapshot.audit.failures:
        found.append(_reason("failing", "audit_failed", "audit", (
            f"{snapshot.audit.failures:,} audit records could not be written, so decisions go unrecorded. "
            "Make room where the audit log is and check that disk."
        )))  # fmt: skip
    found.sort(key=lambda reason: -_RANK[reason.level])
    worst: Level = found[0].level if found else "ok"
    return Health(status=worst, reasons=tuple(found), snapshot=snapshot)


def changes(before: Health | None, after: Health) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """Reasons that have come, and those that have gone, from one verdict to the next.

    What is logged and audited of health is its changes. A reason is the same as long as its code,
    level and what it is about are; its text may tell other figures.

    Parameters
    ----------
    before : Health or None
        None at the start.
    after : Health

    Returns
    -------
    tuple of tuple of Reason
        (come, gone).
    """
    old = {} if before is None else {(r.code, r.level, r.about): r for r in before.reasons}
    new = {(r.code, r.level, r.about): r for r in after.reasons}
    come = tuple(reason for key, reason in new.items() if key not in old)
    return come, tuple(reason for key, reason in old.items() if key not in new)


def document(health: Health) -> dict[str, Any]:
    """JSON form of a verdict, as ``docs/health.schema.json`` describes it, without secrets."""
    plain: dict[str, Any] = redact(msgspec.to_builtins(health))
    return plain


def json_schema() -> dict[str, Any]:
    """JSON schema of :func:`document`."""
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Health)))
    for part in schema["$defs"].values():
        part["description"] = cleandoc(part["description"])  # Pythons differ in how they indent it
    return schema


def _reason(level: Level, code: Code, about: str, text: str) -> Reason:
    return Reason(level=level, code=code, about=redact_text(about), text=redact_text(text))


def _seconds(ns: float) -> str:
    """Write a duration for people."""
    seconds = ns / SECOND
    if abs(seconds) < 1:
        return f"{seconds * 1e3:,.0f} ms"
    return f"{seconds:,.1f} s" if abs(seconds) < 120 else f"{seconds / 60:,.0f} minutes"


def _size(size: float) -> str:
    """Write a size for people."""
    return f"{size / GiB:,.1f} GiB" if size >= GiB else f"{size / MiB:,.0f} MiB"


def _feed(feed: FeedPart, now: int, limits: Limits) -> Iterator[Reason]:
    about = f"{feed.feed} {feed.symbol}"
    since = now - feed.state_since_ns
    why = f" ({feed.reason})" if feed.reason else ""
    if feed.state == "STALE":
        if feed.reason.startswith("quarantined"):
            advice = "It stays so in this session: correct the symbol, or start the session again."
        elif feed.reason.startswith("no snapshot"):  # it says why, and knocking again may be the wrong thing
            advice = "It is asked for again by itself as soon as that makes sense."
        else:
            advice = (
                "It is rebuilt by itself; if it stays so, run `depthscope doctor --network` to see whether "
                "the venue answers."
            )
        yield _reason("degraded", "stale", about, (
            f"{about} is STALE for {_seconds(since)}{why}: nothing is derived from its book. {advice}"
        ))  # fmt: skip
    elif feed.state == "SYNCING" and since > limits.syncing_ns:
        yield _reason("degraded", "syncing", about, (
            f"{about} has been SYNCING for {_seconds(since)}{why}: its snapshot does not come or does not "
            "fit. Check the request weight left at the venue and that the symbol still trades."
        ))  # fmt: skip
    elif feed.state == "LIVE":
        yield from _live_feed(feed, about, now, limits)
    if feed.lag_p99_ns is not None and feed.lag_p99_ns > limits.lag_ns:
        yield _reason("degraded", "lag", about, (
            f"{about} arrives late: 1 % of its messages take more than {_seconds(feed.lag_p99_ns)}. "
            "Check the network path, this machine's load, and that its clock is synchronised."
        ))  # fmt: skip


def _clock(skew: int | None, limits: Limits) -> Iterator[Reason]:
    if skew is not None and abs(skew) > limits.clock_skew_ns:
        yield _reason("degraded", "clock_skew", "clock", (
            f"The venue's clock is {_seconds(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours. "
            "Synchronise this machine's clock (NTP); books are not affected, latencies are."
        ))  # fmt: skip


def _live_feed(feed: FeedPart, about: str, now: int, limits: Limits) -> Iterator[Reason]:
    patience = max(limits.silent_floor_ns, limits.silent_times * (feed.median_interval_ns or 0))
    age = None if feed.last_message_ns is None else now - feed.last_message_ns
    if age is not None and age > patience:
        yield _reason("degraded", "silent", about, (
            f"{about} has said nothing for {_seconds(age)}. The venue may be quiet; a stream that was heard "
            "for half a minute before is tried again by itself. If others speak, check the venue's status."
        ))  # fmt: skip
    elif feed.rate is not None and feed.expected_rate and feed.rate < limits.rate_share * feed.expected_rate:
        yield _reason("degraded", "slow_feed", about, (
            f"{about} gives {feed.rate:,.1f} messages a second where {feed.expected_rate:,.1f} are usual. "
            "A quiet market does that; if others are busy, check the subscription and the venue's status."
        ))  # fmt: skip


def _no_live_book(snapshot: Snapshot, limits: Limits) -> Iterator[Reason]:
    feeds = snapshot.feeds
    down = [
        feed.state == "STALE"
        or (feed.state == "SYNCING" and snapshot.ts_ns - feed.state_since_ns > limits.syncing_ns)
        for feed in feeds
    ]
    if feeds and all(down):
        yield _reason("failing", "no_live_book", "feeds", (
            f"None of {len(feeds):,} books is LIVE. Check this machine's network, then "
            "`depthscope doctor --network`; recording goes on and books are rebuilt when data come."
        ))  # fmt: skip


def _recorder(part: RecorderPart, limits: Limits) -> Iterator[Reason]:
    if part.stopped or part.lost:
        now = "Nothing is recorded at present" if part.stopped else "Recording goes on"
        said = f" (the last: {part.last_failure})" if part.last_failure else ""
        yield _reason("failing", "record_failed", "recorder", (
            f"{now}; {part.lost:,} inputs are missing from the capture. Times it has stopped: "
            f"{part.failures:,}{said}. Make room, check the disk, and look at what was kept with `depthscope "
            "doctor FOLDER`."
        ))  # fmt: skip
    share = part.queue_bytes / max(part.queue_limit_bytes, 1)
    if share >= limits.queue_share_degraded:
        level: Level = "failing" if share >= limits.queue_share_failing else "degraded"
        yield _reason(level, "record_queue", "recorder", (
            f"{_size(part.queue_bytes)} wait to be recorded, of {_size(part.queue_limit_bytes)} that may: "
            "the disk is slower than the market. Record to a faster disk or follow fewer symbols."
        ))  # fmt: skip
    # While nothing is recorded, what came meanwhile is missing, not on its way: that is told above.
    age = None if part.stopped else part.durable_age_ns
    if age is not None and age > limits.durable_degraded_ns:
        level = "failing" if age > limits.durable_failing_ns else "degraded"
        yield _reason(level, "not_durable", "recorder", (
            f"The oldest input not yet safe on the disk has waited {_seconds(age)}; a power cut would lose "
            "that much. Look for another program that uses this disk, or record to another one."
        ))  # fmt: skip
    yield from _disk(part, limits)


def _disk(part: RecorderPart, limits: Limits) -> Iterator[Reason]:
    free = part.disk_free_bytes
    if free is None:
        return
    resume = ended(limits.disk_failing_bytes)
    if free < (resume if part.stopped else limits.disk_failing_bytes):
        yield _reason("failing", "disk_full", "disk", (
            f"Only {_size(free)} are left where this session records: recording has stopped until "
            f"{resume / GiB:,.2f} GiB are free. Move or archive old captures now; the session goes on."
        ))  # fmt: skip
        return
    if free < limits.disk_degraded_bytes:
        yield _reason("degraded", "disk_low", "disk", (
            f"{_size(free)} are left where this session records; below {_size(limits.disk_failing_bytes)} "
            "recording stops. Move or archive old captures."
        ))  # fmt: skip
    if part.bytes_per_second and part.bytes_per_second > 0:
        left = (free - limits.disk_failing_bytes) / part.bytes_per_second
        if left < limits.disk_degraded_seconds:
            level: Level = "failing" if left < limits.disk_failing_seconds else "degraded"
            yield _reason(level, "disk_fills", "disk", (
                f"At {part.bytes_per_second / MiB:,.2f} MiB a second recording stops for lack of room in "
                f"{_seconds(left * SECOND)}. Move or archive old captures before that."
            ))  # fmt: skip


def _engine(part: EnginePart, limits: Limits) -> Iterator[Reason]:
    if part.lag_ns > limits.engine_lag_ns:
        yield _reason("degraded", "engine_behind", "engine", (
            f"The engine is {_seconds(part.lag_ns)} behind its inputs. Follow fewer symbols, choose fewer "
            "features, or end other programs on this machine."
        ))  # fmt: skip
    slow = part.latency.p99_ns
    if slow is not None and slow > limits.engine_latency_ns:
        yield _reason("degraded", "engine_slow", "engine", (
            f"In 1 % of cases more than {_seconds(slow)} go by from receiving events to having applied them. "
            "Follow fewer symbols or choose fewer features; `depthscope warmup` keeps compiling out of the "
            "session."
        ))  # fmt: skip


def _process(part: ProcessPart, limits: Limits) -> Iterator[Reason]:
    if part.growth is not None and part.growth > limits.memory_growth:
        yield _reason("degraded", "memory_growth", "process", (
            f"Apart from histories, memory has grown by {part.growth:.0%} over its baseline of "
            f"{_size(part.baseline_bytes or 0)}; with them the process holds {_size(part.rss_bytes or 0)}. "
            "Restart the session at a quiet moment and report it with this document: memory is meant to stay "
            "bounded."
        ))  # fmt: skip


def _page(part: PagePart, limits: Limits) -> Iterator[Reason]:
    slow = (
        part.clients
        and part.rate is not None
        and part.expected_rate
        and part.rate < limits.rate_share * part.expected_rate
    )
    if slow:
        yield _reason("degraded", "page_slow", "page", (
            f"The page gets {part.rate:,.1f} updates a second of {part.expected_rate:,.0f}. Lower the "
            "setting page_hz, follow fewer symbols, or end other programs on this machine."
        ))  # fmt: skip
    if part.stalled:
        yield _reason("degraded", "page_stalled", "page", (
            f"{part.stalled:,} of {part.clients:,} pages are too slow to follow and are caught up instead. "
            "Close pages nobody looks at; the feed is not slowed."
        ))  # fmt: skip
