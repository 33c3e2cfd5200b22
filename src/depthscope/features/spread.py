"""Spread in price, basis points of mid, and ticks.

``spread = ask − bid``; ``spread_bps = 10⁴·spread/mid`` (4500.25/4500.50 is 0.556 bps);
``spread_ticks = spread/tick``. NaN when a side is empty; ``spread_bps`` is also NaN when mid
is not positive. Negative while a book is crossed (auctions).

Source: Harris (2003), "Trading and Exchanges".
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, column, infos, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
OUT = (Column("spread", "price"), Column("spread_bps", "bps"), Column("spread_ticks", "ticks"))


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    info = infos(ctx)
    spread, bps, ticks = column(ctx, out, 0), column(ctx, out, 1), column(ctx, out, 2)
    for j in range(n):
        r = rows[j]
        if r.n_bid and r.n_ask:
            gap = r.ask_price[0] - r.bid_price[0]
            total = r.ask_price[0] + r.bid_price[0]
            spread[j] = gap / 1e9
            bps[j] = 2e4 * gap / total if total > 0 else NAN
            ticks[j] = gap / info[r.slot].tick_fixed
        else:
            spread[j] = bps[j] = ticks[j] = NAN
    return n
