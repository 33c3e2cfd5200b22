"""LOBSTER messages and book rows into EVENT rows: the compiled part of the reader."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from depthscope.jit import kernel
from depthscope.market.events import (
    ADD,
    ASK,
    BID,
    CANCEL,
    COND_OFF_BOOK,
    FILL,
    LAST,
    LEVEL,
    NO_SIDE,
    NONE,
    STATUS,
    STATUS_AUCTION,
    STATUS_HALT,
    STATUS_TRADING,
    TRADE,
    UNDEF_PRICE,
)
from depthscope.venues.lobster_text import (
    CROSS,
    EXECUTE,
    EXECUTE_HIDDEN,
    HALT,
    M_ID,
    M_PRICE,
    M_SIDE,
    M_SIZE,
    M_TIME,
    M_TYPE,
    MESSAGE_COLUMNS,
    NO_PRICE,
    SUBMIT,
    apply_message,
    njit,
    read_book,
    read_message,
)

TO_FIXED: Final = 100_000  # 1/10,000 -> 1e-9

# Why a kernel stopped.
MORE: Final = 0  # one of the two texts is used up
ROOM: Final = 1  # the rows are full
BAD_MESSAGE: Final = 2  # the message row at S_MESSAGE is damaged
BAD_BOOK: Final = 3  # the book row at S_BOOK is damaged

# State carried between calls.
S_MESSAGE, S_BOOK, S_N, S_ROW, S_DIFFER, S_FIRST_DIFFER, S_CLOCK, S_BACK = 0, 1, 2, 3, 4, 5, 6, 7
STATE: Final = 8


@njit
def _put(
    rows: Any, n: Any, ts: Any, order_id: Any, price: Any, size: Any, sequence: Any, word6: Any, word7: Any
) -> Any:
    rows[n, 0] = ts
    rows[n, 1] = ts
    rows[n, 2] = order_id
    rows[n, 3] = price
    rows[n, 4] = size
    rows[n, 5] = sequence
    rows[n, 6] = word6
    rows[n, 7] = word7
    return n + 1


@njit
def _word(publisher: Any, action: Any, side: Any) -> Any:
    return np.int64(publisher) | (np.int64(action) << 32) | (np.int64(side) << 40)


@njit
def put_tape(
    rows: Any, n: Any, message: Any, ts: Any, sequence: Any, lots: Any, key: Any, hidden_sides: Any
) -> Any:
    """Write what a message says beside the book: T and F of executions, S of halts."""
    kind = message[M_TYPE]
    publisher, instrument = key[0], key[1]
    price, size = message[M_PRICE] * TO_FIXED, message[M_SIZE] * lots
    resting, aggressor = (BID, ASK) if message[M_SIDE] == 1 else (ASK, BID)
    if kind == EXECUTE:
        order_id = message[M_ID]
        word7 = _word(publisher, TRADE, aggressor)
        n = _put(rows, n, ts, order_id, price, size, sequence, instrument, word7)
        word7 = _word(publisher, FILL, resting)
        n = _put(rows, n, ts, order_id, price, size, sequence, instrument, word7)
    elif kind == EXECUTE_HIDDEN:
        word7 = _word(publisher, TRADE, aggressor if hidden_sides else NO_SIDE)
        n = _put(rows, n, ts, 0, price, size, sequence, instrument, word7)
    elif kind == CROSS:
        word7 = _word(publisher, TRADE, NO_SIDE) | (np.int64(COND_OFF_BOOK) << 16)
        n = _put(rows, n, ts, 0, price, size, sequence, instrument, word7)
    elif kind == HALT:
        code = STATUS_HALT
        if message[M_PRICE] == 0:
            code = STATUS_AUCTION  # quoting has resumed, trading has not
        elif message[M_PRICE] == 1:
            code = STATUS_TRADING
        word6 = instrument | (np.int64(code) << 32)
        n = _put(rows, n, ts, 0, UNDEF_PRICE, 0, sequence, word6, _word(publisher, STATUS, NO_SIDE))
    return n


@njit
def put_difference(
    rows: Any, n: Any, before: Any, after: Any, ts: Any, sequence: Any, lots: Any, key: Any
) -> Any:
    """Write as L rows what turns one book into the other."""
    depth = after.shape[1]
    publisher, instrument = key[0], key[1]
    for side in range(2):
        word7 = _word(publisher, LEVEL, BID if side == 0 else ASK)
        i, k = 0, 0
        while True:
            old = before[side, i, 0] if i < depth else NO_PRICE
            new = after[side, k, 0] if k < depth else NO_PRICE
            if old == NO_PRICE and new == NO_PRICE:
                break
            if old == new:
                if before[side, i, 1] != after[side, k, 1]:
                    size = after[side, k, 1] * lots
                    n = _put(rows, n, ts, 0, new * TO_FIXED, size, sequence, instrument, word7)
                i += 1
                k += 1
            elif new == NO_PRICE or (old != NO_PRICE and (old < new if side == 1 else old > new)):
                n = _put(rows, n, ts, 0, old * TO_FIXED, 0, sequence, instrument, word7)
                i += 1
            else:
                size = after[side, k, 1] * lots
                n = _put(rows, n, ts, 0, new * TO_FIXED, size, sequence, instrument, word7)
                k += 1
    return n


@njit
def copy_book(source: Any, target: Any) -> None:
    """Copy a book (written out: numba's array assignment takes seconds to compile)."""
    for side in range(2):
        for level in range(source.shape[1]):
            target[side, level, 0] = source[side, level, 0]
            target[side, level, 1] = source[side, level, 1]


@njit
def differs(expected: Any, found: Any, side: Any, unsure: Any) -> Any:
    """Whether two books differ on a side, the last level left out where it is not known."""
    depth = found.shape[1]
    for k in range(depth - unsure):
        if expected[side, k, 0] != found[side, k, 0] or expected[side, k, 1] != found[side, k, 1]:
            return True
    return False


_I1 = types.int64[::1]
_I3 = types.int64[:, :, ::1]
_U1 = types.uint8[::1]


@kernel(
    types.int64(
        _U1,
        types.int64,
        _U1,
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        _I1,
        _I3,
        types.int64[:, ::1],
        _I1,
    )
)
def follow_rows(
    messages: Any,
    messages_stop: Any,
    books: Any,
    books_stop: Any,
    midnight: Any,
    lots: Any,
    hidden_sides: Any,
    key: Any,
    three: Any,
    rows: Any,
    state: Any,
) -> Any:
    """Write each message's tape events and the difference between its book row and the one before.

    Parameters
    ----------
    messages, messages_stop, books, books_stop : uint8[:], int
        Whole lines of both files; reading goes on at ``state[S_MESSAGE]`` and ``state[S_BOOK]``.
    midnight : int
        UTC ns of local midnight.
    lots : int
        Lots a share has.
    hidden_sides : int
        Whether the direction of a hidden execution means anything.
    key : int64[2]
        Publisher, instrument id.
    three : int64[6, depth, 2]
        Books before, after, and as the message alone makes it.
    rows : int64[:, 8]
        EVENT rows, written from ``state[S_N]`` on.
    state : int64[STATE]
        Carried between calls. `S_ROW` counts rows done, `S_DIFFER` those that the message does
        not explain, `S_FIRST_DIFFER` is the first of them (from 1).

    Returns
    -------
    int
        MORE, ROOM, BAD_MESSAGE or BAD_BOOK.
    """
    before, after, expected = three[0:2], three[2:4], three[4:6]
    message = np.zeros(MESSAGE_COLUMNS, np.int64)
    most = 4 * after.shape[1] + 3
    while state[S_MESSAGE] < messages_stop and state[S_BOOK] < books_stop:
        n = state[S_N]
        if n + most > rows.shape[0]:
            return ROOM
        message_end = read_message(messages, state[S_MESSAGE], message)
        if message_end < 0:
            return BAD_MESSAGE
        book_end = read_book(books, state[S_BOOK], after)
        if book_end < 0:
            return BAD_BOOK
        sequence = state[S_ROW] + 1
        ts = midnight + message[M_TIME]
        copy_book(before, expected)
        gone = apply_message(expected, message, 1)
        touched = 0 if message[M_SIDE] == 1 else 1
        if (
            gone < 0
            or differs(expected, after, touched, max(gone, 0))
            or differs(expected, after, 1 - touched, 0)
        ):
            state[S_DIFFER] += 1
            if state[S_FIRST_DIFFER] == 0:
                state[S_FIRST_DIFFER] = sequence
        start = n
        n = put_tape(rows, n, message, ts, sequence, lots, key, hidden_sides)
        n = put_difference(rows, n, before, after, ts, sequence, lots, key)
        if n == start:
            n = _put(rows, n, ts, 0, UNDEF_PRICE, 0, sequence, key[1], _word(key[0], NONE, NO_SIDE))
        rows[n - 1, 7] |= np.int64(LAST) << 48
        copy_book(after, before)
        if ts < state[S_CLOCK]:
            state[S_BACK] += 1
        state[S_CLOCK] = max(state[S_CLOCK], ts)
        state[S_MESSAGE], state[S_BOOK] = message_end, book_end
        state[S_N], state[S_ROW] = n, sequence
    return MORE


@kernel(types.int64(_U1, types.int64, types.int64, types.int64[:, ::1], _I1))
def read_messages(messages: Any, i: Any, stop: Any, table: Any, state: Any) -> Any:
    """Read message rows into int64[:, MESSAGE_COLUMNS]; as `follow_rows`, with `S_N` rows read."""
    state[S_MESSAGE], state[S_N] = i, 0
    while state[S_MESSAGE] < stop:
        if state[S_N] == table.shape[0]:
            return ROOM
        end = read_message(messages, state[S_MESSAGE], table[state[S_N]])
        if end < 0:
            return BAD_MESSAGE
        state[S_MESSAGE] = end
        state[S_N] += 1
    return MORE


@kernel(types.int64(_U1, _U1, _I3))
def first_book(messages: Any, books: Any, book: Any) -> Any:
    """Book before the first message: its row with the message undone; MORE, BAD_MESSAGE or BAD_BOOK.

    A message that its row does not explain is left alone; `follow_rows` counts it.
    """
    message = np.zeros(MESSAGE_COLUMNS, np.int64)
    if read_message(messages, 0, message) < 0:
        return BAD_MESSAGE
    if read_book(books, 0, book) < 0:
        return BAD_BOOK
    if apply_message(book, message, -1) < 0:
        read_book(books, 0, book)
    return MORE


@kernel(
    types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64, _I1, types.int64[:, ::1], _I1)
)
def write_orders(
    table: Any, midnight: Any, lots: Any, hidden_sides: Any, key: Any, rows: Any, state: Any
) -> Any:
    """Write messages as order events: A, C, and T, F, C for an execution; MORE or ROOM.

    Goes on at message ``state[S_MESSAGE]`` of `table`, with rows from ``state[S_N]`` on.
    """
    publisher, instrument = key[0], key[1]
    while state[S_MESSAGE] < table.shape[0]:
        n = state[S_N]
        if n + 3 > rows.shape[0]:
            return ROOM
        message = table[state[S_MESSAGE]]
        sequence = state[S_ROW] + 1
        ts = midnight + message[M_TIME]
        n = put_tape(rows, n, message, ts, sequence, lots, key, hidden_sides)
        if message[M_TYPE] <= EXECUTE:
            action = ADD if message[M_TYPE] == SUBMIT else CANCEL
            word7 = _word(publisher, action, BID if message[M_SIDE] == 1 else ASK)
            price, size = message[M_PRICE] * TO_FIXED, message[M_SIZE] * lots
            n = _put(rows, n, ts, message[M_ID], price, size, sequence, instrument, word7)
        rows[n - 1, 7] |= np.int64(LAST) << 48
        if ts < state[S_CLOCK]:
            state[S_BACK] += 1
        state[S_CLOCK] = max(state[S_CLOCK], ts)
        state[S_MESSAGE] += 1
        state[S_N], state[S_ROW] = n, sequence
    return MORE
