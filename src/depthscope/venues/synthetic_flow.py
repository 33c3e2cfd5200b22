"""Background order flow: a fair value in regimes, and a crowd that quotes and trades around it.

The fair value moves on a clock (drift, volatility and depth of the current regime, the impact
of aggressors, the push of an injection). Every level has a target size by its distance from the
fair value, its price texture (round numbers) and liquidity bands; new activity picks a level and
adds or cancels so that sizes hover around their targets. Groups arrive as a self-exciting
(Hawkes) process: each raises the rate of the next for a few seconds. The zero-intelligence idea
is that of J. D. Farmer, P. Patelli, I. Zovko, "The predictive power of zero intelligence in
financial markets", PNAS 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.venues.synthetic_book import (
    add,
    cancel,
    inside,
    level_of,
    modify,
    place,
    take,
)
from depthscope.venues.synthetic_layout import (
    ASKS,
    BIDS,
    CALM,
    NEVER,
    REACH,
    REVERTING,
    SECONDS,
    TABLE_BITS,
    TREND_DOWN,
    TREND_UP,
    VOLATILE,
    VOLUME_BUCKETS,
    Market,
)
from depthscope.venues.synthetic_tables import below, between, bits, chance, gauss, mix, njit, waiting

NS = 1_000_000_000
NEUTRAL = 256  # boost of a level without a band
CELL_SHIFT = 32 - TABLE_BITS


@njit
def enter_level(m: Market, tick: int) -> None:
    """Give a price entering the window its texture: round numbers attract, odd ones may be empty."""
    p = m.p
    level = level_of(m, tick)
    r = np.int64(mix(np.uint64(tick) * np.uint64(0xD6E8FEB86659FD93) + m.s.texture) >> np.uint64(40))
    weight = 166 + ((r & 0xFF) * 180 >> 8)  # 0.65 … 1.35
    level.rank = 0
    level.boost = NEUTRAL
    if tick % p.round3 == 0:
        level.weight = weight * p.weight3 >> 8
    elif tick % p.round2 == 0:
        level.weight = weight * p.weight2 >> 8
    elif tick % p.round1 == 0:
        level.weight = weight * p.weight1 >> 8
    else:
        level.weight = weight
        level.rank = (r >> 8) & 0xFF


@njit
def target(m: Market, side: int, tick: int, level: Any) -> int:
    """Size a level tends to, in lots, injected orders apart."""
    s = m.s
    gap = s.gap + s.extra_gap
    away = s.fair - gap - (tick << 16) if side == BIDS else (tick << 16) - s.fair - gap
    if away <= 0:
        return 0
    k = away >> 16
    if k >= REACH:
        k = REACH - 1
    near = np.int64(m.p.profile[k])
    shape = near + (((m.p.profile[k + 1] - near) * (away & 0xFFFF)) >> 16)
    weight = np.int64(level.weight) * level.boost >> 8
    if k == 0:
        weight = max(weight, 200) if level.boost >= NEUTRAL else weight  # the touch is always quoted
    elif level.rank > 0 and level.boost == NEUTRAL:
        p = m.p
        if level.rank >= max(p.density_far, p.density_near - (p.density_near - p.density_far) * k // p.near):
            return 0
    size = m.p.base * s.size_scale >> 8
    return int(((size * shape >> 8) * weight >> 8) * ((s.depth * s.extra_depth) >> 8) >> 8)


@njit
def order_size(m: Market, want: int) -> int:
    """Size of a new order on a level whose target is `want`."""
    size = np.int64(m.p.sizes[bits(m.s) >> CELL_SHIFT])
    full = m.p.mean_size * m.p.scale_orders
    if want > full:
        size = size * want // full
    return int(max(size, 1))


@njit
def fill_level(m: Market, side: int, tick: int) -> None:
    """Fill a level to its target before the market opens."""
    level = level_of(m, tick)
    want = target(m, side, tick, level)
    while level.size + m.p.mean_size // 2 < want:
        if place(m, side, tick, min(order_size(m, want), want - level.size + 1), 0) < 0:
            return


@njit
def open_book(m: Market) -> None:
    """Build the book an instrument opens with."""
    s = m.s
    centre = s.fair >> 16
    s.low, s.high = centre - m.p.half, centre + m.p.half
    s.bid, s.ask = s.low - 1, s.high + 1
    for tick in range(s.low, s.high + 1):
        enter_level(m, tick)
    for tick in range(s.low, s.high + 1):
        fill_level(m, BIDS if (tick << 16) < s.fair else ASKS, tick)
    if s.bid < s.low:
        place(m, BIDS, centre - 1, 1, 0)
    if s.ask > s.high:
        place(m, ASKS, centre + 1, 1, 0)


@njit
def widen(m: Market) -> None:
    """Let the window follow the fair value; new prices start without a band."""
    s = m.s
    centre = s.fair >> 16
    while s.high < centre + m.p.half and s.high - s.low < m.p.mask:
        s.high += 1
        enter_level(m, s.high)
        if s.ask == s.high:  # the side was empty
            s.ask += 1
    while s.low > centre - m.p.half and s.high - s.low < m.p.mask:
        s.low -= 1
        enter_level(m, s.low)
        if s.bid == s.low:
            s.bid -= 1


@njit
def narrow(m: Market) -> int:
    """Give up far prices; return an order that must be cancelled first, or -1."""
    s = m.s
    centre = s.fair >> 16
    while s.low < centre - m.p.half - 2:
        head = level_of(m, s.low).head
        if head >= 0:
            return int(head)
        if s.bid < s.low:
            s.bid = s.low
        s.low += 1
    while s.high > centre + m.p.half + 2:
        head = level_of(m, s.high).head
        if head >= 0:
            return int(head)
        if s.ask > s.high:
            s.ask = s.high
        s.high -= 1
    return -1


@njit
def survey(m: Market) -> None:
    """Once a second: median size of the best ten levels a side, their depth, the spread."""
    s = m.s
    found = np.empty(20, np.int64)
    n = 0
    depth = 0
    tick, k = s.bid, 0
    while tick >= s.low and k < 10:
        size = level_of(m, tick).size
        if size > 0:
            found[n] = size
            n += 1
            k += 1
            depth += size
        tick -= 1
    tick, k = s.ask, 0
    while tick <= s.high and k < 10:
        size = level_of(m, tick).size
        if size > 0:
            found[n] = size
            n += 1
            k += 1
            depth += size
        tick += 1
    at = s.seconds % SECONDS
    s.medians[at] = middle(found, n)
    s.depths[at] = depth
    s.spreads[at] = s.ask - s.bid
    s.seconds += 1
    if s.seconds % 10 == 0:
        total = s.bought + s.sold
        s.volumes[s.buckets % VOLUME_BUCKETS] = total - s.bucket_start
        s.bucket_start = total
        s.buckets += 1


@njit
def middle(values: Any, n: int) -> int:
    """Upper median of the first `n` values, which it sorts."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return int(values[n // 2]) if n > 0 else 0


