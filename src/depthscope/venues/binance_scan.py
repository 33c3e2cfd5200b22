"""Byte scanner of Binance USD-M messages: from JSON text to EVENT rows without Python objects.

What it is not sure about it leaves, at :data:`binance_layout.UNSURE`, to
:mod:`depthscope.venues.binance_json`; what the sequence rule must decide, to
:mod:`depthscope.venues.binance_sync`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from depthscope.jit import carray, kernel, pointer
from depthscope.market.events import UNDEF_PRICE
from depthscope.venues import binance_layout as b
from depthscope.venues import binance_message as m
from depthscope.venues import binance_tokens as t
from depthscope.venues.binance_symbols import PUBLISHER
from depthscope.venues.binance_tokens import njit
from depthscope.venues.lines import PADDING


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
def _depth(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, state: Any) -> Any:
    """Take a depth update that follows the one before it: (answer, n)."""
    if state[b.H_SEEN] & m.NEED_DEPTH != m.NEED_DEPTH or state[b.H_FIRST] > state[b.H_FINAL]:
        return b.UNSURE, n
    if state[symbol + b.S_STATE] != b.LIVE or state[b.H_PREVIOUS] != state[symbol + b.S_LAST]:
        return b.RULE, n
    end = n + state[b.H_LEVELS]
    if end == n:
        if end == rows.shape[0]:
            return b.ROOM, n
        word7 = b.NOTHING | publisher
        _write(
            rows[n], state[b.H_TIME], ts_recv, UNDEF_PRICE, 0, state[b.H_FINAL], state[symbol + b.S_ID], word7
        )
        end += 1
    else:
        rows[end - 1, 7] |= b.LAST_BITS
    state[symbol + b.S_LAST], state[symbol + b.S_TIME], state[symbol + b.S_FRESH] = (
        state[b.H_FINAL],
        state[b.H_TIME],
        0,
    )
    state[b.N_DEPTH] += 1
    state[b.N_LEVELS] += state[b.H_LEVELS]
    return b.DONE, end


@njit
def _lots_at(state: Any, at: Any, symbol: Any) -> Any:
    return t.lots_of(state[at], state[at + 1], state[symbol + b.S_LOT], state[symbol + b.S_LOT_DECIMALS])


@njit
def _price_at(state: Any, at: Any) -> Any:
    """Fixed-point price, 0 when it is zero or does not fit."""
    digits, decimals = state[at], state[at + 1]
    return digits * b.POW10[9 - decimals] if digits <= b.PRICE_MOST[decimals] else np.int64(0)


@njit
def _quote(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, state: Any) -> Any:
    if state[b.H_SEEN] & m.NEED_QUOTE != m.NEED_QUOTE:
        return b.UNSURE, n
    bid, ask = _price_at(state, b.H_BID), _price_at(state, b.H_ASK)
    bid_lots, ask_lots = _lots_at(state, b.H_BID_QTY, symbol), _lots_at(state, b.H_ASK_QTY, symbol)
    if bid == 0 or ask == 0 or bid_lots < 0 or ask_lots < 0:
        return b.UNSURE, n
    if n + 2 > rows.shape[0]:
        return b.ROOM, n
    when, sequence, word6 = state[b.H_TIME], state[b.H_FINAL], state[symbol + b.S_ID]
    _write(rows[n], when, ts_recv, bid, bid_lots, sequence, word6, b.QUOTE_BID | publisher)
    _write(rows[n + 1], when, ts_recv, ask, ask_lots, sequence, word6, b.QUOTE_ASK | publisher)
    state[b.N_QUOTES] += 1
    return b.DONE, n + 2


@njit
def _trade(rows: Any, n: Any, ts_recv: Any, publisher: Any, symbol: Any, state: Any) -> Any:
    seen = state[b.H_SEEN]
    if seen & m.NEED_TRADE != m.NEED_TRADE:
        return b.UNSURE, n
    at, sequence = b.H_QTY, state[b.H_ID]
    if state[b.H_KIND] == b.SINGLE_TRADE:
        if (
            seen & (m.K_MARKET | m.K_ID) != m.K_MARKET | m.K_ID
            or state[symbol + b.S_TRADES] != b.SINGLE_TRADES
        ):
            return b.UNSURE, n
    else:
        if not seen & m.K_AGG_ID or state[symbol + b.S_TRADES] != b.AGGREGATE_TRADES:
            return b.UNSURE, n
        sequence = state[b.H_AGG_ID]
        if seen & m.K_NORMAL:
            at = b.H_NORMAL
    price, lots = _price_at(state, b.H_PRICE), _lots_at(state, at, symbol)
    if price == 0 or lots <= 0:
        return b.UNSURE, n
    if n == rows.shape[0]:
        return b.ROOM, n
    word7 = b.TRADE_SELL if state[b.H_MAKER] else b.TRADE_BUY
    _write(
        rows[n], state[b.H_TIME], ts_recv, price, lots, sequence, state[symbol + b.S_ID], word7 | publisher
    )
    state[b.N_TRADES] += 1
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
        if t.byte(buf, i) == 46:
            i += 1
            while 48 <= t.byte(buf, i) <= 57:
                fraction = fraction * 10 + np.int64(t.byte(buf, i) - 48)
                decimals += 1
                i += 1
                if decimals > 9:
                    return -1, value
            if decimals == 0:
                return -1, value
        if t.byte(buf, i) != t.COLON:
            return -1, value
        i += 1
        value = value * 1_000_000_000 + fraction * b.POW10[9 - decimals]
    if value < b.LEAST_NS or value > b.MOST_NS or t.byte(buf, i) != 32:
        return -1, value
    return t.space(buf, i), value


@njit
def keep_time(state: Any, ts_recv: Any, ts_event: Any) -> None:
    """Note a message's times: receive time going back, and receive minus venue time."""
    back = state[b.T_LAST] - ts_recv
    if back > 0:
        state[b.N_BACK] += 1
        state[b.T_BACK_MOST] = max(state[b.T_BACK_MOST], back)
    state[b.T_LAST] = ts_recv
    lag = ts_recv - ts_event
    state[b.T_LAG_LEAST] = min(state[b.T_LAG_LEAST], lag)
    state[b.T_LAG_MOST] = max(state[b.T_LAG_MOST], lag)


