"""Stage 1: events into books, TRACE rows and SAMPLE rows.

`advance` works through a chunk until it ends or needs something only Python can give (room,
an unknown instrument, a flush); it returns why, and is called again to go on. Groups are
applied whole at the time of their LAST record; grid rows due before that time come first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depthscope.book import state as s
from depthscope.book.levels import far_size_at, fill_side, in_ladder, set_far, set_ladder, tick_of, top
from depthscope.book.memory import (
    big_prices_of, big_sizes_of, bitmap_of, books_of, bounds_of, context_of, counts_of, kept_of, key_slots_of,
    keys_of, samples_of, scratch_prices_of, scratch_sizes_of, sizes_of, table_of, trace_of,
)  # fmt: skip
from depthscope.book.primitives import BIAS, BIG, GOLD, SIZE_MASK, U1, U32, U33, find, insert, njit, prefetch, remove
from depthscope.market.events import (
    ADD, ASK, BID, CANCEL, CLEAR, COND_NOT_HIGH_LOW, COND_NOT_LAST, COND_NOT_VOLUME, EVENT, FILL, LAST,
    LEVEL, LOST, MODIFY, NONE, PRICE_SCALE, QUOTE, SNAPSHOT, STATUS, TOB, TRADE, UNDEF_PRICE,
)  # fmt: skip
from depthscope.market.layouts import DEPTH_BPS, LIVE, OFI_LEVELS, SAMPLE, SAMPLE_LEVELS, STALE, SYNCING, TRACE

U40 = np.uint64(40)
N_BPS = len(DEPTH_BPS)
AHEAD = 12  # records between asking for an order's cache line and using it

# Bits of C_G_FLAGS, what the open group contains.
G_RESTART = 1  # flow imbalance starts anew
G_LOST = 2
G_CLEAR = 4
G_BOOK = 8  # anything that may change the book
G_TOP = 16  # a best price may have moved


@njit
def note(m: np.int64, book: Any, side: np.int64, price: np.int64, old: np.int64, new: np.int64) -> None:
    """Remember what a level change does to the cached top of book (applied at LAST)."""
    c = context_of(m)
    n = book.top_n[side]
    if n == OFI_LEVELS:
        worst = book.top_price[side, OFI_LEVELS - 1]
        if price < worst if side == 0 else price > worst:
            return
    mode = c[s.C_G_MODE_B + side]
    if mode == 2:
        return
    if old != 0 and new != 0:
        for k in range(n):
            if book.top_price[side, k] == price:
                if mode == 0:
                    c[s.C_G_MODE_B + side] = 1
                    c[s.C_G_LEVEL_B + side] = k
                    c[s.C_G_DELTA_B + side] = new - old
                    return
                if c[s.C_G_LEVEL_B + side] == k:
                    c[s.C_G_DELTA_B + side] += new - old
                    return
                break
    c[s.C_G_MODE_B + side] = 2


@njit
def change(
    m: np.int64, book: Any, side: np.int64, price: np.int64, delta: np.int64, orders: np.int64,
) -> None:  # fmt: skip
    """Add `delta` lots and `orders` orders to a level (room has been checked)."""
    sizes = sizes_of(m)
    counts = counts_of(m)
    tick = tick_of(book, price)
    if in_ladder(book, price, tick):
        row = book.cell + tick - book.base
        old = sizes[row, side]
        new = old + delta
        counts[row, side] += orders
        set_ladder(m, book, side, row, old, new)
    else:
        old = far_size_at(m, book, side, price)
        new = old + delta
        set_far(m, book, side, price, new, orders, True)
        if tick * book.tick == price:
            book.far_ops += 1
    note(m, book, side, price, old, new)


@njit
def set_level(
    m: np.int64, book: Any, side: np.int64, price: np.int64, new: np.int64, orders: np.int64,
) -> None:  # fmt: skip
    """Set a level's absolute size and order count (0 removes; removing an absent level is normal)."""
    sizes = sizes_of(m)
    counts = counts_of(m)
    tick = tick_of(book, price)
    if in_ladder(book, price, tick):
        row = book.cell + tick - book.base
        old = sizes[row, side]
        counts[row, side] = orders if new != 0 else 0
        set_ladder(m, book, side, row, old, new)
    else:
        old = far_size_at(m, book, side, price)
        set_far(m, book, side, price, new, orders, False)
        if tick * book.tick == price:
            book.far_ops += 1
    if old != new:
        note(m, book, side, price, old, new)


