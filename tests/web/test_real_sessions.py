"""Real recordings through a session: books at a moment, going back, prints and flow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.runtime.session import Session
from depthscope.runtime.sources import open_source
from depthscope.web.recorder import Recorder

pytestmark = pytest.mark.real_data

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
BTC = "binance/btcusdt_20240808.gz"
SECOND = 1_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def played(path: Path, *stops: int) -> tuple[Session, Recorder]:
    """A session taken to each stop in turn."""
    session, recorder = Session(lambda: open_source(str(path))), Recorder()
    session.spectator = recorder
    session.open()
    for ts in stops:
        session.seek(ts)
        while session.status.state == "seeking":
            session.step(0.0, 10.0)
    assert session.status.error is None
    return session, recorder


def straight(path: Path, until: int) -> tuple[Engine, list[np.ndarray]]:
    """The same engine fed in one go, and every trade before `until`."""
    source = open_source(str(path))
    engine, trades, last = Engine(resolve=source.resolve, every="1s", features=[], sparse=True), [], 0
    for chunk in source.chunks():
        times = np.maximum(np.maximum.accumulate(chunk["ts_recv"]), last)
        last = int(times[-1])
        part = chunk[times < until]
        engine.process(part)
        trades.append(part[part["action"] == ev.TRADE].copy())
        if last >= until:
            break
    return engine, trades


@pytest.mark.parametrize(
    ("file", "first", "second"),
    [(ES, "2023-12-25T23:50:00", "2023-12-25T23:07:31"), (BTC, None, None)],
)
def test_books_at_a_moment_there_and_back(
    data_dir: Path, file: str, first: str | None, second: str | None
) -> None:
    path = data_dir / file
    session, recorder = played(path)
    start = session.status.start
    assert start is not None
    later = ns(first) if first else start + 200 * SECOND
    earlier = ns(second) if second else start + 61 * SECOND
    session, recorder = played(path, later, earlier)
    for ts in (earlier, later):
        session.seek(ts)
        while session.status.state == "seeking":
            session.step(0.0, 10.0)
        engine, trades = straight(path, ts)
        symbol = engine.slots[0].symbol
        assert session.clock == ts
        assert session.book(symbol).to_json(None) == engine.book(symbol).to_json(None)
        assert session.engine.counters(symbol) == engine.counters(symbol)
        track = recorder.tracks[0]
        after = np.concatenate(trades)
        assert track.prints == len(after)
        assert track.volume == pytest.approx(after["size"].sum() * track.unit)
        signed = after["size"] * ((after["side"] == ev.BID) * 1 - (after["side"] == ev.ASK) * 1)
        assert track.cvd == pytest.approx(signed.sum() * track.unit, abs=1e-6)
        level = track.history.levels[2]
        run = level.run(level.tail, level.head)
        assert run.trades["size"].astype(float).sum() == pytest.approx(track.volume, rel=1e-5)
        live = run.bid != -(2**31)
        assert live.mean() > 0.9
        assert run.q[live].any(axis=1).all()


def test_the_es_session_ends_where_the_data_does(data_dir: Path) -> None:
    session, recorder = played(data_dir / ES, ns("2024-01-01T00:00:00"))
    assert session.status.state == "ended"
    assert session.status.events == 68_792
    assert recorder.tracks[0].prints == 2_973
    assert 0 < int(session.status.end or 0) - ns("2023-12-25T23:59:50") <= 10 * SECOND
