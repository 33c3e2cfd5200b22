"""Trades since the previous row: counts, volume by aggressor, delta.

``trades``, ``buy_trades``, ``sell_trades`` and ``volume``, ``buy_volume``, ``sell_volume``;
``delta = buy_volume − sell_volume``. Trades without a known aggressor count in the totals
only; trades whose conditions exclude them from volume are left out.

``aggressor_inferred``: share of buy and sell volume whose aggressor the venue did not tell (0: all of it
told); NaN without either. Where a feed tells no aggressors they are inferred, after Lee and Ready, from the
quote before the trade; all features of signed volume take them so. 0.2 % of them were wrong on BTCUSDT with
fresh quotes, 7 % with quotes 100 ms old, 21 % with quotes a second old, at which the sign of a sum may flip
(docs/NORMALIZATION.md).
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, as_size, column, infos, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.TRADES
OUT = (
    Column("trades", "count", integer=True),
    Column("buy_trades", "count", integer=True),
    Column("sell_trades", "count", integer=True),
    Column("volume", "size"),
    Column("buy_volume", "size"),
    Column("sell_volume", "size"),
    Column("delta", "size"),
    Column("aggressor_inferred", "0…1"),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows, info = sample_rows(ctx), infos(ctx)
    trades, buys, sells = column(ctx, out, 0), column(ctx, out, 1), column(ctx, out, 2)
    volume, bought, sold = column(ctx, out, 3), column(ctx, out, 4), column(ctx, out, 5)
    delta, inferred = column(ctx, out, 6), column(ctx, out, 7)
    for j in range(n):
        r = rows[j]
        i = info[r.slot]
        trades[j] = r.buy_trades + r.sell_trades + r.unknown_trades
        buys[j] = r.buy_trades
        sells[j] = r.sell_trades
        volume[j] = as_size(r.buy_volume + r.sell_volume + r.unknown_volume, i)
        bought[j] = as_size(r.buy_volume, i)
        sold[j] = as_size(r.sell_volume, i)
        delta[j] = as_size(r.buy_volume - r.sell_volume, i)
        signed = r.buy_volume + r.sell_volume
        inferred[j] = r.inferred_volume / signed if signed else NAN
    return n
