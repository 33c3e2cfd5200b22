"""Session totals: cumulative delta, VWAP, high, low, last.

``cvd``: signed volume since the anchor; ``vwap = Σ p·q / Σ q``; ``hod``, ``lod``: highest and
lowest eligible trade; ``last``: last eligible trade price. Until session calendars exist the
anchor is the first event of the source, and tables say so in the column's metadata. NaN
before the first eligible trade (``cvd`` is 0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.features.kit import (
    NAN,
    UNDEF,
    Column,
    as_price,
    as_size,
    column,
    frame_of,
    infos,
    sample_rows,
)
from depthscope.jit import carray
from depthscope.market.instruments import Capability

REQUIRES = Capability.TRADES
STATE = np.dtype(
    [
        ("delta", "i8"),
        ("volume", "i8"),
        ("notional", "f8"),
        ("high", "i8"),
        ("low", "i8"),
        ("begun", "i8"),
    ]
)
OUT = (
    Column("cvd", "size"),
    Column("vwap", "price"),
    Column("hod", "price"),
    Column("lod", "price"),
    Column("last", "price"),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows, info = sample_rows(ctx), infos(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    cvd, vwap = column(ctx, out, 0), column(ctx, out, 1)
    hod, lod, last = column(ctx, out, 2), column(ctx, out, 3), column(ctx, out, 4)
    for j in range(n):
        r = rows[j]
        s = states[r.slot]
        s.delta += r.buy_volume - r.sell_volume
        s.volume += r.buy_volume + r.sell_volume + r.unknown_volume
        s.notional += r.notional
        if r.high != UNDEF:
            if not s.begun or r.high > s.high:
                s.high = r.high
            if not s.begun or r.low < s.low:
                s.low = r.low
            s.begun = 1
        cvd[j] = as_size(s.delta, info[r.slot])
        vwap[j] = s.notional / s.volume if s.volume > 0 else NAN
        hod[j] = as_price(s.high) if s.begun else NAN
        lod[j] = as_price(s.low) if s.begun else NAN
        last[j] = as_price(r.last_price)
    return n
