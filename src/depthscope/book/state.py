"""State of all books: flat arrays only, so that a snapshot is a copy.

Every instrument has one `BOOK` record and regions in shared pools: orders (hash table),
ladder (dense sizes and counts by tick, with an occupancy bitmap), and the far store (sorted
levels outside the ladder or off its grid). Pools grow between kernel calls, never inside.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types

from depthscope.jit import kernel
from depthscope.market.events import EVENT, UNDEF_PRICE, Events
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.layouts import FLOW_FIELDS, OFI_LEVELS, SAMPLE, SYNCING, TRACE

COUNTERS: Final = (
    "groups",
    "trades",
    "unknown_cancel",
    "unknown_modify",
    "duplicate",
    "over_cancel",
    "rejected",
    "off_tick",
    "crossed",
    "gaps",
    "snapshots",
    "clears",
)

BOOK: Final = np.dtype(
    [
        # Identity and grid, fixed.
        ("tick", "i8"),
        ("per_tick", "f8"),
        ("origin", "i8"),  # tick number that packed orders are relative to
        ("l1", "i8"),  # 1: quotes make the book
        ("negative", "i8"),  # 1: negative prices are legal
        ("infers", "i8"),  # 1: the feed does not tell aggressors, `aggressor` infers them
        ("quotes", "i8"),  # first row of the latest quotes, where it does
        # Regions.
        ("base", "i8"),  # tick number of the ladder's first cell
        ("width", "i8"),  # 0 until the first price
        ("cell", "i8"),  # first row of the ladder region
        ("table", "i8"),  # first row of the order table region
        ("bits", "i8"),
        ("live", "i8"),  # orders in the table
        ("far", "i8", (2,)),
        ("far_n", "i8", (2,)),
        ("far_cap", "i8", (2,)),
        ("far_ops", "i8"),
        # Best ladder cells (absolute rows), -1 when that side of the ladder is empty.
        ("best", "i8", (2,)),
        # Top of book after the last LAST.
        ("top_n", "i8", (2,)),
        ("sum5", "i8", (2,)),
        ("top_price", "i8", (2, OFI_LEVELS)),
        ("top_size", "i8", (2, OFI_LEVELS)),
        # Status.
        ("state", "i8"),
        ("incomplete", "i8"),
        ("started", "i8"),  # rows are being emitted
        ("changed", "i8"),  # a group arrived since the last row
        ("touched", "i8"),  # the book changed since the last row
        ("twin", "i8"),  # first row of the sample buffer with the present book …
        ("twin_flush", "i8"),  # … while C_FLUSHES is this
        ("ts", "i8"),
        ("ts_event", "i8"),
        ("sequence", "u8"),
        ("action", "i8"),
        # Where aggressors are inferred: quotes, the last price, and the sign of its last change (0 unknown).
        ("quote_n", "i8"),  # quotes since the book was last rebuilt
        ("tick_price", "i8"),
        ("tick_way", "i8"),
        # Flow since the last row.
        ("ofi", "i8", (OFI_LEVELS,)),
        ("buy_volume", "i8"),
        ("sell_volume", "i8"),
        ("unknown_volume", "i8"),
        ("inferred_volume", "i8"),
        ("buy_trades", "i8"),
        ("sell_trades", "i8"),
        ("unknown_trades", "i8"),
        ("row_groups", "i8"),
        ("notional", "f8"),
        ("high", "i8"),
        ("low", "i8"),
        ("last_price", "i8"),
        ("last_size", "i8"),
        *FLOW_FIELDS,
        *[(name, "i8") for name in COUNTERS],
    ]
)

# Positions in the int64 context array the kernels share.
(
    C_EVENTS, C_N, C_POS, C_OPEN, C_END, C_SLOT, C_TS, C_CLOCK, C_NEXT, C_STEP, C_SPARSE, C_STOP,
    C_SLOTS, C_LAST_KEY, C_LAST_SLOT,
    C_BOOKS, C_KEYS, C_KEY_SLOTS, C_KEY_MASK,
    C_ORDERS, C_ORDER_ROWS, C_SIZES, C_COUNTS, C_BITMAP, C_CELLS, C_FAR_KEY, C_FAR_SIZE, C_FAR_COUNT, C_FARS,
    C_BIG_PRICE, C_BIG_SIZE, C_BIGS, C_BIG_FREE,
    C_TRACE, C_MATCHES, C_TRACE_CAP, C_TRACE_N, C_SAMPLES, C_SAMPLE_CAP, C_SAMPLE_N, C_LAST_ROWS,
    C_NEED_SLOT, C_NEED_SIDE, C_NEED_TICK, C_NEED_WIDTH,
    C_G_FLAGS, C_G_SEEN, C_G_LEVEL, _ASK_LEVEL, C_G_N,
    C_TRACE_OF, C_SCRATCH, C_SCRATCH_SIZES, C_BOUNDS, C_FLUSHES, C_QUOTES, C_QUOTE_ROWS, C_G_PENDING,
) = range(58)  # fmt: skip
PENDING: Final = 16  # size changes of cached levels that are listed (side, rank, lots); more are read again
C_SIZE: Final = C_G_PENDING + 3 * PENDING

# Bits of C_G_FLAGS, what the open group contains.
G_RESTART: Final = 1  # flow imbalance starts anew
G_LOST: Final = 2
G_CLEAR: Final = 4
G_BOOK: Final = 8  # anything that may change the book
G_TOP: Final = 16  # a side of the cached top was read again

# Bits of C_G_SEEN, what the open group did to the cached top: 1 and 2 for a bid and an ask side with
# anything noted, and from READ_AGAIN on for one that must be read again from its C_G_LEVEL on.
READ_AGAIN: Final = 4

# Why a kernel call returned.
DONE: Final = 0
REGROUP: Final = 1  # the group at C_POS is not complete and contiguous in this chunk
NEED_SLOT: Final = 2  # unknown (publisher, instrument) at C_POS
NEED_ORDERS: Final = 3  # the order table of C_NEED_SLOT is a quarter full
NEED_FAR: Final = 4  # the far store (C_NEED_SLOT, C_NEED_SIDE) is full
NEED_BIG: Final = 5  # no room for an odd-sized order
RECENTRE: Final = 6  # the ladder of C_NEED_SLOT wants C_NEED_TICK at its centre, C_NEED_WIDTH cells
FLUSH: Final = 7  # the sample buffer is full
BLOCK: Final = 8  # the trace buffer is full
LEAP: Final = 10  # the clock leapt so far that a dense grid cannot be meant
BOUNDARY: Final = 9  # rows of one boundary were emitted and the caller asked to stop there

FIRST_WIDTH: Final = 512
MAX_WIDTH: Final = 1 << 16
FIRST_BITS: Final = 7
QUOTES: Final = 64  # kept of an instrument whose aggressors are inferred; eight were enough on BTCUSDT
LONGEST_GAP: Final = 45 * 86_400 * 1_000_000_000  # longer than any holiday
EMPTY_KEY: Final = -1
NEVER: Final = 2**63 - 1  # time of the next boundary while no row is due
UNKNOWN: Final = -1  # slot of an instrument not met before
IGNORED: Final = -2  # slot of an instrument nobody asked for


class Pool:
    """Regions of power-of-two length inside one set of parallel arrays."""

    def __init__(self, columns: dict[str, tuple[Any, tuple[int, ...]]], rows: int) -> None:
        self.columns = columns
        self.arrays = {name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in columns.items()}
        self.rows = rows
        self.used = 0
        self.free: dict[int, list[int]] = {}

    def take(self, length: int) -> int:
        """Return the first row of a zeroed region of `length` rows."""
        spare = self.free.get(length)
        if spare:
            return spare.pop()
        first = self.used
        if first + length > self.rows:
            self.rows = max(2 * self.rows, first + length)
            for name, (dtype, shape) in self.columns.items():
                grown = np.zeros((self.rows, *shape), dtype)
                grown[:first] = self.arrays[name][:first]
                self.arrays[name] = grown
        self.used = first + length
        return first

    def give(self, first: int, length: int) -> None:
        """Return a region; it is zeroed for its next owner."""
        for array in self.arrays.values():
            array[first : first + length] = 0
        self.free.setdefault(length, []).append(first)

    def copy(self) -> Pool:
        """Deep copy."""
        twin = Pool.__new__(Pool)
        twin.columns, twin.rows, twin.used = self.columns, self.rows, self.used
        twin.arrays = {name: array[: self.rows].copy() for name, array in self.arrays.items()}
        twin.free = {length: list(firsts) for length, firsts in self.free.items()}
        return twin


@kernel(types.void(types.uint64[:, ::1], types.int64, types.int64, types.int64, types.int64))
def _rehash(table: Any, old: int, old_rows: int, new: int, bits: int) -> None:
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    shift = np.uint64(64 - bits)
    for row in range(old, old + old_rows):
        value = table[row, 1]
        if value != 0:
            i = (table[row, 0] * np.uint64(0x9E3779B97F4A7C15)) >> shift
            while table[new + np.int64(i), 1] != 0:
                i = (i + np.uint64(1)) & mask
            table[new + np.int64(i), 0] = table[row, 0]
            table[new + np.int64(i), 1] = value


class Books:
    """All books of one engine, and the context array through which kernels reach them."""

    def __init__(self, trace_rows: int, sample_rows: int) -> None:
        self.books = np.zeros(16, BOOK)
        self.n = 0
        self.key_n = 0
        self.infers = False  # whether any book writes sides into the events
        self.keys = np.full(64, EMPTY_KEY, np.int64)
        self.key_slots = np.zeros(64, np.int64)
        self.orders = Pool({"table": (np.uint64, (2,))}, 1 << 10)
        self.ladder = Pool({"size": (np.int64, (2,)), "count": (np.int32, (2,))}, 1 << 12)
        self.bitmap = np.zeros((1 << 6, 2), np.uint64)
        self.far = Pool({"key": (np.int64, ()), "size": (np.int64, ()), "count": (np.int32, ())}, 256)
        self.quotes = Pool({"quote": (np.int64, (3,))}, QUOTES)
        self.big_price = np.zeros(16, np.int64)
        self.big_size = np.zeros(16, np.int64)
        self.last_rows = np.zeros(16, SAMPLE)
        self.trace = np.zeros(trace_rows, TRACE)
        self.matches = np.zeros(trace_rows, np.int64)  # bits that a row of the trace matches
        self.samples = np.zeros(sample_rows, SAMPLE)
        self.context = np.zeros(C_SIZE, np.int64)
        self.context[C_TRACE_CAP] = trace_rows
        self.scratch = np.zeros((3, 2, OFI_LEVELS), np.int64)
        self._link_big(0)
        self.context[C_LAST_KEY] = EMPTY_KEY
        self.context[C_NEXT] = NEVER
        self.bind()

    # ---- wiring -------------------------------------------------------------------------

    def bind(self) -> None:
        """Write the addresses and lengths of every array into the context."""
        c = self.context
        orders, ladder, far = self.orders.arrays, self.ladder.arrays, self.far.arrays
        for place, array in (
            (C_BOOKS, self.books),
            (C_KEYS, self.keys),
            (C_KEY_SLOTS, self.key_slots),
            (C_ORDERS, orders["table"]),
            (C_SIZES, ladder["size"]),
            (C_COUNTS, ladder["count"]),
            (C_BITMAP, self.bitmap),
            (C_FAR_KEY, far["key"]),
            (C_FAR_SIZE, far["size"]),
            (C_FAR_COUNT, far["count"]),
            (C_QUOTES, self.quotes.arrays["quote"]),
            (C_BIG_PRICE, self.big_price),
            (C_BIG_SIZE, self.big_size),
            (C_TRACE, self.trace),
            (C_MATCHES, self.matches),
            (C_SAMPLES, self.samples),
            (C_LAST_ROWS, self.last_rows),
            (C_SCRATCH, self.scratch[0]),
            (C_SCRATCH_SIZES, self.scratch[1]),
            (C_BOUNDS, self.scratch[2]),
        ):
            c[place] = array.ctypes.data
        c[C_SLOTS] = self.n
        c[C_KEY_MASK] = len(self.keys) - 1
        c[C_ORDER_ROWS] = self.orders.rows
        c[C_CELLS] = self.ladder.rows
        c[C_FARS] = self.far.rows
        c[C_QUOTE_ROWS] = self.quotes.rows
        c[C_BIGS] = len(self.big_price)
        c[C_SAMPLE_CAP] = len(self.samples)

    def _link_big(self, first: int) -> None:
        """Chain new rows of the odd-order store into its free list (-1 ends it)."""
        for i in range(first, len(self.big_price)):
            self.big_size[i] = i + 1
        self.big_size[-1] = -1
        self.context[C_BIG_FREE] = first

    # ---- growth -------------------------------------------------------------------------

    def add(self, publisher: int, instrument_id: int, instrument: Instrument) -> int:
        """Register an instrument; returns its slot."""
        if self.n == len(self.books):
            self.books = np.concatenate([self.books, np.zeros(self.n, BOOK)])
            self.last_rows = np.concatenate([self.last_rows, np.zeros(self.n, SAMPLE)])
        slot, self.n = self.n, self.n + 1
        self._put_key((publisher << 32) | instrument_id, slot)
        book = self.books[slot]
        book["tick"] = instrument.tick
        book["per_tick"] = 1.0 / instrument.tick
        book["l1"] = not instrument.capabilities & (Capability.L2 | Capability.MBO)
        book["negative"] = instrument.allows_negative
        if instrument.infers:
            book["infers"], book["quotes"] = True, self.quotes.take(QUOTES)
            self.infers = True
        book["tick_price"] = UNDEF_PRICE
        book["state"] = SYNCING
        book["best"] = -1
        book["top_price"][0], book["top_price"][1] = -(2**63), 2**63 - 1  # no level: worse than any
        book["bits"] = FIRST_BITS
        book["table"] = self.orders.take(1 << FIRST_BITS)
        book["high"] = book["low"] = book["last_price"] = 2**63 - 1
        if 2 * self.n > len(self.samples):  # one boundary emits a row for every instrument
            self.samples = np.zeros(4 * self.n, SAMPLE)
        self.bind()
        return slot

    def own(self, events: Events) -> Events:
        """Events that books may write to: a copy where any does, as the caller's are not ours."""
        return events.copy() if self.infers else events

    def ignore(self, publisher: int, instrument_id: int) -> None:
        """Let an instrument's events move the clock and nothing else."""
        self._put_key((publisher << 32) | instrument_id, IGNORED)
        self.bind()

    def _put_key(self, key: int, slot: int) -> None:
        self.key_n += 1
        if 2 * self.key_n > len(self.keys):
            old_keys, old_slots = self.keys.tolist(), self.key_slots.tolist()
            self.keys = np.full(2 * len(old_keys), EMPTY_KEY, np.int64)
            self.key_slots = np.zeros(len(self.keys), np.int64)
            for old, value in zip(old_keys, old_slots, strict=True):
                if old != EMPTY_KEY:
                    self._place_key(old, value)
        self._place_key(key, slot)

    def _place_key(self, key: int, slot: int) -> None:
        mask = len(self.keys) - 1
        i = key_home(key) & mask
        while self.keys[i] != EMPTY_KEY:
            i = (i + 1) & mask
        self.keys[i] = key
        self.key_slots[i] = slot

    def grow_orders(self, slot: int) -> None:
        """Double an instrument's order table."""
        book = self.books[slot]
        old, rows, bits = int(book["table"]), 1 << int(book["bits"]), int(book["bits"]) + 1
        new = self.orders.take(1 << bits)
        _rehash(self.orders.arrays["table"], old, rows, new, bits)
        self.orders.give(old, rows)
        book["table"], book["bits"] = new, bits
        self.bind()

    def grow_far(self, slot: int, side: int) -> None:
        """Double one side of an instrument's far store."""
        book = self.books[slot]
        old, cap, n = int(book["far"][side]), int(book["far_cap"][side]), int(book["far_n"][side])
        new = self.far.take(max(8, 2 * cap))
        for array in self.far.arrays.values():
            array[new : new + n] = array[old : old + n]
        if cap:
            self.far.give(old, cap)
        book["far"][side], book["far_cap"][side] = new, max(8, 2 * cap)
        self.bind()

    def grow_big(self) -> None:
        """Double the store of orders that do not fit a table slot."""
        n = len(self.big_price)
        self.big_price = np.concatenate([self.big_price, np.zeros(n, np.int64)])
        self.big_size = np.concatenate([self.big_size, np.zeros(n, np.int64)])
        self._link_big(n)
        self.bind()

    def recentre(self, slot: int, tick: int, width: int) -> None:
        """Move an instrument's ladder so that `tick` is at its centre, `width` cells wide."""
        book = self.books[slot]
        levels = [self.all_levels(slot, side) for side in (0, 1)]
        old, old_width = int(book["cell"]), int(book["width"])
        if old_width:
            self.ladder.give(old, old_width)
            self.bitmap[old >> 6 : (old + old_width) >> 6] = 0
        cell = self.ladder.take(width)
        if len(self.bitmap) << 6 < self.ladder.rows:
            grown = np.zeros((self.ladder.rows >> 6, 2), np.uint64)
            grown[: len(self.bitmap)] = self.bitmap
            self.bitmap = grown
        base = tick - width // 2
        if not old_width:
            book["origin"] = tick
        book["cell"], book["width"], book["base"], book["far_ops"] = cell, width, base, 0
        step = int(book["tick"])
        sizes, counts = self.ladder.arrays["size"], self.ladder.arrays["count"]
        for side, (price, size, count) in enumerate(levels):
            number = price // step
            near = (price == number * step) & (number >= base) & (number < base + width)
            rows = cell + number[near] - base
            sizes[rows, side] = size[near]
            counts[rows, side] = count[near]
            np.bitwise_or.at(self.bitmap[:, side], rows >> 6, np.uint64(1) << (rows & 63).astype(np.uint64))
            book["best"][side] = -1 if not len(rows) else (rows.max() if side == 0 else rows.min())
            key = (price if side == 0 else -price)[~near]
            order = np.argsort(key, kind="stable")
            while book["far_cap"][side] < len(order):
                book["far_n"][side] = 0
                self.grow_far(slot, side)
            first = int(book["far"][side])
            far = self.far.arrays
            far["key"][first : first + len(order)] = key[order]
            far["size"][first : first + len(order)] = size[~near][order]
            far["count"][first : first + len(order)] = count[~near][order]
            book["far_n"][side] = len(order)
        self.bind()

    # ---- reading ------------------------------------------------------------------------

    def all_levels(
        self, slot: int, side: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every level of a side, best first: price (1e-9), size (lots), orders."""
        book = self.books[slot]
        cell, width = int(book["cell"]), int(book["width"])
        ladder = self.ladder.arrays["size"][cell : cell + width, side]
        rows = np.flatnonzero(ladder)
        first, n = int(book["far"][side]), int(book["far_n"][side])
        far = self.far.arrays
        far_price = far["key"][first : first + n] * (1 if side == 0 else -1)
        price = np.concatenate([(rows + int(book["base"])) * int(book["tick"]), far_price])
        size = np.concatenate([ladder[rows], far["size"][first : first + n]])
        count = np.concatenate(
            [
                self.ladder.arrays["count"][cell + rows, side].astype(np.int64),
                far["count"][first : first + n].astype(np.int64),
            ]
        )
        order = np.argsort(-price if side == 0 else price, kind="stable")
        return price[order], size[order], count[order]

    # ---- snapshot -----------------------------------------------------------------------

    def copy(self) -> Books:
        """Deep copy, except for the scratch buffers (which hold nothing between calls)."""
        twin = Books.__new__(Books)
        for name in ("books", "keys", "key_slots", "bitmap", "big_price", "big_size", "last_rows", "context"):
            setattr(twin, name, getattr(self, name).copy())
        for name in ("orders", "ladder", "far", "quotes"):
            setattr(twin, name, getattr(self, name).copy())
        twin.n, twin.key_n, twin.infers = self.n, self.key_n, self.infers
        twin.scratch = np.zeros_like(self.scratch)
        twin.trace, twin.matches = np.zeros(len(self.trace), TRACE), np.zeros_like(self.matches)
        twin.samples = np.zeros(len(self.samples), SAMPLE)
        twin.bind()
        return twin


def key_home(key: int) -> int:
    """Where the search for a (publisher, instrument) key starts, before masking."""
    return ((key * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF) >> 40


__all__ = ["BOOK", "COUNTERS", "EVENT", "Books", "key_home"]
