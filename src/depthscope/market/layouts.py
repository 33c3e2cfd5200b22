"""TRACE and SAMPLE: what stage 1 (the book kernel) hands to features and detectors.

TRACE has a row for each event that is asked for and lives in a small reused buffer. SAMPLE has one row per
grid boundary and instrument (or per LAST group with ``every="event"``).
Prices are 1e-9 fixed, sizes lots, times UTC nanoseconds, exactly as in EVENT.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from depthscope.market.events import EVENT

SAMPLE_LEVELS: Final = 20
OFI_LEVELS: Final = 10
DEPTH_BPS: Final = (5, 10, 25)
NEAR_LEVELS: Final = (5, OFI_LEVELS)  # whose changes are added up; no more than the cached top holds

# Which events get a TRACE row: a bit for the lowest five of each action letter (bytes that are no
# letter have one too), one for the LAST records of groups with level-1 order-flow imbalance, and one
# for all LAST records, which alone fills the last fields of their rows.
TRACE_FLOW: Final = 1 << 32
TRACE_GROUPS: Final = 1 << 33
TRACE_EVERY: Final = (1 << 32) - 1


def trace_mask(actions: str) -> int:
    """Bits that ask for TRACE rows of actions, given as their letters."""
    return sum(1 << (ord(letter) & 31) for letter in set(actions))


TRACE_TRADES: Final = trace_mask("T")

# What a detector says, append-only: nothing said is ever changed.
OPEN: Final = 1
UPDATE: Final = 2
CLOSE: Final = 3
PHASE_NAMES: Final = ("", "open", "update", "close")
EVIDENCE: Final = 10  # numbers a message carries

DETECTION: Final = np.dtype(
    [
        ("ts", "<i8"),  # when it was known: time of a group, or of a row's boundary
        ("opened", "<i8"),  # time of the message that opened it
        ("number", "<i8"),  # with detector and instrument, what it is known by; counts from 1
        ("price", "<i8"),  # 1e-9 fixed, UNDEF_PRICE when it is of no price
        ("size", "<i8"),  # lots
        ("slot", "<u4"),  # instrument slot
        ("detector", "<u2"),  # number in `detectors.DETECTORS`
        ("phase", "u1"),
        ("side", "u1"),  # side of the book or of the aggressor it is about, as its detector says
        ("strength", "<f8"),
        ("label", "<i8"),  # word of the detector's LABELS
        ("outcome", "<i8"),  # word of its OUTCOMES, on close; 0 is none
        ("evidence", "<f8", (EVIDENCE,)),  # the raw numbers, as the detector's EVIDENCE names them
        # Where it stands among the messages of one pass; 0 once they are in order.
        ("block", "<i8"),
        ("place", "<i8"),
    ]
)

# Book states, with their public names.
SYNCING: Final = 0
LIVE: Final = 1
STALE: Final = 2
STATE_NAMES: Final = ("SYNCING", "LIVE", "STALE")

# What books add up from one SAMPLE row of an instrument to its next, beside order-flow imbalance. Sizes in
# lots; [side, near]: bid or ask, within the best NEAR_LEVELS (as the group before left the book).
FLOW_FIELDS: Final = [
    ("quoted", "<i8"),  # groups that left both sides quoted, not crossed, and the book LIVE
    ("quoted_size", "<i8"),  # sum over them of both best sizes
    # By changes of orders and levels in a LIVE book; snapshots, clears and top-of-book quotes are none.
    ("added", "<i8", (2, len(NEAR_LEVELS))),  # size that came to levels
    ("removed", "<i8", (2, len(NEAR_LEVELS))),  # size that left them, traded or not
    ("traded", "<i8", (2, len(NEAR_LEVELS))),  # volume against them, by the aggressor's word
]

TRACE: Final = np.dtype(
    [
        ("ts", "<i8"),  # group time: clamped ts_recv of the group's LAST record
        # On a LAST row the state after the group; on earlier rows of the group the state
        # before it. Nothing may read a book in the middle of a group.
        ("bid", "<i8"),  # UNDEF_PRICE when the side is empty
        ("ask", "<i8"),
        ("bid_size", "<i8"),
        ("ask_size", "<i8"),
        ("bid_size5", "<i8"),  # sum over the best five levels
        ("ask_size5", "<i8"),
        ("ofi", "<i8"),  # level-1 order-flow imbalance of this group, on its LAST row
        ("price_before", "<i8"),  # the resolved order before the event, UNDEF_PRICE if unknown
        ("size_before", "<i8"),
        ("size_after", "<i8"),
        ("event", "<i8"),  # index of the EVENT in its chunk
        ("slot", "<u4"),  # instrument slot
        ("last", "u1"),
        ("side", "u1"),  # resting side of A, C, M, F, L, Q; aggressor of T
        ("state", "u1"),
        ("action", "u1"),
        # With TRACE_GROUPS, on LAST rows: since the previous SAMPLE row. Else undefined.
        ("levels", "<i8", (OFI_LEVELS,)),  # order-flow imbalance of levels 1..10
        *FLOW_FIELDS,
    ]
)

SAMPLE: Final = np.dtype(
    [
        ("ts", "<i8"),  # the boundary (grid), or the group time (every="event")
        ("ts_event", "<i8"),  # of the last group applied
        ("ts_recv", "<i8"),  # of the last group applied, clamped
        ("sequence", "<u8"),  # of the last group applied
        ("slot", "<u4"),
        ("state", "u1"),
        ("incomplete", "u1"),
        ("action", "u1"),  # action of the last group's LAST record
        ("changed", "u1"),  # 1 when any group arrived since the previous row
        # The fields so far are the engine's META rows.
        ("at", "<i8"),  # index in this TRACE block of the first row *not* included
        ("twin", "<i8"),  # first row of the buffer with this very book, the row itself where there is none
        ("n_bid", "<i4"),  # levels present below, at most SAMPLE_LEVELS
        ("n_ask", "<i4"),
        ("bid_price", "<i8", (SAMPLE_LEVELS,)),  # best first
        ("bid_size", "<i8", (SAMPLE_LEVELS,)),
        ("ask_price", "<i8", (SAMPLE_LEVELS,)),
        ("ask_size", "<i8", (SAMPLE_LEVELS,)),
        ("bid_orders", "<i4", (SAMPLE_LEVELS,)),  # 0 = unknown (L2 feeds)
        ("ask_orders", "<i4", (SAMPLE_LEVELS,)),
        ("bid_depth", "<i8", (len(DEPTH_BPS),)),  # size within DEPTH_BPS of mid
        ("ask_depth", "<i8", (len(DEPTH_BPS),)),
        # Flow since the previous row of this instrument.
        ("ofi", "<i8", (OFI_LEVELS,)),
        ("buy_volume", "<i8"),
        ("sell_volume", "<i8"),
        ("unknown_volume", "<i8"),
        ("inferred_volume", "<i8"),  # of both: by a side the venue did not tell
        ("buy_trades", "<i4"),
        ("sell_trades", "<i4"),
        ("unknown_trades", "<i4"),
        ("groups", "<i4"),
        ("notional", "<f8"),  # sum of price (units) x size (lots)
        ("high", "<i8"),  # of eligible trades; UNDEF_PRICE when none
        ("low", "<i8"),
        ("last_price", "<i8"),
        ("last_size", "<i8"),
        *FLOW_FIELDS,
    ]
)

__all__ = [
    "CLOSE",
    "DEPTH_BPS",
    "DETECTION",
    "EVENT",
    "EVIDENCE",
    "FLOW_FIELDS",
    "LIVE",
    "NEAR_LEVELS",
    "OFI_LEVELS",
    "OPEN",
    "PHASE_NAMES",
    "SAMPLE",
    "SAMPLE_LEVELS",
    "STALE",
    "STATE_NAMES",
    "SYNCING",
    "TRACE",
    "TRACE_EVERY",
    "TRACE_FLOW",
    "TRACE_GROUPS",
    "TRACE_TRADES",
    "UPDATE",
    "trace_mask",
]
