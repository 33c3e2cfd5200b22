"""Measures of probability forecasts, with intervals that respect how rows hang together.

Rows of a fine grid overlap in what they are judged by, so an interval from rows drawn one by one would
be far too narrow. Blocks of several horizons are drawn instead (block bootstrap; Hall 1985, Künsch 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Bin", "Interval", "Resampled", "brier", "class_probabilities", "log_loss", "reliability"]

Floats = npt.NDArray[np.float64]
FLOOR: Final = 1e-12  # a probability of 0 that comes true costs a finite loss
BINS: Final = 10
DRAWS: Final = 1_000
FEWEST: Final = 5  # blocks an interval needs


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the range it may well have, 95 %; None where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about one probability.

    Attributes
    ----------
    forecast : float
        Their mean.
    frequency : float
        How often it came true.
    count : int
    """

    forecast: float
    frequency: float
    count: int


def class_probabilities(p_up: Floats, p_down: Floats) -> Floats:
    """(n, 3) array of P(down), P(neither), P(up)."""
    return np.column_stack([p_down, np.maximum(1.0 - p_up - p_down, 0.0), p_up])


def losses(p: Floats, outcome: npt.NDArray[np.int8]) -> Floats:
    """−log of the probability given to what happened, row by row (natural logarithm)."""
    happened = p[np.arange(len(p)), outcome.astype(int) + 1]
    loss: Floats = -np.log(np.maximum(happened, FLOOR))
    return loss


def squares(p: Floats, outcome: npt.NDArray[np.int8]) -> Floats:
    """Σ over the three outcomes of (p − what happened)², row by row: 0 … 2."""
    happened = np.zeros_like(p)
    happened[np.arange(len(p)), outcome.astype(int) + 1] = 1.0
    total: Floats = ((p - happened) ** 2).sum(axis=1)
    return total


def log_loss(p: Floats, outcome: npt.NDArray[np.int8]) -> float:
    """Mean log-loss, nats."""
    return float(losses(p, outcome).mean())


def brier(p: Floats, outcome: npt.NDArray[np.int8]) -> float:
    """Mean Brier score of three outcomes, 0 … 2."""
    return float(squares(p, outcome).mean())


def bins_of(forecast: Floats, bins: int = BINS) -> npt.NDArray[np.int64]:
    """Bin of each forecast, lowest first: equal numbers in each, fewer bins where forecasts tie."""
    if not len(forecast):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(forecast, np.linspace(0.0, 1.0, bins + 1)))
    return np.clip(np.searchsorted(edges, forecast, side="right") - 1, 0, max(len(edges) - 2, 0))


def reliability(forecast: Floats, happened: npt.NDArray[np.bool_], bins: int = BINS) -> tuple[Bin, ...]:
    """Forecast and frequency, bin by bin (see `bins_of`)."""
    place = bins_of(forecast, bins)
    return tuple(
        Bin(float(forecast[place == k].mean()), float(happened[place == k].mean()), int((place == k).sum()))
        for k in np.unique(place)
    )


class Resampled:
    """Figures of rows with 95 % intervals from a bootstrap of blocks of time.

    Blocks are cut along time at multiples of a length from the first row; a draw has as many as there are,
    with replacement. Every figure here is a function of sums, so a draw is a weighted sum of block sums.

    Parameters
    ----------
    ts : int64 array (n,)
        Times of the rows, ascending.
    length : int
        ns; several horizons, so that what one block's rows are judged by lies mostly within it.
    seed : int
    draws : int
    """

    def __init__(self, ts: npt.NDArray[np.int64], length: int, seed: int, draws: int = DRAWS) -> None:
        self.n = len(ts)
        block = (ts - ts[0]) // length if self.n else ts
        self.block = np.unique(block, return_inverse=True)[1]
        self.blocks = int(self.block.max()) + 1 if self.n else 0
        rng = np.random.default_rng(seed)
        taken = rng.integers(0, max(self.blocks, 1), (draws, self.blocks))
        self.weights = np.zeros((draws, self.blocks))
        np.add.at(self.weights, (np.arange(draws)[:, None], taken), 1.0)

    def sums(self, values: Floats) -> Floats:
        """Sum of each block's values."""
        total: Floats = np.bincount(self.block, values, self.blocks).astype(float)
        return total

    def interval(self, value: float, tried: Floats, n: int) -> Interval:
        """Interval of a value from what the draws gave; none with fewer than five blocks."""
        if not n or not np.isfinite(value):
            return Interval(None, None, None, n)
        tried = tried[np.isfinite(tried)]
        if self.blocks < FEWEST or len(tried) < len(self.weights) / 2:
            return Interval(value, None, None, n)
        low, high = np.quantile(tried, [0.025, 0.975])
        return Interval(value, float(low), float(high), n)

    def mean(self, values: Floats, of: npt.NDArray[np.bool_] | None = None) -> Interval:
        """Mean of the values of some rows (all by default)."""
        taken = np.ones(self.n, bool) if of is None else of
        top, count = self.sums(np.where(taken, values, 0.0)), self.sums(taken.astype(float))
        with np.errstate(invalid="ignore", divide="ignore"):
            tried = (self.weights @ top) / (self.weights @ count)
        n = int(taken.sum())
        return self.interval(float(values[taken].mean()) if n else float("nan"), tried, n)

    def calibration_error(self, forecasts: Floats, happened: npt.NDArray[np.bool_]) -> Interval:
        """Expected calibration error of one or several forecasts a row, in the bins of all rows.

        Parameters
        ----------
        forecasts : float64 array (n, k)
        happened : bool array (n, k)
            Whether what each is a forecast of came true.
        """
        bins = bins_of(forecasts.ravel())
        many = int(bins.max()) + 1 if self.n else 1
        place = np.repeat(self.block, forecasts.shape[1]) * many + bins
        gap = (forecasts - happened).ravel()
        by_block = np.bincount(place, gap, self.blocks * many).reshape(self.blocks, many)
        tried = np.abs(self.weights @ by_block).sum(axis=1)
        count = self.weights @ self.sums(np.full(self.n, float(forecasts.shape[1])))
        with np.errstate(invalid="ignore", divide="ignore"):
            tried = tried / count
        value = np.abs(by_block.sum(axis=0)).sum() / gap.size if gap.size else float("nan")
        return self.interval(float(value), tried, self.n)

    def information_coefficient(self, score: Floats, move: Floats) -> Interval:
        """Spearman's rank correlation (ranks of all rows)."""
        from scipy.stats import rankdata

        if self.n < 3 or np.ptp(score) == 0.0 or np.ptp(move) == 0.0:
            return Interval(None, None, None, self.n)
        x, y = (rankdata(values) / self.n - 0.5 for values in (score, move))
        moments = np.stack([self.sums(v) for v in (np.ones(self.n), x, y, x * x, y * y, x * y)])
        drawn = np.column_stack([moments.sum(axis=1), moments @ self.weights.T])
        with np.errstate(invalid="ignore", divide="ignore"):
            mx, my, xx, yy, xy = drawn[1:] / drawn[0]
            found = (xy - mx * my) / np.sqrt((xx - mx * mx) * (yy - my * my))
        return self.interval(float(found[0]), found[1:], self.n)
