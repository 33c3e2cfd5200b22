"""Level changes, and what each does to the cached top of book."""

from __future__ import annotations

from typing import Any

from depthscope.book import state as s
from depthscope.book.levels import far_size_at, in_ladder, set_far, set_ladder, tick_of
from depthscope.book.memory import context_of, counts_of, sizes_of
from depthscope.book.primitives import count_better, natural
from depthscope.jit import Int, hot, njit
from depthscope.market.layouts import OFI_LEVELS


@hot
def noted(c: Any, book: Any, side: Int, price: Int, old: Int, new: Int) -> None:
    """Note what a level change does to the cached top of book, settled at LAST.

    Mode of a side 0: nothing yet; 1: `delta` lots at cached `level`; 2: it must be read again from
    `level` on (levels better than every change stay as they are).
    """
    rank = count_better(book.top_price, side, price)
    if rank == OFI_LEVELS:
        return
    mode, level = natural(s.C_G_MODE + side), natural(s.C_G_LEVEL + side)
    seen = c[mode]
    # A level that was there, on a side not to be read again, is the cached one.
    if old != 0 and new != 0 and seen != 2 and (seen == 0 or c[level] == rank):
        c[mode] = 1
        c[level] = rank
        c[natural(s.C_G_DELTA + side)] += new - old
    else:
        c[mode] = 2
        c[level] = rank if seen == 0 else min(c[level], rank)


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
def change(
    m: Int, book: Any, sizes: Any, counts: Any,
    side: Int, price: Int, tick: Int, delta: Int, orders: Int,
) -> tuple[Int, Int]:  # fmt: skip
    """Add `delta` lots and `orders` orders to a level (room has been checked); returns (old, new) size."""
    place = tick - book.base
    on_grid = tick * book.tick == price
    if on_grid and 0 <= place < book.width:
        row = natural(book.cell + place)
        side = natural(side)
        old = sizes[row, side]
        new = old + delta
        sizes[row, side] = new
        counts[row, side] += orders
        if old == 0 or new == 0:
            set_ladder(m, book, side, row, old, new)
        return old, new
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
