"""Level changes, and what each does to the cached top of book."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.levels import far_size_at, in_ladder, next_row, set_far, set_ladder, tick_of
from depthscope.book.memory import bitmap_of, context_of, counts_of, matches_of, sizes_of, trace_of
from depthscope.book.primitives import U1, count_better, natural
from depthscope.book.tops import shift_size, show_within, trace_bit
from depthscope.jit import Int, hot, njit
from depthscope.market.events import ASK, BID, LEVEL, SNAPSHOT, TOB, UNDEF_PRICE
from depthscope.market.layouts import NEAR_LEVELS, OFI_LEVELS

NOTHING = -(2**63)  # less than any key


@hot
def count_change(book: Any, side: Int, nearer: Any, delta: Int) -> None:
    """Add up a change of a level within the farther of NEAR_LEVELS, and the `nearer` one where it is."""
    side = natural(side)
    up, down = max(delta, np.int64(0)), max(-delta, np.int64(0))
    book.added[side, 1] += up
    book.removed[side, 1] += down
    book.added[side, 0] += up if nearer else 0
    book.removed[side, 0] += down if nearer else 0


@hot
def noted(c: Any, book: Any, side: Int, price: Int, old: Int, new: Int, live: Any, alone: Any) -> Int:
    """Note what a level change does to the cached top of book, settled at LAST; `live`: add it up too.

    C_G_SEEN has a bit for a side with something noted, and one (READ_AGAIN) for a side that must be
    read again from its C_G_LEVEL on: levels better than every change stay as they are. Until then
    changes of a level that was there and stays are listed, and need no reading. Where it is the last
    change of a group of one record (`alone`) it is settled at once; returns the level-1 OFI of that.
    """
    # Worse than all cached levels? An empty place is worse than any price.
    flip = -side  # inverting every bit reverses the order of integers
    if price ^ flip < book.top_price[natural(side), OFI_LEVELS - 1] ^ flip:
        return np.int64(0)
    rank = count_better(book.top_price, side, price)
    if live:
        count_change(book, side, rank < NEAR_LEVELS[0], new - old)
    seen = c[s.C_G_SEEN]
    # A level that was there, on a side not to be read again, is the cached one.
    if old != 0 and new != 0 and not seen & (s.READ_AGAIN << side):
        if alone:
            return shift_size(book, side, rank, new - old, min(book.top_n[0], book.top_n[1]))
        n = c[s.C_G_N]
        if n < s.PENDING:
            c[s.C_G_SEEN] = seen | (1 << side)
            c[s.C_G_N] = n + 1
            at = natural(s.C_G_PENDING + 3 * n)
            c[at], c[at + 1], c[at + 2] = side, rank, new - old
            return np.int64(0)
    read_again(c, side, rank)
    return np.int64(0)


@njit
def read_again(c: Any, side: Int, rank: Int) -> None:
    """Note that a side of the cached top must be read again, from `rank` or from what is noted already."""
    if c[s.C_G_SEEN] & (s.READ_AGAIN << side):
        rank = min(rank, c[s.C_G_LEVEL + side])
    else:
        for k in range(c[s.C_G_N]):
            if c[s.C_G_PENDING + 3 * k] == side:
                rank = min(rank, c[s.C_G_PENDING + 3 * k + 1])
    c[s.C_G_LEVEL + side] = rank
    c[s.C_G_SEEN] |= (s.READ_AGAIN | 1) << side


@njit
def far_change(
    m: Int, book: Any, side: Int, price: Int, on_grid: bool, delta: Int, orders: Int
) -> tuple[Int, Int]:
    """Do the same as `change` for a level outside the ladder."""
    old = far_size_at(m, book, side, price)
    set_far(m, book, side, price, old + delta, orders, True)
    if on_grid:
        book.far_ops += 1
    return old, old + delta


@hot
def add_lots(
    m: Int, book: Any, sizes: Any, counts: Any, side: Int, row: Int, delta: Int, orders: Int
) -> tuple[Int, Int]:  # fmt: skip
    """Add `delta` lots and `orders` orders to a cell of the ladder; returns (old, new) size."""
    row, side = natural(row), natural(side)
    old = sizes[row, side]
    new = old + delta
    sizes[row, side] = new
    counts[row, side] += orders
    if old == 0 or new == 0:
        set_ladder(m, book, side, row, old, new)
    return old, new


@hot
def change(
    m: Int, book: Any, sizes: Any, counts: Any,
    side: Int, price: Int, tick: Int, delta: Int, orders: Int,
) -> tuple[Int, Int]:  # fmt: skip
    """Add `delta` lots and `orders` orders to a level (room has been checked); returns (old, new) size."""
    place = tick - book.base
    on_grid = tick * book.tick == price
    if on_grid and 0 <= place < book.width:
        return add_lots(m, book, sizes, counts, side, book.cell + place, delta, orders)
    return far_change(m, book, side, price, on_grid, delta, orders)


@njit
def set_level(m: Int, book: Any, side: Int, price: Int, new: Int, orders: Int) -> tuple[Int, Int]:
    """Set a level's absolute size and order count; removing an absent level is normal."""
    tick = tick_of(book, price)
    if in_ladder(book, price, tick):
        row = book.cell + tick - book.base
        old = sizes_of(m)[row, side]
        counts_of(m)[row, side] = orders if new != 0 else 0
        set_ladder(m, book, side, row, old, new)
    else:
        old = far_size_at(m, book, side, price)
        set_far(m, book, side, price, new, orders, False)
        if tick * book.tick == price:
            book.far_ops += 1
    return old, new


