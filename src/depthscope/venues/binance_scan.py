"""Byte scanner of Binance USD-M messages: from JSON text to EVENT rows without Python objects.

The scanner is *certain or silent*. It takes what the venue sends (keys in any usable order,
spaces, unknown scalar keys) and answers :data:`UNSURE` on anything else; the same bytes then go
through :mod:`depthscope.venues.binance_json`, which decides slowly and completely.

Rows are EVENT records seen as eight int64 columns (:func:`pack6` and :func:`pack7` say how the
narrow fields share the last two), so that a level is eight plain stores.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from depthscope.jit import kernel
from depthscope.market.events import ASK, BID, LAST, LEVEL, NO_SIDE, NONE, QUOTE, TRADE, UNDEF_PRICE
from depthscope.venues.binance_tokens import (
    CLOSE_OBJECT, COLON, COMMA, DIGITS, OPEN_LIST, OPEN_OBJECT, POW10, PRICE_MOST, QUOTE_MARK, decimal, find_symbol,
    integer, levels, lots_of, njit, space, text_end,
)  # fmt: skip

# What `scan` answers.
DONE: Final = 0  # everything up to `stop`, or up to the first line later than `until`
UNSURE: Final = 1  # the message at H_POS needs the slow path
RULE: Final = 2  # the depth update at H_POS is read; the sequence rule must decide on it
ROOM: Final = 3  # the rows are full; nothing of the message at H_POS was kept

# How messages are framed.
BARE: Final = 0  # one message; its receive time stands in `until`
NANOS: Final = 1  # lines of "<nanoseconds> {json}"
SECONDS: Final = 2  # lines of "<seconds.fraction>: {json}"

# Columns of `head`, the scratch of one message. Decimals take two: digits, number of decimals.
H_NOWHERE, H_POS, H_N, H_SEEN, H_KIND, H_SYMBOL, H_LEVELS = 0, 1, 2, 3, 4, 5, 6
H_TIME, H_FIRST, H_FINAL, H_PREVIOUS, H_MAKER, H_ID = 7, 8, 9, 10, 11, 12
H_PRICE, H_QTY, H_NORMAL, H_BID, H_BID_QTY, H_ASK, H_ASK_QTY = 14, 16, 18, 20, 22, 24, 26
HEAD: Final = 28

# Columns of the symbol table, shared with the decoder.
S_ID, S_STATE, S_LAST, S_TIME, S_TRADES, S_LOT, S_LOT_DECIMALS, S_FRESH = 0, 1, 2, 3, 4, 5, 6, 7
SYMBOL_COLUMNS: Final = 8
SYNCING, LIVE, UNKNOWN = 0, 1, 2  # S_STATE; UNKNOWN: no tick is known, so nothing is written
NO_TRADES, SINGLE_TRADES, AGGREGATE_TRADES = 0, 1, 2  # S_TRADES: the trade stream in use

# Columns of `counts` and of `clock`.
N_FRAMES, N_DEPTH, N_LEVELS, N_TRADES, N_QUOTES, N_BACK = 0, 1, 2, 3, 4, 5
COUNTS: Final = 6
T_LAST, T_BACK_MOST, T_LAG_LEAST, T_LAG_MOST = 0, 1, 2, 3
CLOCK: Final = 4

DEPTH_UPDATE, SINGLE_TRADE, AGGREGATE_TRADE, BOOK_TICKER = 1, 2, 3, 4  # H_KIND

# Keys: a letter's own code; two longer ones take numbers that no letter has.
KEY_PREVIOUS, KEY_NORMAL = 27, 28  # "pu", "nq"
KEY_KIND, KEY_SYMBOL, KEY_STATUS, KEY_MAKER = ord("e"), ord("s"), ord("X"), ord("m")
KEY_BIDS, KEY_ASKS = ord("b"), ord("a")

# Bits of H_SEEN, one a value of the right type.
(K_KIND, K_TIME, K_SYMBOL, K_FIRST, K_FINAL, K_PREVIOUS, K_BIDS, K_ASKS, K_BID, K_BID_QTY,
 K_ASK, K_ASK_QTY, K_PRICE, K_QTY, K_NORMAL, K_MAKER, K_MARKET, K_ID) = (1 << np.arange(18)).tolist()  # fmt: skip
NEED_DEPTH: Final = K_KIND | K_TIME | K_SYMBOL | K_FIRST | K_FINAL | K_PREVIOUS | K_BIDS | K_ASKS
NEED_LEVELS: Final = K_TIME | K_SYMBOL | K_FINAL
NEED_QUOTE: Final = K_KIND | K_TIME | K_SYMBOL | K_FINAL | K_BID | K_BID_QTY | K_ASK | K_ASK_QTY
NEED_TRADE: Final = K_KIND | K_TIME | K_SYMBOL | K_PRICE | K_QTY | K_MAKER | K_ID


def _table(entries: dict[str | int, tuple[int, int]]) -> tuple[Any, Any]:
    at, bit = np.zeros(128, np.int64), np.zeros(128, np.int64)
    for key, (column, flag) in entries.items():
        index = key if isinstance(key, int) else ord(key)
        at[index], bit[index] = column, flag
    return at, bit


# Where a key's value goes, by the type it comes in; column 0 is nowhere.
DECIMAL_AT, DECIMAL_BIT = _table({
    "p": (H_PRICE, K_PRICE), "q": (H_QTY, K_QTY), KEY_NORMAL: (H_NORMAL, K_NORMAL), "b": (H_BID, K_BID),
    "B": (H_BID_QTY, K_BID_QTY), "a": (H_ASK, K_ASK), "A": (H_ASK_QTY, K_ASK_QTY),
})  # fmt: skip
INTEGER_AT, INTEGER_BIT = _table({
    "T": (H_TIME, K_TIME), "U": (H_FIRST, K_FIRST), "u": (H_FINAL, K_FINAL),
    KEY_PREVIOUS: (H_PREVIOUS, K_PREVIOUS), "a": (H_ID, K_ID), "t": (H_ID, K_ID),
})  # fmt: skip

MOST_MS: Final = 9_000_000_000_000  # a later millisecond would not fit int64 nanoseconds
LEAST_NS: Final = 10**17  # 1973; a smaller receive time is in some other unit
MOST_NS: Final = 9 * 10**18
NS_A_MS: Final = 1_000_000

LAST_BITS: Final = LAST << 48
LEVEL_BID: Final = (LEVEL << 32) | (BID << 40)
LEVEL_ASK: Final = (LEVEL << 32) | (ASK << 40)
QUOTE_BID: Final = (QUOTE << 32) | (BID << 40)
QUOTE_ASK: Final = (QUOTE << 32) | (ASK << 40) | LAST_BITS
NOTHING: Final = (NONE << 32) | (NO_SIDE << 40) | LAST_BITS
TRADE_BUY: Final = (TRADE << 32) | (BID << 40) | LAST_BITS
TRADE_SELL: Final = (TRADE << 32) | (ASK << 40) | LAST_BITS


def pack6(instrument_id: int, aux: int = 0) -> int:
    """Column 6 of a row: ``instrument_id, aux``."""
    return instrument_id | (aux << 32)


def pack7(publisher: int, action: int, side: int, flags: int = 0, cond: int = 0) -> int:
    """Column 7 of a row: ``publisher, cond, action, side, flags, reserved``."""
    word = publisher | (cond << 16) | (action << 32) | (side << 40) | (flags << 48)
    return word - (1 << 64) if word >> 63 else word  # as the signed integer with these bits


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
        word |= np.int64(buf[i + k]) << (k * 8)
    return word


@njit
def _kind(buf: Any, i: Any, end: Any) -> Any:
    """H_KIND of an event name, 0 when it is none we write."""
    first = _word(buf, i, end)
    if end - i > 8:
        second = _word(buf, i + 8, end)
        if first == _DEPTH_UPDATE and second == _DEPTH_UPDATE_2 and end - i == 11:
            return DEPTH_UPDATE
        return BOOK_TICKER if first == _BOOK_TICKER and second == _BOOK_TICKER_2 and end - i == 10 else 0
    if first == _AGG_TRADE:
        return AGGREGATE_TRADE
    return SINGLE_TRADE if first == _TRADE else 0


@njit
def _is_difference_or_other(buf: Any, i: Any, end: Any) -> Any:
    """Whether a stream name is free of a book in full (``@depth5``, ``@rpiDepth``)."""
    for k in range(i, end):
        if buf[k] == 64:  # @
            if buf[k + 1] == 114:  # r
                return False
            if _word(buf, k, k + 6) == _DEPTH and 48 <= buf[k + 6] <= 57:
                return False
    return True


@njit
def _payload(
    buf: Any, i: Any, ts_recv: Any, publisher: Any, slots: Any, words: Any, symbols: Any, rows: Any, n: Any,
    head: Any,
) -> Any:  # fmt: skip
    """Read the message object that opens at i into `head`, levels straight into rows from n on.

    Returns its end, -1 when unsure, -2 when the rows are full.
    """
    seen = np.int64(0)
    met = np.int64(0)
    top = n
    head[H_KIND] = 0
    i = space(buf, i + 1)
    while True:
        if buf[i] != QUOTE_MARK:
            return -1
        i += 1
        end = text_end(buf, i)
        if end < 0:
            return -1
        # One letter is its own number; two of the longer keys have numbers below them.
        key = np.int64(0)
        if end == i + 1:
            key = np.int64(buf[i])
            if key < 64:
                return -1
        elif end == i + 2 and buf[i] == 112 and buf[i + 1] == 117:
            key = np.int64(KEY_PREVIOUS)
        elif end == i + 2 and buf[i] == 110 and buf[i + 1] == 113:
            key = np.int64(KEY_NORMAL)
        # A key met twice, whatever its type, is for the slow path.
        mark = np.int64(1) << (key & 63) if key else np.int64(0)
        if met & mark:
            return -1
        met |= mark
        i = end + 1
        if buf[i] != COLON:
            i = space(buf, i)
            if buf[i] != COLON:
                return -1
        i = space(buf, i + 1)
        c = buf[i]
        if c == QUOTE_MARK:
            at = DECIMAL_AT[key]
            bit = DECIMAL_BIT[key]
            if at:
                end, head[at], head[at + 1] = decimal(buf, i + 1)
                if end < 0:
                    return -1
            else:
                end = text_end(buf, i + 1)
                if end < 0:
                    return -1
                if key == KEY_KIND:
                    bit, head[H_KIND] = K_KIND, _kind(buf, i + 1, end)
                    if head[H_KIND] == 0:
                        return -1
                elif key == KEY_SYMBOL:
                    bit, symbol = K_SYMBOL, find_symbol(buf, i + 1, end, slots, words)
                    if symbol < 0 or symbols[symbol, S_STATE] == UNKNOWN:
                        return -1
                    head[H_SYMBOL] = symbol
                elif key == KEY_STATUS:
                    if end - i != 7 or _word(buf, i + 1, end) != _MARKET:
                        return -1
                    bit = np.int64(K_MARKET)
            i = end + 1
        elif 48 <= c <= 57:
            i, value = integer(buf, i, DIGITS)
            if i < 0:
                return -1
            bit = INTEGER_BIT[key]
            head[INTEGER_AT[key]] = value
        elif c == OPEN_LIST:
            # The grid, the time and the id must be known by now; the venue sends them first.
            if (key != KEY_BIDS and key != KEY_ASKS) or seen & NEED_LEVELS != NEED_LEVELS:
                return -1
            if head[H_TIME] == 0 or head[H_TIME] > MOST_MS:
                return -1
            symbol = head[H_SYMBOL]
            is_bid = key == KEY_BIDS
            bit = np.int64(K_BIDS if is_bid else K_ASKS)
            i, n = levels(
                buf, i, rows, n, head[H_TIME] * NS_A_MS, ts_recv, head[H_FINAL], symbols[symbol, S_ID],
                np.int64(LEVEL_BID if is_bid else LEVEL_ASK) | publisher,
                symbols[symbol, S_LOT], symbols[symbol, S_LOT_DECIMALS],
            )  # fmt: skip
            if i < 0:
                return i
        elif c == 116 and buf[i + 1] == 114 and buf[i + 2] == 117 and buf[i + 3] == 101:  # true
            i += 4
            bit, head[H_MAKER] = (K_MAKER, 1) if key == KEY_MAKER else (0, head[H_MAKER])
        elif c == 102 and buf[i + 1] == 97 and buf[i + 2] == 108 and buf[i + 3] == 115 and buf[i + 4] == 101:
            i += 5
            bit, head[H_MAKER] = (K_MAKER, 0) if key == KEY_MAKER else (0, head[H_MAKER])
        else:
            return -1
        seen |= bit
        i = space(buf, i)
        if buf[i] == COMMA:
            i = space(buf, i + 1)
        elif buf[i] == CLOSE_OBJECT:
            head[H_SEEN] = seen
            head[H_LEVELS] = n - top
            return i + 1
        else:
            return -1


@njit
def _wrapper(buf: Any, i: Any) -> Any:
    """Read ``"data":{`` and ``"stream":"…",`` from i on: (start of the message object, seen).

    `seen` is 0 for a bare message (which then starts where the caller thought), 1 when data came
    first, 3 after both; the start is -1 when unsure.
    """
    seen = 0
    while True:
        if buf[i] != QUOTE_MARK:
            return -1, seen
        end = text_end(buf, i + 1)
        if end < 0:
            return -1, seen
        is_data = end - i == 5 and _word(buf, i + 1, end) == _DATA
        if not is_data and (seen or end - i != 7 or _word(buf, i + 1, end) != _STREAM):
            return -1 if seen else i, seen
        i = space(buf, end + 1)
        if buf[i] != COLON:
            return -1, seen
        i = space(buf, i + 1)
        if is_data:
            return i if buf[i] == OPEN_OBJECT else -1, seen | 1
        seen, i = 2, _stream(buf, i)
        if i < 0 or buf[i] != COMMA:
            return -1, seen
        i = space(buf, i + 1)


@njit
def _stream(buf: Any, i: Any) -> Any:
    """Position after the stream name at i and spaces; -1 when unsure of it."""
    if buf[i] != QUOTE_MARK:
        return -1
    end = text_end(buf, i + 1)
    if end < 0 or not _is_difference_or_other(buf, i + 1, end):
        return -1
    return space(buf, end + 1)


@njit
def _after(buf: Any, i: Any, seen: Any) -> Any:
    """End of a wrapper whose message ended at i: ``}`` or ``,"stream":"…"}``; -1 when unsure."""
    i = space(buf, i)
    if buf[i] == COMMA and seen == 1:
        i = space(buf, i + 1)
        end = text_end(buf, i + 1)
        if buf[i] != QUOTE_MARK or end - i != 7 or _word(buf, i + 1, end) != _STREAM:
            return -1
        i = space(buf, end + 1)
        if buf[i] != COLON:
            return -1
        i = _stream(buf, space(buf, i + 1))
        if i < 0:
            return -1
    return i + 1 if buf[i] == CLOSE_OBJECT else -1


@njit
def _write(row: Any, ts_event: Any, ts_recv: Any, price: Any, size: Any, sequence: Any, word6: Any, word7: Any) -> None:
    row[0] = ts_event
    row[1] = ts_recv
    row[2] = 0
    row[3] = price
    row[4] = size
    row[5] = sequence
    row[6] = word6
    row[7] = word7


@njit
def _depth(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, head: Any, counts: Any) -> Any:
    """Take a depth update that follows the one before it: (answer, n)."""
    if head[H_SEEN] & NEED_DEPTH != NEED_DEPTH or head[H_FIRST] > head[H_FINAL]:
        return UNSURE, n
    if symbol[S_STATE] != LIVE or head[H_PREVIOUS] != symbol[S_LAST]:
        return RULE, n
    end = n + head[H_LEVELS]
    if end == n:
        if end == rows.shape[0]:
            return ROOM, n
        _write(
            rows[n], head[H_TIME], ts_recv, UNDEF_PRICE, 0, head[H_FINAL], symbol[S_ID], NOTHING | publisher
        )
        end += 1
    else:
        rows[end - 1, 7] |= LAST_BITS
    symbol[S_LAST], symbol[S_TIME], symbol[S_FRESH] = head[H_FINAL], head[H_TIME], 0
    counts[N_DEPTH] += 1
    counts[N_LEVELS] += head[H_LEVELS]
    return DONE, end


@njit
def _lots_at(head: Any, at: Any, symbol: Any) -> Any:
    return lots_of(head[at], head[at + 1], symbol[S_LOT], symbol[S_LOT_DECIMALS])


@njit
def _price_at(head: Any, at: Any) -> Any:
    """Fixed-point price, 0 when it is zero or does not fit."""
    digits, decimals = head[at], head[at + 1]
    return digits * POW10[9 - decimals] if digits <= PRICE_MOST[decimals] else np.int64(0)


@njit
def _quote(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, head: Any, counts: Any) -> Any:
    if head[H_SEEN] & NEED_QUOTE != NEED_QUOTE:
        return UNSURE, n
    bid, ask = _price_at(head, H_BID), _price_at(head, H_ASK)
    bid_lots, ask_lots = _lots_at(head, H_BID_QTY, symbol), _lots_at(head, H_ASK_QTY, symbol)
    if bid == 0 or ask == 0 or bid_lots < 0 or ask_lots < 0:
        return UNSURE, n
    if n + 2 > rows.shape[0]:
        return ROOM, n
    when, sequence, word6 = head[H_TIME], head[H_FINAL], symbol[S_ID]
    _write(rows[n], when, ts_recv, bid, bid_lots, sequence, word6, QUOTE_BID | publisher)
    _write(rows[n + 1], when, ts_recv, ask, ask_lots, sequence, word6, QUOTE_ASK | publisher)
    counts[N_QUOTES] += 1
    return DONE, n + 2


@njit
def _trade(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, head: Any, counts: Any) -> Any:
    seen = head[H_SEEN]
    if seen & NEED_TRADE != NEED_TRADE:
        return UNSURE, n
    at = H_QTY
    if head[H_KIND] == SINGLE_TRADE:
        if not seen & K_MARKET or symbol[S_TRADES] != SINGLE_TRADES:
            return UNSURE, n
    else:
        if symbol[S_TRADES] != AGGREGATE_TRADES:
            return UNSURE, n
        if seen & K_NORMAL:
            at = H_NORMAL
    price, lots = _price_at(head, H_PRICE), _lots_at(head, at, symbol)
    if price == 0 or lots <= 0:
        return UNSURE, n
    if n == rows.shape[0]:
        return ROOM, n
    word7 = TRADE_SELL if head[H_MAKER] else TRADE_BUY
    _write(rows[n], head[H_TIME], ts_recv, price, lots, head[H_ID], symbol[S_ID], word7 | publisher)
    counts[N_TRADES] += 1
    return DONE, n + 1


@njit
def _line_time(buf: Any, i: Any, framing: Any) -> Any:
    """(start of the JSON, receive time in ns) of a line; start -1 when unsure."""
    i, value = integer(buf, i, 19)  # of 19 digits, those that overflow come out negative
    if i < 0:
        return -1, value
    if framing == SECONDS:
        if value > MOST_NS // 1_000_000_000:
            return -1, value
        decimals = 0
        fraction = np.int64(0)
        if buf[i] == 46:
            i += 1
            while 48 <= buf[i] <= 57:
                fraction = fraction * 10 + np.int64(buf[i] - 48)
                decimals += 1
                i += 1
                if decimals > 9:
                    return -1, value
            if decimals == 0:
                return -1, value
        if buf[i] != COLON:
            return -1, value
        i += 1
        value = value * 1_000_000_000 + fraction * POW10[9 - decimals]
    if value < LEAST_NS or value > MOST_NS or buf[i] != 32:
        return -1, value
    return space(buf, i), value


@njit
def keep_time(clock: Any, counts: Any, ts_recv: Any, ts_event: Any) -> None:
    """Note a message's times: receive time going back, and receive minus venue time."""
    back = clock[T_LAST] - ts_recv
    if back > 0:
        counts[N_BACK] += 1
        clock[T_BACK_MOST] = max(clock[T_BACK_MOST], back)
    clock[T_LAST] = ts_recv
    lag = ts_recv - ts_event
    clock[T_LAG_LEAST] = min(clock[T_LAG_LEAST], lag)
    clock[T_LAG_MOST] = max(clock[T_LAG_MOST], lag)


