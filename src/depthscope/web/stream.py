"""Binary frames of the page's stream: TICK (one column), HIST (a run of columns), BOOK (exact ticks).

The layout is specified in docs/STREAM.md and pinned by tests/web/golden_frames.json, which the
page's decoder is tested against too. Little-endian; sections start on 4-byte boundaries.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from depthscope.web.history import Run

__all__ = [
    "BOOK",
    "CHUNK",
    "CLOSED",
    "GAP_FILL",
    "HIST",
    "HIST_REPLAY",
    "INCOMPLETE",
    "LAST_CHUNK",
    "LOG_K",
    "NOT_LIVE",
    "NO_TICK",
    "REPLAY",
    "TICK",
    "TRADE_RECORD",
    "VERSION",
    "Column",
    "Head",
    "book_frame",
    "dequantise",
    "hist_frame",
    "merge_trades",
    "quantise",
    "tick_frame",
]

VERSION: Final = 1
HIST: Final = 1
TICK: Final = 2
BOOK: Final = 3
NO_TICK: Final = -(2**31)  # an empty side, or a book that is not LIVE
CHUNK: Final = 300  # columns of a HIST frame

# TICK flags
CLOSED: Final = 1
REPLAY: Final = 2
NOT_LIVE: Final = 4
INCOMPLETE: Final = 8
# HIST flags (bits 8-9 hold the resolution)
LAST_CHUNK: Final = 1
GAP_FILL: Final = 2
HIST_REPLAY: Final = 4

# 16 bits hold up to 2**40 lots: a step of 0.042 %, so a rounding error of at most 0.043 % (one lot).
LOG_K: Final = float(np.float32(65535.0 / np.log1p(2.0**40)))

_HEADER: Final = struct.Struct("<BBHId")
_TICK: Final = struct.Struct("<IiiiffdfHHIIHH")
_HIST: Final = struct.Struct("<IIIIIffI")
_BOOK: Final = struct.Struct("<IiiiHH")

TRADE_RECORD: Final = np.dtype(
    [
        ("col", "<u4"),
        ("tick", "<i4"),
        ("fraction", "<f4"),  # of a tick above `tick`
        ("size", "<f4"),
        ("seq", "<u4"),
        ("side", "u1"),  # aggressor: 0 unknown, 1 buy, 2 sell
        ("flags", "u1"),  # bit 0: side inferred
        ("count", "<u2"),  # prints merged
    ]
)

Floats = npt.NDArray[np.float32]
Quantised = npt.NDArray[np.uint16]
Trades = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Head:
    """What every frame starts with.

    Attributes
    ----------
    symbol, seq, res : int
        Symbol id, server tick number, resolution 0 to 2.
    server_ms : float
        Wall clock, ms since 1970.
    """

    symbol: int
    seq: int
    res: int
    server_ms: float


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it goes into a TICK frame. Sizes in public units, prices in ticks."""

    col: int
    base: int
    bid: int
    ask: int
    bid_size: float
    ask_size: float
    cvd: float
    imbalance: float
    flags: int
    size: Floats
    ofi_first: int
    ofi: Floats


def quantise(lots: npt.NDArray[Any]) -> Quantised:
    """16-bit logarithm of sizes in lots: 0 is nothing, a resting lot is at least 1."""
    q = np.rint(np.log1p(np.asarray(lots, np.float64)) * LOG_K)
    np.minimum(q, 65535.0, out=q)
    q[(q < 1.0) & (lots > 0)] = 1.0
    return q.astype("<u2")


def dequantise(q: Quantised, unit: float) -> Floats:
    """Sizes in public units of a 16-bit logarithm, `unit` being a lot."""
    return (np.expm1(q.astype(np.float64) / LOG_K) * unit).astype("<f4")


