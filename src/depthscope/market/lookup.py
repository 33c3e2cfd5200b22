"""Look a moment up in a timetable from compiled code."""

from __future__ import annotations

from depthscope.jit import Int, njit

__all__ = ["stretch_at"]


@njit
def stretch_at(starts: Int, end: Int, ts: Int, hint: Int) -> Int:
    """Index of the stretch a moment lies in.

    Parameters
    ----------
    starts : array of int64, shape (N,)
        ``Timetable.starts``.
    end : int
        ``Timetable.end``.
    ts : int
        UTC ns.
    hint : int
        The last answer, or any number: where it still holds nothing is searched.

    Returns
    -------
    int
        -1 where the timetable does not reach.
    """
    n = starts.shape[0]
    if n == 0 or ts < starts[0] or ts >= end:
        return -1
    if 0 <= hint < n and starts[hint] <= ts and (hint + 1 == n or ts < starts[hint + 1]):
        return hint
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) >> 1
        if starts[middle] <= ts:
            low = middle
        else:
            high = middle
    return low
