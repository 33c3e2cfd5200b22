"""Detectors that look at rows alone equal the slow ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthscope.detectors.registry import detector
from depthscope.engine import Engine
from depthscope.market.layouts import PHASE_NAMES
from depthscope.market.source import Source
from depthscope.runtime.sources import open_source
from tests.reference.rows import Bursts, Exhaustions, Said

Slow = Callable[[], Any]


def both(source: Source, name: str, slow: Any, every: int) -> tuple[list[Said], list[Said]]:
    """(said by the detector, said by the slow one) of the first instrument of a source."""
    engine = Engine(source.resolve, every=every, features=[], detectors=[name], keep_samples=True)
    found, rows = [], []
    for events in source.chunks():
        batch = engine.process(events)
        found.append(batch.detections)
        rows.append(batch.samples)
    batch, about = engine.finish(), detector(name)
    said = np.concatenate([*found, batch.detections])
    got = [
        (
            PHASE_NAMES[d["phase"]],
            int(d["number"]),
            int(d["size"]),
            about.labels[d["label"]],
            about.outcomes[d["outcome"]],
        )
        for d in said[said["slot"] == 0]
    ]

    def told() -> Iterator[Said]:
        for samples in (*rows, batch.samples):
            if samples is not None:
                for row in samples[samples["slot"] == 0]:
                    yield from slow.row(row)

    return got, list(told())


@pytest.mark.parametrize(
    ("name", "slow", "seed"), [("burst", Bursts, 5), ("burst", Bursts, 6), ("exhaustion", Exhaustions, 3)]
)
def test_a_synthetic_market(name: str, slow: Slow, seed: int) -> None:
    source = open_source(f"synthetic:seed={seed},minutes=12,symbols=1")
    got, want = both(source, name, slow(), 250_000_000)
    assert got == want
    assert got


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "slow"), [("burst", Bursts), ("exhaustion", Exhaustions)])
def test_the_btc_recording(name: str, slow: Slow, data_dir: Path) -> None:
    got, want = both(open_source(data_dir / "binance/btcusdt_20240808.gz"), name, slow(), 100_000_000)
    assert got == want
    assert name == "burst" or got
