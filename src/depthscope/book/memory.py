"""The kernels' memory, reached through one address.

Passing arrays between compiled functions costs reference counts and seven arguments each;
an address costs nothing. Every accessor below turns one context entry into an array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.jit import Int, carray, hot, pointer
from depthscope.market.layouts import DEPTH_BPS, OFI_LEVELS, SAMPLE, TRACE

BOOK = s.BOOK
N_BPS = len(DEPTH_BPS)


@hot
def context_of(m: Int) -> Any:
    """Return the context array itself."""
    return carray(pointer(m), s.C_SIZE, np.int64)


@hot
def books_of(m: Int) -> Any:
    """Return the BOOK records."""
    c = context_of(m)
    return carray(pointer(c[s.C_BOOKS]), c[s.C_SLOTS], BOOK)


@hot
def keys_of(m: Int) -> Any:
    """Return the instrument keys."""
    c = context_of(m)
    return carray(pointer(c[s.C_KEYS]), c[s.C_KEY_MASK] + 1, np.int64)


@hot
def key_slots_of(m: Int) -> Any:
    """Return the slot of each key."""
    c = context_of(m)
    return carray(pointer(c[s.C_KEY_SLOTS]), c[s.C_KEY_MASK] + 1, np.int64)


@hot
def table_of(m: Int) -> Any:
    """Return the order table."""
    c = context_of(m)
    return carray(pointer(c[s.C_ORDERS]), (c[s.C_ORDER_ROWS], 2), np.uint64)


@hot
def sizes_of(m: Int) -> Any:
    """Return ladder sizes, bid and ask."""
    c = context_of(m)
    return carray(pointer(c[s.C_SIZES]), (c[s.C_CELLS], 2), np.int64)


@hot
def counts_of(m: Int) -> Any:
    """Return ladder order counts."""
    c = context_of(m)
    return carray(pointer(c[s.C_COUNTS]), (c[s.C_CELLS], 2), np.int32)


@hot
def bitmap_of(m: Int) -> Any:
    """Return ladder occupancy, 64 cells a word."""
    c = context_of(m)
    return carray(pointer(c[s.C_BITMAP]), (c[s.C_CELLS] >> 6, 2), np.uint64)


@hot
def far_keys_of(m: Int) -> Any:
    """Return far-store keys."""
    c = context_of(m)
    return carray(pointer(c[s.C_FAR_KEY]), c[s.C_FARS], np.int64)


@hot
def far_sizes_of(m: Int) -> Any:
    """Return far-store sizes."""
    c = context_of(m)
    return carray(pointer(c[s.C_FAR_SIZE]), c[s.C_FARS], np.int64)


@hot
def far_counts_of(m: Int) -> Any:
    """Return far-store order counts."""
    c = context_of(m)
    return carray(pointer(c[s.C_FAR_COUNT]), c[s.C_FARS], np.int32)


@hot
def big_prices_of(m: Int) -> Any:
    """Return prices of odd-sized orders."""
    c = context_of(m)
    return carray(pointer(c[s.C_BIG_PRICE]), c[s.C_BIGS], np.int64)


@hot
def big_sizes_of(m: Int) -> Any:
    """Return sizes of odd-sized orders, or the free list."""
    c = context_of(m)
    return carray(pointer(c[s.C_BIG_SIZE]), c[s.C_BIGS], np.int64)


@hot
def quotes_of(m: Int) -> Any:
    """Return the quotes kept for instruments whose aggressors are inferred: venue time, bid, ask."""
    c = context_of(m)
    return carray(pointer(c[s.C_QUOTES]), (c[s.C_QUOTE_ROWS], 3), np.int64)


@hot
def trace_of(m: Int) -> Any:
    """Return the TRACE buffer."""
    c = context_of(m)
    return carray(pointer(c[s.C_TRACE]), c[s.C_TRACE_CAP], TRACE)


@hot
def matches_of(m: Int) -> Any:
    """Return the bits that each TRACE row matches (see `layouts.trace_mask`)."""
    c = context_of(m)
    return carray(pointer(c[s.C_MATCHES]), c[s.C_TRACE_CAP], np.int64)


@hot
def samples_of(m: Int) -> Any:
    """Return the SAMPLE buffer."""
    c = context_of(m)
    return carray(pointer(c[s.C_SAMPLES]), c[s.C_SAMPLE_CAP], SAMPLE)


@hot
def kept_of(m: Int) -> Any:
    """Return the last SAMPLE row of each instrument."""
    c = context_of(m)
    return carray(pointer(c[s.C_LAST_ROWS]), c[s.C_SLOTS], SAMPLE)


@hot
def scratch_prices_of(m: Int) -> Any:
    """Return scratch prices of both sides' tops."""
    c = context_of(m)
    return carray(pointer(c[s.C_SCRATCH]), (2, OFI_LEVELS), np.int64)


@hot
def scratch_sizes_of(m: Int) -> Any:
    """Return scratch sizes of both sides' tops."""
    c = context_of(m)
    return carray(pointer(c[s.C_SCRATCH_SIZES]), (2, OFI_LEVELS), np.int64)


@hot
def bounds_of(m: Int) -> Any:
    """Return scratch bounds of the depth bands."""
    c = context_of(m)
    return carray(pointer(c[s.C_BOUNDS]), (2, N_BPS), np.float64)
