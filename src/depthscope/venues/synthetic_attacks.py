"""Injections that live on aggressive flow: icebergs, absorption, sweeps, bursts, exhaustion."""

from __future__ import annotations

from typing import Any

from depthscope.market.events import STATUS_HALT, STATUS_TRADING
from depthscope.venues.synthetic_actors import (
    MS,
    best_of,
    forget,
    own_add,
    own_cancel,
    own_order,
    pin,
    tell,
    towards,
)
from depthscope.venues.synthetic_book import add, cancel, level_of, say, take
from depthscope.venues.synthetic_clock import NS, per_minute, set_fair
from depthscope.venues.synthetic_flow import pick
from depthscope.venues.synthetic_layout import (
    ASKS,
    BIDS,
    BROKEN,
    FINISHED,
    HELD,
    NEVER,
    NOTHING,
    SECONDS,
    TRADED,
    UNFILLED,
    WITHDRAWN,
    Market,
)
from depthscope.venues.synthetic_levels import order_size, target
from depthscope.venues.synthetic_tables import below, between, bits, chance, njit, waiting

TIGHT = 7_000  # ticks Q16: few others quote a price the fair value is that near
DEPTH_SECONDS = 15


@njit
def ahead(m: Market, o: int) -> Any:
    """Lots queued before an order."""
    total = 0
    p = m.orders[o].prev
    while p >= 0:
        total += m.orders[p].size
        p = m.orders[p].prev
    return total


@njit
def start_iceberg(m: Market, i: int) -> Any:
    """Draw an iceberg at the touch: what it shows, and how much more there is."""
    s, a = m.s, m.actors[i]
    if s.busy:
        return False
    a.side = bits(s) >> 31
    a.tick = a.tick2 = best_of(m, a.side)
    a.shown = max(m.p.mean_size * (s.size_scale * between(s, 2, 6) >> 8), 2)
    a.left = a.shown * between(s, 5, 18)
    a.size = a.shown + a.left
    a.stop = s.ts + between(s, 40, 100) * NS
    s.busy = i + 1
    return True


