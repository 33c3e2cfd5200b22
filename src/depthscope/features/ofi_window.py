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
    expire,
    frame_of,
    infos,
    missing_ring,
    put,
    ring_full,
    ring_push,
    ring_rows,
    sample_rows,
    total_before,
    walk,
    window_edge,
)
from depthscope.jit import carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_FLOW

LEVEL = "event"
TRACED = TRACE_FLOW
WINDOWS = (SECOND, 10 * SECOND)
REQUIRES = Capability.L1
STATE = np.dtype([("ring", RING), ("total", "i8"), ("short", "i8"), ("long", "i8")])
OUT = (Column("ofi_1s", "size"), Column("ofi_10s", "size"))


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add the contribution of a group."""
    if t.ofi == 0:
        return True
    s = states[natural(t.slot)]
    if ring_full(s.ring):
        missing_ring(ctx, t.slot, 0, j)
        return False
    s.total += t.ofi
    memory = ring_rows(ctx)
    memory[ring_push(memory, s.ring, t.ts), 1] = s.total
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    s, i = states[row.slot], infos(ctx)[row.slot]
    if frame_of(ctx).by_row and row.ofi[0] != 0:
        if ring_full(s.ring):
            missing_ring(ctx, row.slot, 0, j)
            return False
        s.total += row.ofi[0]
        memory[ring_push(memory, s.ring, row.ts - 1), 1] = s.total
    s.short = expire(memory, s.ring, s.short, window_edge(ctx, row.ts, WINDOWS[0]))
    s.long = expire(memory, s.ring, s.long, window_edge(ctx, row.ts, WINDOWS[1]))
    put(ctx, out, 0, j, as_size(s.total - total_before(memory, s.ring, s.short, 1), i))
    put(ctx, out, 1, j, as_size(s.total - total_before(memory, s.ring, s.long, 1), i))
    s.ring.tail = max(s.long - 1, 0)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the contributions of `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
