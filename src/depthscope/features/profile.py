"""Volume at price, for kernels: exact whatever the prices, and no longer than the prices that traded.

A profile is a list of (tick number, volume), ascending, in the memory of one of its instrument's rings, with
a `PROFILE` record in STATE. A trade far away costs one more entry, as there is no window that prices could
fall out of. A price off the grid counts with the tick below it.

The answer is kept with the span of mids for which it holds, so a row costs a few comparisons until something
trades: a tie alone makes the answer depend on the mid.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import RING_COLUMNS, frame_of
from depthscope.jit import Int, carray, njit, pointer

__all__ = ["NO_MID", "PROFILE", "add", "cells_of", "clear", "fits", "remove", "settle", "settle_poc"]

PROFILE: Final = np.dtype(
    [
        ("n", "i8"),  # prices
        ("volume", "i8"),  # lots, of all
        ("changed", "i8"),
        ("latest", "i8"),  # number of the entry found last
        # The most volume of any price and its tick, while `sure`: known without looking at the others.
        ("sure", "i8"),
        ("most", "i8"),
        ("most_at", "i8"),
        # The answer, in ticks, and the span of mids (bid + ask, 1e-9 fixed) for which it holds.
        ("poc", "i8"),
        ("low", "i8"),
        ("high", "i8"),
        ("above", "i8"),
        ("upto", "i8"),
    ]
)
LEAST: Final = -(2**63)
LARGEST: Final = 2**63 - 1
NO_MID: Final = LEAST + 1  # below every mid: ties then go to the lower price
CELLS: Final = 2  # tick number, volume


@njit
def cells_of(ctx: Any, ring: Any) -> Any:
    """Memory of a profile: tick numbers and volumes in turn."""
    address = frame_of(ctx).rings + ring.first * RING_COLUMNS * 8
    return carray(pointer(address), ring.cap * RING_COLUMNS, np.int64)


@njit
def fits(ring: Any, p: Any) -> Any:
    """Whether there is room for one more price."""
    return (p.n + 1) * CELLS <= ring.cap * RING_COLUMNS


@njit
def place(cells: Any, p: Any, tick: Int) -> Int:
    """Number of the first entry that is not below a tick."""
    if p.latest < p.n and cells[natural(CELLS * p.latest)] == tick:  # trades come in runs
        return p.latest
    low, high = np.int64(0), p.n
    while low < high:
        middle = (low + high) >> 1
        if cells[natural(CELLS * middle)] < tick:
            low = middle + 1
        else:
            high = middle
    p.latest = low
    return low


@njit
def resize(ring: Any, p: Any, n: Int) -> None:
    """Note how many entries there are, and how much of the ring they take."""
    p.n = n
    ring.tail = 0
    ring.head = (n * CELLS + RING_COLUMNS - 1) // RING_COLUMNS


@njit
def clear(ring: Any, p: Any) -> None:
    """Forget everything."""
    resize(ring, p, np.int64(0))
    p.volume = p.sure = 0
    p.changed = 1


@njit
def add(cells: Any, ring: Any, p: Any, tick: Int, size: Int) -> None:
    """Add volume at a tick, for which there must be room."""
    at = place(cells, p, tick)
    if at == p.n or cells[natural(CELLS * at)] != tick:
        for k in range(CELLS * p.n - 1, CELLS * at - 1, -1):
            cells[natural(k + CELLS)] = cells[natural(k)]
        cells[natural(CELLS * at)] = tick
        cells[natural(CELLS * at + 1)] = 0
        resize(ring, p, p.n + 1)
    cells[natural(CELLS * at + 1)] += size
    volume = cells[natural(CELLS * at + 1)]
    if volume > p.most:
        p.most, p.most_at = volume, tick
    elif volume == p.most:
        p.sure = 0
    p.volume += size
    p.changed = 1


@njit
def remove(cells: Any, ring: Any, p: Any, tick: Int, size: Int) -> None:
    """Take volume away that was added before; a price with none left goes."""
    at = place(cells, p, tick)
    cells[natural(CELLS * at + 1)] -= size
    if cells[natural(CELLS * at + 1)] == 0:
        for k in range(CELLS * at, CELLS * (p.n - 1)):
            cells[natural(k)] = cells[natural(k + CELLS)]
        resize(ring, p, p.n - 1)
    if tick == p.most_at:
        p.sure = 0
    p.volume -= size
    p.changed = 1


@njit
def beyond(p: Any, mid: Int, edge: Int) -> Any:
    """Whether the mid is above an edge; the span of mids with this answer shrinks to those on its side."""
    if mid > edge:
        p.above = max(p.above, edge)
        return True
    p.upto = min(p.upto, edge)
    return False


@njit
def largest(cells: Any, p: Any, mid: Int, grid: Int) -> Int:
    """Number of the entry with the most volume, of several the nearest to mid, of two the lower."""
    best = np.int64(0)
    for k in range(1, p.n):
        more = cells[natural(CELLS * k + 1)] - cells[natural(CELLS * best + 1)]
        if more > 0:
            best = np.int64(k)
            p.above, p.upto = np.int64(LEAST), np.int64(LARGEST)  # ties of smaller ones play no part
        elif more == 0:
            middle = (cells[natural(CELLS * best)] + cells[natural(CELLS * k)]) * grid
            if beyond(p, mid, middle):
                best = np.int64(k)
    return best


@njit
def settle_poc(cells: Any, p: Any, mid: Int, grid: Int) -> Int:
    """Find the point of control, a tick, for a mid; returns its entry's number. There must be one."""
    p.changed = 0
    p.above, p.upto = np.int64(LEAST), np.int64(LARGEST)
    if p.sure:
        p.poc = p.most_at
        return place(cells, p, p.poc)
    at = largest(cells, p, mid, grid)
    p.poc = p.most_at = cells[natural(CELLS * at)]
    p.most = cells[natural(CELLS * at + 1)]
    p.sure = p.above == LEAST and p.upto == LARGEST  # no other has as much
    return at


