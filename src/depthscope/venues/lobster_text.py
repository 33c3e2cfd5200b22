"""LOBSTER rows into numbers, and what a message does to a book: compiled helpers.

A message row is ``time,type,order id,size,price,direction`` (a seventh column, in newer files,
is passed over); a book row is ``ask price, ask size, bid price, bid size`` for each level, best
first, prices in 1/10,000, empty levels +/-9999999999 with size 0.

A book is int64[2, depth, 2] here: side (bid 0, ask 1), level, (price, size); an empty level has
price :data:`NO_PRICE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from depthscope.jit import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable


def njit(function: Callable[..., Any]) -> Any:
    """Compile a helper of the kernels."""
    return numba.njit(**OPTIONS)(function)


NO_PRICE: Final = 9_999_999_999
SECOND: Final = 1_000_000_000
DAY: Final = 86_400

SUBMIT, REDUCE, DELETE, EXECUTE, EXECUTE_HIDDEN, CROSS, HALT = 1, 2, 3, 4, 5, 6, 7
M_TIME, M_TYPE, M_ID, M_SIZE, M_PRICE, M_SIDE = 0, 1, 2, 3, 4, 5
MESSAGE_COLUMNS: Final = 6


@njit
def _number(buf: Any, i: Any) -> Any:
    """(end, value) of a signed integer; end -1 where there is none of at most 18 digits."""
    negative = buf[i] == 45
    if negative:
        i += 1
    start = i
    value = np.int64(0)
    while 48 <= buf[i] <= 57:
        value = value * 10 + np.int64(buf[i] - 48)
        i += 1
    if i == start or i - start > 18:
        return -1, value
    return i, -value if negative else value


@njit
def _line_end(buf: Any, i: Any) -> Any:
    """Start of the next line when nothing is left on this one, else -1."""
    if buf[i] == 13:
        i += 1
    return i + 1 if buf[i] == 10 else -1


@njit
def read_message(buf: Any, i: Any, message: Any) -> Any:
    """Read one message row into int64[MESSAGE_COLUMNS]; the next line's start, -1 when damaged.

    Time comes in nanoseconds after midnight, exact to nine decimals and rounded from there.
    """
    i, seconds = _number(buf, i)
    if i < 0 or seconds < 0 or seconds > DAY:
        return -1
    nanos = seconds * SECOND
    if buf[i] == 46:
        i += 1
        unit = SECOND // 10
        start = i
        while 48 <= buf[i] <= 57:
            digit = np.int64(buf[i] - 48)
            # The venue counts in nanoseconds; what stands beyond is the residue of a float.
            nanos += unit * digit if unit else (digit >= 5 and i == start + 9)
            unit //= 10
            i += 1
        if i == start:
            return -1
    message[M_TIME] = nanos
    for column in range(1, MESSAGE_COLUMNS):
        if buf[i] != 44:
            return -1
        i, message[column] = _number(buf, i + 1)
        if i < 0:
            return -1
    if buf[i] == 44:  # the seventh column of newer files
        i += 1
        while buf[i] > 32 and buf[i] != 44:
            i += 1
    kind, side = message[M_TYPE], message[M_SIDE]
    if kind < SUBMIT or kind > HALT:
        return -1
    if kind != HALT:
        known = side in (1, -1)
        if message[M_SIZE] <= 0 or message[M_PRICE] <= 0 or not (known or kind == CROSS):
            return -1
    elif message[M_PRICE] < -1 or message[M_PRICE] > 1:
        return -1
    return _line_end(buf, i)


@njit
def read_book(buf: Any, i: Any, book: Any) -> Any:
    """Read one book row; the next line's start, -1 when damaged or not best first."""
    depth = book.shape[1]
    for level in range(depth):
        for side in (1, 0):
            if level or side == 0:
                if buf[i] != 44:
                    return -1
                i += 1
            i, price = _number(buf, i)
            if i < 0 or buf[i] != 44:
                return -1
            i, size = _number(buf, i + 1)
            if i < 0 or size < 0:
                return -1
            empty = price in (NO_PRICE, -NO_PRICE)
            if empty != (size == 0) or (not empty and price <= 0):
                return -1
            book[side, level, 0] = NO_PRICE if empty else price
            book[side, level, 1] = size
            if level and not empty:
                before = book[side, level - 1, 0]
                if before == NO_PRICE or (price <= before if side == 1 else price >= before):
                    return -1
    return _line_end(buf, i)


@njit
def change(book: Any, side: Any, price: Any, amount: Any) -> Any:
    """Add `amount` to the size at a price, keeping levels sorted and within the depth.

    Returns 1 when a level went, so that the last one is not known any more; 0 otherwise; -1 when
    there is not that much to remove.
    """
    depth = book.shape[1]
    at = 0
    while at < depth and book[side, at, 0] != NO_PRICE:
        here = book[side, at, 0]
        if here == price or (price < here if side == 1 else price > here):
            break
        at += 1
    if at < depth and book[side, at, 0] == price:
        book[side, at, 1] += amount
        if book[side, at, 1] < 0:
            return -1
        if book[side, at, 1] > 0:
            return 0
        was_full = book[side, depth - 1, 0] != NO_PRICE
        for k in range(at, depth - 1):
            book[side, k, 0], book[side, k, 1] = book[side, k + 1, 0], book[side, k + 1, 1]
        book[side, depth - 1, 0], book[side, depth - 1, 1] = NO_PRICE, 0
        return 1 if was_full else 0
    if at == depth:
        return 0  # beyond what the file shows
    if amount < 0:
        return -1
    for k in range(depth - 1, at, -1):
        book[side, k, 0], book[side, k, 1] = book[side, k - 1, 0], book[side, k - 1, 1]
    book[side, at, 0], book[side, at, 1] = price, amount
    return 0


@njit
def apply_message(book: Any, message: Any, sign: Any) -> Any:
    """Do (sign 1) or undo (-1) what a message does to the book; as `change`, 0 for no effect."""
    kind = message[M_TYPE]
    if kind > EXECUTE:
        return 0
    side = 0 if message[M_SIDE] == 1 else 1
    amount = message[M_SIZE] if kind == SUBMIT else -message[M_SIZE]
    return change(book, side, message[M_PRICE], sign * amount)
