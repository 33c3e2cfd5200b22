"""The cached top of book and order-flow imbalance, settled once per group."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.levels import top
from depthscope.book.memory import context_of, scratch_prices_of, scratch_sizes_of
from depthscope.book.primitives import natural
from depthscope.jit import Int, hot, njit
from depthscope.market.events import UNDEF_PRICE
from depthscope.market.layouts import NEAR_LEVELS, OFI_LEVELS

# Prices of the places of a side's cached top that hold no level: worse than any.
NO_BID = -(2**63)
NO_ASK = UNDEF_PRICE
NEAR = len(NEAR_LEVELS)


@hot
def shift_size(book: Any, side: Int, rank: Int, delta: Int, common: Int) -> Int:
    """Bring one cached level's size up to date; returns level-1 OFI."""
    side, rank = natural(side), natural(rank)
    book.top_size[side, rank] += delta
    book.sum5[side] += delta if rank < 5 else 0
    e = delta if side == 0 else -delta
    book.ofi[rank] += e if rank < common else 0
    return e if rank == 0 and common > 0 else np.int64(0)


@hot
def settle(c: Any, book: Any) -> Int:
    """Bring a book up to date where only sizes of cached levels changed; returns level-1 OFI."""
    common = min(book.top_n[0], book.top_n[1])
    first = np.int64(0)
    for k in range(c[s.C_G_N]):
        at = natural(s.C_G_PENDING + 3 * k)
        first += shift_size(book, c[at], c[at + 1], c[at + 2], common)
    return first


@njit
def reread(m: Int, book: Any, restart: bool) -> Int:
    """Read again the sides that need it (all on `restart`), settle what is listed of the other; level-1 OFI.

    Cont, Kukanov and Stoikov (2014), per level; a level counts where both sides have it in
    both states.
    """
    c = context_of(m)
    again = np.int64(3) * s.READ_AGAIN if restart else c[s.C_G_SEEN]
    old_n = min(book.top_n[0], book.top_n[1])
    prices = scratch_prices_of(m)
    sizes = scratch_sizes_of(m)
    for side in range(2):
        if again & (s.READ_AGAIN << side):
            start = np.int64(0) if restart else c[s.C_G_LEVEL + side]
            for k in range(OFI_LEVELS):
                prices[side, k] = book.top_price[side, k]
                sizes[side, k] = book.top_size[side, k]
            book.top_n[side] = top(
                m, book, side, start, OFI_LEVELS, book.top_price[side], book.top_size[side]
            )
            for k in range(book.top_n[side], OFI_LEVELS):
                book.top_price[side, k] = NO_BID if side == 0 else NO_ASK
    common = np.int64(0) if restart else min(old_n, book.top_n[0], book.top_n[1])
    first = np.int64(0)
    for side in range(2):
        if again & (s.READ_AGAIN << side):
            flip = np.int64(-side)  # inverting every bit reverses the order of integers
            for k in range(c[s.C_G_LEVEL + side], common):
                new_price, old_price = book.top_price[side, k] ^ flip, prices[side, k] ^ flip
                e = book.top_size[side, k] if new_price >= old_price else 0
                e -= sizes[side, k] if new_price <= old_price else 0
                e = (e ^ flip) - flip
                book.ofi[k] += e
                first += e if k == 0 else 0
            total = np.int64(0)
            for k in range(min(book.top_n[side], 5)):
                total += book.top_size[side, k]
            book.sum5[side] = total
    for k in range(c[s.C_G_N]):
        at = natural(s.C_G_PENDING + 3 * k)
        if not again & (s.READ_AGAIN << c[at]):
            first += shift_size(book, c[at], c[at + 1], c[at + 2], common)
    return first


@hot
def trace_bit(action: Int) -> Int:
    """Bit of C_TRACE_OF that asks for rows of an action (see `layouts.trace_mask`)."""
    return np.int64(1) << (action & 31)


@hot
def show_event(
    row: Any, ts: Int, event: Int, slot: Int, action: Any, side: Any,
    price_before: Int, size_before: Int, size_after: Int,
) -> None:  # fmt: skip
    """Write into a TRACE row what a record is and does to its order."""
    row.ts = ts
    row.event = event
    row.slot = slot
    row.action = action
    row.side = side
    row.price_before = price_before
    row.size_before = size_before
    row.size_after = size_after


@hot
def show_book(row: Any, book: Any, ofi: Int, last: Any) -> None:
    """Write into a TRACE row the published top of book, which no record within a group changes."""
    bids, asks = book.top_n[0] != 0, book.top_n[1] != 0
    row.bid = book.top_price[0, 0] if bids else UNDEF_PRICE
    row.ask = book.top_price[1, 0] if asks else UNDEF_PRICE
    row.bid_size = book.top_size[0, 0] if bids else 0
    row.ask_size = book.top_size[1, 0] if asks else 0
    row.bid_size5 = book.sum5[0]
    row.ask_size5 = book.sum5[1]
    row.ofi = ofi
    row.last = last
    row.state = book.state


@njit
def show_flow(row: Any, book: Any) -> None:
    """Write into a TRACE or SAMPLE row what a book has added up since the previous SAMPLE row."""
    row.quoted = book.quoted
    row.quoted_size = book.quoted_size
    for side in range(2):
        for k in range(NEAR):
            row.added[side, k] = book.added[side, k]
            row.removed[side, k] = book.removed[side, k]
            row.traded[side, k] = book.traded[side, k]


@hot
def show_group(
    row: Any, book: Any, ts: Int, event: Int, slot: Int, action: Any, side: Any,
    price_before: Int, size_before: Int, size_after: Int, ofi: Int, groups: Any,
) -> None:  # fmt: skip
    """Write the TRACE row of a group's LAST record; `groups`: with what TRACE_GROUPS asks for."""
    show_event(row, ts, event, slot, action, side, price_before, size_before, size_after)
    show_book(row, book, ofi, True)
    if groups:
        for k in range(OFI_LEVELS):
            row.levels[k] = book.ofi[k]
        show_flow(row, book)


@hot
def show_within(
    row: Any, book: Any, ts: Int, event: Int, slot: Int, action: Any, side: Any,
    price_before: Int, size_before: Int, size_after: Int,
) -> None:  # fmt: skip
    """Write the TRACE row of a record before its group's LAST one."""
    show_event(row, ts, event, slot, action, side, price_before, size_before, size_after)
    show_book(row, book, np.int64(0), False)


@hot
def stamp(book: Any, tail: Any, ts: Int, groups: Int) -> None:
    """Note when a book's last groups were, and what the LAST record of the last one was."""
    book.row_groups += groups
    book.changed = 1
    book.ts = ts
    book.ts_event = tail.ts_event
    book.sequence = tail.sequence
    book.action = tail.action
