"""How fast the tape is now, against the same time of day on days before.

``tape_velocity_percentile = (b + e/2) / n``: of the n readings that days before have of the same half hour of
their clock, b are of fewer trades than the last 5 s had and e of as many (ties share the middle of their
ranks). 0 is slower than ever at this time of day, 1 faster. The last 5 s are those of ``tape_velocity``:
[t − 5 s, t) at a grid row, (t − 5 s, t] by event.

A reading is the number of trades in one of the 5-s steps of a day's clock, which begins at the origin of
``docs/SESSIONS.md`` (04:00 New York for US equities, 17:00 Chicago for CME, midnight UTC otherwise). A day
has one for each step between that of its first trade and that of its last, quiet ones too; those two are left
out, as they may have been seen in part. Trades that do not count for volume are none. Numbers from 16 on are
told apart by eighths of an octave (16 and 17 are alike, 32 to 35), those of 5,120 and more not at all.
All days weigh the same, however long ago.

NaN until a day before has a reading of that half hour, and while closed between sessions.

Source: ours, beside the fixed words of ``tape_velocity_label``; `rvol` is the same question of volume.
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
    expire,
    frame_of,
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
from depthscope.features.prints import bin_of
from depthscope.features.profile import cells_of
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES
from depthscope.market.phases import NO_TIME

LEVEL = "event"
TRACED = TRACE_TRADES
STEP = 5 * SECOND
WINDOWS = (STEP,)  # what a row must not straddle
GROUP_ROWS = True
REQUIRES = Capability.TRADES
HALF_HOUR = 1_800 * SECOND
HALVES = 48
CLASSES = 83  # of numbers of trades: `bin_of`, the last one for all from 5,120 on
TODAY = HALVES * CLASSES  # where the readings of the present half hour wait until it is over
# `cells` is plain memory, which only an instrument that trades gets: 32 KB.
STATE = np.dtype(
    [
        ("ring", RING),
        ("cells", RING),
        ("ready", "i8"),  # the memory is there, and zeroed
        ("now", STRETCH),
        ("origin", "i8"),  # of today
        ("trades", "i8"),  # so far
        ("edge", "i8"),  # first entry of the window
        # Today's last step with a trade, and how many; -1 before the first trade.
        ("step", "i8"),
        ("count", "i8"),
        ("first", "i8"),  # that step is the day's first
        ("half", "i8"),  # whose readings wait
        # The answer, and what it is of.
        ("of_half", "i8"),
        ("of_class", "i8"),
        ("value", "f8"),
    ]
)
OUT = (Column("tape_velocity_percentile", "0…1"),)


@njit
def class_of(trades: Int) -> Int:
    """Class of a number of trades."""
    return min(bin_of(trades), np.int64(CLASSES - 1))


@njit
def put_away(cells: Any, s: Any) -> None:
    """Put the readings that wait to those of their half hour, which is over for today."""
    for k in range(CLASSES):
        cells[natural(s.half * CLASSES + k)] += cells[natural(TODAY + k)]
        cells[natural(TODAY + k)] = 0
    s.of_half = -1


@njit
def read(cells: Any, s: Any, step: Int, trades: Int) -> None:
    """Take the reading of a step of today."""
    half = min(step * STEP // HALF_HOUR, np.int64(HALVES - 1))
    if half != s.half:
        put_away(cells, s)
        s.half = half
    cells[natural(TODAY + class_of(trades))] += 1


@njit
def enter(ctx: Any, slot: Int, s: Any, ts: Int, j: int) -> Any:
    """Be in the day of a moment; False to wait for the timetable."""
    if not on_time(ctx, slot, s.now, ts, j):
        return False
    if s.now.origin == s.origin or s.now.origin == NO_TIME:
        return True
    if s.ready:
        put_away(cells_of(ctx, s.cells), s)
    s.origin = s.now.origin
    s.step = -1
    s.half = 0
    return True


@njit
def prepared(ctx: Any, slot: Int, s: Any, j: int) -> Any:
    """Whether an instrument has all memory a trade takes; if not, ask for it."""
    if ring_full(s.ring):
        missing_ring(ctx, slot, 0, j)
        return False
    if s.ready:
        return True
    if s.cells.cap * RING_COLUMNS < TODAY + CLASSES:
        missing_ring(ctx, slot, 1, j)
        return False
    cells = cells_of(ctx, s.cells)
    for k in range(TODAY + CLASSES):
        cells[natural(k)] = 0
    s.ready = 1
    s.step = -1
    s.of_half = -1
    return True


@njit
def trade(ctx: Any, s: Any, ts: Int, n: Int) -> None:
    """Count trades of a moment."""
    s.trades += n
    memory = ring_rows(ctx)
    memory[ring_push(memory, s.ring, ts), 1] = s.trades
    if s.now.origin == NO_TIME:
        return
    step = (ts - s.origin) // STEP
    if step == s.step:
        s.count += n
        return
    if s.step >= 0:
        cells = cells_of(ctx, s.cells)
        if not s.first:
            read(cells, s, s.step, s.count)
        for quiet in range(s.step + 1, step):
            read(cells, s, np.int64(quiet), np.int64(0))
    s.first = np.int64(s.step < 0)
    s.step, s.count = step, n


@njit
def ranked(cells: Any, s: Any, half: Int, kind: Int) -> float:
    """Percentile of a class among the readings of days before, NaN without any."""
    below = all_of = np.int64(0)
    for k in range(CLASSES):
        n = cells[natural(half * CLASSES + k)]
        all_of += n
        below += n if k < kind else 0
    if all_of == 0:
        return NAN
    return float(2 * below + cells[natural(half * CLASSES + kind)]) / (2 * all_of)


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Count a trade."""
    if not counted(ctx, t):
        return True
    s = states[t.slot]
    if not (enter(ctx, t.slot, s, t.ts, j) and prepared(ctx, t.slot, s, j)):
        return False
    trade(ctx, s, t.ts, np.int64(1))
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s, ts = states[row.slot], row_time(ctx, row)
    if not enter(ctx, row.slot, s, ts, j):
        return False
    n = np.int64(row.buy_trades + row.sell_trades + row.unknown_trades)
    if frame_of(ctx).by_row and n:
        if not prepared(ctx, row.slot, s, j):
            return False
        trade(ctx, s, ts, n)
    memory = ring_rows(ctx)
    s.edge = expire(memory, s.ring, s.edge, window_edge(ctx, row.ts, STEP))
    value = NAN
    if s.ready and s.now.origin != NO_TIME:
        kind = class_of(s.trades - total_before(memory, s.ring, s.edge, 1))
        half = min((ts - s.origin) // HALF_HOUR, np.int64(HALVES - 1))
        if half != s.of_half or kind != s.of_class:
            s.value = ranked(cells_of(ctx, s.cells), s, half, kind)
            s.of_half, s.of_class = half, kind
        value = s.value
    s.ring.tail = max(s.edge - 1, 0)
    put(ctx, out, 0, j, value)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Count the trades of `n` TRACE rows (or of the rows themselves) and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
