"""The synthetic exchange: price-time priority queues, and the records every change leaves.

Each public change (`add`, `cancel`, `modify`, `take`, `say`) is one group: it opens a group,
writes its records, and sets LAST on the final one. Levels are a ring over ticks: a tick's slot
is ``tick & mask``, and orders rest only between ``low`` and ``high``, less than a ring apart.
"""

from __future__ import annotations

from typing import Any

from depthscope.market.events import (
    ADD,
    ASK,
    BAD_TS_RECV,
    BID,
    CANCEL,
    CLEAR,
    FILL,
    LAST,
    MODIFY,
    NO_SIDE,
    SNAPSHOT,
    STATUS,
    TRADE,
    UNDEF_PRICE,
)
from depthscope.venues.synthetic_layout import ASKS, BIDS, FINISHED, ICEBERG, IDS, REFILLER, SWEEP, Market
from depthscope.venues.synthetic_tables import bits, chance, njit, spread_out

OVERSIZE = 20_000  # share of native iceberg fills that reach into the hidden part, of 65,536
REFILL_FROM = 1_000_000  # ns; a synthetic iceberg's next slice comes 1 to 90 ms later, log-uniform
REFILL_OCTAVES = 1_662  # Q8


@njit
def open_group(m: Market) -> None:
    """Start a group: next sequence number, and a receive time later than the one before."""
    s = m.s
    s.sequence += 1
    recv = s.ts + m.p.latency + ((bits(s) * m.p.jitter) >> 32)
    s.recv = max(recv, s.recv + 1)


@njit
def put(m: Market, action: int, side: int, tick: int, size: int, order_id: int, flags: int) -> None:
    """Append one record to the instrument's buffer."""
    s = m.s
    e = m.out[s.n]
    e.ts_event = s.ts
    e.ts_recv = s.recv
    e.order_id = order_id
    e.price = tick * m.p.tick
    e.size = size
    e.sequence = s.sequence
    e.instrument_id = s.instrument
    e.aux = 0
    e.publisher = 0
    e.cond = 0
    e.action = action
    e.side = BID if side == BIDS else ASK
    e.flags = flags
    e.reserved = 0
    s.n += 1


@njit
def close_group(m: Market) -> None:
    """Mark the newest record as the last of its group."""
    e = m.out[m.s.n - 1]
    e.flags = e.flags | LAST


@njit
def level_of(m: Market, tick: int) -> Any:
    """Level record of a tick inside the window."""
    return m.levels[tick & m.p.mask]


@njit
def append(m: Market, o: int) -> None:
    """Put an order at the end of its level's queue, and follow the best price."""
    s = m.s
    order = m.orders[o]
    level = m.levels[order.tick & m.p.mask]
    tail = level.tail
    order.prev = tail
    order.next = -1
    if tail >= 0:
        m.orders[tail].next = o
    else:
        level.head = o
    level.tail = o
    level.size += order.size
    if order.owner > 0:
        level.owned += order.size
    if order.side == BIDS:
        s.bid = max(s.bid, order.tick)
    else:
        s.ask = min(s.ask, order.tick)


@njit
def unlink(m: Market, o: int) -> None:
    """Take an order out of its queue, and follow the best price when the level empties."""
    s = m.s
    order = m.orders[o]
    level = m.levels[order.tick & m.p.mask]
    if order.prev >= 0:
        m.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next >= 0:
        m.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.size -= order.size
    if order.owner > 0:
        level.owned -= order.size
    if level.head < 0:
        if order.side == BIDS:
            if order.tick == s.bid:
                s.bid -= 1
                while s.bid >= s.low and m.levels[s.bid & m.p.mask].head < 0:
                    s.bid -= 1
        elif order.tick == s.ask:
            s.ask += 1
            while s.ask <= s.high and m.levels[s.ask & m.p.mask].head < 0:
                s.ask += 1


