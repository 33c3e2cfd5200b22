"""Intervals against published and hand-worked values."""

from __future__ import annotations

import math

import pytest

from depthscope.research.intervals import UNKNOWN, quantile, rate, share


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I: Wilson's method without correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By hand: (1 + z²/2n ± …) with all of ten, low = n / (n + z²).
        (10, 10, 10 / (10 + 1.959963984540054**2), 1.0),
    ],
)
def test_wilson(k: int, n: int, low: float, high: float) -> None:
    found = share(k, n)
    assert found.value == k / n
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize(
    ("k", "low", "high"),
    # Garwood (1936), as in every table of exact Poisson limits.
    [
        (0, 0.0, 3.6889),
        (1, 0.0253, 5.5716),
        (5, 1.6235, 11.6683),
        (10, 4.7954, 18.3904),
        (100, 81.364, 121.627),
    ],
)
def test_poisson(k: int, low: float, high: float) -> None:
    found = rate(k, 1.0)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))
    half = rate(k, 0.5)
    assert half == pytest.approx(tuple(2 * x for x in found))


def test_none_of_nothing_is_unknown() -> None:
    for found in (share(0, 0), rate(3, 0.0), quantile([], 0.5, 1), UNKNOWN):
        assert all(math.isnan(x) for x in found)


def test_bootstrap_of_a_median() -> None:
    values = [float(x) for x in range(1, 102)]
    found = quantile(values, 0.5, seed=4)
    assert found.value == 51
    # The binomial interval of a median of 101: order statistics 41 and 61.
    assert found.low == pytest.approx(41, abs=2)
    assert found.high == pytest.approx(61, abs=2)
    assert quantile(values, 0.5, seed=4) == found
    assert quantile([2.0] * 5, 0.9, seed=1) == (2.0, 2.0, 2.0)
