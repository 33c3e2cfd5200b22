"""Walls: levels that hold several times the usual size for seconds.

The usual size of a side is the median of the last 30 seconds' readings, one a second, of the
median of its best ten levels, the largest left out (`usual.py`): a wall cannot raise its own measure.
A level among the best twenty and within 25 bps of mid is a wall when it holds at least `wall_minor`
(3) times that for `wall_hold` (5) seconds: MINOR, or MAJOR from `wall_major` (5) times on. It stays
one while it holds seven tenths of what makes a wall. Nothing is said before five readings.

``side`` is the wall's, ``size`` what it holds (on close, what is left), ``strength`` the most it held ÷
usual size. Closed with

* ``held``: the market moved away, or the book was lost with the wall standing;
* ``traded``: at least half of what it lost was traded at its price;
* ``pulled``: it was taken away by its owners.

Rows are what is looked at: a wall that comes and goes between two of them is not seen.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at_row
from depthscope.detectors.usual import USUAL, take_reading, usual_size
from depthscope.features.kit import SECOND, as_size, counted, event_rows, frame_of, infos, sample_rows, walk
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID, INFERRED_SIDE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, TRACE_TRADES, UPDATE

LEVEL = "event"
TRACED = TRACE_TRADES
REQUIRES = Capability.L2
MOST: Final = 8  # walls a side followed at once
KEEP: Final = 0.7

STATE = np.dtype(
    [
        ("minor", "f8"),
        ("major", "f8"),
        ("hold", "i8"),  # ns
        ("reach", "f8"),  # of mid
        ("count", "i8"),
        ("usual", USUAL),
        # What is followed, by side; a price of 0 with no `since` is a free place.
        ("price", "i8", (2, MOST)),
        ("since", "i8", (2, MOST)),
        ("number", "i8", (2, MOST)),  # 0: not a wall yet
        ("opened", "i8", (2, MOST)),
        ("tier", "i8", (2, MOST)),
        ("peak", "i8", (2, MOST)),
        ("traded", "i8", (2, MOST)),
        ("seen", "i8", (2, MOST)),  # row time
    ]
)
SETTINGS = {"wall_minor": 3.0, "wall_major": 5.0, "wall_hold": 5.0, "wall_bps": 25.0}
PRESETS = {
    "low": {"wall_minor": 4.0, "wall_major": 7.0, "wall_hold": 10.0},
    "high": {"wall_minor": 2.5, "wall_major": 4.0, "wall_hold": 3.0},
}
EVIDENCE = ("multiple", "usual", "distance_bps", "distance_ticks", "held_seconds", "traded", "peak")
LABELS = ("", "MINOR", "MAJOR")
OUTCOMES = ("", "held", "traded", "pulled")
MINOR, MAJOR = 1, 2
HELD, TRADED, PULLED = 1, 2, 3


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["minor"], record["major"] = settings["wall_minor"], settings["wall_major"]
    record["hold"] = int(settings["wall_hold"] * SECOND)
    record["reach"] = settings["wall_bps"] * 1e-4


@njit
def say(ctx: Any, s: Any, j: int, side: Int, w: int, phase: Int, size: Int, usual: float) -> Any:
    """Tell how a wall stands at row `j`."""
    row = sample_rows(ctx)[j]
    info = infos(ctx)[row.slot]
    said = say_at_row(ctx, j, phase)
    said.opened = s.opened[side, w]
    said.number = s.number[side, w]
    said.price = s.price[side, w]
    said.size = size
    said.side = BID if side == 0 else ASK
    said.label = s.tier[side, w]
    said.strength = s.peak[side, w] / usual if usual > 0.0 else 0.0
    said.evidence[0] = size / usual if usual > 0.0 else 0.0
    said.evidence[1] = usual * info.size_mul / info.size_div
    if row.n_bid and row.n_ask:
        middle = 0.5 * (row.bid_price[0] + row.ask_price[0])
        best = row.bid_price[0] if side == 0 else row.ask_price[0]
        said.evidence[2] = abs(s.price[side, w] - middle) / abs(middle) * 1e4 if middle != 0.0 else 0.0
        said.evidence[3] = abs(s.price[side, w] - best) / info.tick_fixed
    said.evidence[4] = (row.ts - s.since[side, w]) / 1e9
    said.evidence[5] = as_size(s.traded[side, w], info)
    said.evidence[6] = as_size(s.peak[side, w], info)
    return said


@njit
def place_of(s: Any, side: Int, price: Int) -> int:
    """Where a price is followed, or -1."""
    for w in range(MOST):
        if s.since[side, w] and s.price[side, w] == price:
            return w
    return -1


@njit
def follow(s: Any, side: Int, price: Int, ts: Int) -> int:
    """Begin to follow a price where there is room; -1 where there is none."""
    for w in range(MOST):
        if not s.since[side, w]:
            s.price[side, w], s.since[side, w] = price, ts
            s.number[side, w] = s.tier[side, w] = s.peak[side, w] = s.traded[side, w] = 0
            return w
    return -1


@njit
def look_at_side(ctx: Any, s: Any, j: int, side: Int, usual: float) -> None:
    """Compare a side's levels of row `j` with what is followed."""
    row = sample_rows(ctx)[j]
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    n = row.n_bid if side == 0 else row.n_ask
    middle = 0.5 * (row.bid_price[0] + row.ask_price[0])
    least = KEEP * s.minor * usual
    for k in range(n):
        if sizes[k] < least or abs(prices[k] - middle) > s.reach * abs(middle):
            continue
        w = place_of(s, side, prices[k])
        if w < 0 and sizes[k] >= s.minor * usual:
            w = follow(s, side, prices[k], row.ts)
        if w < 0:
            continue
        s.seen[side, w] = row.ts
        s.peak[side, w] = max(s.peak[side, w], sizes[k])
        tier = MAJOR if sizes[k] >= s.major * usual else MINOR
        if s.number[side, w]:
            if tier > s.tier[side, w]:
                s.tier[side, w] = tier
                say(ctx, s, j, side, w, UPDATE, sizes[k], usual)
        elif sizes[k] >= s.minor * usual and row.ts - s.since[side, w] >= s.hold:
            s.count += 1
            s.number[side, w], s.opened[side, w], s.tier[side, w] = s.count, row.ts, tier
            say(ctx, s, j, side, w, OPEN, sizes[k], usual)


