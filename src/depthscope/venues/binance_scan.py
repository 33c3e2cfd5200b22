"""Byte scanner of Binance USD-M messages: from JSON text to EVENT rows without Python objects.

What it is not sure about it leaves, at :data:`binance_layout.UNSURE`, to
:mod:`depthscope.venues.binance_json`; what the sequence rule must decide, to
:mod:`depthscope.venues.binance_sync`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from depthscope.jit import kernel
from depthscope.market.events import UNDEF_PRICE
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_message as m
from depthscope.venues import binance_tokens as t
from depthscope.venues.binance_tokens import njit


@njit
def _write(
    row: Any, ts_event: Any, ts_recv: Any, price: Any, size: Any, sequence: Any, word6: Any, word7: Any
) -> None:
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
    if head[b.H_SEEN] & m.NEED_DEPTH != m.NEED_DEPTH or head[b.H_FIRST] > head[b.H_FINAL]:
        return b.UNSURE, n
    if symbol[b.S_STATE] != b.LIVE or head[b.H_PREVIOUS] != symbol[b.S_LAST]:
        return b.RULE, n
    end = n + head[b.H_LEVELS]
    if end == n:
        if end == rows.shape[0]:
            return b.ROOM, n
        word7 = b.NOTHING | publisher
        _write(rows[n], head[b.H_TIME], ts_recv, UNDEF_PRICE, 0, head[b.H_FINAL], symbol[b.S_ID], word7)
        end += 1
    else:
        rows[end - 1, 7] |= b.LAST_BITS
    symbol[b.S_LAST], symbol[b.S_TIME], symbol[b.S_FRESH] = head[b.H_FINAL], head[b.H_TIME], 0
    counts[b.N_DEPTH] += 1
    counts[b.N_LEVELS] += head[b.H_LEVELS]
    return b.DONE, end


@njit
def _lots_at(head: Any, at: Any, symbol: Any) -> Any:
    return t.lots_of(head[at], head[at + 1], symbol[b.S_LOT], symbol[b.S_LOT_DECIMALS])


@njit
def _price_at(head: Any, at: Any) -> Any:
    """Fixed-point price, 0 when it is zero or does not fit."""
    digits, decimals = head[at], head[at + 1]
    return digits * b.POW10[9 - decimals] if digits <= b.PRICE_MOST[decimals] else np.int64(0)


@njit
def _quote(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, head: Any, counts: Any) -> Any:
    if head[b.H_SEEN] & m.NEED_QUOTE != m.NEED_QUOTE:
        return b.UNSURE, n
    bid, ask = _price_at(head, b.H_BID), _price_at(head, b.H_ASK)
    bid_lots, ask_lots = _lots_at(head, b.H_BID_QTY, symbol), _lots_at(head, b.H_ASK_QTY, symbol)
    if bid == 0 or ask == 0 or bid_lots < 0 or ask_lots < 0:
        return b.UNSURE, n
    if n + 2 > rows.shape[0]:
        return b.ROOM, n
    when, sequence, word6 = head[b.H_TIME], head[b.H_FINAL], symbol[b.S_ID]
    _write(rows[n], when, ts_recv, bid, bid_lots, sequence, word6, b.QUOTE_BID | publisher)
    _write(rows[n + 1], when, ts_recv, ask, ask_lots, sequence, word6, b.QUOTE_ASK | publisher)
    counts[b.N_QUOTES] += 1
    return b.DONE, n + 2


@njit
def _trade(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, head: Any, counts: Any) -> Any:
    seen = head[b.H_SEEN]
    if seen & m.NEED_TRADE != m.NEED_TRADE:
        return b.UNSURE, n
    at, sequence = b.H_QTY, head[b.H_ID]
    if head[b.H_KIND] == b.SINGLE_TRADE:
        if seen & (m.K_MARKET | m.K_ID) != m.K_MARKET | m.K_ID or symbol[b.S_TRADES] != b.SINGLE_TRADES:
            return b.UNSURE, n
    else:
        if not seen & m.K_AGG_ID or symbol[b.S_TRADES] != b.AGGREGATE_TRADES:
            return b.UNSURE, n
        sequence = head[b.H_AGG_ID]
        if seen & m.K_NORMAL:
            at = b.H_NORMAL
    price, lots = _price_at(head, b.H_PRICE), _lots_at(head, at, symbol)
    if price == 0 or lots <= 0:
        return b.UNSURE, n
    if n == rows.shape[0]:
        return b.ROOM, n
    word7 = b.TRADE_SELL if head[b.H_MAKER] else b.TRADE_BUY
    _write(rows[n], head[b.H_TIME], ts_recv, price, lots, sequence, symbol[b.S_ID], word7 | publisher)
    counts[b.N_TRADES] += 1
    return b.DONE, n + 1


@njit
def _line_time(buf: Any, i: Any, framing: Any) -> Any:
    """(start of the JSON, receive time in ns) of a line; start -1 when unsure."""
    i, value = t.integer(buf, i, 19)  # of 19 digits, those that overflow come out negative
    if i < 0:
        return -1, value
    if framing == b.SECONDS:
        if value > b.MOST_NS // 1_000_000_000:
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
        if buf[i] != t.COLON:
            return -1, value
        i += 1
        value = value * 1_000_000_000 + fraction * b.POW10[9 - decimals]
    if value < b.LEAST_NS or value > b.MOST_NS or buf[i] != 32:
        return -1, value
    return t.space(buf, i), value


@njit
def keep_time(clock: Any, counts: Any, ts_recv: Any, ts_event: Any) -> None:
    """Note a message's times: receive time going back, and receive minus venue time."""
    back = clock[b.T_LAST] - ts_recv
    if back > 0:
        counts[b.N_BACK] += 1
        clock[b.T_BACK_MOST] = max(clock[b.T_BACK_MOST], back)
    clock[b.T_LAST] = ts_recv
    lag = ts_recv - ts_event
    clock[b.T_LAG_LEAST] = min(clock[b.T_LAG_LEAST], lag)
    clock[b.T_LAG_MOST] = max(clock[b.T_LAG_MOST], lag)


