"""The bar so far: delta, volume and point of control of the current bar of clock time.

``bar_volume``: volume traded since the bar began; ``bar_delta``: bought less sold, by aggressor (trades
without a known one count for the volume alone); ``bar_poc``: the tick with the most volume, of several the
lowest, NaN before the bar's first trade. Prices off the grid count with the tick below. Trades that do not
count for volume are left out.

Bars are ``footprint_bar`` seconds of receive time long (60 by default), counted from 1970-01-01 UTC, so
that minutes and hours begin at theirs. A grid row at a bar's end shows that bar, complete; it belongs to
what was before. The table of all prices of each bar, with imbalances, is `depthscope.footprint`.

Source: the footprint charts of the tools our users come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.clock import row_time
from depthscope.features.kit import (
    NAN,
    RING,
    SECOND,
    Column,
    as_price,
    as_size,
    counted,
    event_rows,
    frame_of,
    infos,
    missing_ring,
    put,
    sample_rows,
    tick_below,
    walk,
)
from depthscope.features.profile import NO_MID, PROFILE, add, cells_of, clear, fits, settle_poc
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_TRADES
REQUIRES = Capability.TRADES
SETTINGS = {"footprint_bar": 60.0}
STATE = np.dtype([("cells", RING), ("rows", PROFILE), ("delta", "i8"), ("bar", "i8"), ("length", "i8")])
OUT = (
    Column("bar_delta", "size"),
    Column("bar_volume", "size"),
    Column("bar_poc", "price"),
)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle how long a bar is."""
    record["length"] = max(1, round(settings["footprint_bar"] * SECOND))


@njit
def enter(s: Any, ts: Int) -> None:
    """Be in the bar of a moment."""
    if not 0 <= ts - s.bar * s.length < s.length:
        s.bar = ts // s.length
        s.delta = 0
        clear(s.cells, s.rows)


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Add a trade."""
    if not counted(ctx, t):
        return True
    s, event = states[t.slot], event_rows(ctx)[natural(t.event)]
    enter(s, t.ts)
    if not fits(s.cells, s.rows):
        missing_ring(ctx, t.slot, 0, j)
        return False
    add(cells_of(ctx, s.cells), s.cells, s.rows, tick_below(event.price, infos(ctx)[t.slot]), event.size)
    if event.side == BID:
        s.delta += event.size
    elif event.side == ASK:
        s.delta -= event.size
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    row = sample_rows(ctx)[j]
    s, info = states[row.slot], infos(ctx)[row.slot]
    enter(s, row_time(ctx, row))
    if s.rows.changed and s.rows.n:
        settle_poc(cells_of(ctx, s.cells), s.rows, np.int64(NO_MID), info.tick_fixed)
    put(ctx, out, 0, j, as_size(s.delta, info))
    put(ctx, out, 1, j, as_size(s.rows.volume, info))
    put(ctx, out, 2, j, as_price(s.rows.poc * info.tick_fixed) if s.rows.n else NAN)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Add the trades among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
