"""The loop over all stages: book kernel, then every feature, block by block.

`step` is the one compiled entry: it runs the book kernel over a block of events, hands the
block's TRACE and new SAMPLE rows to each feature through its address, and goes on until the
chunk ends or Python is needed.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import types

from depthscope.book import state as s
from depthscope.book.kernel import advance
from depthscope.book.memory import context_of, matches_of
from depthscope.book.primitives import natural
from depthscope.book.rows import due_rows
from depthscope.features.kit import CONTEXT, NO_NEED, PICK
from depthscope.jit import Int, carray, intrinsic, kernel, njit, pointer
from depthscope.market.events import EVENT
from depthscope.market.layouts import SAMPLE

TRACE_ROWS: Final = 8192  # of the buffer, and of a block of `Engine.trace_blocks`
BLOCK_ROWS: Final = (
    2048  # of a block of every component: with its events and SAMPLE rows it stays near the core
)
NEED_RING: Final = 20  # component D_COMPONENT wants a longer ring for an instrument

TABLE: Final = np.dtype(
    [
        ("address", "i8"),
        ("state", "i8"),
        ("column", "i8"),
        ("by_event", "i8"),
        ("detector", "i8"),
        ("pick", "i8"),  # which of the lists of TRACE rows it looks at
    ]
)

(
    D_TABLE, D_N, D_OUT, D_STRIDE, D_FRAME, D_DONE, D_PHASE, D_COMPONENT, D_START, D_CODE, D_RESUMED,
    D_SIZE,
) = range(12)  # fmt: skip

SAMPLE_SIZE = SAMPLE.itemsize


@intrinsic
def call(typing_context: Any, address: Any, ctx: Any, n: Any, state: Any, out: Any) -> Any:
    """Call a feature's compiled function."""
    signature = types.int64(address, ctx, n, state, out)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        i64 = ir.IntType(64)
        function = ir.FunctionType(i64, [i64] * 4)
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), list(args[1:]))

    return signature, codegen


@njit
def pick_rows(f: Any, matches: Any) -> None:
    """List the block's TRACE rows by what components ask for.

    Most rows are of no interest to most of them: each would find that out with a branch nobody can predict.
    """
    n = f.n_trace
    picks = carray(pointer(f.picks), f.n_picks, PICK)
    picks[0].n = n
    for p in range(1, f.n_picks):
        rows, mask = carray(pointer(picks[p].rows), n, np.int32), picks[p].mask
        found: Int = np.int64(0)
        for k in range(n):
            rows[natural(found)] = k
            found += np.int64(matches[k] & mask != 0)
        picks[p].n = found


@njit
def run_features(m: Int, d: Any, events_address: Int) -> Int:
    """Run the features over the block's new rows; returns DONE or NEED_RING."""
    c = context_of(m)
    table = carray(pointer(d[D_TABLE]), d[D_N], TABLE)
    frame = carray(pointer(d[D_FRAME]), 1, CONTEXT)
    f = frame[0]
    f.events = events_address
    f.n_events = c[s.C_N]
    f.trace = c[s.C_TRACE]
    f.n_trace = c[s.C_TRACE_N]
    f.samples = c[s.C_SAMPLES] + d[D_DONE] * SAMPLE_SIZE
    f.n_samples = c[s.C_SAMPLE_N] - d[D_DONE]
    f.done = d[D_DONE]
    f.stride = d[D_STRIDE]
    f.columns = d[D_OUT] + d[D_DONE] * 8
    f.n_slots = c[s.C_SLOTS]
    picks = carray(pointer(f.picks), f.n_picks, PICK)
    if d[D_COMPONENT] == 0 and d[D_RESUMED] == 0:
        f.block += 1
        pick_rows(f, matches_of(m))
    while d[D_COMPONENT] < d[D_N]:
        t = table[d[D_COMPONENT]]
        n = picks[t.pick].n if t.by_event else f.n_samples
        # With rows of others alone it is called too: the signal takes what detectors have said meanwhile.
        if f.n_samples > 0 or (t.by_event and f.n_trace > 0):
            f.picked = picks[t.pick].rows
            f.start = d[D_START]
            f.by_row = 1 - t.by_event
            f.need_slot = NO_NEED
            f.detector = t.detector
            f.row = f.row if d[D_RESUMED] else 0
            out = d[D_OUT] + (t.column * d[D_STRIDE] + d[D_DONE]) * 8
            reached = call(t.address, d[D_FRAME], np.int64(n), t.state, out)
            if f.need_slot != NO_NEED:
                d[D_START] = reached
                d[D_RESUMED] = 1
                return NEED_RING
        d[D_START] = 0
        d[D_RESUMED] = 0
        d[D_COMPONENT] += 1
    d[D_COMPONENT] = 0
    d[D_DONE] = c[s.C_SAMPLE_N]
    c[s.C_TRACE_N] = 0
    return s.DONE


@kernel(types.int64(types.int64, types.int64, numba.from_dtype(EVENT)[::1]))
def step(m: Int, driver: Int, events: Any) -> Int:
    """Run all stages until the chunk ends or Python is needed; returns why.

    With D_N = -1 the books run alone, and each block's TRACE rows are left for the caller.
    """
    c = context_of(m)
    d = carray(pointer(driver), D_SIZE, np.int64)
    address = events.ctypes.data
    while True:
        if d[D_PHASE] == 0:
            d[D_CODE] = advance(m, events)
        if d[D_N] < 0:
            return d[D_CODE]
        if d[D_N]:
            d[D_PHASE] = 1
            status = run_features(m, d, address)
            if status != s.DONE:
                return status
            d[D_PHASE] = 0
        else:
            c[s.C_TRACE_N] = 0
            d[D_DONE] = c[s.C_SAMPLE_N]
        if d[D_CODE] != s.BLOCK:
            return d[D_CODE]


@kernel(types.int64(types.int64, types.int64))
def finish_step(m: Int, driver: Int) -> Int:
    """Emit the rows still due at the clock's time, and their features; returns why it stopped."""
    c = context_of(m)
    d = carray(pointer(driver), D_SIZE, np.int64)
    if d[D_PHASE] == 0:
        c[s.C_TRACE_N] = 0
        d[D_CODE] = due_rows(m, c[s.C_CLOCK], np.int64(0)) if c[s.C_STEP] > 0 else s.DONE
    if d[D_N]:
        d[D_PHASE] = 1
        status = run_features(m, d, np.int64(0))
        if status != s.DONE:
            return status
        d[D_PHASE] = 0
    else:
        d[D_DONE] = c[s.C_SAMPLE_N]
    return d[D_CODE]


__all__ = ["BLOCK_ROWS", "D_SIZE", "NEED_RING", "TABLE", "TRACE_ROWS", "finish_step", "step"]
