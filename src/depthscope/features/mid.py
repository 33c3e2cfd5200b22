"""Mid price and size-weighted mid price.

``mid = (bid + ask) / 2``; ``weighted_mid = (bid·q_ask + ask·q_bid) / (q_bid + q_ask)``, which
is often miscalled the microprice: the microprice of Stoikov (2018) is a fitted quantity.
NaN when a side is empty.

Source: Gatheral and Oomen (2010), "Zero-intelligence realized variance estimation".
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, column, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
OUT = (Column("mid", "price"), Column("weighted_mid", "price"))


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    mid, weighted = column(ctx, out, 0), column(ctx, out, 1)
    for j in range(n):
        r = rows[j]
        if r.n_bid and r.n_ask:
            bid, ask = r.bid_price[0], r.ask_price[0]
            q_bid, q_ask = float(r.bid_size[0]), float(r.ask_size[0])
            mid[j] = (bid + ask) / 2e9
            weighted[j] = (bid * q_ask + ask * q_bid) / (q_bid + q_ask) / 1e9
        else:
            mid[j] = weighted[j] = NAN
    return n
