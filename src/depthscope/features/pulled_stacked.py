"""Size put to and taken from the levels near the best price, trades apart, over the last 1 s and 10 s.

Each change of an order or a level moves size at a price. It counts where fewer than N levels of its side are
better than that price, as the group before left the book: N = 5, and 10 in the columns with ``top10``.

* ``stacked_bid_1s``, ``stacked_bid_10s``, ``stacked_ask_1s``, ``stacked_ask_10s`` (and
  ``stacked_bid_top10_1s``, ``stacked_ask_top10_1s`` and so on): sum of what was added;
* ``pulled_bid_1s``, ``pulled_bid_10s``, ``pulled_ask_1s``, ``pulled_ask_10s`` (and ``pulled_bid_top10_1s``,
  ``pulled_ask_top10_1s`` and so on): sum of what was removed less the volume traded against the side at
  prices that count likewise, at least 0.

Windows are [t − w, t) at a grid row and (t − w, t] at a row by event, receive time. An order that moves is
pulled where it was and stacked where it goes; on order-by-order feeds each order counts by itself, on
others what a message changes at a level. What scrolls into or out of the N levels without a change counts
for nothing. Snapshots, what follows a clear in its group, books that are not LIVE and quotes of the best
price alone do not count. Without any change all are 0.

Limits. Trades are netted over the whole window, not one by one: where feeds tell a trade and the change it
makes at different times, the window's edges may part them; hidden size that traded, and what an iceberg
shows anew, lessen what was pulled. Trades without a known aggressor are not netted, and where the feed
never names one ``pulled`` columns are null. Where a feed shows only so many levels, those that enter and
leave its view count as changes. None of it tells why size was pulled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.features.kit import (
    NAN,
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
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import NEAR_LEVELS, TRACE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_GROUPS
WINDOWS = (SECOND, 10 * SECOND)
GROUP_ROWS = True
REQUIRES = Capability.L2
NEAR = len(NEAR_LEVELS)
# Running totals of a side: added, removed, traded, each within the best 5 and 10.
ADDED, REMOVED, TRADED, TOTALS = 0, NEAR, 2 * NEAR, 3 * NEAR
SIDE = np.dtype(
    [
        ("totals", "i8", (TOTALS,)),
        ("seen", "i8", (TOTALS,)),  # of what the running row will say, by the latest TRACE row
        ("edges", "i8", (len(WINDOWS),)),  # first entry of each window
    ]
)
STATE = np.dtype([("bid_ring", RING), ("ask_ring", RING), ("sides", SIDE, (2,)), ("told", "i8")])
OUT = tuple(
    Column(f"{what}_{side}{near}_{window // SECOND}s", "size")
    for near in ("", "_top10")
    for side in ("bid", "ask")
    for what in ("stacked", "pulled")
    for window in WINDOWS
)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Note whether trades name their aggressor."""
    record["told"] = bool(instrument.capabilities & Capability.AGGRESSOR)


@njit
def add(memory: Any, ring: Any, s: Any, flow: Any, side: int, ts: Int) -> None:
    """Append the totals of a side, given a row with what was added up since the previous SAMPLE row."""
    changed = False
    for k in range(NEAR):
        for first, now in (
            (ADDED, flow.added[side, k]),
            (REMOVED, flow.removed[side, k]),
            (TRADED, flow.traded[side, k]),
        ):
            changed |= now != s.seen[first + k]
            s.totals[first + k] += now - s.seen[first + k]
            s.seen[first + k] = now
    if changed:
        row = ring_push(memory, ring, ts)
        for k in range(TOTALS):
            memory[row, 1 + k] = s.totals[k]


@njit
def room(ctx: Any, s: Any, slot: Int, j: int) -> Any:
    """Whether both rings have room; else the missing one is noted."""
    if ring_full(s.bid_ring):
        missing_ring(ctx, slot, 0, j)
        return False
    if ring_full(s.ask_ring):
        missing_ring(ctx, slot, 1, j)
        return False
    return True


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a group."""
    if not t.last:
        return True
    s = states[t.slot]
    if not room(ctx, s, t.slot, j):
        return False
    add(ring_rows(ctx), s.bid_ring, s.sides[0], t, 0, t.ts)
    add(ring_rows(ctx), s.ask_ring, s.sides[1], t, 1, t.ts)
    return True


@njit
def show(ctx: Any, out: Any, j: int, s: Any, ring: Any, side: int, told: Int) -> None:
    """Write a side's columns of a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    info = infos(ctx)[row.slot]
    for k in range(TOTALS):
        s.seen[k] = 0
    for w in range(len(WINDOWS)):
        edge = expire(memory, ring, s.edges[w], window_edge(ctx, row.ts, WINDOWS[w]))
        s.edges[w] = edge
        for k in range(NEAR):
            added = s.totals[ADDED + k] - total_before(memory, ring, edge, 1 + ADDED + k)
            gone = s.totals[REMOVED + k] - total_before(memory, ring, edge, 1 + REMOVED + k)
            traded = s.totals[TRADED + k] - total_before(memory, ring, edge, 1 + TRADED + k)
            first = (2 * k + side) * 2 * len(WINDOWS) + w
            put(ctx, out, first, j, as_size(added, info))
            pulled = as_size(max(gone - traded, np.int64(0)), info)
            put(ctx, out, first + len(WINDOWS), j, pulled if told else NAN)
    ring.tail = max(s.edges[len(WINDOWS) - 1] - 1, 0)


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    if frame_of(ctx).by_row and row.groups:
        if not room(ctx, s, row.slot, j):
            return False
        ts = row.ts if frame_of(ctx).by_event else row.ts - 1
        add(ring_rows(ctx), s.bid_ring, s.sides[0], row, 0, ts)
        add(ring_rows(ctx), s.ask_ring, s.sides[1], row, 1, ts)
    show(ctx, out, j, s.sides[0], s.bid_ring, 0, s.told)
    show(ctx, out, j, s.sides[1], s.ask_ring, 1, s.told)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the groups among `n` TRACE rows, or the rows' own, and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