@njit
def room(m: np.int64, book: Any, slot: np.int64, side: np.int64, price: np.int64) -> np.int64:
    """DONE when a level can be created at `price`, else what is needed first."""
    c = context_of(m)
    tick = tick_of(book, price)
    if book.width == 0:
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_TICK] = tick
        c[s.C_NEED_WIDTH] = s.FIRST_WIDTH
        return s.RECENTRE
    if not in_ladder(book, price, tick) and book.far_n[side] == book.far_cap[side]:
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_SIDE] = side
        return s.NEED_FAR
    return s.DONE


@njit
def pack(m: np.int64, book: Any, side: np.int64, price: np.int64, size: np.int64) -> np.uint64:
    """Value of an order's table slot (room in the odd-order store has been checked)."""
    relative = tick_of(book, price) - book.origin
    on_grid = (relative + book.origin) * book.tick == price
    if on_grid and -BIAS < relative < BIAS and size < BIG:
        return (np.uint64(relative + BIAS) << U33) | (np.uint64(side) << U32) | np.uint64(size)
    c = context_of(m)
    big_size = big_sizes_of(m)
    row = c[s.C_BIG_FREE]
    c[s.C_BIG_FREE] = big_size[row]
    big_prices_of(m)[row] = price
    big_size[row] = size
    return (np.uint64(row) << U33) | (np.uint64(side) << U32) | np.uint64(BIG)


@njit
def unpack(m: np.int64, book: Any, value: np.uint64) -> tuple[np.int64, np.int64, np.int64]:
    """(price, side, size) of an order's table slot."""
    side = np.int64((value >> U32) & U1)
    size = np.int64(value & SIZE_MASK)
    if size == BIG:
        row = np.int64(value >> U33)
        return big_prices_of(m)[row], side, big_sizes_of(m)[row]
    return (np.int64(value >> U33) - BIAS + book.origin) * book.tick, side, size


@njit
def release(m: np.int64, value: np.uint64) -> None:
    """Give back the odd-order row of a slot, if it has one."""
    if value & SIZE_MASK == np.uint64(BIG):
        c = context_of(m)
        row = np.int64(value >> U33)
        big_sizes_of(m)[row] = c[s.C_BIG_FREE]
        c[s.C_BIG_FREE] = row


@njit
def clear_levels(m: np.int64, book: Any, side: np.int64) -> None:
    """Empty one side's ladder and far store."""
    sizes = sizes_of(m)
    counts = counts_of(m)
    bitmap = bitmap_of(m)
    for word in range(book.cell >> 6, (book.cell + book.width) >> 6):
        if bitmap[word, side] != 0:
            for row in range(word << 6, (word + 1) << 6):
                sizes[row, side] = 0
                counts[row, side] = 0
            bitmap[word, side] = 0
    book.best[side] = -1
    book.far_n[side] = 0


@njit
def clear_side(m: np.int64, book: Any, side: np.int64) -> None:
    """Empty one side: levels and orders."""
    table = table_of(m)
    clear_levels(m, book, side)
    if book.live:
        first = book.table
        rows = np.int64(1) << book.bits
        mask = np.uint64(rows - 1)
        shift = np.uint64(64 - book.bits)
        row = first
        while row < first + rows:
            value = table[row, 1]
            if value != 0 and np.int64((value >> U32) & U1) == side:
                release(m, value)
                remove(table, first, shift, mask, row)
                book.live -= 1
                row = first  # removal moves rows, possibly across the end of the region
            else:
                row += 1
    context_of(m)[s.C_G_MODE_B + side] = 2


@njit
def clear_book(m: np.int64, book: Any) -> None:
    """Empty a book."""
    c = context_of(m)
    table = table_of(m)
    for side in range(2):
        clear_levels(m, book, side)
        c[s.C_G_MODE_B + side] = 2
    if book.live:
        for row in range(book.table, book.table + (np.int64(1) << book.bits)):
            release(m, table[row, 1])
            table[row, 1] = 0
        book.live = 0


