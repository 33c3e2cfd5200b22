"""One step of an instrument, and many instruments merged in receive order.

Each instrument runs alone, from its own seed, into its own small buffer; `produce` merges the
buffers. So an instrument's stream depends neither on the others nor on how it is read.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from depthscope.jit import kernel
from depthscope.market.events import EVENT
from depthscope.venues.synthetic_actors import tell
from depthscope.venues.synthetic_attacks import (
    absorption,
    burst,
    exhaustion,
    halt,
    iceberg,
    refiller,
    start_absorption,
    start_burst,
    start_exhaustion,
    start_iceberg,
    start_refiller,
    sweep,
)
from depthscope.venues.synthetic_book import cancel, open_group, snapshot
from depthscope.venues.synthetic_clock import NS, next_regime, tick_clock
from depthscope.venues.synthetic_flow import act_naturally, pause
from depthscope.venues.synthetic_layout import (
    ABSORPTION,
    ACTOR,
    BAND,
    BURST,
    DONE_PHASE,
    EXHAUSTION,
    GAP,
    HALT,
    ICEBERG,
    IDS,
    LAYERING,
    LEVEL,
    NEVER,
    NOTHING,
    OPEN_PHASE,
    ORDER,
    PROFILE,
    REFILLER,
    SNAPSHOT_PHASE,
    STATE,
    STILL_OPEN,
    SWEEP,
    TRUTH,
    WALL,
    Market,
)
from depthscope.venues.synthetic_levels import narrow, open_book
from depthscope.venues.synthetic_tables import below, between, njit, waiting
from depthscope.venues.synthetic_walls import (
    band,
    count_bands,
    gap,
    layering,
    start_band,
    start_gap,
    start_layering,
    start_wall,
    wall,
)

ROOM = 16  # records any step but an aggressor's may write
TRUTH_ROOM = 64


@njit
def clear_actor(a: Any) -> None:
    """Forget everything of an ended injection."""
    a.kind = NOTHING
    a.side = a.plan = a.grade = a.phase = a.tick = a.tick2 = a.started = a.ended = 0
    a.stop = a.touched = a.size = a.shown = a.left = a.filled = a.count = a.count2 = 0
    a.base = a.multiple = a.mark1 = a.mark2 = a.mark3 = a.n_ids = 0
    a.due = NEVER
    for k in range(IDS):
        a.ids[k] = 0
        a.slots[k] = 0


@njit
def free_actor(m: Market) -> Any:
    """Index of an idle injection slot, or -1."""
    for i in range(len(m.actors)):
        if m.actors[i].kind == NOTHING:
            return i
    return -1


@njit
def started(m: Market, i: int, kind: int) -> Any:
    """Wake the injection just drawn in slot `i` in a moment."""
    s, a = m.s, m.actors[i]
    a.kind = kind
    a.due = s.ts + between(s, 1, 4_000) * 1_000
    s.timer = min(s.timer, a.due)
    return True


@njit
def schedule(m: Market) -> None:
    """Start what is due to be injected."""
    s, p = m.s, m.p
    i = free_actor(m) if not s.halted and (s.ts >= s.next_band or s.ts >= s.next_inject) else -1
    if i < 0:
        return
    clear_actor(m.actors[i])
    if s.ts >= s.next_band:
        s.next_band = s.ts + waiting(s, p.band_every)
        if count_bands(m) * 4 < len(m.actors) * 3 and start_band(m, i, False):
            started(m, i, BAND)
        return
    total = 0
    for k in range(len(p.weights)):
        total += p.weights[k]
    u = below(s, max(total, 1))
    kind = 0
    while kind < len(p.weights) - 1 and u >= p.weights[kind]:
        u -= p.weights[kind]
        kind += 1
    good = False
    if kind == WALL:
        good = start_wall(m, i)
    elif kind == ICEBERG:
        good = start_iceberg(m, i)
    elif kind == REFILLER:
        good = start_refiller(m, i)
    elif kind == LAYERING:
        good = start_layering(m, i)
    elif kind == ABSORPTION:
        good = start_absorption(m, i)
    elif kind == SWEEP:
        good = s.busy == 0
    elif kind == BURST:
        good = start_burst(m, i)
    elif kind == EXHAUSTION:
        good = start_exhaustion(m, i)
    elif kind == GAP:
        good = start_gap(m, i)
    elif kind == HALT and s.busy == 0:
        s.busy = i + 1
        good = True
    if good:
        started(m, i, kind)
        s.next_inject = s.ts + waiting(s, p.inject_every)
    else:
        s.next_inject = s.ts + NS


@njit
def wake(m: Market) -> None:
    """Run the injection that is due now, at most a few groups, and find the next due time."""
    s = m.s
    best, due = 0, NEVER
    for i in range(len(m.actors)):
        if m.actors[i].due < due:
            best, due = i, m.actors[i].due
    if due <= s.ts:
        a = m.actors[best]
        a.due = s.ts + NS  # every kind sets its own; this only keeps time moving
        if a.kind == WALL:
            wall(m, best)
        elif a.kind == ICEBERG:
            iceberg(m, best)
        elif a.kind == REFILLER:
            refiller(m, best)
        elif a.kind == LAYERING:
            layering(m, best)
        elif a.kind == ABSORPTION:
            absorption(m, best)
        elif a.kind == SWEEP:
            sweep(m, best)
        elif a.kind == BURST:
            burst(m, best)
        elif a.kind == EXHAUSTION:
            exhaustion(m, best)
        elif a.kind == GAP:
            gap(m, best)
        elif a.kind == BAND:
            band(m, best)
        elif a.kind == HALT:
            halt(m, best)
    s.timer = NEVER
    for i in range(len(m.actors)):
        s.timer = min(s.timer, m.actors[i].due)


@njit
def close_market(m: Market) -> None:
    """End of the stream: what still runs is told as open."""
    s = m.s
    for i in range(len(m.actors)):
        if m.actors[i].kind != NOTHING and m.actors[i].started > 0:
            m.actors[i].ended = s.recv
            tell(m, i, STILL_OPEN)
    s.phase = DONE_PHASE


def _records(dtype: Any, dimensions: int) -> Any:
    return types.Array(numba.from_dtype(dtype), dimensions, "C")


_NUMBERS = types.Array(types.int64, 1, "C")
_LANES = (
    _records(PROFILE, 1),
    _records(STATE, 1),
    _records(ORDER, 2),
    _records(LEVEL, 2),
    _records(ACTOR, 2),
    _records(EVENT, 2),
    _records(TRUTH, 1),
    _NUMBERS,
)


@kernel(types.void(types.int64, *_LANES))
def open_market(
    lane: int,
    profiles: Any,
    states: Any,
    orders: Any,
    levels: Any,
    actors: Any,
    outs: Any,
    truth: Any,
    told: Any,
) -> None:
    """Set regime, book and bands of one instrument at the opening."""
    s = states[lane]
    p = profiles[s.profile]
    m = Market(lane, p, s, orders[lane], levels[lane], actors[lane], outs[lane], truth, told)
    s.ts = s.recv = s.start
    s.clock_end = s.start
    s.floor, s.roof = -NEVER, NEVER
    s.extra_depth = 256
    s.timer = NEVER
    s.next_second = s.start + NS
    s.next_inject = NEVER if p.inject_every >= NEVER else s.start + 45 * NS + waiting(s, p.inject_every)
    s.next_band = NEVER if p.inject_every >= NEVER else s.start + waiting(s, p.band_every)
    for k in range(len(m.levels)):
        m.levels[k].head = m.levels[k].tail = -1
    for i in range(len(m.actors)):
        clear_actor(m.actors[i])
    next_regime(m)
    open_book(m)
    if p.inject_every < NEVER:
        for i in range(len(m.actors) // 2):
            if start_band(m, i, True):
                started(m, i, BAND)
    tick_clock(m)
    s.snap_left = -1
    open_group(m)
    s.recv = s.start


@kernel(types.void(types.int64, *_LANES))
def advance(
    lane: int,
    profiles: Any,
    states: Any,
    orders: Any,
    levels: Any,
    actors: Any,
    outs: Any,
    truth: Any,
    told: Any,
) -> None:
    """Write the next records of one instrument into its buffer; none once its stream has ended.

    Stops early when `truth` is nearly full; the caller empties it before each call.
    """
    s = states[lane]
    p = profiles[s.profile]
    m = Market(lane, p, s, orders[lane], levels[lane], actors[lane], outs[lane], truth, told)
    s.n = s.at = 0
    room = 2 * p.max_fills + ROOM
    while s.phase == SNAPSHOT_PHASE and s.n + room <= len(m.out):
        if snapshot(m):
            s.phase = OPEN_PHASE
    while s.phase == OPEN_PHASE and s.n + room <= len(m.out) and len(truth) - told[0] >= TRUTH_ROOM:
        victim = -1 if s.halted else narrow(m)
        t = s.ts + (waiting(s, 25_000) if victim >= 0 else pause(m))
        if t < s.clock_end and t < s.timer:
            s.ts = t
            if victim >= 0:
                cancel(m, victim, m.orders[victim].size)
            else:
                act_naturally(m)
        elif s.timer <= s.clock_end:
            s.ts = max(s.ts + 1, s.timer)
            wake(m)
        else:
            s.ts = max(s.ts, s.clock_end)
            if s.ts >= s.end:
                close_market(m)
            else:
                tick_clock(m)
                schedule(m)


@njit
def earlier(outs: Any, states: Any, a: int, b: int) -> Any:
    """Whether lane `a` comes before lane `b`: by receive time, then by number."""
    x = outs[a, states[a].at].ts_recv
    y = outs[b, states[b].at].ts_recv
    return x < y or (x == y and a < b)


@njit
def sink(heap: Any, n: int, outs: Any, states: Any, at: int) -> None:
    """Restore the heap below position `at`."""
    while True:
        child = 2 * at + 1
        if child >= n:
            return
        if child + 1 < n and earlier(outs, states, heap[child + 1], heap[child]):
            child += 1
        if earlier(outs, states, heap[at], heap[child]):
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child


@kernel(
    types.int64(_records(EVENT, 1), types.int64, _records(STATE, 1), _records(EVENT, 2), _NUMBERS, _NUMBERS)
)
def merge(out: Any, n: int, states: Any, outs: Any, heap: Any, running: Any) -> Any:
    """Move events in receive order into `out` from position `n`; return how many it then holds.

    Returns early when the buffer of lane ``heap[0]`` is used up: the caller refills it. A lane
    whose buffer stays empty has ended. ``running[0]`` counts the lanes left, and is set
    negative (minus the lanes) by the caller before the first call.
    """
    if running[0] < 0:
        running[0] = -running[0]
        for at in range(running[0] // 2 - 1, -1, -1):
            sink(heap, running[0], outs, states, at)
    elif running[0] > 0 and states[heap[0]].at >= states[heap[0]].n:
        running[0] -= 1
        heap[0] = heap[running[0]]
        sink(heap, running[0], outs, states, 0)
    elif running[0] > 0:
        sink(heap, running[0], outs, states, 0)
    while n < len(out) and running[0] > 0:
        lane = heap[0]
        s = states[lane]
        bound = np.int64(NEVER)
        second = lane
        for child in range(1, min(3, running[0])):
            other = heap[child]
            if second == lane or earlier(outs, states, other, second):
                second = other
        if second != lane:
            bound = outs[second, states[second].at].ts_recv
        while n < len(out) and s.at < s.n:
            recv = outs[lane, s.at].ts_recv
            if recv > bound or (recv == bound and second < lane):
                break
            out[n] = outs[lane, s.at]
            n += 1
            s.at += 1
        if s.at >= s.n:
            return n
        sink(heap, running[0], outs, states, 0)
    return n