@njit
def _read(text: Any, i: Any, ts_recv: Any, state: Any, rows: Any, n: Any) -> Any:
    """Read the message at i into the state, its levels into rows from n on.

    Returns where something follows it that is no space, -1 when unsure, -2 when the rows are full.
    """
    if t.byte(text, i) != t.OPEN_OBJECT:
        return -1
    first, seen = m.wrapper(text, t.space(text, i + 1))
    if first < 0:
        return -1
    i = m.payload(text, first if seen else i, ts_recv, PUBLISHER, state, rows, n)
    if i >= 0 and seen:
        i = m.after(text, i, seen)
    return t.space(text, i) if i >= 0 else i


@njit
def _keep(ts_recv: Any, state: Any, rows: Any, n: Any) -> Any:
    """Take the message read: (answer, n)."""
    if state[b.H_SEEN] & (m.K_SYMBOL | m.K_TIME) != m.K_SYMBOL | m.K_TIME:
        return b.UNSURE, n
    if state[b.H_TIME] == 0 or state[b.H_TIME] > b.MOST_MS:
        return b.UNSURE, n
    state[b.H_TIME] *= b.NS_A_MS
    symbol = state[b.H_SYMBOL]
    kind = state[b.H_KIND]
    if kind == b.DEPTH_UPDATE:
        answer, end = _depth(rows, n, ts_recv, PUBLISHER, symbol, state)
    elif kind == b.BOOK_TICKER:
        answer, end = _quote(rows, n, ts_recv, PUBLISHER, symbol, state)
    elif kind in (b.SINGLE_TRADE, b.AGGREGATE_TRADE):
        answer, end = _trade(rows, n, ts_recv, PUBLISHER, symbol, state)
    else:
        return b.UNSURE, n
    if answer != b.DONE:
        return answer, n
    keep_time(state, ts_recv, state[b.H_TIME])
    state[b.N_FRAMES] += 1
    return b.DONE, end


@njit
def _opened(place: Any) -> Any:
    """(rows, state) that a row buffer tells of."""
    told = carray(pointer(place), 3, np.int64)
    rows = carray(pointer(told[b.P_ROWS]), (told[b.P_ROOM], 8), np.int64)
    return rows, carray(pointer(told[b.P_STATE]), b.STATE, np.int64)


@kernel(types.int64(types.int64, t.TEXT, types.int64, types.int64))
def scan_message(place: Any, frame: Any, ts_recv: Any, n: Any) -> Any:
    """Write the events of one message into rows from n on.

    Parameters
    ----------
    place : int
        Address of what the row buffer says of itself: where its int64[:, 8] rows are and how many,
        and where the int64[STATE] is (`binance_layout` places all of them).
    frame : bytes
        The message. It is copied to the scratch text that the state tells of, because zero bytes
        must follow what is scanned.
    ts_recv : int
        Receive time, UTC ns.
    n : int
        Rows already written.

    Returns
    -------
    int
        Rows written times four, plus DONE, UNSURE, RULE or ROOM. After RULE the H_LEVELS rows
        beyond those belong to the update.
    """
    size = len(frame)
    rows, state = _opened(place)
    if size > state[b.H_LONGEST]:
        return 4 * n + b.ROOM
    text = state[b.H_SCRATCH]
    t.copy(text, t.address_of(frame), size)
    for k in range(0, PADDING, 8):
        t.put(text + size + k, np.int64(0))
    i = _read(text, t.space(text, np.int64(0)), ts_recv, state, rows, n)
    if i < 0:
        return 4 * n + (b.ROOM if i == -2 else b.UNSURE)
    if t.byte(text, i) == 10:
        i = t.space(text, i + 1)
    if i != size:
        return 4 * n + b.UNSURE
    answer, n = _keep(ts_recv, state, rows, n)
    return 4 * n + answer


@kernel(types.int64(*[types.int64] * 7))
def scan_lines(place: Any, text: Any, i: Any, stop: Any, framing: Any, until: Any, n: Any) -> Any:
    """Write the events of the lines text[i:stop] into rows from n on.

    Parameters
    ----------
    place, n : int
        As `scan_message` has them.
    text, i, stop : int
        Address of uint8[stop + PADDING], and which of them are lines; ``text[stop - 1]`` is a newline.
    framing, until : int
        NANOS or SECONDS; the receive time of the last line wanted.

    Returns
    -------
    int
        As of `scan_message`; ``state[H_POS]`` is the first byte not used.
    """
    rows, state = _opened(place)
    state[b.H_POS] = i
    while i < stop:
        i, ts_recv = _line_time(text, i, framing)
        if i < 0:
            return 4 * n + b.UNSURE
        if ts_recv > until:
            return 4 * n + b.DONE
        i = _read(text, i, ts_recv, state, rows, n)
        if i < 0:
            return 4 * n + (b.ROOM if i == -2 else b.UNSURE)
        if t.byte(text, i) != 10:
            return 4 * n + b.UNSURE
        answer, n = _keep(ts_recv, state, rows, n)
        if answer != b.DONE:
            return 4 * n + answer
        i += 1
        state[b.H_POS] = i
    return 4 * n + b.DONE
