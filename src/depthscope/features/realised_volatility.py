"""Realised volatility over the last 60 s and 300 s, from the mid at every whole second.

``realised_volatility_60s``, ``realised_volatility_300s = 10⁴ · √(Σ rₖ²)`` with
``rₖ = ln(mid at second k / mid at second k − 1)`` over the last 60 or 300 whole seconds (UTC, receive
time) at or before the row: basis points over the window itself, not annualised (× √(window
÷ another span) scales it to that span, if returns are independent).

The mid at a second is that of the book after the last group before it. Where a side is empty then, the
book is not LIVE or the mid is not positive, that of the second before stands, and the return across the
hole falls into the first second after it. NaN until the window is full, counted from the first second
with a mid; a market that does not move has 0. Values depend on the events alone, not on the row grid.

Source: Andersen, Bollerslev, Diebold and Labys (2003), "Modeling and forecasting realized
volatility"; the last mid standing in is their previous-tick sampling. No correction is made for
the bounce between prices, which a mid has little of.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    NAN,
    SECOND,
    UNDEF,
    Column,
    column,
    event_rows,
    frame_of,
    sample_rows,
    trace_rows,
)  # fmt: skip
from depthscope.jit import Int, carray, njit
from depthscope.market.events import SNAPSHOT
from depthscope.market.instruments import Capability
from depthscope.market.layouts import LIVE, TRACE_EVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_EVERY
WINDOWS = (SECOND,)  # what a row must not straddle
GROUP_ROWS = True
REQUIRES = Capability.L1
SHORT, LONG = 60, 300
# 2.5 KB an instrument: that of second k is number k % LONG.
STATE = np.dtype(
    [
        ("squares", "f8", (LONG,)),
        ("mid", "i8"),  # bid + ask, 0 where they make no good mid
        ("point", "i8"),  # the same at the latest whole second that had one
        ("begun", "i8"),  # rows are being made
        ("second", "i8"),  # the latest whole second, 0 before the first group
        ("n", "i8"),  # returns so far, at most LONG
        ("summed", "i8"),  # second the values below are of
        ("short", "f8"),
        ("long", "f8"),
    ]
)
OUT = (Column("realised_volatility_60s", "bps"), Column("realised_volatility_300s", "bps"))


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Nothing is known of an instrument at first."""
    record["short"] = record["long"] = NAN


@njit
def take(s: Any, second: Int) -> None:
    """Take the mids of the whole seconds up to one."""
    new = second - s.second
    if s.second == 0 or new <= 0:
        return
    first = s.second + 1
    s.second = second
    if s.point == 0:
        s.point = s.mid
        if s.mid == 0:
            return
        new -= 1  # the first mid has no return
        first += 1
    for k in range(max(first, second - LONG + 1), second + 1):
        s.squares[natural(k % LONG)] = 0.0
    s.n = min(s.n + new, LONG)
    if s.mid != 0 and s.mid != s.point:
        if new <= LONG:
            s.squares[natural(first % LONG)] = log(s.mid / s.point) ** 2
        s.point = s.mid


@njit
def see(s: Any, ts: Int, bid: Int, ask: Int, state: Int) -> None:
    """Note the mid of a group at a time whose earlier seconds have been taken."""
    if s.second == 0:
        s.second = ts // SECOND
    good = bid != UNDEF and ask != UNDEF and state == LIVE and bid + ask > 0
    s.mid = bid + ask if good else np.int64(0)


@njit
def total(squares: Any, first: Int, last: Int) -> float:
    """Sum of squares [first, last); four sums, as one would wait for itself."""
    a = b = c = d = 0.0
    k = np.int64(first)
    while k + 4 <= last:
        a += squares[natural(k)]
        b += squares[natural(k + 1)]
        c += squares[natural(k + 2)]
        d += squares[natural(k + 3)]
        k += 4
    while k < last:
        a += squares[natural(k)]
        k += 1
    return (a + b) + (c + d)


@njit
def add_up(s: Any) -> None:
    """Sum the windows anew where there are new seconds: nothing drifts."""
    if s.summed == s.second:
        return
    s.summed = s.second
    s.short = s.long = NAN
    if s.n >= SHORT:
        end = s.second % LONG + 1
        part = total(s.squares, max(end - SHORT, 0), end)
        if end < SHORT:
            part += total(s.squares, end - SHORT + LONG, np.int64(LONG))
        s.short = 1e4 * sqrt(part)
    if s.n == LONG:
        s.long = 1e4 * sqrt(total(s.squares, np.int64(0), np.int64(LONG)))


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """See the mids of `n` TRACE rows (or of the rows themselves) and write the rows between them."""
    rows, trace, events = sample_rows(ctx), trace_rows(ctx), event_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    short, long = column(ctx, out, 0), column(ctx, out, 1)
    samples = frame_of(ctx).n_samples
    by_row, by_event = frame_of(ctx).by_row, frame_of(ctx).by_event
    j = np.int64(0)
    k = np.int64(0)
    while True:
        stop = np.int64(0) if by_row else rows[j].at if j < samples else np.int64(n)
        while k < stop:
            t = trace[natural(k)]
            if t.last:
                s = states[t.slot]
                if not s.begun and not events[natural(t.event)].flags & SNAPSHOT:
                    s.begun = 1  # as rows begin: an older snapshot's mid is no market
                if s.begun:
                    take(s, t.ts // SECOND)
                    see(s, t.ts, t.bid, t.ask, t.state)
            k += 1
        if j == samples:
            return n
        row = rows[j]
        s = states[row.slot]
        if by_row:
            # A grid row shows the book of before its boundary, a row by event that of after its group.
            ts = row.ts if by_event else row.ts - 1
            take(s, ts // SECOND)
            see(
                s,
                ts,
                row.bid_price[0] if row.n_bid else UNDEF,
                row.ask_price[0] if row.n_ask else UNDEF,
                row.state,
            )
        take(s, row.ts // SECOND)
        add_up(s)
        short[j] = s.short
        long[j] = s.long
        j += 1
