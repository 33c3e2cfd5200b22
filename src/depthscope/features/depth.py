"""Depth: cumulative size, depth-weighted price, and the slope of each side.

``bid_depth_5``, ``_10``, ``_20`` (and ask): running size over the best levels;
``bid_depth_5bps``, ``_10bps``, ``_25bps``: size within that distance of mid.
``depth_weighted_price = Σ p·q / Σ q`` over both sides' best 20 levels.
``slope_bid``, ``slope_ask``: least-squares slope of |pₖ − mid| in ticks on cumulative size,
best 20 levels, in ticks per unit of size (a steep side is thin). NaN when a side is empty,
slopes also with fewer than two levels.

Source: Næs and Skjeltorp (2006), "Order book characteristics and the volume-volatility
relation", for the slope of the book.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.features.kit import NAN, Column, as_size, column, infos, sample_rows, twin_of
from depthscope.jit import Int, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import DEPTH_BPS

REQUIRES = Capability.L1
COUNTS = (5, 10, 20)
OUT = (
    *[Column(f"{side}_depth_{k}", "size") for side in ("bid", "ask") for k in COUNTS],
    *[Column(f"{side}_depth_{k}bps", "size") for side in ("bid", "ask") for k in DEPTH_BPS],
    Column("depth_weighted_price", "price"),
    Column("slope_bid", "ticks/unit"),
    Column("slope_ask", "ticks/unit"),
)


@njit
def slope(n: int, price: Any, size: Any, both: Int, info: Any) -> Any:
    """Least-squares slope of distance in ticks on cumulative size."""
    if n < 2:
        return NAN
    # Two passes: centred sums lose no digits when sizes are large and alike. In lots and price
    # beyond the first level, exact integers however large that one is; units come at the end.
    near = abs(2 * price[0] - both)  # twice the first level's distance
    mean_x = mean_y = 0.0
    total = np.int64(0)
    for k in range(n):
        total += size[k] if k else 0
        mean_x += total
        mean_y += abs(2 * price[k] - both) - near
    mean_x /= n
    mean_y /= n
    sxx = sxy = 0.0
    total = np.int64(0)
    for k in range(n):
        total += size[k] if k else 0
        x = total - mean_x
        sxx += x * x
        sxy += x * (abs(2 * price[k] - both) - near - mean_y)
    if sxx > 0.0:
        return sxy / sxx / (2.0 * info.tick_fixed) * info.size_div / info.size_mul
    return NAN


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    info = infos(ctx)
    levels = len(COUNTS)
    bands = len(DEPTH_BPS)
    bid5, bid10, bid20 = column(ctx, out, 0), column(ctx, out, 1), column(ctx, out, 2)
    ask5, ask10, ask20 = column(ctx, out, 3), column(ctx, out, 4), column(ctx, out, 5)
    first = 2 * levels
    centre = column(ctx, out, first + 2 * bands)
    slope_bid = column(ctx, out, first + 2 * bands + 1)
    slope_ask = column(ctx, out, first + 2 * bands + 2)
    for j in range(n):
        same = twin_of(ctx, rows, j)
        if same != j:
            for k in range(first + 2 * bands + 3):
                column(ctx, out, k)[j] = column(ctx, out, k)[same]
            continue
        r = rows[j]
        i = info[r.slot]
        if not (r.n_bid and r.n_ask):
            for k in range(first + 2 * bands + 3):
                column(ctx, out, k)[j] = NAN
            if r.n_bid:
                bid5[j] = as_size(r.bid_size[:5].sum(), i)
                bid10[j] = as_size(r.bid_size[:10].sum(), i)
                bid20[j] = as_size(r.bid_size.sum(), i)
            if r.n_ask:
                ask5[j] = as_size(r.ask_size[:5].sum(), i)
                ask10[j] = as_size(r.ask_size[:10].sum(), i)
                ask20[j] = as_size(r.ask_size.sum(), i)
            continue
        bid = ask = np.int64(0)
        weighted = 0.0
        for k in range(20):
            if k < r.n_bid:
                bid += r.bid_size[k]
                weighted += float(r.bid_price[k]) * float(r.bid_size[k])
            if k < r.n_ask:
                ask += r.ask_size[k]
                weighted += float(r.ask_price[k]) * float(r.ask_size[k])
            if k == 4:
                bid5[j], ask5[j] = as_size(bid, i), as_size(ask, i)
            elif k == 9:
                bid10[j], ask10[j] = as_size(bid, i), as_size(ask, i)
        bid20[j], ask20[j] = as_size(bid, i), as_size(ask, i)
        for k in range(bands):
            column(ctx, out, first + k)[j] = as_size(r.bid_depth[k], i)
            column(ctx, out, first + bands + k)[j] = as_size(r.ask_depth[k], i)
        centre[j] = weighted / float(bid + ask) / 1e9
        both = r.bid_price[0] + r.ask_price[0]
        slope_bid[j] = slope(r.n_bid, r.bid_price, r.bid_size, both, i)
        slope_ask[j] = slope(r.n_ask, r.ask_price, r.ask_size, both, i)
    return n
