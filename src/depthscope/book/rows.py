"""SAMPLE rows: flow since the previous row, the grid, and the book at a boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from depthscope.book import state as s
from depthscope.book.levels import fill_side, sum_depth
from depthscope.book.memory import books_of, bounds_of, context_of, kept_of, samples_of
from depthscope.book.primitives import count_better
from depthscope.book.tops import NEAR, show_flow
from depthscope.jit import Int, kernel, njit
from depthscope.market.events import (
    ASK,
    BID,
    COND_NOT_HIGH_LOW,
    COND_NOT_LAST,
    COND_NOT_VOLUME,
    INFERRED_SIDE,
    PRICE_SCALE,
    UNDEF_PRICE,
)
from depthscope.market.layouts import DEPTH_BPS, NEAR_LEVELS, OFI_LEVELS, SAMPLE_LEVELS

N_BPS = len(DEPTH_BPS)


@njit
def emit(m: Int, slot: Int, ts: Int, at: Int) -> None:
    """Append one SAMPLE row and start the next row's flow."""
    c = context_of(m)
    book = books_of(m)[slot]
    kept = kept_of(m)[slot]
    bounds = bounds_of(m)
    if book.touched or book.twin_flush != c[s.C_FLUSHES]:
        book.twin = c[s.C_SAMPLE_N]
        book.twin_flush = c[s.C_FLUSHES]
    if book.touched:
        book.touched = 0
        kept.n_bid = fill_side(
            m, book, np.int64(0), SAMPLE_LEVELS, kept.bid_price, kept.bid_size, kept.bid_orders
        )
        kept.n_ask = fill_side(
            m, book, np.int64(1), SAMPLE_LEVELS, kept.ask_price, kept.ask_size, kept.ask_orders
        )
        if book.top_n[0] and book.top_n[1]:
            middle = 0.5 * (book.top_price[0, 0] + book.top_price[1, 0])
            for k in range(N_BPS):
                reach = DEPTH_BPS[k] * (1e-4 if middle >= 0.0 else -1e-4)  # of a distance, not of a sign
                bounds[0, k] = middle * (1.0 - reach)
                bounds[1, k] = middle * (1.0 + reach)
            sum_depth(m, book, np.int64(0), bounds[0], kept.bid_depth)
            sum_depth(m, book, np.int64(1), bounds[1], kept.ask_depth)
        else:
            for k in range(N_BPS):
                kept.bid_depth[k] = kept.ask_depth[k] = 0
    kept.ts = ts
    kept.ts_event = book.ts_event
    kept.ts_recv = book.ts
    kept.sequence = book.sequence
    kept.at = at
    kept.twin = book.twin
    kept.slot = slot
    kept.state = book.state
    kept.incomplete = book.incomplete
    kept.action = book.action
    kept.changed = book.changed
    for k in range(OFI_LEVELS):
        kept.ofi[k] = book.ofi[k]
        book.ofi[k] = 0
    kept.buy_volume = book.buy_volume
    kept.sell_volume = book.sell_volume
    kept.unknown_volume = book.unknown_volume
    kept.inferred_volume = book.inferred_volume
    kept.buy_trades = book.buy_trades
    kept.sell_trades = book.sell_trades
    kept.unknown_trades = book.unknown_trades
    kept.groups = book.row_groups
    book.groups += book.row_groups
    kept.notional = book.notional
    kept.high = book.high
    kept.low = book.low
    kept.last_price = book.last_price
    kept.last_size = book.last_size
    show_flow(kept, book)
    book.quoted = book.quoted_size = 0
    for side in range(2):
        for k in range(NEAR):
            book.added[side, k] = book.removed[side, k] = book.traded[side, k] = 0
    book.buy_volume = book.sell_volume = book.unknown_volume = book.inferred_volume = 0
    book.buy_trades = book.sell_trades = book.unknown_trades = 0
    book.row_groups = 0
    book.notional = 0.0
    book.high = book.low = UNDEF_PRICE
    book.changed = 0
    samples_of(m)[c[s.C_SAMPLE_N]] = kept
    c[s.C_SAMPLE_N] += 1


@njit
def due_rows(m: Int, ts: Int, at: Int) -> Int:
    """Emit the grid rows of every boundary <= `ts`; returns DONE, FLUSH or BOUNDARY."""
    c = context_of(m)
    books = books_of(m)
    n = c[s.C_SLOTS]
    step = c[s.C_STEP]
    while c[s.C_NEXT] <= ts:
        if c[s.C_SAMPLE_CAP] - c[s.C_SAMPLE_N] < n:
            return s.FLUSH
        if ts - c[s.C_NEXT] > s.LONGEST_GAP and not c[s.C_SPARSE]:
            return s.LEAP
        before = c[s.C_SAMPLE_N]
        for k in range(n):
            if books[k].started and (books[k].changed or not c[s.C_SPARSE]):
                emit(m, k, c[s.C_NEXT], at)
        if c[s.C_SPARSE]:  # nothing is left to emit before this time
            c[s.C_NEXT] = (ts // step + 1) * step
        else:
            c[s.C_NEXT] += step
        if c[s.C_STOP] and c[s.C_SAMPLE_N] > before:
            return s.BOUNDARY
    return s.DONE


@njit
def trade(book: Any, event: Any, live: Any) -> None:
    """Count a trade towards the next row, as its conditions allow; `live`: against the levels too."""
    cond = event.cond
    book.trades += 1
    if not cond & COND_NOT_VOLUME:
        if event.side == BID:
            book.buy_volume += event.size
            book.buy_trades += 1
        elif event.side == ASK:
            book.sell_volume += event.size
            book.sell_trades += 1
        else:
            book.unknown_volume += event.size
            book.unknown_trades += 1
        if event.flags & INFERRED_SIDE and (event.side == BID or event.side == ASK):
            book.inferred_volume += event.size
        book.notional += (event.price / PRICE_SCALE) * event.size
        if live and (event.side == BID or event.side == ASK):
            side = np.int64(event.side == BID)  # what a buyer takes rests on the ask side
            rank = count_better(book.top_price, side, event.price)
            for k in range(NEAR):
                book.traded[side, k] += event.size if rank < NEAR_LEVELS[k] else 0
    if not cond & COND_NOT_HIGH_LOW:
        if book.high == UNDEF_PRICE or event.price > book.high:
            book.high = event.price
        if book.low == UNDEF_PRICE or event.price < book.low:
            book.low = event.price
    if not cond & COND_NOT_LAST:
        book.last_price = event.price
        book.last_size = event.size


@kernel(
    types.int64(types.int64, types.int64, types.int64, types.int64[::1], types.int64[::1], types.int32[::1])
)
def read_side(m: Int, slot: Int, side: Int, price: Any, size: Any, orders: Any) -> Int:
    """Write as many of a side's best levels as fit; returns how many there were."""
    return fill_side(m, books_of(m)[slot], side, price.shape[0], price, size, orders)
