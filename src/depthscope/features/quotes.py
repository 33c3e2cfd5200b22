"""Best prices and sizes.

``best_bid``, ``best_ask``: best resting prices; ``bid_size``, ``ask_size``: their sizes.
NaN (null in tables) when the side is empty.

Source: the book itself.

Examples
--------
>>> import depthscope as ds
>>> table = ds.features("synthetic:seed=1,minutes=1", features=["quotes"])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, as_price, as_size, column, infos, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
OUT = (
    Column("best_bid", "price"),
    Column("best_ask", "price"),
    Column("bid_size", "size"),
    Column("ask_size", "size"),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    info = infos(ctx)
    bid, ask = column(ctx, out, 0), column(ctx, out, 1)
    bid_size, ask_size = column(ctx, out, 2), column(ctx, out, 3)
    for j in range(n):
        r = rows[j]
        i = info[r.slot]
        bid[j] = as_price(r.bid_price[0])
        ask[j] = as_price(r.ask_price[0])
        bid_size[j] = as_size(r.bid_size[0], i) if r.n_bid else NAN
        ask_size[j] = as_size(r.ask_size[0], i) if r.n_ask else NAN
    return n
