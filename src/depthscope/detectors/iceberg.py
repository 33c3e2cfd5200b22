"""Native icebergs: orders that fill more than they show, seen by their own order id.

An iceberg is opened by the first of two signs, and updated by every later one:

* a **refill**: fills have taken all an order displayed, and a modification restores it at the same price;
* an **oversize fill**: one fill is larger than what the order displayed.

It is closed with the order: ``filled``, ``cancelled``, or ``lost`` when the book is cleared. ``side`` is
that of the resting order, ``size`` what it has executed since the first sign, ``strength`` executed ÷
displayed at the first sign. Nothing is inferred: an order that never refills is never called one,
and one that shows itself only after we stop looking is missed.

On the ES hour of 2023-12-25: 13 icebergs, 83 refills, 28 oversize fills, the exchange's own truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at_event
from depthscope.features.kit import (
    RING,
    as_size,
    event_rows,
    frame_of,
    infos,
    missing_ring,
    ring_full,
    ring_push,
    ring_row,
    ring_rows,
    trace_rows,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import CANCEL, CLEAR, FILL, MODIFY
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, OPEN, UPDATE, trace_mask

LEVEL = "event"
TRACED = trace_mask("FMCR")
REQUIRES = Capability.MBO
STATE = np.dtype([("fills", RING), ("bergs", RING), ("count", "i8")])
EVIDENCE = ("refills", "oversize_fills", "executed", "displayed", "hidden")
OUTCOMES = ("", "filled", "cancelled", "lost")
FILLED, CANCELLED, GONE = 1, 2, 3

FILLS, BERGS = 0, 1  # rings
MOST_FILLS = 256  # a fill whose order says nothing more for so many others is forgotten

# Columns of the fills that wait for what becomes of their order.
F_ID, F_FILLED = 1, 2
# Columns of the icebergs still there; their ring is a list, in no order. NUMBER has the side in its
# lowest byte.
B_OPENED, B_ID, B_NUMBER, B_REFILLS, B_OVERSIZE, B_EXECUTED, B_DISPLAYED, B_PRICE = range(8)


@njit
def pending(memory: Any, s: Any, order_id: Int) -> Int:
    """Memory row of an order's unsettled fills, or -1."""
    for k in range(s.fills.tail, s.fills.head):
        row = ring_row(s.fills, k)
        if memory[row, F_ID] == order_id and memory[row, F_FILLED] > 0:
            return row
    return np.int64(-1)


@njit
def settle(memory: Any, s: Any, order_id: Int) -> Int:
    """Forget an order's unsettled fills; returns their size."""
    row = pending(memory, s, order_id)
    if row < 0:
        return np.int64(0)
    filled = memory[row, F_FILLED]
    memory[row, F_FILLED] = 0
    while s.fills.tail < s.fills.head and memory[ring_row(s.fills, s.fills.tail), F_FILLED] == 0:
        s.fills.tail += 1
    return filled


@njit
def known(memory: Any, s: Any, order_id: Int) -> Int:
    """Memory row of an open iceberg, or -1."""
    for k in range(s.bergs.head):
        row = ring_row(s.bergs, k)
        if memory[row, B_ID] == order_id:
            return row
    return np.int64(-1)


@njit
def say(ctx: Any, memory: Any, t: Any, k: int, row: Int, phase: Int) -> Any:
    """Tell how an iceberg stands."""
    said = say_at_event(ctx, t, k, phase)
    info = infos(ctx)[t.slot]
    executed, displayed = memory[row, B_EXECUTED], memory[row, B_DISPLAYED]
    said.opened = memory[row, B_OPENED]
    said.number = memory[row, B_NUMBER] >> 8
    said.price = memory[row, B_PRICE]
    said.size = executed
    said.side = memory[row, B_NUMBER] & 255
    said.strength = executed / displayed
    said.evidence[0] = memory[row, B_REFILLS]
    said.evidence[1] = memory[row, B_OVERSIZE]
    said.evidence[2] = as_size(executed, info)
    said.evidence[3] = as_size(displayed, info)
    said.evidence[4] = as_size(max(executed - displayed, np.int64(0)), info)
    return said


