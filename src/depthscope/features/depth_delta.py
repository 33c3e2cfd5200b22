"""Change of total depth over 1 s: the quantity older tools call "OFI".

``depth_delta = Δ(Σ bid) − Δ(Σ ask)`` over the best 10 levels, against the last row that is at
least 1 s old (the first row until there is one). It jumps when levels scroll in or out of the
ten; it is kept for compatibility and nothing here computes with it. NaN when a side is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.features.kit import (
    NAN,
    RING,
    SECOND,
    Column,
    as_size,
    column,
    frame_of,
    infos,
    missing_ring,
    ring_full,
    ring_push,
    ring_row,
    ring_rows,
    sample_rows,
)  # fmt: skip
from depthscope.jit import carray
from depthscope.market.instruments import Capability

REQUIRES = Capability.L1
STATE = np.dtype([("ring", RING)])
OUT = (Column("depth_delta", "size"),)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the column of `n` SAMPLE rows."""
    rows, info, memory = sample_rows(ctx), infos(ctx), ring_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    delta = column(ctx, out, 0)
    for j in range(frame_of(ctx).start, n):
        r = rows[j]
        if not (r.n_bid and r.n_ask):
            delta[j] = NAN
            continue
        s = states[r.slot]
        if ring_full(s.ring):
            missing_ring(ctx, r.slot, 0, j)
            return j
        total = np.int64(0)
        for k in range(10):
            total += r.bid_size[k] - r.ask_size[k]
        memory[ring_push(memory, s.ring, r.ts), 1] = total
        while s.ring.tail + 1 < s.ring.head and memory[ring_row(s.ring, s.ring.tail + 1), 0] <= r.ts - SECOND:
            s.ring.tail += 1
        delta[j] = as_size(total - memory[ring_row(s.ring, s.ring.tail), 1], info[r.slot])
    return n
