"""The tape: signed volume, pressure, speed and sentiment over the last seconds, from every trade.

All windows go back in receive time: [t − w, t) at a grid row, (t − w, t] at a row by event. Trades
that do not count for volume are left out of everything.

* ``delta_1s``, ``delta_5s``, ``delta_60s``: volume of buy aggressors less that of sell aggressors.
* ``buy_pressure_10s``, ``buy_pressure_60s``: buy ÷ (buy + sell) volume; NaN without either.
* ``trades_5s``: number of trades with a known aggressor.
* ``tape_velocity``: trades a second over 5 s, in the first 5 s too (it then starts low);
  ``tape_velocity_label``: SLOW below 10, NORMAL below 30, FAST below 60, EXTREME from there on.
* ``tape_sentiment``: BULLISH when buy ÷ sell volume over 10 s is above 2 (with no sale at all it
  is), BEARISH when it is below 1/2, else NEUTRAL; null with fewer than 5 trades.

Trades without a known aggressor count for the velocity alone: they belong in no signed sum, no
pressure and no sentiment. Without trades the sums are 0 and the tape is SLOW; the state of
the book plays no part.

Settings: ``tape_normal``, ``tape_fast``, ``tape_extreme`` (where those words begin, trades/s),
``tape_sentiment_ratio``, ``tape_sentiment_trades``. Source of the thresholds: the tools our users come from.
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
    ring_full,
    ring_push,
    ring_rows,
    sample_rows,
    total_before,
    walk,
    window_edge,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_TRADES
WINDOWS = (SECOND, 5 * SECOND, 10 * SECOND, 60 * SECOND)
REQUIRES = Capability.TRADES
SETTINGS = {
    "tape_normal": 10.0,
    "tape_fast": 30.0,
    "tape_extreme": 60.0,
    "tape_sentiment_ratio": 2.0,
    "tape_sentiment_trades": 5.0,
}
# Running totals, and the first ring entry of each window.
STATE = np.dtype(
    [
        ("ring", RING),
        ("bought", "i8"),
        ("sold", "i8"),
        ("told", "i8"),
        ("untold", "i8"),
        ("one", "i8"),
        ("five", "i8"),
        ("ten", "i8"),
        ("sixty", "i8"),
        ("normal", "f8"),
        ("fast", "f8"),
        ("extreme", "f8"),
        ("ratio", "f8"),
        ("least", "f8"),
    ]
)
OUT = (
    Column("delta_1s", "size"),
    Column("delta_5s", "size"),
    Column("delta_60s", "size"),
    Column("trades_5s", "count", integer=True),
    Column("buy_pressure_10s", "0…1"),
    Column("buy_pressure_60s", "0…1"),
    Column("tape_velocity", "trades/s"),
    Column("tape_velocity_label", "label", labels=("SLOW", "NORMAL", "FAST", "EXTREME")),
    Column("tape_sentiment", "label", labels=("BEARISH", "NEUTRAL", "BULLISH")),
)

BOUGHT, SOLD, TOLD, UNTOLD = 1, 2, 3, 4  # columns of the ring


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the thresholds of one instrument."""
    for name in ("normal", "fast", "extreme"):
        record[name] = settings[f"tape_{name}"]
    record["ratio"] = settings["tape_sentiment_ratio"]
    record["least"] = settings["tape_sentiment_trades"]


@njit
def push(memory: Any, s: Any, ts: Int) -> None:
    """Append the totals."""
    row = ring_push(memory, s.ring, ts)
    memory[row, BOUGHT] = s.bought
    memory[row, SOLD] = s.sold
    memory[row, TOLD] = s.told
    memory[row, UNTOLD] = s.untold


@njit
def speed(s: Any, velocity: float) -> float:
    """Index of the word for a velocity."""
    if velocity < s.normal:
        return 0.0
    if velocity < s.fast:
        return 1.0
    return 2.0 if velocity < s.extreme else 3.0


@njit
def sentiment(s: Any, bought: Int, sold: Int, trades: Int) -> float:
    """Index of the word for what was bought and sold; products, as a quotient may have no divisor."""
    if trades < s.least or trades == 0:
        return NAN
    if bought > s.ratio * sold:
        return 2.0
    return 0.0 if s.ratio * bought < sold else 1.0


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a trade."""
    if not counted(ctx, t):
        return True
    s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
    if ring_full(s.ring):
        missing_ring(ctx, t.slot, 0, j)
        return False
    if event.side == BID:
        s.bought += event.size
        s.told += 1
    elif event.side == ASK:
        s.sold += event.size
        s.told += 1
    else:
        s.untold += 1
    push(ring_rows(ctx), s, t.ts)
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row, memory = sample_rows(ctx)[j], ring_rows(ctx)
    s, i = states[row.slot], infos(ctx)[row.slot]
    if frame_of(ctx).by_row and row.buy_trades + row.sell_trades + row.unknown_trades:
        if ring_full(s.ring):
            missing_ring(ctx, row.slot, 0, j)
            return False
        s.bought += row.buy_volume
        s.sold += row.sell_volume
        s.told += row.buy_trades + row.sell_trades
        s.untold += row.unknown_trades
        push(memory, s, row.ts - 1)
    s.one = expire(memory, s.ring, s.one, window_edge(ctx, row.ts, WINDOWS[0]))
    s.five = expire(memory, s.ring, s.five, window_edge(ctx, row.ts, WINDOWS[1]))
    s.ten = expire(memory, s.ring, s.ten, window_edge(ctx, row.ts, WINDOWS[2]))
    s.sixty = expire(memory, s.ring, s.sixty, window_edge(ctx, row.ts, WINDOWS[3]))
    net = s.bought - s.sold
    delta_1s = net - total_before(memory, s.ring, s.one, BOUGHT) + total_before(memory, s.ring, s.one, SOLD)
    delta_5s = net - total_before(memory, s.ring, s.five, BOUGHT) + total_before(memory, s.ring, s.five, SOLD)
    put(ctx, out, 0, j, as_size(delta_1s, i))
    put(ctx, out, 1, j, as_size(delta_5s, i))
    told = s.told - total_before(memory, s.ring, s.five, TOLD)
    put(ctx, out, 3, j, told)
    velocity = (told + s.untold - total_before(memory, s.ring, s.five, UNTOLD)) / 5
    put(ctx, out, 6, j, velocity)
    put(ctx, out, 7, j, speed(s, velocity))
    bought = s.bought - total_before(memory, s.ring, s.ten, BOUGHT)
    sold = s.sold - total_before(memory, s.ring, s.ten, SOLD)
    put(ctx, out, 4, j, bought / (bought + sold) if bought + sold else NAN)
    put(ctx, out, 8, j, sentiment(s, bought, sold, s.told - total_before(memory, s.ring, s.ten, TOLD)))
    bought = s.bought - total_before(memory, s.ring, s.sixty, BOUGHT)
    sold = s.sold - total_before(memory, s.ring, s.sixty, SOLD)
    put(ctx, out, 2, j, as_size(bought - sold, i))
    put(ctx, out, 5, j, bought / (bought + sold) if bought + sold else NAN)
    s.ring.tail = max(s.sixty - 1, 0)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the trades among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