@njit
def place(m: Market, side: int, tick: int, size: int, owner: int) -> Any:
    """Create a resting order without telling anyone; -1 when memory is full."""
    s = m.s
    o = s.free
    if o > 0:  # `free` counts from 1, so that fresh memory needs no list
        o -= 1
        s.free = m.orders[o].next
    elif s.used < len(m.orders):
        o = s.used
        s.used += 1
    else:
        return -1
    order = m.orders[o]
    s.next_id += 1 + (bits(s) >> 27)
    order.id = s.next_id
    order.size = size
    order.tick = tick
    order.side = side
    order.owner = owner
    s.live += 1
    append(m, o)
    return o


@njit
def remove(m: Market, o: int) -> None:
    """Delete an order without telling anyone."""
    s = m.s
    unlink(m, o)
    order = m.orders[o]
    order.size = 0
    order.id = 0
    order.owner = 0
    order.next = s.free
    s.free = o + 1
    s.live -= 1


@njit
def shrink(m: Market, o: int, by: int) -> None:
    """Reduce an order in place (it keeps its priority)."""
    order = m.orders[o]
    level = m.levels[order.tick & m.p.mask]
    order.size -= by
    level.size -= by
    if order.owner > 0:
        level.owned -= by


@njit
def inside(m: Market, side: int, tick: int) -> Any:
    """Whether an order may rest there: within the window, and not crossing."""
    s = m.s
    if tick < s.low or tick > s.high:
        return False
    return tick < s.ask if side == BIDS else tick > s.bid


@njit
def add(m: Market, side: int, tick: int, size: int, owner: int) -> Any:
    """Publish a new order; -1 when it may not rest there."""
    if size <= 0 or not inside(m, side, tick):
        return -1
    o = place(m, side, tick, size, owner)
    if o >= 0:
        open_group(m)
        put(m, ADD, side, tick, size, m.orders[o].id, LAST)
    return o


@njit
def cancel(m: Market, o: int, size: int) -> None:
    """Publish a cancel of `size` lots of an order, or of all of it."""
    order = m.orders[o]
    size = min(size, order.size)
    open_group(m)
    put(m, CANCEL, order.side, order.tick, size, order.id, LAST)
    if size == order.size:
        remove(m, o)
    else:
        shrink(m, o, size)


@njit
def modify(m: Market, o: int, tick: int, size: int) -> Any:
    """Publish a new price and total size. Priority is kept only when nothing but size shrinks."""
    order = m.orders[o]
    if size <= 0 or (tick != order.tick and not inside(m, order.side, tick)):
        return False
    if tick == order.tick and size <= order.size:
        shrink(m, o, order.size - size)
    else:
        unlink(m, o)
        order.tick = tick
        order.size = size
        append(m, o)
    open_group(m)
    put(m, MODIFY, order.side, tick, size, order.id, LAST)
    return True


@njit
def say(m: Market, code: int) -> None:
    """Publish a trading status."""
    open_group(m)
    put(m, STATUS, BIDS, 0, 0, 0, LAST)
    e = m.out[m.s.n - 1]
    e.side = NO_SIDE
    e.price = UNDEF_PRICE
    e.aux = code


