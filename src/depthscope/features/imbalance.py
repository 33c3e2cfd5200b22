"""Queue imbalance and depth imbalance, −1…1.

``queue_imbalance = (q_bid − q_ask)/(q_bid + q_ask)`` at level 1; ``depth_imbalance`` the same
over the best 5 levels, ``depth_imbalance_10`` over the best 10 (fewer where the book has
fewer). NaN when a side is empty.

Source: Gould and Bonart (2016), "Queue imbalance as a one-tick-ahead price predictor".
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, column, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
OUT = (
    Column("queue_imbalance", "-1…1"),
    Column("depth_imbalance", "-1…1"),
    Column("depth_imbalance_10", "-1…1"),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    queue, five, ten = column(ctx, out, 0), column(ctx, out, 1), column(ctx, out, 2)
    for j in range(n):
        r = rows[j]
        if r.n_bid and r.n_ask:
            bid = ask = 0
            for k in range(10):  # sizes past the last level are 0
                bid += r.bid_size[k]
                ask += r.ask_size[k]
                if k == 0:
                    queue[j] = (bid - ask) / (bid + ask)
                elif k == 4:
                    five[j] = (bid - ask) / (bid + ask)
            ten[j] = (bid - ask) / (bid + ask)
        else:
            queue[j] = five[j] = ten[j] = NAN
    return n
