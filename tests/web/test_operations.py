"""What the server of a replay tells of itself."""

from __future__ import annotations

import io

import pytest

from depthscope.ops.logs import setup_logging
from depthscope.ops.meters import MemoryWatch
from depthscope.web import operations
from depthscope.web.hub import Hub
from depthscope.web.operations import Operations
from depthscope.web.recorder import Recorder
from tests.web.conftest import make_session

SECOND = 10**9


def test_histories_that_fill_are_no_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = [0]
    monkeypatch.setattr(Recorder, "held_bytes", property(lambda _: filled[0]))
    monkeypatch.setattr(operations, "resident_bytes", lambda: 1_000 + filled[0])
    monkeypatch.setattr(operations, "MemoryWatch", lambda: MemoryWatch(0, 0))
    told = Operations(Hub(make_session()))
    told.snapshot()
    filled[0] = 9_000
    process = told.snapshot().process
    assert process is not None
    assert (process.rss_bytes, process.baseline_bytes, process.growth) == (10_000, 1_000, 0.0)


def test_the_logs_of_a_replay_are_told() -> None:
    told = Operations(Hub(make_session()))
    with setup_logging(console=io.StringIO()) as logs:
        assert told.snapshot().logs == logs.part()
