"""Volume profile: at which prices it traded most, over the session and over the last 180 s.

``poc``, ``vah``, ``val``: point of control, upper and lower end of the value area of the session so
far; ``poc_3m``, ``vah_3m``, ``val_3m``: the same of the last 180 s, [t − 180 s, t) at a grid row,
(t − 180 s, t] at a row by event. Rows of the profile are ticks; a price off the grid counts with the tick
below it. Trades that do not count for volume are left out.

* The point of control is the tick with the most volume: of several, the one nearest to mid; of two as
  near, or without a mid, the lower one.
* The value area holds at least 70 % of the volume. From the point of control on, the sums of the next two
  ticks above and below are compared, and the two with the larger sum are added, until it is enough.
  Ticks without a trade are ticks too, but none beyond the highest and lowest trade. Equal sums: the two
  above where the mid is above the point of control, else (or without a mid) those below.

The mid is that of the row, as the feature `mid` has it. NaN before the first trade of the session, or
without one in the last 180 s. Sessions are those of `session`; the window is not cut by them. Any price
counts, however far away: memory grows with the number of prices traded, 16 bytes each, and with the
trades of 180 s. A row costs time in proportion to the number of prices when something traded since the
row before, and next to none otherwise.

Source: J. P. Steidlmayer's Market Profile; CBOT (1989), "A Six-Part Study Guide to Market Profile".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.clock import STRETCH, new_session, on_time, row_time
from depthscope.features.kit import (
    NAN,
    RING,
    SECOND,
    Column,
    as_price,
    counted,
    event_rows,
    expire,
    frame_of,
    infos,
    missing_ring,
    put,
    ring_full,
    ring_push,
    ring_row,
    ring_rows,
    sample_rows,
    tick_below,
    walk,
    window_edge,
)
from depthscope.features.profile import NO_MID, PROFILE, add, cells_of, clear, fits, remove, settle
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

LEVEL = "event"
TRACED = TRACE_TRADES
REQUIRES = Capability.TRADES
WINDOW = 180 * SECOND
STATE = np.dtype(
    [
        ("trades", RING),  # of the window
        ("session_cells", RING),
        ("recent_cells", RING),
        ("now", STRETCH),
        ("anchor", "i8"),
        ("session", PROFILE),
        ("recent", PROFILE),
    ]
)
TRADES, SESSION, RECENT = range(3)  # rings
TICK, SIZE = 1, 2  # columns of the trades' ring
OUT = (
    Column("poc", "price"),
    Column("vah", "price"),
    Column("val", "price"),
    Column("poc_3m", "price"),
    Column("vah_3m", "price"),
    Column("val_3m", "price"),
)


@njit
def enter(ctx: Any, slot: Int, s: Any, ts: Int, j: int) -> Any:
    """Be in the session of a moment; False to wait for the timetable."""
    if not on_time(ctx, slot, s.now, ts, j):
        return False
    if new_session(s.now, s.anchor):
        s.anchor = s.now.anchor
        clear(s.session_cells, s.session)
    return True


@njit
def forget(ctx: Any, s: Any, edge: Int) -> None:
    """Let trades older than an edge leave the window."""
    memory = ring_rows(ctx)
    first = s.trades.tail
    if first == s.trades.head or memory[ring_row(s.trades, first), 0] >= edge:
        return
    s.trades.tail = expire(memory, s.trades, first, edge)
    cells = cells_of(ctx, s.recent_cells)
    for k in range(first, s.trades.tail):
        row = ring_row(s.trades, k)
        remove(cells, s.recent_cells, s.recent, memory[row, TICK], memory[row, SIZE])


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a trade."""
    if not counted(ctx, t):
        return True
    s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
    if not enter(ctx, t.slot, s, t.ts, j):
        return False
    if ring_full(s.trades):
        forget(ctx, s, t.ts + 1 - WINDOW)  # no row to come sees them
    if ring_full(s.trades):
        missing_ring(ctx, t.slot, TRADES, j)
        return False
    if not fits(s.session_cells, s.session):
        missing_ring(ctx, t.slot, SESSION, j)
        return False
    if not fits(s.recent_cells, s.recent):
        missing_ring(ctx, t.slot, RECENT, j)
        return False
    tick = tick_below(event.price, infos(ctx)[t.slot])
    add(cells_of(ctx, s.session_cells), s.session_cells, s.session, tick, event.size)
    add(cells_of(ctx, s.recent_cells), s.recent_cells, s.recent, tick, event.size)
    memory = ring_rows(ctx)
    row = ring_push(memory, s.trades, t.ts)
    memory[row, TICK] = tick
    memory[row, SIZE] = event.size
    return True


@njit
def write(ctx: Any, out: Any, k: int, j: int, ring: Any, p: Any, mid: Int, grid: Int) -> None:
    """Write the three columns of a profile, found anew where what is known holds no more."""
    if p.changed or not p.above < mid <= p.upto:
        settle(cells_of(ctx, ring), p, mid, grid)
    put(ctx, out, k, j, as_price(p.poc * grid) if p.n else NAN)
    put(ctx, out, k + 1, j, as_price(p.high * grid) if p.n else NAN)
    put(ctx, out, k + 2, j, as_price(p.low * grid) if p.n else NAN)


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s, grid = states[row.slot], infos(ctx)[row.slot].tick_fixed
    if not enter(ctx, row.slot, s, row_time(ctx, row), j):
        return False
    forget(ctx, s, window_edge(ctx, row.ts, WINDOW))
    mid = row.bid_price[0] + row.ask_price[0] if row.n_bid and row.n_ask else np.int64(NO_MID)
    write(ctx, out, 0, j, s.session_cells, s.session, mid, grid)
    write(ctx, out, 3, j, s.recent_cells, s.recent, mid, grid)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the trades among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
