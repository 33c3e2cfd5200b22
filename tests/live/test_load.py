"""G2: 20,000 depth messages of 40 levels a second over real sockets, from another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from depthscope.config import Settings
from depthscope.engine import Engine
from depthscope.ops.meters import LatencyHistogram
from depthscope.ops.process import resident_bytes
from depthscope.runtime.live import LiveFeed
from tests.live import load

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = [f"S{k}USDT" for k in range(20)]
RATE = 20_000
SECONDS = int(os.environ.get("LOAD_SECONDS", "10"))  # 60 where nothing else runs


def wrong_levels(engine: Engine, updates: dict[str, int]) -> int:
    """Levels that are not what the last update of their symbol says."""
    wrong = 0
    for symbol, update in updates.items():
        state = load.state_after(update)
        for k, side in enumerate(("bid", "ask")):
            prices, sizes, _ = engine.book(symbol).raw(side, load.LEVELS + 1)  # type: ignore[arg-type]
            wanted = [load.size_of(state, level + load.LEVELS * k) for level in range(load.LEVELS)]
            told = [round(float(price) * 1e9) for price in load.PRICES["ba"[k]]]
            wrong += (prices.tolist(), sizes.tolist()) != (told, wanted)
    return wrong


@pytest.mark.untraced
def test_load(record_property: Callable[[str, object], None]) -> None:
    """Not one wrong level, no gap, flat memory; how fast it went is told, not judged."""
    venue = subprocess.Popen(
        [sys.executable, "-m", "tests.live.load", ",".join(SYMBOLS), str(RATE), str(SECONDS)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert venue.stdout is not None
        port = int(venue.stdout.readline())
        address = f"http://127.0.0.1:{port}"
        settings = Settings(binance_rest_url=address, binance_ws_url=f"ws://127.0.0.1:{port}")
        feed = LiveFeed("binance", SYMBOLS, settings=settings)
        engine = Engine(lambda *key: feed.instruments[key], every="100ms", features=["mid", "spread", "ofi"])
        latency, memory, sent, looked = LatencyHistogram(), list[int](), 0, 0.0
        began = quiet = time.monotonic()
        feed.start()
        while time.monotonic() - quiet < 3 or time.monotonic() - began < 10:
            events = feed.take(0.2)
            if len(events) > 20:  # more than the ticks of the clock
                engine.process(events)
                latency.record(max(1, feed.clock.receive_time() - int(events["ts_recv"][-1])))
                quiet = time.monotonic()
            elif len(events):
                engine.process(events)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                memory.append(resident_bytes() or 0)
            assert time.monotonic() - began < 10 * SECONDS
        with urllib.request.urlopen(f"{address}/books") as reply:
            told = json.load(reply)
        sent = told["sent"]
        health = feed.health()["symbols"]
        feed.stop()
    finally:
        venue.kill()
        venue.wait()
    assert feed.feed.figures["WS"] >= sent > 0
    assert {one["state"] for one in health.values()} == {"LIVE"}
    assert sum(one["gaps"] for one in health.values()) == 0
    assert wrong_levels(engine, told["updates"]) == 0
    third = len(memory) // 3
    growth = sum(memory[-third:]) / third - sum(memory[third : 2 * third]) / third
    assert growth < 20e6
    p50, p99 = latency.percentile(0.5), latency.percentile(0.99)
    assert p50 is not None
    assert p99 is not None
    lag = max(one["streams"]["depth"]["lag_p99"] for one in health.values())
    told_of = [
        f"G2 load: {sent:,} messages of 40 levels in {SECONDS} s ({RATE * SECONDS - sent:,} late)",
        "0 wrong levels, 0 gaps",
        f"receive to applied p50 {p50 / 1e6:.2f} ms, p99 {p99 / 1e6:.2f} ms",
        f"sent to received p99 {lag / 1e6:.1f} ms",
        f"memory {growth / 1e6:+.1f} MB",
    ]
    record_property("proof", "; ".join(told_of))
