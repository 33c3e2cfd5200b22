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
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID, COND_NOT_VOLUME, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

LEVEL = "event"
TRACED = TRACE_TRADES
WINDOWS = (SECOND, 5 * SECOND, 60 * SECOND)
REQUIRES = Capability.TRADES
STATE = np.dtype(
    [
        ("ring", RING),
        ("total", "i8"),
        ("trades", "i8"),
        ("one", "i8"),
        ("five", "i8"),
        ("sixty", "i8"),
    ]
)
OUT = (
    Column("delta_1s", "size"),
    Column("delta_5s", "size"),
    Column("delta_60s", "size"),
    Column("trades_5s", "count", integer=True),
)


TOTAL, TRADES = 1, 2  # columns of the ring


@njit
def push(memory: Any, s: Any, ts: Int) -> None:
    """Append the totals."""
    row = ring_push(memory, s.ring, ts)
    memory[row, TOTAL] = s.total
    memory[row, TRADES] = s.trades


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
    j = int(frame_of(ctx).row)
    k = int(frame_of(ctx).start)
    by_row = frame_of(ctx).by_row
    while True:
        stop = np.int64(0) if by_row else rows[j].at if j < samples else np.int64(n)
        while k < stop:
            if trace[natural(k)].action == TRADE:
                event = events[natural(trace[k].event)]
                if not event.cond & COND_NOT_VOLUME and (event.side == BID or event.side == ASK):
                    s = states[trace[k].slot]
                    if ring_full(s.ring):
                        missing_ring(ctx, trace[k].slot, 0, j)
                        return k
                    s.total += event.size if event.side == BID else -event.size
                    s.trades += 1
                    push(memory, s, trace[k].ts)
            k += 1
        if j == samples:
            return n
        row = rows[j]
        s = states[row.slot]
        if by_row and row.buy_trades + row.sell_trades:
            if ring_full(s.ring):
                missing_ring(ctx, row.slot, 0, j)
                return j
            s.total += row.buy_volume - row.sell_volume
            s.trades += row.buy_trades + row.sell_trades
            push(memory, s, row.ts - 1)
        i = info[row.slot]
        s.one = expire(memory, s.ring, s.one, window_edge(ctx, row.ts, WINDOWS[0]))
        s.five = expire(memory, s.ring, s.five, window_edge(ctx, row.ts, WINDOWS[1]))
        s.sixty = expire(memory, s.ring, s.sixty, window_edge(ctx, row.ts, WINDOWS[2]))
        one[j] = as_size(s.total - total_before(memory, s.ring, s.one, TOTAL), i)
        five[j] = as_size(s.total - total_before(memory, s.ring, s.five, TOTAL), i)
        sixty[j] = as_size(s.total - total_before(memory, s.ring, s.sixty, TOTAL), i)
        count[j] = s.trades - total_before(memory, s.ring, s.five, TRADES)
        s.ring.tail = max(s.sixty - 1, 0)
        j += 1
