"""The usual size of a side's levels, as several detectors measure it.

Once a second a reading is taken: the median of the best ten levels, the largest of them left out,
so that what stands out cannot raise its own measure. The usual size is the median of the readings
of the last 30 seconds, and not known before five of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.features.kit import SECOND
from depthscope.jit import Int, njit

READINGS: Final = 30
FEWEST: Final = 5
BEST: Final = 10  # levels a reading looks at
NEVER: Final = (1 << 63) - 1

USUAL: Final = np.dtype(
    [
        ("next", "i8"),  # when to take a reading
        ("read", "i8"),  # readings taken
        ("time", "i8", (READINGS,)),
        ("reading", "f8", (2, READINGS)),
        ("order", "i8", (2, READINGS)),  # their numbers, the smallest reading first
        ("scratch", "f8", (READINGS,)),
        # What `usual_size` found, and when the first reading it rests on will be too old.
        ("size", "f8", (2,)),
        ("until", "i8", (2,)),
    ]
)


@njit
def median(values: Any, n: int) -> Any:
    """Median of the first `n` values, which are put in order."""
    for i in range(1, n):
        value = values[i]
        k = i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    return 0.5 * (values[(n - 1) >> 1] + values[n >> 1])


@njit
def put_in_order(order: Any, readings: Any, at: Int) -> None:
    """Bring the numbers of readings in order again after reading `at` has changed (all zeros: none yet).

    Sorting them anew each second would be half of what their detector costs.
    """
    if order[0] == order[1]:
        for k in range(len(order)):
            order[k] = k
    k = 0
    while order[k] != at:
        k += 1
    while k > 0 and readings[order[k - 1]] > readings[at]:
        order[k] = order[k - 1]
        k -= 1
    while k < len(order) - 1 and readings[order[k + 1]] < readings[at]:
        order[k] = order[k + 1]
        k += 1
    order[k] = at


@njit
def take_reading(u: Any, row: Any) -> None:
    """Take a reading of both sides from a SAMPLE row, when one is due."""
    if row.ts < u.next:
        return
    u.next = (row.ts // SECOND + 1) * SECOND
    at = u.read % READINGS
    u.time[at] = row.ts
    u.read += 1
    u.until[:] = 0
    for side in range(2):
        sizes = row.bid_size if side == 0 else row.ask_size
        n = min(row.n_bid if side == 0 else row.n_ask, BEST)
        for k in range(n):
            u.scratch[k] = sizes[k]
        median(u.scratch, n)  # in order: the largest is the last
        u.reading[side, at] = median(u.scratch, n - 1) if n > 1 else u.scratch[0]
        put_in_order(u.order[side], u.reading[side], at)


@njit
def usual_size(u: Any, side: Int, ts: Int) -> Any:
    """Usual size of a side's levels in lots, 0 while it is not known."""
    if ts < u.until[side]:
        return u.size[side]
    n, until = 0, NEVER
    for k in range(READINGS):
        at = u.order[side, k]
        if at < u.read and ts < u.time[at] + READINGS * SECOND:
            u.scratch[n] = u.reading[side, at]
            until = min(until, u.time[at] + READINGS * SECOND)
            n += 1
    u.size[side] = 0.5 * (u.scratch[(n - 1) >> 1] + u.scratch[n >> 1]) if n >= FEWEST else 0.0
    u.until[side] = until
    return u.size[side]
