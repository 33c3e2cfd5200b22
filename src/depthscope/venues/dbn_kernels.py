"""DBN records into EVENTs, a word of eight bytes at a time.

Both kernels read a buffer of little-endian 64-bit words (every DBN record is a multiple of
eight bytes and starts on a word) and write EVENT words; they stop when they need input, room
or Python, say which, and go on from there when called again. Nothing is read before its
record's length has been checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from depthscope.jit import OPTIONS, kernel
from depthscope.market import events as ev
from depthscope.venues import dbn_layout as layout

if TYPE_CHECKING:
    from collections.abc import Callable


def njit(function: Callable[..., Any]) -> Any:
    """Compile a helper of the kernels below."""
    return numba.njit(**OPTIONS)(function)


# Slots of the state array.
S_POS: Final = 0  # word to read next
S_END: Final = 1  # words available
S_OUT: Final = 2  # events written
S_TS_OUT: Final = 3  # 1 when every record is one word longer
S_CLOCK: Final = 4  # latest receive time seen
S_BACK: Final = 5  # records older than the clock
S_BACK_MAX: Final = 6  # by how much at most
S_NO_TIME: Final = 7  # records without a receive or venue time
S_ODD: Final = 8  # records whose action or side is no letter of DBN
S_RECORDS: Final = 9
S_FIRST: Final = 10  # first time in the file (0 = none yet)
S_IGNORED: Final = 11  # records left out because a finer schema of the file tells the same
S_BOOKS: Final = 12  # instruments with ten-level state
S_START: Final = 13  # time of a record without any before the first that has one
S_SIZE: Final = 16

# Why a kernel stopped.
MORE: Final = 0  # input is used up (up to a partial record)
FULL: Final = 1  # the event buffer is full
OTHER: Final = 2  # the record at S_POS is no MBO record of the usual length
PYTHON: Final = 3  # the record at S_POS is for Python
DAMAGED: Final = 4  # the record at S_POS has an impossible length
GROW: Final = 5  # ten-level state is full

MOST_EVENTS: Final = 48  # one ten-level record: T, R, 20 removed and 20 set, and room to spare

U0, U1, U2, U3, U4, U5, U6, U8, U16, U32, U40, U48, U56, U63 = (
    np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 6, 8, 16, 32, 40, 48, 56, 63)
)
LOW6, LOW8, LOW16, LOW32 = (np.uint64((1 << n) - 1) for n in (6, 8, 16, 32))
UNDEFINED = np.uint64(1 << 63)  # times from here on are absent (or no time)
UNDEF_PRICE = np.uint64(ev.UNDEF_PRICE)
FAR = np.int64(2**63 - 1)
GOLD = np.uint64(0x9E3779B97F4A7C15)

LAST = np.uint64(ev.LAST)
# Bit 0 means nothing in DBN (old files set it); in EVENT it says the aggressor was inferred.
FLAGS = np.uint64(0xFF & ~ev.INFERRED_SIDE)
NOT_LAST = np.uint64(0xFF & ~ev.INFERRED_SIDE & ~ev.LAST)
SNAPSHOT = np.uint64(ev.SNAPSHOT)
TRADE = np.uint64(ev.TRADE)
CLEAR = np.uint64(ev.CLEAR)
LEVEL = np.uint64(ev.LEVEL)
QUOTE = np.uint64(ev.QUOTE)
STATUS = np.uint64(ev.STATUS)
NONE = np.uint64(ev.NONE)
BID = np.uint64(ev.BID)
ASK = np.uint64(ev.ASK)
NO_SIDE = np.uint64(ev.NO_SIDE)
YES = np.uint64(ord("Y"))
NO = np.uint64(ord("N"))
# Letters as bits of a word, counted from '@' (all have the upper bits of 64 to 95).
ACTIONS = np.uint64(sum(1 << (ord(letter) - 64) for letter in "ACMRTFN"))
SIDES = np.uint64(sum(1 << (ord(letter) - 64) for letter in "ABN"))

# StatusMsg.action -> our status code, 255 = changes nothing we tell.
STATUS_CODES = np.array(
    [255]
    + [ev.STATUS_AUCTION] * 6  # pre-open, pre-cross, quoting, cross, rotation, new price indication
    + [ev.STATUS_TRADING]
    + [ev.STATUS_HALT] * 3  # halt, pause, suspend
    + [ev.STATUS_AUCTION, ev.STATUS_CLOSED, ev.STATUS_CLOSED, 255, ev.STATUS_HALT],
    np.uint64,
)

NEW_BOOK = np.int64(-1)


@njit
def letters(st: Any, action: Any, side: Any) -> Any:
    """Take an action or side that is no letter of DBN as none, and count it."""
    good_action = action >> U5 == U2 and (ACTIONS >> (action & LOW6)) & U1 != U0
    good_side = side >> U5 == U2 and (SIDES >> (side & LOW6)) & U1 != U0
    if good_action and good_side:
        return action, side
    st[S_ODD] += 1
    return (action if good_action else NONE), (side if good_side else NO_SIDE)


@njit
def times(st: Any, event: Any, recv: Any) -> Any:
    """Fill in absent times, and watch the receive clock."""
    if recv >= UNDEFINED or event >= UNDEFINED:
        st[S_NO_TIME] += 1
        if recv >= UNDEFINED:
            known = st[S_CLOCK] if st[S_FIRST] != 0 else st[S_START]
            recv = event if event < UNDEFINED else np.uint64(known)
        if event >= UNDEFINED:
            event = recv
    now = np.int64(recv)
    if now < st[S_CLOCK]:
        st[S_BACK] += 1
        st[S_BACK_MAX] = max(st[S_BACK_MAX], st[S_CLOCK] - now)
    else:
        st[S_CLOCK] = now
    if st[S_FIRST] == 0:
        st[S_FIRST] = max(now, np.int64(1))
    return event, recv


@njit
def put(
    row: Any, event: Any, recv: Any, order: Any, price: Any, size: Any,
    sequence: Any, head: Any, aux: Any, action: Any, side: Any,
    flags: Any,
) -> None:  # fmt: skip
    """Write one EVENT; `head` is a record's first word."""
    row[0] = event
    row[1] = recv
    row[2] = order
    row[3] = price
    row[4] = size
    row[5] = sequence
    row[6] = (head >> U32) | (aux << U32)
    row[7] = ((head >> U16) & LOW16) | (action << U32) | (side << U40) | (flags << U48)