@njit
def next_two(cells: Any, p: Any, at: Int, edge: Int, step: Int) -> Any:
    """Volume in the next two ticks beyond an edge of the area, and the number of the entry after them.

    `at` is the next entry on that side and `step` 1 above, -1 below. Products instead of branches:
    whether a tick traded is anybody's guess, the processor's too.
    """
    first = min(max(at, np.int64(0)), p.n - 1)
    second = min(max(at + step, np.int64(0)), p.n - 1)
    one = np.int64((cells[natural(CELLS * first)] - edge) * step <= 2) * np.int64(first == at)
    two = one * np.int64((cells[natural(CELLS * second)] - edge) * step <= 2) * np.int64(second == at + step)
    found = one * cells[natural(CELLS * first + 1)] + two * cells[natural(CELLS * second + 1)]
    return found, at + step * (one + two)


@njit
def leap(cells: Any, at: Int, edge: Int, step: Int) -> Int:
    """Edge beyond all pairs of ticks without a trade, of which there is one at least."""
    gap = (cells[natural(CELLS * at)] - edge) * step - 1
    return edge + step * (gap - gap % 2)


@njit
def settle(cells: Any, p: Any, mid: Int, grid: Int) -> None:
    """Find the point of control and the value area of a profile for a mid (bid + ask, or NO_MID)."""
    if p.n == 0:
        p.changed = 0
        p.above, p.upto = np.int64(LEAST), np.int64(LARGEST)
        return
    start = settle_poc(cells, p, mid, grid)
    low = high = p.poc
    down, up = start - 1, start + 1
    inside = cells[natural(CELLS * start + 1)]
    above, next_up = next_two(cells, p, up, high, np.int64(1))
    below, next_down = next_two(cells, p, down, low, np.int64(-1))
    while 10 * inside < 7 * p.volume:
        if above == below and up < p.n and down >= 0:
            rises = beyond(p, mid, 2 * p.poc * grid)
        else:
            rises = down < 0 or above > below
        if rises:
            high = high + 2 if above else leap(cells, up, high, np.int64(1))
            inside += above
            up = next_up
            above, next_up = next_two(cells, p, up, high, np.int64(1))
        else:
            low = low - 2 if below else leap(cells, down, low, np.int64(-1))
            inside += below
            down = next_down
            below, next_down = next_two(cells, p, down, low, np.int64(-1))
    p.low = max(low, cells[0])
    p.high = min(high, cells[natural(CELLS * (p.n - 1))])
