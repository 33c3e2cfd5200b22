"""How complete a minute's data were: every row's span added up anew, straight from the definition."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from math import nan

from depthscope.market.instruments import Capability
from depthscope.market.layouts import LIVE
from tests.reference.engine import Desk, Row

Values = dict[str, float]
MINUTE = 60 * 10**9
NAMES = ("data_quality", "live_share_60s", "depth_rows_60s", "gaps_60s")


class SlowQuality:
    """The feature of one desk, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool) -> None:
        self.desk, self.by_event = desk, by_event
        self.rows: list[tuple[int, int, int]] = []  # time, LIVE, levels of the thinner side
        self.times: list[int] = []

    def __call__(self, row: Row) -> Values:
        """Share, depth and gaps of the last minute, and the word for them."""
        if not self.desk.instrument.capabilities & (Capability.L2 | Capability.MBO):
            return dict.fromkeys(NAMES, nan)
        live = int(row.state == LIVE)
        self.rows.append((row.ts, live, live * min(len(row.bids), len(row.asks))))
        self.times.append(row.ts)
        start = max(row.ts - MINUTE, self.rows[0][0])
        share, depth = Fraction(live), Fraction(self.rows[-1][2])
        if row.ts > start:
            first = max(bisect_right(self.times, start) - 1, 0)
            spans = [
                (min(end, row.ts) - max(at, start), one, levels)
                for (at, one, levels), (end, _, _) in pairwise(self.rows[first:])
                if end > start
            ]
            share = Fraction(sum(span * one for span, one, _ in spans), row.ts - start)
            depth = Fraction(sum(span * levels for span, _, levels in spans), row.ts - start)
        edge = row.ts - MINUTE + (1 if self.by_event else 0)
        gaps = sum(1 for k, ts in self.desk.gaps if k < row.seen and ts >= edge)
        word = 0.0
        if share >= Fraction(9, 10) and gaps <= 1 and depth >= 5:
            word = 1.0
        if share >= Fraction(99, 100) and gaps == 0 and depth >= 10:
            word = 2.0
        return dict(zip(NAMES, (word, float(share), float(depth), float(gaps)), strict=True))
