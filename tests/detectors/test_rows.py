"""Detectors that look at rows equal the slow ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depthscope.runtime.sources import open_source
from tests.detectors.beside import Slow, both
from tests.reference.layering import Layerings
from tests.reference.rows import Bursts, Exhaustions


@pytest.mark.parametrize(
    ("name", "slow", "seed"),
    [
        ("burst", Bursts, 5),
        ("burst", Bursts, 6),
        ("exhaustion", Exhaustions, 3),
        ("layering", Layerings, 5),
        ("layering", Layerings, 9),
    ],
)
def test_a_synthetic_market(name: str, slow: Callable[[], Slow], seed: int) -> None:
    source = open_source(f"synthetic:seed={seed},minutes=12,symbols=1")
    got, want = both(source, name, slow(), 250_000_000)
    assert got == want
    assert got


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "slow"), [("burst", Bursts), ("exhaustion", Exhaustions), ("layering", Layerings)]
)
def test_the_btc_recording(name: str, slow: Callable[[], Slow], data_dir: Path) -> None:
    got, want = both(open_source(data_dir / "binance/btcusdt_20240808.gz"), name, slow(), 100_000_000)
    assert got == want
    assert name == "burst" or got
