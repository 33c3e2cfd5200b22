"""Ratio of resting size, bid over ask, with its classic label.

``imbalance_ratio = Σ bid / Σ ask`` over the best 5 levels; ``imbalance_label`` is BULLISH at
1.5 or more, BEARISH at 0.6 or less, NEUTRAL between. Kept for compatibility with older tools:
every calculation here uses the bounded ``depth_imbalance``. Null (not 10.0) when a side is
empty.
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, column, sample_rows
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
BULLISH, BEARISH = 1.5, 0.6
OUT = (
    Column("imbalance_ratio", "ratio"),
    Column("imbalance_label", "label", labels=("BEARISH", "NEUTRAL", "BULLISH")),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    ratio, label = column(ctx, out, 0), column(ctx, out, 1)
    for j in range(n):
        r = rows[j]
        if r.n_bid and r.n_ask:
            bid = ask = 0
            for k in range(5):
                bid += r.bid_size[k]
                ask += r.ask_size[k]
            ratio[j] = bid / ask
            label[j] = 2.0 if ratio[j] >= BULLISH else (0.0 if ratio[j] <= BEARISH else 1.0)
        else:
            ratio[j] = label[j] = NAN
    return n
