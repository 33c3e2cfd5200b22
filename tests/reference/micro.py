"""Features of flow at several levels, straight from their definitions and a desk's whole history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import nan
from typing import Any

from depthscope.features.kit import Setting
from depthscope.features.ofi_scaled import WEIGHTS
from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.market.layouts import DEPTH_BPS, LIVE, OFI_LEVELS
from tests.reference.engine import MOVES, Desk, Near, Past, Row

Values = dict[str, float]
SECOND = 10**9
DEFAULTS = {f"integrated_ofi_w{k + 1}": weight for k, weight in enumerate(WEIGHTS)} | {
    "liquidity_least": 60,
    "microprice": None,
}


class SlowMicro:
    """Features of one desk, row after row."""

    def __init__(self, desk: Desk, *, by_event: bool, settings: Mapping[str, Setting] | None = None) -> None:
        self.desk, self.by_event = desk, by_event
        self.settings: dict[str, Any] = DEFAULTS | dict(settings or {})
        self.lot = Fraction(desk.instrument.lot, ev.PRICE_SCALE)
        self.readings: dict[int, float] = {}  # by second

    def __call__(self, row: Row) -> Values:
        """Every feature at a row."""
        deep = self.stacked(row) | self.liquidity(row)
        if not self.desk.instrument.capabilities & (Capability.L2 | Capability.MBO):
            deep = dict.fromkeys(deep, nan)
        return self.scaled(row) | self.microprice(row) | deep

    def window(self, row: Row, seconds: int) -> Iterable[Past]:
        """Groups of [t - w, t) at a boundary, of (t - w, t] at a row by event."""
        edge = row.ts - seconds * SECOND + (1 if self.by_event else 0)
        return self.desk.window(edge, row.seen)

    def scaled(self, row: Row) -> Values:
        """Order-flow imbalance of each level over the mean size at the best prices."""
        out = {}
        for seconds in (1, 10):
            pasts = self.window(row, seconds)
            good = [past.near.quoted_size for past in pasts if past.near.quoted]
            levels = []
            for k in range(OFI_LEVELS):
                flow = sum(past.levels[k] for past in pasts)
                depth = Fraction(sum(good), 2 * len(good)) if good else Fraction(1)
                value = float(flow / depth) if good else 0.0
                levels.append(value if row.bids and row.asks else nan)
            weights = [float(self.settings[f"integrated_ofi_w{k + 1}"]) for k in range(OFI_LEVELS)]
            out[f"ofi_{seconds}s_norm"] = levels[0]
            out[f"integrated_ofi_{seconds}s"] = sum(w * x for w, x in zip(weights, levels, strict=True))
            if seconds == 10:
                out |= {f"ofi_norm_l{k + 1}_10s": value for k, value in enumerate(levels)}
        return out

    def stacked(self, row: Row) -> Values:
        """What came to and left the best levels."""
        told = bool(self.desk.instrument.capabilities & Capability.AGGRESSOR)
        out = {}
        for seconds in (1, 10):
            near = Near()
            for past in self.window(row, seconds):
                near.join(past.near)
            for side, name in enumerate(("bid", "ask")):
                for k, top in enumerate(("", "_top10")):
                    added, gone, traded = (near.of(what, side, k) for what in MOVES)
                    place = f"{name}{top}_{seconds}s"
                    out[f"stacked_{place}"] = float(added * self.lot)
                    out[f"pulled_{place}"] = float(max(gone - traded, 0) * self.lot) if told else nan
        return out

    def liquidity(self, row: Row) -> Values:
        """Rank of the latest second's reading."""
        good = row.bids and row.asks and row.state == LIVE and row.bids[0][0] < row.asks[0][0]
        if not good:
            return {"liquidity_score": nan}
        second = row.ts // SECOND
        if second not in self.readings:
            bid, ask = row.bids[0][0], row.asks[0][0]
            band = DEPTH_BPS.index(10)
            depth = row.bid_depth[band] + row.ask_depth[band]
            self.readings[second] = float(depth) * float(bid + ask) / float(ask - bid)
        newest = self.readings[second]
        hour = [value for when, value in self.readings.items() if when > second - 3_600]
        if len(hour) < float(self.settings["liquidity_least"]):
            return {"liquidity_score": nan}
        below, equal = (sum(test(value) for value in hour) for test in (newest.__gt__, newest.__eq__))
        return {"liquidity_score": (below + equal / 2) / len(hour)}

    def microprice(self, row: Row) -> Values:
        """Mid and the adjustment of the state, or the weighted mid where there is none."""
        if not row.bids or not row.asks:
            return {"microprice": nan, "microprice_fitted": nan}
        (bid, q_bid, _), (ask, q_ask, _) = row.bids[0], row.asks[0]
        model = self.settings["microprice"]
        table = None if model is None else model.table(self.desk.instrument.symbol)
        spread = (ask - bid) // self.desk.instrument.tick
        if table is not None and spread > 0:
            line = table.adjustments[min(spread, len(table.adjustments)) - 1]
            n = len(line)
            lesser = int(Fraction(n * min(q_bid, q_ask), q_bid + q_ask))
            value = line[lesser if q_bid <= q_ask else n - 1 - lesser]
            if value is not None:
                tick = self.desk.instrument.tick / ev.PRICE_SCALE
                return {"microprice": (bid + ask) / 2e9 + value * tick, "microprice_fitted": 1.0}
        weighted = Fraction(bid * q_ask + ask * q_bid, q_bid + q_ask)
        return {"microprice": float(weighted / ev.PRICE_SCALE), "microprice_fitted": 0.0}
