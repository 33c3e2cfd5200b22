"""Heatmap history of one symbol: three resolutions, merged by maximum, in fixed memory.

Walls must survive zooming out, so coarser columns hold the largest size seen at each tick, never
a mean. Sizes are kept as 16-bit logarithms (see :func:`depthscope.web.stream.quantise`). Arrays
are allocated at their final size; the system gives them memory as they fill, so a short replay
stays small, unless it is reserved at once, as a live market does, which must not grow by the hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from depthscope.web.stream import TRADE_RECORD, Floats, Quantised, Trades
from depthscope.web.trades import TradeStore

__all__ = ["PLAN", "History", "Level", "Run", "Sample"]

MS: Final = 1_000_000
_MOST_WAITING: Final = 4096  # prints
# (column in ms, columns kept): 3 minutes, an hour, a day
PLAN: Final = ((50, 3600), (250, 14_400), (1000, 86_400))


@dataclass(frozen=True, slots=True)
class Sample:
    """The book as a column shows it. Prices in ticks, sizes in public units (`q`: see stream)."""

    base: int
    bid: int
    ask: int
    bid_size: float
    ask_size: float
    cvd: float
    imbalance: float
    flags: int
    size: Floats
    q: Quantised
    row: int = 1  # ticks of a level


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive columns taken out of a level, and their trades."""

    first: int
    cvd: npt.NDArray[np.float64]
    base: npt.NDArray[np.int32]
    bid: npt.NDArray[np.int32]
    ask: npt.NDArray[np.int32]
    imbalance: Floats
    ofi: Floats
    q: Quantised
    trades: Trades


def _aligned(row: Quantised, shift: int) -> Quantised:
    """Return a row seen through a window `shift` levels higher; levels outside are lost."""
    if shift == 0:
        return row
    out = np.zeros_like(row)
    n = len(row)
    if abs(shift) < n:
        if shift > 0:
            out[: n - shift] = row[shift:]
        else:
            out[-shift:] = row[: n + shift]
    return out


