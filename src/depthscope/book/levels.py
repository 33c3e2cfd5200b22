"""Level arithmetic of one book: the dense ladder, the sorted far store, walks over both.

A level lives in the ladder when its price is on the tick grid and inside the window, and in
the far store otherwise; both are exact. The far store of each side is sorted so that the
best level is its last entry (key = price for bids, -price for asks).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.memory import (
    bitmap_of,
    context_of,
    counts_of,
    far_counts_of,
    far_keys_of,
    far_sizes_of,
    sizes_of,
)
from depthscope.book.primitives import U1, leading_zeros, move_rows, natural, nearest_integer, trailing_zeros
from depthscope.jit import Int, hot, njit
from depthscope.market.events import UNDEF_PRICE

ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@hot
def tick_of(book: Any, price: Int) -> Int:
    """Nearest tick number of a price (exact when the price is on the grid)."""
    return nearest_integer(price * book.per_tick)


@hot
def in_ladder(book: Any, price: Int, tick: Int) -> Any:
    """Whether a level at `price` belongs to the ladder."""
    return tick * book.tick == price and tick >= book.base and tick < book.base + book.width


@njit
def next_down(bitmap: Any, row: Int, first: Int) -> Int:
    """Highest occupied bid row <= `row`, or -1 below `first`."""
    if row < first:
        return np.int64(-1)
    word = row >> 6
    bits = bitmap[word, 0] & (ONES >> np.uint64(63 - (row & 63)))
    stop = first >> 6
    while bits == 0:
        word -= 1
        if word < stop:
            return np.int64(-1)
        bits = bitmap[word, 0]
    return (word << 6) + 63 - leading_zeros(bits)


@njit
def next_up(bitmap: Any, row: Int, end: Int) -> Int:
    """Lowest occupied ask row >= `row`, or -1 from `end` on."""
    if row >= end:
        return np.int64(-1)
    word = row >> 6
    bits = bitmap[word, 1] & (ONES << np.uint64(row & 63))
    stop = end >> 6
    while bits == 0:
        word += 1
        if word >= stop:
            return np.int64(-1)
        bits = bitmap[word, 1]
    return (word << 6) + trailing_zeros(bits)


@njit
def next_row(m: Int, book: Any, side: Int, row: Int) -> Int:
    """Row of the next level of a side, from `row` on towards worse prices, or -1."""
    bitmap = bitmap_of(m)
    if side == 0:
        return next_down(bitmap, row, book.cell)
    return next_up(bitmap, row, book.cell + book.width)


@njit
def set_ladder(m: Int, book: Any, side: Int, row: Int, old: Int, new: Int) -> None:
    """Write a ladder size; keeps the bitmap and the side's best row."""
    sizes = sizes_of(m)
    bitmap = bitmap_of(m)
    sizes[row, side] = new
    if old == 0:
        if new != 0:
            bitmap[row >> 6, side] |= U1 << np.uint64(row & 63)
            best = book.best[side]
            if best < 0 or (row > best if side == 0 else row < best):
                book.best[side] = row
    elif new == 0:
        bitmap[row >> 6, side] &= ~(U1 << np.uint64(row & 63))
        if row == book.best[side]:
            book.best[side] = next_row(m, book, side, row)


