"""What is executed at prices while the price stays: what absorption and hidden orders are found by.

A *stay* of a band of prices (one price, or two a tick apart) and a resting side begins with the first
aggressive trade in the band while the best price of that side is within a tick of it. It
ends when that price is farther away, when nothing was traded there for 60 seconds, or when the
book is lost. Its volume is what aggressors took in the band since it began, at most 60 seconds back:
(t − 60 s, t]. Trades without a known aggressor, off the book or late are no part of it.

The usual size of volumes is their standard deviation over the stays of the last 15 minutes: one
reading a stay, its largest volume, and in a longer one another by the first trade 60 seconds or more
after the last. A stay is compared with stays, so a market that moves fast has its own measure, and
the readings of the running ten seconds are not part of it: nothing raises its own measure.
A standard deviation, as volumes vary about nothing typical: their spread *is* their scale.

What a flow usually moves is the slope of a line through the origin, Σxy ÷ Σx² over the ten-second
windows of the last 15 minutes with any flow x, y being the change of mid in ticks (Kyle's λ). x is the net
aggressor volume, or with the word ``ofi`` level-1 order-flow imbalance. The latter is the weaker
choice here: while both best prices stay it is, term by term, the change of their sizes, so what
was executed and refilled cancels out of it.

Both are summed anew from 90 records of ten seconds: nothing drifts, and every cut gives the same.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    RING,
    SECOND,
    UNDEF,
    counted,
    event_rows,
    expire,
    ring_push,
    ring_row,
)
from depthscope.jit import Int, njit
from depthscope.market.events import ASK, BID, CLEAR, COND_LATE, COND_OFF_BOOK, LOST, TRADE
from depthscope.market.layouts import LIVE, TRACE_FLOW, TRACE_TRADES, trace_mask

if TYPE_CHECKING:
    from depthscope.market.instruments import Instrument

SEEN: Final = TRACE_TRADES | TRACE_FLOW | trace_mask("RX")
FLOWS: Final = ("trades", "ofi")
WINDOW: Final = 60 * SECOND
BUCKET: Final = 10 * SECOND
BUCKETS: Final = 90
MOST: Final = 8  # stays a side; on the grid there are four at most
FEWEST: Final = 12  # windows with flow a slope needs
LEAST: Final = 20  # readings a standard deviation needs

# 5.5 KB an instrument, without the trades of the last minute. The fields a detector's STATE begins with,
# as the engine looks for rings there.
STAYS: Final[list[Any]] = [
    ("trades", RING),
    ("tick", "i8"),
    ("width", "i8"),  # of a band: 0 or a tick
    ("by_ofi", "i8"),
    ("quoted", "i8"),
    ("bid", "i8"),
    ("ask", "i8"),
    ("bid_size", "i8"),
    ("ask_size", "i8"),
    ("flow", "i8"),  # running total
    # Stays by side (0 bid, 1 ask); `since` 0 is a free place, and those from `places` on are free.
    ("places", "i8", (2,)),
    ("low", "i8", (2, MOST)),
    ("since", "i8", (2, MOST)),
    ("first", "i8", (2, MOST)),  # number of the first trade that is part of it
    ("volume", "i8", (2, MOST)),
    ("peak", "i8", (2, MOST)),
    ("read", "i8", (2, MOST)),  # time of the last reading
    # The running ten seconds, and those done.
    ("bucket", "i8"),
    ("whole", "i8"),  # quoted since they began
    ("mid_at", "i8"),
    ("flow_at", "i8"),
    ("n", "f8"),
    ("v", "f8"),
    ("vv", "f8"),
    ("done", "i8"),
    ("which", "i8", (BUCKETS,)),
    ("x", "f8", (BUCKETS,)),
    ("y", "f8", (BUCKETS,)),
    ("readings", "f8", (BUCKETS,)),
    ("sum", "f8", (BUCKETS,)),
    ("squares", "f8", (BUCKETS,)),
    ("deviation", "f8"),  # lots, 0 while unknown
    ("slope", "f8"),  # ticks a lot, 0 while unknown
]

# Columns of the trades: FLOW and MID (bid + ask) are what they were before the trade.
PRICE, SIZE, SIDE, FLOW, MID = 1, 2, 3, 4, 5


def begin(record: Any, instrument: Instrument, by_ofi: float, ticks: int) -> None:
    """Fill an instrument's first state; bands are `ticks` wide."""
    record["tick"], record["width"] = instrument.tick, ticks * instrument.tick
    record["by_ofi"] = int(by_ofi)


