"""Measures against hand values and NumPy, intervals against how often they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depthscope.research.metrics import (
    Resampled,
    bins_of,
    brier,
    class_probabilities,
    log_loss,
    reliability,
)
from tests.research.markets import SECOND

OUTCOME = np.array([1, 0, -1, 0], np.int8)
P = class_probabilities(np.array([0.7, 0.2, 0.1, 0.0]), np.array([0.1, 0.2, 0.6, 0.0]))


def test_by_hand() -> None:
    assert P[0] == pytest.approx([0.1, 0.2, 0.7])
    assert log_loss(P, OUTCOME) == pytest.approx(-(math.log(0.7) + math.log(0.6) + math.log(0.6) + 0.0) / 4)
    squares = [0.1**2 + 0.2**2 + 0.3**2, 0.2**2 + 0.4**2 + 0.2**2, 0.4**2 + 0.3**2 + 0.1**2, 0.0]
    assert brier(P, OUTCOME) == pytest.approx(sum(squares) / 4)


def test_a_certain_mistake_costs_a_finite_loss() -> None:
    p = class_probabilities(np.array([0.0]), np.array([1.0]))
    assert log_loss(p, np.array([1], np.int8)) == pytest.approx(-math.log(1e-12))


def test_bins_hold_equal_numbers() -> None:
    forecast = np.linspace(0.0, 1.0, 1_000)
    assert np.bincount(bins_of(forecast)).tolist() == [100] * 10
    assert [b.count for b in reliability(forecast, forecast > 0.5)] == [100] * 10
    assert len(reliability(np.full(50, 0.3), np.zeros(50, bool))) == 1
    assert reliability(np.zeros(0), np.zeros(0, bool)) == ()


def test_calibration_error_by_hand() -> None:
    # Two forecasts, 50 each: 0.2 comes true in 0.3, 0.8 in 0.6: error (0.1 + 0.2) / 2.
    forecast = np.repeat([0.2, 0.8], 50)
    happened = np.concatenate([np.arange(50) < 15, np.arange(50) < 30])
    found = Resampled(np.arange(100) * SECOND, 5 * SECOND, seed=1).calibration_error(
        forecast[:, None], happened[:, None]
    )
    assert found.value == pytest.approx(0.15)
    assert found.n == 100


def test_the_mean_is_numpy_s_and_its_interval_that_of_drawn_rows() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(3.0, 2.0, 4_000)
    found = Resampled(np.arange(4_000) * SECOND, SECOND, seed=2).mean(values)
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / math.sqrt(4_000)
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    some = values > 3.0
    assert Resampled(np.arange(4_000), 7, seed=2).mean(values, some).value == pytest.approx(
        values[some].mean()
    )


def test_rows_that_hang_together_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    values = np.repeat(rng.normal(size=200), 50)  # 200 independent numbers, each 50 rows long
    ts = np.arange(10_000) * SECOND
    by_row, by_block = (Resampled(ts, length * SECOND, seed=3).mean(values) for length in (1, 50))
    assert by_block.high is not None and by_block.low is not None
    assert by_row.high is not None and by_row.low is not None
    assert (by_block.high - by_block.low) > 4.0 * (by_row.high - by_row.low)


def test_intervals_hold_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for k in range(200):
        values = np.repeat(rng.normal(size=60), 10)
        found = Resampled(np.arange(600) * SECOND, 10 * SECOND, seed=k, draws=400).mean(values)
        assert found.low is not None and found.high is not None
        held += found.low <= 0.0 <= found.high
    assert 176 <= held <= 199  # 95 % of 200 is 190; a bootstrap of 60 blocks is a little narrow


def test_information_coefficient_is_scipy_s() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(8)
    score = rng.normal(size=500).round(1)
    move = 0.3 * score + rng.normal(size=500).round(1)
    found = Resampled(np.arange(500) * SECOND, 10 * SECOND, seed=1).information_coefficient(score, move)
    assert found.value == pytest.approx(spearmanr(score, move).statistic)
    assert found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    flat = Resampled(np.arange(500), 10, seed=1).information_coefficient(np.zeros(500), move)
    assert flat.value is None


def test_too_few_blocks_have_no_interval() -> None:
    found = Resampled(np.arange(40) * SECOND, 10 * SECOND, seed=1).mean(np.arange(40.0))
    assert found.value == pytest.approx(19.5)
    assert found.low is None
    empty = Resampled(np.zeros(0, np.int64), SECOND, seed=1)
    assert empty.mean(np.zeros(0)).value is None
