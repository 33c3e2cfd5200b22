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
    first_row,
    frame_of,
    infos,
    ring_full,
    ring_push,
    ring_row,
    ring_rows,
    sample_rows,
    trace_rows,
    window_edge,
)  # fmt: skip
from depthscope.jit import carray
from depthscope.market.instruments import Capability

LEVEL = "event"
REQUIRES = Capability.L1
STATE = np.dtype([("ring", RING), ("sum_1s", "i8"), ("sum_10s", "i8"), ("tail_1s", "i8")])
OUT = (Column("ofi_1s", "size"), Column("ofi_10s", "size"))


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the contributions of `n` TRACE rows and write the rows between them."""
    rows, trace, info, memory = sample_rows(ctx), trace_rows(ctx), infos(ctx), ring_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    short, long = column(ctx, out, 0), column(ctx, out, 1)
    samples = frame_of(ctx).n_samples
    j = first_row(ctx, rows)
    k = int(frame_of(ctx).start)
    while True:
        stop = rows[j].at if j < samples else np.int64(n)
        while k < stop:
            event = trace[natural(k)]
            if event.ofi != 0:  # rows of instruments nobody asked for have no state, and no flow
                s = states[natural(event.slot)]
                if ring_full(s.ring):
                    frame_of(ctx).need_slot = event.slot
                    return k
                ring_push(memory, s.ring, event.ts, event.ofi)
                s.sum_1s += event.ofi
                s.sum_10s += event.ofi
            k += 1
        if j == samples:
            return n
        s = states[rows[j].slot]
        edge = window_edge(ctx, rows[j].ts, SECOND)
        while s.tail_1s < s.ring.head and memory[ring_row(s.ring, s.tail_1s), 0] < edge:
            s.sum_1s -= memory[ring_row(s.ring, s.tail_1s), 1]
            s.tail_1s += 1
        edge = window_edge(ctx, rows[j].ts, 10 * SECOND)
        while s.ring.tail < s.ring.head and memory[ring_row(s.ring, s.ring.tail), 0] < edge:
            s.sum_10s -= memory[ring_row(s.ring, s.ring.tail), 1]
            s.ring.tail += 1
        short[j] = as_size(s.sum_1s, info[rows[j].slot])
        long[j] = as_size(s.sum_10s, info[rows[j].slot])
        j += 1