@njit
def close_top(m: np.int64, book: Any) -> np.int64:
    """Bring the cached top of book up to date after a group; returns its level-1 OFI.

    Cont, Kukanov and Stoikov (2014), per level: both sides must have the level in both states.
    """
    c = context_of(m)
    price = scratch_prices_of(m)
    size = scratch_sizes_of(m)
    restart = (c[s.C_G_FLAGS] & G_RESTART) != 0
    first = np.int64(0)
    old_bids, old_asks = book.top_n[0], book.top_n[1]
    for side in range(2):
        mode = c[s.C_G_MODE_B + side]
        sign = np.int64(1) if side == 0 else np.int64(-1)
        if mode == 1 and not restart:
            k = c[s.C_G_LEVEL_B + side]
            delta = c[s.C_G_DELTA_B + side]
            book.top_size[side, k] += delta
            if k < 5:
                book.sum5[side] += delta
            # A level the other side lacks contributes nothing: settled below with `common`.
            c[s.C_G_DELTA_B + side] = delta * sign
    if c[s.C_G_MODE_B] == 2 or c[s.C_G_MODE_A] == 2 or restart:
        c[s.C_G_FLAGS] |= G_TOP
        # New tops of the sides that need one, beside the old ones.
        fresh_b = c[s.C_G_MODE_B] == 2 or restart
        fresh_a = c[s.C_G_MODE_A] == 2 or restart
        bids = top(m, book, 0, OFI_LEVELS, price[0], size[0]) if fresh_b else old_bids
        asks = top(m, book, 1, OFI_LEVELS, price[1], size[1]) if fresh_a else old_asks
        common = min(min(old_bids, old_asks), min(bids, asks))
        if not restart:
            for side in range(2):
                if (fresh_b if side == 0 else fresh_a):
                    sign = np.int64(1) if side == 0 else np.int64(-1)
                    for k in range(common):
                        new_p, old_p = sign * price[side, k], sign * book.top_price[side, k]
                        e = np.int64(0)
                        if new_p >= old_p:
                            e += size[side, k]
                        if new_p <= old_p:
                            e -= book.top_size[side, k]
                        book.ofi[k] += sign * e
                        if k == 0:
                            first += sign * e
                elif c[s.C_G_MODE_B + side] == 1 and c[s.C_G_LEVEL_B + side] < common:
                    k = c[s.C_G_LEVEL_B + side]
                    book.ofi[k] += c[s.C_G_DELTA_B + side]
                    if k == 0:
                        first += c[s.C_G_DELTA_B + side]
        for side in range(2):
            if (fresh_b if side == 0 else fresh_a):
                n = bids if side == 0 else asks
                total = np.int64(0)
                for k in range(n):
                    book.top_price[side, k] = price[side, k]
                    book.top_size[side, k] = size[side, k]
                    if k < 5:
                        total += size[side, k]
                book.top_n[side] = n
                book.sum5[side] = total
    else:
        common = min(old_bids, old_asks)
        for side in range(2):
            if c[s.C_G_MODE_B + side] == 1:
                k = c[s.C_G_LEVEL_B + side]
                if k < common:
                    book.ofi[k] += c[s.C_G_DELTA_B + side]
                    if k == 0:
                        first += c[s.C_G_DELTA_B + side]
    return first


@njit
def wants_recentre(m: np.int64, book: Any, slot: np.int64) -> bool:
    """Whether the best prices have left the inner half of the ladder, or it is too narrow."""
    bids, asks = book.top_n[0], book.top_n[1]
    if book.width == 0 or (bids == 0 and asks == 0):
        return False
    middle = book.base + (book.width >> 1)
    quarter = book.width >> 2
    bid = tick_of(book, book.top_price[0, 0]) if bids else np.int64(0)
    ask = tick_of(book, book.top_price[1, 0]) if asks else np.int64(0)
    if bids and asks:
        if ask - bid < (book.width >> 1):
            target = (bid + ask) >> 1
        elif abs(bid - middle) <= quarter or abs(ask - middle) <= quarter:
            target = middle  # a stub quote far away must not drag the ladder with it
        else:
            target = bid
    else:
        target = bid if bids else ask
    grow = book.far_ops > 2048 and book.width < s.MAX_WIDTH
    if abs(target - middle) > quarter or grow:
        c = context_of(m)
        c[s.C_NEED_SLOT] = slot
        c[s.C_NEED_TICK] = target
        c[s.C_NEED_WIDTH] = book.width * 2 if grow else book.width
        return True
    return False