@njit
def reveal(ctx: Any, memory: Any, s: Any, t: Any, k: int, order_id: Int, executed: Int, refill: bool) -> None:
    """Note a sign of an iceberg; `executed` is what it has filled if this is the first."""
    row = known(memory, s, order_id)
    phase = UPDATE
    if row < 0:
        phase = OPEN
        s.count += 1
        row = ring_push(memory, s.bergs, t.ts)
        memory[row, B_ID] = order_id
        memory[row, B_NUMBER] = s.count << 8 | np.int64(t.side)
        memory[row, B_REFILLS] = memory[row, B_OVERSIZE] = 0
        memory[row, B_EXECUTED] = executed
        memory[row, B_DISPLAYED] = t.size_before
        memory[row, B_PRICE] = t.price_before
    memory[row, B_REFILLS if refill else B_OVERSIZE] += 1
    say(ctx, memory, t, k, row, phase)


@njit
def close(ctx: Any, memory: Any, s: Any, t: Any, k: int, row: Int, outcome: Int) -> None:
    """Tell that an iceberg is over, and put the last one of the list in its place."""
    said = say(ctx, memory, t, k, row, CLOSE)
    said.outcome = outcome
    s.bergs.head -= 1
    last = ring_row(s.bergs, s.bergs.head)
    for c in range(memory.shape[1]):
        memory[row, c] = memory[last, c]


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow the fills, modifications and cancels among `n` TRACE rows."""
    trace, events, memory = trace_rows(ctx), event_rows(ctx), ring_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    for k in range(frame_of(ctx).start, n):
        t = trace[natural(k)]
        action = t.action
        if action not in (FILL, MODIFY, CANCEL, CLEAR):
            continue
        s = states[t.slot]
        if action == CLEAR:
            if crowded(ctx, s.bergs.head, 0):
                return k
            while s.bergs.head > 0:
                close(ctx, memory, s, t, k, ring_row(s.bergs, np.int64(0)), np.int64(GONE))
            s.fills.tail = s.fills.head
            continue
        if t.size_before <= 0:  # of an order we do not know
            continue
        if crowded(ctx, 1, 0):
            return k
        full = FILLS if ring_full(s.fills) else BERGS if ring_full(s.bergs) else -1
        if full >= 0:
            missing_ring(ctx, t.slot, full, 0)
            return k
        event = events[natural(t.event)]
        order_id = np.int64(event.order_id)
        if action == FILL:
            if event.size <= 0:
                continue
            if s.fills.head - s.fills.tail >= MOST_FILLS:
                s.fills.tail += 1
            row = pending(memory, s, order_id)
            if row < 0:
                row = ring_push(memory, s.fills, t.ts)
                memory[row, F_ID] = order_id
                memory[row, F_FILLED] = 0
            memory[row, F_FILLED] += event.size
            berg = known(memory, s, order_id)
            if berg >= 0:
                memory[berg, B_EXECUTED] += event.size
            if event.size > t.size_before:
                reveal(ctx, memory, s, t, k, order_id, memory[row, F_FILLED], False)
            continue
        filled = settle(memory, s, order_id)
        if (
            action == MODIFY
            and filled >= t.size_before
            and event.price == t.price_before
            and t.size_after > 0
        ):
            reveal(ctx, memory, s, t, k, order_id, filled, True)
            continue
        berg = known(memory, s, order_id)
        if berg >= 0 and t.size_after == 0:
            outcome = FILLED if filled >= t.size_before else CANCELLED
            close(ctx, memory, s, t, k, berg, np.int64(outcome))
        elif berg >= 0 and action == MODIFY:
            memory[berg, B_PRICE] = event.price
    return n
