"""Who looks after a live session: what it knows, what it does about the disk, what it writes down."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest

from depthscope.ops.audit import read_audit, verify_audit
from depthscope.ops.health import assess
from depthscope.ops.watch import LiveWatch
from depthscope.runtime.live import LiveFeed
from depthscope.storage.capture import verify
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
            assert assess(watch.snapshot).status == "ok", assess(watch.snapshot).reasons
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
            assert "recording has stopped until there is room" in str(recorder.failure)
            wait_for(lambda: [f.state for f in watch.snapshot.feeds] == ["LIVE"])
            wait_for(lambda: recorder.lost > 20)
            assert assess(watch.snapshot).status == "failing"
            assert len(feed.take(1.0))
            feed.stop()
    assert verify(tmp_path).sound
