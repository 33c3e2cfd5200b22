"""EVENT: the one record every venue is translated into, and its vocabulary.

The layout is frozen: recorded files hold these bytes. A test pins every offset.
All times are UTC nanoseconds. Prices are signed integers in units of 1e-9; sizes are
integers in lots (see :class:`depthscope.market.instruments.Instrument`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

EVENT: Final = np.dtype(
    [
        ("ts_event", "<i8"),  # venue time
        ("ts_recv", "<i8"),  # receive time: the engine's clock
        ("order_id", "<u8"),  # 0 where the feed has none (and, on some feeds, a legal id)
        ("price", "<i8"),  # 1e-9 fixed point, UNDEF_PRICE where absent
        ("size", "<i8"),  # lots
        ("sequence", "<u8"),
        ("instrument_id", "<u4"),
        ("aux", "<u4"),  # L: order count (0 unknown); S: status code
        ("publisher", "<u2"),
        ("cond", "<u2"),  # COND_* exclusions; 0 = an ordinary trade
        ("action", "u1"),
        ("side", "u1"),
        ("flags", "u1"),
        ("reserved", "u1"),
    ]
)

UNDEF_PRICE: Final = 2**63 - 1
PRICE_SCALE: Final = 10**9

# Actions: Databento's letters plus L, Q, S, X.
ADD: Final = ord("A")  # new order
CANCEL: Final = ord("C")  # size removed, possibly part of an order
MODIFY: Final = ord("M")  # new price and new total size
CLEAR: Final = ord("R")  # remove every order and level of the instrument
TRADE: Final = ord("T")  # side = aggressor; never changes the book
FILL: Final = ord("F")  # side = resting order; never changes the book
NONE: Final = ord("N")  # nothing, or a clock tick
LEVEL: Final = ord("L")  # absolute size at a price, 0 removes
QUOTE: Final = ord("Q")  # one side of a top-of-book quote, replaces that side of an L1 book
STATUS: Final = ord("S")  # trading status, code in aux
LOST: Final = ord("X")  # gap or disconnect: the book is STALE from here

ACTIONS: Final = "ACMRTFNLQSX"

BID: Final = ord("B")
ASK: Final = ord("A")
NO_SIDE: Final = ord("N")

# Flags: Databento's bits plus INFERRED_SIDE.
LAST: Final = 128  # last record of a group: the book may be read after it
TOB: Final = 64  # the record replaces its side of the book
SNAPSHOT: Final = 32
MBP: Final = 16
BAD_TS_RECV: Final = 8
MAYBE_BAD_BOOK: Final = 4
PUBLISHER_SPECIFIC: Final = 2
INFERRED_SIDE: Final = 1  # the aggressor was inferred, not told by the venue

# Trade conditions: what a trade does *not* count for. 0 = counts for everything.
COND_NOT_LAST: Final = 1
COND_NOT_VOLUME: Final = 2
COND_NOT_HIGH_LOW: Final = 4
COND_OFF_BOOK: Final = 8
COND_ODD_LOT: Final = 16
COND_LATE: Final = 32

# Status codes carried in `aux` of an S event.
STATUS_TRADING: Final = 0
STATUS_HALT: Final = 1
STATUS_AUCTION: Final = 2
STATUS_CLOSED: Final = 3

Events = npt.NDArray[np.void]


def empty_events(n: int) -> Events:
    """Allocate `n` zeroed EVENT records."""
    return np.zeros(n, EVENT)