class Level:
    """One resolution: a ring of columns.

    Parameters
    ----------
    ms : int
        Width of a column in ms of market time.
    cols : int
        Columns kept.
    levels : int
        Ticks of a column.
    finest : bool
        Whether a column sampled again takes the newer state rather than the maximum.

    Attributes
    ----------
    head, tail : int
        Newest and oldest column held; head is -1 while there is none.
    final : int
        Columns before this one have all their OFI.
    sent, ofi_sent : int
        What the encoder has given out: first column, first OFI not yet sent.
    """

    def __init__(self, ms: int, cols: int, levels: int, *, finest: bool) -> None:
        self.ms, self.cols, self.finest = ms, cols, finest
        self.ns = ms * MS
        self.head, self.tail, self.final = -1, 0, 0
        self.sent, self.ofi_sent = 0, 0
        self._trades = TradeStore(max(16_384, 4 * cols), merge_from=256 if finest else 1)
        self._fresh: list[Trades] = []
        # Prints not yet put into columns, with ns since the origin: many at once cost little more than one.
        self._waiting: list[tuple[npt.NDArray[np.int64], Trades]] = []
        self._n_waiting = 0
        self._q = np.zeros((cols, levels), "<u2")
        self._base, self._bid, self._ask = (np.zeros(cols, "<i4") for _ in range(3))
        self._bid_size, self._ask_size, self._imbalance, self._ofi = (np.zeros(cols, "<f4") for _ in range(4))
        self._cvd = np.zeros(cols, "<f8")
        self._flags = np.zeros(cols, "u1")
        self._reserved = False

    @property
    def _lines(self) -> tuple[npt.NDArray[Any], ...]:
        """Every array of columns."""
        return (
            self._q, self._base, self._bid, self._ask, self._bid_size, self._ask_size, self._imbalance,
            self._ofi, self._cvd, self._flags,
        )  # fmt: skip

    def reserve(self) -> None:
        """Have the system give all memory now; for a level that holds nothing yet."""
        for line in self._lines:
            line.fill(0)
        self._trades.reserve()
        self._reserved = True

    @property
    def held_bytes(self) -> int:
        """Memory taken up: all of it when reserved, or what has been used so far."""
        whole = sum(line.nbytes for line in self._lines)
        columns = self.head - self.tail + 1 if self.head >= 0 else 0
        return (whole if self._reserved else whole * columns // self.cols) + self._trades.held_bytes

    def write(self, first: int, last: int, sample: Sample) -> None:
        """Put a sample into columns `first` to `last`, of which `first` may be the open one."""
        first = max(first, 0)
        if self.head < 0:
            self.tail = self.final = self.sent = self.ofi_sent = first
        elif first > self.head + 1:
            first = self.head + 1
        if first <= self.head:
            self._put(np.array([first % self.cols]), sample, merge=not self.finest)
            first += 1
        if first > last:
            return
        idx = np.arange(max(first, last - self.cols + 1), last + 1) % self.cols
        self._ofi[idx] = 0.0
        self._put(idx, sample, merge=False)
        self.head = last
        self.tail = max(self.tail, last - self.cols + 1)

    def _put(self, idx: npt.NDArray[np.int64], sample: Sample, *, merge: bool) -> None:
        q = sample.q
        if merge:
            at = int(idx[0])
            q = np.maximum(_aligned(self._q[at], (sample.base - int(self._base[at])) // sample.row), q)
        self._q[idx] = q
        self._base[idx], self._bid[idx], self._ask[idx] = sample.base, sample.bid, sample.ask
        self._bid_size[idx], self._ask_size[idx] = sample.bid_size, sample.ask_size
        self._cvd[idx], self._imbalance[idx], self._flags[idx] = sample.cvd, sample.imbalance, sample.flags

    def add_ofi(self, cols: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Add order-flow imbalance to its columns; those not held are passed over."""
        held = (cols >= self.tail) & (cols <= self.head) & np.isfinite(values)
        np.add.at(self._ofi, cols[held] % self.cols, values[held])

    def finalise(self, before: int) -> None:
        """Columns before `before` have all their OFI."""
        self.final = max(self.final, min(before, self.head + 1))

    def add_trades(self, since: npt.NDArray[np.int64], trades: Trades) -> None:
        """Keep prints made `since` ns after column 0 begins; neither array may change later."""
        self._waiting.append((since, trades))
        self._n_waiting += len(trades)
        if self._n_waiting >= _MOST_WAITING:
            self._place()

    def _place(self) -> None:
        """Put the prints that wait into their columns."""
        if not self._n_waiting:
            return
        since = np.concatenate([s for s, _ in self._waiting])
        trades = np.concatenate([t for _, t in self._waiting])
        trades["col"] = np.maximum(0, since // self.ns)
        self._waiting, self._n_waiting = [], 0
        self._trades.append(trades, self.tail)
        self._fresh.append(trades)

    @property
    def trades(self) -> TradeStore:
        """Prints of the columns."""
        self._place()
        return self._trades

    @property
    def fresh(self) -> list[Trades]:
        """Prints since the encoder last looked; it empties the list."""
        self._place()
        return self._fresh

    def ofi(self, first: int, before: int) -> Floats:
        """OFI of columns `first` to `before` - 1, NaN where not final or no longer held."""
        cols = np.arange(first, before)
        out = self._ofi[cols % self.cols].copy()
        out[(cols >= self.final) | (cols < self.tail) | (cols > self.head)] = np.nan
        return out

    def scalars(self, col: int) -> tuple[int, int, int, float, float, float, float, int]:
        """(base, bid, ask, bid_size, ask_size, cvd, imbalance, flags) of a column held."""
        i = col % self.cols
        return (
            int(self._base[i]), int(self._bid[i]), int(self._ask[i]), float(self._bid_size[i]),
            float(self._ask_size[i]), float(self._cvd[i]), float(self._imbalance[i]), int(self._flags[i]),
        )  # fmt: skip

    def row(self, col: int) -> Quantised:
        """Sizes of a column held."""
        row: Quantised = self._q[col % self.cols]
        return row

    def run(self, first: int, last: int) -> Run:
        """Take columns `first` to `last`, which must be held, with their trades."""
        idx = np.arange(first, last + 1) % self.cols
        return Run(
            first, self._cvd[idx], self._base[idx], self._bid[idx], self._ask[idx], self._imbalance[idx],
            self.ofi(first, last + 1), self._q[idx], self.trades.between(first, last),
        )  # fmt: skip

    def unfinished(self) -> tuple[int, Floats]:
        """First column whose OFI is not final, and what its columns have so far."""
        cols = np.arange(max(self.final, self.tail), self.head + 1)
        return self.final, self._ofi[cols % self.cols]

    def truncate(self, col: int, unfinished: tuple[int, Floats]) -> None:
        """Forget column `col` and everything after it.

        Flow that was `unfinished` at that moment is put back: the engine will tell the rest again.
        """
        self.fresh.clear()
        self.trades.truncate(col)
        if self.head >= col:
            self.head = col - 1
        if self.head < self.tail:
            self.head, self.tail = -1, 0
        self.final, values = unfinished
        cols = np.arange(self.final, self.head + 1)
        so_far = np.zeros(len(cols), "<f4")
        so_far[: len(values)] = values[: len(cols)]
        held = cols >= self.tail
        self._ofi[cols[held] % self.cols] = so_far[held]
        self.sent = min(self.sent, col)
        self.ofi_sent = min(self.ofi_sent, self.final)


class History:
    """Columns and trades of one symbol at every resolution.

    Parameters
    ----------
    origin : int
        UTC ns at which column 0 of each resolution begins; a whole second.
    levels : int
        Ticks of a column.
    plan : tuple
        (ms, columns) of each resolution, finest first.
    reserve : bool
        Take all memory now (53 MiB with 200 levels and the usual plan), none later.
    """

    def __init__(
        self, origin: int, levels: int, plan: tuple[tuple[int, int], ...] = PLAN, *, reserve: bool = False
    ) -> None:
        self.origin = origin
        self.levels = [Level(ms, cols, levels, finest=i == 0) for i, (ms, cols) in enumerate(plan)]
        if reserve:
            for level in self.levels:
                level.reserve()
        self.until: int | None = None  # market time up to which columns are written
        self.last: Sample | None = None

    @property
    def held_bytes(self) -> int:
        """Memory taken up."""
        return sum(level.held_bytes for level in self.levels)

    def advance(self, ts: int, sample: Sample) -> None:
        """Write `sample` into every column from where the last one ended until `ts` (exclusive)."""
        start = ts - 1 if self.until is None else self.until
        if ts <= start:
            return
        for level in self.levels:
            level.write((start - self.origin) // level.ns, max(0, (ts - 1 - self.origin) // level.ns), sample)
        self.until, self.last = ts, sample

    def add_ofi(self, ts: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Add flow of sample rows, `ts` being the boundaries that ended them (UTC ns)."""
        for level in self.levels:
            level.add_ofi((ts - 1 - self.origin) // level.ns, values)

    def finalise(self, ts: int) -> None:
        """All flow before `ts` has been added."""
        for level in self.levels:
            level.finalise((ts - self.origin) // level.ns)

    def add_trades(self, ts: npt.NDArray[np.int64], fields: dict[str, npt.NDArray[Any]]) -> None:
        """Keep prints at their own times; `fields` are the other columns of TRADE_RECORD."""
        records = np.zeros(len(ts), TRADE_RECORD)
        for name, values in fields.items():
            records[name] = values
        records["count"] = 1
        since = ts - self.origin
        for level in self.levels:
            level.add_trades(since, records)

    def unfinished(self) -> tuple[tuple[int, Floats], ...]:
        """What :meth:`truncate` needs to come back to this moment."""
        return tuple(level.unfinished() for level in self.levels)

    def truncate(self, ts: int, unfinished: tuple[tuple[int, Floats], ...]) -> None:
        """Forget everything from `ts` on, a whole second at which `unfinished` was taken."""
        for level, flow in zip(self.levels, unfinished, strict=True):
            level.truncate((ts - self.origin) // level.ns, flow)
        self.until = ts
        if self.levels[0].head < 0:
            self.last = None
