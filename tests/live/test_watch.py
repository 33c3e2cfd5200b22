"""Who looks after a live session: what it knows, what it does about the disk, what it writes down."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from depthscope.market.inputs import Notice
from depthscope.ops import watch as watching
from depthscope.ops.audit import read_audit, verify_audit
from depthscope.ops.health import Limits, assess
from depthscope.ops.logs import setup_logging
from depthscope.ops.watch import LiveWatch
from depthscope.runtime.live import LiveFeed
from depthscope.runtime.status import Status
from depthscope.storage.capture import verify
from depthscope.storage.disk import DISK
from depthscope.storage.space import SpaceLimits
from tests.live.venue import Venue


def wait_for(what: object, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_sound_session_is_ok_and_audited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "depthscope.live")
    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES", "SYN3"], settings=venue.settings, record=tmp_path)
        watch = LiveWatch(feed, venue.settings, audit=tmp_path / "audit")
        feed.on_notice = watch.hear
        feed.start()
        with watch:
            wait_for(lambda: [f.state for f in watch.snapshot.feeds] == ["LIVE", "LIVE"])
            wait_for(lambda: watch.snapshot.recorder is not None and watch.snapshot.recorder.durable > 50)
            # A disk that is busy with other tests may keep an input waiting for a second.
            wait_for(lambda: assess(watch.snapshot).status == "ok")
            venue.inject("refuse@0s+4s")
            venue.inject("disconnect:public@0s")
            wait_for(lambda: "STALE" in [f.state for f in watch.snapshot.feeds])
            told = assess(watch.snapshot)
            assert told.status != "ok"
            assert any("connection lost" in reason.text for reason in told.reasons)
            wait_for(lambda: [f.state for f in watch.snapshot.feeds] == ["LIVE", "LIVE"])
            assert all(f.gaps == 1 for f in watch.snapshot.feeds)
            feed.stop()
    records = list(read_audit(tmp_path / "audit"))
    report = verify_audit(tmp_path / "audit")
    assert report.records == len(records)
    assert not report.damage
    assert [records[0].data["event"], records[-1].data["event"]] == ["started", "ended"]
    moves = [r.data for r in records if r.kind == "transition" and r.data["about"] == "book"]
    assert [m["state"] for m in moves if m["subject"] == "SYNES"] == ["SYNCING", "LIVE", "STALE", "LIVE"]
    alerts = [(r.data["level"], r.data["over"]) for r in records if r.kind == "alert"
              and (r.data["code"], r.data["about"]) == ("stale", "binance SYNES")]  # fmt: skip
    # On a slow machine the connection may stay away long enough for it to become worse meanwhile.
    assert alerts[0] == ("degraded", False)
    assert [over for _, over in alerts] == [False, True] * (len(alerts) // 2)
    assert any(
        record.levelno == logging.WARNING and "STALE" in record.getMessage() for record in caplog.records
    )
    assert json.dumps([r.data for r in records])


def test_recording_stops_before_the_disk_is_full_and_the_session_goes_on(tmp_path: Path) -> None:
    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings, record=tmp_path)
        feed.start()
        with LiveWatch(feed, venue.settings, space=SpaceLimits(low=1 << 60, critical=1 << 60)) as watch:
            recorder = feed.recorder
            assert recorder is not None
            wait_for(lambda: recorder.failure is not None)
            assert "recording has stopped until 1,342,177,280.00 GiB are free" in str(recorder.failure)
            wait_for(lambda: [f.state for f in watch.snapshot.feeds] == ["LIVE"])
            wait_for(lambda: recorder.lost > 20)
            assert assess(watch.snapshot).status == "failing"
            assert len(feed.take(1.0))
            feed.stop()
    assert verify(tmp_path).sound


def test_little_room_is_told_before_recording_stops(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings, record=tmp_path)
        feed.start()
        watch = LiveWatch(
            feed, venue.settings, audit=tmp_path / "audit", space=SpaceLimits(low=1 << 60, critical=1)
        )
        with watch:
            wait_for(lambda: any("make room" in record.getMessage() for record in caplog.records))
            wait_for(lambda: watch.snapshot.recorder is not None and watch.snapshot.recorder.durable > 20)
            feed.stop()
    assert "disk_low" in [r.data["code"] for r in read_audit(tmp_path / "audit") if r.kind == "alert"]


def test_every_failure_of_the_recorder_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AGAIN_NS", 0)
    real, broken = DISK.write_all, [0]

    def write_all(descriptor: int, data: bytes) -> None:
        if broken[0]:
            broken[0] -= 1
            raise OSError(5, "Input/output error")
        real(descriptor, data)

    monkeypatch.setattr(DISK, "write_all", write_all)
    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings, record=tmp_path)
        feed.start()
        with LiveWatch(feed, venue.settings) as watch:
            for count in (1, 2):
                broken[0] = 1
                wait_for(lambda count=count: (part := watch.snapshot.recorder) and part.failures == count)
                wait_for(lambda: (part := watch.snapshot.recorder) and not part.stopped)
            part = watch.snapshot.recorder
            assert part is not None and "Input/output error" in part.last_failure
            feed.stop()
    assert verify(tmp_path).sound


def test_clocks_apart_and_lost_log_records_are_told(tmp_path: Path) -> None:
    with Venue(["skew=1h@0s"]) as venue, setup_logging(console=Broken()):
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings)
        feed.on_notice = (watch := LiveWatch(feed, venue.settings)).hear
        feed.start()
        with watch:
            wait_for(lambda: {"clock_skew", "log_failed"} <= {r.code for r in assess(watch.snapshot).reasons})
            feed.stop()
    assert watch.snapshot.clock_skew_ns == pytest.approx(3600e9, abs=5e9)


def test_a_watch_that_hangs_is_no_sound_session() -> None:
    """As in a write to a disk that does not answer: the last picture would stand for ever."""
    going, hung = threading.Event(), threading.Event()
    going.set()

    def status() -> Status:
        if not going.is_set():
            hung.set()
            going.wait()
        return Status("live", state="playing")

    with Venue() as venue:
        feed = LiveFeed("binance", ["SYNES"], settings=venue.settings)
        watch = LiveWatch(feed, venue.settings, status=status)
        feed.start()
        with watch:
            wait_for(lambda: [f.state for f in watch.snapshot.feeds] == ["LIVE"])
            assert watch.told().age_ns == 0
            going.clear()
            assert hung.wait(10)
            wait_for(lambda: watch.told().age_ns > 0)
            (reason,) = assess(watch.told(), Limits(watch_ns=10**9)).reasons
            assert (reason.code, reason.level) == ("watch_stalled", "failing")
            going.set()
            wait_for(lambda: watch.told().age_ns == 0)
            feed.stop()


def test_no_notice_is_held_back_for_another_of_its_symbol(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with Venue() as venue, setup_logging(file=log, console=io.StringIO()):
        watch = LiveWatch(LiveFeed("binance", ["SYNES"], settings=venue.settings), venue.settings)
        for about, state in [("rate", "alarm")] * 7 + [("book", "STALE")]:
            watch.hear(Notice(1, about, "SYNES", state, "50 % of what is usual"))
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["event"] for one in said if "symbol" in one] == ["rate alarm"] * 5 + ["book STALE"]
    assert said[0]["reason"] == "50 % of what is usual"


def test_the_log_of_a_book_ends_on_what_is_true(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with Venue() as venue, setup_logging(file=log, console=io.StringIO()):
        watch = LiveWatch(LiveFeed("binance", ["SYNES"], settings=venue.settings), venue.settings)
        for state in ["SYNCING", *["LIVE", "STALE"] * 9, "LIVE"]:
            watch.hear(Notice(1, "book", "SYNES", state, ""))
    said = [json.loads(line) for line in log.read_text().splitlines()]
    told = [one["event"] for one in said if "symbol" in one]
    assert told == ["book SYNCING", *["book LIVE", "book STALE"] * 5, "book LIVE"]
    assert said[-1]["suppressed"] == 8


class Broken(io.StringIO):
    """A terminal that is gone."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")
