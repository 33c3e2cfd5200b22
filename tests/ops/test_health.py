"""Health: each figure at its limit and beyond, the verdict, and the pinned JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from depthscope.ops.health import Limits, assess, changes, document, json_schema
from depthscope.ops.meters import LatencyHistogram, MemoryWatch
from depthscope.ops.snapshot import (
    AuditPart,
    EnginePart,
    FeedPart,
    LatencyPart,
    LogPart,
    PagePart,
    ProcessPart,
    RecorderPart,
    Snapshot,
)
from depthscope.storage.space import SpaceLimits

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
GIB = 1 << 30
PINNED = Path(__file__).resolve().parents[2] / "docs" / "health.schema.json"


def snapshot(**parts: Any) -> Snapshot:
    return Snapshot(ts_ns=NOW, uptime_ns=3600 * SECOND, mode="live", version="0.1.0", config="ab12", **parts)


def feed(**fields: Any) -> FeedPart:
    usual = {"feed": "binance", "symbol": "BTCUSDT", "state": "LIVE", "state_since_ns": NOW - 600 * SECOND}
    return FeedPart(**(usual | {"last_message_ns": NOW - SECOND // 10, "messages": 5} | fields))


def codes(**parts: Any) -> list[tuple[str, str]]:
    return [(reason.code, reason.level) for reason in assess(snapshot(**parts)).reasons]


GOOD: dict[str, Any] = {
    "clock_skew_ns": -3_000_000,
    "feeds": (
        feed(
            median_interval_ns=SECOND // 10, rate=10.0, expected_rate=10.0, lag_p50_ns=10**7, lag_p99_ns=10**8
        ),
        feed(symbol="ETHUSDT"),
    ),
    "recorder": RecorderPart(
        queue_bytes=3,
        queue_limit_bytes=1000,
        durable_age_ns=10**8,
        disk_free_bytes=90 * GIB,
        bytes_per_second=1e5,
    ),
    "engine": EnginePart(events=10, latency=LatencyPart(count=1, p99_ns=10**6)),
    "process": ProcessPart(rss_bytes=10**8, baseline_bytes=10**8, growth=0.0),
    "page": PagePart(clients=2, rate=19.5, expected_rate=20.0),
    "logs": LogPart(records={"info": 3}, suppressed=9),
    "audit": AuditPart(records={"alert": 2}, sequence=2),
}


def test_all_well() -> None:
    health = assess(snapshot(**GOOD))
    assert (health.status, health.reasons) == ("ok", ())


def test_nothing_runs_nothing_is_wrong() -> None:
    assert assess(snapshot()).status == "ok"


@dataclass(frozen=True)
class Case:
    """One figure at its limit (nothing said) and just beyond it (said)."""

    name: str
    good: dict[str, Any]
    bad: dict[str, Any]
    said: tuple[str, str]


def feeds(**fields: Any) -> dict[str, Any]:
    return {"feeds": (feed(**fields), feed(symbol="ETHUSDT"))}


def recorder(**fields: Any) -> dict[str, Any]:
    return {"recorder": RecorderPart(**fields)}


def engine(**fields: Any) -> dict[str, Any]:
    return {"engine": EnginePart(**fields)}


D, F = "degraded", "failing"
CASES = [
    Case("stale", feeds(), feeds(state="STALE", reason="gap"), ("stale", D)),
    Case(
        "syncing",
        feeds(state="SYNCING", state_since_ns=NOW - 30 * SECOND),
        feeds(state="SYNCING", state_since_ns=NOW - 30 * SECOND - 1),
        ("syncing", D),
    ),
    Case(
        "silent, floor",
        feeds(last_message_ns=NOW - 5 * SECOND, median_interval_ns=SECOND // 10),
        feeds(last_message_ns=NOW - 5 * SECOND - 1, median_interval_ns=SECOND // 10),
        ("silent", D),
    ),
    Case(
        "silent, quiet symbol",
        feeds(last_message_ns=NOW - 40 * SECOND, median_interval_ns=2 * SECOND),
        feeds(last_message_ns=NOW - 40 * SECOND - 1, median_interval_ns=2 * SECOND),
        ("silent", D),
    ),
    Case(
        "slow feed",
        feeds(rate=5.0, expected_rate=10.0),
        feeds(rate=4.99, expected_rate=10.0),
        ("slow_feed", D),
    ),
    Case("lag", feeds(lag_p99_ns=2 * SECOND), feeds(lag_p99_ns=2 * SECOND + 1), ("lag", D)),
    Case("nobody looks", {"age_ns": 10 * SECOND}, {"age_ns": 10 * SECOND + 1}, ("watch_stalled", F)),
    Case("clock ahead", {"clock_skew_ns": 5 * SECOND}, {"clock_skew_ns": 5 * SECOND + 1}, ("clock_skew", D)),
    Case(
        "clock behind", {"clock_skew_ns": -5 * SECOND}, {"clock_skew_ns": -5 * SECOND - 1}, ("clock_skew", D)
    ),
    Case(
        "not recording",
        recorder(failures=3, last_failure="disk"),
        recorder(failures=3, last_failure="disk", stopped=True),
        ("record_failed", F),
    ),
    Case("lost", recorder(), recorder(lost=3), ("record_failed", F)),
    Case(
        "queue",
        recorder(queue_bytes=49, queue_limit_bytes=100),
        recorder(queue_bytes=50, queue_limit_bytes=100),
        ("record_queue", D),
    ),
    Case("queue full", recorder(), recorder(queue_bytes=90, queue_limit_bytes=100), ("record_queue", F)),
    Case(
        "durable",
        recorder(durable_age_ns=SECOND),
        recorder(durable_age_ns=SECOND + 1),
        ("not_durable", D),
    ),
    Case("durable late", recorder(), recorder(durable_age_ns=5 * SECOND + 1), ("not_durable", F)),
    Case(
        "disk low", recorder(disk_free_bytes=5 * GIB), recorder(disk_free_bytes=5 * GIB - 1), ("disk_low", D)
    ),
    Case("disk full", recorder(), recorder(disk_free_bytes=GIB - 1), ("disk_full", F)),
    Case(
        "disk fills",
        recorder(disk_free_bytes=37 * GIB, bytes_per_second=36 * GIB / 21_600),
        recorder(disk_free_bytes=37 * GIB, bytes_per_second=36 * GIB / 21_599),
        ("disk_fills", D),
    ),
    Case(
        "disk fills soon",
        recorder(disk_free_bytes=37 * GIB, bytes_per_second=-5.0),
        recorder(disk_free_bytes=37 * GIB, bytes_per_second=36 * GIB / 599),
        ("disk_fills", F),
    ),
    Case("engine behind", engine(lag_ns=SECOND), engine(lag_ns=SECOND + 1), ("engine_behind", D)),
    Case(
        "engine slow",
        engine(latency=LatencyPart(p99_ns=250_000_000)),
        engine(latency=LatencyPart(p99_ns=250_000_001)),
        ("engine_slow", D),
    ),
    Case(
        "memory",
        {"process": ProcessPart(rss_bytes=150, baseline_bytes=100, growth=0.5)},
        {"process": ProcessPart(rss_bytes=151, baseline_bytes=100, growth=0.51)},
        ("memory_growth", D),
    ),
    Case(
        "page",
        {"page": PagePart(clients=1, rate=10.0, expected_rate=20.0)},
        {"page": PagePart(clients=1, rate=9.9, expected_rate=20.0)},
        ("page_slow", D),
    ),
    Case(
        "page unseen",
        {"page": PagePart(clients=0, rate=1.0, expected_rate=20.0)},
        {"page": PagePart(clients=3, stalled=1)},
        ("page_stalled", D),
    ),
    Case("logs", {"logs": LogPart()}, {"logs": LogPart(failures=1)}, ("log_failed", D)),
    Case("audit", {"audit": AuditPart()}, {"audit": AuditPart(failures=1)}, ("audit_failed", F)),
    Case("session", {"state": "paused"}, {"state": "failed", "error": "no file"}, ("session_failed", F)),
    Case("session broke off", {"state": "ended"}, {"state": "ended", "error": "cut"}, ("session_failed", F)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_figure_at_its_limit_and_beyond(case: Case) -> None:
    assert codes(**case.good) == []
    assert codes(**case.bad) == [case.said]
    health = assess(snapshot(**case.bad))
    assert health.status == case.said[1]
    (reason,) = health.reasons
    assert reason.text.endswith(".") and len(reason.text) > 60, "a sentence that says what to do"
    assert "None" not in reason.text


def said(**parts: Any) -> str:
    return " ".join(reason.text for reason in assess(snapshot(**parts)).reasons)


def test_what_a_reason_says() -> None:
    assert "recording has stopped until 1.25 GiB are free" in said(**recorder(disk_free_bytes=GIB - 1))
    waiting = said(**recorder(disk_free_bytes=GIB + 1, stopped=True))  # it does not go on at once
    assert "recording has stopped until 1.25 GiB are free" in waiting
    assert "below 1.0 GiB recording stops" in said(**recorder(disk_free_bytes=2 * GIB, stopped=True))
    assert "below 1.0 GiB recording stops" in said(**recorder(disk_free_bytes=4 * GIB))
    assert "Nothing is recorded at present" in said(**recorder(stopped=True, lost=3))
    assert "Recording goes on" in said(**recorder(lost=3))
    assert "6.0 s behind ours" in said(clock_skew_ns=-6 * SECOND)
    assert "6.0 s ahead of ours" in said(clock_skew_ns=6 * SECOND)
    assert "Apart from histories" in said(process=ProcessPart(rss_bytes=9, baseline_bytes=5, growth=0.6))


def test_room_is_judged_as_the_recorder_judges_it() -> None:
    space, limits = SpaceLimits(), Limits()
    assert (limits.disk_degraded_bytes, limits.disk_failing_bytes) == (space.low, space.critical)


def test_no_live_book_at_all_is_a_failure() -> None:
    stale = feed(state="STALE")
    assert codes(feeds=(stale, feed(state="SYNCING", state_since_ns=NOW - SECOND))) == [("stale", "degraded")]
    found = codes(feeds=(stale, feed(state="SYNCING", state_since_ns=NOW - 31 * SECOND)))
    assert found == [("no_live_book", "failing"), ("stale", "degraded"), ("syncing", "degraded")]
    assert codes(feeds=(feed(state="SYNCING", state_since_ns=NOW - SECOND),)) == [], "a start is no failure"


def test_the_worst_comes_first_and_limits_are_the_users() -> None:
    parts = feeds(state="STALE") | recorder(lost=2)
    assert [level for _, level in codes(**parts)] == ["failing", "degraded"]
    strict = Limits(memory_growth=0.01)
    part = ProcessPart(rss_bytes=102, baseline_bytes=100, growth=0.02)
    assert assess(snapshot(process=part), strict).status == "degraded"
    assert assess(snapshot(process=part)).status == "ok"


def test_parts_are_read_from_meters() -> None:
    histogram, memory = LatencyHistogram(), MemoryWatch(0, 0)
    for ns in (500, 1024, 1025, 10**12):
        histogram.record(ns)
    part = LatencyPart.of(histogram)
    assert part.at_most[:2] == (2, 3)
    assert part.at_most[-1] == 3
    assert (part.count, part.max_ns, part.total_ns) == (4, 10**12, 500 + 1024 + 1025 + 10**12)
    memory.observe(0, 100)
    memory.observe(1, 160)
    assert codes(process=ProcessPart.of(memory)) == [("memory_growth", "degraded")]


@pytest.mark.parametrize("parts", [GOOD, {}, feeds(state="STALE") | recorder(stopped=True)])
def test_the_json_form_is_as_pinned(parts: dict[str, Any]) -> None:
    pinned = json.loads(PINNED.read_text(encoding="utf-8"))
    assert json_schema() == pinned, "a change of the form needs a new SCHEMA number and a new file"
    told = json.loads(json.dumps(document(assess(snapshot(**parts)))))
    jsonschema.Draft202012Validator.check_schema(pinned)
    jsonschema.Draft202012Validator(pinned).validate(told)
    assert told["schema"] == 2


def test_snapshots_are_read_strictly() -> None:
    raw = msgspec.json.encode(snapshot(**GOOD))
    assert msgspec.json.decode(raw, type=Snapshot) == snapshot(**GOOD)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw.replace(b'"mode"', b'"made"'), type=Snapshot)


def test_what_is_missing_does_not_wait_for_the_disk() -> None:
    told = codes(**recorder(stopped=True, lost=7, failures=1, durable_age_ns=60 * SECOND))
    assert told == [("record_failed", F)]


def test_a_ban_is_not_answered_with_more_requests() -> None:
    def advice(reason: str) -> str:
        health = assess(snapshot(feeds=(feed(state="STALE", reason=reason), feed(symbol="ETHUSDT"))))
        return next(one.text for one in health.reasons if one.code == "stale")

    assert "doctor" in advice("pu 3 does not follow u 1")
    assert "doctor" not in advice("no snapshot: the venue has banned this address (418)")


def test_reasons_hold_no_secret() -> None:
    health = assess(snapshot(feeds=(feed(state="STALE", reason="GET /x?signature=abcdef123"),)))
    assert "abcdef123" not in health.reasons[0].text


def test_what_has_come_and_gone() -> None:
    def codes_of(reasons: Any) -> list[str]:
        return [f"{reason.code} {reason.about}" for reason in reasons]

    good = assess(snapshot(**GOOD))
    stale = assess(snapshot(feeds=(feed(state="STALE", reason="gap"), feed(symbol="ETHUSDT"))))
    longer = assess(
        snapshot(feeds=(feed(state="STALE", state_since_ns=NOW - 900 * SECOND), feed(symbol="ETHUSDT")))
    )
    other = assess(snapshot(feeds=(feed(), feed(symbol="ETHUSDT", state="STALE"))))
    come, gone = changes(None, stale)
    assert (codes_of(come), gone) == (["stale binance BTCUSDT"], ())
    assert changes(stale, longer) == ((), ()), "another figure is no change"
    come, gone = changes(longer, other)
    assert (codes_of(come), codes_of(gone)) == (["stale binance ETHUSDT"], ["stale binance BTCUSDT"])
    assert codes_of(changes(other, good)[1]) == ["stale binance ETHUSDT"]


def test_a_quarantined_symbol_is_not_said_to_come_back() -> None:
    (lost,), (wrong,) = (
        [reason.text for reason in assess(snapshot(**feeds(state="STALE", reason=why))).reasons]
        for why in ("gap", "quarantined: the venue does not list it")
    )
    assert "rebuilt by itself" in lost
    assert "rebuilt" not in wrong
    assert "correct the symbol" in wrong
