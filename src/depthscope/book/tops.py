"""The cached top of book and order-flow imbalance, settled once per group."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book.levels import top
from depthscope.book.memory import scratch_prices_of, scratch_sizes_of
from depthscope.jit import Int, hot, njit
from depthscope.market.events import NONE, UNDEF_PRICE
from depthscope.market.layouts import OFI_LEVELS

# Prices of the places of a side's cached top that hold no level: worse than any.
NO_BID = -(2**63)
NO_ASK = UNDEF_PRICE


@hot
def add_ofi(book: Any, k: Int, e: Int, first: Int) -> Int:
    """Add a level's contribution; returns the running level-1 sum."""
    book.ofi[k] += e
    return first + e if k == 0 else first


@hot
def settle(book: Any, side: Int, mode: Int, level: Int, delta: Int) -> None:
    """Bring a side whose only change is one cached level's size up to date."""
    if mode == 1:
        book.top_size[side, level] += delta
        if level < 5:
            book.sum5[side] += delta


@njit
def reread(
    m: Int, book: Any, restart: bool,
    bid_mode: Int, bid_level: Int, bid_delta: Int,
    ask_mode: Int, ask_level: Int, ask_delta: Int,
) -> Int:  # fmt: skip
    """Read again the sides that need it (all on `restart`) and compare; returns level-1 OFI.

    Cont, Kukanov and Stoikov (2014), per level; a level counts where both sides have it in
    both states.
    """
    price = scratch_prices_of(m)
    size = scratch_sizes_of(m)
    old_bids, old_asks = book.top_n[0], book.top_n[1]
    bids, asks = old_bids, old_asks
    if restart or bid_mode == 2:
        bids = top(m, book, 0, OFI_LEVELS, price[0], size[0])
    if restart or ask_mode == 2:
        asks = top(m, book, 1, OFI_LEVELS, price[1], size[1])
    common = min(old_bids, old_asks, bids, asks)
    first = np.int64(0)
    for side in range(2):
        mode = bid_mode if side == 0 else ask_mode
        sign = np.int64(1) if side == 0 else np.int64(-1)
        if restart or mode == 2:
            n = bids if side == 0 else asks
            total = np.int64(0)
            for k in range(n):
                if k < common and not restart:
                    new_price, old_price = sign * price[side, k], sign * book.top_price[side, k]
                    e = np.int64(0)
                    if new_price >= old_price:
                        e += size[side, k]
                    if new_price <= old_price:
                        e -= book.top_size[side, k]
                    first = add_ofi(book, k, sign * e, first)
                book.top_price[side, k] = price[side, k]
                book.top_size[side, k] = size[side, k]
                if k < 5:
                    total += size[side, k]
            for k in range(n, OFI_LEVELS):
                book.top_price[side, k] = NO_BID if side == 0 else NO_ASK
            book.top_n[side] = n
            book.sum5[side] = total
        elif mode == 1:
            level = bid_level if side == 0 else ask_level
            delta = bid_delta if side == 0 else ask_delta
            settle(book, side, mode, level, delta)
            if level < common:
                first = add_ofi(book, level, sign * delta, first)
    return first


@hot
def show_top(row: Any, book: Any) -> None:
    """Write the published top of book into a TRACE row."""
    bids, asks = book.top_n[0] != 0, book.top_n[1] != 0
    row.bid = book.top_price[0, 0] if bids else UNDEF_PRICE
    row.ask = book.top_price[1, 0] if asks else UNDEF_PRICE
    row.bid_size = book.top_size[0, 0] if bids else 0
    row.ask_size = book.top_size[1, 0] if asks else 0
    row.bid_size5 = book.sum5[0]
    row.ask_size5 = book.sum5[1]


@njit
def blank(row: Any, ts: Int) -> None:
    """Write a TRACE row that no feature reacts to, so that rows and events stay aligned."""
    row.ts = ts
    row.slot = 0
    row.action = NONE
    row.ofi = 0
    row.last = 0