@njit
def baseline(m: Market) -> int:
    """Rolling 30-s median of the best ten levels' sizes."""
    n = min(m.s.seconds, SECONDS)
    kept = np.empty(SECONDS, np.int64)
    for i in range(n):
        kept[i] = m.s.medians[i]
    return max(1, middle(kept, n))


@njit
def enter_regime(m: Market, regime: int) -> None:
    """Switch regime: its figures, for one to six minutes."""
    s, p = m.s, m.p
    s.regime = regime
    s.regime_end = s.ts + between(s, 60, 360) * NS
    s.drift = p.regime_drift[regime]
    s.sigma = p.regime_sigma[regime]
    s.take = p.regime_take[regime]
    s.gap = p.regime_gap[regime]
    s.depth = p.regime_depth[regime]
    s.anchor = s.fair


@njit
def next_regime(m: Market) -> None:
    """Draw what follows: calm and mean-reverting often, volatile after trends."""
    u = below(m.s, 100)
    if m.s.regime == VOLATILE:
        following = CALM if u < 35 else (REVERTING if u < 75 else (TREND_UP if u < 88 else TREND_DOWN))
    elif m.s.regime in (TREND_UP, TREND_DOWN):
        following = CALM if u < 30 else (REVERTING if u < 65 else (VOLATILE if u < 85 else TREND_UP))
        if u >= 92:
            following = TREND_DOWN
    else:
        following = TREND_UP if u < 30 else (TREND_DOWN if u < 60 else (VOLATILE if u < 80 else REVERTING))
        if u >= 90:
            following = CALM
    enter_regime(m, following)


