"""Relative volume: that of the day so far, against the mean at the same time of day over days before.

``rvol = V(e) / mean over prior days d of V_d(e)``, where e is the time since the day's clock began (the
origin of ``docs/SESSIONS.md``: 04:00 New York for US equities, with the hours before the open and after
the close; 17:00 Chicago for CME, midnight UTC for what never closes or whose calendar is unknown) and V
what traded since then. Prior days are kept by the minute; within a minute their volume counts in
proportion to the part of it that is over. 1 is as much as usual. Trades that do not count for volume
are left out, and so is what trades while closed between sessions.

Prior days are those this engine saw from their open on: all after the first one, and the first if it
traded before its first minute after the open was over. A day without a trade does not count; a recording
that stops within a day looks like a quiet rest of it. All days weigh the same, however long ago. NaN
until there is a prior day (at least one whole day of data), where prior days had nothing by that time
of day, and while closed between sessions.

Source: relative volume by time of day, as trading platforms show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.clock import STRETCH, on_time, row_time
from depthscope.features.kit import (
    NAN,
    RING,
    RING_COLUMNS,
    SECOND,
    Column,
    counted,
    event_rows,
    frame_of,
    missing_ring,
    put,
    sample_rows,
    walk,
)
from depthscope.features.profile import cells_of
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES
from depthscope.market.phases import NO_TIME

LEVEL = "event"
TRACED = TRACE_TRADES
MINUTE = 60 * SECOND
WINDOWS = (MINUTE,)  # what a row must not straddle
GROUP_ROWS = True
REQUIRES = Capability.TRADES
MINUTES = 1440
# The ring is plain memory, which only an instrument that trades gets: volume by the minute of today, then
# summed over prior days.
STATE = np.dtype(
    [
        ("cells", RING),
        ("ready", "i8"),  # the memory is there, and zeroed
        ("now", STRETCH),
        ("origin", "i8"),  # of today
        ("volume", "i8"),  # today's
        ("whole", "i8"),  # today was seen from its open on
        ("traded", "i8"),  # on any day
        ("days", "i8"),
        ("minute", "i8"),  # prior volume before this minute of the day stands in
        ("before", "i8"),
    ]
)
OUT = (Column("rvol", "ratio"),)


@njit
def enter(ctx: Any, slot: Int, s: Any, ts: Int, j: int) -> Any:
    """Be in the day of a moment; False to wait for the timetable."""
    if not on_time(ctx, slot, s.now, ts, j):
        return False
    if s.now.origin == s.origin or s.now.origin == NO_TIME:
        return True
    if s.ready:
        cells = cells_of(ctx, s.cells)
        for k in range(MINUTES):
            if s.whole:
                cells[natural(MINUTES + k)] += cells[natural(k)]
            cells[natural(k)] = 0
    if s.whole and s.volume:
        s.days += 1
    s.origin = s.now.origin
    s.volume = s.minute = s.before = 0
    s.whole = s.traded
    return True


@njit
def prepared(ctx: Any, slot: Int, s: Any, j: int) -> Any:
    """Whether an instrument has its memory; if not, ask for it."""
    if s.ready:
        return True
    if s.cells.cap * RING_COLUMNS < 2 * MINUTES:
        missing_ring(ctx, slot, 0, j)
        return False
    cells = cells_of(ctx, s.cells)
    for k in range(2 * MINUTES):
        cells[natural(k)] = 0
    s.ready = 1
    return True


@njit
def trade(ctx: Any, s: Any, ts: Int, size: Int) -> None:
    """Add volume to today."""
    if s.now.origin == NO_TIME:
        return
    if not s.traded:
        s.traded = 1
        s.whole = np.int64(ts < s.now.opens + MINUTE)
    minute = min((ts - s.origin) // MINUTE, np.int64(MINUTES - 1))
    cells_of(ctx, s.cells)[natural(minute)] += size
    s.volume += size


@njit
def usual(ctx: Any, s: Any, elapsed: Int) -> float:
    """Volume of all prior days by a time of day."""
    cells = cells_of(ctx, s.cells)
    minute = min(elapsed // MINUTE, np.int64(MINUTES))
    while s.minute < minute:
        s.before += cells[natural(MINUTES + s.minute)]
        s.minute += 1
    part = cells[natural(MINUTES + minute)] * (elapsed % MINUTE / MINUTE) if minute < MINUTES else 0.0
    return float(s.before) + part


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a trade."""
    if not counted(ctx, t):
        return True
    s = states[t.slot]
    if not (enter(ctx, t.slot, s, t.ts, j) and prepared(ctx, t.slot, s, j)):
        return False
    trade(ctx, s, t.ts, event_rows(ctx)[natural(t.event)].size)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s, ts = states[row.slot], row_time(ctx, row)
    if not enter(ctx, row.slot, s, ts, j):
        return False
    volume = row.buy_volume + row.sell_volume + row.unknown_volume
    if frame_of(ctx).by_row and volume:
        if not prepared(ctx, row.slot, s, j):
            return False
        trade(ctx, s, ts, volume)
    value = NAN
    if s.days and s.now.origin != NO_TIME:
        total = usual(ctx, s, row.ts - s.origin)
        value = s.volume * s.days / total if total > 0.0 else NAN
    put(ctx, out, 0, j, value)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add up `n` TRACE rows (or the rows themselves) and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
