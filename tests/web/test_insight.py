"""What the page is told of signals and alerts is what the engine says."""

from __future__ import annotations

import json
from typing import Any

import pytest

import depthscope as ds
from depthscope.runtime.models import default_model
from depthscope.runtime.session import Session
from depthscope.runtime.sources import open_source
from depthscope.web.insight import ALERTS, REASONS, alerts_message, signal_message
from depthscope.web.messages import encode
from depthscope.web.recorder import Recorder

SECOND = 10**9
MARKET = "synthetic:seed=5,minutes=6,symbols=1"


def watched(**options: Any) -> tuple[Session, Recorder]:
    session, recorder = Session(lambda: open_source(MARKET), **options), Recorder()
    session.spectator = recorder
    session.open()
    assert session.status.error is None
    return session, recorder


def run_to(session: Session, ts: int) -> None:
    session.seek(ts)
    while session.status.state == "seeking":
        session.step(0.0, 10.0)


@pytest.fixture(scope="module")
def market() -> tuple[Session, Recorder]:
    session, recorder = watched(model=default_model("10s"))
    assert session.status.start is not None
    run_to(session, session.status.start + 240 * SECOND)
    return session, recorder


def test_the_signal_is_that_of_a_replay(market: tuple[Session, Recorder]) -> None:
    _, recorder = market
    told = signal_message(recorder, recorder.tracks[0])
    frame = None
    for frame in ds.replay(MARKET, every="50ms", features=["mid"], sparse=True, detectors=None, signal="10s"):
        if frame.ts > recorder.tracks[0].row_ts:
            break
        last = frame.signal
    assert frame is not None
    assert told["direction"] == last.direction
    assert told["confidence"] == last.confidence
    assert told["pUp"] == last.p_up
    leaning = [r for r in last.reasons if r.leans and r.contribution][:REASONS]
    assert [(r["factor"], r["part"]) for r in told["reasons"]] == [
        (r.factor, round(r.contribution, 4)) for r in leaning
    ]
    assert told["whyNot"] is None
    json.loads(encode(told))


def test_alerts_are_the_newest_matters_as_they_stand(market: tuple[Session, Recorder]) -> None:
    session, recorder = market
    told = alerts_message(recorder, recorder.tracks[0])["list"]
    assert 0 < len(told) <= ALERTS
    assert len({a["id"] for a in told}) == len(told)
    assert [a["tsMs"] for a in told] == sorted((a["tsMs"] for a in told), reverse=True)
    assert not any(a["label"] == "MINOR" for a in told)
    for alert in told:
        assert alert["evidence"]
        assert alert["tsMs"] <= session.clock / 1e6


def test_going_back_takes_back_what_was_said(market: tuple[Session, Recorder]) -> None:
    session, recorder = market
    assert session.status.start is not None
    later = alerts_message(recorder, recorder.tracks[0])
    run_to(session, session.status.start + 150 * SECOND)
    for alert in alerts_message(recorder, recorder.tracks[0])["list"]:
        assert alert["tsMs"] <= session.clock / 1e6
    run_to(session, session.status.start + 240 * SECOND)
    assert alerts_message(recorder, recorder.tracks[0]) == later


def test_without_a_model_nothing_is_said() -> None:
    session, recorder = watched()
    assert session.status.start is not None
    run_to(session, session.status.start + 5 * SECOND)
    told = signal_message(recorder, recorder.tracks[0])
    assert told["model"] is None
    assert told["direction"] is None
    assert alerts_message(recorder, recorder.tracks[0])["list"] == []