@njit
def emit(m: np.int64, slot: np.int64, ts: np.int64, at: np.int64) -> None:
    """Append one SAMPLE row and start the next row's flow."""
    c = context_of(m)
    book = books_of(m)[slot]
    kept = kept_of(m)[slot]
    bounds = bounds_of(m)
    if book.touched:
        book.touched = 0
        if book.top_n[0] and book.top_n[1]:
            middle = 0.5 * (book.top_price[0, 0] + book.top_price[1, 0])
            for k in range(N_BPS):
                bounds[0, k] = middle * (1.0 - DEPTH_BPS[k] * 1e-4)
                bounds[1, k] = middle * (1.0 + DEPTH_BPS[k] * 1e-4)
        else:
            bounds[0, :] = np.inf
            bounds[1, :] = -np.inf
        kept.n_bid = fill_side(
            m, book, 0, SAMPLE_LEVELS, bounds[0],
            kept.bid_price, kept.bid_size, kept.bid_orders, kept.bid_depth,
        )  # fmt: skip
        kept.n_ask = fill_side(
            m, book, 1, SAMPLE_LEVELS, bounds[1],
            kept.ask_price, kept.ask_size, kept.ask_orders, kept.ask_depth,
        )  # fmt: skip
    kept.ts = ts
    kept.ts_event = book.ts_event
    kept.ts_recv = book.ts
    kept.sequence = book.sequence
    kept.at = at
    kept.slot = slot
    kept.state = book.state
    kept.incomplete = book.incomplete
    kept.action = book.action
    kept.changed = book.changed
    for k in range(OFI_LEVELS):
        kept.ofi[k] = book.ofi[k]
        book.ofi[k] = 0
    kept.buy_volume = book.buy_volume
    kept.sell_volume = book.sell_volume
    kept.unknown_volume = book.unknown_volume
    kept.buy_trades = book.buy_trades
    kept.sell_trades = book.sell_trades
    kept.unknown_trades = book.unknown_trades
    kept.groups = book.row_groups
    kept.notional = book.notional
    kept.high = book.high
    kept.low = book.low
    kept.last_price = book.last_price
    kept.last_size = book.last_size
    book.buy_volume = book.sell_volume = book.unknown_volume = 0
    book.buy_trades = book.sell_trades = book.unknown_trades = 0
    book.row_groups = 0
    book.notional = 0.0
    book.high = book.low = UNDEF_PRICE
    book.changed = 0
    samples_of(m)[c[s.C_SAMPLE_N]] = kept
    c[s.C_SAMPLE_N] += 1