@njit
def iceberg(m: Market, i: int) -> None:
    """Native iceberg: one order id whose display is restored by the venue after each fill."""
    s, a = m.s, m.actors[i]
    if a.phase == 0:
        if not own_add(m, i, a.side, a.tick, a.shown):
            forget(m, i)
            return
        a.phase = 1
    o = own_order(m, i)
    if o < 0 or s.ts >= a.stop:
        if o >= 0:
            own_cancel(m, i)
        tell(m, i, UNFILLED if a.filled <= a.shown else (TRADED if o < 0 else WITHDRAWN))
        return
    a.ended = s.recv
    pin(m, a.side, a.tick, TIGHT)
    if best_of(m, a.side) == a.tick and a.count2 + a.count >= 0:
        take(m, a.side, ahead(m, o) + a.shown * between(s, 30, 190) // 100 + 1, 1, 0)
        a.ended = s.recv
    a.due = s.ts + waiting(s, 1_400 * MS)


@njit
def start_refiller(m: Market, i: int) -> Any:
    """Draw a synthetic iceberg: slices of a parent order, each a new order."""
    s, a = m.s, m.actors[i]
    if s.busy:
        return False
    a.side = bits(s) >> 31
    a.tick = a.tick2 = best_of(m, a.side)
    a.shown = max(m.p.mean_size * (s.size_scale * between(s, 2, 6) >> 8), 4)
    a.left = between(s, 4, 12)  # refills to come
    a.stop = s.ts + between(s, 30, 58) * NS
    s.busy = i + 1
    return True


@njit
def refiller(m: Market, i: int) -> None:
    """Place a slice, wait for its full fill, place the next within a tenth of a second.

    `fill_one` moves it to phase 2 the moment a slice is gone, with `due` at the refill.
    """
    s, a = m.s, m.actors[i]
    if a.phase in (0, 2):
        pin(m, a.side, a.tick, TIGHT)
        slice_size = a.shown if a.phase == 0 else a.shown + between(s, -(a.shown // 10), a.shown // 10)
        if (a.phase == 2 and a.left == 0) or not own_add(m, i, a.side, a.tick, slice_size):
            if a.n_ids == 0:
                forget(m, i)
            else:
                tell(m, i, TRADED if a.left == 0 else (WITHDRAWN if a.count > 0 else UNFILLED))
            return
        if a.phase == 2:
            a.left -= 1
            a.count += 1
            a.mark1 = max(a.mark1, s.ts - a.mark2)
        a.size += slice_size
        a.phase = 1
        a.due = s.ts + 150 * MS + waiting(s, 1_500 * MS)
        return
    o = own_order(m, i)
    if o < 0 or s.ts >= a.stop:
        own_cancel(m, i)
        tell(m, i, WITHDRAWN if a.count > 0 else UNFILLED)
        return
    a.ended = s.recv
    pin(m, a.side, a.tick, TIGHT)
    a.due = s.ts + 150 * MS + waiting(s, 1_500 * MS)
    if best_of(m, a.side) == a.tick:
        take(m, a.side, ahead(m, o) + m.orders[o].size + between(s, 0, 2), 1, 0)
        a.ended = s.recv


@njit
def start_absorption(m: Market, i: int) -> Any:
    """Draw an absorption at the touch: how long, and several times the usual volume."""
    s, a = m.s, m.actors[i]
    usual = per_minute(m)[1]
    if s.busy or usual == 0:
        return False
    a.side = bits(s) >> 31
    a.tick = a.tick2 = best_of(m, a.side)
    seconds = between(s, 12, 30)
    a.multiple = between(s, 4_000, 8_000)
    a.base = max(usual * seconds // 60, 10)
    a.size = a.base * a.multiple // 1_000
    a.shown = max(a.size // (seconds * 2), 2)  # of one attack, two a second
    a.stop = s.ts + (seconds + 10) * NS
    s.busy = i + 1
    return True


@njit
def absorption(m: Market, i: int) -> None:
    """Aggressors hit one price again and again; fresh ordinary orders keep it standing."""
    s, a = m.s, m.actors[i]
    up = towards(a.side)
    pin(m, a.side, a.tick, 26_000)
    beyond = (a.tick - best_of(m, a.side)) * up
    broken = a.started > 0 and beyond > 1
    if s.ts >= a.stop or broken or a.filled >= a.size:
        a.ended = s.recv
        if a.started == 0:
            forget(m, i)
            return
        a.multiple = a.filled * 1_000 // a.base
        tell(m, i, BROKEN if broken else HELD)
        if not broken:
            set_fair(m, s.fair + up * between(s, 1, 3) * 65_536)
        return
    level = level_of(m, a.tick)
    wanted = a.shown * between(s, 50, 150) // 100 + 1
    if beyond < 0:  # a better quote is hit first
        take(m, a.side, level_of(m, best_of(m, a.side)).size, 1, 0)
        a.due = s.ts + waiting(s, 50 * MS)
    elif a.phase == 0 and beyond == 0 and level.size > wanted:
        a.filled += take(m, a.side, wanted, 1, 0)
        if a.started == 0:
            a.started = s.recv
        a.count += 1
        a.phase = 1
        a.due = s.ts + between(s, 110, 380) * MS
    elif level.size < wanted * 2 + m.p.mean_size * 4:
        add(m, a.side, a.tick, order_size(m, wanted) + below(s, wanted // 2 + 2), 0)
        a.due = s.ts + between(s, 3, 30) * MS
    else:
        a.phase = 0
        a.due = s.ts + waiting(s, 60 * MS)


@njit
def sweep(m: Market, i: int) -> None:
    """One aggressor through two to five levels."""
    s, a = m.s, m.actors[i]
    side = bits(s) >> 31
    levels = between(s, 2, 5)
    tick, seen, size = best_of(m, side), 0, 0
    while seen < levels and s.low <= tick <= s.high:
        here = level_of(m, tick).size
        if here > 0:
            seen += 1
            size += here if seen < levels else max(here * between(s, 30, 100) // 100, 1)
        tick -= towards(side)
    first = best_of(m, side)
    take(m, side, size, levels, 1)
    moved = first - best_of(m, side)
    set_fair(m, s.fair - moved * between(s, 40_000, 65_536))
    s.react = 12
    s.heat = min(s.heat + m.p.rate, m.p.hawkes_cap)
    a.kind = NOTHING
    a.due = NEVER


@njit
def start_burst(m: Market, i: int) -> Any:
    """Draw a burst: buyers (green) or sellers (red), seven times the usual volume or far more."""
    s, a = m.s, m.actors[i]
    mean, usual = per_minute(m)
    if s.busy or usual == 0 or mean > 2 * usual:
        return False
    a.side = bits(s) >> 31  # of the aggressors: BIDS buy
    a.base = max(mean, 10)
    a.multiple = between(s, 17_000, 20_000) if chance(s, 20_000) else between(s, 7_000, 10_000)
    a.size = a.base * a.multiple // 1_000
    a.touched = s.ts + between(s, 20, 40) * NS
    a.stop = s.ts + 55 * NS
    a.tick = best_of(m, ASKS if a.side == BIDS else BIDS)
    a.mark2, a.mark3 = s.bought, s.sold
    s.lean = -20_000 if a.side == BIDS else 20_000
    s.busy = i + 1
    return True


@njit
def burst(m: Market, i: int) -> None:
    """Aggressors of one side until the volume is there."""
    s, a = m.s, m.actors[i]
    resting = ASKS if a.side == BIDS else BIDS
    if a.started == 0:
        a.started = s.recv + 1
        s.extra_depth = 360
    total = s.bought - a.mark2 + s.sold - a.mark3
    if s.ts >= a.stop or total >= a.size:
        mine = s.bought - a.mark2 if a.side == BIDS else s.sold - a.mark3
        a.tick2 = best_of(m, resting)
        a.ended = s.recv
        a.filled = total
        a.multiple = total * 1_000 // a.base
        a.grade = 1 if a.multiple >= 16_000 else 0
        a.mark1 = mine
        a.mark2 = mine * 1_000 // max(total, 1)
        a.mark3 = 0
        tell(m, i, FINISHED if a.multiple >= 6_000 and a.mark2 >= 600 else UNFILLED)
        return
    level = level_of(m, best_of(m, resting))
    missing = a.size - total
    done = take(m, resting, max(level.size * between(s, 30, 130) // 100, 1), 1, 0)
    a.count += 1
    s.react = min(s.react + 1, 12)
    s.heat = min(s.heat + m.p.hawkes_jump, m.p.hawkes_cap)
    pace = max(a.touched - s.ts, 0) * max(done, 1) // max(missing, 1)
    a.due = s.ts + waiting(s, min(max(pace, 5 * MS), 900 * MS))


@njit
def start_exhaustion(m: Market, i: int) -> Any:
    """Draw an exhaustion: liquidity leaves both sides at once."""
    s, a = m.s, m.actors[i]
    if s.busy or s.seconds < SECONDS:
        return False
    a.side = BIDS
    for back in range(DEPTH_SECONDS):
        at = (s.seconds - 1 - back) % SECONDS
        a.base += s.depths[at]
        a.mark3 += s.spreads[at]
    a.base = a.base // DEPTH_SECONDS
    a.mark3 = a.mark3 * 1_000 // DEPTH_SECONDS
    a.mark1 = a.base
    a.tick, a.tick2 = s.bid, s.ask
    a.stop = s.ts + 2 * NS + below(s, 4_000) * MS
    s.busy = i + 1
    s.extra_depth = 30
    s.extra_gap = ((a.mark3 << 16) // 1_000) * 5 // 4
    return True


@njit
def exhaustion(m: Market, i: int) -> None:
    """Cancel what is far above its (small) target, wait, and let the crowd come back."""
    s, a = m.s, m.actors[i]
    if a.started == 0:
        a.started = s.recv
    a.ended = s.recv
    depth = 0
    victim = -1
    for side in range(2):
        tick, k = best_of(m, side), 0
        while s.low < tick < s.high and k < 16:
            level = level_of(m, tick)
            if level.size > 0:
                k += 1
                depth += level.size if k <= 10 else 0
                have = level.size - level.owned
                want = target(m, side, tick, level)
                if have > 2 * want + m.p.mean_size and (victim < 0 or bits(s) >> 30 == 0):
                    o = pick(m, level)
                    victim = o if o >= 0 else victim
            tick -= towards(side)
    if depth * 2 < a.base and (s.ask - s.bid) * 1_000 > 2 * a.mark3:
        a.mark1 = min(a.mark1, depth)
        a.mark2 = max(a.mark2, s.ask - s.bid)
        a.touched += s.ts - a.left if a.left > 0 else 0  # ns both were true
        a.left = s.ts
    else:
        a.left = 0
    if s.ts >= a.stop:
        s.heat = min(s.heat + m.p.rate * 3, m.p.hawkes_cap)
        tell(m, i, FINISHED if a.touched > NS // 2 else UNFILLED)
        return
    if victim >= 0:
        cancel(m, victim, m.orders[victim].size)
        a.count += 1
        a.due = s.ts + waiting(s, 400_000)
    else:
        a.due = s.ts + 20 * MS


@njit
def halt(m: Market, i: int) -> None:
    """Stop trading for a while: a status, silence, a status."""
    s, a = m.s, m.actors[i]
    if a.phase == 0:
        say(m, STATUS_HALT)
        a.started = a.ended = s.recv
        a.phase = 1
        s.halted = 1
        s.mean = NEVER
        pause = between(s, 5, 30) * NS
        a.due = s.ts + pause
        a.size = pause
        for k in range(len(m.actors)):
            if k != i and m.actors[k].kind != NOTHING:
                m.actors[k].due += pause
                m.actors[k].stop += pause
        return
    say(m, STATUS_TRADING)
    a.ended = s.recv
    s.halted = 0
    tell(m, i, FINISHED)
