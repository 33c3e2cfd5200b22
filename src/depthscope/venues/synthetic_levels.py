"""Level sizes of the synthetic market: what each price tends to, and the window of prices in use.

Every level has a target size by its distance from the fair value, its price texture (round
numbers) and liquidity bands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.venues.synthetic_book import level_of, place
from depthscope.venues.synthetic_layout import ASKS, BIDS, REACH, TABLE_BITS, Market
from depthscope.venues.synthetic_tables import bits, mix, njit

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
def target(m: Market, side: int, tick: int, level: Any) -> Any:
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
    return ((size * shape >> 8) * weight >> 8) * ((s.depth * s.extra_depth) >> 8) >> 8


@njit
def order_size(m: Market, want: int) -> Any:
    """Size of a new order on a level whose target is `want`."""
    size = np.int64(m.p.sizes[bits(m.s) >> CELL_SHIFT])
    full = m.p.mean_size * m.p.scale_orders
    if want > full:
        size = size * want // full
    return max(size, 1)


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
def narrow(m: Market) -> Any:
    """Give up far prices; return an order that must be cancelled first, or -1."""
    s = m.s
    centre = s.fair >> 16
    while s.low < centre - m.p.half - 2:
        head = level_of(m, s.low).head
        if head >= 0:
            return head
        s.bid = max(s.bid, s.low)
        s.low += 1
    while s.high > centre + m.p.half + 2:
        head = level_of(m, s.high).head
        if head >= 0:
            return head
        s.ask = min(s.ask, s.high)
        s.high -= 1
    return -1