@njit
def drop(ctx: Any, s: Any, j: int, side: Int, usual: float) -> None:
    """Let go of what row `j` does not show as a wall any more."""
    row = sample_rows(ctx)[j]
    for w in range(MOST):
        if s.since[side, w] and s.seen[side, w] != row.ts:
            if s.number[side, w]:
                leave(ctx, s, j, side, w, usual)
            s.since[side, w] = 0


@njit
def leave(ctx: Any, s: Any, j: int, side: Int, w: int, usual: float) -> None:
    """Close a wall: find out what became of it."""
    row = sample_rows(ctx)[j]
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    n = row.n_bid if side == 0 else row.n_ask
    price = s.price[side, w]
    middle = 0.5 * (row.bid_price[0] + row.ask_price[0])
    left = np.int64(0)
    shown = False
    for k in range(n):
        if prices[k] == price:
            left, shown = sizes[k], True
    worst = prices[n - 1]
    beyond = n == len(prices) and (price < worst if side == 0 else price > worst)
    away = beyond or (shown and abs(price - middle) > s.reach * abs(middle))
    if row.state != LIVE or usual <= 0.0 or away or not (row.n_bid and row.n_ask):
        outcome = HELD
    elif 2 * s.traded[side, w] >= s.peak[side, w] - left:
        outcome = TRADED
    else:
        outcome = PULLED
    said = say(ctx, s, j, side, w, CLOSE, left, usual)
    said.outcome = outcome


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Count a trade at a wall."""
    if counted(ctx, t):
        s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
        for side in range(2):
            # A buyer takes asks; an inferred side is no reason to leave a trade at the wall's price out.
            if event.side != (BID if side == 0 else ASK) or event.flags & INFERRED_SIDE:
                w = place_of(s, np.int64(side), event.price)
                if w >= 0:
                    s.traded[side, w] += event.size
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Look at both sides of a row."""
    if crowded(ctx, 4 * MOST, j):
        return False
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    quoted = row.n_bid and row.n_ask and row.state == LIVE
    if quoted:
        take_reading(s.usual, row)
    for side in range(2):
        usual = usual_size(s.usual, np.int64(side), row.ts)
        if quoted and usual > 0.0:
            look_at_side(ctx, s, j, np.int64(side), usual)
        drop(ctx, s, j, np.int64(side), usual)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Count trades at walls among `n` TRACE rows and look at the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
