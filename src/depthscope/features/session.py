"""Session totals: cumulative delta, VWAP, high, low, last.

``cvd``: signed volume of the session; ``vwap = Σ p·q / Σ q``; ``hod``, ``lod``: highest and
lowest eligible trade; ``last``: price of the last eligible trade, of whichever session. NaN
before the first eligible trade of the session (``cvd`` is 0).

The session is that of the instrument's calendar (``docs/SESSIONS.md``), in receive time: totals begin anew
at its anchor. For a future that is the first open of the trade date, for a market that never
closes midnight UTC. US equities have three: 04:00, the open and the close, so that the regular
session has totals of its own, and what trades after the close counts from the close on. Where the calendar is
unknown, or the year is outside those it is known for, sessions are UTC days. Time closed
between sessions begins nothing: totals stand until the next session, and what trades then belongs to the one
before. The first session counts from the first event of the source.

Source: the usual totals of a trading day.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.clock import STRETCH, new_session, on_time, row_time
from depthscope.features.kit import (
    NAN,
    SECOND,
    UNDEF,
    Column,
    as_price,
    as_size,
    event_rows,
    frame_of,
    infos,
    put,
    sample_rows,
    walk,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID, COND_NOT_HIGH_LOW, COND_NOT_VOLUME, PRICE_SCALE, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

LEVEL = "event"
TRACED = TRACE_TRADES
WINDOWS = (60 * SECOND,)  # sessions begin at whole minutes, which a row must not straddle
GROUP_ROWS = True
REQUIRES = Capability.TRADES
STATE = np.dtype(
    [
        ("now", STRETCH),
        ("anchor", "i8"),
        ("delta", "i8"),
        ("volume", "i8"),
        ("notional", "f8"),
        ("high", "i8"),
        ("low", "i8"),
        ("begun", "i8"),
    ]
)
OUT = (
    Column("cvd", "size"),
    Column("vwap", "price"),
    Column("hod", "price"),
    Column("lod", "price"),
    Column("last", "price"),
)


@njit
def enter(ctx: Any, slot: Int, s: Any, ts: Int, j: int) -> Any:
    """Be in the session of a moment; False to wait for the timetable."""
    if not on_time(ctx, slot, s.now, ts, j):
        return False
    if new_session(s.now, s.anchor):
        s.anchor = s.now.anchor
        s.delta = s.volume = s.begun = 0
        s.notional = 0.0
    return True


@njit
def extend(s: Any, high: Int, low: Int) -> None:
    """Take a highest and a lowest trade."""
    if not s.begun or high > s.high:
        s.high = high
    if not s.begun or low < s.low:
        s.low = low
    s.begun = 1


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a trade, as far as its conditions allow."""
    if t.action != TRADE:
        return True
    s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
    if not enter(ctx, t.slot, s, t.ts, j):
        return False
    if not event.cond & COND_NOT_VOLUME:
        if event.side == BID:
            s.delta += event.size
        elif event.side == ASK:
            s.delta -= event.size
        s.volume += event.size
        s.notional += (event.price / PRICE_SCALE) * event.size
    if not event.cond & COND_NOT_HIGH_LOW:
        extend(s, event.price, event.price)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    if not enter(ctx, row.slot, s, row_time(ctx, row), j):
        return False
    if frame_of(ctx).by_row:
        s.delta += row.buy_volume - row.sell_volume
        s.volume += row.buy_volume + row.sell_volume + row.unknown_volume
        s.notional += row.notional
        if row.high != UNDEF:
            extend(s, row.high, row.low)
    put(ctx, out, 0, j, as_size(s.delta, infos(ctx)[row.slot]))
    put(ctx, out, 1, j, s.notional / s.volume if s.volume > 0 else NAN)
    put(ctx, out, 2, j, as_price(s.high) if s.begun else NAN)
    put(ctx, out, 3, j, as_price(s.low) if s.begun else NAN)
    put(ctx, out, 4, j, as_price(row.last_price))
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add up `n` TRACE rows (or the rows themselves) and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
