"""Groups of plain records of an order feed, which are nearly all it sends.

`kernel.advance` could do all of this, and does whatever is out of the ordinary: orders that are not
known, prices outside the ladder, snapshots. Here what is the same for all of a run is looked up once,
and a record costs some seven tenths of what it costs there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.changes import add_lots, noted
from depthscope.book.levels import tick_of, wants_recentre
from depthscope.book.memory import context_of, counts_of, matches_of, sizes_of, table_of, trace_of
from depthscope.book.primitives import (
    AHEAD,
    BIAS,
    BIG,
    FAR_AHEAD,
    SIZE_MASK,
    U0,
    U1,
    U32,
    U33,
    ask_for,
    find,
    group_end,
    natural,
    prefetch,
    remove,
)
from depthscope.book.rows import trade
from depthscope.book.tops import reread, settle, show_group, show_within, stamp, trace_bit
from depthscope.jit import Int, UInt, hot, njit
from depthscope.market.events import (
    ADD,
    ASK,
    BID,
    CANCEL,
    FILL,
    MODIFY,
    SNAPSHOT,
    TOB,
    TRADE,
    UNDEF_PRICE,
)
from depthscope.market.layouts import LIVE, TRACE_FLOW, TRACE_GROUPS

HIGHEST = 9.2e18  # prices of ladders, 1e-9 units


@hot
def is_plain(event: Any) -> Any:
    """Whether `apply_plain` may know what to do with a record."""
    action = event.action
    known = (action == ADD) | (action == CANCEL) | (action == MODIFY) | (action == TRADE) | (action == FILL)
    return known & (event.flags & (SNAPSHOT | TOB) == 0)


@hot
def takes_plain(book: Any) -> Any:
    """Whether `apply_plain` can work on a book as it is."""
    # No ladder reaches UNDEF_PRICE, then, which needs no second look at each record.
    reach = np.float64(book.tick) * (book.base + book.width)
    return book.state == LIVE and book.started and not book.infers and book.width > 0 and reach < HIGHEST


@hot
def take_order(
    m: Int, c: Any, book: Any, table: Any, sizes: Any, counts: Any,
    first_row: Int, mask: UInt, shift: UInt, base: Int, width: Int, cell: Int, grid: Int, origin: Int,
    event: Any, alone: Any,
) -> Any:  # fmt: skip
    """Apply an A, C or M record where it is plain; nothing is done where it is not.

    `alone`: it is its whole group. Returns whether it is plain, the level-1 OFI settled already, the
    side the order rests on, its price before, and its size before and after.
    """
    ofi = np.int64(0)
    action = event.action
    row = find(table, first_row, shift, mask, event.order_id)
    value = table[row, 1]
    size = event.size
    # The order as it stands (of one that is not known, a size of 0).
    before = np.int64(value & SIZE_MASK)
    side = np.int64((value >> U32) & U1)
    place = np.int64(value >> U33) - BIAS + origin - base
    before_price = np.int64(UNDEF_PRICE)
    after = np.int64(0)
    resting = event.side
    if action == CANCEL:
        if not ((before != BIG) & (size > 0) & (size <= before) & (place >= 0) & (place < width)):
            return False, ofi, resting, before_price, before, after
        after = before - size
        lots, orders = -size, np.int64(0)
        if after == 0:
            remove(table, first_row, shift, mask, row)
            book.live -= 1
            orders = np.int64(-1)
        else:
            table[row, 1] = value - np.uint64(size)
        price = (place + base) * grid
        before_price = price
    else:
        price = event.price
        tick = tick_of(book, price)
        relative = tick - origin
        to = tick - base
        plain = (size > 0) & (size < BIG) & (tick * grid == price) & (price >= 0)
        plain &= (to >= 0) & (to < width) & (relative > -BIAS) & (relative < BIAS)
        if action == ADD:
            side = np.int64(resting == ASK)
            plain &= (value == U0) & ((resting == ASK) | (resting == BID))
            plain &= (book.live + 1) * 4 <= np.int64(mask) + 1
            if not plain:
                return False, ofi, resting, before_price, before, after
            book.live += 1
            table[row, 0] = event.order_id
            lots, orders = size, np.int64(1)
        else:
            plain &= (value != U0) & (before != BIG) & (place >= 0) & (place < width)
            plain &= resting == (ASK if side else BID)
            if not plain:
                return False, ofi, resting, before_price, before, after
            before_price = (place + base) * grid
            lots, orders = size - before, np.int64(0)
            if to != place:
                # What it joins may move the level it leaves, so that nothing is settled yet.
                gone = add_lots(m, book, sizes, counts, side, cell + place, -before, np.int64(-1))
                noted(c, book, side, before_price, gone[0], gone[1], True, False)
                lots, orders = size, np.int64(1)
        after = size
        table[row, 1] = (np.uint64(relative + BIAS) << U33) | (np.uint64(side) << U32) | np.uint64(size)
        place = to
    resting = np.uint8(ASK) if side else np.uint8(BID)
    old, new = add_lots(m, book, sizes, counts, side, cell + place, lots, orders)
    ofi = noted(c, book, side, price, old, new, True, alone)
    return True, ofi, resting, before_price, before, after


@njit
def apply_plain(m: Int, book: Any, slot: Int, events: Any, i: Int, n: Int, trace_n: Int) -> Any:
    """Apply groups of plain records to a book that `takes_plain`, on a grid of rows.

    It ends where a record is not plain, a group is another instrument's or not whole, a row is due or
    the trace has no room. Returns the first record not taken, the trace's length, DONE or RECENTRE, and
    whether the group of that record is open: its first records are applied, and what `advance` must know
    is in the context.
    """
    c = context_of(m)
    table = table_of(m)
    sizes = sizes_of(m)
    counts = counts_of(m)
    trace = trace_of(m)
    matches = matches_of(m)
    traced = c[s.C_TRACE_OF]
    group_rows = traced & TRACE_GROUPS != 0
    trace_cap = c[s.C_TRACE_CAP] if traced else n + trace_n
    instrument, publisher = events[natural(i)].instrument_id, events[natural(i)].publisher
    first_row = book.table
    rows = np.int64(1) << book.bits
    mask = np.uint64(rows - 1)
    shift = np.uint64(64 - book.bits)
    base, width, cell, grid, origin = book.base, book.width, book.cell, book.tick, book.origin
    upto = c[s.C_NEXT]
    clock = c[s.C_CLOCK]
    both = book.top_n[0] > 0 and book.top_n[1] > 0
    good = both and book.top_price[0, 0] < book.top_price[1, 0]
    status: Int = s.DONE
    is_open = touched = False
    groups = np.int64(0)
    ts = clock
    first = i
    while i < n:
        # ---- the group: all of it here, of this instrument, before the next row, with room for its rows
        first = i
        event = events[natural(i)]
        end = group_end(events, i, n)
        if end < 0 or event.instrument_id != instrument or event.publisher != publisher:
            break
        ts = max(clock, events[natural(end)].ts_recv)
        if ts >= upto or trace_n + (end - i) >= trace_cap:
            break
        c[s.C_G_SEEN] = c[s.C_G_N] = 0
        first_ofi: Int = np.int64(0)
        action = event.action
        if i == end and (action == ADD or action == CANCEL or action == MODIFY):
            prefetch(events, i + FAR_AHEAD)
            if i + AHEAD < n:
                ask_for(table, first_row, shift, events[natural(i + AHEAD)].order_id)
            if event.flags & (SNAPSHOT | TOB):
                break
            plain, first_ofi, resting, before_price, before, after = take_order(
                m, c, book, table, sizes, counts, first_row, mask, shift, base, width, cell, grid,
                origin, event, True,
            )  # fmt: skip
            if not plain:
                break
            changed = True
        else:
            changed = False
            while True:
                event = events[natural(i)]
                prefetch(events, i + FAR_AHEAD)
                if i + AHEAD < n:
                    ask_for(table, first_row, shift, events[natural(i + AHEAD)].order_id)
                action = event.action
                plain = event.flags & (SNAPSHOT | TOB) == 0
                resting = event.side
                before_price = np.int64(UNDEF_PRICE)
                before = after = np.int64(0)
                if not plain:
                    break
                if action == ADD or action == CANCEL or action == MODIFY:
                    plain, _, resting, before_price, before, after = take_order(
                        m, c, book, table, sizes, counts, first_row, mask, shift, base, width, cell, grid,
                        origin, event, False,
                    )  # fmt: skip
                    changed = True
                elif action == FILL:
                    row = find(table, first_row, shift, mask, event.order_id)
                    value = table[row, 1]
                    before = after = np.int64(value & SIZE_MASK)
                    plain = before != BIG
                    if value != U0:
                        before_price = (np.int64(value >> U33) - BIAS + origin) * grid
                else:
                    told = (event.size > 0) & (event.price != UNDEF_PRICE) & (event.price >= 0)
                    plain = (action == TRADE) & told
                    if plain:
                        trade(book, event, True)
                if i == end or not plain:
                    break
                if traced & trace_bit(np.int64(action)):
                    t = trace[natural(trace_n)]
                    show_within(t, book, ts, i, slot, action, resting, before_price, before, after)
                    matches[natural(trace_n)] = trace_bit(np.int64(action))
                    trace_n += 1
                i += 1
            if not plain:  # `advance` goes on with this record
                if i > first:
                    is_open = True
                    if groups:
                        stamp(book, events[natural(first - 1)], clock, groups)
                        groups = np.int64(0)
                    clock = ts
                    c[s.C_G_FLAGS] = s.G_BOOK if changed else 0
                    c[s.C_END] = end
                    c[s.C_TS] = ts
                break
        # ---- the group is complete
        again = c[s.C_G_SEEN] >= s.READ_AGAIN
        if again:
            first_ofi += reread(m, book, False)
            both = book.top_n[0] > 0 and book.top_n[1] > 0
            good = both and book.top_price[0, 0] < book.top_price[1, 0]
        elif c[s.C_G_N] != 0:
            first_ofi += settle(c, book)
        touched |= changed
        if good:
            book.quoted += 1
            book.quoted_size += book.top_size[0, 0] + book.top_size[1, 0]
        elif both and changed:
            book.crossed += 1
        flow = np.int64(TRACE_FLOW) if first_ofi != 0 else np.int64(0)
        matched = trace_bit(np.int64(action)) | flow | np.int64(TRACE_GROUPS)
        if traced & matched:
            show_group(
                trace[natural(trace_n)], book, ts, i, slot, action, resting,
                before_price, before, after, first_ofi, group_rows,
            )  # fmt: skip
            matches[natural(trace_n)] = matched
            trace_n += 1
        clock = ts
        groups += 1
        i += 1
        if (again or book.far_ops > 2048) and wants_recentre(m, book, slot):
            status = s.RECENTRE
            break
    if touched:
        book.touched = 1
    if groups:
        stamp(book, events[natural(i - 1)], clock, groups)
    c[s.C_CLOCK] = clock
    return i, trace_n, status, is_open
