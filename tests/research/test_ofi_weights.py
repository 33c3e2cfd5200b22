"""Weights of the integrated order-flow imbalance: made-up flows, and the figures of the recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depthscope.errors import InputError
from depthscope.features.ofi_scaled import WEIGHTS
from depthscope.research.ofi_weights import IntegratedOfi, fit_integrated_ofi

SECOND = 10**9
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
BTC = "binance/btcusdt_20240808.gz"
OPEN, HALF, END = (t * SECOND for t in (1_703_545_230, 1_703_547_000, 1_703_548_800))
AFTER_SNAPSHOT = 1_723_161_256_605_000_000  # matching-engine time of the first depth message
MARKET = "synthetic:seed=3,minutes=3,symbols=2"


def test_what_is_fitted_on_a_made_up_market() -> None:
    fitted = fit_integrated_ofi(MARKET, "1s", symbol="SYNES")
    assert (fitted.symbol, fitted.window) == ("SYNES", SECOND)
    assert len(fitted.weights) == 10
    assert sum(map(abs, fitted.weights)) == pytest.approx(1.0)
    assert sum(fitted.weights) > 0.0
    assert 150 < fitted.windows < 180
    assert 0.1 < fitted.share <= 1.0
    assert fitted.settings == {f"integrated_ofi_w{k + 1}": w for k, w in enumerate(fitted.weights)}
    again = fit_integrated_ofi(MARKET, "1s", symbol="SYNES", weights=(1.0, *[0.0] * 9))
    assert again.r2_integrated == pytest.approx(again.r2_norm)
    assert replace(again, weights=(), r2_integrated=0.0, r2_integrated_next=0.0) == replace(
        fitted, weights=(), r2_integrated=0.0, r2_integrated_next=0.0
    )


def test_only_what_lies_between_start_and_end_is_used() -> None:
    whole = fit_integrated_ofi(MARKET, "1s", symbol="SYNES")
    middle = whole.start + 90 * SECOND
    first = fit_integrated_ofi(MARKET, "1s", symbol="SYNES", end=middle)
    second = fit_integrated_ofi(MARKET, "1s", symbol="SYNES", start=middle)
    assert first.start == whole.start
    assert first.end < middle <= second.start
    assert first.windows == 89
    assert first.windows + second.windows + 1 == whole.windows


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "Choose one"),
        ({"symbol": "SYNES", "start": 2**62}, "20 are needed"),
        ({"symbol": "SYNES"}, "20 are"),
    ],
)
def test_too_little_to_fit(options: dict[str, str | int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fit_integrated_ofi(MARKET, "10s", **options)


def close(found: IntegratedOfi, **expected: float) -> None:
    assert {name: getattr(found, name) for name in expected} == {
        name: pytest.approx(value, abs=0.002) for name, value in expected.items()
    }


@pytest.mark.real_data
def test_es_explained(data_dir: Path) -> None:
    found = fit_integrated_ofi(data_dir / ES, "10s", start=OPEN, end=END)
    close(found, windows=356, r2_ofi=0.4593, r2_integrated=0.8292, r2_ofi_next=0.0060)


@pytest.mark.real_data
def test_btc_explained(data_dir: Path) -> None:
    path = data_dir / BTC
    found = fit_integrated_ofi(path, "1s", start=AFTER_SNAPSHOT, clock="ts_event", actions="L")
    close(found, windows=344, r2_ofi=0.4324, r2_integrated=0.3612, r2_ofi_next=0.0032)


@pytest.mark.real_data
def test_shipped_weights_are_those_of_the_first_half_hour(data_dir: Path) -> None:
    fitted = fit_integrated_ofi(data_dir / ES, "10s", start=OPEN, end=HALF)
    assert fitted.weights == pytest.approx(WEIGHTS, abs=1e-4)
    later = fit_integrated_ofi(data_dir / ES, "10s", start=HALF, end=END, weights=WEIGHTS)
    close(later, windows=179, r2_norm=0.7564, r2_integrated=0.9346, r2_integrated_next=0.0018)
    np.testing.assert_allclose(sum(WEIGHTS), 1.0)
