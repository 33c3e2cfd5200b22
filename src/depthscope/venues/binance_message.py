"""One Binance USD-M message read from bytes into `head` and level rows (see `binance_layout`).

The reader is *certain or silent*: it takes what the venue sends (keys in any usable order, spaces,
unknown scalar keys) and answers a negative end on anything else, such as a key met twice.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.venues import binance_layout as b
from depthscope.venues import binance_tokens as t
from depthscope.venues.binance_levels import levels
from depthscope.venues.binance_tokens import njit

# Keys: a letter's own code; two longer ones take numbers that no letter has.
KEY_PREVIOUS, KEY_NORMAL = 27, 28  # "pu", "nq"
KEY_KIND, KEY_SYMBOL, KEY_STATUS, KEY_MAKER = ord("e"), ord("s"), ord("X"), ord("m")
KEY_BIDS, KEY_ASKS = ord("b"), ord("a")

# Bits of b.H_SEEN, one a value of the right type.
K_KIND, K_TIME, K_SYMBOL, K_FIRST, K_FINAL, K_PREVIOUS = 1, 2, 4, 8, 16, 32
K_BIDS, K_ASKS, K_BID, K_BID_QTY, K_ASK, K_ASK_QTY = 64, 128, 256, 512, 1024, 2048
K_PRICE, K_QTY, K_NORMAL, K_MAKER, K_MARKET = 4096, 8192, 16384, 32768, 65536
K_ID, K_AGG_ID = 131072, 262144
NEED_DEPTH: Final = K_KIND | K_TIME | K_SYMBOL | K_FIRST | K_FINAL | K_PREVIOUS | K_BIDS | K_ASKS
NEED_LEVELS: Final = K_TIME | K_SYMBOL | K_FINAL
NEED_QUOTE: Final = K_KIND | K_TIME | K_SYMBOL | K_FINAL | K_BID | K_BID_QTY | K_ASK | K_ASK_QTY
NEED_TRADE: Final = K_KIND | K_TIME | K_SYMBOL | K_PRICE | K_QTY | K_MAKER


def _table(entries: dict[str | int, tuple[int, int]]) -> tuple[Any, Any]:
    at, bit = np.zeros(128, np.int64), np.zeros(128, np.int64)
    for key, (column, flag) in entries.items():
        index = key if isinstance(key, int) else ord(key)
        at[index], bit[index] = column, flag
    return at, bit


# Where a key's value goes, by the type it comes in; column 0 is nowhere.
DECIMAL_AT, DECIMAL_BIT = _table({
    "p": (b.H_PRICE, K_PRICE), "q": (b.H_QTY, K_QTY), KEY_NORMAL: (b.H_NORMAL, K_NORMAL),
    "b": (b.H_BID, K_BID), "B": (b.H_BID_QTY, K_BID_QTY),
    "a": (b.H_ASK, K_ASK), "A": (b.H_ASK_QTY, K_ASK_QTY),
})  # fmt: skip
INTEGER_AT, INTEGER_BIT = _table({
    "T": (b.H_TIME, K_TIME), "U": (b.H_FIRST, K_FIRST), "u": (b.H_FINAL, K_FINAL),
    KEY_PREVIOUS: (b.H_PREVIOUS, K_PREVIOUS), "a": (b.H_AGG_ID, K_AGG_ID), "t": (b.H_ID, K_ID),
})  # fmt: skip


def _words(text: bytes) -> tuple[int, int]:
    padded = text.ljust(16, b"\0")
    return int.from_bytes(padded[:8], "little"), int.from_bytes(padded[8:16], "little")


_DEPTH_UPDATE, _DEPTH_UPDATE_2 = _words(b"depthUpdate")
_BOOK_TICKER, _BOOK_TICKER_2 = _words(b"bookTicker")
_TRADE, _ = _words(b"trade")
_AGG_TRADE, _ = _words(b"aggTrade")
_MARKET, _ = _words(b"MARKET")
_DEPTH, _ = _words(b"@depth")
_DATA, _ = _words(b"data")
_STREAM, _ = _words(b"stream")


@njit
def _word(buf: Any, i: Any, end: Any) -> Any:
    """Up to eight bytes of buf[i:end] as one little-endian number."""
    word = np.int64(0)
    for k in range(min(end - i, 8)):
        word |= t.byte(buf, i + k) << (k * 8)
    return word


@njit
def _kind(buf: Any, i: Any, end: Any) -> Any:
    """b.H_KIND of an event name, 0 when it is none we write."""
    first = _word(buf, i, end)
    if end - i > 8:
        second = _word(buf, i + 8, end)
        if first == _DEPTH_UPDATE and second == _DEPTH_UPDATE_2 and end - i == 11:
            return b.DEPTH_UPDATE
        return b.BOOK_TICKER if first == _BOOK_TICKER and second == _BOOK_TICKER_2 and end - i == 10 else 0
    if first == _AGG_TRADE:
        return b.AGGREGATE_TRADE
    return b.SINGLE_TRADE if first == _TRADE else 0


@njit
def _is_difference_or_other(buf: Any, i: Any, end: Any) -> Any:
    """Whether a stream name is free of a book in full (``@depth5``, ``@rpiDepth``)."""
    for k in range(i, end):
        if t.byte(buf, k) == 64:  # @
            if t.byte(buf, k + 1) == 114:  # r
                return False
            if _word(buf, k, k + 6) == _DEPTH and 48 <= t.byte(buf, k + 6) <= 57:
                return False
    return True


@njit
def payload(
    buf: Any, i: Any, ts_recv: Any, publisher: Any, state: Any, rows: Any, n: Any
) -> Any:  # fmt: skip
    """Read the message object that opens at i into the state, levels straight into rows from n on.

    Returns its end, -1 when unsure, -2 when the rows are full.
    """
    seen = np.int64(0)
    met = np.int64(0)
    top = n
    state[b.H_KIND] = 0
    i = t.space(buf, i + 1)
    while True:
        if t.byte(buf, i) != t.QUOTE_MARK:
            return -1
        i += 1
        end = t.text_end(buf, i)
        if end < 0:
            return -1
        # One letter is its own number; two of the longer keys have numbers below them.
        key = np.int64(0)
        if end == i + 1:
            key = t.byte(buf, i)
            if key < 64:
                return -1
        elif end == i + 2 and t.byte(buf, i) == 112 and t.byte(buf, i + 1) == 117:
            key = np.int64(KEY_PREVIOUS)
        elif end == i + 2 and t.byte(buf, i) == 110 and t.byte(buf, i + 1) == 113:
            key = np.int64(KEY_NORMAL)
        # A key met twice, whatever its type, is for the slow path.
        mark = np.int64(1) << (key & 63) if key else np.int64(0)
        if met & mark:
            return -1
        met |= mark
        i = end + 1
        if t.byte(buf, i) != t.COLON:
            i = t.space(buf, i)
            if t.byte(buf, i) != t.COLON:
                return -1
        i = t.space(buf, i + 1)
        c = t.byte(buf, i)
        if c == t.QUOTE_MARK:
            at = DECIMAL_AT[key]
            bit = DECIMAL_BIT[key]
            if at:
                end, state[at], state[at + 1] = t.decimal(buf, i + 1)
                if end < 0:
                    return -1
            else:
                end = t.text_end(buf, i + 1)
                if end < 0:
                    return -1
                if key == KEY_KIND:
                    bit, state[b.H_KIND] = K_KIND, _kind(buf, i + 1, end)
                    if state[b.H_KIND] == 0:
                        return -1
                elif key == KEY_SYMBOL:
                    bit, symbol = K_SYMBOL, t.find_symbol(buf, i + 1, end, state)
                    if symbol == 0 or state[symbol + b.S_STATE] == b.UNKNOWN:
                        return -1
                    state[b.H_SYMBOL] = symbol
                elif key == KEY_STATUS:
                    if end - i != 7 or _word(buf, i + 1, end) != _MARKET:
                        return -1
                    bit = np.int64(K_MARKET)
            i = end + 1
        elif 48 <= c <= 57:
            i, value = t.integer(buf, i, b.DIGITS)
            if i < 0:
                return -1
            bit = INTEGER_BIT[key]
            state[INTEGER_AT[key]] = value
        elif c == t.OPEN_LIST:
            # The grid, the time and the id must be known by now; the venue sends them first.
            if key not in (KEY_BIDS, KEY_ASKS) or seen & NEED_LEVELS != NEED_LEVELS:
                return -1
            if state[b.H_TIME] == 0 or state[b.H_TIME] > b.MOST_MS:
                return -1
            symbol = state[b.H_SYMBOL]
            is_bid = key == KEY_BIDS
            bit = np.int64(K_BIDS if is_bid else K_ASKS)
            i, n = levels(
                buf, i, rows, n, state[b.H_TIME] * b.NS_A_MS, ts_recv, state[b.H_FINAL],
                state[symbol + b.S_ID], np.int64(b.LEVEL_BID if is_bid else b.LEVEL_ASK) | publisher,
                state[symbol + b.S_LOT], state[symbol + b.S_LOT_DECIMALS], state,
            )  # fmt: skip
            if i < 0:
                return i
        elif (
            c == 116 and t.byte(buf, i + 1) == 114 and t.byte(buf, i + 2) == 117 and t.byte(buf, i + 3) == 101
        ):  # true
            i += 4
            bit, state[b.H_MAKER] = (K_MAKER, 1) if key == KEY_MAKER else (0, state[b.H_MAKER])
        elif (
            c == 102
            and t.byte(buf, i + 1) == 97
            and t.byte(buf, i + 2) == 108
            and t.byte(buf, i + 3) == 115
            and t.byte(buf, i + 4) == 101
        ):
            i += 5
            bit, state[b.H_MAKER] = (K_MAKER, 0) if key == KEY_MAKER else (0, state[b.H_MAKER])
        else:
            return -1
        seen |= bit
        i = t.space(buf, i)
        if t.byte(buf, i) == t.COMMA:
            i = t.space(buf, i + 1)
        elif t.byte(buf, i) == t.CLOSE_OBJECT:
            state[b.H_SEEN] = seen
            state[b.H_LEVELS] = n - top
            return i + 1
        else:
            return -1


@njit
def wrapper(buf: Any, i: Any) -> Any:
    """Read ``"data":{`` and ``"stream":"…",`` from i on: (start of the message object, seen).

    `seen` is 0 for a bare message (which then starts where the caller thought), 1 when data came
    first, 3 after both; the start is -1 when unsure.
    """
    seen = 0
    while True:
        if t.byte(buf, i) != t.QUOTE_MARK:
            return -1, seen
        end = t.text_end(buf, i + 1)
        if end < 0:
            return -1, seen
        is_data = end - i == 5 and _word(buf, i + 1, end) == _DATA
        if not is_data and (seen or end - i != 7 or _word(buf, i + 1, end) != _STREAM):
            return -1 if seen else i, seen
        i = t.space(buf, end + 1)
        if t.byte(buf, i) != t.COLON:
            return -1, seen
        i = t.space(buf, i + 1)
        if is_data:
            return i if t.byte(buf, i) == t.OPEN_OBJECT else -1, seen | 1
        seen, i = 2, _stream(buf, i)
        if i < 0 or t.byte(buf, i) != t.COMMA:
            return -1, seen
        i = t.space(buf, i + 1)


@njit
def _stream(buf: Any, i: Any) -> Any:
    """Position after the stream name at i and spaces; -1 when unsure of it."""
    if t.byte(buf, i) != t.QUOTE_MARK:
        return -1
    end = t.text_end(buf, i + 1)
    if end < 0 or not _is_difference_or_other(buf, i + 1, end):
        return -1
    return t.space(buf, end + 1)


@njit
def after(buf: Any, i: Any, seen: Any) -> Any:
    """End of a wrapper whose message ended at i: ``}`` or ``,"stream":"…"}``; -1 when unsure."""
    i = t.space(buf, i)
    if t.byte(buf, i) == t.COMMA and seen == 1:
        i = t.space(buf, i + 1)
        end = t.text_end(buf, i + 1)
        if t.byte(buf, i) != t.QUOTE_MARK or end - i != 7 or _word(buf, i + 1, end) != _STREAM:
            return -1
        i = t.space(buf, end + 1)
        if t.byte(buf, i) != t.COLON:
            return -1
        i = _stream(buf, t.space(buf, i + 1))
        if i < 0:
            return -1
    return i + 1 if t.byte(buf, i) == t.CLOSE_OBJECT else -1
