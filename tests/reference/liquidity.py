"""Liquidity profiles straight from their definition: every window's rows added up anew."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from depthscope.market import events as ev
from depthscope.market.layouts import LIVE
from tests.reference.engine import Row, SlowEngine

Profile = tuple[int, str, str, float, float, float]  # time, symbol, side, price, mean size, share of time


def profiles(slow: SlowEngine, every: int, window: int, levels: int) -> list[Profile]:
    """All profiles of a finished slow engine with a row a group."""
    if not slow.rows:
        return []
    found: list[Profile] = []
    end = slow.clock
    of: dict[int, list[Row]] = defaultdict(list)
    for row in slow.rows:
        of[row.slot].append(row)
    first = slow.rows[0].ts // every * every
    for ts in range(first, -(-end // every) * every + 1, every):
        for slot, desk in enumerate(slow.desks.values()):
            area: dict[tuple[int, int], int] = defaultdict(int)
            time: dict[tuple[int, int], int] = defaultdict(int)
            alive = 0
            ends = [*(row.ts for row in of[slot][1:]), end]
            for row, until in zip(of[slot], ends, strict=True) if of[slot] else ():
                span = min(until, ts) - max(row.ts, ts - window)
                if span <= 0 or row.state != LIVE:
                    continue
                alive += span
                for side, shown in enumerate((row.bids, row.asks)):
                    for price, lots, _ in shown[:levels]:
                        area[side, price] += lots * span
                        time[side, price] += span
            lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)
            for side, price in sorted(area):
                mean = float(area[side, price] * lot / alive)
                share = float(Fraction(time[side, price], alive))
                name = ("bid", "ask")[side]
                found.append((ts, desk.instrument.symbol, name, price / ev.PRICE_SCALE, mean, share))
    return found