@njit
def apply_levels(
    m: Int, book: Any, slot: Int, ts: Int, events: Any, i: Int, stop: Int, end: Int, trace_n: Int, live: Any
) -> Int:  # fmt: skip
    """Apply a run of plain level settings inside the ladder; returns the first record not taken.

    A message of an L2 feed is hundreds of these, so what does not depend on their order (best
    cells, the rank from which the top must be read again) is settled once at the end.
    """
    c = context_of(m)
    sizes = sizes_of(m)
    counts = counts_of(m)
    bitmap = bitmap_of(m)
    trace = trace_of(m)
    rows = c[s.C_TRACE_OF] & trace_bit(np.int64(LEVEL)) != 0
    first = i
    base, width, cell = book.base, book.width, book.cell
    # Best candidates by side: bids count up, asks count up with every bit inverted.
    bid_row: Int = np.int64(book.best[0])
    ask_row: Int = ~np.int64(book.best[1]) if book.best[1] >= 0 else NOTHING
    bid_key: Int = NOTHING
    ask_key: Int = NOTHING
    near, far = NEAR_LEVELS[0] - 1, NEAR_LEVELS[1] - 1
    while i <= stop:
        event = events[natural(i)]
        if event.action != LEVEL or event.flags & (SNAPSHOT | TOB) or event.size < 0 or event.price < 0:
            break
        if event.side != BID and event.side != ASK:
            break
        price = event.price
        place = tick_of(book, price) - base
        if (place + base) * book.tick != price or place < 0 or place >= width:
            break
        side = natural(np.int64(event.side == ASK))
        row = natural(cell + place)
        old, new = sizes[row, side], event.size
        sizes[row, side] = new
        counts[row, side] = event.aux if new != 0 else 0
        word, bit = natural(row >> 6), np.uint64(row & 63)
        bitmap[word, side] = (bitmap[word, side] & ~(U1 << bit)) | (np.uint64(new != 0) << bit)
        flip: Int = -side
        key = price ^ flip if old != new else NOTHING
        if live and key >= (book.top_price[side, far] ^ flip):
            count_change(book, side, key >= (book.top_price[side, near] ^ flip), new - old)
        reach = row ^ flip if new != 0 else NOTHING
        if side == 0:
            bid_key, bid_row = max(bid_key, key), max(bid_row, reach)
        else:
            ask_key, ask_row = max(ask_key, key), max(ask_row, reach)
        if rows and i != end:
            t = trace[natural(trace_n)]
            none = np.int64(0)
            show_within(t, book, ts, i, slot, event.action, event.side, np.int64(UNDEF_PRICE), none, none)
            matches_of(m)[natural(trace_n)] = trace_bit(np.int64(LEVEL))
            trace_n += 1
        i += 1
    if i > first:
        if bid_row >= 0:
            book.best[0] = next_row(m, book, 0, bid_row)
        if ask_row != NOTHING:
            book.best[1] = next_row(m, book, 1, ~ask_row)
        note_lowest(c, book, np.int64(0), bid_key)
        note_lowest(c, book, np.int64(1), ask_key)
    return i


@njit
def note_lowest(c: Any, book: Any, side: Int, key: Int) -> None:
    """Note the best of several changed levels of a side (`key`, or NOTHING)."""
    rank = count_better(book.top_price, side, key ^ -side)
    if key != NOTHING and rank < OFI_LEVELS:
        read_again(c, side, rank)


@hot
def room(m: Int, book: Any, slot: Int, side: Int, price: Int, tick: Int) -> Int:
    """DONE when a level can be created at `price`, else what is needed first."""
    if in_ladder(book, price, tick):
        return s.DONE
    c = context_of(m)
    if book.width == 0:
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_TICK] = tick
        c[s.C_NEED_WIDTH] = s.FIRST_WIDTH
        return s.RECENTRE
    if book.far_n[side] == book.far_cap[side]:
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_SIDE] = side
        return s.NEED_FAR
    return s.DONE