@kernel("int64(uint64[::1], uint64[:, ::1], int64[::1])")
def convert_mbo(words: Any, out: Any, st: Any) -> Any:
    """Convert MBO records until something else is met (the fast path)."""
    pos, end, n = st[S_POS], st[S_END], st[S_OUT]
    room = out.shape[0]
    stride = np.int64(7) + st[S_TS_OUT]
    usual = np.uint64(stride * 2) | np.uint64(layout.RT_MBO << 8)
    why: Any = np.int64(MORE)
    start = pos
    clock = st[S_CLOCK] if st[S_FIRST] != 0 else FAR  # the first record takes the long way
    while True:
        if pos + stride > end:
            if pos < end and words[pos] & LOW16 != usual:
                why = OTHER  # a shorter record may still be whole
            break
        at = np.uint64(pos)  # an unsigned index costs no check for counting from the end
        head = words[at]
        if head & LOW16 != usual:
            why = OTHER
            break
        if n == room:
            why = FULL
            break
        event, recv, w4 = words[at + U1], words[at + U5], words[at + U4]
        action = (w4 >> U48) & LOW8
        side = w4 >> U56
        # One branch for the usual record: both times told, not going back, letters of DBN.
        usual_times = ((event | recv) >> U63 == U0) & (np.int64(recv) >= clock)
        usual_letters = (action >> U5 == U2) & (side >> U5 == U2)
        usual_letters &= (ACTIONS >> (action & LOW6)) & (SIDES >> (side & LOW6)) & U1 != U0
        if usual_times & usual_letters:
            clock = np.int64(recv)
        else:
            if st[S_FIRST] != 0:
                st[S_CLOCK] = clock
            event, recv = times(st, event, recv)
            clock = st[S_CLOCK]
            action, side = letters(st, action, side)
        put(
            out[np.uint64(n)], event, recv, words[at + U2], words[at + U3], w4 & LOW32, words[at + U6] >> U32,
            head, U0, action, side, (w4 >> U32) & FLAGS,
        )  # fmt: skip
        n += 1
        pos += stride
    st[S_RECORDS] += (pos - start) // stride
    if st[S_FIRST] != 0:
        st[S_CLOCK] = clock
    st[S_POS] = pos
    st[S_OUT] = n
    return why


