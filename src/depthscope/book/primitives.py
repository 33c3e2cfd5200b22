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

cgutils: Any = _cgutils  # numba's own annotations stop half-way

GOLD = np.uint64(0x9E3779B97F4A7C15)
U0 = np.uint64(0)
U1 = np.uint64(1)
U32 = np.uint64(32)
U33 = np.uint64(33)
SIZE_MASK = np.uint64(0xFFFFFFFF)
BIG = 0xFFFFFFFF  # size field of an order whose price or size does not fit its slot
BIAS = 1 << 30  # relative ticks are stored in 31 bits


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Reinterpret an int64 address as ``void*``, for `carray`."""
    signature = types.voidptr(address)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return signature, codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any) -> Any:
    """Ask for the cache line of row `row` of a two-column 8-byte C array (for writing)."""
    signature = types.void(array, row)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        byte = ir.IntType(8).as_pointer()
        i32, i64 = ir.IntType(32), ir.IntType(64)
        offset = builder.mul(args[1], ir.Constant(i64, 16))
        target = builder.gep(builder.bitcast(data, byte), [offset])
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [target, ir.Constant(i32, 1), ir.Constant(i32, 3), ir.Constant(i32, 1)])
        return context.get_dummy_value()

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
def find(table: Any, first: Int, shift: UInt, mask: UInt, key: UInt) -> Int:
    """Row of `key` in the table region starting at `first`, or -1."""
    i = (key * GOLD) >> shift
    while True:
        row = first + np.int64(i)
        if table[row, 1] == U0:
            return np.int64(-1)
        if table[row, 0] == key:
            return row
        i = (i + U1) & mask


@hot
def insert(table: Any, first: Int, shift: UInt, mask: UInt, key: UInt, value: UInt) -> None:
    """Put a key known to be absent."""
    i = (key * GOLD) >> shift
    while table[first + np.int64(i), 1] != U0:
        i = (i + U1) & mask
    row = first + np.int64(i)
    table[row, 0] = key
    table[row, 1] = value


@hot
def remove(table: Any, first: Int, shift: UInt, mask: UInt, row: Int) -> None:
    """Delete a row and close the gap behind it."""
    i = np.uint64(row - first)
    j = i
    while True:
        j = (j + U1) & mask
        other = first + np.int64(j)
        if table[other, 1] == U0:
            break
        home = (table[other, 0] * GOLD) >> shift
        if ((j - home) & mask) >= ((j - i) & mask):
            hole = first + np.int64(i)
            table[hole, 0] = table[other, 0]
            table[hole, 1] = table[other, 1]
            i = j
    table[first + np.int64(i), 1] = U0