_I1 = types.int64[::1]
_I2 = types.int64[:, ::1]


@kernel(
    types.int64(
        types.uint8[::1], types.int64, types.int64, types.int64, types.int64, types.int64,
        types.int32[::1], types.uint64[:, ::1], _I2, _I2, types.int64, _I1, _I1, _I1,
    )
)  # fmt: skip
def scan(
    buf: Any, i: Any, stop: Any, framing: Any, until: Any, publisher: Any, slots: Any, words: Any, symbols: Any,
    rows: Any, n: Any, head: Any, counts: Any, clock: Any,
) -> Any:  # fmt: skip
    """Write the events of buf[i:stop] into rows from n on.

    Parameters
    ----------
    buf : uint8[stop + PADDING]
        Text; with line framing buf[stop - 1] is a newline.
    framing, until : int
        BARE, NANOS or SECONDS; the receive time of the one message, or of the last line wanted.
    publisher : int
        Goes into every row.
    slots, words, symbols : int32[2^k], uint64[:, 4], int64[:, SYMBOL_COLUMNS]
        Symbol table: open addressing, names, columns S_*.
    rows : int64[:, 8]
        EVENT rows.
    head, counts, clock : int64[HEAD], int64[COUNTS], int64[CLOCK]
        Scratch and answers; counters; times.

    Returns
    -------
    int
        DONE, UNSURE, RULE or ROOM; ``head[H_POS]`` is the first byte not used and ``head[H_N]``
        the rows written. After RULE the H_LEVELS rows beyond it belong to the update.
    """
    head[H_POS], head[H_N] = i, n
    ts_recv = until
    while i < stop:
        if framing == BARE:
            i = space(buf, i)
        else:
            i, ts_recv = _line_time(buf, i, framing)
            if i < 0:
                return UNSURE
            if ts_recv > until:
                return DONE
        if buf[i] != OPEN_OBJECT:
            return UNSURE
        first, seen = _wrapper(buf, space(buf, i + 1))
        if first < 0:
            return UNSURE
        i = _payload(
            buf, first if seen else i, ts_recv, publisher, slots, words, symbols, rows, n, head
        )
        if i < 0:
            return ROOM if i == -2 else UNSURE
        if seen:
            i = _after(buf, i, seen)
            if i < 0:
                return UNSURE
        i = space(buf, i)
        if framing == BARE:
            if buf[i] == 10:
                i = space(buf, i + 1)
            if i != stop:
                return UNSURE
        elif buf[i] != 10:
            return UNSURE
        else:
            i += 1
        if head[H_SEEN] & (K_SYMBOL | K_TIME) != K_SYMBOL | K_TIME:
            return UNSURE
        if head[H_TIME] == 0 or head[H_TIME] > MOST_MS:
            return UNSURE
        head[H_TIME] *= NS_A_MS
        symbol = symbols[head[H_SYMBOL]]
        kind = head[H_KIND]
        if kind == DEPTH_UPDATE:
            answer, end = _depth(rows, n, ts_recv, publisher, symbol, head, counts)
        elif kind == BOOK_TICKER:
            answer, end = _quote(rows, n, ts_recv, publisher, symbol, head, counts)
        elif kind == SINGLE_TRADE or kind == AGGREGATE_TRADE:
            answer, end = _trade(rows, n, ts_recv, publisher, symbol, head, counts)
        else:
            return UNSURE
        if answer != DONE:
            return answer
        keep_time(clock, counts, ts_recv, head[H_TIME])
        counts[N_FRAMES] += 1
        n = end
        head[H_POS], head[H_N] = i, n
    return DONE