@njit
def find_book(st: Any, keys: Any, key: Any) -> Any:
    """Row of an instrument's ten levels; NEW_BOOK - row when it has just been made."""
    mask = np.uint64(keys.shape[0] - 1)
    at = ((np.uint64(key) * GOLD) >> U40) & mask
    while keys[at, 1] != 0:
        if keys[at, 0] == key:
            return keys[at, 1] - 1
        at = (at + U1) & mask
    st[S_BOOKS] += 1
    keys[at, 0] = key
    keys[at, 1] = st[S_BOOKS]
    return NEW_BOOK - (st[S_BOOKS] - 1)


@njit
def ten_levels(
    words: Any, pos: Any, out: Any, n: Any, book: Any, event: Any, recv: Any,
    sequence: Any, flags: Any,
) -> Any:  # fmt: skip
    """Write what changed since the instrument's last record, and keep the new levels."""
    head = words[pos]
    for side in range(2):
        letter_of = BID if side == 0 else ASK
        for k in range(10):  # gone: nowhere among the new levels
            price = book[side, k, 0]
            if price == UNDEF_PRICE:
                continue
            gone = True
            for j in range(10):
                level = (k + j) % 10  # it is nearly always where it was
                if words[pos + 6 + 4 * level + side] == price:
                    gone = False
                    break
            if gone:
                put(out[n], event, recv, U0, price, U0, sequence, head, U0, LEVEL, letter_of, flags)
                n += 1
        for k in range(10):
            at = pos + 6 + 4 * k
            price = words[at + side]
            if price == UNDEF_PRICE:
                continue
            size = (words[at + 2] >> (U32 * np.uint64(side))) & LOW32
            count = (words[at + 3] >> (U32 * np.uint64(side))) & LOW32
            same = False
            for j in range(10):
                old = (k + j) % 10
                if book[side, old, 0] == price:
                    same = book[side, old, 1] == size and book[side, old, 2] == count
                    break
            if not same:
                put(out[n], event, recv, U0, price, size, sequence, head, count, LEVEL, letter_of, flags)
                n += 1
        for k in range(10):
            at = pos + 6 + 4 * k
            book[side, k, 0] = words[at + side]
            book[side, k, 1] = (words[at + 2] >> (U32 * np.uint64(side))) & LOW32
            book[side, k, 2] = (words[at + 3] >> (U32 * np.uint64(side))) & LOW32
    return n


@njit
def status_code(w3: Any) -> Any:
    """Our status code of a StatusMsg's fourth word, 255 when it changes nothing we tell."""
    action = w3 & LOW16
    code = STATUS_CODES[np.int64(action)] if action < np.uint64(STATUS_CODES.shape[0]) else LOW8
    if code == LOW8 and action == U0:  # no action named: the trading flag still tells
        trading = (w3 >> U48) & LOW8
        if trading == YES:
            code = np.uint64(ev.STATUS_TRADING)
        elif trading == NO:
            code = np.uint64(ev.STATUS_HALT)
    return code


