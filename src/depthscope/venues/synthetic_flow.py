"""Background order flow: a crowd that quotes and trades around a fair value.

New activity picks a level and adds or cancels so that sizes hover around their targets;
aggressors come in runs (children of a parent order), hit quotes the fair value has passed, and
move it. The zero-intelligence idea is that of J. D. Farmer, P. Patelli, I. Zovko, "The predictive
power of zero intelligence in financial markets", PNAS 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.venues.synthetic_book import add, cancel, inside, level_of, modify, take
from depthscope.venues.synthetic_clock import impact
from depthscope.venues.synthetic_layout import ASKS, BIDS, NEVER, Market
from depthscope.venues.synthetic_levels import CELL_SHIFT, order_size, target
from depthscope.venues.synthetic_tables import below, between, bits, chance, njit, waiting


@njit
def aggress(m: Market, side: int, size: int, levels: int) -> Any:
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
def pick(m: Market, level: Any) -> Any:
    """Background order of a level, newest first by preference; -1 when there is none."""
    o = level.tail
    steps = bits(m.s) >> 29
    while o >= 0 and (m.orders[o].owner > 0 or steps > 0):
        steps -= 1
        if m.orders[o].prev < 0 and m.orders[o].owner == 0:
            return o
        o = m.orders[o].prev
    return o


@njit
def quote(m: Market, low_bid: int, high_ask: int) -> Any:
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
def change(m: Market, side: int, tick: int, level: Any, grow: bool) -> Any:
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
def correct(m: Market, side: int) -> Any:
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
    wide_bid, wide_ask = min(low_bid, s.ask - 1) > s.bid, max(high_ask, s.bid + 1) < s.ask
    if (wide_bid or wide_ask) and chance(s, m.p.tighten):
        side = BIDS if wide_bid and (not wide_ask or chance(s, 32_768)) else ASKS
        tick = min(low_bid, s.ask - 1) if side == BIDS else max(high_ask, s.bid + 1)
        if s.low <= tick <= s.high:
            want = target(m, side, tick, level_of(m, tick))
            if want > 0 and add(m, side, tick, order_size(m, want), 0) >= 0:
                return
    for _ in range(6):
        if quote(m, low_bid, high_ask):
            return


@njit
def pause(m: Market) -> Any:
    """Nanoseconds to the next background group."""
    s = m.s
    if s.react > 0 and not s.halted:
        return waiting(s, 180_000)
    return waiting(s, s.mean) if s.mean < NEVER else NEVER
