"""Layering-like: several large levels next to each other that have come up together.

At least `layering_levels` (4) neighbouring levels among the best twenty of a side hold
`layering_multiple` (8) times the usual size (`usual.py`) each, and at least `layering_new` (0.6) of them
did not five seconds before. Closed by the first row that shows fewer than that many neighbours of
at least seven tenths of the multiple between the same prices; then nothing is opened on that side
for `layering_cooldown` (30) seconds.

It is not called spoofing: intent cannot be seen in public data. What is told is the evidence: how
many levels and how much size, how much of it was traded, and how much was traded against the other
side meanwhile, which is where somebody who wants to be believed would trade. ``side`` is that of the
levels, ``price`` the best of them, ``size`` their sum, ``strength`` that ÷ usual size. Outcomes: ``traded``
when at least half of the size was, ``lost`` when the book has no two sides or is not LIVE, else
``pulled``.

Where the feed has order ids, two ratios are told, each (size taken away - size filled) ÷ size taken
away: ``cancel_ratio`` of the orders between the prices since the opening, ``usual_cancel_ratio`` of all the
instrument's since the feed began. Size is taken away from a price by cancels, and by modifications
that move an order or make it smaller; the venue reports a fill and then takes its size away. The
first means nothing without the second: on the ES hour of 2023-12-25, 88 % of the size taken away
was not filled, and of the orders that ended 69 % never were. Fills that carry no side, as in an
auction, count for the usual ratio alone. Both are -1 where nothing was taken away, or the feed has no
order ids.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.book.primitives import natural
from depthscope.detectors.kit import crowded, say_at_row
from depthscope.detectors.usual import USUAL, take_reading, usual_size
from depthscope.features.kit import SECOND, as_size, counted, event_rows, frame_of, infos, sample_rows, walk
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID, CANCEL, FILL, MODIFY
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, SAMPLE_LEVELS, trace_mask

LEVEL = "event"
TRACED = trace_mask("TFMC")
REQUIRES = Capability.L2
PAST: Final = 5  # seconds
KEEP: Final = 0.7
STATE = np.dtype(
    [
        ("levels", "i8"),
        ("multiple", "f8"),
        ("new", "f8"),
        ("cooldown", "i8"),
        ("usual", USUAL),
        ("all_removed", "i8"),  # since the feed began, of both sides
        ("all_filled", "i8"),
        ("count", "i8"),
        # Large levels at the last PAST whole seconds: time, how many, their prices.
        ("taken", "i8"),
        ("time", "i8", (PAST + 1,)),
        ("held", "i8", (2, PAST + 1)),
        ("price", "i8", (2, PAST + 1, SAMPLE_LEVELS)),
        # What is open, by side.
        ("number", "i8", (2,)),
        ("opened", "i8", (2,)),
        ("best", "i8", (2,)),
        ("worst", "i8", (2,)),
        ("size", "i8", (2,)),
        ("found", "i8", (2,)),  # levels on opening
        ("fresh", "i8", (2,)),
        ("traded", "i8", (2,)),
        ("opposite", "i8", (2,)),
        ("removed", "i8", (2,)),
        ("filled", "i8", (2,)),
        ("quiet", "i8", (2,)),  # nothing is opened before
    ]
)
SETTINGS = {
    "layering_levels": 4.0,
    "layering_multiple": 8.0,
    "layering_new": 0.6,
    "layering_cooldown": 30.0,
}
PRESETS = {"low": {"layering_levels": 5.0}, "high": {"layering_levels": 3.0, "layering_multiple": 6.0}}
EVIDENCE = (
    "levels",
    "new_levels",
    "usual",
    "seconds",
    "traded",
    "traded_opposite",
    "cancel_ratio",
    "usual_cancel_ratio",
)
OUTCOMES = ("", "traded", "pulled", "lost")
TRADED, PULLED, LOST = 1, 2, 3


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["levels"] = int(settings["layering_levels"])
    record["multiple"], record["new"] = settings["layering_multiple"], settings["layering_new"]
    record["cooldown"] = int(settings["layering_cooldown"] * SECOND)


@njit
def remember(s: Any, row: Any, side: Int, usual: float) -> None:
    """Note which levels of a side are large at this second."""
    at = s.taken % (PAST + 1)
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    s.held[side, at] = 0
    for k in range(row.n_bid if side == 0 else row.n_ask):
        if usual > 0.0 and sizes[k] >= s.multiple * usual:
            s.price[side, at, s.held[side, at]] = prices[k]
            s.held[side, at] += 1


@njit
def was_large(s: Any, side: Int, price: Int, ts: Int) -> bool:
    """Whether a level was large already at the newest look that is five seconds old."""
    newest = np.int64(-1)
    for k in range(min(s.taken, PAST + 1)):
        if s.time[k] <= ts - PAST * SECOND and (newest < 0 or s.time[k] > s.time[newest]):
            newest = np.int64(k)
    if newest < 0:
        return True  # it cannot be known to be new
    found = False
    for k in range(s.held[side, newest]):
        found |= s.price[side, newest, k] == price
    return found


@njit
def longest(sizes: Any, n: int, least: float, low: int, high: int) -> Any:
    """(first, number) of the longest run of neighbours from `low` to `high` - 1 of at least `least`."""
    first, most, begin = 0, 0, low
    for k in range(low, min(n, high)):
        if sizes[k] < least:
            begin = k + 1
        elif k + 1 - begin > most:
            first, most = begin, k + 1 - begin
    return first, most


@njit
def cancelled_share(removed: Int, filled: Int) -> float:
    """Share of the size taken away that was not filled, -1 where none was taken away."""
    return max(removed - filled, 0) / removed if removed > 0 else -1.0


@njit
def say(ctx: Any, s: Any, j: int, side: Int, phase: Int, usual: float) -> Any:
    """Tell how it stands."""
    row = sample_rows(ctx)[j]
    info = infos(ctx)[row.slot]
    said = say_at_row(ctx, j, phase)
    said.opened, said.number = s.opened[side], s.number[side]
    said.side = BID if side == 0 else ASK
    said.price, said.size = s.best[side], s.size[side]
    said.strength = s.size[side] / usual if usual > 0.0 else 0.0
    said.evidence[0] = s.found[side]
    said.evidence[1] = s.fresh[side]
    said.evidence[2] = usual * info.size_mul / info.size_div
    said.evidence[3] = (row.ts - s.opened[side]) / 1e9
    said.evidence[4] = as_size(s.traded[side], info)
    said.evidence[5] = as_size(s.opposite[side], info)
    said.evidence[6] = cancelled_share(s.removed[side], s.filled[side])
    said.evidence[7] = cancelled_share(s.all_removed, s.all_filled)
    return said


@njit
def look_at_side(ctx: Any, s: Any, j: int, side: Int, quoted: bool, usual: float) -> None:
    """Open or close what row `j` shows of a side."""
    row = sample_rows(ctx)[j]
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    n = row.n_bid if side == 0 else row.n_ask
    if s.number[side]:
        stands = np.int64(0)
        if quoted and usual > 0.0:
            low, high = 0, 0
            for k in range(n):
                better = prices[k] > s.best[side] if side == 0 else prices[k] < s.best[side]
                worse = prices[k] < s.worst[side] if side == 0 else prices[k] > s.worst[side]
                low += 1 if better else 0
                high += 0 if worse else 1
            stands = longest(sizes, n, KEEP * s.multiple * usual, low, high)[1]
        if stands < s.levels:
            said = say(ctx, s, j, side, CLOSE, usual)
            lost = not quoted or usual <= 0.0
            said.outcome = LOST if lost else TRADED if 2 * s.traded[side] >= s.size[side] else PULLED
            s.number[side] = 0
            s.quiet[side] = row.ts + s.cooldown
        return
    if not quoted or usual <= 0.0 or row.ts < s.quiet[side]:
        return
    first, many = longest(sizes, n, s.multiple * usual, 0, n)
    if many < s.levels:
        return
    fresh, total = 0, np.int64(0)
    for k in range(first, first + many):
        fresh += 0 if was_large(s, side, prices[k], row.ts) else 1
        total += sizes[k]
    if fresh < s.new * many:
        return
    s.count += 1
    s.number[side], s.opened[side] = s.count, row.ts
    s.best[side], s.worst[side], s.size[side] = prices[first], prices[first + many - 1], total
    s.found[side], s.fresh[side], s.traded[side], s.opposite[side] = many, fresh, 0, 0
    s.removed[side] = s.filled[side] = 0
    say(ctx, s, j, side, OPEN, usual)


@njit
def take_trade(s: Any, event: Any) -> None:
    """Count a trade for what is open."""
    for side in range(2):
        if not s.number[side] or event.side not in (BID, ASK):
            continue
        if event.side == (BID if side == 0 else ASK):  # a buyer takes asks
            s.opposite[side] += event.size
        elif min(s.best[side], s.worst[side]) <= event.price <= max(s.best[side], s.worst[side]):
            s.traded[side] += event.size


@njit
def take_order(s: Any, t: Any, event: Any) -> None:
    """Count what a fill, modification or cancel means for the size of a known order."""
    removed = filled = np.int64(0)
    if t.action == FILL:
        filled = max(min(event.size, t.size_before), np.int64(0))
    elif t.action == MODIFY and event.price != t.price_before:
        removed = t.size_before
    else:
        removed = max(t.size_before - t.size_after, np.int64(0))
    s.all_removed += removed
    s.all_filled += filled
    for side in range(2):
        if not s.number[side] or t.side != (BID if side == 0 else ASK):
            continue
        if min(s.best[side], s.worst[side]) <= t.price_before <= max(s.best[side], s.worst[side]):
            s.removed[side] += removed
            s.filled[side] += filled


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Count a trade, or what becomes of an order."""
    if counted(ctx, t):
        take_trade(states[t.slot], event_rows(ctx)[natural(t.event)])
    elif t.action in (FILL, MODIFY, CANCEL) and t.size_before > 0:
        take_order(states[t.slot], t, event_rows(ctx)[natural(t.event)])
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Look at both sides of a row."""
    if crowded(ctx, 2, j):
        return False
    row = sample_rows(ctx)[j]
    s = states[row.slot]
    quoted = row.n_bid > 0 and row.n_ask > 0 and row.state == LIVE
    due = quoted and row.ts >= s.usual.next
    if due:
        take_reading(s.usual, row)
    for side in range(2):
        usual = usual_size(s.usual, np.int64(side), row.ts)
        look_at_side(ctx, s, j, np.int64(side), quoted, usual)
        if due:
            remember(s, row, np.int64(side), usual)
    if due:
        s.time[s.taken % (PAST + 1)] = row.ts
        s.taken += 1
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Count trades and removals among `n` TRACE rows and look at the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
