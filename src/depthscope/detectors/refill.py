"""Refills: size that is executed at a price and comes back, again and again, as icebergs do.

A *refill* at a price is, on feeds with orders (**SYNTHETIC**): a new order within `refill_delay` (0.1)
seconds of an order there that was filled whole, of its side and of its size give or take `refill_similar`
(0.2) of it. The size is all that was filled of the order; each filled order is followed by one new order
at most, of several the latest filled. Orders the native detector knows (filled beyond what they
displayed, or restored by a modification) are left to it: what they fill is no sign here.

On feeds of levels alone (**CANDIDATE**, never more): from the first trade at a best price on, for
`refill_delay_l2` (2) seconds, more is traded there than the displayed size falls, at least half of what
was displayed before, and at the end the price is still the best and at least 1 − `refill_similar` of that
displayed. What others put there cannot be told apart from a refill.

Opened by the refill that makes `refill_times` (3) at one price in `refill_window` (60) seconds, updated
by each further one, and closed as ``broken`` by a trade beyond the price, as ``over`` when the last
refill is `refill_window` old, as ``lost`` with the book; then nothing is opened on that side for
`refill_cooldown` (30) seconds. Up to eight a side are followed at once. ``side`` is that of the resting
size, ``size`` what its refills have executed, ``strength`` that ÷ what is displayed now (the new order,
or the level).

A rule of this kind is weak evidence. On the ES hour of 2023-12-25, whose native icebergs are known, a
naive one (any level refilled within 100 ms of a trade) has a precision of 0.07; this one tells of 81, 97,
106 prices at low, medium and high, beside 13 native icebergs it leaves out: where most orders are of one
lot, one filled and another new within 100 ms are common without any iceberg, and a similar size says
little. On six minutes of BTCUSDT, 2024-08-08, there were 0, 0 and 1.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at
from depthscope.features.kit import (
    RING,
    SECOND,
    UNDEF,
    as_size,
    counted,
    event_rows,
    expire,
    frame_of,
    infos,
    missing_ring,
    ring_full,
    ring_push,
    ring_row,
    ring_rows,
    sample_rows,
    walk,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ADD, ASK, BID, CANCEL, CLEAR, FILL, LOST, MODIFY, TOB, TRADE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, TRACE_FLOW, UPDATE, trace_mask

LEVEL = "event"
TRACED = TRACE_FLOW | trace_mask("TFACMRX")
REQUIRES = Capability.TRADES | Capability.AGGRESSOR | Capability.L2
MOST: Final = 8  # matters a side
ORDERS: Final = 256  # orders filled in part that are remembered
ORDER_SPOTS: Final = 512
PRICE_SPOTS: Final = 256
STATE = np.dtype(
    [
        ("orders", RING),  # filled in part and not gone yet
        ("fills", RING),  # orders filled whole, or what trades at a level; both by time
        ("signs", RING),  # refills
        # Numbers and prices fall into spots. The last order, fill or sign of a spot, by its number in the
        # ring from 1, leads to those before.
        ("known", "i8", (ORDER_SPOTS,)),
        ("filled", "i8", (PRICE_SPOTS,)),
        ("signed", "i8", (PRICE_SPOTS,)),
        ("due", "i8"),  # nothing comes about by time alone before; 0 when that is to be found out
        ("by_order", "i8"),
        ("delay", "i8"),
        ("similar", "f8"),
        ("times", "f8"),
        ("window", "i8"),
        ("cooldown", "i8"),
        ("quoted", "i8"),
        ("best", "i8", (2,)),  # by side: 0 bid, 1 ask
        ("shown", "i8", (2,)),
        # What is open, by side; `number` 0 is a free place.
        ("number", "i8", (2, MOST)),
        ("opened", "i8", (2, MOST)),
        ("price", "i8", (2, MOST)),
        ("refills", "i8", (2, MOST)),
        ("executed", "i8", (2, MOST)),
        ("displayed", "i8", (2, MOST)),
        ("begun", "i8", (2, MOST)),
        ("latest", "i8", (2, MOST)),
        ("quiet", "i8", (2,)),
        ("count", "i8"),
    ]
)
SETTINGS = {
    "refill_times": 3.0,
    "refill_window": 60.0,
    "refill_delay": 0.1,
    "refill_delay_l2": 2.0,
    "refill_similar": 0.2,
    "refill_cooldown": 30.0,
}
PRESETS = {"low": {"refill_times": 4.0}, "high": {"refill_times": 2.0}}
EVIDENCE = ("refills", "executed", "displayed", "seconds")
LABELS = ("", "SYNTHETIC", "CANDIDATE")
OUTCOMES = ("", "broken", "over", "lost")
BROKEN, OVER, GONE = 1, 2, 3
ORDERS_RING, FILLS_RING, SIGNS_RING = 0, 1, 2

# Columns of the rings. Of orders: filled since their last change, in all, and whether native.
O_ID, O_PENDING, O_TOTAL, O_NATIVE, O_EARLIER = 1, 2, 3, 4, 5
# Of fills and signs; BEFORE is what a level displayed before, USED that a new order has come.
# EARLIER is the number, from 1, of the sign before in its spot.
SIDE, PRICE, SIZE, BEFORE, EARLIER = 1, 2, 3, 4, 5


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["by_order"] = bool(instrument.capabilities & Capability.MBO)
    name = "refill_delay" if record["by_order"] else "refill_delay_l2"
    record["delay"] = round(settings[name] * SECOND)
    record["similar"], record["times"] = settings["refill_similar"], settings["refill_times"]
    record["window"] = round(settings["refill_window"] * SECOND)
    record["cooldown"] = round(settings["refill_cooldown"] * SECOND)


@njit
def spot(key: Int, spots: int) -> Any:
    """Where an order's number or a price is counted; `spots` is a power of two."""
    return natural(((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & np.uint64(spots - 1))


@njit
def tell(ctx: Any, said: Any, s: Any, side: Int, w: int) -> None:
    """Fill a message with how a matter stands."""
    info = infos(ctx)[said.slot]
    said.opened, said.number = s.opened[side, w], s.number[side, w]
    said.side = BID if side == 0 else ASK
    said.label = 1 if s.by_order else 2
    said.price, said.size = s.price[side, w], s.executed[side, w]
    said.strength = s.executed[side, w] / s.displayed[side, w]
    said.evidence[0] = s.refills[side, w]
    said.evidence[1] = as_size(s.executed[side, w], info)
    said.evidence[2] = as_size(s.displayed[side, w], info)
    said.evidence[3] = (s.latest[side, w] - s.begun[side, w]) / 1e9


@njit
def close(
    ctx: Any, s: Any, side: Int, w: int, place: Int, ts: Int, slot: Int, outcome: Int, end: Int
) -> None:
    """Tell how a matter ended."""
    said = say_at(ctx, place, ts, slot, CLOSE)
    tell(ctx, said, s, side, w)
    said.outcome = outcome
    s.number[side, w] = s.due = 0
    s.quiet[side] = max(s.quiet[side], end + s.cooldown)


@njit
def where(s: Any, side: Int, price: Int) -> int:
    """Place of what is open at a price, else a free place, else -1."""
    free = -1
    for w in range(MOST):
        if s.number[side, w] and s.price[side, w] == price:
            return w
        if not s.number[side, w] and free < 0:
            free = w
    return free


@njit
def sign(
    ctx: Any, s: Any, place: Int, ts: Int, slot: Int, at: Int, side: Int, price: Int, size: Int, shown: Int
) -> None:
    """Take a refill made at time `at` and known at `ts`, which the ring of signs has room for."""
    memory = ring_rows(ctx)
    s.due = 0
    s.signs.tail = expire(memory, s.signs, s.signs.tail, at - s.window + 1)
    row = ring_push(memory, s.signs, at)
    memory[row, SIDE], memory[row, PRICE], memory[row, SIZE] = side, price, size
    at_price = spot(price, PRICE_SPOTS)
    memory[row, EARLIER] = s.signed[at_price]
    s.signed[at_price] = s.signs.head
    w = where(s, side, price)
    if w < 0:
        return
    if s.number[side, w]:
        s.refills[side, w] += 1
        s.executed[side, w] += size
        s.displayed[side, w], s.latest[side, w] = shown, at
        tell(ctx, say_at(ctx, place, ts, slot, UPDATE), s, side, w)
        return
    if at < s.quiet[side]:
        return
    refills = executed = np.int64(0)
    begun = at
    k = s.signs.head
    while k > s.signs.tail:
        row = ring_row(s.signs, k - 1)
        if memory[row, SIDE] == side and memory[row, PRICE] == price:
            begun = memory[row, 0]
            refills += 1
            executed += memory[row, SIZE]
        k = memory[row, EARLIER]
    if refills < s.times:
        return
    s.count += 1
    s.number[side, w], s.opened[side, w], s.price[side, w] = s.count, ts, price
    s.refills[side, w], s.executed[side, w], s.displayed[side, w] = refills, executed, shown
    s.begun[side, w], s.latest[side, w] = begun, at
    tell(ctx, say_at(ctx, place, ts, slot, OPEN), s, side, w)


@njit
def end_level(ctx: Any, s: Any, place: Int, ts: Int, slot: Int) -> None:
    """Judge the oldest level that trades were followed at, whose time is over."""
    memory = ring_rows(ctx)
    row = ring_row(s.fills, s.fills.tail)
    s.fills.tail += 1
    s.due = 0
    side, price = memory[row, SIDE], memory[row, PRICE]
    size, before, at = memory[row, SIZE], memory[row, BEFORE], memory[row, 0] + s.delay
    if not s.quoted or s.best[side] != price:
        return
    shown = s.shown[side]
    if size > before - shown and 2 * size >= before and shown >= (1.0 - s.similar) * before:
        sign(ctx, s, place, ts, slot, at, side, price, size, shown)


@njit
def pass_time(ctx: Any, s: Any, place: Int, ts: Int, slot: Int) -> None:
    """Tell what has come about by time alone, in the order in which it did."""
    while s.due <= ts:
        due, side, place_of = np.int64(UNDEF), np.int64(0), -1
        if not s.by_order and s.fills.head > s.fills.tail:
            due = ring_rows(ctx)[ring_row(s.fills, s.fills.tail), 0] + s.delay
        for d in range(2):
            for w in range(MOST):
                if s.number[d, w] and s.latest[d, w] + s.window < due:
                    due, side, place_of = s.latest[d, w] + s.window, np.int64(d), w
        s.due = due
        if due > ts:
            return
        if place_of < 0:
            end_level(ctx, s, place, ts, slot)
        else:
            close(ctx, s, side, place_of, place, ts, slot, OVER, due)


@njit
def order_of(memory: Any, s: Any, order_id: Int) -> Int:
    """Memory row of an order filled in part, or -1."""
    k = s.known[spot(order_id, ORDER_SPOTS)]
    while k > s.orders.tail:
        row = ring_row(s.orders, k - 1)
        if memory[row, O_ID] == order_id and memory[row, O_TOTAL] > 0:
            return row
        k = memory[row, O_EARLIER]
    return np.int64(-1)


@njit
def follow_order(memory: Any, s: Any, t: Any, event: Any) -> None:
    """Note a fill, a change or the end of a known order (there is room in the rings)."""
    row = order_of(memory, s, np.int64(event.order_id))
    if t.action == FILL:
        if event.size <= 0:
            return
        if row < 0:
            if s.orders.head - s.orders.tail >= ORDERS:
                s.orders.tail += 1
            row = ring_push(memory, s.orders, t.ts)
            at = spot(np.int64(event.order_id), ORDER_SPOTS)
            memory[row, O_ID], memory[row, O_EARLIER] = np.int64(event.order_id), s.known[at]
            s.known[at] = s.orders.head
            memory[row, O_PENDING] = memory[row, O_TOTAL] = memory[row, O_NATIVE] = 0
        memory[row, O_PENDING] += event.size
        memory[row, O_TOTAL] += event.size
        memory[row, O_NATIVE] |= np.int64(event.size > t.size_before)
        return
    if row < 0:
        return
    whole = memory[row, O_PENDING] >= t.size_before
    memory[row, O_PENDING] = 0
    if t.size_after > 0:
        if t.action == MODIFY and whole and event.price == t.price_before:
            memory[row, O_NATIVE] = 1
        return
    if whole and not memory[row, O_NATIVE]:
        s.fills.tail = expire(memory, s.fills, s.fills.tail, t.ts - s.delay)
        fill = ring_push(memory, s.fills, t.ts)
        at = spot(t.price_before, PRICE_SPOTS)
        memory[fill, EARLIER] = s.filled[at]
        s.filled[at] = s.fills.head
        memory[fill, SIDE] = 0 if t.side == BID else 1
        memory[fill, PRICE], memory[fill, SIZE] = t.price_before, memory[row, O_TOTAL]
    memory[row, O_TOTAL] = 0
    while s.orders.tail < s.orders.head and memory[ring_row(s.orders, s.orders.tail), O_TOTAL] == 0:
        s.orders.tail += 1


@njit
def new_order(ctx: Any, s: Any, t: Any, place: Int, event: Any) -> None:
    """Look whether a new order refills one that was filled."""
    memory = ring_rows(ctx)
    side = np.int64(0 if t.side == BID else 1)
    at = spot(event.price, PRICE_SPOTS)
    k, later = s.filled[at], np.int64(-1)
    while k > s.fills.tail:
        row = ring_row(s.fills, k - 1)
        if memory[row, 0] < t.ts - s.delay:
            return
        k = memory[row, EARLIER]
        size = memory[row, SIZE]
        if (
            memory[row, SIDE] != side
            or memory[row, PRICE] != event.price
            or abs(event.size - size) > s.similar * size
        ):
            later = row
        else:  # it is refilled: nothing looks at it again
            if later < 0:
                s.filled[at] = k
            else:
                memory[later, EARLIER] = k
            sign(ctx, s, place, t.ts, np.int64(t.slot), t.ts, side, event.price, size, event.size)
            return


@njit
def trade_at(memory: Any, s: Any, ts: Int, event: Any) -> None:
    """Add a trade to what is followed at its level (there is room)."""
    side = np.int64(0 if event.side == ASK else 1)
    if not s.quoted or event.price != s.best[side]:
        return
    for k in range(s.fills.tail, s.fills.head):
        row = ring_row(s.fills, k)
        if memory[row, SIDE] == side and memory[row, PRICE] == event.price:
            memory[row, SIZE] += event.size
            return
    row = ring_push(memory, s.fills, ts)
    s.due = 0
    memory[row, SIDE], memory[row, PRICE], memory[row, SIZE] = side, event.price, event.size
    memory[row, BEFORE] = s.shown[side]


@njit
def lose(ctx: Any, s: Any, place: Int, ts: Int, slot: Int) -> None:
    """The book is lost: nothing of it is known any more."""
    for side in range(2):
        for w in range(MOST):
            if s.number[side, w]:
                close(ctx, s, np.int64(side), w, place, ts, slot, GONE, ts)
    s.orders.tail, s.fills.tail, s.signs.tail = s.orders.head, s.fills.head, s.signs.head
    s.quoted = s.due = 0


@njit
def take_trade(ctx: Any, s: Any, t: Any, place: Int, event: Any) -> None:
    """Close what a trade is beyond of, and follow the level it is at."""
    for side in range(2):
        for w in range(MOST):
            price = s.price[side, w]
            beyond = event.price < price if side == 0 else event.price > price
            if s.number[side, w] and beyond:
                close(ctx, s, np.int64(side), w, place, t.ts, np.int64(t.slot), BROKEN, t.ts)
    if not s.by_order and event.side in (BID, ASK):
        trade_at(ring_rows(ctx), s, t.ts, event)


@njit
def concerns(memory: Any, s: Any, action: Any, ts: Int, event: Any) -> Any:
    """Whether a new, changed or cancelled order may be one to follow: nearly all are not."""
    if action == ADD:
        k = s.filled[spot(event.price, PRICE_SPOTS)]
        return k > s.fills.tail and memory[ring_row(s.fills, k - 1), 0] >= ts - s.delay
    return order_of(memory, s, np.int64(event.order_id)) >= 0


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Follow orders where there are any, else trades and best prices."""
    s, action = states[t.slot], t.action
    of_order = s.by_order and action in (FILL, ADD, CANCEL, MODIFY)
    calm = of_order and action != FILL and t.ts < s.due and t.state == LIVE
    if calm and not concerns(ring_rows(ctx), s, action, t.ts, event_rows(ctx)[natural(t.event)]):
        return True
    if not of_order and action not in (TRADE, CLEAR, LOST) and (not t.last or t.ofi == 0):
        return True
    if crowded(ctx, 5 * MOST, j):
        return False
    full = ORDERS_RING if ring_full(s.orders) else FILLS_RING if ring_full(s.fills) else -1
    if s.signs.head - s.signs.tail + s.fills.head - s.fills.tail + 1 > s.signs.cap:
        full = SIGNS_RING  # each level followed may be a sign when its time is over
    if full >= 0:
        missing_ring(ctx, t.slot, full, j)
        return False
    place, slot, event = 2 * np.int64(k) + 1, np.int64(t.slot), event_rows(ctx)[natural(t.event)]
    pass_time(ctx, s, place, t.ts, slot)
    if action in (CLEAR, LOST) or t.state != LIVE:
        lose(ctx, s, place, t.ts, slot)
        return True
    if of_order:
        if action == ADD and not event.flags & TOB and t.size_before <= 0 < t.size_after:
            new_order(ctx, s, t, place, event)
        elif action != ADD and t.size_before > 0:
            follow_order(ring_rows(ctx), s, t, event)
    if action == TRADE and counted(ctx, t) and event.size > 0:
        take_trade(ctx, s, t, place, event)
    if not s.by_order:
        s.quoted = UNDEF not in (t.bid, t.ask)
        s.best[0], s.best[1], s.shown[0], s.shown[1] = t.bid, t.ask, t.bid_size, t.ask_size
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Tell at a row what has come about by time alone."""
    if crowded(ctx, 5 * MOST, j):
        return False
    row = sample_rows(ctx)[j]
    pass_time(ctx, states[row.slot], 2 * row.at, row.ts, np.int64(row.slot))
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Follow the orders, trades and best prices among `n` TRACE rows."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
