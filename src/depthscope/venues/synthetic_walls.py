"""Injections that shape the resting book: walls, layering-like stacks, gaps, liquidity bands."""

from __future__ import annotations

from typing import Any

from depthscope.venues.synthetic_actors import (
    MS,
    best_of,
    defend,
    forget,
    free_spot,
    own_add,
    own_cancel,
    own_left,
    own_order,
    release,
    steer_to,
    tell,
    towards,
)
from depthscope.venues.synthetic_book import add, cancel, level_of, take
from depthscope.venues.synthetic_clock import NS, baseline, set_fair
from depthscope.venues.synthetic_flow import pick
from depthscope.venues.synthetic_layout import ASKS, BAND, BIDS, HELD, PULLED, TRADED, WITHDRAWN, Market
from depthscope.venues.synthetic_levels import NEUTRAL, fill_level, order_size, target
from depthscope.venues.synthetic_tables import below, between, bits, chance, njit, spread_out

PULL, HOLD, TRADE_THROUGH = 0, 1, 2  # plans of a wall
SLACK = 9_000  # ticks Q16 between a defended price and the fair value


@njit
def start_wall(m: Market, i: int) -> Any:
    """Draw a wall: side, place a few levels away, size as a multiple of the rolling median."""
    s, p, a = m.s, m.p, m.actors[i]
    a.side = bits(s) >> 31
    out = -towards(a.side)
    tick = best_of(m, a.side)
    wanted = between(s, p.touch_min, p.touch_max)
    while wanted > 0 and s.low < tick < s.high:
        tick += out
        if level_of(m, tick).size > 0:
            wanted -= 1
    for k in range(3):
        if (tick + out * k) % p.round1 == 0:
            tick += out * k
            break
    if not free_spot(m, a.side, tick, 1):
        return False
    a.tick = a.tick2 = tick
    a.grade = 1 if chance(s, 26_000) else 0
    a.base = baseline(m)
    a.multiple = between(s, 6_500, 11_000) if a.grade else between(s, 3_650, 4_500)
    here = level_of(m, tick).size
    a.size = max(a.base * a.multiple // 1_000 - here, a.base)
    a.multiple = (here + a.size) * 1_000 // a.base
    a.left = a.size
    a.count = between(s, 1, 3)
    u = below(s, 10)
    a.plan = PULL if u < 5 or s.busy else (HOLD if u < 8 else TRADE_THROUGH)
    if a.plan != PULL:
        s.busy = i + 1
    a.stop = s.ts + spread_out(s, 15_000, 640) * MS
    return True


@njit
def wall(m: Market, i: int) -> None:
    """Place it, watch it, and end it by its plan or by what the market does to it."""
    s, a = m.s, m.actors[i]
    if a.phase == 0:
        part = a.left if a.count <= 1 else a.left // a.count
        if not own_add(m, i, a.side, a.tick, part):
            if a.n_ids == 0:
                forget(m, i)
            else:
                a.phase = 9
                a.due = s.ts + MS
            return
        a.left -= part
        a.count -= 1
        if a.left <= 0 or a.count <= 0:
            a.phase = 1
            a.count = a.n_ids
        a.due = s.ts + between(s, 1, 15) * MS
        return
    left = own_left(m, i)
    if left == 0:
        a.ended = s.recv if a.filled >= a.size else a.ended
        if a.filled >= a.size and a.plan == TRADE_THROUGH:
            set_fair(m, s.fair - towards(a.side) * 65_536)
        tell(m, i, TRADED if a.filled * 10 >= a.size * 9 else (HELD if a.mark2 else PULLED))
        return
    if a.phase == 9:
        own_cancel(m, i)
        a.due = s.ts + between(s, 200, 8_000) * 1_000
        return
    distance = abs(best_of(m, a.side) - a.tick)
    old = s.recv - a.started
    a.due = s.ts + 100 * MS
    if distance == 0 and a.touched == 0:
        a.touched = s.ts
        a.mark1 = 1
    if s.ts >= a.stop:
        if a.plan == HOLD and s.busy == i + 1 and old < 150 * NS:
            a.stop = s.ts + 3 * NS  # still being shown to hold
            return
        if a.mark1 and distance >= 3 and a.filled * 2 < a.size:
            a.mark2 = 1
        a.phase = 9
        return
    if a.plan == PULL:
        if distance <= 2 and old > 6 * NS:
            a.phase = 9
            a.due = s.ts + between(s, 1, 40) * MS
        return
    if s.busy == i + 1:
        steer_wall(m, i, distance, old)


@njit
def steer_wall(m: Market, i: int, distance: int, old: int) -> None:
    """Bring the price to the wall; then away from it, or aggressors into it."""
    s, a = m.s, m.actors[i]
    side, up = a.side, towards(a.side)
    defend(m, side, a.tick, SLACK)
    if a.touched == 0 or old < 7 * NS:
        steer_to(m, (a.tick << 16) + up * (s.gap + SLACK), 3)
    elif a.plan == HOLD:
        if s.ts - a.touched > 2 * NS:
            steer_to(m, (a.tick + up * 8) << 16, 4)
            if distance >= 5:
                a.stop = max(a.stop, s.ts + between(s, 4, 20) * NS)
                release(m, i)
    else:
        steer_to(m, (a.tick << 16) + up * (s.gap + SLACK), 1)
        if distance == 0:
            take(m, side, max(a.size // between(s, 6, 16), 1), 1, 0)
        a.due = s.ts + between(s, 90, 420) * MS


@njit
def start_layering(m: Market, i: int) -> Any:
    """Draw a stack of four to six adjacent prices of nine to twelve times the median."""
    s, a = m.s, m.actors[i]
    a.side = bits(s) >> 31
    out = -towards(a.side)
    n = between(s, 4, 6)
    a.tick = best_of(m, a.side) + out * between(s, 2, 4)
    a.tick2 = a.tick + out * (n - 1)
    if not free_spot(m, a.side, a.tick, n):
        return False
    a.base = baseline(m)
    a.multiple = between(s, 9_000, 12_000)
    a.count = n
    a.shown = max(a.base * a.multiple // 1_000, 2)
    a.size = a.shown * n
    a.stop = s.ts + between(s, 4, 20) * NS
    return True


@njit
def layering(m: Market, i: int) -> None:
    """Stack, sell (buy) a little on the other side, withdraw at once when done or approached."""
    s, a = m.s, m.actors[i]
    other = ASKS if a.side == BIDS else BIDS
    if a.phase == 0:
        if not own_add(m, i, a.side, a.tick - towards(a.side) * a.count2, a.shown):
            a.phase = 9
        a.count2 += 1
        if a.count2 == a.count:
            a.phase = 1
            a.due = s.ts + between(s, 500, 1_500) * MS
        else:
            a.due = s.ts + between(s, 1, 20) * MS
        return
    if a.phase == 1:  # the small order the stack is meant to help
        a.mark2 = max(m.p.mean_size * 2, 2)
        if own_add(m, i, other, best_of(m, other), a.mark2):
            a.mark3 = a.n_ids
        a.phase = 2
        a.due = s.ts + between(s, 500, 1_500) * MS
        return
    near = abs(best_of(m, a.side) - a.tick) <= 1
    if a.phase == 2:
        if a.mark3 > 0 and own_order(m, i) == a.slots[a.mark3 - 1]:
            take(m, other, max(level_of(m, best_of(m, other)).size, 1), 1, 0)
        a.phase = 3
        if a.mark3 > 0:
            o = a.slots[a.mark3 - 1]
            a.mark1 = a.mark2 - (m.orders[o].size if m.orders[o].id == a.ids[a.mark3 - 1] else 0)
    if a.phase == 3 and s.ts < a.stop and not near:
        a.due = s.ts + 30 * MS
        return
    a.phase = 9
    a.due = s.ts + between(s, 200, 9_000) * 1_000
    if not own_cancel(m, i):
        if a.n_ids < 4:
            forget(m, i)
        else:
            a.ended = s.recv
            tell(m, i, TRADED if (a.filled - a.mark1) * 10 > a.size else WITHDRAWN)


@njit
def start_gap(m: Market, i: int) -> Any:
    """Draw three to six adjacent prices a few ticks behind the best."""
    s, a = m.s, m.actors[i]
    a.side = bits(s) >> 31
    out = -towards(a.side)
    a.count = between(s, 3, 6)
    a.tick = best_of(m, a.side) + out * between(s, 3, 8)
    a.tick2 = a.tick + out * (a.count - 1)
    if not free_spot(m, a.side, a.tick, a.count):
        return False
    a.base = baseline(m)
    a.stop = s.ts + between(s, 6, 25) * NS
    for k in range(a.count):
        level = level_of(m, a.tick + out * k)
        a.size += level.size
        level.boost = 0
    return True


@njit
def gap(m: Market, i: int) -> None:
    """Empty the prices, keep them empty a while, let them refill."""
    s, a = m.s, m.actors[i]
    out = -towards(a.side)
    if a.phase == 0:
        for k in range(a.count):
            o = level_of(m, a.tick + out * k).head
            if o >= 0 and m.orders[o].side == a.side:
                cancel(m, o, m.orders[o].size)
                a.due = s.ts + between(s, 200, 3_000) * 1_000
                return
        a.phase = 1
        a.started = s.recv
    a.due = s.ts + 100 * MS
    a.ended = s.recv
    if s.ts >= a.stop or abs(best_of(m, a.side) - a.tick) <= 1:
        for k in range(a.count):
            level_of(m, a.tick + out * k).boost = NEUTRAL
        tell(m, i, WITHDRAWN)


@njit
def start_band(m: Market, i: int, opening: bool) -> Any:
    """Draw a liquidity band: a price, often round, that attracts size for minutes."""
    s, p, a = m.s, m.p, m.actors[i]
    a.side = bits(s) >> 31
    out = -towards(a.side)
    reach = (below(s, p.band_reach) * between(s, 90, 256)) >> 8
    tick = best_of(m, a.side) + out * (p.touch_max + reach)
    if chance(s, 40_000):
        step = p.round3 if chance(s, 22_000) else p.round2
        tick -= tick % step
    if abs(tick - best_of(m, a.side)) < p.touch_min or not free_spot(m, a.side, tick, 1):
        return False
    if (tick >= s.ask) if a.side == BIDS else (tick <= s.bid):
        return False
    a.tick = a.tick2 = tick
    a.plan = PULL if chance(s, 34_000) else TRADE_THROUGH
    a.stop = s.ts + spread_out(s, 45_000, 850) * MS
    level = level_of(m, tick)
    level.boost = spread_out(s, 2_000, 380) * NEUTRAL // 1_000
    a.count = 40
    if opening:
        fill_level(m, a.side, tick)
        a.phase, a.started, a.ended = 1, s.recv, s.recv
        a.size = level.size
    return True


@njit
def band(m: Market, i: int) -> None:
    """Build the band, let the crowd keep it, pull it or let it trade."""
    s, a = m.s, m.actors[i]
    level = level_of(m, a.tick)
    want = target(m, a.side, a.tick, level)
    have = level.size - level.owned
    if a.phase == 0:
        if have * 10 >= want * 9 or a.count == 0:
            a.phase = 1
            a.started = a.ended = s.recv
            a.size = level.size
        else:
            a.count -= 1
            add(m, a.side, a.tick, min(order_size(m, want) * 2, max(want - have, 1)), 0)
        a.due = s.ts + between(s, 2, 90) * MS
        return
    if a.phase == 1:
        if a.base == 0:
            a.base = baseline(m) if s.seconds > 0 else 0
            a.multiple = a.size * 1_000 // max(a.base, 1)
        a.due = s.ts + 200 * MS
        a.ended = s.recv
        distance = (best_of(m, a.side) - a.tick) * towards(a.side)
        if distance < 0 or a.tick < s.low + 2 or a.tick > s.high - 2:
            level.boost = NEUTRAL
            tell(m, i, TRADED if distance < 0 else WITHDRAWN)
        elif s.ts >= a.stop or (a.plan == PULL and distance <= 2):
            level.boost = NEUTRAL
            a.mark1 = 1 if distance <= 2 else 0
            a.phase = 2
            a.count = 60
        return
    o = pick(m, level)
    a.ended = s.recv
    a.due = s.ts + between(s, 500, 25_000) * 1_000
    a.count -= 1
    if have * 4 <= want * 5 + 4 or o < 0 or a.count < 0 or m.orders[o].side != a.side:
        tell(m, i, PULLED if a.mark1 else WITHDRAWN)
    else:
        cancel(m, o, m.orders[o].size)


@njit
def count_bands(m: Market) -> Any:
    """Bands running."""
    n = 0
    for i in range(len(m.actors)):
        if m.actors[i].kind == BAND:
            n += 1
    return n
