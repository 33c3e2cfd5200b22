"""How complete the book's data were over the last minute: excellent, good or poor.

What a row shows of the book holds until the instrument's next row. Of the last 60 s, or since the first row
where that is later:

* ``live_share_60s``: share of the time in which the book was LIVE;
* ``depth_rows_60s``: mean over time of the levels the feed shows on the side that shows fewer (20 at most,
  0 while the book is not LIVE);
* ``gaps_60s``: gaps and disconnects (X events) in [t − 60 s, t) at a grid row, (t − 60 s, t] by event.

``data_quality`` is EXCELLENT with a share of at least ``data_quality_excellent_live`` (0.99), at most
``data_quality_excellent_gaps`` (0) gaps and at least ``data_quality_excellent_rows`` (10) depth rows; else
GOOD by ``data_quality_good_live`` (0.9), ``data_quality_good_gaps`` (1) and ``data_quality_good_rows`` (5);
else POOR. At the first row share and depth rows are the row's own. A row tells of what was before it: what it
shows itself counts from then on. Never undefined where the feed tells depth.

It is about what was received, not about the market: a thin one, of less than ten levels a side, wants lower
``rows``. A coarse grid sees a loss of the book between two rows only by its gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.features.kit import (
    RING,
    SECOND,
    Column,
    expire,
    frame_of,
    missing_ring,
    put,
    ring_push,
    ring_row,
    ring_rows,
    sample_rows,
    total_before,
    walk,
    window_edge,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import LOST
from depthscope.market.instruments import Capability
from depthscope.market.layouts import LIVE, trace_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = trace_mask("X")
REQUIRES = Capability.L2
MINUTE = 60 * SECOND
SETTINGS = {
    "data_quality_excellent_live": 0.99,
    "data_quality_excellent_gaps": 0.0,
    "data_quality_excellent_rows": 10.0,
    "data_quality_good_live": 0.9,
    "data_quality_good_gaps": 1.0,
    "data_quality_good_rows": 5.0,
}
# One of the two words a book can earn.
WORD = np.dtype([("live", "f8"), ("gaps", "f8"), ("rows", "f8")])
STATE = np.dtype(
    [
        ("changes", RING),  # times at which what rows show changed, with what it had summed up to by then
        ("losses", RING),  # times of gaps
        ("since", "i8"),  # time of the first row, 0 before it
        ("ts", "i8"),  # of the latest change
        ("live", "i8"),  # what has held since then
        ("rows", "i8"),
        ("live_time", "i8"),  # summed up to then, ns
        ("rows_time", "i8"),
        ("edge", "i8"),  # first change inside the window
        ("gaps", "i8"),
        ("gap_edge", "i8"),
        ("words", WORD, (2,)),  # EXCELLENT, GOOD
    ]
)
OUT = (
    Column("data_quality", "label", labels=("POOR", "GOOD", "EXCELLENT")),
    Column("live_share_60s", "0…1"),
    Column("depth_rows_60s", "count"),
    Column("gaps_60s", "count", integer=True),
)
CHANGES, LOSSES = 0, 1  # rings
LIVE_TIME, ROWS_TIME, NOW_LIVE, NOW_ROWS = (
    1,
    2,
    3,
    4,
)  # columns of a change: sums before it, and what it is to


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Put the thresholds where the kernel finds them."""
    for k, word in enumerate(("excellent", "good")):
        for name in ("live", "gaps", "rows"):
            record["words"][k][name] = settings[f"data_quality_{word}_{name}"]


@njit
def note(memory: Any, s: Any, ts: Int, live: Int, rows: Int) -> None:
    """Note that something else holds from a time on."""
    s.live_time += s.live * (ts - s.ts)
    s.rows_time += s.rows * (ts - s.ts)
    s.ts, s.live, s.rows = ts, live, rows
    k = ring_push(memory, s.changes, ts)
    memory[k, LIVE_TIME], memory[k, ROWS_TIME] = s.live_time, s.rows_time
    memory[k, NOW_LIVE], memory[k, NOW_ROWS] = live, rows


@njit
def word(s: Any, share: float, rows: float, gaps: Int) -> float:
    """Index of the word for what there was."""
    for k in range(2):
        w = s.words[k]
        if share >= w.live and gaps <= w.gaps and rows >= w.rows:
            return 2.0 - k
    return 0.0


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Count a gap."""
    if t.action != LOST:
        return True
    s = states[t.slot]
    if s.losses.head - s.losses.tail >= s.losses.cap:
        missing_ring(ctx, t.slot, LOSSES, j)
        return False
    s.gaps += 1
    memory = ring_rows(ctx)
    memory[ring_push(memory, s.losses, t.ts), 1] = s.gaps
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    s = states[row.slot]
    if s.changes.head - s.changes.tail >= s.changes.cap:
        missing_ring(ctx, row.slot, CHANGES, j)
        return False
    live = np.int64(row.state == LIVE)
    rows = np.int64(min(row.n_bid, row.n_ask)) * live
    if not s.since:
        s.since = s.ts = row.ts
        note(memory, s, row.ts, live, rows)
    start = max(row.ts - MINUTE, s.since)
    s.edge = expire(memory, s.changes, s.edge, start + 1)  # the one before holds at the start
    share, depth = float(live), float(rows)
    if row.ts > start:
        before = ring_row(s.changes, s.edge - 1)
        passed = start - memory[before, 0]
        live_time = s.live_time + s.live * (row.ts - s.ts)
        live_time -= memory[before, LIVE_TIME] + memory[before, NOW_LIVE] * passed
        rows_time = s.rows_time + s.rows * (row.ts - s.ts)
        rows_time -= memory[before, ROWS_TIME] + memory[before, NOW_ROWS] * passed
        share, depth = live_time / (row.ts - start), rows_time / (row.ts - start)
    if live != s.live or rows != s.rows:
        note(memory, s, row.ts, live, rows)
    s.changes.tail = max(s.edge - 1, 0)
    s.gap_edge = expire(memory, s.losses, s.gap_edge, window_edge(ctx, row.ts, MINUTE))
    gaps = s.gaps - total_before(memory, s.losses, s.gap_edge, 1)
    s.losses.tail = max(s.gap_edge - 1, 0)
    put(ctx, out, 0, j, word(s, share, depth, gaps))
    put(ctx, out, 1, j, share)
    put(ctx, out, 2, j, depth)
    put(ctx, out, 3, j, gaps)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Count the gaps among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