@njit
def due_rows(m: np.int64, ts: np.int64, at: np.int64) -> np.int64:
    """Emit the grid rows of every boundary <= `ts`; returns DONE, FLUSH or BOUNDARY."""
    c = context_of(m)
    books = books_of(m)
    n = c[s.C_SLOTS]
    step = c[s.C_STEP]
    while c[s.C_NEXT] != 0 and c[s.C_NEXT] <= ts:
        if c[s.C_SAMPLE_CAP] - c[s.C_SAMPLE_N] < n:
            return s.FLUSH
        before = c[s.C_SAMPLE_N]
        for k in range(n):
            if books[k].started and (books[k].changed or not c[s.C_SPARSE]):
                emit(m, k, c[s.C_NEXT], at)
        if c[s.C_SPARSE]:  # nothing is left to emit before this time
            c[s.C_NEXT] = (ts // step + 1) * step
        else:
            c[s.C_NEXT] += step
        if c[s.C_STOP] and c[s.C_SAMPLE_N] > before:
            return s.BOUNDARY
    return s.DONE


@njit
def trade(book: Any, event: Any) -> None:
    """Count a trade towards the next row, as far as its conditions allow."""
    cond = event.cond
    book.trades += 1
    if not cond & COND_NOT_VOLUME:
        if event.side == BID:
            book.buy_volume += event.size
            book.buy_trades += 1
        elif event.side == ASK:
            book.sell_volume += event.size
            book.sell_trades += 1
        else:
            book.unknown_volume += event.size
            book.unknown_trades += 1
        book.notional += (event.price / PRICE_SCALE) * event.size
    if not cond & COND_NOT_HIGH_LOW:
        if book.high == UNDEF_PRICE or event.price > book.high:
            book.high = event.price
        if book.low == UNDEF_PRICE or event.price < book.low:
            book.low = event.price
    if not cond & COND_NOT_LAST:
        book.last_price = event.price
        book.last_size = event.size


@njit
def find_slot(m: np.int64, key: np.int64) -> np.int64:
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


@njit
def blank(row: Any, ts: np.int64) -> None:
    """Write a TRACE row that no feature reacts to, so that rows and events stay aligned."""
    row.ts = ts
    row.slot = 0
    row.action = NONE
    row.ofi = 0
    row.last = 0


@njit
def side_of(code: np.uint8) -> np.int64:
    """0 bid, 1 ask, -1 neither."""
    if code == BID:
        return np.int64(0)
    if code == ASK:
        return np.int64(1)
    return np.int64(-1)


@njit
def advance(m: np.int64, events: Any) -> np.int64:
    """Run until the chunk ends or Python is needed; returns why (see `state`)."""
    c = context_of(m)
    books = books_of(m)
    table = table_of(m)
    trace = trace_of(m)
    n_slots = c[s.C_SLOTS]
    n = c[s.C_N]
    i = c[s.C_POS]
    step = c[s.C_STEP]
    want_trace = c[s.C_WANT_TRACE] != 0
    trace_n = c[s.C_TRACE_N]
    trace_cap = c[s.C_TRACE_CAP]
    while i < n:
        if not c[s.C_OPEN]:
            # ---- find the end of the group, its instrument and its time
            head = events[i]
            key = (np.int64(head.publisher) << 32) | np.int64(head.instrument_id)
            end = i
            while not events[end].flags & LAST:
                end += 1
                if end >= n or events[end].instrument_id != head.instrument_id or events[end].publisher != head.publisher:
                    c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                    return s.REGROUP
            slot = find_slot(m, key)
            if slot == s.UNKNOWN:
                c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                return s.NEED_SLOT
            ts = max(c[s.C_CLOCK], events[end].ts_recv)
            # ---- rows of the grid that fall before it
            if c[s.C_NEXT] != 0 and c[s.C_NEXT] <= ts and step > 0:
                status = due_rows(m, ts, trace_n)
                if status != s.DONE:
                    c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                    return status
            c[s.C_CLOCK] = ts
            if slot == s.IGNORED:  # not asked for: it only moves the clock
                while want_trace and i <= end:
                    if trace_n == trace_cap:
                        c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                        return s.BLOCK
                    blank(trace[trace_n], ts)
                    trace_n += 1
                    i += 1
                i = end + 1
                continue
            c[s.C_OPEN] = 1
            c[s.C_END] = end
            c[s.C_SLOT] = slot
            c[s.C_TS] = ts
            c[s.C_G_FLAGS] = 0
            c[s.C_G_MODE_B] = 0
            c[s.C_G_MODE_A] = 0
        slot = c[s.C_SLOT]
        end = c[s.C_END]
        book = books[slot]
        first_row = book.table
        rows = np.int64(1) << book.bits
        mask = np.uint64(rows - 1)
        shift = np.uint64(64 - book.bits)
        # ---- apply the group
        while i <= end:
            if want_trace and trace_n == trace_cap:
                c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                return s.BLOCK
            event = events[i]
            if i + AHEAD < n:
                ahead = events[i + AHEAD].order_id
                prefetch(table, first_row + np.int64((ahead * GOLD) >> shift))
            action = event.action
            before_price = np.int64(UNDEF_PRICE)
            before_size = np.int64(0)
            after_size = np.int64(0)
            resting = event.side
            if action == ADD or action == MODIFY:
                c[s.C_G_FLAGS] |= G_BOOK
                if event.flags & SNAPSHOT:
                    c[s.C_G_FLAGS] |= G_RESTART
                row = find(table, first_row, shift, mask, event.order_id)
                side = side_of(event.side)
                old_price, old_side, old_size = np.int64(0), np.int64(0), np.int64(0)
                if row >= 0:
                    old_price, old_side, old_size = unpack(m, book, table[row, 1])
                    before_price, before_size = old_price, old_size
                    if side < 0 and action == MODIFY:
                        side = old_side
                bad = (
                    side < 0
                    or event.price == UNDEF_PRICE
                    or event.size < 0
                    or (event.size == 0 and (action == ADD or row < 0))
                    or (event.price < 0 and not book.negative)
                )
                if bad and row < 0 and action == MODIFY and event.size == 0:
                    book.unknown_modify += 1  # it leaves nothing behind, but we missed its order
                    book.incomplete = 1
                elif bad:
                    book.rejected += 1
                    after_size = before_size
                else:
                    if event.flags & TOB and action == ADD:
                        clear_side(m, book, side)
                        row = find(table, first_row, shift, mask, event.order_id)
                        if row < 0:
                            before_price, before_size = np.int64(UNDEF_PRICE), np.int64(0)
                    if event.size > 0:
                        status = room(m, book, slot, side, event.price)
                        if status == s.DONE and c[s.C_BIG_FREE] < 0:
                            status = s.NEED_BIG
                        if status == s.DONE and row < 0 and (book.live + 1) * 4 > rows:
                            c[s.C_NEED_SLOT] = slot
                            status = s.NEED_ORDERS
                        if status != s.DONE:
                            c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                            return status
                    tick = tick_of(book, event.price)
                    if tick * book.tick != event.price:
                        book.off_tick += 1
                    if row < 0:
                        if action == MODIFY:
                            book.unknown_modify += 1
                            book.incomplete = 1
                        value = pack(m, book, side, event.price, event.size)
                        insert(table, first_row, shift, mask, event.order_id, value)
                        book.live += 1
                        change(m, book, side, event.price, event.size, 1)
                    else:
                        if action == ADD:
                            book.duplicate += 1
                        old = table[row, 1]
                        if event.size == 0:
                            remove(table, first_row, shift, mask, row)
                            book.live -= 1
                            release(m, old)
                            change(m, book, old_side, old_price, -old_size, -1)
                        else:
                            release(m, old)
                            table[row, 1] = pack(m, book, side, event.price, event.size)
                            if old_side == side and old_price == event.price:
                                change(m, book, side, old_price, event.size - old_size, 0)
                            else:
                                change(m, book, old_side, old_price, -old_size, -1)
                                change(m, book, side, event.price, event.size, 1)
                    after_size = event.size
                    resting = np.uint8(BID) if side == 0 else np.uint8(ASK)
            elif action == CANCEL:
                c[s.C_G_FLAGS] |= G_BOOK
                row = find(table, first_row, shift, mask, event.order_id)
                if row < 0:
                    book.unknown_cancel += 1
                    book.incomplete = 1
                elif event.size <= 0:
                    book.rejected += 1
                else:
                    value = table[row, 1]
                    before_price, side, before_size = unpack(m, book, value)
                    gone = event.size
                    if gone > before_size:
                        book.over_cancel += 1
                        gone = before_size
                    after_size = before_size - gone
                    if after_size == 0:
                        remove(table, first_row, shift, mask, row)
                        book.live -= 1
                        release(m, value)
                    elif value & SIZE_MASK == np.uint64(BIG):
                        big_sizes_of(m)[np.int64(value >> U33)] = after_size
                    else:
                        table[row, 1] = value - np.uint64(gone)
                    change(m, book, side, before_price, -gone, -1 if after_size == 0 else 0)
                    resting = np.uint8(BID) if side == 0 else np.uint8(ASK)
            elif action == TRADE:
                trade(book, event)
            elif action == FILL:
                row = find(table, first_row, shift, mask, event.order_id)
                if row >= 0:
                    before_price, side, before_size = unpack(m, book, table[row, 1])
                    after_size = before_size
            elif action == LEVEL or (action == QUOTE and book.l1):
                c[s.C_G_FLAGS] |= G_BOOK
                if event.flags & SNAPSHOT:
                    c[s.C_G_FLAGS] |= G_RESTART
                side = side_of(event.side)
                empties = action == QUOTE and (event.price == UNDEF_PRICE or event.size == 0) and event.size >= 0
                if side < 0 or event.size < 0 or (
                    not empties and (event.price == UNDEF_PRICE or (event.price < 0 and not book.negative))
                ):
                    book.rejected += 1
                else:
                    if not empties:
                        status = room(m, book, slot, side, event.price)
                        if status != s.DONE:
                            c[s.C_POS], c[s.C_TRACE_N] = i, trace_n
                            return status
                        tick = tick_of(book, event.price)
                        if tick * book.tick != event.price:
                            book.off_tick += 1
                    if action == QUOTE or event.flags & TOB:
                        one = book.top_n[side] == 1 and book.top_price[side, 0] == event.price
                        if not (one and c[s.C_G_MODE_B + side] == 0 and not empties):
                            clear_side(m, book, side)
                    if not empties:
                        set_level(m, book, side, event.price, event.size, np.int64(event.aux))
            elif action == CLEAR:
                c[s.C_G_FLAGS] |= G_RESTART | G_CLEAR | G_BOOK
                book.clears += 1
                book.incomplete = 0
                clear_book(m, book)
            elif action == LOST:
                c[s.C_G_FLAGS] |= G_RESTART | G_LOST
                book.gaps += 1
            elif action != NONE and action != STATUS and action != QUOTE:
                book.rejected += 1
            # ---- one TRACE row
            if want_trace:
                t = trace[trace_n]
                t.ts = c[s.C_TS]
                t.bid = book.top_price[0, 0] if book.top_n[0] else UNDEF_PRICE
                t.ask = book.top_price[1, 0] if book.top_n[1] else UNDEF_PRICE
                t.bid_size = book.top_size[0, 0] if book.top_n[0] else 0
                t.ask_size = book.top_size[1, 0] if book.top_n[1] else 0
                t.bid_size5 = book.sum5[0]
                t.ask_size5 = book.sum5[1]
                t.ofi = 0
                t.price_before = before_price
                t.size_before = before_size
                t.size_after = after_size
                t.slot = slot
                t.last = 0
                t.action = action
                t.side = resting
                t.state = book.state
                trace_n += 1
            i += 1
        # ---- the group is complete
        tail = events[end]
        flags = c[s.C_G_FLAGS]
        snapshot = (tail.flags & SNAPSHOT) != 0
        if flags & G_LOST:
            book.state = STALE
        if flags & G_BOOK:
            book.touched = 1
            if (flags & G_CLEAR and not flags & G_LOST) or snapshot or book.state == SYNCING:
                book.state = LIVE
        if snapshot:
            book.snapshots += 1
        first_ofi = np.int64(0)
        if flags & (G_BOOK | G_RESTART):
            first_ofi = close_top(m, book)
            if book.top_n[0] and book.top_n[1] and book.top_price[0, 0] >= book.top_price[1, 0]:
                book.crossed += 1
        book.groups += 1
        book.row_groups += 1
        book.changed = 1
        book.ts = c[s.C_TS]
        book.ts_event = tail.ts_event
        book.sequence = tail.sequence
        book.action = tail.action
        if want_trace:
            t = trace[trace_n - 1]
            t.bid = book.top_price[0, 0] if book.top_n[0] else UNDEF_PRICE
            t.ask = book.top_price[1, 0] if book.top_n[1] else UNDEF_PRICE
            t.bid_size = book.top_size[0, 0] if book.top_n[0] else 0
            t.ask_size = book.top_size[1, 0] if book.top_n[1] else 0
            t.bid_size5 = book.sum5[0]
            t.ask_size5 = book.sum5[1]
            t.ofi = first_ofi
            t.last = 1
            t.state = book.state
        if not book.started and not snapshot:
            book.started = 1
            book.touched = 1
            if step > 0 and c[s.C_NEXT] == 0:
                c[s.C_NEXT] = (c[s.C_TS] // step + 1) * step
        c[s.C_OPEN] = 0
        c[s.C_POS] = i
        c[s.C_TRACE_N] = trace_n
        if c[s.C_G_FLAGS] & G_TOP or book.far_ops > 2048:
            if wants_recentre(m, book, slot):
                if step == 0 and book.started:
                    # The row of this group is due whatever happens to the ladder.
                    c[s.C_RECENTRE_DUE] = 1
                else:
                    return s.RECENTRE
        if step == 0 and book.started:
            emit(m, slot, c[s.C_TS], trace_n)
            if c[s.C_RECENTRE_DUE]:
                c[s.C_RECENTRE_DUE] = 0
                return s.RECENTRE
            if c[s.C_STOP]:
                return s.BOUNDARY
            if c[s.C_SAMPLE_N] == c[s.C_SAMPLE_CAP]:
                return s.FLUSH
    c[s.C_POS] = i
    c[s.C_TRACE_N] = trace_n
    return s.DONE