@njit
def tick_clock(m: Market) -> None:
    """One step of the fair value and of the rates."""
    s, p = m.s, m.p
    s.clock_end += p.clock
    if s.ts >= s.regime_end:
        next_regime(m)
    s.heat -= (s.heat * p.hawkes_decay) >> 16
    rate = (p.rate * p.regime_rate[s.regime] >> 8) * s.rate_scale >> 8
    lively = 160 + 96 * s.heat // max(rate, 1)  # moves come with activity
    move = s.drift + s.steer + (gauss(s, s.sigma) * min(lively, 640) >> 8)
    if s.regime == REVERTING:
        move += ((s.anchor - s.fair) * p.clock) // (25 * NS)
    if s.regime == VOLATILE and below(s, 30 * NS // p.clock) == 0:
        move += (between(s, 2, 5) << 16) * (1 if chance(s, 32_768) else -1)  # news
    set_fair(m, s.fair + move)
    s.mean = NEVER if s.halted else (NS << 8) // (rate + s.heat)
    widen(m)
    if s.ts >= s.next_second:
        s.next_second += NS
        survey(m)


@njit
def set_fair(m: Market, value: int) -> None:
    """Move the fair value, within the bounds an injection set and clear of zero."""
    s = m.s
    value = min(max(value, s.floor), s.roof)
    s.fair = max(value, (m.p.half + 16) << 16)


@njit
def impact(m: Market, side: int, done: int) -> None:
    """Move the fair value with an aggressor that executed `done` lots against `side`."""
    s = m.s
    size = max(1, m.p.base * s.size_scale >> 8)
    push = min(m.p.impact * done // size, 65_536)
    set_fair(m, s.fair - push if side == BIDS else s.fair + push)


@njit
def aggress(m: Market, side: int, size: int, levels: int) -> int:
    """Send one background aggressor; what it moves and stirs up."""
    done = take(m, side, size, levels, 0)
    impact(m, side, done)
    if done > 0:
        m.s.react = min(m.s.react + 1 + below(m.s, 4), 12)
    return done


@njit
def trade(m: Market) -> None:
    """Draw an aggressor: often a child of a parent order, often sized to the touch."""
    s = m.s
    if s.parent_left > 0 and chance(s, 36_000):
        side = s.parent_side
        s.parent_left -= 1
    else:
        middle_fair = ((s.bid + s.ask) << 15) - s.fair  # above the fair value: sellers
        pull = min(max(middle_fair >> 3, -9_000), 9_000)
        side = BIDS if chance(s, 32_768 + pull + s.lean) else ASKS
        if chance(s, 6_000):
            s.parent_side = side
            s.parent_left = 3 + below(s, 25)
    level = level_of(m, s.bid if side == BIDS else s.ask)
    size = np.int64(m.p.takes[bits(s) >> CELL_SHIFT])
    shown = level.size - level.owned
    levels = 2 if chance(s, m.p.two_levels) else 1
    if levels == 1 and size > shown and shown > 0 and chance(s, 30_000):
        size = shown  # exactly what is quoted
    aggress(m, side, size, levels)


@njit
def pick(m: Market, level: Any) -> int:
    """Background order of a level, newest first by preference; -1 when there is none."""
    o = level.tail
    steps = bits(m.s) >> 29
    while o >= 0 and (m.orders[o].owner > 0 or steps > 0):
        steps -= 1
        if m.orders[o].prev < 0 and m.orders[o].owner == 0:
            return int(o)
        o = m.orders[o].prev
    return int(o)


@njit
def quote(m: Market, low_bid: int, high_ask: int) -> bool:
    """One limit-order action near a randomly drawn level; False when nothing was to do."""
    s, p = m.s, m.p
    side = bits(s) >> 31
    away = np.int64(p.reach[bits(s) >> CELL_SHIFT])
    tick = min(low_bid, s.ask - 1) - away if side == BIDS else max(high_ask, s.bid + 1) + away
    if tick < s.low or tick > s.high or (side == BIDS and tick >= s.ask) or (side == ASKS and tick <= s.bid):
        return False
    level = level_of(m, tick)
    want = target(m, side, tick, level)
    have = level.size - level.owned
    if want == 0 and have == 0:
        return False
    lean = (want - have) * 256 // (max(want, have) + p.mean_size)
    adds = chance(s, 32_768 + lean * 112)
    if adds and want == 0:
        return False
    if have > 0 and chance(s, p.modify):
        return change(m, side, tick, level, adds)
    if adds:
        return add(m, side, tick, order_size(m, want), 0) >= 0
    o = pick(m, level)
    if o < 0:
        return False
    size = m.orders[o].size
    if size > 1 and chance(s, p.partial):
        size = 1 + below(s, size - 1)
    cancel(m, o, size)
    return True


@njit
def change(m: Market, side: int, tick: int, level: Any, grow: bool) -> bool:
    """Modify an order of a level: its size, or its price by a few ticks."""
    s = m.s
    o = pick(m, level)
    if o < 0:
        return False
    size = m.orders[o].size
    if chance(s, 26_000):
        to = tick + between(s, -3, 3)
        if to == tick or not inside(m, side, to) or target(m, side, to, level_of(m, to)) == 0:
            return False
        return modify(m, o, to, size)
    if grow:
        return modify(m, o, tick, size + np.int64(m.p.sizes[bits(s) >> CELL_SHIFT]))
    return size > 1 and modify(m, o, tick, 1 + below(s, size - 1))


@njit
def correct(m: Market, side: int) -> bool:
    """Act on a best price the fair value has passed: hit it, or its owner withdraws."""
    s = m.s
    tick = s.bid if side == BIDS else s.ask
    if tick < s.low or tick > s.high:
        return False
    level = level_of(m, tick)
    if chance(s, m.p.chase_take):
        size = np.int64(m.p.takes[bits(s) >> CELL_SHIFT])
        return take(m, side, size, 1, 0) > 0
    o = pick(m, level)
    if o < 0:
        return take(m, side, np.int64(m.p.takes[bits(s) >> CELL_SHIFT]), 1, 0) > 0
    cancel(m, o, m.orders[o].size)
    return True


@njit
def act_naturally(m: Market) -> None:
    """One background group."""
    s = m.s
    gap = s.gap + s.extra_gap
    low_bid = (s.fair - gap - 1) >> 16
    high_ask = ((s.fair + gap) >> 16) + 1
    s.heat = min(s.heat + m.p.hawkes_jump, m.p.hawkes_cap)
    if s.react > 0:
        s.react -= 1
    elif s.ask - s.bid > 0 and chance(s, s.take):
        trade(m)
        return
    late_bid, late_ask = s.bid > low_bid, s.ask < high_ask
    if (late_bid or late_ask) and chance(s, m.p.chase) and correct(m, BIDS if late_bid else ASKS):
        return
    for _ in range(6):
        if quote(m, low_bid, high_ask):
            return


@njit
def pause(m: Market) -> int:
    """Nanoseconds to the next background group."""
    s = m.s
    if s.react > 0 and not s.halted:
        return int(waiting(s, 180_000))
    return int(waiting(s, s.mean)) if s.mean < NEVER else NEVER
