"""Orders in their table slots: packing, odd sizes and prices, clearing a book."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.levels import tick_of
from depthscope.book.memory import (
    big_prices_of,
    big_sizes_of,
    bitmap_of,
    context_of,
    counts_of,
    sizes_of,
    table_of,
)
from depthscope.book.primitives import BIAS, BIG, SIZE_MASK, U1, U32, U33, remove
from depthscope.jit import Int, UInt, hot, njit


@hot
def pack(m: Int, book: Any, side: Int, price: Int, tick: Int, size: Int) -> UInt:
    """Value of an order's table slot (room in the odd-order store has been checked)."""
    relative = tick - book.origin
    if tick * book.tick == price and -BIAS < relative < BIAS and size < BIG:
        return (np.uint64(relative + BIAS) << U33) | (np.uint64(side) << U32) | np.uint64(size)
    c = context_of(m)
    big_size = big_sizes_of(m)
    row = c[s.C_BIG_FREE]
    c[s.C_BIG_FREE] = big_size[row]
    big_prices_of(m)[row] = price
    big_size[row] = size
    return (np.uint64(row) << U33) | (np.uint64(side) << U32) | np.uint64(BIG)


@hot
def unpack(m: Int, book: Any, value: UInt) -> tuple[Int, Int, Int, Int]:
    """(price, tick number, side, size) of an order's table slot."""
    side = np.int64((value >> U32) & U1)
    size = np.int64(value & SIZE_MASK)
    if size == BIG:
        row = np.int64(value >> U33)
        price = big_prices_of(m)[row]
        return price, tick_of(book, price), side, big_sizes_of(m)[row]
    tick = np.int64(value >> U33) - BIAS + book.origin
    return tick * book.tick, tick, side, size


@hot
def release(m: Int, value: UInt) -> None:
    """Give back the odd-order row of a slot, if it has one."""
    if value & SIZE_MASK == np.uint64(BIG):
        c = context_of(m)
        row = np.int64(value >> U33)
        big_sizes_of(m)[row] = c[s.C_BIG_FREE]
        c[s.C_BIG_FREE] = row


@njit
def clear_levels(m: Int, book: Any, side: Int) -> None:
    """Empty one side's ladder and far store."""
    sizes = sizes_of(m)
    counts = counts_of(m)
    bitmap = bitmap_of(m)
    for word in range(book.cell >> 6, (book.cell + book.width) >> 6):
        if bitmap[word, side] != 0:
            for row in range(word << 6, (word + 1) << 6):
                sizes[row, side] = 0
                counts[row, side] = 0
            bitmap[word, side] = 0
    book.best[side] = -1
    book.far_n[side] = 0


@njit
def clear_side(m: Int, book: Any, side: Int) -> None:
    """Empty one side: levels and orders."""
    table = table_of(m)
    clear_levels(m, book, side)
    if book.live:
        first = book.table
        rows = np.int64(1) << book.bits
        mask = np.uint64(rows - 1)
        shift = np.uint64(64 - book.bits)
        row = first
        while row < first + rows:
            value = table[row, 1]
            if value != 0 and np.int64((value >> U32) & U1) == side:
                release(m, value)
                remove(table, first, shift, mask, row)
                book.live -= 1
                row = first  # removal moves rows, possibly across the end of the region
            else:
                row += 1


@njit
def clear_book(m: Int, book: Any) -> None:
    """Empty a book."""
    table = table_of(m)
    for side in range(2):
        clear_levels(m, book, side)
    if book.live:
        for row in range(book.table, book.table + (np.int64(1) << book.bits)):
            release(m, table[row, 1])
            table[row, 1] = 0
        book.live = 0
