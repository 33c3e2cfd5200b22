"""Large prints: whole aggressors, fills put together, that few of the instrument's own match in size.

Consecutive fills of one venue time (``ts_event``) and one side are one parent order's print. It closes with
the first trade of another time or side, or when nothing more of it came for 100 ms of receive
time, and only then is it judged, so no part of a print is ever shown. Its time is the receive time of its
last fill.

A print is large when its notional (Σ price · size · multiplier, in the quote currency) is at least
``large_print_notional`` (50,000) **and** at most 1 − ``large_print_quantile`` (0.99) of the past prints
are of its size or larger. The first alone is the classic rule, and ``large_print_mode = notional``
restores it: one ES contract exceeds it, hence the quantile.

The quantile is the instrument's own and follows the time of day by forgetting: sizes are counted in a
logarithmic histogram (exact below 16 lots, eight steps an octave above, so sizes within 1/8 of each
other may count as equal), and at each full UTC half hour all earlier counts are halved. Until
it holds the weight of ``large_print_least`` (100) prints, no print can be called large. As weights
only halve, sums are integers and the same in every order.

* ``large_prints_1m``: how many in the last 60 s ([t − 60 s, t) at a grid row, (t − 60 s, t] by event);
* ``large_buy_volume_1m``, ``large_sell_volume_1m``: their volume by side;
* ``large_print_size``, ``large_print_side``: the latest one's; NaN and null before the first.

Prints without a known aggressor are counted but belong to no side; trades that do not count for volume are
left out. The first three are NaN until there are prints enough to judge by (not in mode notional). The
state of the book plays no part, and values do not depend on the row grid.

Source: the classic threshold is that of the tools our users come from; the histogram is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    NAN,
    RING,
    SECOND,
    Column,
    as_size,
    counted,
    event_rows,
    expire,
    frame_of,
    infos,
    missing_ring,
    put,
    ring_push,
    ring_rows,
    sample_rows,
    total_before,
    walk,
    window_edge,
)
from depthscope.features.prints import EQUAL, PRINTS, continues, join, judge_by, matched_by_few, waited
from depthscope.jit import carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_TRADES  # not rows alone: a row does not tell its trades apart
REQUIRES = Capability.TRADES
MODES = ("quantile", "notional")
SETTINGS = {
    "large_print_mode": MODES,
    "large_print_quantile": 0.99,
    "large_print_notional": 50_000.0,
    "large_print_least": 100.0,
}
MINUTE = 60 * SECOND
# 2.8 KB an instrument.
STATE = np.dtype(
    [
        ("ring", RING),  # large prints
        *PRINTS,
        ("notional", "f8"),
        ("count", "i8"),  # running totals of large prints
        ("bought", "i8"),
        ("sold", "i8"),
        ("edge", "i8"),  # first entry of the window
        ("last_size", "i8"),
        ("last_side", "i8"),
        ("judging", "i8"),
        ("mode", "i8"),
        ("least_notional", "f8"),  # in price times lots
    ]
)
OUT = (
    Column("large_prints_1m", "count", integer=True),
    Column("large_buy_volume_1m", "size"),
    Column("large_sell_volume_1m", "size"),
    Column("large_print_size", "size"),
    Column("large_print_side", "label", labels=("SELL", "BUY")),
)

COUNT, BOUGHT, SOLD = 1, 2, 3  # columns of the ring


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the thresholds of one instrument."""
    record["mode"] = settings["large_print_mode"]
    record["judging"] = record["mode"]
    currency = float(instrument.multiplier) * instrument.lot / 1e9
    record["least_notional"] = settings["large_print_notional"] / currency * EQUAL
    judge_by(record, settings["large_print_quantile"], settings["large_print_least"])


@njit
def close(memory: Any, s: Any) -> None:
    """Judge the open print, count it among the past ones and, if it is large, in the totals."""
    large = abs(s.notional) >= s.least_notional
    if s.mode == 0:
        large = matched_by_few(s) and large
        s.judging = s.weight >= s.least_weight
    if large:
        s.count += 1
        if s.side == BID:
            s.bought += s.size
        elif s.side == ASK:
            s.sold += s.size
        row = ring_push(memory, s.ring, s.ts)
        memory[row, COUNT] = s.count
        memory[row, BOUGHT] = s.bought
        memory[row, SOLD] = s.sold
        s.last_size, s.last_side = s.size, s.side
    s.size = 0
    s.notional = 0.0


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Put a trade to the open print, or close that and open another."""
    if not counted(ctx, t):
        return True
    s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
    # Room for the open print and for this one: a row that closes it cannot ask.
    if s.ring.head - s.ring.tail + 2 > s.ring.cap:
        missing_ring(ctx, t.slot, 0, j)
        return False
    if not continues(s, event, t.ts):
        close(ring_rows(ctx), s)
    s.notional += event.price / 1e9 * event.size
    join(s, event, t.ts)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    s, i = states[row.slot], infos(ctx)[row.slot]
    if waited(s, row.ts):
        close(memory, s)
    s.edge = expire(memory, s.ring, s.edge, window_edge(ctx, row.ts, MINUTE))
    count = bought = sold = NAN
    if s.judging:
        count = s.count - total_before(memory, s.ring, s.edge, COUNT)
        bought = as_size(s.bought - total_before(memory, s.ring, s.edge, BOUGHT), i)
        sold = as_size(s.sold - total_before(memory, s.ring, s.edge, SOLD), i)
    put(ctx, out, 0, j, count)
    put(ctx, out, 1, j, bought)
    put(ctx, out, 2, j, sold)
    put(ctx, out, 3, j, as_size(s.last_size, i) if s.last_size else NAN)
    side = NAN
    if s.last_size and s.last_side == BID:
        side = 1.0
    elif s.last_size and s.last_side == ASK:
        side = 0.0
    put(ctx, out, 4, j, side)
    s.ring.tail = max(s.edge - 1, 0)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Put the trades among `n` TRACE rows together and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
