"""Order-flow imbalance over the last 1 s and 10 s, from every event.

``ofi_1s`` and ``ofi_10s`` sum the level-1 contributions (see ``ofi``) of all groups inside the
window, in receive time: [t − w, t) at a grid row, (t − w, t] at a row by event.

Source: Cont, Kukanov and Stoikov (2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    RING,
    SECOND,
    Column,
    as_size,
    column,
    expire,
    frame_of,
    infos,
    missing_ring,
    ring_full,
    ring_push,
    ring_rows,
    sample_rows,
    total_before,
    trace_rows,
    window_edge,
)  # fmt: skip
from depthscope.jit import carray
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_FLOW

LEVEL = "event"
TRACED = TRACE_FLOW
WINDOWS = (SECOND, 10 * SECOND)
REQUIRES = Capability.L1
STATE = np.dtype([("ring", RING), ("total", "i8"), ("short", "i8"), ("long", "i8")])
OUT = (Column("ofi_1s", "size"), Column("ofi_10s", "size"))


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the contributions of `n` TRACE rows and write the rows between them."""
    rows, trace, info, memory = sample_rows(ctx), trace_rows(ctx), infos(ctx), ring_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    short, long = column(ctx, out, 0), column(ctx, out, 1)
    samples = frame_of(ctx).n_samples
    j = int(frame_of(ctx).row)
    k = int(frame_of(ctx).start)
    by_row = frame_of(ctx).by_row
    while True:
        stop = np.int64(0) if by_row else rows[j].at if j < samples else np.int64(n)
        while k < stop:
            event = trace[natural(k)]
            if event.ofi != 0:
                s = states[natural(event.slot)]
                if ring_full(s.ring):
                    missing_ring(ctx, event.slot, 0, j)
                    return k
                s.total += event.ofi
                memory[ring_push(memory, s.ring, event.ts), 1] = s.total
            k += 1
        if j == samples:
            return n
        row = rows[j]
        s = states[row.slot]
        if by_row and row.ofi[0] != 0:
            if ring_full(s.ring):
                missing_ring(ctx, row.slot, 0, j)
                return j
            s.total += row.ofi[0]
            memory[ring_push(memory, s.ring, row.ts - 1), 1] = s.total
        s.short = expire(memory, s.ring, s.short, window_edge(ctx, row.ts, WINDOWS[0]))
        s.long = expire(memory, s.ring, s.long, window_edge(ctx, row.ts, WINDOWS[1]))
        short[j] = as_size(s.total - total_before(memory, s.ring, s.short, 1), info[row.slot])
        long[j] = as_size(s.total - total_before(memory, s.ring, s.long, 1), info[row.slot])
        s.ring.tail = max(s.long - 1, 0)
        j += 1
