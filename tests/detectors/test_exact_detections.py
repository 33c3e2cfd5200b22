"""Detectors say what their definitions say, on any stream and on the recordings."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthscope as ds
from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import PHASE_NAMES
from tests.engine.harness import run
from tests.reference.book import SlowBook
from tests.reference.detectors import Icebergs, Said, Sweeps, by_close
from tests.reference.engine import as_events
from tests.strategies.streams import CAPABILITIES, MBO, START, Stream, examples, streams

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def groups(stream: Stream) -> dict[tuple[int, int], list[list[Any]]]:
    """Complete groups of each instrument, in order."""
    open_, done = defaultdict(list), defaultdict(list)
    for event in as_events(stream.events):
        key = (event.publisher, event.instrument_id)
        open_[key].append(event)
        if event.flags & ev.LAST:
            done[key].append(open_.pop(key))
    return done


def empty_book(instrument: Instrument) -> SlowBook:
    """Make the slow book of an instrument."""
    has_depth = instrument.capabilities & (Capability.L2 | Capability.MBO)
    return SlowBook(instrument.tick, allows_negative=instrument.allows_negative, top_only=not has_depth)


def said_by(stream: Stream, name: str, size: int | None) -> dict[str, list[Said]]:
    """What a detector says of each symbol; no row of the grid falls into the stream."""
    engine = Engine(stream.resolve, every=10**18, features=[], detectors=[name])
    found: dict[str, list[Said]] = defaultdict(list)
    for record in run(engine, stream.events, size).detections:
        assert record["detector"] == detector(name).number
        found[engine.symbols[record["slot"]]].append(
            (
                PHASE_NAMES[record["phase"]],
                int(record["number"]),
                int(record["price"]),
                int(record["size"]),
                int(record["side"]),
            )
        )
    return found


@examples(150)
@given(streams(kinds=("mbo",), events=(0, 200)), st.sampled_from((1, 7, None)))
def test_icebergs(stream: Stream, size: int | None) -> None:
    found = said_by(stream, "iceberg", size)
    for key, complete in groups(stream).items():
        slow = Icebergs(empty_book(stream.instruments[key]))
        want = [message for group in complete for event in group for message in slow.feed(event)]
        assert by_close(found[stream.instruments[key].symbol]) == by_close(want)


@examples(150)
@given(streams(events=(0, 200)), st.sampled_from((1, 7, None)))
def test_sweeps(stream: Stream, size: int | None) -> None:
    found = said_by(stream, "sweep", size)
    for key, complete in groups(stream).items():
        instrument, slow, want = stream.instruments[key], Sweeps(), []
        book = empty_book(instrument)
        for event in (event for group in complete for event in group):
            counts = event.action == ev.TRADE and book.counts(event) and not event.cond & ev.COND_NOT_VOLUME
            if counts and event.side in (ev.BID, ev.ASK):
                want += slow.feed(event)
        if not instrument.capabilities & Capability.AGGRESSOR:
            want = []
        assert found[instrument.symbol] == want


@pytest.mark.real_data
def test_native_icebergs_of_the_es_recording(data_dir: Path) -> None:
    table = ds.detections(data_dir / ES, detectors=["iceberg"]).to_pylist()
    last = {row["id"]: ds_evidence(row) for row in table}
    assert len(last) == sum(row["phase"] == "open" for row in table) == 13
    assert sum(evidence["refills"] for evidence in last.values()) == 83
    assert sum(evidence["oversize_fills"] for evidence in last.values()) == 28
    for row in table:
        evidence = ds_evidence(row)
        assert evidence["executed"] == row["size"] == pytest.approx(row["strength"] * evidence["displayed"])


def ds_evidence(row: dict[str, Any]) -> dict[str, float]:
    """Evidence of a row of the table."""
    import json

    return dict(json.loads(row["evidence"]))


def test_a_sweep_is_closed_by_the_first_row_of_a_later_venue_time() -> None:
    events = ev.empty_events(4)
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"] = START + np.array([0, 10, 20, 250]) * 10**6
    events["ts_event"] = START + np.array([0, 0, 0, 240]) * 10**6
    events["flags"], events["action"], events["side"] = ev.LAST, ev.TRADE, ev.BID
    events["price"], events["size"] = (100, 101, 103, 104), (1, 2, 3, 4)
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[MBO])
    engine = Engine(lambda *_: instrument, features=[], detectors=["sweep"])
    said = run(engine, events).detections
    assert said["phase"].tolist() == [1, 2, 3]
    assert said["size"].tolist() == [3, 6, 6]
    assert said["ts"].tolist() == [START + 10 * 10**6, START + 20 * 10**6, START + 250 * 10**6]


def test_more_messages_than_there_is_room_for_at_first() -> None:
    events = ev.empty_events(3_000)
    events["publisher"] = events["instrument_id"] = 1
    events["ts_recv"] = events["ts_event"] = START
    events["action"], events["side"], events["size"] = ev.TRADE, ev.BID, 1
    events["price"] = 100 + np.arange(len(events))
    events["flags"][-1] = ev.LAST
    instrument = Instrument("test", "S", 1, capabilities=CAPABILITIES[MBO])
    engine = Engine(lambda *_: instrument, features=[], detectors=["sweep"])
    said = engine.process(events).detections
    assert said["phase"].tolist() == [1] + [2] * 2_998
    assert said["size"].tolist() == list(range(2, 3_001))


def test_a_feed_without_order_ids_has_no_icebergs() -> None:
    instrument = Instrument("test", "S", 1, capabilities=Capability.L2 | Capability.TRADES)
    engine = Engine(lambda *_: instrument, features=["cvd"], detectors=None)
    event = ev.empty_events(1)
    event["flags"], event["action"], event["size"], event["price"], event["side"] = (
        ev.LAST,
        ev.LEVEL,
        1,
        1,
        ev.BID,
    )
    engine.process(event)
    assert "iceberg" in engine.unavailable("S")
    assert "session" not in engine.unavailable("S")
