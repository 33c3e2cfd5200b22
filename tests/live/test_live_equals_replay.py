"""Law 2, over real sockets: what a live session showed, a replay of its recording shows, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import depthscope as ds
from depthscope.engine import Engine
from depthscope.market.layouts import LIVE
from depthscope.runtime.live import LiveFeed
from depthscope.runtime.sources import open_source
from tests.live.venue import Venue

OPTIONS: dict[str, Any] = {"detectors": None, "signal": "10s"}


def shown(frame: ds.Frame) -> str:
    """All a frame says, as text in which every bit of a number counts."""
    said = [(d.id, d.phase, d.ts, sorted(d.evidence.items())) for d in frame.detections]
    return repr((frame.to_dict(), said, frame.book.bids(20), frame.book.asks(20)))


def digest(frames: list[str]) -> str:
    return hashlib.sha256("\n".join(frames).encode()).hexdigest()


AGAIN = """
import sys
from tests.live.test_live_equals_replay import OPTIONS, digest, shown
import depthscope as ds
print(digest([shown(f) for f in ds.replay(sys.argv[1], **OPTIONS)]))
"""


@pytest.mark.untraced
def test_a_session_with_a_gap_and_a_reconnect_replays_to_the_same_bytes(tmp_path: Path) -> None:
    """In this process, in another with another hash seed, and in chunks of any size."""
    for _ in ds.replay("synthetic:seed=1,minutes=1,symbols=1", **OPTIONS):
        break  # what is to be compiled is compiled before the venue's time runs
    faults = ["drop:SYNES@4s", "disconnect@7s", "refuse@7s+2s", "malformed:SYNBTC@3s", "duplicate:SYN3@3s"]
    with Venue(faults) as venue:
        live = []
        states = set()
        for frame in ds.live(
            venue.symbols, duration="12s", record=tmp_path, config=venue.settings, **OPTIONS
        ):
            live.append(shown(frame))
            states.add((frame.symbol, frame.state))
    assert {(name, "STALE") for name in venue.symbols} <= states  # the disconnect
    assert {(name, "LIVE") for name in venue.symbols} <= states
    assert len(live) > 250

    assert [shown(f) for f in ds.replay(tmp_path, **OPTIONS)] == live
    for chunk in (1, 997):
        source = open_source(tmp_path, chunk=chunk)
        assert digest([shown(f) for f in ds.replay(source, **OPTIONS)]) == digest(live)
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    other = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert other.stdout.strip() == digest(live)

    table = ds.features(tmp_path, every="100ms")
    assert table.num_rows == len(live)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ds.Frame]]:
    """A recorded session of four seconds, and what it showed."""
    folder = tmp_path_factory.mktemp("session")
    with Venue() as venue:
        return folder, list(
            ds.live("SYNES", duration="4s", record=folder, config=venue.settings, features=["mid"])
        )


@pytest.mark.untraced
@pytest.mark.xdist_group("one session")
def test_a_recording_is_a_source_like_any_other(session: tuple[Path, list[ds.Frame]]) -> None:
    folder, frames = session
    assert {f.symbol for f in frames} == {"SYNES"}
    source = open_source(folder)
    counted = sum(len(chunk) for chunk in source.chunks())
    assert counted > 100
    assert source.info.format == "capture"
    assert not source.info.warnings
    assert [i.symbol for i in source.instruments.values()] == ["SYNES"]
    with pytest.raises(ds.DepthscopeError, match="has no SYNBTC"):
        open_source(folder, symbols=["SYNBTC"])
    with pytest.raises(ds.DepthscopeError, match="leave out tick"):
        open_source(folder, tick="0.5")
    (segment,) = folder.glob("*.cap")
    assert open_source(segment).info.format == "capture"


@pytest.mark.xdist_group("one session")
def test_the_last_row_of_a_clean_end_is_live(session: tuple[Path, list[ds.Frame]]) -> None:
    """Ending a session is no gap: nothing was missed up to there."""
    folder, frames = session
    assert frames[-1].state == "LIVE"
    told = subprocess.run(
        [sys.executable, "-m", "depthscope", "info", "--json", str(folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(told.stdout)["gaps"] == 0


def test_a_segment_can_be_read_without_those_before_it(tmp_path: Path) -> None:
    """It begins with what was open, and snapshots are fetched beside books that stay as they are."""
    with Venue() as venue:
        feed = LiveFeed(
            "binance", ["SYNES", "SYN3"], settings=venue.settings, record=tmp_path, segment_seconds=3.0
        )
        engine = Engine(lambda *key: feed.instruments[key], every="100ms", features=["mid"])
        feed.start()
        batches = []
        until = time.monotonic() + 11
        while time.monotonic() < until:
            batches.append(engine.process(feed.take(0.2)))
        feed.stop()
        batches.append(engine.process(feed.take()))
    segments = sorted(tmp_path.glob("*.cap"))
    assert len(segments) >= 3

    whole = open_source(tmp_path)
    replayed = Engine(whole.resolve, every="100ms", features=["mid"])
    rows = np.concatenate([replayed.process(events).meta for events in whole.chunks()])
    assert rows.tobytes() == np.concatenate([batch.meta for batch in batches]).tobytes()
    assert not whole.info.warnings

    for folder in (segments[1], segments[2]):
        part = open_source(folder)
        middle = Engine(part.resolve, every="100ms", features=["mid"])
        states = np.concatenate([middle.process(events).meta["state"] for events in part.chunks()])
        assert (states == LIVE).mean() > 0.5
        for symbol in ("SYNES", "SYN3"):
            assert middle.book(symbol).state == "LIVE"
    for symbol in ("SYNES", "SYN3"):  # the last one ends where the session did
        last = open_source(segments[-1])
        end = Engine(last.resolve, every="100ms", features=["mid"])
        for events in last.chunks():
            end.process(events)
        if end.symbols and symbol in end.symbols and end.book(symbol).state == "LIVE":
            assert end.book(symbol).bids(10) == engine.book(symbol).bids(10)
