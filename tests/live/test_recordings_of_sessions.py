"""Recordings of several sessions, with gaps, of many symbols: what their replay may and may not show."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import Engine
from depthscope.errors import RecordingFailed, UnknownName
from depthscope.market import events as ev
from depthscope.market.events import Events
from depthscope.market.inputs import Input, Kind
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import CaptureWriter, verify
from depthscope.storage.disk import Disk
from tests.venues.binance_world import World

RENEWED = ["disconnect:public@8s"]


class Recorded(World):
    """A world whose inputs are recorded; some may be left out, as a full queue would."""

    def __init__(self, names: list[str], folder: Path, skip: range = range(0), **options: float) -> None:
        super().__init__(names)
        self.skip = skip
        self.writer = CaptureWriter(
            folder, wait=True, opening=lambda: self.machine.opening(self.latest), **options
        )  # type: ignore[arg-type]
        self.latest = 0

    def sink(self, received: Input) -> None:
        self.latest = received.ts_recv
        if len(self.inputs) == self.skip.start and len(self.skip):
            self.writer.stop("a test")
        if len(self.inputs) == self.skip.stop and len(self.skip):
            self.writer.resume()
        self.writer.append(received)
        super().sink(received)


def record(names: list[str], folder: Path, seconds: float, **options: float) -> Recorded:
    world = Recorded(names, folder, **options)
    world.run(seconds)
    world.writer.close()
    return world


def events_of(folder: Path, **options: object) -> tuple[Events, Engine]:
    source = open_source(folder, **options)
    engine = Engine(source.resolve, every="100ms", features=["mid"])
    found = []
    for events in source.chunks():
        found.append(events)
        engine.process(events)
    return np.concatenate(found), engine


def test_a_book_is_given_up_between_sessions_however_the_first_ended(tmp_path: Path) -> None:
    record(["BTCUSDT"], tmp_path, 10)  # a clean end
    record(["ETHUSDT", "BTCUSDT"], tmp_path, 10)
    events, engine = events_of(tmp_path)
    (clear, again, *_) = np.flatnonzero((events["action"] == ev.CLEAR) & (events["instrument_id"] == 1))
    (lost,) = np.flatnonzero(events["action"] == ev.LOST)
    assert clear < lost < again
    assert engine.symbols == ["BTCUSDT", "ETHUSDT"]
    assert {engine.book(symbol).state for symbol in engine.symbols} == {"LIVE"}
    with pytest.raises(UnknownName, match="has no SOLUSDT"):
        open_source(tmp_path, symbols=["SOLUSDT"])
    assert open_source(tmp_path, symbols=["ETHUSDT"]).info.format == "capture"


def test_inputs_that_are_missing_make_every_book_stale(tmp_path: Path) -> None:
    """Not only those whose next update tells of the gap: nobody knows what was missed."""
    world = Recorded(["BTCUSDT", "ETHUSDT"], tmp_path, skip=range(300, 340))
    world.run(20)
    world.writer.close()
    assert world.writer.lost >= 40
    events, _ = events_of(tmp_path)
    lost = np.flatnonzero(events["action"] == ev.LOST)
    assert set(events["instrument_id"][lost].tolist()) == {1, 2}


class Gated(Disk):
    """Writes wait until the gate is open; syncs fail while it is broken."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False

    def write(self, descriptor: int, data: bytes) -> int:
        self.gate.wait()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if self.broken:
            raise OSError("a test")


class Overflowing(World):
    """A world recorded to a disk that stalls for some inputs, and fails once after another."""

    def __init__(self, folder: Path, skip: range, fails: int) -> None:
        super().__init__(["BTCUSDT"], RENEWED)
        self.disk, self.skip, self.fails = Gated(), skip, fails
        self.writer = CaptureWriter(
            folder, queue_bytes=1, opening=lambda: self.machine.opening(self.latest), disk=self.disk
        )
        self.latest = 0

    def sink(self, received: Input) -> None:
        self.latest = received.ts_recv
        index = len(self.inputs)
        if index == self.skip.start:
            self.disk.gate.clear()
        if index == self.skip.stop:
            self.disk.gate.set()
            self.writer.flush()
        self.disk.broken = index == self.fails
        self.writer.append(received)  # what a sync that fails was to make durable is written all the same
        if self.disk.broken:
            with pytest.raises(RecordingFailed):
                self.writer.flush()
            self.writer.resume()
        elif index not in self.skip:
            self.writer.flush()
        super().sink(received)


def test_a_second_gap_does_not_undo_the_first(tmp_path: Path) -> None:
    """A connection opened while inputs were lost is known from the next opening, whatever comes between."""
    world = World(["BTCUSDT"], RENEWED)
    world.run(20)
    opened = [k for k, one in enumerate(world.inputs) if one.kind is Kind.LINK and b'"open"' in one.payload]
    renewed = opened[2]  # the first two are those of depth and of trades
    recorded = Overflowing(tmp_path, range(renewed - 1, renewed + 2), renewed + 30)
    recorded.run(20)
    recorded.writer.close()
    assert recorded.writer.lost > 0
    gaps = [gap.reason for gap in verify(tmp_path).gaps if gap.reason != "unsealed"]
    assert gaps == ["overflow", "failure"]
    _, engine = events_of(tmp_path)
    assert engine.book("BTCUSDT").state == "LIVE"


def test_a_recording_without_a_market_says_so(tmp_path: Path) -> None:
    """As of a symbol that the venue does not list: an empty table of it should have a reason."""
    world = World(["BTCUSDT"])
    world.run(5)
    with CaptureWriter(tmp_path) as writer:
        for one in world.inputs:
            if one.kind in (Kind.CONFIG, Kind.CLOCK):
                writer.append(one)
    source = open_source(tmp_path)
    assert not sum(len(events) for events in source.chunks())
    assert any("No market speaks" in warning for warning in source.info.warnings)


def test_the_opening_of_a_segment_with_many_symbols_is_taken_whole(tmp_path: Path) -> None:
    names = [f"S{k}USDT" for k in range(66)]  # more inputs than one frame of an opening holds
    record(names, tmp_path, 8, segment_seconds=3.5)
    segments = sorted(tmp_path.glob("*.cap"))
    assert len(segments) >= 2
    source = open_source(segments[1])
    assert sum(len(events) for events in source.chunks()) > 0
    quotes = {symbol.symbol for symbol in source.instruments.values()}
    assert len(quotes) > 55
