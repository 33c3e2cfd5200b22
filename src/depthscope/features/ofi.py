"""Order-flow imbalance since the previous row, levels 1 to 10.

Between consecutive LAST states, per level:
``e = 1{Pb ≥ Pb₋}·qb − 1{Pb ≤ Pb₋}·qb₋ − 1{Pa ≤ Pa₋}·qa + 1{Pa ≥ Pa₋}·qa₋``, summed.
``ofi`` is level 1 (and equals ``ofi_l1``); ``ofi_norm`` divides it by the mean of the two best
sizes. A level counts only where both sides have it before and after; sums start anew after a
clear, a snapshot or a lost feed.

Source: Cont, Kukanov and Stoikov (2014), "The price impact of order book events"; levels:
Xu, Gould and Howison (2019).
"""

from __future__ import annotations

from typing import Any

from depthscope.features.kit import NAN, Column, as_size, column, infos, sample_rows
from depthscope.market.instruments import Capability
from depthscope.market.layouts import OFI_LEVELS

REQUIRES = Capability.L1
OUT = (
    Column("ofi", "size"),
    Column("ofi_norm", "ratio"),
    *[Column(f"ofi_l{k + 1}", "size") for k in range(OFI_LEVELS)],
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the columns of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    info = infos(ctx)
    ofi, norm = column(ctx, out, 0), column(ctx, out, 1)
    for k in range(OFI_LEVELS):
        level = column(ctx, out, 2 + k)
        for j in range(n):
            level[j] = as_size(rows[j].ofi[k], info[rows[j].slot])
    for j in range(n):
        r = rows[j]
        ofi[j] = as_size(r.ofi[0], info[r.slot])
        norm[j] = 2.0 * r.ofi[0] / (r.bid_size[0] + r.ask_size[0]) if r.n_bid and r.n_ask else NAN
    return n
