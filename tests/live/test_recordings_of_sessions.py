"""Recordings of several sessions, with gaps, of many symbols: what their replay may and may not show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import Engine
from depthscope.errors import UnknownName
from depthscope.market import events as ev
from depthscope.market.events import Events
from depthscope.market.inputs import Input
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import CaptureWriter
from tests.venues.binance_world import World


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


def test_the_opening_of_a_segment_with_many_symbols_is_taken_whole(tmp_path: Path) -> None:
    names = [f"S{k}USDT" for k in range(66)]  # more inputs than one frame of an opening holds
    record(names, tmp_path, 8, segment_seconds=3.5)
    segments = sorted(tmp_path.glob("*.cap"))
    assert len(segments) >= 2
    source = open_source(segments[1])
    assert sum(len(events) for events in source.chunks()) > 0
    quotes = {symbol.symbol for symbol in source.instruments.values()}
    assert len(quotes) > 55
