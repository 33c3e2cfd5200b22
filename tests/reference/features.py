"""Features straight from their definitions, in exact arithmetic up to the last division.

Everything is computed from rows of the slow engine. Sizes are public sizes (lots x lot).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import nan

from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from reference.book import Level
from reference.engine import Row, Trade

Pair = tuple[Fraction, Fraction]  # price (units), public size
SECOND = 10**9


def public(levels: Sequence[Level], instrument: Instrument) -> list[Pair]:
    """Levels in the instrument's own units."""
    lot = Fraction(instrument.lot, ev.PRICE_SCALE)
    return [(Fraction(price, ev.PRICE_SCALE), size * lot) for price, size, _ in levels]


def ratio(top: Fraction, bottom: Fraction) -> float:
    """top / bottom, NaN where undefined."""
    return float(top / bottom) if bottom else nan


def imbalance(bid: Fraction, ask: Fraction) -> float:
    """(bid - ask) / (bid + ask)."""
    return ratio(bid - ask, bid + ask)


def total(levels: Sequence[Pair], n: int) -> Fraction:
    """Size over the best `n` levels."""
    return sum((size for _, size in levels[:n]), Fraction(0))


def slope(levels: Sequence[Pair], middle: Fraction, tick: Fraction) -> float:
    """Least-squares slope of the distance to mid (ticks) on cumulative size; NaN below two levels."""
    x, y, running = [], [], Fraction(0)
    for price, size in levels:
        running += size
        x.append(running)
        y.append(abs(price - middle) / tick)
    if len(x) < 2:
        return nan
    mean_x, mean_y = sum(x, Fraction(0)) / len(x), sum(y, Fraction(0)) / len(y)
    covariance = sum(((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)), Fraction(0))
    return ratio(covariance, sum(((a - mean_x) ** 2 for a in x), Fraction(0)))
