"""2,000 instruments in one stream replay exactly within 1.5 GB (in a process of its own)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.ours.process import peak_bytes
from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from tests.engine.harness import MS, cuts_of
from tests.engine.test_exact_books import same_book
from tests.reference.engine import SlowEngine, as_events
from tests.strategies.streams import CAPABILITIES, MBO, START

ROOT = Path(__file__).resolve().parents[2]
INSTRUMENTS, EACH = 2_000, 100
LIMIT = 1_500_000_000
TICKS = np.array([10_000, 10_000_000, 250_000_000, 1])


def market(seed: int = 7) -> ev.Events:
    """Order-by-order events of many instruments, their groups interleaved."""
    random = np.random.default_rng(seed)
    shape = (INSTRUMENTS, EACH)
    n = INSTRUMENTS * EACH
    events = ev.empty_events(n).reshape(shape)
    instrument = np.arange(INSTRUMENTS)[:, None]
    tick = TICKS[instrument % len(TICKS)]
    nth = np.arange(EACH)[None, :]
    kind = random.random(shape)
    fresh = (kind < 0.55) | (nth == 0)
    events["action"] = np.where(fresh, ev.ADD, np.where(kind < 0.75, ev.CANCEL, ev.MODIFY))
    events["action"][kind > 0.95] = ev.TRADE
    # An earlier event's number: often a live order, sometimes one that is gone or never was.
    events["order_id"] = np.where(fresh, nth, (random.random(shape) * nth).astype(np.int64))
    events["side"] = np.where(random.random(shape) < 0.5, ev.BID, ev.ASK)
    away = random.geometric(0.15, shape) * np.where(events["side"] == ev.BID, -1, 1)
    away[random.random(shape) < 0.02] = 100_000
    drift = np.cumsum(random.integers(-40, 41, shape), axis=1)
    events["price"] = np.maximum(1_000_000 + 97 * instrument + drift + away, 1) * tick
    events["size"] = random.integers(1, 50, shape)
    events["flags"] = np.where(random.random(shape) < 0.8, ev.LAST, 0)
    events["instrument_id"] = instrument
    events["publisher"] = 1 + instrument % 3
    order = np.argsort(random.random(shape) + nth, axis=None, kind="stable")  # near its turn
    flat = events.reshape(n)[order]
    flat["ts_recv"] = START + np.sort(random.integers(0, 10_000 * MS, n))
    flat["ts_event"] = flat["ts_recv"] - 1_000
    flat["sequence"] = np.arange(n)
    return flat


def resolve(publisher: int, instrument_id: int) -> Instrument:
    """Instrument of a key."""
    tick = int(TICKS[instrument_id % len(TICKS)])
    return Instrument("test", f"S{publisher}.{instrument_id}", tick, capabilities=CAPABILITIES[MBO])


def main() -> None:
    """Replay, note the memory, then compare every book with the slow reference's."""
    events = market()
    engine = Engine(resolve, every="1s")
    rows = 0
    for piece in cuts_of(events, 65_536):
        rows += len(engine.process(piece))
    rows += len(engine.finish())
    peak = peak_bytes()
    slow = SlowEngine(resolve, 10**18)
    slow.feed(as_events(events))
    slow.finish()
    assert [desk.instrument.symbol for desk in slow.desks.values()] == engine.symbols
    for desk in slow.desks.values():
        same_book(engine, desk, whole=True)
        desk.book.check()
    started = sum(1 for desk in slow.desks.values() if desk.started_at is not None)
    print(json.dumps({"peak": peak, "rows": rows, "books": len(slow.desks), "started": started}))


def test_two_thousand_instruments() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "tests.engine.test_many_instruments"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["books"] == found["started"] == INSTRUMENTS
    assert found["rows"] == 9 * INSTRUMENTS  # each starts in the first second; the stream ends in the tenth
    assert found["peak"] < LIMIT


if __name__ == "__main__":
    main()