def merge_trades(trades: Trades) -> Trades:
    """One record per column, price and side; sizes add up, the last print's number stays."""
    if len(trades) < 2:
        return trades
    order = np.lexsort((trades["side"], trades["fraction"], trades["tick"], trades["col"]))
    sorted_ = trades[order]
    new = np.ones(len(sorted_), bool)
    new[1:] = (
        (sorted_["col"][1:] != sorted_["col"][:-1])
        | (sorted_["tick"][1:] != sorted_["tick"][:-1])
        | (sorted_["fraction"][1:] != sorted_["fraction"][:-1])
        | (sorted_["side"][1:] != sorted_["side"][:-1])
    )
    at = np.flatnonzero(new)
    merged = sorted_[at]
    merged["size"] = np.add.reduceat(sorted_["size"].astype(np.float64), at)
    merged["seq"] = np.maximum.reduceat(sorted_["seq"], at)
    merged["flags"] = np.bitwise_or.reduceat(sorted_["flags"], at)
    merged["count"] = np.minimum(np.add.reduceat(sorted_["count"].astype(np.int64), at), 65535)
    # Oldest first within a column, as the prints came.
    return merged[np.lexsort((merged["seq"], merged["col"]))]


def tick_frame(head: Head, column: Column, trades: Trades) -> bytes:
    """Encode one column and the prints that are new since the frame before.

    Parameters
    ----------
    head : Head
        Whose, when and at which resolution.
    column : Column
        The column; its `ofi` block holds columns that became final.
    trades : array of TRADE_RECORD
        At most 65,535 records.

    Returns
    -------
    bytes
        68 + 4 x levels + 4 x ofi + 24 x trades.
    """
    c = column
    return b"".join(
        (
            _HEADER.pack(TICK, VERSION, head.symbol, head.seq & 0xFFFFFFFF, head.server_ms),
            _TICK.pack(
                c.col, c.base, c.bid, c.ask, c.bid_size, c.ask_size, c.cvd, c.imbalance,
                len(c.size), len(trades), c.flags, c.ofi_first, len(c.ofi), head.res,
            ),
            c.size.astype("<f4", copy=False).tobytes(),
            c.ofi.astype("<f4", copy=False).tobytes(),
            trades.tobytes(),
        )
    )  # fmt: skip


def book_frame(head: Head, col: int, base: int, bid: int, ask: int, flags: int, size: Floats) -> bytes:
    """Encode the exact ticks round the mid, for symbols whose levels are wider than a tick.

    Parameters
    ----------
    head : Head
        Whose and when.
    col : int
        Newest column of resolution 0.
    base, bid, ask : int
        First tick, best bid and best ask; NO_TICK for an empty side.
    flags : int
        As in a TICK.
    size : float32 array
        Public size resting at each tick from `base` up.

    Returns
    -------
    bytes
        36 + 4 x ticks.
    """
    return b"".join(
        (
            _HEADER.pack(BOOK, VERSION, head.symbol, head.seq & 0xFFFFFFFF, head.server_ms),
            _BOOK.pack(col, base, bid, ask, len(size), flags),
            size.astype("<f4", copy=False).tobytes(),
        )
    )


def hist_frame(head: Head, unit: float, run: Run, flags: int) -> bytes:
    """Encode a run of columns and their trades.

    Parameters
    ----------
    head : Head
        Whose, when and at which resolution.
    unit : float
        A lot in public units.
    run : Run
        At most 300 columns, with their trades.
    flags : int
        LAST_CHUNK, GAP_FILL, HIST_REPLAY.

    Returns
    -------
    bytes
        48 + 28 x columns + 24 x trades + 2 x columns x levels, padded to 4.
    """
    body = b"".join(
        (
            _HEADER.pack(HIST, VERSION, head.symbol, head.seq & 0xFFFFFFFF, head.server_ms),
            _HIST.pack(
                run.first,
                len(run.base),
                run.q.shape[1],
                len(run.trades),
                flags | head.res << 8,
                LOG_K,
                unit,
                0,
            ),
            run.cvd.astype("<f8", copy=False).tobytes(),
            run.base.astype("<i4", copy=False).tobytes(),
            run.bid.astype("<i4", copy=False).tobytes(),
            run.ask.astype("<i4", copy=False).tobytes(),
            run.imbalance.astype("<f4", copy=False).tobytes(),
            run.ofi.astype("<f4", copy=False).tobytes(),
            run.trades.tobytes(),
            run.q.astype("<u2", copy=False).tobytes(),
        )
    )
    return body + bytes(-len(body) % 4)
