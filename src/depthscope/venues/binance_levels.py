"""Level lists of Binance's JSON, ``[["price","size"],…]``, read from bytes into rows.

Nearly all the time of a depth message goes into its levels, so these are read two ways. A list as
the venue writes it, without spaces and with as many decimals as the level before, takes
:func:`_run`: no branch depends on a digit, and what a level's place waits for is only where the one
before it ended. Whatever else there is takes :func:`_one`, which is also what learns the decimals.
Both are *certain or silent* (see `binance_tokens`) and agree on every level that both take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numba import types

from depthscope.jit import kernel
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_tokens as t
from depthscope.venues.binance_tokens import inlined, njit
from depthscope.venues.lines import PADDING

if TYPE_CHECKING:
    from depthscope.venues.binance_json import Rows

ALL: Final = np.uint64(2**64 - 1)
U8, U63, U64 = (np.uint64(k) for k in (8, 63, 64))
# What stands between price and size, after a size, and up to the next price.
MIDDLE, MIDDLE_BITS = np.uint64(int.from_bytes(b'","', "little")), np.uint64(0xFFFFFF)
TAIL, TAIL_BITS = np.uint64(int.from_bytes(b'"]', "little")), np.uint64(0xFFFF)
NEXT, NEXT_BITS = np.uint64(int.from_bytes(b'"],["', "little")), np.uint64(0xFFFFFFFFFF)
MOST_UP: Final = 7  # eight digits times 10**7 are fewer lots than MOST_LOTS, whatever they are


@inlined
def _write(
    at: Any, ts_event: Any, ts_recv: Any, price: Any, lots: Any, sequence: Any, word6: Any, word7: Any
) -> None:
    """Write the row at an address."""
    t.put(at, ts_event)
    t.put(at + 8, ts_recv)
    t.put(at + 16, np.int64(0))
    t.put(at + 24, price)
    t.put(at + 32, lots)
    t.put(at + 40, sequence)
    t.put(at + 48, word6)
    t.put(at + 56, word7)


@njit
def _run(
    buf: Any, i: Any, at: Any, end: Any, ts_event: Any, ts_recv: Any, sequence: Any, word6: Any, word7: Any,
    decimals: Any, size_decimals: Any, up: Any,
) -> Any:  # fmt: skip
    """Take levels from the price at i on while they are written alike; rows go from `at` to `end`.

    Alike are the length of the price and the decimals of both; a size may be of any length up to
    eight characters. The digits of a number with a point are brought together from two loads, one
    of them a byte further on, so that eight digits and a point do.

    Returns
    -------
    i, at, open : int
        The price not taken with `open` 1, or with 0 the byte after the last level of the list;
        the row after the last one written.
    """
    found = t.equal(t.eight_bytes(buf, i), t.QUOTES)
    length = np.int64(t.trailing_zeros(found) >> t.U3)
    if found == t.U0 and t.byte(buf, i + 8) != t.QUOTE_MARK:
        length = np.int64(9)
    step = np.int64(1) if decimals else np.int64(0)  # over the point, where there is one
    digits = length - step
    point = digits - decimals
    if point < 1 or digits > 8:
        return i, at, 1
    shift = (U64 - U8 * np.uint64(digits)) & U63
    below = ALL >> ((U64 - U8 * np.uint64(point)) & U63)
    mark = np.int64(46) if decimals else np.int64(t.QUOTE_MARK)
    scale = b.POW10[np.uint64(9 - decimals)]
    size_step = np.int64(1) if size_decimals else np.int64(0)
    size_mark = np.int64(46) if size_decimals else np.int64(t.QUOTE_MARK)
    size_after = 8 * (size_decimals + size_step)  # bits of a size from its point on
    size_top = U64 + U8 * np.uint64(size_step)
    size_scale = b.POW10[np.uint64(up)]
    while at < end:
        word = (t.eight_bytes(buf, i) & below) | (t.eight_bytes(buf, i + step) & ~below)
        word = (word ^ t.ZEROS) << shift
        odd = (word + t.ABOVE_NINE | word) & t.HIGH_BITS
        odd |= (t.eight_bytes(buf, i + length) & MIDDLE_BITS) ^ MIDDLE
        odd |= np.uint64(t.byte(buf, i + point) ^ mark)
        price = t.spelt(word) * scale
        j = i + length + 3
        word = t.eight_bytes(buf, j)
        bits = t.trailing_zeros(t.equal(word, t.QUOTES)) & np.uint64(0x78)  # eight times the length
        tail_at = j + np.int64(bits >> t.U3)
        tail = t.eight_bytes(buf, tail_at)
        before = np.int64(bits) - size_after  # bits before the point
        size_below = ALL >> ((U64 - np.uint64(before)) & U63)
        word = (word & size_below) | (t.eight_bytes(buf, j + size_step) & ~size_below)
        word = (word ^ t.ZEROS) << ((size_top - bits) & U63)
        odd |= (word + t.ABOVE_NINE | word) & t.HIGH_BITS
        odd |= (tail & TAIL_BITS) ^ TAIL
        odd |= np.uint64(t.byte(buf, tail_at - (size_after >> 3)) ^ size_mark)
        if odd != t.U0 or before < 8 or price == 0:
            return i, at, 1
        _write(at, ts_event, ts_recv, price, t.spelt(word) * size_scale, sequence, word6, word7)
        at += b.ROW_BYTES
        if tail & NEXT_BITS != NEXT:
            return tail_at + 2, at, 0
        i = tail_at + 5
    return i, at, 1


@njit
def _one(buf: Any, i: Any, lot: Any, lot_decimals: Any, state: Any) -> Any:
    """(end, price, lots) of the level that opens at i, in any form; end -1 when unsure."""
    i += 1
    none = np.int64(0)
    if t.byte(buf, i) != t.QUOTE_MARK:
        i = t.space(buf, i)
        if t.byte(buf, i) != t.QUOTE_MARK:
            return -1, none, none
    i, price, decimals = t.decimal(buf, i + 1)
    if i < 0 or price == 0 or price > b.PRICE_MOST[decimals]:
        return -1, none, none
    state[b.H_PRICE_DECIMALS] = decimals
    price *= b.POW10[9 - decimals]
    i = t.space(buf, i + 1)
    if t.byte(buf, i) != t.COMMA:
        return -1, none, none
    i = t.space(buf, i + 1)
    if t.byte(buf, i) != t.QUOTE_MARK:
        return -1, none, none
    i, size, decimals = t.decimal(buf, i + 1)
    if i < 0:
        return -1, none, none
    state[b.H_SIZE_DECIMALS] = decimals
    lots = t.lots_of(size, decimals, lot, lot_decimals)
    if lots < 0:
        return -1, none, none
    i = t.space(buf, i + 1)
    if t.byte(buf, i) != t.CLOSE_LIST:
        return -1, none, none
    return i + 1, price, lots


@njit
def levels(
    buf: Any, i: Any, rows: Any, n: Any, ts_event: Any, ts_recv: Any, sequence: Any, word6: Any, word7: Any,
    lot: Any, lot_decimals: Any, state: Any,
) -> Any:  # fmt: skip
    """Write the level list that opens at i as L rows from n on; (end, n), end -1 unsure, -2 no room."""
    base = rows.ctypes.data
    at, end = base + n * b.ROW_BYTES, base + rows.shape[0] * b.ROW_BYTES
    i = t.space(buf, i + 1)
    if t.byte(buf, i) == t.CLOSE_LIST:
        return i + 1, n
    while True:
        if t.byte(buf, i) != t.OPEN_LIST:
            return -1, n
        more = 1
        up = lot_decimals - state[b.H_SIZE_DECIMALS]
        if t.byte(buf, i + 1) == t.QUOTE_MARK and 0 <= up <= MOST_UP:
            first = at
            i, at, more = _run(
                buf, i + 2, at, end, ts_event, ts_recv, sequence, word6, word7,
                state[b.H_PRICE_DECIMALS], state[b.H_SIZE_DECIMALS], up,
            )  # fmt: skip
            if more:
                i -= 2
                if at != first:  # the length of the prices may have changed: look again
                    continue
        if more:
            i, price, lots = _one(buf, i, lot, lot_decimals, state)
            if i < 0:
                return -1, n
            if at == end:
                return -2, n
            _write(at, ts_event, ts_recv, price, lots, sequence, word6, word7)
            at += b.ROW_BYTES
        i = t.space(buf, i)
        if t.byte(buf, i) == t.CLOSE_LIST:
            return i + 1, (at - base) // b.ROW_BYTES
        if t.byte(buf, i) != t.COMMA:
            return -1, n
        i = t.space(buf, i + 1)


@kernel(types.int64(t.TEXT, types.int64[:, ::1], types.int64[::1], types.int64, types.int64))
def _two_lists(text: Any, rows: Any, state: Any, symbol: Any, word7: Any) -> Any:
    """Write ``[bids,asks]`` as L rows without times and sequence; how many, negative when unsure."""
    buf = t.address_of(text)
    n = none = np.int64(0)
    i = np.int64(1)
    for side in (b.LEVEL_BID, b.LEVEL_ASK):
        if t.byte(buf, i) != t.OPEN_LIST:
            return -1
        i, n = levels(
            buf, i, rows, n, none, none, none, state[symbol + b.S_ID], np.int64(side) | word7,
            state[symbol + b.S_LOT], state[symbol + b.S_LOT_DECIMALS], state,
        )  # fmt: skip
        if i < 0:
            return i
        i += 1
    return n


def plain_rows(sides: tuple[object, object], state: Rows, index: int, word7: int) -> Rows | None:
    """Return what `binance_json.level_rows` would of lists in the venue's own form, a hundred times sooner.

    Parameters
    ----------
    sides : (bids, asks)
        Lists out of a message.
    state : int64[STATE]
        The scanner's, with the symbol's lot.
    index : int
        Of the symbol.
    word7 : int
        Publisher and flags of each row, as `binance_layout.pack7` has them.

    Returns
    -------
    int64[n, 8] or None
        None when they need the slow reading.
    """
    bids, asks = sides
    if not isinstance(bids, list) or not isinstance(asks, list):
        return None
    try:
        text: bytes = msgspec.json.encode(sides)
    except RecursionError:  # lists in lists, without end: no level
        return None
    rows = np.zeros((len(bids) + len(asks), 8), np.int64)
    symbol = b.AT_SYMBOLS + index * b.SYMBOL_COLUMNS
    return rows if _two_lists(text + bytes(PADDING), rows, state, symbol, word7) == len(rows) else None
