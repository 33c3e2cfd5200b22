"""Slope and trend of cumulative delta over the last five minutes.

At every whole second T (UTC, receive time) a point is taken: the volume of all buy aggressors less
that of all sell aggressors before T. A row at t takes the last 300 points with T ≤ t, so its
values depend neither on the row grid nor, within a second, on anything new.

* ``cvd_slope_5m``: slope of the least-squares line through the points, size a second.
* ``cvd_r2_5m = Sxy² / (Sxx·Syy)``: share of the points' variance the line explains; the
  slope's t-statistic is ``t = √((n − 2)·r² / (1 − r²))`` with the sign of the slope.
* ``cvd_trend``: RISING or FALLING when |t| ≥ ``cvd_trend_t``·√(n/300), else FLAT.

The default of the setting ``cvd_trend_t`` is 40, not 2. Sums of independent signed trades wander,
and a line through a random walk has a large t for no reason: |t| is above 2 in 93 % of windows of
300 points without any drift, and it grows with √n, whence the factor. 40 is exceeded in one of ten
such windows (20,000 simulated walks), 49 in one of twenty; it means r² ≥ 0.84.

Points begin after the first trade with a known aggressor; other trades, and those that do not count
for volume, are left out. NaN and null until 60 points are there. Without any change in the window the
slope and r² are 0 and the trend is FLAT. The state of the book plays no part.

Sums of the regression are exact integers (while cvd moves by less than 5e13 lots in a window), taken
anew from the points once a second: nothing drifts.

Source: Granger and Newbold (1974), "Spurious regressions in econometrics"; Durlauf and
Phillips (1988), "Trends versus random walks in time series analysis".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    NAN,
    SECOND,
    Column,
    as_size,
    counted,
    event_rows,
    frame_of,
    infos,
    put,
    sample_rows,
    walk,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_TRADES
WINDOWS = (SECOND,)  # what a row must not straddle
REQUIRES = Capability.TRADES
SETTINGS = {"cvd_trend_t": 40.0}
POINTS, ENOUGH = 300, 60
# 2.5 KB an instrument: that of second k is point number k % POINTS.
STATE = np.dtype(
    [
        ("points", "i8", (POINTS,)),
        ("cvd", "i8"),
        ("begun", "i8"),
        ("second", "i8"),  # of the latest point
        ("n", "i8"),
        ("idle", "i8"),  # points since cvd last changed
        ("fitted", "i8"),  # second the values below are of
        ("slope", "f8"),  # lots a second
        ("r2", "f8"),
        ("trend", "f8"),
        ("t2", "f8"),  # the setting, squared
    ]
)
OUT = (
    Column("cvd_slope_5m", "size/s"),
    Column("cvd_r2_5m", "0…1"),
    Column("cvd_trend", "label", labels=("FALLING", "FLAT", "RISING")),
)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the threshold of one instrument."""
    record["t2"] = settings["cvd_trend_t"] ** 2
    record["slope"] = record["r2"] = record["trend"] = NAN


@njit
def trade(s: Any, ts: Int, signed: Int) -> None:
    """Count signed volume at a time whose earlier points have been taken."""
    if not s.begun:
        s.begun = 1
        s.second = ts // SECOND
    s.cvd += signed
    s.idle = 0


@njit
def take_points(s: Any, second: Int) -> None:
    """Take the points up to a second."""
    if s.begun and second > s.second:
        new = second - s.second
        for k in range(max(s.second, second - POINTS) + 1, second + 1):
            s.points[natural(k % POINTS)] = s.cvd
        s.second = second
        s.n = min(s.n + new, POINTS)
        s.idle += new


@njit
def sums(points: Any, first: Int, last: Int, before: Int, origin: Int) -> tuple[Int, Int]:
    """Σ y and Σ k·y of points [first, last), y from `origin`, k from `before`."""
    y_sum = ky_sum = np.int64(0)
    for k in range(first, last):
        y = points[natural(k)] - origin
        y_sum += y
        ky_sum += (before + k - first) * y
    return y_sum, ky_sum


@njit
def scatter(points: Any, first: Int, last: Int, mean: float) -> float:
    """Σ (y − mean)² of points [first, last); four sums, as one would wait for itself."""
    a = b = c = d = 0.0
    k = np.int64(first)
    while k + 4 <= last:
        a += (points[natural(k)] - mean) ** 2
        b += (points[natural(k + 1)] - mean) ** 2
        c += (points[natural(k + 2)] - mean) ** 2
        d += (points[natural(k + 3)] - mean) ** 2
        k += 4
    while k < last:
        a += (points[natural(k)] - mean) ** 2
        k += 1
    return (a + b) + (c + d)


@njit
def fit(s: Any) -> None:
    """Fit the line through the points, where there are new ones."""
    if s.fitted == s.second or s.n < ENOUGH:
        return
    s.fitted = s.second
    s.slope = s.r2 = 0.0
    s.trend = 1.0
    n = s.n
    if s.idle >= n:
        return
    # The window lies in the circle as up to two pieces, the older first.
    end = s.second % POINTS + 1
    older = max(n - end, 0)
    origin = s.points[natural(end - 1)]
    y_1, ky_1 = sums(s.points, POINTS - older, np.int64(POINTS), np.int64(0), origin)
    y_2, ky_2 = sums(s.points, end - (n - older), end, older, origin)
    # Twice Sxy, Sxx times 12 / n: both whole numbers.
    sxy = 2 * (ky_1 + ky_2) - (n - 1) * (y_1 + y_2)
    sxx = n * n - 1
    mean = (y_1 + y_2) / n
    syy = scatter(s.points, POINTS - older, np.int64(POINTS), origin + mean)
    syy += scatter(s.points, end - (n - older), end, origin + mean)
    if syy == 0.0:
        return
    s.slope = 6.0 * sxy / (n * sxx)
    s.r2 = min(3.0 * sxy / sxx * sxy / n / syy, 1.0)
    if s.r2 * (n - 2) >= s.t2 * n / POINTS * (1.0 - s.r2):
        s.trend = 2.0 if sxy > 0 else 0.0 if sxy < 0 else 1.0


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Count a trade."""
    if counted(ctx, t):
        event = event_rows(ctx)[natural(t.event)]
        if event.side == BID or event.side == ASK:
            s = states[t.slot]
            take_points(s, t.ts // SECOND)
            trade(s, t.ts, event.size if event.side == BID else -event.size)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    if frame_of(ctx).by_row and row.buy_trades + row.sell_trades:
        # They came since the boundary before, between which and this no second begins.
        take_points(s, (row.ts - 1) // SECOND)
        trade(s, row.ts - 1, row.buy_volume - row.sell_volume)
    take_points(s, row.ts // SECOND)
    fit(s)
    put(ctx, out, 0, j, as_size(s.slope, infos(ctx)[row.slot]))
    put(ctx, out, 1, j, s.r2)
    put(ctx, out, 2, j, s.trend)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the trades among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
