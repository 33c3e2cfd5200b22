"""Signed traded volume over the last 1 s, 5 s and 60 s, from every trade.

``delta_1s``, ``delta_5s``, ``delta_60s``: volume of buy aggressors less that of sell
aggressors inside the window, in receive time ([t − w, t) at a grid row, (t − w, t] by event).
Trades without a known aggressor, and those that do not count for volume, are left out.
``trades_5s``: number of trades with a known aggressor in the last 5 s.
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
    event_rows,
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
from depthscope.market.events import ASK, BID, COND_NOT_VOLUME, TRADE
from depthscope.market.instruments import Capability

LEVEL = "event"
REQUIRES = Capability.TRADES
STATE = np.dtype(
    [
        ("ring", RING),
        ("sum_1s", "i8"),
        ("sum_5s", "i8"),
        ("sum_60s", "i8"),
        ("tail_1s", "i8"),
        ("tail_5s", "i8"),
    ]
)
OUT = (
    Column("delta_1s", "size"),
    Column("delta_5s", "size"),
    Column("delta_60s", "size"),
    Column("trades_5s", "count", integer=True),
)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the trades among `n` TRACE rows and write the rows between them."""
    rows, trace, events = sample_rows(ctx), trace_rows(ctx), event_rows(ctx)
    info, memory = infos(ctx), ring_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    one, five, sixty, count = (
        column(ctx, out, 0),
        column(ctx, out, 1),
        column(ctx, out, 2),
        column(ctx, out, 3),
    )
    samples = frame_of(ctx).n_samples
    j = first_row(ctx, rows)
    k = int(frame_of(ctx).start)
    while True:
        stop = rows[j].at if j < samples else np.int64(n)
        while k < stop:
            if trace[natural(k)].action == TRADE:
                event = events[natural(k)]
                if not event.cond & COND_NOT_VOLUME and (event.side == BID or event.side == ASK):
                    s = states[trace[k].slot]
                    if ring_full(s.ring):
                        frame_of(ctx).need_slot = trace[k].slot
                        return k
                    signed = event.size if event.side == BID else -event.size
                    ring_push(memory, s.ring, trace[k].ts, signed)
                    s.sum_1s += signed
                    s.sum_5s += signed
                    s.sum_60s += signed
            k += 1
        if j == samples:
            return n
        s = states[rows[j].slot]
        edge = window_edge(ctx, rows[j].ts, SECOND)
        while s.tail_1s < s.ring.head and memory[ring_row(s.ring, s.tail_1s), 0] < edge:
            s.sum_1s -= memory[ring_row(s.ring, s.tail_1s), 1]
            s.tail_1s += 1
        edge = window_edge(ctx, rows[j].ts, 5 * SECOND)
        while s.tail_5s < s.ring.head and memory[ring_row(s.ring, s.tail_5s), 0] < edge:
            s.sum_5s -= memory[ring_row(s.ring, s.tail_5s), 1]
            s.tail_5s += 1
        edge = window_edge(ctx, rows[j].ts, 60 * SECOND)
        while s.ring.tail < s.ring.head and memory[ring_row(s.ring, s.ring.tail), 0] < edge:
            s.sum_60s -= memory[ring_row(s.ring, s.ring.tail), 1]
            s.ring.tail += 1
        i = info[rows[j].slot]
        one[j], five[j], sixty[j] = as_size(s.sum_1s, i), as_size(s.sum_5s, i), as_size(s.sum_60s, i)
        count[j] = s.ring.head - s.tail_5s
        j += 1
