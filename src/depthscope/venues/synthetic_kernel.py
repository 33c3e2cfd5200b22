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
from depthscope.venues.synthetic_actors import (
    count_bands,
    band,
    gap,
    layering,
    start_band,
    start_gap,
    start_layering,
    start_wall,
    tell,
    wall,
)
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
from depthscope.venues.synthetic_flow import (
    NS,
    act_naturally,
    narrow,
    next_regime,
    open_book,
    pause,
    tick_clock,
)
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
from depthscope.venues.synthetic_tables import below, between, njit, waiting

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
def begin(m: Market, i: int, kind: int) -> bool:
    """Try to start an injection in slot `i`."""
    s, a = m.s, m.actors[i]
    clear_actor(a)
    started = True
    if kind == WALL:
        started = start_wall(m, i)
    elif kind == ICEBERG:
        started = start_iceberg(m, i)
    elif kind == REFILLER:
        started = start_refiller(m, i)
    elif kind == LAYERING:
        started = start_layering(m, i)
    elif kind == ABSORPTION:
        started = start_absorption(m, i)
    elif kind == SWEEP:
        started = s.busy == 0
    elif kind == BURST:
        started = start_burst(m, i)
    elif kind == EXHAUSTION:
        started = start_exhaustion(m, i)
    elif kind == GAP:
        started = start_gap(m, i)
    elif kind == BAND:
        started = start_band(m, i, s.phase == SNAPSHOT_PHASE)
    elif kind == HALT:
        started = s.busy == 0
        if started:
            s.busy = i + 1
    if started:
        a.kind = kind
        a.due = s.ts + between(s, 1, 4_000) * 1_000
        s.timer = min(s.timer, a.due)
    return started


@njit
def free_actor(m: Market) -> int:
    """Index of an idle injection slot, or -1."""
    for i in range(len(m.actors)):
        if m.actors[i].kind == NOTHING:
            return i
    return -1


@njit
def schedule(m: Market) -> None:
    """Start what is due to be injected."""
    s, p = m.s, m.p
    if s.halted:
        return
    if s.ts >= s.next_band:
        s.next_band = s.ts + waiting(s, p.band_every)
        i = free_actor(m)
        if i >= 0 and count_bands(m) * 4 < len(m.actors) * 3:
            begin(m, i, BAND)
    if s.ts >= s.next_inject:
        i = free_actor(m)
        total = 0
        for kind in range(len(p.weights)):
            total += p.weights[kind]
        u = below(s, max(total, 1))
        kind = 0
        while kind < len(p.weights) - 1 and u >= p.weights[kind]:
            u -= p.weights[kind]
            kind += 1
        if i >= 0 and total > 0 and begin(m, i, kind):
            s.next_inject = s.ts + waiting(s, p.inject_every)
        else:
            s.next_inject = s.ts + NS