@njit
def far_place(far_key: Any, first: Int, n: Int, key: Int) -> Int:
    """First row of the region whose key is >= `key`."""
    low, high = first, first + n
    while low < high:
        middle = (low + high) >> 1
        if far_key[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def far_size_at(m: Int, book: Any, side: Int, price: Int) -> Int:
    """Size of a far level, 0 when absent."""
    far_key = far_keys_of(m)
    key = price if side == 0 else -price
    first, n = book.far[side], book.far_n[side]
    place = far_place(far_key, first, n, key)
    if place < first + n and far_key[place] == key:
        return far_sizes_of(m)[place]
    return np.int64(0)


@njit
def set_far(
    m: Int, book: Any,
    side: Int, price: Int, new: Int, count: Int, relative: bool,
) -> None:  # fmt: skip
    """Write a far level: `count` is added when `relative`, else replaces the count."""
    far_key = far_keys_of(m)
    far_size = far_sizes_of(m)
    far_count = far_counts_of(m)
    key = price if side == 0 else -price
    first, n = book.far[side], book.far_n[side]
    place = far_place(far_key, first, n, key)
    end = first + n
    if place < end and far_key[place] == key:
        if new == 0:
            move_rows(far_key, place + 1, place, end - place - 1)
            move_rows(far_size, place + 1, place, end - place - 1)
            move_rows(far_count, place + 1, place, end - place - 1)
            book.far_n[side] = n - 1
            return
        far_size[place] = new
        far_count[place] = far_count[place] + count if relative else count
    elif new != 0:
        move_rows(far_key, place, place + 1, end - place)
        move_rows(far_size, place, place + 1, end - place)
        move_rows(far_count, place, place + 1, end - place)
        far_key[place] = key
        far_size[place] = new
        far_count[place] = count
        book.far_n[side] = n + 1


@njit
def ladder_top(m: Int, book: Any, side: Int, first: Int, want: Int, price: Any, size: Any) -> Int:
    """Write levels `first` to `want` - 1 of a side's ladder, word by word of the bitmap.

    Those before `first` stand in `price` already. Returns how many there are now.
    """
    sizes = sizes_of(m)
    bitmap = bitmap_of(m)
    offset = book.base - book.cell
    tick = book.tick
    n = first
    row = book.best[side]
    if first > 0:
        row = tick_of(book, price[first - 1]) - offset
        row += -1 if side == 0 else 1
        if row < book.cell or row >= book.cell + book.width:
            return n
    if row < 0:
        return n
    word = natural(row >> 6)
    if side == 0:
        bits = bitmap[word, 0] & (ONES >> np.uint64(63 - (row & 63)))
        stop = book.cell >> 6
        while True:
            while bits == 0:
                word -= 1
                if word < stop:
                    return n
                bits = bitmap[natural(word), 0]
            bit = 63 - leading_zeros(bits)
            bits ^= U1 << np.uint64(bit)
            row = natural((word << 6) + bit)
            price[natural(n)] = (row + offset) * tick
            size[natural(n)] = sizes[row, 0]
            n += 1
            if n == want:
                return n
    bits = bitmap[word, 1] & (ONES << np.uint64(row & 63))
    stop = (book.cell + book.width) >> 6
    while True:
        while bits == 0:
            word += 1
            if word >= stop:
                return n
            bits = bitmap[natural(word), 1]
        row = natural((word << 6) + trailing_zeros(bits))
        bits &= bits - U1
        price[natural(n)] = (row + offset) * tick
        size[natural(n)] = sizes[row, 1]
        n += 1
        if n == want:
            return n


@njit
def top(m: Int, book: Any, side: Int, first: Int, want: Int, price: Any, size: Any) -> Int:
    """Write the best `want` levels of a side; returns how many there are.

    The `first` best ones are known not to have changed since they were written.
    """
    far_n = book.far_n[side]
    if far_n == 0:
        return ladder_top(m, book, side, first, want, price, size)
    n = ladder_top(m, book, side, np.int64(0), want, price, size)
    sign = np.int64(1) if side == 0 else np.int64(-1)
    far_key = far_keys_of(m)
    far_size = far_sizes_of(m)
    far_end = book.far[side]
    far = far_end + far_n - 1
    if n == want and far_key[far] < sign * price[n - 1]:
        return n
    # Far levels belong among them: insert from the best one on.
    k = np.int64(0)
    while far >= far_end and k < want:
        key = far_key[far]
        while k < n and sign * price[k] > key:
            k += 1
        if k == want:
            break
        if n < want:
            n += 1
        for j in range(n - 1, k, -1):
            price[j] = price[j - 1]
            size[j] = size[j - 1]
        price[k] = sign * key
        size[k] = far_size[far]
        k += 1
        far -= 1
    return n


@njit
def fill_side(m: Int, book: Any, side: Int, want: Int, price: Any, size: Any, orders: Any) -> Int:
    """Write a SAMPLE row's levels of one side; returns how many there are."""
    sizes = sizes_of(m)
    counts = counts_of(m)
    far_key = far_keys_of(m)
    far_size = far_sizes_of(m)
    far_count = far_counts_of(m)
    sign = np.int64(1) if side == 0 else np.int64(-1)
    offset = book.base - book.cell
    row = book.best[side]
    far = book.far[side] + book.far_n[side] - 1
    far_end = book.far[side]
    n = np.int64(0)
    while n < want:
        if row >= 0:
            p = (row + offset) * book.tick
            if far >= far_end and far_key[far] > sign * p:
                p, q, c = sign * far_key[far], far_size[far], far_count[far]
                far -= 1
            else:
                q, c = sizes[row, side], counts[row, side]
                row = next_row(m, book, side, row - 1 if side == 0 else row + 1)
        elif far >= far_end:
            p, q, c = sign * far_key[far], far_size[far], far_count[far]
            far -= 1
        else:
            break
        price[n], size[n], orders[n] = p, q, c
        n += 1
    for k in range(n, want):
        price[k], size[k], orders[k] = UNDEF_PRICE, 0, 0
    return n


@njit
def sum_rows(m: Int, side: Int, low: Int, high: Int) -> Int:
    """Total size of ladder rows `low` to `high`; words of the bitmap without a level are passed over."""
    sizes = sizes_of(m)
    bitmap = bitmap_of(m)
    side = natural(side)
    total = np.int64(0)
    while low <= high:
        word = natural(low >> 6)
        stop = min(high + 1, (word + 1) << 6)
        if bitmap[word, side] != 0:
            for row in range(natural(low), stop):
                total += sizes[natural(row), side]
        low = stop
    return total


@njit
def outermost(book: Any, side: Int, bound: float) -> Int:
    """Tick number of the ladder's last price not worse than `bound`, or one outside the ladder.

    The quotient is only near: prices themselves decide, compared as they always are.
    """
    low, high = book.base, book.base + book.width - 1
    near = bound / book.tick
    tick = low if near < low else high if near > high else np.int64(near)
    if side == 0:
        while tick > low and (tick - 1) * book.tick >= bound:
            tick -= 1
        while tick <= high and tick * book.tick < bound:
            tick += 1
    else:
        while tick < high and (tick + 1) * book.tick <= bound:
            tick += 1
        while tick >= low and tick * book.tick > bound:
            tick -= 1
    return tick


@njit
def sum_depth(m: Int, book: Any, side: Int, bounds: Any, depth: Any) -> None:
    """Write the size resting within each of `bounds` (float prices, nearest first)."""
    bands = bounds.shape[0]
    best = book.best[side]
    total = np.int64(0)
    row = best
    for k in range(bands):
        if best >= 0:
            edge = book.cell + outermost(book, side, bounds[k]) - book.base
            if side == 0 and edge <= row:
                total += sum_rows(m, side, edge, row)
                row = edge - 1
            elif side == 1 and edge >= row:
                total += sum_rows(m, side, row, edge)
                row = edge + 1
        depth[k] = total
    far_key = far_keys_of(m)
    far_size = far_sizes_of(m)
    far = book.far[side] + book.far_n[side] - 1
    while far >= book.far[side]:
        price = far_key[far] if side == 0 else -far_key[far]
        inside = False
        for k in range(bands):
            if (price >= bounds[k]) if side == 0 else (price <= bounds[k]):
                depth[k] += far_size[far]
                inside = True
        if not inside:
            break
        far -= 1


@njit
def wants_recentre(m: Int, book: Any, slot: Int) -> bool:
    """Whether the best prices have left the inner half of the ladder, or it is too narrow."""
    bids, asks = book.top_n[0], book.top_n[1]
    if book.width == 0 or (bids == 0 and asks == 0):
        return False
    middle = book.base + (book.width >> 1)
    quarter = book.width >> 2
    bid = tick_of(book, book.top_price[0, 0]) if bids else np.int64(0)
    ask = tick_of(book, book.top_price[1, 0]) if asks else np.int64(0)
    if bids and asks:
        if ask - bid < (book.width >> 1):
            target = (bid + ask) >> 1
        elif abs(bid - middle) <= quarter or abs(ask - middle) <= quarter:
            target = middle  # a stub quote far away must not drag the ladder with it
        else:
            target = bid
    else:
        target = bid if bids else ask
    grow = book.far_ops > 2048 and book.width < s.MAX_WIDTH
    if abs(target - middle) > quarter or grow:
        c = context_of(m)
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_TICK] = target
        c[s.C_NEED_WIDTH] = min(book.width * 4, s.MAX_WIDTH) if grow else book.width
        return True
    return False