_I1 = types.int64[::1]
_I2 = types.int64[:, ::1]


@kernel(
    types.int64(
        types.uint8[::1], types.int64, types.int64, types.int64, types.int64, types.int64,
        types.int32[::1], types.uint64[:, ::1], _I2, _I2, types.int64, _I1, _I1, _I1,
    )
)  # fmt: skip
def scan(
    buf: Any, i: Any, stop: Any, framing: Any, until: Any, publisher: Any, slots: Any, words: Any,
    symbols: Any, rows: Any, n: Any, head: Any, counts: Any, clock: Any,
) -> Any:  # fmt: skip
    """Write the events of buf[i:stop] into rows from n on.

    Parameters
    ----------
    buf : uint8[stop + PADDING]
        Text; with line framing buf[stop - 1] is a newline.
    framing, until : int
        b.BARE, b.NANOS or b.SECONDS; the receive time of the one message, or of the last line wanted.
    publisher : int
        Goes into every row.
    slots, words, symbols : int32[2^k], uint64[:, 4], int64[:, b.SYMBOL_COLUMNS]
        Symbol table: open addressing, names, columns S_*.
    rows : int64[:, 8]
        EVENT rows.
    head, counts, clock : int64[b.HEAD], int64[b.COUNTS], int64[b.CLOCK]
        Scratch and answers; counters; times.

    Returns
    -------
    int
        b.DONE, b.UNSURE, b.RULE or b.ROOM; ``head[b.H_POS]`` is the first byte not used and ``head[b.H_N]``
        the rows written. After b.RULE the b.H_LEVELS rows beyond it belong to the update.
    """
    head[b.H_POS], head[b.H_N] = i, n
    ts_recv = until
    while i < stop:
        if framing == b.BARE:
            i = t.space(buf, i)
        else:
            i, ts_recv = _line_time(buf, i, framing)
            if i < 0:
                return b.UNSURE
            if ts_recv > until:
                return b.DONE
        if buf[i] != t.OPEN_OBJECT:
            return b.UNSURE
        first, seen = m.wrapper(buf, t.space(buf, i + 1))
        if first < 0:
            return b.UNSURE
        i = m.payload(buf, first if seen else i, ts_recv, publisher, slots, words, symbols, rows, n, head)
        if i < 0:
            return b.ROOM if i == -2 else b.UNSURE
        if seen:
            i = m.after(buf, i, seen)
            if i < 0:
                return b.UNSURE
        i = t.space(buf, i)
        if framing == b.BARE:
            if buf[i] == 10:
                i = t.space(buf, i + 1)
            if i != stop:
                return b.UNSURE
        elif buf[i] != 10:
            return b.UNSURE
        else:
            i += 1
        if head[b.H_SEEN] & (m.K_SYMBOL | m.K_TIME) != m.K_SYMBOL | m.K_TIME:
            return b.UNSURE
        if head[b.H_TIME] == 0 or head[b.H_TIME] > b.MOST_MS:
            return b.UNSURE
        head[b.H_TIME] *= b.NS_A_MS
        symbol = symbols[head[b.H_SYMBOL]]
        kind = head[b.H_KIND]
        if kind == b.DEPTH_UPDATE:
            answer, end = _depth(rows, n, ts_recv, publisher, symbol, head, counts)
        elif kind == b.BOOK_TICKER:
            answer, end = _quote(rows, n, ts_recv, publisher, symbol, head, counts)
        elif kind in (b.SINGLE_TRADE, b.AGGREGATE_TRADE):
            answer, end = _trade(rows, n, ts_recv, publisher, symbol, head, counts)
        else:
            return b.UNSURE
        if answer != b.DONE:
            return answer
        keep_time(clock, counts, ts_recv, head[b.H_TIME])
        counts[b.N_FRAMES] += 1
        n = end
        head[b.H_POS], head[b.H_N] = i, n
    return b.DONE
