"""Exhaustion: the book thins out and the spread widens at once.

Depth is the size of the best ten levels of both sides, spread the distance of the best prices. Each
is compared with its mean over the last 15 seconds' readings, one a second: exhaustion while depth is
below `exhaustion_depth` (0.5) of its mean **and** spread above `exhaustion_spread` (2) times its mean.
Closed as ``over`` by the first row where either is not so, or as ``lost`` when the book has no two sides
or is not LIVE. Nothing is said before five readings.

``side`` is none, ``price`` is none, ``size`` the depth, ``strength`` the mean depth ÷ depth (1 where there
is no depth). Rows are what is looked at.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.detectors.kit import crowded, say_at_row
from depthscope.features.kit import SECOND, UNDEF, as_size, frame_of, infos, sample_rows
from depthscope.jit import Int, carray, njit
from depthscope.market.events import NONE
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN

REQUIRES = Capability.L2
READINGS: Final = 15
FEWEST: Final = 5
STATE = np.dtype(
    [
        ("thin", "f8"),
        ("wide", "f8"),
        ("next", "i8"),
        ("read", "i8"),
        ("time", "i8", (READINGS,)),
        ("depth", "i8", (READINGS,)),
        ("spread", "i8", (READINGS,)),
        ("open", "i8"),
        ("number", "i8"),
        ("opened", "i8"),
    ]
)
SETTINGS = {"exhaustion_depth": 0.5, "exhaustion_spread": 2.0}
PRESETS = {
    "low": {"exhaustion_depth": 0.4, "exhaustion_spread": 2.5},
    "high": {"exhaustion_depth": 0.6, "exhaustion_spread": 1.5},
}
EVIDENCE = ("depth", "mean_depth", "spread_ticks", "mean_spread_ticks")
OUTCOMES = ("", "over", "lost")
OVER, LOST = 1, 2


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["thin"], record["wide"] = settings["exhaustion_depth"], settings["exhaustion_spread"]


@njit
def means(s: Any, ts: Int) -> Any:
    """(number of readings of the last 15 seconds, sum of their depths, of their spreads)."""
    n, depth, spread = 0, np.int64(0), np.int64(0)
    for k in range(min(s.read, READINGS)):
        if s.time[k] > ts - READINGS * SECOND:
            n += 1
            depth += s.depth[k]
            spread += s.spread[k]
    return n, depth, spread


@njit
def depth_of(row: Any) -> Int:
    """Size of the best ten levels of both sides."""
    total = np.int64(0)
    for k in range(10):
        total += row.bid_size[k] + row.ask_size[k]
    return total


@njit
def say(ctx: Any, s: Any, j: int, phase: Int, depth: Int, spread: Int, mean: float, usual: float) -> Any:
    """Tell how it stands."""
    info = infos(ctx)[sample_rows(ctx)[j].slot]
    said = say_at_row(ctx, j, phase)
    said.opened, said.number, said.side, said.price = s.opened, s.number, NONE, UNDEF
    said.size = depth
    said.strength = mean / depth if depth > 0 else 1.0
    said.evidence[0] = as_size(depth, info)
    said.evidence[1] = as_size(mean, info)
    said.evidence[2] = spread / info.tick_fixed
    said.evidence[3] = usual / info.tick_fixed
    return said


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Look at `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    for j in range(frame_of(ctx).row, n):
        if crowded(ctx, 1, j):
            return j
        row = rows[j]
        s = states[row.slot]
        quoted = row.n_bid > 0 and row.n_ask > 0 and row.state == LIVE
        depth = depth_of(row)
        spread = row.ask_price[0] - row.bid_price[0] if quoted else np.int64(0)
        readings, depths, spreads = means(s, row.ts)
        mean = depths / readings if readings else 0.0
        usual = spreads / readings if readings else 0.0
        if quoted and row.ts >= s.next:
            at = s.read % READINGS
            s.time[at], s.depth[at], s.spread[at] = row.ts, depth, spread
            s.read += 1
            s.next = (row.ts // SECOND + 1) * SECOND
        found = quoted and readings >= FEWEST and depth < s.thin * mean and spread > s.wide * usual
        if found and not s.open:
            s.open = 1
            s.number += 1
            s.opened = row.ts
            say(ctx, s, j, OPEN, depth, spread, mean, usual)
        elif s.open and not found:
            said = say(ctx, s, j, CLOSE, depth, spread, mean, usual)
            said.outcome = OVER if quoted else LOST
            s.open = 0
    return n
