"""Machine-level helpers of the kernels: pointers as arrays, bit scans, prefetch, order hash.

The order table is open addressing with linear probing over 16-byte slots (key, value),
Fibonacci hashing, load at most a quarter and backward-shift deletion, so there are never
tombstones. A slot is empty when its *value* is 0: a live order has size >= 1 and every key,
0 included, is legal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils

from depthscope.jit import Int, UInt, hot, intrinsic
from depthscope.market.events import LAST

cgutils: Any = _cgutils  # numba's own annotations stop half-way

GOLD = np.uint64(0x9E3779B97F4A7C15)
U0 = np.uint64(0)
U1 = np.uint64(1)
U32 = np.uint64(32)
U33 = np.uint64(33)
SIZE_MASK = np.uint64(0xFFFFFFFF)
BIG = 0xFFFFFFFF  # size field of an order whose price or size does not fit its slot
BIAS = 1 << 30  # relative ticks are stored in 31 bits
AHEAD = 12  # records between asking for an order's cache line and using it
FAR_AHEAD = 40  # and for the record itself


@intrinsic
def natural(typing_context: Any, number: Any) -> Any:
    """Promise that an index is not negative, which spares the check for counting from the end."""
    signature = types.int64(types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(1)])
        assume = cgutils.get_or_insert_function(builder.module, kind, "llvm.assume")
        builder.call(assume, [builder.icmp_signed(">=", args[0], ir.Constant(ir.IntType(64), 0))])
        return args[0]

    return signature, codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any) -> Any:
    """Ask for the cache line where row `row` of a C array begins; it need not be inside the array."""
    signature = types.void(array, row)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[0])(context, builder, args[0])
        byte = ir.IntType(8).as_pointer()
        i32 = ir.IntType(32)
        stride = builder.extract_value(array.strides, 0)
        target = builder.gep(builder.bitcast(array.data, byte), [builder.mul(args[1], stride)])
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [target, ir.Constant(i32, 0), ir.Constant(i32, 3), ir.Constant(i32, 1)])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def move_rows(typing_context: Any, array: Any, source: Any, target: Any, n: Any) -> Any:
    """Move `n` elements of a 1-D array, which may overlap where they go."""
    signature = types.void(array, types.int64, types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        size = ir.Constant(ir.IntType(64), sig.args[0].dtype.bitwidth // 8)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, byte, ir.IntType(64), ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.memmove.p0.p0.i64")
        at_source, at_target = (builder.bitcast(builder.gep(data, [args[k]]), byte) for k in (1, 2))
        builder.call(
            function, [at_target, at_source, builder.mul(args[3], size), ir.Constant(ir.IntType(1), 0)]
        )
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def count_better(typing_context: Any, prices: Any, side: Any, price: Any) -> Any:
    """Number of prices in row `side` of a (2, n) array that are better than `price`.

    All lanes are compared at once. Inverting every bit reverses the order of integers, which
    serves the ask side without a branch.
    """
    signature = types.int64(prices, types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        i64 = ir.IntType(64)
        lanes = sig.args[0].shape[1]
        vector = ir.VectorType(i64, lanes)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        row = builder.gep(
            builder.bitcast(data, i64.as_pointer()), [builder.mul(args[1], ir.Constant(i64, lanes))]
        )
        held = builder.load(builder.bitcast(row, vector.as_pointer()), align=8)

        def everywhere(number: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(i64, 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        flip = everywhere(builder.neg(args[1]))  # 0 for bids, every bit for asks
        wins = builder.icmp_signed(">", builder.xor(held, flip), builder.xor(everywhere(args[2]), flip))
        bits = ir.IntType(lanes)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(bits, [bits]), f"llvm.ctpop.i{lanes}"
        )
        return builder.zext(builder.call(count, [builder.bitcast(wins, bits)]), i64)

    return signature, codegen


@intrinsic
def nearest_integer(typing_context: Any, number: Any) -> Any:
    """Round a float64 to the nearest int64 in one instruction."""
    signature = types.int64(types.float64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [ir.DoubleType()])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.lrint.i64.f64")
        return builder.call(function, args)

    return signature, codegen


def _bit_scan(name: str) -> Any:
    @intrinsic
    def scan(typing_context: Any, word: Any) -> Any:
        signature = types.int64(types.uint64)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            i64, i1 = ir.IntType(64), ir.IntType(1)
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(i64, [i64, i1]), name)
            return builder.call(function, [args[0], ir.Constant(i1, 0)])

        return signature, codegen

    return scan


leading_zeros = _bit_scan("llvm.ctlz.i64")
trailing_zeros = _bit_scan("llvm.cttz.i64")


@hot
def ask_for(table: Any, first: Int, shift: UInt, key: UInt) -> None:
    """Ask for the table row where the search for `key` will begin."""
    prefetch(table, first + np.int64((key * GOLD) >> shift))


@hot
def group_end(events: Any, i: Int, n: Int) -> Int:
    """Row of the LAST record of the group that begins at `i`, or -1 where it is not whole before `n`."""
    end = i
    while not events[natural(end)].flags & LAST:
        end += 1
        if (
            end >= n
            or events[natural(end)].instrument_id != events[natural(i)].instrument_id
            or events[natural(end)].publisher != events[natural(i)].publisher
        ):
            return np.int64(-1)
    return end


@hot
def find(table: Any, first: Int, shift: UInt, mask: UInt, key: UInt) -> Int:
    """Row of `key` in the table region starting at `first`, or the empty row where it would go."""
    i = (key * GOLD) >> shift
    while True:
        row = natural(first + np.int64(i))
        if table[row, 1] == U0 or table[row, 0] == key:
            return row
        i = (i + U1) & mask


@hot
def remove(table: Any, first: Int, shift: UInt, mask: UInt, row: Int) -> None:
    """Delete a row and close the gap behind it."""
    i = np.uint64(row - first)
    j = i
    while True:
        j = (j + U1) & mask
        other = natural(first + np.int64(j))
        if table[other, 1] == U0:
            break
        home = (table[other, 0] * GOLD) >> shift
        if ((j - home) & mask) >= ((j - i) & mask):
            hole = natural(first + np.int64(i))
            table[hole, 0] = table[other, 0]
            table[hole, 1] = table[other, 1]
            i = j
    table[natural(first + np.int64(i)), 1] = U0
