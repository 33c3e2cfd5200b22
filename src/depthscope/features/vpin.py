"""Volume-synchronised probability of informed trading: how one-sided the last equal volumes were.

Trades fill buckets of equal volume, each signed by its own aggressor; a trade that does not fit is
split. ``vpin = Σ |buy − sell| / Σ volume`` over the last 50 full buckets, 0…1. ``vpin_bucket`` is the
volume of the bucket being filled.

This is a description of the tape and no forecast. It has no forecasting power for volatility once volume
and volatility themselves are known, and its classic peaks follow mechanically from how trades are put
into buckets (Andersen and Bondarenko, 2014). Nothing here computes with it.

A bucket's volume is settled when it opens: the setting ``vpin_bucket_volume`` (public size) or,
by default, the instrument's own mean volume a minute from its first trade to that moment, so 50
buckets are 50 minutes of average trade. Until the first minute is over no bucket opens. Trades without a
known aggressor, and those that do not count for volume, are left out altogether. NaN with
fewer than 10 full buckets (and no ``vpin_bucket`` in the first minute). Buckets are filled in the order
of trades, so values do not depend on the row grid; the state of the book plays no part.

Source: Easley, López de Prado and O'Hara (2012), "Flow toxicity and liquidity in a
high-frequency world"; theirs signs bulk volume by price changes, as it lacks the aggressor.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import (
    NAN,
    SECOND,
    Column,
    as_size,
    counted,
    event_rows,
    frame_of,
    infos,
    put,
    sample_rows,
    walk,
)
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import TRACE_TRADES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

LEVEL = "event"
TRACED = TRACE_TRADES  # not rows alone: buckets may end within a row
REQUIRES = Capability.TRADES
SETTINGS = {"vpin_bucket_volume": NAN}
BUCKETS, ENOUGH, MINUTE = 50, 10, 60
# 0.9 KB an instrument.
STATE = np.dtype(
    [
        ("excess", "i8", (BUCKETS,)),  # |buy − sell| of full buckets, number k at k % BUCKETS
        ("volume", "i8", (BUCKETS,)),
        ("full", "i8"),  # buckets filled so far
        ("excess_sum", "i8"),
        ("volume_sum", "i8"),
        ("open", "i8"),  # volume of the bucket being filled, 0 between two
        ("filled", "i8"),
        ("signed", "i8"),
        ("traded", "i8"),  # since the first trade
        ("first", "i8"),  # time of the first trade
        ("fixed", "i8"),  # the setting in lots, 0 for the default
    ]
)
OUT = (Column("vpin", "0…1"), Column("vpin_bucket", "size"))


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Settle the bucket volume of one instrument, if it is named."""
    wanted = settings["vpin_bucket_volume"]
    if not isnan(wanted):
        multiplier, divisor = instrument.size_ratio
        lots = ceil(Fraction(min(wanted, 1e12)) * divisor / multiplier)
        record["fixed"] = min(max(lots, 1), 2**62)


@njit
def bucket_volume(s: Any, ts: Int) -> Int:
    """Volume of a bucket that opens now, 0 while it cannot be told."""
    if s.fixed:
        return s.fixed
    seconds = (ts - s.first) // SECOND
    return max(s.traded * MINUTE // seconds, 1) if seconds >= MINUTE else np.int64(0)


@njit
def close(s: Any) -> None:
    """Put the full bucket into the window."""
    at = natural(s.full % BUCKETS)
    excess = abs(s.signed)
    s.excess_sum += excess - s.excess[at]
    s.volume_sum += s.open - s.volume[at]
    s.excess[at], s.volume[at] = excess, s.open
    s.full += 1
    s.open = s.filled = s.signed = 0


@njit
def fill(s: Any, ts: Int, size: Int, sign: Int) -> None:
    """Pour a trade into buckets."""
    if s.traded == 0:
        s.first = ts
    rest = size
    while rest > 0:
        if s.open == 0:
            s.open = bucket_volume(s, ts)
            if s.open == 0:
                break
            # More than the window holds: what is sure to leave it again is not poured.
            rest -= max(rest // s.open - BUCKETS, 0) * s.open
        part = min(rest, s.open - s.filled)
        s.filled += part
        s.signed += sign * part
        rest -= part
        if s.filled == s.open:
            close(s)
    s.traded += size


@njit
def take(ctx: Any, states: Any, t: Any, k: int, j: int) -> Any:
    """Pour a trade."""
    if counted(ctx, t):
        event = event_rows(ctx)[natural(t.event)]
        if event.side == BID or event.side == ASK:
            fill(states[t.slot], t.ts, event.size, np.int64(1) if event.side == BID else np.int64(-1))
    return True


@njit
def look(ctx: Any, states: Any, j: int, out: Any) -> Any:
    """Write a row."""
    slot = sample_rows(ctx)[j].slot
    s = states[slot]
    put(ctx, out, 0, j, s.excess_sum / s.volume_sum if s.full >= ENOUGH else NAN)
    # Between two buckets the next one is not settled: its volume is that of the last.
    volume = s.open if s.open else s.volume[natural((s.full + BUCKETS - 1) % BUCKETS)]
    put(ctx, out, 1, j, as_size(volume, infos(ctx)[slot]) if volume else NAN)
    return True


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Pour the trades among `n` TRACE rows and write the rows between them."""
    return walk(ctx, n, carray(state, frame_of(ctx).n_slots, STATE), out, take, look)