@kernel(
    "int64(uint64[::1], uint64[:, ::1], int64[::1], int64[::1], int64[:, ::1], int64[::1],"
    " int64[:, ::1], uint64[:, :, :, ::1])"
)
def convert_any(
    words: Any, out: Any, st: Any, properties: Any, sizes: Any, seen: Any, keys: Any, books: Any
) -> Any:
    """Convert records of any type: `properties` and `sizes` by type, `seen` counts them."""
    pos, end, n = st[S_POS], st[S_END], st[S_OUT]
    room = out.shape[0]
    extra = st[S_TS_OUT]
    why: Any = np.int64(MORE)
    while pos < end:
        head = words[pos]
        rtype = np.int64((head >> U8) & LOW8)
        length = np.int64(head & LOW8)
        long = length >> 1
        bits = properties[rtype]
        kind = bits & layout.KIND_MASK
        fits = length & 1 == 0 and long >= 2
        if fits and kind != layout.K_UNKNOWN:
            fits = False
            for k in range(sizes.shape[1]):
                fits = fits or (sizes[rtype, k] != 0 and long == sizes[rtype, k] + extra)
        if not fits:
            why = DAMAGED
            break
        if pos + long > end:
            break
        if kind == layout.K_PYTHON:
            why = PYTHON
            break
        if kind in (layout.K_UNKNOWN, layout.K_COUNT) or bits & layout.P_IGNORE:
            if bits & layout.P_IGNORE:
                st[S_IGNORED] += 1
            elif kind == layout.K_COUNT:
                times(st, words[pos + 1], words[pos + 2] if bits & layout.P_RECV else words[pos + 1])
            seen[rtype] += 1
            st[S_RECORDS] += 1
            pos += long
            continue
        if n + MOST_EVENTS > room:
            why = FULL
            break
        if kind == layout.K_MBO:
            event, recv = times(st, words[pos + 1], words[pos + 5])
            w4 = words[pos + 4]
            action = (w4 >> U48) & LOW8
            action, side = letters(st, action, w4 >> U56)
            put(
                out[n], event, recv, words[pos + 2], words[pos + 3], w4 & LOW32, words[pos + 6] >> U32,
                head, U0, action, side, (w4 >> U32) & FLAGS,
            )  # fmt: skip
            n += 1
        elif kind == layout.K_STATUS:
            event, recv = times(st, words[pos + 1], words[pos + 2])
            code = status_code(words[pos + 3])
            told = code != LOW8
            put(
                out[n], event, recv, U0, UNDEF_PRICE, U0, U0, head, code if told else U0,
                STATUS if told else NONE, NO_SIDE, LAST,
            )  # fmt: skip
            n += 1
        else:  # trades, best bid and ask, ten levels: one header for all
            if kind == layout.K_TEN and 2 * (st[S_BOOKS] + 1) > keys.shape[0]:
                why = GROW
                break
            event, recv = times(st, words[pos + 1], words[pos + 4])
            w3 = words[pos + 3]
            flags = (w3 >> U48) & NOT_LAST
            ends = bits & layout.P_LAST or (w3 >> U48) & LAST != U0
            sequence = words[pos + 5] >> U32 if kind != layout.K_TOP or bits & layout.P_SEQUENCE else U0
            action = (w3 >> U32) & LOW8
            first = n
            if kind != layout.K_TOP or bits & layout.P_ACTION:
                action, side = letters(st, action, (w3 >> U40) & LOW8)
                if action == TRADE:
                    price = words[pos + 2]
                    what = TRADE if price != UNDEF_PRICE else NONE
                    put(out[n], event, recv, U0, price, w3 & LOW32, sequence, head, U0, what, side, flags)
                    n += 1
                elif action == CLEAR:
                    put(out[n], event, recv, U0, UNDEF_PRICE, U0, sequence, head, U0, CLEAR, NO_SIDE, flags)
                    n += 1
            if kind == layout.K_TOP:
                for side_of in range(2):
                    price = words[pos + 6 + side_of]
                    shift = U32 * np.uint64(side_of)
                    size = (words[pos + 8] >> shift) & LOW32 if price != UNDEF_PRICE else U0
                    count = (words[pos + 9] >> shift) & LOW32 if bits & layout.P_COUNTS else U0
                    letter_of = BID if side_of == 0 else ASK
                    put(out[n], event, recv, U0, price, size, sequence, head, count, QUOTE, letter_of, flags)
                    n += 1
            elif kind == layout.K_TEN:
                row = find_book(st, keys, np.int64((head >> U16) & LOW16) << 32 | np.int64(head >> U32))
                if row <= NEW_BOOK or action == CLEAR:
                    if row <= NEW_BOOK:
                        row = NEW_BOOK - row
                        flags |= SNAPSHOT
                        if action != CLEAR:
                            put(
                                out[n], event, recv, U0, UNDEF_PRICE, U0, sequence, head, U0, CLEAR,
                                NO_SIDE, flags,
                            )  # fmt: skip
                            n += 1
                    books[row, :, :, 0] = UNDEF_PRICE
                n = ten_levels(words, pos, out, n, books[row], event, recv, sequence, flags)
            if n == first:  # the record may still end a group
                put(out[n], event, recv, U0, UNDEF_PRICE, U0, sequence, head, U0, NONE, NO_SIDE, flags)
                n += 1
            if ends:
                out[n - 1, 7] |= LAST << U48
        seen[rtype] += 1
        st[S_RECORDS] += 1
        pos += long
    st[S_POS] = pos
    st[S_OUT] = n
    return why
