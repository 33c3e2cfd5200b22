"""Liquidity gaps: neighbouring price levels close to the best one that hold next to nothing.

A level is thin when it holds less than `liquidity_gap_share` (0.2) of the usual size of its side's levels
(`usual.py`), or nothing at all. A gap is `liquidity_gap_levels` (3) thin levels or more in a row within
`liquidity_gap_reach` (20) levels behind the best price, which is not part of it, for
`liquidity_gap_hold` (1) second at the same first price; 0 tells those of a single row too.

How far apart neighbouring levels are is the instrument's own: the **spacing** of a side is the median
of the last 30 seconds' readings, one a second, of the third quartile of the distances between the
levels shown that are not thin. It is one tick where every price is quoted (ES), several where most
prices are empty as a rule (BTCUSDT: 8 to 10 ticks of 0.1), and a gap is as many times wider there. It
is a quartile of all levels shown and not of the moment, so that a gap cannot raise its own measure.
Nothing is said before five readings, nor of prices beyond the last level a row shows: there is no
telling whether those are empty or out of the feed's depth.

The nearest gap of each side is followed. ``side`` is that of the levels, ``price`` the first price of the
gap, ``size`` what is between its prices (on close, what is by then), ``strength`` its width ÷ spacing.
Evidence has the prices of the gap in ticks, and the distance of the first one from the best. Outcomes:

* ``filled``: fewer than that many levels in a row hold less than ten sevenths of a thin one;
* ``reached``: the best price of the side has come to it;
* ``lost``: the market moved away from it, or the book has no two sides or is not LIVE.

Rows are what is looked at.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from depthscope.detectors.kit import crowded, say_at_row
from depthscope.detectors.usual import FEWEST, NEVER, READINGS, USUAL, median, take_reading, usual_size
from depthscope.features.kit import SECOND, frame_of, infos, sample_rows, twin_of
from depthscope.jit import Int, carray, njit
from depthscope.market.events import ASK, BID
from depthscope.market.instruments import Capability
from depthscope.market.layouts import CLOSE, LIVE, OPEN, SAMPLE_LEVELS

REQUIRES = Capability.L2
KEEP: Final = 0.7
STATE = np.dtype(
    [
        ("levels", "i8"),
        ("share", "f8"),
        ("reach", "f8"),
        ("hold", "i8"),  # ns
        ("usual", USUAL),
        ("apart", "f8", (2, READINGS)),  # readings of the spacing, at the times of `usual`; 0 is none
        ("scratch", "f8", (SAMPLE_LEVELS + READINGS,)),
        ("apart_now", "f8", (2,)),  # what `usual_spacing` found, and until when it stands
        ("apart_until", "i8", (2,)),
        ("count", "i8"),
        # What `nearest` found at the row before, by side, and for which sizes; 0 when it was not asked.
        ("asked", "i8", (2,)),
        ("for_usual", "f8", (2,)),
        ("for_spacing", "f8", (2,)),
        ("near", "i8", (2, 2)),
        # What may become a gap, by side: its first price, and since when it has been there (0 for none).
        ("awaited", "i8", (2,)),
        ("since", "i8", (2,)),
        # What is open, by side; a number of 0 for nothing.
        ("number", "i8", (2,)),
        ("opened", "i8", (2,)),
        ("first", "i8", (2,)),
        ("last", "i8", (2,)),
        ("spacing", "f8", (2,)),
    ]
)
SETTINGS = {
    "liquidity_gap_levels": 3.0,
    "liquidity_gap_share": 0.2,
    "liquidity_gap_reach": 20.0,
    "liquidity_gap_hold": 1.0,
}
PRESETS = {
    "low": {"liquidity_gap_levels": 4.0, "liquidity_gap_hold": 3.0},
    "high": {"liquidity_gap_share": 0.3, "liquidity_gap_hold": 0.5},
}
EVIDENCE = ("width_ticks", "distance_ticks", "usual", "spacing_ticks")
OUTCOMES = ("", "filled", "reached", "lost")
FILLED, REACHED, LOST = 1, 2, 3


def prepare(record: Any, instrument: Any, settings: Any) -> None:
    """Put the settings where the kernel finds them."""
    record["levels"], record["share"] = int(settings["liquidity_gap_levels"]), settings["liquidity_gap_share"]
    record["reach"] = settings["liquidity_gap_reach"]
    record["hold"] = int(settings["liquidity_gap_hold"] * SECOND)


@njit
def behind(price: Int, best: Int, tick: Int) -> Int:
    """Whole ticks from the best price to another of its side."""
    return abs(price - best) // tick


@njit
def read_spacing(s: Any, row: Any, side: Int, tick: Int, usual: float) -> None:
    """Note the third quartile of the distances between levels that are not thin."""
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    n = 0
    before = np.int64(-1)
    for k in range(row.n_bid if side == 0 else row.n_ask):
        if usual > 0.0 and sizes[k] >= s.share * usual:
            at = behind(prices[k], prices[0], tick)
            if 0 <= before < at:
                s.scratch[n] = at - before
                n += 1
            before = at
    median(s.scratch, n) if n else 0.0  # puts them in order
    s.apart[side, (s.usual.read - 1) % READINGS] = s.scratch[3 * (n - 1) // 4] if n else 0.0
    s.apart_until[side] = 0


@njit
def usual_spacing(s: Any, side: Int, ts: Int) -> Any:
    """Spacing of a side in ticks, 0 while it is not known."""
    if ts < s.apart_until[side]:
        return s.apart_now[side]
    n, until = 0, NEVER
    for k in range(min(s.usual.read, READINGS)):
        end = s.usual.time[k] + READINGS * SECOND
        if ts < end and s.apart[side, k] > 0.0:
            s.scratch[n] = s.apart[side, k]
            until = min(until, end)
            n += 1
    s.apart_now[side], s.apart_until[side] = median(s.scratch, n) if n >= FEWEST else 0.0, until
    return s.apart_now[side]


@njit
def nearest(row: Any, side: Int, tick: Int, least: float, first: Int, last: Int, wide: float) -> Any:
    """(first, last) of the nearest run of prices that hold less than `least`, (0, 0) for none.

    In ticks behind the best price, within the two given. A run counts when what bounds it is at least
    `wide` ticks apart.
    """
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    begin = first
    for k in range(row.n_bid if side == 0 else row.n_ask):
        over = abs(prices[k] - prices[0]) - begin * tick
        if sizes[k] < least or over < 0:
            continue
        if over < tick:  # at `begin`: nothing between, and no division
            begin += 1
            continue
        at = begin + over // tick
        end = min(at - 1, last)
        if end - begin + 2 >= wide and end >= begin:
            return begin, end
        begin = at + 1
    if last - begin + 2 >= wide and last >= begin:
        return begin, last
    return np.int64(0), np.int64(0)


@njit
def held(s: Any, row: Any, side: Int) -> Int:
    """Size between the prices of the open gap."""
    prices = row.bid_price if side == 0 else row.ask_price
    sizes = row.bid_size if side == 0 else row.ask_size
    low, high = min(s.first[side], s.last[side]), max(s.first[side], s.last[side])
    total = np.int64(0)
    for k in range(row.n_bid if side == 0 else row.n_ask):
        if low <= prices[k] <= high:
            total += sizes[k]
    return total


@njit
def say(ctx: Any, s: Any, j: int, side: Int, phase: Int, usual: float) -> Any:
    """Tell how a gap stands."""
    row = sample_rows(ctx)[j]
    info = infos(ctx)[row.slot]
    width = abs(s.last[side] - s.first[side]) // info.tick_fixed + 1
    said = say_at_row(ctx, j, phase)
    said.opened, said.number = s.opened[side], s.number[side]
    said.side = BID if side == 0 else ASK
    said.price, said.size = s.first[side], held(s, row, side)
    said.strength = width / s.spacing[side]
    said.evidence[0] = width
    if row.n_bid if side == 0 else row.n_ask:
        best = row.bid_price[0] if side == 0 else row.ask_price[0]
        away = best - s.first[side] if side == 0 else s.first[side] - best
        said.evidence[1] = away // info.tick_fixed
    said.evidence[2] = usual * info.size_mul / info.size_div
    said.evidence[3] = s.spacing[side]
    return said


@njit
def outcome_of(s: Any, row: Any, side: Int, tick: Int, usual: float) -> Int:
    """What became of the open gap of a side; 0 while it is there."""
    if usual <= 0.0:
        return np.int64(LOST)
    prices = row.bid_price if side == 0 else row.ask_price
    best, worst = prices[0], prices[(row.n_bid if side == 0 else row.n_ask) - 1]
    away = (best - s.first[side] if side == 0 else s.first[side] - best) // tick
    if away <= 0:
        return np.int64(REACHED)
    if away > s.reach * s.spacing[side]:
        return np.int64(LOST)
    last, seen = behind(s.last[side], best, tick), behind(worst, best, tick)
    wide = (s.levels + 1) * s.spacing[side]
    stands = nearest(row, side, tick, s.share / KEEP * usual, away, min(last, seen), wide)[0]
    return np.int64(0 if stands > 0 else LOST if last > seen else FILLED)


@njit
def gap_of(s: Any, row: Any, side: Int, tick: Int, usual: float, spacing: float, same: Any) -> None:
    """Find the nearest gap of a side; what is known stands where the book is the `same` as a row before."""
    if same and s.asked[side] and s.for_usual[side] == usual and s.for_spacing[side] == spacing:
        return
    prices = row.bid_price if side == 0 else row.ask_price
    worst = prices[(row.n_bid if side == 0 else row.n_ask) - 1]
    end = min(behind(worst, prices[0], tick), np.int64(s.reach * spacing))
    wide = (s.levels + 1) * spacing
    s.near[side, 0], s.near[side, 1] = nearest(row, side, tick, s.share * usual, np.int64(1), end, wide)
    s.asked[side], s.for_usual[side], s.for_spacing[side] = 1, usual, spacing


@njit
def look_at_side(ctx: Any, s: Any, j: int, side: Int, usual: float) -> None:
    """Open or close what row `j` shows of a side; `usual` is 0 where nothing can be known."""
    row = sample_rows(ctx)[j]
    tick = infos(ctx)[row.slot].tick_fixed
    if s.number[side]:
        s.asked[side] = 0
        outcome = outcome_of(s, row, side, tick, usual)
        if outcome:
            said = say(ctx, s, j, side, CLOSE, usual)
            said.outcome = outcome
            s.number[side] = 0
        return
    spacing = usual_spacing(s, side, row.ts) if usual > 0.0 else 0.0
    first = last = np.int64(0)
    if spacing > 0.0:
        same = twin_of(ctx, sample_rows(ctx), j) != j
        gap_of(s, row, side, tick, usual, spacing, same)
        first, last = s.near[side, 0], s.near[side, 1]
    else:
        s.asked[side] = 0
    if first == 0:
        s.since[side] = 0
        return
    best, sign = (row.bid_price[0], -1) if side == 0 else (row.ask_price[0], 1)
    price = best + sign * first * tick
    if s.since[side] == 0 or s.awaited[side] != price:
        s.awaited[side], s.since[side] = price, row.ts
    if row.ts - s.since[side] >= s.hold:
        s.count += 1
        s.number[side], s.opened[side] = s.count, row.ts
        s.first[side], s.last[side], s.spacing[side] = price, best + sign * last * tick, spacing
        s.since[side] = 0
        say(ctx, s, j, side, OPEN, usual)


def update(ctx: Any, n: int, state: Any, out: Any) -> int:
    """Look at both sides of `n` SAMPLE rows."""
    rows = sample_rows(ctx)
    states = carray(state, frame_of(ctx).n_slots, STATE)
    for j in range(frame_of(ctx).row, n):
        if crowded(ctx, 2, j):
            return j
        row = rows[j]
        s = states[row.slot]
        quoted = row.n_bid > 0 and row.n_ask > 0 and row.state == LIVE
        due = quoted and row.ts >= s.usual.next
        if due:
            take_reading(s.usual, row)
        for side in range(2):
            usual = usual_size(s.usual, np.int64(side), row.ts) if quoted else 0.0
            if due:
                read_spacing(s, row, np.int64(side), infos(ctx)[row.slot].tick_fixed, usual)
            look_at_side(ctx, s, j, np.int64(side), usual)
    return n