@njit
def next_display(m: Market, a: Any) -> Any:
    """Size an iceberg shows next: about what it showed first, at most what is left."""
    shown = a.shown + ((bits(m.s) * (a.shown // 4 + 1)) >> 32)
    return min(shown, a.left)


@njit
def fill_one(m: Market, o: int, want: int) -> Any:
    """Execute up to `want` lots of an order: F, then C, or M where a hidden reserve refills it."""
    order = m.orders[o]
    quantity = min(want, order.size)
    side, tick, order_id, owner = order.side, order.tick, order.id, order.owner
    if owner > 0:
        a = m.actors[owner - 1]
        iceberg = a.kind == ICEBERG
        if iceberg and a.left > 0 and want > order.size and chance(m.s, OVERSIZE):
            quantity = min(want, order.size + a.left)
            a.count2 += 1
        a.filled += quantity
        if iceberg and a.left > 0 and quantity >= order.size:
            a.left -= quantity - order.size
            put(m, FILL, side, tick, quantity, order_id, 0)
            shown = next_display(m, a)
            if shown > 0:
                a.left -= shown
                a.count += 1
                unlink(m, o)
                order.size = shown
                append(m, o)
                put(m, MODIFY, side, tick, shown, order_id, 0)
            else:
                put(m, CANCEL, side, tick, order.size, order_id, 0)
                remove(m, o)
            return quantity
        if a.kind == REFILLER and quantity == order.size:
            a.phase = 2
            a.mark2 = m.s.ts
            a.due = m.s.ts + spread_out(m.s, REFILL_FROM, REFILL_OCTAVES)
            m.s.timer = min(m.s.timer, a.due)
    put(m, FILL, side, tick, quantity, order_id, 0)
    put(m, CANCEL, side, tick, quantity, order_id, 0)
    if quantity == order.size:
        remove(m, o)
    else:
        shrink(m, o, quantity)
    return quantity


@njit
def take(m: Market, side: int, quantity: int, max_levels: int, planned: int) -> Any:
    """Run an aggressor into resting orders of `side`; return the lots executed.

    One T a price level (its size the sum of the F that follow), F and C or M a resting order.
    An aggressor that reaches a second level is a sweep and is recorded as such, whether it was
    `planned` as one or not.
    """
    s = m.s
    best = s.bid if side == BIDS else s.ask
    if best < s.low or best > s.high or quantity <= 0:
        return 0
    open_group(m)
    fills = levels = done = 0
    first = last = best
    while done < quantity and levels < max_levels and fills < m.p.max_fills:
        tick = s.bid if side == BIDS else s.ask
        if tick < s.low or tick > s.high:
            break
        last = tick
        levels += 1
        at = s.n
        put(m, TRADE, ASKS if side == BIDS else BIDS, tick, 0, 0, 0)
        traded = 0
        level = level_of(m, tick)
        while done < quantity and fills < m.p.max_fills and level.head >= 0:
            got = fill_one(m, level.head, quantity - done)
            traded += got
            done += got
            fills += 1
        m.out[at].size = traded
    close_group(m)
    if side == BIDS:
        s.sold += done
    else:
        s.bought += done
    if levels > 1:
        t = m.truth[m.told[0]]
        m.told[0] += 1
        t.known = t.ts_start = t.ts_end = s.recv
        t.tick, t.tick2, t.size, t.filled = first, last, done, done
        t.shown = t.base = t.multiple = t.mark2 = t.mark3 = 0
        t.mark1 = planned
        t.count, t.count2, t.lane, t.n_ids = levels, fills, m.lane, 0
        t.kind, t.side, t.grade, t.outcome = SWEEP, ASKS if side == BIDS else BIDS, 0, FINISHED
        for i in range(IDS):
            t.ids[i] = 0
    return done


@njit
def snapshot(m: Market) -> Any:
    """Write the opening book, as many records as fit; True once it is complete.

    R, then every order in price order away from the touch and in queue order at a price, all
    with one time, one sequence number and SNAPSHOT; LAST on the final one.
    """
    s = m.s
    flags = SNAPSHOT | BAD_TS_RECV
    if s.snap_left < 0:
        s.snap_left = s.live
        s.snap_tick = s.bid
        s.snap_order = level_of(m, s.bid).head if s.bid >= s.low else -1
        put(m, CLEAR, BIDS, 0, 0, 0, flags)
        e = m.out[s.n - 1]
        e.side = NO_SIDE
        e.price = UNDEF_PRICE
        if s.live == 0:
            close_group(m)
    while s.snap_left > 0 and s.n < len(m.out):
        while s.snap_order < 0:
            if s.snap_tick <= s.bid:
                s.snap_tick -= 1
                if s.snap_tick < s.low:
                    s.snap_tick = s.ask
            else:
                s.snap_tick += 1
            s.snap_order = level_of(m, s.snap_tick).head
        order = m.orders[s.snap_order]
        put(m, ADD, order.side, order.tick, order.size, order.id, flags)
        s.snap_order = order.next
        s.snap_left -= 1
        if s.snap_left == 0:
            close_group(m)
    return s.snap_left == 0
