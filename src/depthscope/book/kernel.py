"""Stage 1: events into books, TRACE rows and SAMPLE rows.

`advance` works through a chunk until it ends or needs something only Python can give (room,
an unknown instrument, a flush); it returns why, and is called again to go on. Groups are
applied whole at the time of their LAST record; grid rows due before that time come first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.aggressor import forget_ticks, keep_quote, sign_trade
from depthscope.book.changes import apply_levels, change, noted, read_again, room, set_level
from depthscope.book.levels import tick_of, wants_recentre
from depthscope.book.memory import (
    big_sizes_of,
    books_of,
    context_of,
    counts_of,
    key_slots_of,
    keys_of,
    matches_of,
    sizes_of,
    table_of,
    trace_of,
)
from depthscope.book.orders import clear_book, clear_side, pack, release, unpack
from depthscope.book.plain import apply_plain, is_plain, takes_plain
from depthscope.book.primitives import (
    AHEAD,
    BIG,
    FAR_AHEAD,
    GOLD,
    SIZE_MASK,
    U0,
    U1,
    U33,
    ask_for,
    find,
    group_end,
    natural,
    prefetch,
    remove,
)
from depthscope.book.rows import due_rows, emit, trade
from depthscope.book.tops import reread, settle, show_group, show_within, stamp, trace_bit
from depthscope.jit import Int, hot, njit
from depthscope.market.events import (
    ADD,
    ASK,
    BID,
    CANCEL,
    CLEAR,
    FILL,
    LEVEL,
    LOST,
    MODIFY,
    NONE,
    QUOTE,
    SNAPSHOT,
    STATUS,
    TOB,
    TRADE,
    UNDEF_PRICE,
)
from depthscope.market.layouts import LIVE, STALE, SYNCING, TRACE_FLOW, TRACE_GROUPS

U40 = np.uint64(40)


@hot
def find_slot(m: Int, key: Int) -> Int:
    """Slot of a (publisher, instrument) key, IGNORED or UNKNOWN."""
    c = context_of(m)
    if key == c[s.C_LAST_KEY]:
        return c[s.C_LAST_SLOT]
    keys = keys_of(m)
    key_slots = key_slots_of(m)
    mask = np.uint64(c[s.C_KEY_MASK])
    i = ((np.uint64(key) * GOLD) >> U40) & mask
    while keys[i] != s.EMPTY_KEY:
        if keys[i] == key:
            c[s.C_LAST_KEY] = key
            c[s.C_LAST_SLOT] = key_slots[i]
            return key_slots[i]
        i = (i + U1) & mask
    return np.int64(s.UNKNOWN)


@hot
def sound(book: Any, event: Any) -> Any:
    """Whether an event's price can stand in this book."""
    return event.price != UNDEF_PRICE and (event.price >= 0 or book.negative != 0)


@hot
def side_of(code: Int) -> Int:
    """0 bid, 1 ask, -1 neither."""
    if code == BID:
        return np.int64(0)
    if code == ASK:
        return np.int64(1)
    return np.int64(-1)