@njit
def read(s: Any, side: Int, w: int) -> None:
    """Take a reading of a stay."""
    peak = s.peak[side, w]
    if peak > 0:
        s.n += 1.0
        s.v += peak
        s.vv += float(peak) * peak
    s.peak[side, w] = 0


@njit
def leave(s: Any, side: Int, w: int) -> None:
    """End a stay."""
    read(s, side, w)
    s.since[side, w] = 0
    while s.places[side] and not s.since[side, natural(s.places[side] - 1)]:
        s.places[side] -= 1


@njit
def close_bucket(s: Any, ts: Int) -> None:
    """Keep the ten seconds that are over, and measure anew."""
    if ts < (s.bucket + 1) * BUCKET:
        return
    now = ts // BUCKET
    x = y = 0.0
    if s.whole and s.quoted:
        x = float(s.flow - s.flow_at)
        y = (s.bid + s.ask - s.mid_at) / (2.0 * s.tick)
    if x != 0.0 or s.n > 0.0:
        k = natural(s.done % BUCKETS)
        s.done += 1
        s.which[k], s.x[k], s.y[k] = s.bucket, x, y
        s.readings[k], s.sum[k], s.squares[k] = s.n, s.v, s.vv
    s.n = s.v = s.vv = 0.0
    s.bucket, s.whole, s.mid_at, s.flow_at = now, s.quoted, s.bid + s.ask, s.flow
    measure(s)


@njit
def measure(s: Any) -> None:
    """Sum what is kept: how volumes vary and what a flow moves."""
    windows = xx = xy = n = v = vv = 0.0
    for k in range(min(s.done, BUCKETS)):
        if s.which[k] >= s.bucket - BUCKETS:
            windows += 1.0 if s.x[k] != 0.0 else 0.0
            xx += s.x[k] * s.x[k]
            xy += s.x[k] * s.y[k]
            n += s.readings[k]
            v += s.sum[k]
            vv += s.squares[k]
    s.deviation = sqrt(max(n * vv - v * v, 0.0)) / n if n >= LEAST else 0.0
    s.slope = xy / xx if windows >= FEWEST else 0.0


@njit
def lose(s: Any) -> None:
    """The book is lost: every stay ends, and these ten seconds say nothing of what a flow moves."""
    for side in range(2):
        for w in range(s.places[side]):
            if s.since[side, w]:
                leave(s, np.int64(side), w)
    s.quoted = s.whole = 0


@njit
def forget(s: Any, memory: Any, ts: Int) -> None:
    """Take what has left the window from its stays; those nothing is left of end."""
    kept = expire(memory, s.trades, s.trades.tail, ts - WINDOW + 1)
    while s.trades.tail < kept:
        row = ring_row(s.trades, s.trades.tail)
        side, price = memory[row, SIDE], memory[row, PRICE]
        for w in range(s.places[side]):
            if holds(s, side, w, price) and s.first[side, w] <= s.trades.tail:
                s.volume[side, w] -= memory[row, SIZE]
                if s.volume[side, w] == 0:
                    leave(s, side, w)
        s.trades.tail += 1


@njit
def holds(s: Any, side: Int, w: int, price: Int) -> Any:
    """Whether there is a stay in place `w` whose band holds a price."""
    return s.since[side, w] and s.low[side, w] <= price <= s.low[side, w] + s.width


@njit
def near(s: Any, side: Int, low: Int) -> Any:
    """Whether the best price of a side is within a tick of a band."""
    best = s.bid if side == 0 else s.ask
    return low - s.tick <= best <= low + s.width + s.tick


@njit
def wanted(t: Any) -> Any:
    """Whether a TRACE row is one to look at: a byte that is no action may look like one."""
    return t.action in (TRADE, CLEAR, LOST) or (t.last and t.ofi != 0)


