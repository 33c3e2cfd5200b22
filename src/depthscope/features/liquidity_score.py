"""How liquid the market is now, against its own last hour.

Once a second L = (bid size + ask size within 10 bps of mid) ÷ ``spread_bps`` is read: at the first row of
each whole second (UTC, receive time) that shows a LIVE book with both sides quoted and not crossed.
``liquidity_score = (b + e/2) / n``: of the n readings of the last 3,600 seconds, the newest among them, b
are below it and e equal to it (the newest among them), so that ties share the middle of their ranks and a
market that never changes has 0.5. 0 is the thinnest it has been, 1 the most liquid.

It holds until the next reading. NaN where the row's own book is not such a one, and until the last hour has
``liquidity_least`` (60) readings. On grids coarser than a second there are fewer of them, and the score is
that of the rows there are.

The hour is the market's own recent one: around a session's open and close it says that the time of day is
unusual, which is known.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from depthscope.book.primitives import natural
from depthscope.features.kit import NAN, SECOND, Column, column, frame_of, sample_rows
from depthscope.jit import carray, njit
from depthscope.market.instruments import Capability
from depthscope.market.layouts import DEPTH_BPS, LIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depthscope.market.instruments import Instrument

REQUIRES = Capability.L2
SETTINGS = {"liquidity_least": 60.0}
HOUR = 3_600
BAND = DEPTH_BPS.index(10)
# 29 KB an instrument: the reading of second k is number k % HOUR, NaN where there was none.
STATE = np.dtype(
    [
        ("readings", "f8", (HOUR,)),
        ("second", "i8"),  # of the newest reading
        ("score", "f8"),
        ("least", "f8"),
    ]
)
OUT = (Column("liquidity_score", "0…1"),)


def prepare(record: Any, instrument: Instrument, settings: Mapping[str, float]) -> None:
    """Nothing has been read at first."""
    record["readings"] = record["score"] = NAN
    record["least"] = settings["liquidity_least"]


@njit
def read(s: Any, second: int, value: float) -> None:
    """Take the reading of a second, and rank it."""
    for k in range(max(s.second + 1, second - HOUR + 1), second):
        s.readings[natural(k % HOUR)] = NAN
    s.readings[natural(second % HOUR)] = value
    s.second = second
    n = below = equal = 0
    for k in range(HOUR):
        one = s.readings[k]
        n += not isnan(one)
        below += one < value
        equal += one == value
    s.score = (below + 0.5 * equal) / n if n >= s.least else NAN


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Write the column of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    score = column(ctx, out, 0)
    for j in range(n):
        r = rows[j]
        spread = r.ask_price[0] - r.bid_price[0]
        if not (r.n_bid and r.n_ask) or r.state != LIVE or spread <= 0:
            score[j] = NAN
            continue
        s = states[r.slot]
        second = r.ts // SECOND
        if second > s.second:
            depth = r.bid_depth[BAND] + r.ask_depth[BAND]
            # L up to a factor that is the same for all of an instrument's readings.
            read(s, second, float(depth) * float(r.bid_price[0] + r.ask_price[0]) / float(spread))
        score[j] = s.score
    return n
