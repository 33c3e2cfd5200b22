"""Tokens of Binance's JSON, read from bytes: integers, decimals, symbols, level lists.

Nothing here is a JSON parser. Each reader is *certain or silent*: it takes the form the venue
sends and answers a negative end on anything else, and the caller then leaves the message to
:mod:`depthscope.venues.binance_json`. No number is rounded: prices become 1e-9 integers, sizes
whole lots, or the message is not taken.

Buffers end in zero bytes (`lines.PADDING`). Every loop stops at a byte it does not know, so none
of them needs to compare its position with the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from depthscope.jit import OPTIONS
from depthscope.venues import binance_layout as b

if TYPE_CHECKING:
    from collections.abc import Callable

QUOTE_MARK, COMMA, COLON = 34, 44, 58
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125


def njit(function: Callable[..., Any]) -> Any:
    """Compile a helper of the scanner."""
    return numba.njit(**OPTIONS)(function)


@njit
def space(buf: Any, i: Any) -> Any:
    """First position from i on that is not a space, tab or carriage return."""
    while buf[i] == 32 or buf[i] == 9 or buf[i] == 13:
        i += 1
    return i


@njit
def text_end(buf: Any, i: Any) -> Any:
    """End (its closing quote) of a plain string that starts at i; -1 when it has an odd byte."""
    while buf[i] != QUOTE_MARK:
        c = buf[i]
        if c < 32 or c == 92 or c >= 127:
            return -1
        i += 1
    return i


@njit
def integer(buf: Any, i: Any, most: Any) -> Any:
    """(end, value) of an unsigned integer of at most `most` digits; end -1 when unsure."""
    value = np.int64(0)
    start = i
    c = np.int64(buf[i]) - 48
    while 0 <= c <= 9:
        value = value * 10 + c
        i += 1
        c = np.int64(buf[i]) - 48
    digits = i - start
    if digits == 0 or digits > most or (digits > 1 and buf[start] == 48):
        return -1, value
    return i, value


@njit
def decimal(buf: Any, i: Any) -> Any:
    """(end, digits as an integer, decimals) of a decimal inside quotes; end -1 when unsure."""
    value = np.int64(0)
    start = i
    decimals = 0
    c = np.int64(buf[i]) - 48
    while 0 <= c <= 9:
        value = value * 10 + c
        i += 1
        c = np.int64(buf[i]) - 48
    digits = i - start
    if digits == 0:
        return -1, value, decimals
    if c == -2:
        i += 1
        dot = i
        c = np.int64(buf[i]) - 48
        while 0 <= c <= 9:
            value = value * 10 + c
            i += 1
            c = np.int64(buf[i]) - 48
        decimals = i - dot
        digits += decimals
        if decimals == 0 or decimals > 9:
            return -1, value, decimals
    if digits > b.DIGITS or buf[i] != QUOTE_MARK:
        return -1, value, decimals
    return i, value, decimals


@njit
def lots_of(value: Any, decimals: Any, lot: Any, lot_decimals: Any) -> Any:
    """Whole lots of a decimal, -1 when it is not a multiple of the lot or absurd."""
    if lot_decimals >= decimals:
        up = lot_decimals - decimals
        return value * b.POW10[up] if value <= b.LOTS_MOST[up] else np.int64(-1)
    if lot_decimals >= 0:
        down = b.POW10[decimals - lot_decimals]
        lots = value // down
        return lots if lots * down == value and lots <= b.MOST_LOTS else np.int64(-1)
    if value > b.PRICE_MOST[decimals]:
        return np.int64(-1)
    fixed = value * b.POW10[9 - decimals]
    lots = fixed // lot
    return lots if lots * lot == fixed and lots <= b.MOST_LOTS else np.int64(-1)


@njit
def levels(
    buf: Any, i: Any, rows: Any, n: Any, ts_event: Any, ts_recv: Any, sequence: Any, word6: Any, word7: Any,
    lot: Any, lot_decimals: Any,
) -> Any:  # fmt: skip
    """Write ``[["price","size"],…]`` from i on as L rows; (end, n), end -1 unsure, -2 no room."""
    room = rows.shape[0]
    i = space(buf, i + 1)
    if buf[i] == CLOSE_LIST:
        return i + 1, n
    while True:
        if buf[i] != OPEN_LIST:
            return -1, n
        i += 1
        if buf[i] != QUOTE_MARK:
            i = space(buf, i)
            if buf[i] != QUOTE_MARK:
                return -1, n
        i, price, decimals = decimal(buf, i + 1)
        if i < 0 or price == 0 or price > b.PRICE_MOST[decimals]:
            return -1, n
        price *= b.POW10[9 - decimals]
        i += 1
        if buf[i] == COMMA and buf[i + 1] == QUOTE_MARK:
            i += 2
        else:
            i = space(buf, i)
            if buf[i] != COMMA:
                return -1, n
            i = space(buf, i + 1)
            if buf[i] != QUOTE_MARK:
                return -1, n
            i += 1
        i, size, decimals = decimal(buf, i)
        if i < 0:
            return -1, n
        lots = lots_of(size, decimals, lot, lot_decimals)
        if lots < 0:
            return -1, n
        if n >= room:
            return -2, n
        rows[n, 0] = ts_event
        rows[n, 1] = ts_recv
        rows[n, 2] = 0
        rows[n, 3] = price
        rows[n, 4] = lots
        rows[n, 5] = sequence
        rows[n, 6] = word6
        rows[n, 7] = word7
        n += 1
        i += 1
        if buf[i] != CLOSE_LIST:
            i = space(buf, i)
            if buf[i] != CLOSE_LIST:
                return -1, n
        i += 1
        if buf[i] == COMMA and buf[i + 1] == OPEN_LIST:
            i += 1
            continue
        i = space(buf, i)
        if buf[i] == CLOSE_LIST:
            return i + 1, n
        if buf[i] != COMMA:
            return -1, n
        i = space(buf, i + 1)


@njit
def symbol_hash(w0: Any, w1: Any, w2: Any, w3: Any) -> Any:
    """Hash of a symbol's 32 zero-padded bytes, as four little-endian words."""
    h = w0 * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ w1) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ w2) * np.uint64(0x94D049BB133111EB)
    h = (h ^ w3) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(29))


@njit
def find_symbol(buf: Any, i: Any, end: Any, slots: Any, words: Any) -> Any:
    """Index of the symbol whose text is buf[i:end], -1 when it is not in the table."""
    if end - i > b.SYMBOL_BYTES or end == i:
        return np.int64(-1)
    w0, w1, w2, w3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    for k in range(end - i):
        c = np.uint64(buf[i + k]) << np.uint64((k & 7) * 8)
        if k < 8:
            w0 |= c
        elif k < 16:
            w1 |= c
        elif k < 24:
            w2 |= c
        else:
            w3 |= c
    mask = slots.shape[0] - 1
    at = np.int64(symbol_hash(w0, w1, w2, w3) >> np.uint64(32)) & mask
    while slots[at] >= 0:
        row = words[slots[at]]
        if row[0] == w0 and row[1] == w1 and row[2] == w2 and row[3] == w3:
            return np.int64(slots[at])
        at = (at + 1) & mask
    return np.int64(-1)
