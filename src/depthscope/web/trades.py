"""Trades of a level of the history, in fixed memory and without losing volume."""

from __future__ import annotations

import numpy as np

from depthscope.web.stream import TRADE_RECORD, Trades, merge_trades

__all__ = ["TradeStore"]


class TradeStore:
    """Prints in order of column. Volume leaves only with the columns it belongs to.

    When room runs out, prints of columns no longer held go first; then the older half is merged
    to one print a column and side (at its volume-weighted price).

    Parameters
    ----------
    capacity : int
        Records kept.
    merge_from : int
        Prints of finished columns are merged by price and side when at least this many.
    """

    def __init__(self, capacity: int, merge_from: int) -> None:
        self._records = np.zeros(capacity, TRADE_RECORD)
        self._merge_from = merge_from
        self._n = 0
        self._open = 0  # first record of the column still being filled
        self._reserved = False

    def __len__(self) -> int:
        return self._n

    def reserve(self) -> None:
        """Have the system give all memory now; for a store that holds nothing yet."""
        self._records.view("u1").fill(0)
        self._reserved = True

    @property
    def held_bytes(self) -> int:
        """Memory taken up: all of it when reserved, or what has been used so far."""
        return self._records.nbytes if self._reserved else self._n * self._records.itemsize

    def append(self, trades: Trades, tail: int) -> None:
        """Add prints of the newest column(s); `tail` is the oldest column held."""
        most = len(self._records) // 4
        for start in range(0, len(trades), most):
            self._append(trades[start : start + most], tail)

    def _append(self, trades: Trades, tail: int) -> None:
        cols = self._records["col"]
        if self._open < self._n and trades["col"][0] > cols[self._n - 1]:
            self._settle(self._n)
        if self._n + len(trades) > len(self._records):
            self._make_room(tail)
        self._records[self._n : self._n + len(trades)] = trades
        self._n += len(trades)
        newest = int(np.searchsorted(cols[: self._n], trades["col"][-1], "left"))
        if newest > self._open:
            self._settle(newest)

    def _settle(self, end: int) -> None:
        """The columns before record `end` have ended: merge those that are large."""
        part = self._records[self._open : end]
        starts = np.flatnonzero(np.diff(part["col"].astype(np.int64), prepend=-1))
        sizes = np.diff(starts, append=len(part))
        large = np.repeat(sizes >= self._merge_from, sizes)
        if large.any():
            merged = np.concatenate((part[~large], merge_trades(part[large])))
            part = merged[np.argsort(merged["col"], kind="stable")]
            self._replace(self._open, end, part)
        self._open += len(part)

    def _replace(self, start: int, end: int, records: Trades) -> None:
        moved = self._records[end : self._n].copy()
        self._records[start : start + len(records)] = records
        self._n = start + len(records) + len(moved)
        self._records[start + len(records) : self._n] = moved

    def _make_room(self, tail: int) -> None:
        capacity = len(self._records)
        gone = int(np.searchsorted(self._records["col"][: self._n], tail, "left"))
        self._replace(0, gone, self._records[:0])
        for part in (self._n // 2, self._n):
            if self._n > capacity * 3 // 4:
                end = min(part, self._n)
                self._replace(0, end, _per_column(self._records[:end]))
        self._open = self._n

    def between(self, first: int, last: int) -> Trades:
        """Copy of the prints of columns `first` to `last`."""
        cols = self._records["col"][: self._n]
        a, b = np.searchsorted(cols, (first, last + 1), "left")
        return self._records[int(a) : int(b)].copy()

    def truncate(self, col: int) -> None:
        """Forget the prints of column `col` and after."""
        self._n = int(np.searchsorted(self._records["col"][: self._n], col, "left"))
        self._open = min(self._open, self._n)


def _per_column(trades: Trades) -> Trades:
    """One print a column and side, at the volume-weighted price."""
    flat = trades.copy()
    key = flat["col"].astype(np.int64) * 4 + flat["side"]
    _, inverse = np.unique(key, return_inverse=True)
    weight = np.bincount(inverse, flat["size"].astype(np.float64))
    price = flat["tick"].astype(np.float64) + flat["fraction"]
    mean = np.bincount(inverse, price * flat["size"]) / np.where(weight > 0, weight, 1.0)
    tick = np.floor(mean)
    flat["tick"] = tick.astype(np.int32)[inverse]
    flat["fraction"] = (mean - tick).astype(np.float32)[inverse]
    return merge_trades(flat)
