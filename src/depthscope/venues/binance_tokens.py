"""Tokens of Binance's JSON, read from bytes: integers, decimals, symbols.

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
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from depthscope.jit import OPTIONS
from depthscope.venues import binance_layout as b

if TYPE_CHECKING:
    from collections.abc import Callable

U0, U3, EIGHT = np.uint64(0), np.uint64(3), np.uint64(8)
BYTE_BITS = np.uint64(0x78)
ONES, HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
ZEROS, QUOTES, DOTS = (np.uint64(byte * 0x0101010101010101) for byte in b'0".')
ABOVE_NINE = np.uint64(0x7676767676767676)
memcpy: Any = cgutils.raw_memcpy
PAIRS = np.uint64(0x000000FF000000FF)
MUL_1, MUL_2 = np.uint64(0x000F424000000064), np.uint64(0x0000271000000001)

QUOTE_MARK, COMMA, COLON = 34, 44, 58
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125


def njit(function: Callable[..., Any]) -> Any:
    """Compile a helper of the scanner."""
    return numba.njit(**OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a helper into its callers: results that come back through memory take longer than it does."""
    return numba.njit(forceinline=True, **OPTIONS)(function)


def _byte(typing_context: Any, buf: Any, i: Any) -> Any:
    """Byte i of the text at an address, as int64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(builder.add(args[0], args[1]), ir.IntType(8).as_pointer())
        return builder.zext(builder.load(pointer), ir.IntType(64))

    return types.int64(types.int64, types.int64), codegen


def _eight_bytes(typing_context: Any, buf: Any, i: Any) -> Any:
    """Bytes i to i + 7 of the text at an address, as one little-endian uint64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(builder.add(args[0], args[1]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(types.int64, types.int64), codegen


def _put(typing_context: Any, address: Any, value: Any) -> Any:
    """Store an int64 at an address: what an index costs beside it is a check for negatives."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store(args[1], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _copy(typing_context: Any, target: Any, source: Any, size: Any) -> Any:
    """Copy bytes from one address to another; the two do not overlap."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        target, source = (builder.inttoptr(address, byte_pointer) for address in args[:2])
        memcpy(builder, target, source, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits below the lowest set bit of a uint64, 64 for none."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


def _address_of(typing_context: Any, text: Any) -> Any:
    """Where the bytes of a bytes object begin."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_helper(builder, sig.args[0], args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(text), codegen


TEXT: Any = types.Bytes(types.uint8, 1, "C", readonly=True)  # as an argument
byte: Any = intrinsic(_byte)
eight_bytes: Any = intrinsic(_eight_bytes)
put: Any = intrinsic(_put)
address_of: Any = intrinsic(_address_of)
copy: Any = intrinsic(_copy)
trailing_zeros: Any = intrinsic(_trailing_zeros)


@njit
def space(buf: Any, i: Any) -> Any:
    """First position from i on that is not a space, tab or carriage return."""
    while byte(buf, i) == 32 or byte(buf, i) == 9 or byte(buf, i) == 13:
        i += 1
    return i


@njit
def text_end(buf: Any, i: Any) -> Any:
    """End (its closing quote) of a plain string that starts at i; -1 when it has an odd byte."""
    while byte(buf, i) != QUOTE_MARK:
        c = byte(buf, i)
        if c < 32 or c == 92 or c >= 127:
            return -1
        i += 1
    return i


@njit
def integer(buf: Any, i: Any, most: Any) -> Any:
    """(end, value) of an unsigned integer of at most `most` digits; end -1 when unsure."""
    value = np.int64(0)
    start = i
    c = byte(buf, i) - 48
    while 0 <= c <= 9:
        value = value * 10 + c
        i += 1
        c = byte(buf, i) - 48
    digits = i - start
    if digits == 0 or digits > most or (digits > 1 and byte(buf, start) == 48):
        return -1, value
    return i, value


@njit
def long_decimal(buf: Any, i: Any) -> Any:
    """`decimal` for numbers of any length, a digit at a time."""
    value = np.int64(0)
    start = i
    decimals = 0
    c = byte(buf, i) - 48
    while 0 <= c <= 9:
        value = value * 10 + c
        i += 1
        c = byte(buf, i) - 48
    digits = i - start
    if digits == 0:
        return -1, value, decimals
    if c == -2:
        i += 1
        dot = i
        c = byte(buf, i) - 48
        while 0 <= c <= 9:
            value = value * 10 + c
            i += 1
            c = byte(buf, i) - 48
        decimals = i - dot
        digits += decimals
        if decimals == 0 or decimals > 9:
            return -1, value, decimals
    if digits > b.DIGITS or byte(buf, i) != QUOTE_MARK:
        return -1, value, decimals
    return i, value, decimals


@inlined
def equal(word: Any, pattern: Any) -> Any:
    """High bit of the lowest byte of `word` that equals the byte repeated in `pattern`; 0 for none.

    (Bytes above that one may be flagged too.)
    """
    x = word ^ pattern
    return (x - ONES) & ~x & HIGH_BITS


@inlined
def spelt(word: Any) -> Any:
    """Return the number that eight bytes of 0 to 9 spell, first byte first."""
    word = word * np.uint64(10) + (word >> np.uint64(8))
    pairs = (word & PAIRS) * MUL_1 + ((word >> np.uint64(16)) & PAIRS) * MUL_2
    return np.int64(pairs >> np.uint64(32))


@inlined
def _value(word: Any) -> Any:
    """(whether all eight bytes are 0 to 9, the number they spell)."""
    return (word + ABOVE_NINE | word) & HIGH_BITS == U0, spelt(word)


@inlined
def decimal(buf: Any, i: Any) -> Any:
    """(end, digits as an integer, decimals) of a decimal inside quotes; end -1 when unsure.

    Finds the closing quote in eight bytes at a time, because where the next token starts is what
    everything after it waits for; the digits are then worth a few multiplications, on the side.
    """
    word = eight_bytes(buf, i)
    found = equal(word, QUOTES)
    bits = EIGHT * EIGHT  # eight times the length; a price of eight characters is the usual one
    if found != U0 or byte(buf, i + 8) == QUOTE_MARK:
        if found != U0:
            bits = trailing_zeros(found) & BYTE_BITS
        dot = equal(word, DOTS)
        point = trailing_zeros(dot) & BYTE_BITS
        if dot == U0 or point > bits:
            if bits == U0:
                return -1, np.int64(0), 0
            sound, value = _value((word ^ ZEROS) << (np.uint64(64) - bits))
            return i + np.int64(bits >> U3) if sound else -1, value, 0
        if point == U0 or point + EIGHT == bits:
            return -1, np.int64(0), 0
        below = (np.uint64(1) << point) - np.uint64(1)
        word = (word & below) | ((word >> EIGHT) & ~below)  # without the point
        sound, value = _value((word ^ ZEROS) << (np.uint64(72) - bits))
        return i + np.int64(bits >> U3) if sound else -1, value, np.int64((bits - point) >> U3) - 1
    dot = equal(word, DOTS)
    found = equal(eight_bytes(buf, i + 8), QUOTES)
    if U0 in (found, dot):
        return long_decimal(buf, i)
    length = np.int64(trailing_zeros(found) >> U3) + 8
    point = trailing_zeros(dot) & BYTE_BITS
    before = np.int64(point >> U3)
    decimals = length - before - 1
    if before == 0 or decimals > 8:
        return long_decimal(buf, i)
    sound, value = _value((word ^ ZEROS) << (np.uint64(64) - point))
    tail = eight_bytes(buf, i + before + 1) ^ ZEROS
    sound_tail, fraction = _value(tail << (np.uint64(64) - np.uint64(8 * decimals)))
    if not (sound and sound_tail):
        return -1, np.int64(0), 0
    return i + length, value * b.POW10[decimals] + fraction, decimals


@inlined
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
def find_symbol(buf: Any, i: Any, end: Any, state: Any) -> Any:
    """Where the row of the symbol with text i to end begins in the state; 0 when it has none."""
    if end - i > b.SYMBOL_BYTES or end == i:
        return 0
    w0, w1, w2, w3 = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for k in range(end - i):
        c = byte(buf, i + k) << ((k & 7) * 8)
        if k < 8:
            w0 |= c
        elif k < 16:
            w1 |= c
        elif k < 24:
            w2 |= c
        else:
            w3 |= c
    h = (((w0 * b.HASH_0 ^ w1) * b.HASH_1 ^ w2) * b.HASH_2 ^ w3) * b.HASH_3
    at = (h >> 32) & (b.SLOTS - 1)
    while state[b.AT_SLOTS + at] != 0:
        index = state[b.AT_SLOTS + at] - 1
        name = b.AT_WORDS + index * b.WORDS
        if state[name] == w0 and state[name + 1] == w1 and state[name + 2] == w2 and state[name + 3] == w3:
            return b.AT_SYMBOLS + index * b.SYMBOL_COLUMNS
        at = (at + 1) & (b.SLOTS - 1)
    return 0
