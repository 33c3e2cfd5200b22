"""Intervals for what was counted: Wilson for shares, exact Poisson for rates, bootstrap for quantiles.

All are two-sided, 95 %.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Z: Final = 1.959963984540054  # the normal quantile at 0.975
TAIL: Final = 0.025
RESAMPLES: Final = 2_000


class Interval(NamedTuple):
    """A value and its interval; NaN where there is nothing to say it of."""

    value: float
    low: float
    high: float


UNKNOWN: Final = Interval(math.nan, math.nan, math.nan)


def share(k: int, n: int) -> Interval:
    """Share k / n with Wilson's score interval (E. B. Wilson, 1927); unknown for n = 0."""
    if n == 0:
        return UNKNOWN
    p = k / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    # At the ends of the scale rounding must not leave the interval beside its value.
    return Interval(p, 0.0 if k == 0 else middle - half, 1.0 if k == n else middle + half)


def _at_most(k: int, mean: float) -> float:
    """Probability of at most k events where `mean` are expected."""
    if mean <= 0.0:
        return 1.0
    return math.fsum(math.exp(j * math.log(mean) - mean - math.lgamma(j + 1)) for j in range(k + 1))


def _solve(k: int, wanted: float) -> float:
    """Find the mean at which at most k events have probability `wanted`."""
    low, high = 0.0, 2.0 * k + 50.0
    while _at_most(k, high) > wanted:
        high *= 2.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if _at_most(k, middle) > wanted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def rate(k: int, hours: float) -> Interval:
    """Rate of k events in `hours`, an hour, with the exact interval (Garwood, 1936); unknown without time."""
    if hours <= 0.0:
        return UNKNOWN
    low = _solve(k - 1, 1.0 - TAIL) if k else 0.0
    return Interval(k / hours, low / hours, _solve(k, TAIL) / hours)


def quantile(values: Sequence[float], q: float, seed: int) -> Interval:
    """Return a quantile with its percentile bootstrap interval (2,000 resamples); unknown without values."""
    if not len(values):
        return UNKNOWN
    return bootstrap(values, lambda x: np.quantile(x, q, axis=-1), seed)


def bootstrap(values: Sequence[float], of: Callable[[np.ndarray], np.ndarray], seed: int) -> Interval:
    """Percentile bootstrap interval of a statistic along the last axis."""
    x = np.asarray(values, np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))
    low, high = np.quantile(of(x[drawn]), (TAIL, 1.0 - TAIL))
    return Interval(float(of(x)), float(low), float(high))
