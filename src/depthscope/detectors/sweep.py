"""Sweeps: one aggressor event that trades through two or more price levels.

Trades of one venue time and aggressor side are one event. It is opened by its first trade at a
second price, updated at each further price, and closed when something of another venue time
arrives. ``side`` is the aggressor's (B buys, takes asks), ``price`` the last one traded, ``size``
what it has traded so far, ``strength`` the number of prices.

Feeds that report trades one by one (no order ids) show a sweep as trades of one time; two
aggressors of one side and venue time, a millisecond at some venues, cannot be told apart there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at_event, say_at_row
from depthscope.features.kit import (
    as_price,
    as_size,
    counted,
    event_rows,
    frame_of,
    infos,
    sample_rows,
    walk,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, OPEN, TRACE_TRADES, UPDATE

LEVEL = "event"
TRACED = TRACE_TRADES
REQUIRES = Capability.AGGRESSOR
STATE = np.dtype(
    [
        ("ts_event", "i8"),
        ("side", "i8"),
        ("first", "i8"),  # prices
        ("last", "i8"),
        ("volume", "i8"),
        ("trades", "i8"),
        ("levels", "i8"),
        ("opened", "i8"),
        ("number", "i8"),  # of this sweep, 0 while it has one price
        ("count", "i8"),
    ]
)
EVIDENCE = ("levels", "trades", "volume", "first_price", "last_price", "ticks")


@njit
def tell(ctx: Any, said: Any, s: Any) -> None:
    """Fill a message with how the sweep stands."""
    info = infos(ctx)[said.slot]
    said.opened = s.opened
    said.number = s.number
    said.price = s.last
    said.size = s.volume
    said.side = s.side
    said.strength = s.levels
    said.evidence[0] = s.levels
    said.evidence[1] = s.trades
    said.evidence[2] = as_size(s.volume, info)
    said.evidence[3] = as_price(s.first)
    said.evidence[4] = as_price(s.last)
    said.evidence[5] = abs(s.last - s.first) / info.tick_fixed


@njit
def begin(s: Any, event: Any) -> None:
    """Start a new aggressor event."""
    s.ts_event, s.side = event.ts_event, event.side
    s.first = s.last = event.price
    s.volume = s.trades = s.number = 0
    s.levels = 1


@njit
def add(ctx: Any, s: Any, t: Any, k: int, event: Any) -> None:
    """Take a trade of the present event."""
    farther = event.price != s.last
    s.volume += event.size
    s.trades += 1
    s.last = event.price
    if not farther:
        return
    s.levels += 1
    phase: Int = UPDATE
    if s.number == 0:
        s.count += 1
        s.number, s.opened = s.count, t.ts
        phase = OPEN
    tell(ctx, say_at_event(ctx, t, k, phase), s)


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Take a trade."""
    if not counted(ctx, t):
        return True
    event = event_rows(ctx)[natural(t.event)]
    if event.side not in (BID, ASK):
        return True
    if crowded(ctx, 2, j):
        return False
    s = states[t.slot]
    if event.ts_event != s.ts_event or event.side != s.side:
        if s.number:
            tell(ctx, say_at_event(ctx, t, k, CLOSE), s)
        begin(s, event)
    add(ctx, s, t, k, event)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Close what a row shows to be over."""
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    if s.number and row.ts_event != s.ts_event:
        if crowded(ctx, 1, j):
            return False
        tell(ctx, say_at_row(ctx, j, CLOSE), s)
        s.number = 0
        s.ts_event = 0
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow the trades among `n` TRACE rows."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
