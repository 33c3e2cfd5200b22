"""Putting interleaved groups in order: each becomes contiguous, at the place of its LAST record."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from depthscope.jit import Int, kernel
from depthscope.market.events import EVENT, LAST, Events


@kernel(types.int64(numba.from_dtype(EVENT)[::1], types.int64[::1], types.int64[::1]))
def _order(events: Any, order: Any, next_of: Any) -> Int:
    """Write the indices of complete groups in order, then of the rest; returns the number complete."""
    n = len(events)
    # Open groups: key, first and last record, chained through next_of.
    room = 16
    keys = np.empty(room, np.int64)
    heads = np.empty(room, np.int64)
    tails = np.empty(room, np.int64)
    used = 0
    done = 0
    for j in range(n):
        key = (np.int64(events[j].publisher) << 32) | np.int64(events[j].instrument_id)
        k = 0
        while k < used and keys[k] != key:
            k += 1
        next_of[j] = -1
        if k == used:
            if used == room:
                bigger = np.empty((3, 2 * room), np.int64)
                bigger[0, :room], bigger[1, :room], bigger[2, :room] = keys, heads, tails
                keys, heads, tails = bigger[0], bigger[1], bigger[2]
                room *= 2
            keys[k], heads[k], tails[k] = key, j, j
            used += 1
        else:
            next_of[tails[k]] = j
            tails[k] = j
        if events[j].flags & LAST:
            i = heads[k]
            while i >= 0:
                order[done] = i
                done += 1
                i = next_of[i]
            used -= 1
            keys[k], heads[k], tails[k] = keys[used], heads[used], tails[used]
    # What is left keeps its original order.
    open_record = np.zeros(n, np.bool_)
    for k in range(used):
        i = heads[k]
        while i >= 0:
            open_record[i] = True
            i = next_of[i]
    at = done
    for j in range(n):
        if open_record[j]:
            order[at] = j
            at += 1
    return done


def regroup(events: Events) -> tuple[Events, Events]:
    """Order records by the LAST of their group.

    Parameters
    ----------
    events : structured array (n,) of EVENT
        Records of any instruments, interleaved or not.

    Returns
    -------
    complete, rest : structured arrays
        Whole contiguous groups in the order of their LAST records, and the records of groups
        that have not ended, in their original order.
    """
    contiguous: npt.NDArray[Any] = np.ascontiguousarray(events)
    order = np.empty(len(contiguous), np.int64)
    done = int(_order(contiguous, order, np.empty(len(contiguous), np.int64)))
    return contiguous[order[:done]], contiguous[order[done:]]