@njit
def wake(m: Market) -> None:
    """Run the injections that are due now, one group each, and find the next due time."""
    s = m.s
    best, due = -1, NEVER
    for i in range(len(m.actors)):
        if m.actors[i].due < due:
            best, due = i, m.actors[i].due
    if best >= 0 and due <= s.ts:
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
def open_market(m: Market) -> None:
    """Regime, book and bands at the opening."""
    s, p = m.s, m.p
    s.ts = s.recv = s.start
    s.clock_end = s.start
    s.floor, s.roof = -NEVER, NEVER
    s.extra_depth = 256
    s.timer = NEVER
    s.next_second = s.start + NS
    s.next_inject = NEVER if p.inject_every >= NEVER else s.start + 45 * NS + waiting(s, p.inject_every)
    s.next_band = NEVER if p.inject_every >= NEVER else s.start + waiting(s, p.band_every)
    for o in range(len(m.orders)):
        m.orders[o].next = o + 1
    m.orders[len(m.orders) - 1].next = -1
    for k in range(len(m.levels)):
        m.levels[k].head = m.levels[k].tail = -1
    for i in range(len(m.actors)):
        clear_actor(m.actors[i])
    next_regime(m)
    open_book(m)
    if p.inject_every < NEVER:
        for i in range(len(m.actors) // 2):
            begin(m, i, BAND)
    tick_clock(m)
    s.snap_left = -1
    open_group(m)
    s.recv = s.start


@njit
def step(m: Market) -> None:
    """Advance to the next group and write it (or to the end of the stream)."""
    s = m.s
    while True:
        victim = -1 if s.halted else narrow(m)
        t = s.ts + (waiting(s, 25_000) if victim >= 0 else pause(m))
        if t < s.clock_end and t < s.timer:
            s.ts = t
            if victim >= 0:
                cancel(m, victim, m.orders[victim].size)
            else:
                act_naturally(m)
            return
        if s.timer <= s.clock_end:
            s.ts = max(s.ts + 1, s.timer)
            wake(m)
            return
        s.ts = max(s.ts, s.clock_end)
        if s.ts >= s.end:
            close_market(m)
            return
        tick_clock(m)
        schedule(m)


@njit
def close_market(m: Market) -> None:
    """End of the stream: what still runs is told as open."""
    s = m.s
    for i in range(len(m.actors)):
        if m.actors[i].kind != NOTHING and m.actors[i].started > 0:
            m.actors[i].ended = s.recv
            tell(m, i, STILL_OPEN)
    s.phase = DONE_PHASE


@njit
def refill(m: Market) -> None:
    """Write the next records of an instrument into its buffer; none when its stream has ended."""
    s = m.s
    s.n = s.at = 0
    room = 2 * m.p.max_fills + ROOM
    while s.n + room <= len(m.out) and s.phase != DONE_PHASE:
        if len(m.truth) - m.told[0] < TRUTH_ROOM:
            return
        if s.phase == OPEN_PHASE:
            step(m)
        elif snapshot(m):
            s.phase = OPEN_PHASE


@njit
def earlier(outs: Any, states: Any, a: int, b: int) -> bool:
    """Whether lane `a` comes before lane `b`: by receive time, then by number."""
    x = outs[a, states[a].at].ts_recv
    y = outs[b, states[b].at].ts_recv
    return bool(x < y or (x == y and a < b))


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


def _records(dtype: Any, dimensions: int) -> Any:
    return types.Array(numba.from_dtype(dtype), dimensions, "C")


_SIGNATURE = types.int64(
    _records(EVENT, 1),
    types.int64,
    _records(PROFILE, 1),
    _records(STATE, 1),
    _records(ORDER, 2),
    _records(LEVEL, 2),
    _records(ACTOR, 2),
    _records(EVENT, 2),
    _records(TRUTH, 1),
    types.Array(types.int64, 1, "C"),
    types.Array(types.int64, 1, "C"),
    types.Array(types.int64, 1, "C"),
)


@kernel(_SIGNATURE)
def produce(
    out: Any,
    n: int,
    profiles: Any,
    states: Any,
    orders: Any,
    levels: Any,
    actors: Any,
    outs: Any,
    truth: Any,
    told: Any,
    heap: Any,
    running: Any,
) -> int:
    """Write events into `out` from position `n`; return how many it then holds.

    Returns early when `truth` is nearly full: the caller reads it, sets ``told[0]`` to 0 and
    calls again. ``running[0]`` is -1 before the first call, then the lanes still running.
    """
    if running[0] < 0:
        running[0] = 0
        for lane in range(len(states)):
            heap[lane] = lane
        for lane in range(len(states)):
            m = Market(
                lane,
                profiles[states[lane].profile],
                states[lane],
                orders[lane],
                levels[lane],
                actors[lane],
                outs[lane],
                truth,
                told,
            )
            open_market(m)
            refill(m)
        running[0] = len(states)
        for at in range(len(states) // 2 - 1, -1, -1):
            sink(heap, running[0], outs, states, at)
    while n < len(out) and running[0] > 0:
        lane = heap[0]
        s = states[lane]
        if s.at >= s.n:
            if len(truth) - told[0] < 2 * TRUTH_ROOM:
                return n
            refill(
                Market(
                    lane,
                    profiles[s.profile],
                    s,
                    orders[lane],
                    levels[lane],
                    actors[lane],
                    outs[lane],
                    truth,
                    told,
                )
            )
            if s.n == 0:
                if s.phase != DONE_PHASE:
                    return n
                running[0] -= 1
                heap[0] = heap[running[0]]
            sink(heap, running[0], outs, states, 0)
            continue
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
        if s.at < s.n:
            sink(heap, running[0], outs, states, 0)
    return n
