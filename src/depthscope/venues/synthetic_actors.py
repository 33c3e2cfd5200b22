"""What all injections of the synthetic market share: their orders, the steering, the record.

An injection ("actor") is a small state machine woken at its `due` time; each wake publishes at
most a few groups. It owns the orders it places (the background never cancels those), counts
their fills, and tells at its end what really happened: the outcome is observed, not planned.
"""

from __future__ import annotations

from typing import Any

from depthscope.venues.synthetic_book import add, cancel, level_of
from depthscope.venues.synthetic_clock import set_fair
from depthscope.venues.synthetic_layout import BIDS, IDS, NEVER, NOTHING, Market
from depthscope.venues.synthetic_levels import NEUTRAL
from depthscope.venues.synthetic_tables import njit

MS = 1_000_000


@njit
def release(m: Market, i: int) -> None:
    """Give back the steering of the market if injection `i` had it."""
    s = m.s
    if s.busy == i + 1:
        s.busy = s.steer = s.lean = s.extra_gap = 0
        s.extra_depth = 256
        s.floor, s.roof = -NEVER, NEVER


@njit
def tell(m: Market, i: int, outcome: int) -> None:
    """Record how injection `i` came out, and end it."""
    a = m.actors[i]
    t = m.truth[m.told[0]]
    m.told[0] += 1
    t.known, t.ts_start, t.ts_end = m.s.recv, a.started, a.ended
    t.tick, t.tick2, t.size, t.filled = a.tick, a.tick2, a.size, a.filled
    t.shown, t.base, t.multiple = a.shown, a.base, a.multiple
    t.mark1, t.mark2, t.mark3 = a.mark1, a.mark2, a.mark3
    t.count, t.count2, t.lane, t.n_ids = a.count, a.count2, m.lane, a.n_ids
    t.kind, t.side, t.grade, t.outcome = a.kind, a.side, a.grade, outcome
    for k in range(IDS):
        t.ids[k] = a.ids[k]
    forget(m, i)


@njit
def forget(m: Market, i: int) -> None:
    """End an injection that left no mark; orders it still has become ordinary ones."""
    a = m.actors[i]
    for k in range(IDS):
        o = a.slots[k]
        if a.ids[k] != 0 and m.orders[o].id == a.ids[k] and m.orders[o].owner == i + 1:
            m.orders[o].owner = 0
            level_of(m, m.orders[o].tick).owned -= m.orders[o].size
    release(m, i)
    a.kind = NOTHING
    a.due = NEVER


@njit
def own_add(m: Market, i: int, side: int, tick: int, size: int) -> Any:
    """Publish an order of injection `i`; it remembers the newest sixteen."""
    a = m.actors[i]
    o = add(m, side, tick, size, i + 1)
    if o < 0:
        return False
    k = a.n_ids % IDS
    a.ids[k] = m.orders[o].id
    a.slots[k] = o
    a.n_ids += 1
    if a.started == 0:
        a.started = m.s.recv
    a.ended = m.s.recv
    return True


@njit
def own_order(m: Market, i: int) -> Any:
    """Newest order of injection `i` that still rests, or -1."""
    a = m.actors[i]
    for back in range(min(a.n_ids, IDS)):
        k = (a.n_ids - 1 - back) % IDS
        if m.orders[a.slots[k]].id == a.ids[k]:
            return a.slots[k]
    return -1


@njit
def own_left(m: Market, i: int) -> Any:
    """Lots of injection `i` still resting."""
    a = m.actors[i]
    total = 0
    for k in range(min(a.n_ids, IDS)):
        if m.orders[a.slots[k]].id == a.ids[k]:
            total += m.orders[a.slots[k]].size
    return total


@njit
def own_cancel(m: Market, i: int) -> Any:
    """Withdraw one order of injection `i`; False when none is left."""
    o = own_order(m, i)
    if o < 0:
        return False
    cancel(m, o, m.orders[o].size)
    m.actors[i].ended = m.s.recv
    return True


@njit
def towards(side: int) -> Any:
    """Direction away from a resting side's danger: +1 for bids."""
    return 1 if side == BIDS else -1


@njit
def best_of(m: Market, side: int) -> Any:
    """Best tick of a side."""
    return m.s.bid if side == BIDS else m.s.ask


@njit
def defend(m: Market, side: int, tick: int, slack: int) -> None:
    """Keep the fair value on this side of `tick`, so that quotes there stay wanted."""
    s = m.s
    edge = (tick << 16) + towards(side) * (s.gap + s.extra_gap + slack)
    if side == BIDS:
        s.floor = edge
    else:
        s.roof = edge
    set_fair(m, s.fair)


@njit
def pin(m: Market, side: int, tick: int, slack: int) -> None:
    """Keep the fair value just this side of `tick`, so that it stays the best price."""
    s = m.s
    edge = (tick << 16) + towards(side) * (s.gap + s.extra_gap + slack)
    s.floor, s.roof = min(edge, edge + towards(side) * 8_000), max(edge, edge + towards(side) * 8_000)
    set_fair(m, s.fair)


@njit
def steer_to(m: Market, goal: int, seconds: int) -> None:
    """Drift towards a fair value with that time constant, at most a tick a second."""
    pace = ((goal - m.s.fair) * (m.p.clock // 1_000)) // (seconds * 1_000_000)
    most = 65_536 * (m.p.clock // 1_000) // 1_000_000
    m.s.steer = min(max(pace, -most), most)


@njit
def free_spot(m: Market, side: int, first: int, n: int) -> Any:
    """Whether `n` prices from `first` outwards carry no injection and lie inside the window."""
    s = m.s
    for k in range(n):
        tick = first - towards(side) * k
        if tick < s.low + 4 or tick > s.high - 4:
            return False
        level = level_of(m, tick)
        if level.owned > 0 or level.boost != NEUTRAL:
            return False
    return True