@njit
def advance(m: Int, events: Any) -> Int:
    """Run until the chunk ends or Python is needed; returns why (see `state`)."""
    c = context_of(m)
    books = books_of(m)
    table = table_of(m)
    sizes = sizes_of(m)
    counts = counts_of(m)
    trace = trace_of(m)
    matches = matches_of(m)
    n = c[s.C_N]
    i = c[s.C_POS]
    step = c[s.C_STEP]
    traced = c[s.C_TRACE_OF]
    level_rows = traced & trace_bit(np.int64(LEVEL)) != 0
    group_rows = traced & TRACE_GROUPS != 0
    trace_n = c[s.C_TRACE_N]
    trace_cap = c[s.C_TRACE_CAP]
    # The open group, kept in registers and put back when we leave.
    is_open = c[s.C_OPEN] != 0
    end = c[s.C_END]
    slot = c[s.C_SLOT]
    ts = c[s.C_TS]
    flags = c[s.C_G_FLAGS]
    # The group's latest record, as TRACE tells of it.
    action = resting = np.uint8(NONE)
    before_price = before_size = after_size = np.int64(0)
    status: Int = s.DONE
    while i < n:
        if not is_open:
            # ---- find the end of the group, its instrument and its time
            head = events[natural(i)]
            slot = find_slot(m, (np.int64(head.publisher) << 32) | np.int64(head.instrument_id))
            # With a row at each group (no step) there is nothing to be done for many at once.
            if step > 0 and slot >= 0 and is_plain(head) and takes_plain(books[natural(slot)]):
                first = i
                i, trace_n, status, is_open = apply_plain(
                    m, books[natural(slot)], slot, events, i, n, trace_n
                )
                if status != s.DONE:
                    break
                if is_open:
                    end, ts, flags = c[s.C_END], c[s.C_TS], c[s.C_G_FLAGS]
                if i > first:
                    continue
            end = group_end(events, i, n)
            if end < 0:
                status = s.REGROUP
                break
            if slot == s.UNKNOWN:
                status = s.NEED_SLOT
                break
            ts = max(c[s.C_CLOCK], events[natural(end)].ts_recv)
            # ---- rows of the grid that fall before it
            if c[s.C_NEXT] <= ts:
                status = due_rows(m, ts, trace_n)
                if status != s.DONE:
                    break
            c[s.C_CLOCK] = ts
            if slot == s.IGNORED:  # not asked for: it only moves the clock
                i = end + 1
                continue
            is_open = True
            flags = np.int64(0)
            c[s.C_G_SEEN] = c[s.C_G_N] = 0
        book = books[natural(slot)]
        first_row = book.table
        rows = np.int64(1) << book.bits
        mask = np.uint64(rows - 1)
        shift = np.uint64(64 - book.bits)
        # ---- apply the group
        while i <= end:
            if traced and trace_n == trace_cap:
                status = s.BLOCK
                break
            event = events[natural(i)]
            if event.action == LEVEL:
                stop = min(end, i + trace_cap - trace_n - 1) if level_rows else end
                live = book.state == LIVE and flags & s.G_RESTART == 0
                reached = apply_levels(m, book, slot, ts, events, i, stop, end, trace_n, live)
                if reached > i:
                    flags |= s.G_BOOK
                    trace_n += min(reached, end) - i if level_rows else 0
                    i = reached
                    action, resting = events[natural(i - 1)].action, events[natural(i - 1)].side
                    before_price, before_size, after_size = np.int64(UNDEF_PRICE), np.int64(0), np.int64(0)
                    continue
            prefetch(events, i + FAR_AHEAD)
            if i + AHEAD < n:
                ask_for(table, first_row, shift, events[natural(i + AHEAD)].order_id)
            action = event.action
            before_price = np.int64(UNDEF_PRICE)
            before_size = np.int64(0)
            after_size = np.int64(0)
            resting = event.side
            # Up to two level changes, made in one place below: (side, price, tick, lots, orders).
            changes = 0
            side = side_2 = np.int64(0)
            price = price_2 = tick = tick_2 = lots = lots_2 = orders = orders_2 = np.int64(0)
            old = new = np.int64(0)
            levelled = False  # the change has been made, `old` and `new` are known
            kind: Int = np.int64(action)
            if event.flags & SNAPSHOT:
                flags |= s.G_RESTART
            live = book.state == LIVE and flags & s.G_RESTART == 0
            if action == ADD and event.flags & TOB:
                kind = LEVEL  # its side's best quote, not an order: its id means nothing
            if kind == ADD or kind == MODIFY or kind == CANCEL or kind == FILL:
                row = find(table, first_row, shift, mask, event.order_id)
                value = table[row, 1]
                known = value != U0
                if known:
                    price, tick, side, before_size = unpack(m, book, value)
                    before_price = price
                    after_size = before_size
                if kind == FILL:
                    pass
                elif kind == CANCEL or (kind == MODIFY and event.size == 0 and known):
                    flags |= s.G_BOOK
                    lots = event.size if kind == CANCEL else before_size
                    if not known:
                        book.unknown_cancel += 1
                        book.incomplete = 1
                    elif lots <= 0 or (kind == MODIFY and not sound(book, event)):
                        book.rejected += 1
                    else:
                        if kind == MODIFY and tick_of(book, event.price) * book.tick != event.price:
                            book.off_tick += 1
                        if lots > before_size:
                            book.over_cancel += 1
                            lots = before_size
                        after_size = before_size - lots
                        if after_size == 0:
                            remove(table, first_row, shift, mask, row)
                            book.live -= 1
                            release(m, value)
                            orders = np.int64(-1)
                        elif value & SIZE_MASK == np.uint64(BIG):
                            big_sizes_of(m)[np.int64(value >> U33)] = after_size
                        else:
                            table[row, 1] = value - np.uint64(lots)
                        lots = -lots
                        changes = 1
                        resting = np.uint8(BID) if side == 0 else np.uint8(ASK)
                else:
                    flags |= s.G_BOOK
                    side_2 = side_of(event.side)
                    if side_2 < 0 and kind == MODIFY and known:
                        side_2 = side
                    if not known and kind == MODIFY and event.size == 0:
                        book.unknown_modify += 1  # it leaves nothing behind, but we missed its order
                        book.incomplete = 1
                    elif side_2 < 0 or event.size <= 0 or not sound(book, event):
                        book.rejected += 1
                    else:
                        price_2 = event.price
                        tick_2 = tick_of(book, price_2)
                        status = room(m, book, slot, side_2, price_2, tick_2)
                        if c[s.C_BIG_FREE] < 0:
                            status = s.NEED_BIG
                        if not known and (book.live + 1) * 4 > rows:
                            c[s.C_NEED_SLOT] = slot
                            status = s.NEED_ORDERS
                        if status != s.DONE:
                            break
                        if tick_2 * book.tick != price_2:
                            book.off_tick += 1
                        after_size = event.size
                        if known:
                            release(m, value)
                        value = pack(m, book, side_2, price_2, tick_2, after_size)
                        if not known:
                            if kind == MODIFY:
                                book.unknown_modify += 1
                                book.incomplete = 1
                            table[row, 0] = event.order_id
                            table[row, 1] = value
                            book.live += 1
                            side, price, tick, lots, orders = side_2, price_2, tick_2, after_size, np.int64(1)
                            changes = 1
                        else:
                            if kind == ADD:
                                book.duplicate += 1
                            table[row, 1] = value
                            if side == side_2 and price == price_2:
                                lots = after_size - before_size
                                changes = 1
                            else:
                                lots, orders = -before_size, np.int64(-1)
                                lots_2, orders_2 = after_size, np.int64(1)
                                changes = 2
                        resting = np.uint8(BID) if side_2 == 0 else np.uint8(ASK)
            elif kind == TRADE:
                if not (event.size > 0 and sound(book, event)):
                    book.rejected += 1
                    action = np.uint8(NONE)  # for TRACE: features must not count it either
                elif book.started or not events[natural(end)].flags & SNAPSHOT:
                    if book.infers:
                        sign_trade(m, book, event, live)
                        resting = event.side
                    trade(book, event, live)
                else:  # told by the snapshot a stream opens with: when it was made is unknown
                    action = np.uint8(NONE)
            elif kind == LEVEL or (kind == QUOTE and book.l1):
                flags |= s.G_BOOK
                price = event.price
                side = side_of(event.side)
                empties = (action != LEVEL and price == UNDEF_PRICE) or (action == QUOTE and event.size == 0)
                if (
                    side < 0
                    or event.size < 0
                    or (event.size == 0 and action == ADD and not empties)
                    or (not empties and not sound(book, event))
                ):
                    book.rejected += 1
                else:
                    if not empties:
                        tick = tick_of(book, price)
                        status = room(m, book, slot, side, price, tick)
                        if status != s.DONE:
                            break
                        if tick * book.tick != price:
                            book.off_tick += 1
                    if action != LEVEL or event.flags & TOB:
                        live = False  # the quote replaces its side: nobody added or removed anything
                        fresh = not c[s.C_G_SEEN] & (1 << side)
                        same = book.top_n[side] == 1 and book.top_price[side, 0] == price and book.live == 0
                        if empties or not (fresh and same):
                            clear_side(m, book, side)
                            read_again(c, side, np.int64(0))
                    if not empties:
                        old, new = set_level(
                            m, book, side, price, event.size, np.int64(0 if action == ADD else event.aux)
                        )
                        levelled = True
                        changes = 1 if old != new else 0
            elif kind == CLEAR:
                flags |= s.G_RESTART | s.G_CLEAR | s.G_BOOK
                book.clears += 1
                book.incomplete = 0
                clear_book(m, book)
                read_again(c, np.int64(0), np.int64(0))
                read_again(c, np.int64(1), np.int64(0))
            elif kind == LOST:
                flags |= s.G_RESTART | s.G_LOST
                book.gaps += 1
                forget_ticks(book)
            elif kind != NONE and kind != STATUS and kind != QUOTE:
                book.rejected += 1
            while changes > 0:
                changes -= 1
                if not levelled:
                    old, new = change(m, book, sizes, counts, side, price, tick, lots, orders)
                noted(c, book, side, price, old, new, live, False)
                side, price, tick, lots, orders = side_2, price_2, tick_2, lots_2, orders_2
            if i != end and traced & trace_bit(np.int64(action)):
                t = trace[natural(trace_n)]
                show_within(t, book, ts, i, slot, action, resting, before_price, before_size, after_size)
                matches[natural(trace_n)] = trace_bit(np.int64(action))
                trace_n += 1
            i += 1
        if status != s.DONE or i <= end:
            break
        # ---- the group is complete
        tail = events[natural(end)]
        snapshot = (tail.flags & SNAPSHOT) != 0
        first_ofi = np.int64(0)
        if flags:
            if flags & s.G_LOST:
                book.state = STALE
            if flags & s.G_BOOK:
                book.touched = 1
                if (flags & s.G_CLEAR and not flags & s.G_LOST) or snapshot or book.state == SYNCING:
                    book.state = LIVE
            restart = (flags & s.G_RESTART) != 0
            if restart or c[s.C_G_SEEN] >= s.READ_AGAIN:
                flags |= s.G_TOP
                first_ofi = reread(m, book, restart)
            else:
                first_ofi = settle(c, book)
            if book.top_n[0] and book.top_n[1] and book.top_price[0, 0] >= book.top_price[1, 0]:
                book.crossed += 1
        if book.infers:
            keep_quote(m, book, tail.ts_event, (flags & s.G_RESTART) != 0)
        if snapshot:
            book.snapshots += 1
        stamp(book, tail, ts, np.int64(1))
        if (book.started or not snapshot) and book.state == LIVE and book.top_n[0] and book.top_n[1]:
            good = book.top_price[0, 0] < book.top_price[1, 0]
            book.quoted += np.int64(good)
            book.quoted_size += book.top_size[0, 0] + book.top_size[1, 0] if good else 0
        flow = np.int64(TRACE_FLOW) if first_ofi != 0 else np.int64(0)
        matched = trace_bit(np.int64(action)) | flow | np.int64(TRACE_GROUPS)
        if traced & matched:
            show_group(
                trace[natural(trace_n)], book, ts, end, slot, action, resting,
                before_price, before_size, after_size, first_ofi, group_rows,
            )  # fmt: skip
            matches[natural(trace_n)] = matched
            trace_n += 1
        if not book.started and not snapshot:
            book.started = 1
            book.touched = 1
            if step > 0 and c[s.C_NEXT] == s.NEVER:
                c[s.C_NEXT] = (ts // step + 1) * step
        is_open = False
        wanted = False
        if flags & s.G_TOP or book.far_ops > 2048:
            wanted = wants_recentre(m, book, slot)
        if step == 0 and book.started:
            emit(m, slot, ts, trace_n)
            if wanted:
                status = s.RECENTRE
            elif c[s.C_STOP]:
                status = s.BOUNDARY
            elif c[s.C_SAMPLE_N] == c[s.C_SAMPLE_CAP]:
                status = s.FLUSH
        elif wanted:
            status = s.RECENTRE
        if status != s.DONE:
            break
    c[s.C_POS] = i
    c[s.C_TRACE_N] = trace_n
    c[s.C_OPEN] = 1 if is_open else 0
    c[s.C_END] = end
    c[s.C_SLOT] = slot
    c[s.C_TS] = ts
    c[s.C_G_FLAGS] = flags
    return status
