"""The laws, component by component: each feature, each detector and the signal, shipped or to come."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from depthscope.detectors.registry import all_detectors
from depthscope.engine import Engine
from depthscope.features.registry import all_features
from depthscope.market.events import Events
from depthscope.market.instruments import Instrument
from depthscope.runtime.models import default_model
from depthscope.runtime.sources import open_source
from tests.engine.harness import Hashes

MEMBERS = [
    *(("feature", f.name) for f in all_features()),
    *(("detector", d.name) for d in all_detectors()),
    ("signal", "signal"),
]


@pytest.fixture(params=MEMBERS, ids=lambda m: f"{m[0]}-{m[1]}")
def member(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@cache
def market() -> tuple[Events, dict[tuple[int, int], Instrument]]:
    """Two instruments, three quarters of a minute: long enough for walls and readings of half a minute."""
    source = open_source("synthetic:seed=3,minutes=0.75,symbols=2")
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    events.setflags(write=False)
    return events, dict(source.instruments)


def engine_of(member: tuple[str, str]) -> Engine:
    kind, name = member
    options: dict[str, Any] = {"features": (), "detectors": ()}
    if kind == "feature":
        options["features"] = [name]
    elif kind == "detector":
        options["detectors"] = [name]
    else:
        options["signal"] = lambda instrument: default_model("10s")
    instruments = market()[1]
    return Engine(lambda publisher, number: instruments[publisher, number], every="100ms", **options)


def digest_of(engine: Engine, events: Events, size: int) -> str:
    """Hash of all rows and messages of events handed over `size` at a time."""
    hashes = Hashes()
    batches = [engine.process(events[first : first + size]) for first in range(0, len(events), size)]
    for batch in (*batches, engine.finish()):
        hashes.add(batch)
    return hashes.digest()


def test_chunking_changes_nothing(member: tuple[str, str]) -> None:
    events, _ = market()
    whole = digest_of(engine_of(member), events, len(events))
    assert digest_of(engine_of(member), events, 251) == whole
    ones = events[:400]
    assert digest_of(engine_of(member), ones, 1) == digest_of(engine_of(member), ones, len(ones))


def test_reset_is_fresh_and_a_snapshot_is_everything(member: tuple[str, str]) -> None:
    events, _ = market()
    engine = engine_of(member)
    start = engine.snapshot()
    whole = digest_of(engine, events, 4_096)
    engine.restore(start)
    mine = events.copy()
    assert digest_of(engine, mine, 4_096) == whole, "an engine taken back to its start is a new one"
    assert mine.tobytes() == events.tobytes(), "events are read and never written"
    at = 2 * len(events) // 3
    one = engine_of(member)
    one.process(events[:at])
    kept = one.snapshot()
    rest = digest_of(one, events[at:], 4_096)
    another = engine_of(member)
    another.restore(kept)
    assert digest_of(another, events[at:], 999) == rest