@njit
def settle(s: Any, memory: Any, t: Any) -> Any:
    """Bring stays to the time and prices of a wanted row; False when the book is lost."""
    close_bucket(s, t.ts)
    forget(s, memory, t.ts)
    both = UNDEF not in (t.bid, t.ask)
    if t.action in (CLEAR, LOST) or t.state != LIVE or not both or t.bid > t.ask:
        lose(s)
        return False
    same_bid, same_ask = s.quoted and t.bid == s.bid, s.quoted and t.ask == s.ask
    s.quoted, s.bid, s.ask, s.bid_size, s.ask_size = 1, t.bid, t.ask, t.bid_size, t.ask_size
    for side in range(2):
        if same_bid if side == 0 else same_ask:  # what was near still is
            continue
        for w in range(s.places[side]):
            if s.since[side, w] and not near(s, np.int64(side), s.low[side, w]):
                leave(s, np.int64(side), w)
    if s.by_ofi and t.last:
        s.flow += t.ofi
    return True


@njit
def hit_side(ctx: Any, t: Any) -> Int:
    """Resting side a row's trade took from (0 bid, 1 ask), or -1 where it is of no stay."""
    if not counted(ctx, t):
        return np.int64(-1)
    event = event_rows(ctx)[natural(t.event)]
    if event.size <= 0 or event.cond & (COND_OFF_BOOK | COND_LATE):
        return np.int64(-1)
    return np.int64(0 if event.side == ASK else 1 if event.side == BID else -1)


@njit
def stay_at(s: Any, side: Int, low: Int) -> int:
    """Where the stay of a band is, or -1."""
    for w in range(s.places[side]):
        if s.since[side, w] and s.low[side, w] == low:
            return w
    return -1


@njit
def start(s: Any, side: Int, low: Int, ts: Int) -> None:
    """Begin a stay with the next trade, where there is none yet and room for it."""
    if stay_at(s, side, low) >= 0 or not near(s, side, low):
        return
    for w in range(MOST):
        if not s.since[side, w]:
            s.low[side, w] = low
            s.since[side, w] = s.read[side, w] = ts
            s.first[side, w] = s.trades.head
            s.volume[side, w] = s.peak[side, w] = 0
            s.places[side] = max(s.places[side], np.int64(w + 1))
            return


@njit
def add(s: Any, memory: Any, ts: Int, side: Int, price: Int, size: Int) -> None:
    """Add a trade that took `size` at `price` from a side (there is room in the ring)."""
    start(s, side, price - s.width, ts)
    start(s, side, price, ts)
    row = ring_push(memory, s.trades, ts)
    memory[row, PRICE], memory[row, SIZE], memory[row, SIDE] = price, size, side
    memory[row, FLOW], memory[row, MID] = s.flow, s.bid + s.ask
    for w in range(s.places[side]):
        if holds(s, side, w, price):
            if ts - s.read[side, w] >= WINDOW:
                read(s, side, w)
                s.read[side, w] = ts
            s.volume[side, w] += size
            s.peak[side, w] = max(s.peak[side, w], s.volume[side, w])
    if not s.by_ofi:
        s.flow += size if side == 1 else -size


@njit
def first_of(s: Any, memory: Any, side: Int, w: int) -> Int:
    """Memory row of the oldest trade a stay's volume is made of."""
    k = max(s.first[side, w], s.trades.tail)
    while True:
        row = ring_row(s.trades, k)
        if memory[row, SIDE] == side and holds(s, side, w, memory[row, PRICE]):
            return row
        k += 1


@njit
def moved(s: Any, side: Int, middle: Int) -> Any:
    """Ticks mid went towards the aggressors since it was `middle` ÷ 2."""
    ticks = (s.bid + s.ask - middle) / (2.0 * s.tick)
    return -ticks if side == 0 else ticks


@njit
def expected(s: Any, side: Int, flow: Int) -> Any:
    """Ticks mid usually goes towards the aggressors for the flow since the total was `flow`."""
    ticks = s.slope * (s.flow - flow)
    return -ticks if side == 0 else ticks
