"""Order-flow imbalance in units of the size at the best prices, at ten levels, and all of them in one number.

Over a window of 1 s or 10 s, [t − w, t) at a grid row and (t − w, t] at a row by event, receive time:

* ``ofi_1s_norm``, ``ofi_10s_norm``: level-1 imbalance summed over the window (``ofi_1s``, ``ofi_10s``) ÷ D,
  where D is the mean of (best bid size + best ask size) / 2 over the groups of the window, each as it left
  the book.
* ``ofi_norm_l1_10s`` … ``ofi_norm_l10_10s``: that of levels 1 to 10, each ÷ the same D, so that their sizes
  can be compared; the first is ``ofi_10s_norm``.
* ``integrated_ofi_1s``, ``integrated_ofi_10s = Σ wₖ·ofi_norm_lₖ``, with fixed weights that add up to 1.

Groups count for D where they leave both sides quoted, not crossed, and the book LIVE. Without any in the
window all are 0 (nothing can have flowed) while both sides are quoted now; they are NaN when a side is
empty.

The weights are those of the first principal component of the ten scaled imbalances, divided by the sum of
their absolute values. They are the settings ``integrated_ofi_w1`` … ``integrated_ofi_w10``. The defaults
were fitted by `depthscope.research.ofi_weights.fit_integrated_ofi` on the E-mini S&P 500 future ESH4, 25
December 2023, windows of 10 s from 23:00:30 to 23:30 UTC: half an hour of a holiday's trading, a start and
no more. In the following half hour (179 windows) they explain 93 % of the variance of the mid's move over
the same window, level 1 alone 76 %, both partly because a best price that moves is both flow and move; and
0.2 % of that over the next window. On BTCUSDT at 1 s they explain less (28 %) than level 1 does (34 %). Fit
your own, on data before that you use them on.

Source: Cont, Kukanov and Stoikov (2014) for the imbalance; Cont, Cucuringu and Zhang (2023), "Cross-impact of
order flow imbalance in equity markets", for levels scaled by average size and the integrated one (they scale
by the mean over all ten levels, we by the best prices', which changes no weight's sign).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.features.kit import (
    NAN,
    RING,
    SECOND,
    Column,
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
from depthscope.jit import Int, carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import OFI_LEVELS, TRACE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_GROUPS
WINDOWS = (SECOND, 10 * SECOND)
GROUP_ROWS = True
REQUIRES = Capability.L1
WEIGHTS = (0.0461, 0.0710, 0.0935, 0.1155, 0.1147, 0.1151, 0.1102, 0.1175, 0.1085, 0.1079)
SETTINGS = {f"integrated_ofi_w{k + 1}": weight for k, weight in enumerate(WEIGHTS)}
# An entry has seven numbers beside its time, so two rings in step hold the twelve running totals:
# levels 1 to 7; levels 8 to 10, groups and their size at the best prices.
FIRST = 7
GROUPS, SIZES = OFI_LEVELS, OFI_LEVELS + 1
TOTALS = OFI_LEVELS + 2
STATE = np.dtype(
    [
        ("ring", RING),
        ("more", RING),
        ("totals", "i8", (TOTALS,)),
        ("seen", "i8", (TOTALS,)),  # of what the running row will say, by the latest TRACE row
        ("short", "i8"),  # first entry of each window
        ("long", "i8"),
        ("weights", "f8", (OFI_LEVELS,)),
    ]
)
OUT = (
    Column("ofi_1s_norm", "ratio"),
    Column("ofi_10s_norm", "ratio"),
    *[Column(f"ofi_norm_l{k + 1}_10s", "ratio") for k in range(OFI_LEVELS)],
    Column("integrated_ofi_1s", "ratio"),
    Column("integrated_ofi_10s", "ratio"),
)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the weights."""
    record["weights"] = [settings[f"integrated_ofi_w{k + 1}"] for k in range(OFI_LEVELS)]


@njit
def add(memory: Any, s: Any, levels: Any, groups: Int, sizes: Int, ts: Int) -> None:
    """Append the totals, given what has been added up since the previous row."""
    for k in range(OFI_LEVELS):
        s.totals[k] += levels[k] - s.seen[k]
        s.seen[k] = levels[k]
    s.totals[GROUPS] += groups - s.seen[GROUPS]
    s.totals[SIZES] += sizes - s.seen[SIZES]
    s.seen[GROUPS], s.seen[SIZES] = groups, sizes
    row, more = ring_push(memory, s.ring, ts), ring_push(memory, s.more, ts)
    for k in range(FIRST):
        memory[row, 1 + k] = s.totals[k]
    for k in range(FIRST, TOTALS):
        memory[more, 1 + k - FIRST] = s.totals[k]


@njit
def room(ctx: Any, s: Any, slot: Int, j: int) -> Any:
    """Whether both rings have room; else the missing one is noted."""
    if ring_full(s.ring):
        missing_ring(ctx, slot, 0, j)
        return False
    if ring_full(s.more):
        missing_ring(ctx, slot, 1, j)
        return False
    return True


@njit
def within(memory: Any, s: Any, edge: Int, k: Int) -> Int:
    """Total number `k` since entry number `edge`."""
    before = total_before(memory, s.ring, edge, 1 + k) if k < FIRST else np.int64(0)
    if k >= FIRST:
        before = total_before(memory, s.more, edge, 1 + k - FIRST)
    return s.totals[k] - before


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a group."""
    if not t.last:
        return True
    s = states[t.slot]
    if not room(ctx, s, t.slot, j):
        return False
    add(ring_rows(ctx), s, t.levels, t.quoted, t.quoted_size, t.ts)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    s, by_event = states[row.slot], frame_of(ctx).by_event
    if frame_of(ctx).by_row and row.groups:
        if not room(ctx, s, row.slot, j):
            return False
        add(memory, s, row.ofi, row.quoted, row.quoted_size, row.ts if by_event else row.ts - 1)
    for k in range(TOTALS):
        s.seen[k] = 0
    s.short = expire(memory, s.ring, s.short, window_edge(ctx, row.ts, WINDOWS[0]))
    s.long = expire(memory, s.ring, s.long, window_edge(ctx, row.ts, WINDOWS[1]))
    for w in range(2):
        edge = s.long if w else s.short
        groups, sizes = within(memory, s, edge, GROUPS), within(memory, s, edge, SIZES)
        integrated = 0.0
        for k in range(OFI_LEVELS):
            value = 2.0 * groups * within(memory, s, edge, k) / sizes if groups else 0.0
            if not (row.n_bid and row.n_ask):
                value = NAN
            integrated += s.weights[k] * value
            if k == 0:
                put(ctx, out, w, j, value)
            if w:
                put(ctx, out, 2 + k, j, value)
        put(ctx, out, 2 + OFI_LEVELS + w, j, integrated)
    s.ring.tail = s.more.tail = max(s.long - 1, 0)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the groups among `n` TRACE rows, or the rows' own, and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
